"""A GPU in the factory: whether there is one, how often it agreed with the CPU, and whether it may sweep.

A GPU never decides alone. The rows that a cycle compares are run on both (`comparing`). Only a GPU that agreed in
`lifecycle.gpu_trust_cycles` cycles in a row sweeps, where a recipe asks for it, and some rows of each of its shards are
replayed before the shard is stored (`sweeping`). What a cycle's comparison found, and every difference, is logged in
`gpu_comparisons` for good; what a GPU swept for a cycle goes when it is found wrong there.
"""

import numpy as np

from openclaw_pipelines.contracts.config.factory import SearchMethod, SweepDevice
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.factory import Logged
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import GpuComparisonRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.factory.log import dropped
from openclaw_pipelines.domain.factory.search import SHARD_KEYS
from openclaw_pipelines.domain.lifecycle.trust import Compared, GpuTrust, passing_in_a_row
from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.kernel.base.compile_cache import sources_hash
from openclaw_pipelines.kernel.sweep.result import Sweep
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.factory.cycle import Cycle, cycle_row
from openclaw_pipelines.services.factory.recording import append, logged_pieces


class GpuDiffersError(DataError):
    """A shard that a GPU swept otherwise than the CPU."""

    template = (
        "shard {shard} of {cycle_id}: {device} and the CPU differ in {differing} of {compared} rows, first in "
        "{params_hash}. It is not trusted now, and what it swept for the cycle is dropped; run the sweep again, on the "
        "CPU."
    )
    cycle_id: str
    shard: str
    device: str
    differing: int
    compared: int
    params_hash: str


def usable_gpu() -> tuple[str | None, str]:
    """Name of this machine's GPU, or None and why none can be used."""
    try:
        return cuda.device_name(), ""
    except (cuda.CudaMissingError, cuda.CudaDeviceError) as missing:
        return None, str(missing)


def sweeping_gpu(cycle: Cycle) -> tuple[str | None, str]:
    """The GPU that may sweep a cycle, or None and why the CPU does; no word where the recipe does not ask for one."""
    if cycle.recipe.device is SweepDevice.CPU:
        return None, ""
    device, why = usable_gpu()
    if device is None:
        return None, f"the CPU sweeps: {why}"
    trust = gpu_trust(cycle.world, cycle.name, device)
    return (device, trust.sentence) if trust.trusted else (None, f"the CPU sweeps: {trust.sentence}")


def gpu_trust(world: World, recipe: str, device: str) -> GpuTrust:
    """How often a GPU agreed with the CPU in the cycles of a recipe that were compared last.

    A difference counts in whichever recipe it was found.
    """
    sql = (
        "SELECT g.cycle_id, g.device, g.code_version, g.compared, g.differing FROM gpu_comparisons g "
        "JOIN factory_cycles c USING (cycle_id) WHERE c.recipe = ? OR (g.device = ? AND g.differing > 0) "
        "ORDER BY g.number DESC"
    )
    log = [Compared(**row) for row in world.store.query("research", sql, [recipe, device]).to_dicts()]
    required = world.settings().config.lifecycle.gpu_trust_cycles
    return GpuTrust(device, passing_in_a_row(log, device, sources_hash()), required)


def spot_rows(cycle: Cycle, shard: str, rows: int) -> list[int]:
    """Rows of a shard that are replayed: the first, and a share of the recipe's `parity_rows`, by its seed."""
    number = SHARD_KEYS.index(shard)
    wanted = min(rows, -(-cycle.recipe.parity_rows // len(SHARD_KEYS)))
    drawn = np.random.default_rng([cycle.recipe.seed, number]).choice(rows, wanted, replace=False)
    return sorted({0, *drawn.tolist()})


def require_same(cycle: Cycle, shard: str, device: str, swept: Sweep, replayed: dict[int, bytes]) -> None:
    """Log and refuse a shard of which a row that was replayed is not the same. replayed: row -> `Sweep.bits` of it.

    Raises:
        GpuDiffersError: a bit differs.
    """
    differing = [row for row, bits in replayed.items() if swept.bits(row) != bits]
    if differing:
        log_comparison(cycle, device, len(replayed), len(differing), shard)
        first = swept.row_hashes[differing[0]][:12]
        raise GpuDiffersError(cycle.cycle_id, shard, device, len(differing), len(replayed), first)


def log_comparison(
    cycle: Cycle, device: str | None, compared: int, differing: int, shard: str | None = None
) -> None:  # fmt: skip
    """Append to the log. A comparison without a GPU counts only where the cycle never had one with it.

    Where rows differ, what the GPU swept for the cycle is dropped with it, to be swept by the CPU.
    """
    row = {
        "cycle_id": cycle.cycle_id, "recorded_at": cycle.clock.now(), "shard": shard, "device": device,
        "code_version": sources_hash(), "compared": compared, "differing": differing,
    }  # fmt: skip
    with cycle.store.write("research") as con:
        known = con.execute("SELECT 1 FROM gpu_comparisons WHERE cycle_id = ?", [cycle.cycle_id]).fetchone()
        if device is None and known is not None:
            return
        last = con.execute("SELECT coalesce(max(number), 0) FROM gpu_comparisons").fetchone()
        number = 1 + (last[0] if last else 0)
        insert(con, "gpu_comparisons", TABLES["gpu_comparisons"].unchecked([{**row, "number": number}]))
        if differing:
            _drop_swept(con, cycle, device)


def _drop_swept(con: Connection, cycle: Cycle, device: str | None) -> None:
    """Remove the shards that a GPU swept for a cycle; all of them where later ones learned from those."""
    sql = "SELECT shard FROM sweep_shards WHERE cycle_id = ? AND device = ?"
    shards = [shard for (shard,) in con.execute(sql, [cycle.cycle_id, device]).fetchall()]
    if shards and cycle.recipe.method is SearchMethod.OPTUNA:
        shards = list(SHARD_KEYS)
    now = cycle.clock.now()
    for table in ("sweep_shards", "sweep_results", "trial_counts"):
        con.execute(f"DELETE FROM {table} WHERE cycle_id = ? AND list_contains(?, shard)", [cycle.cycle_id, shards])
        gone = [piece for piece in logged_pieces(con, cycle.cycle_id, table) if piece.subject in shards]
        append(con, Logged.DROPPED, dropped(sorted(gone)), now)


def gpu_sentence(world: World, cycle_id: str) -> str:
    """For people: which part a GPU had in a cycle, and how far it is trusted now."""
    query = world.store.query
    shards = "SELECT device, count(*) AS n FROM sweep_shards WHERE cycle_id = ? AND device IS NOT NULL GROUP BY device"
    swept = {row["device"]: row["n"] for row in query("research", shards, [cycle_id]).to_dicts()}
    sql = "SELECT * FROM gpu_comparisons WHERE cycle_id = ? AND device IS NOT NULL ORDER BY number"
    compared = rows_as(GpuComparisonRow, query("research", sql, [cycle_id]))
    said = []
    for device in sorted({*swept, *(row["device"] for row in compared)}):
        said += [f"{device} swept {swept[device]} shards"] if device in swept else []
        said += dict.fromkeys(_found(row) for row in compared if row["device"] == device)
        said.append(gpu_trust(world, cycle_row(world, cycle_id)["recipe"], device).sentence)
    return "; ".join(said) or "none took part"


def _found(row: GpuComparisonRow) -> str:
    where = f" of shard {row['shard']}" if row["shard"] else ""
    if row["differing"]:
        return f"{row['device']} differed from the CPU in {row['differing']} of {row['compared']} rows{where}"
    return f"{row['device']} agreed with the CPU in {row['compared']} rows"
