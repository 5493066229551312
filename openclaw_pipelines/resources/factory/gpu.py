"""A GPU in the factory: whether there is one, how often it agreed with the CPU, and whether it may sweep.

A GPU never decides alone. The rows that a cycle compares are run on both (`comparing`), and only a GPU that agreed in
`lifecycle.gpu_trust_cycles` compared cycles in a row sweeps where a recipe asks for it; the CPU replays candidates and
sample of its sweep all the same.
"""

from openclaw_pipelines.contracts.config import SweepDevice
from openclaw_pipelines.contracts.research import Comparison, ParityClass
from openclaw_pipelines.domain.lifecycle.hand_over import parity_class
from openclaw_pipelines.domain.lifecycle.trust import GpuTrust, passing_in_a_row
from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.kernel.compile_cache import sources_hash
from openclaw_pipelines.resources.autopilot import Autopilot
from openclaw_pipelines.resources.factory.cycle import Cycle, cycle_row


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
    trust = gpu_trust(cycle.autopilot, cycle.name, device)
    return (device, trust.sentence) if trust.trusted else (None, f"the CPU sweeps: {trust.sentence}")


def gpu_trust(autopilot: Autopilot, recipe: str, device: str) -> GpuTrust:
    """How often a GPU agreed with the CPU in a recipe's newest compared cycles.

    Each report is compared again, by its two contracts and hashes. One about other sources of the kernel or another GPU
    does not count, and a compared cycle without any that does starts the count again. Cycles are ordered by the end of
    their holdout.
    """
    sql = (
        "SELECT r.* FROM parity_reports r JOIN factory_cycles c USING (cycle_id) WHERE c.recipe = ? "
        "ORDER BY c.holdout_end, c.recorded_at, r.cycle_id"
    )
    wanted, cycles = (Comparison.CPU_GPU.value, device, sources_hash()), dict[str, list[ParityClass]]()
    for row in autopilot.store.query("research", sql, [recipe]).to_dicts():
        verdicts = cycles.setdefault(row["cycle_id"], [])
        if (row["comparison"], row["device"], row["code_version"]) == wanted:
            verdicts.append(parity_class(row))
    required = autopilot.settings().config.lifecycle.gpu_trust_cycles
    return GpuTrust(device, passing_in_a_row(list(cycles.values())), required)


def gpu_sentence(autopilot: Autopilot, cycle_id: str) -> str:
    """For people: which part a GPU had in a cycle, and how far it is trusted."""
    query = autopilot.store.query
    swept = query("research", "SELECT device FROM sweep_shards WHERE cycle_id = ? AND device IS NOT NULL", [cycle_id])
    sql = "SELECT * FROM parity_reports WHERE cycle_id = ? AND comparison = ? ORDER BY params_hash"
    rows = query("research", sql, [cycle_id, Comparison.CPU_GPU.value]).to_dicts()
    if not rows and swept.is_empty():
        return "none took part"
    did = [] if swept.is_empty() else [f"{swept['device'][0]} swept {swept.height} shards"]
    if not rows:
        return f"{did[0]}; it was not compared yet"
    equal = sum(parity_class(row) is ParityClass.EQUAL for row in rows)
    did.append(f"{rows[0]['device']} agreed with the CPU in {equal} of {len(rows)} rows")
    trust = gpu_trust(autopilot, cycle_row(autopilot, cycle_id)["recipe"], rows[0]["device"])
    return "; ".join([*did, trust.sentence])
