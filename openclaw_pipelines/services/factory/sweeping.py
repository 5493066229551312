"""Running and storing the shards of a sweep.

A shard is written with its trials and its rows of the log in one transaction, once; a shard that is stored is not run
again, unless a GPU that swept it was found wrong (`gpu`), or it is in no row of the log: one of before there was a log
is swept again and must be the same. Row 0 of a cycle is the incumbent, row n + 1 what stands at position n of the
search.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.config.factory import SearchMethod
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.factory import INCUMBENT_ROW, CycleState
from openclaw_pipelines.contracts.rows import first_as, rows_as
from openclaw_pipelines.contracts.rows.factory import SweepResultRow, SweepShardRow, TrialCountRow
from openclaw_pipelines.domain.factory.contract import unchanged, values_json
from openclaw_pipelines.domain.factory.log import Piece
from openclaw_pipelines.domain.factory.parity import row_side
from openclaw_pipelines.domain.factory.search import SHARD_KEYS, Proposal, Tried
from openclaw_pipelines.domain.selection.equity import daily_returns
from openclaw_pipelines.domain.selection.trials import sharpe_rows
from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.kernel.base.money import to_atoms
from openclaw_pipelines.kernel.run.replay import replay_under
from openclaw_pipelines.kernel.strategy.params import params_hash, params_record, params_values, stack_params
from openclaw_pipelines.kernel.sweep.result import Sweep
from openclaw_pipelines.kernel.sweep.sweep import Progress, sweep_under
from openclaw_pipelines.resources.store.research_tables import of_cycle, trials
from openclaw_pipelines.services.factory.cycle import Cycle, cycle_row
from openclaw_pipelines.services.factory.gpu import log_comparison, require_same, spot_rows, sweeping_gpu
from openclaw_pipelines.services.factory.market_data import Run
from openclaw_pipelines.services.factory.recording import Rows, is_logged, logged_pieces, store_logged

_FRAME = (
    "net", "gross_profit", "gross_loss", "turnover", "fees", "funding", "entries", "trades", "wins", "liquidations",
    "refused", "expired", "held_seconds", "longest_hold_seconds", "max_drawdown", "return_total", "profit_factor",
)  # fmt: skip


class EarlierShardsError(DataError):
    """A batch of an adaptive search that learns from shards that have not run."""

    template = "shard {shard} of {cycle_id} learns from {missing}, which are not stored. Run them first."
    cycle_id: str
    shard: str
    missing: str


class ShardDiffersError(DataError):
    """Two runs of one shard that did not find the same."""

    template = (
        "shard {shard} of {cycle_id} was stored with content {stored}, and was found again with {found}. "
        "What a GPU swept is dropped; run the sweep again."
    )
    cycle_id: str
    shard: str
    stored: str
    found: str


@dataclass(frozen=True)
class ShardReport:
    """A shard as stored. resumed: it was there already. rate: parameter rows x bars x symbols per second.

    device: GPU that ran it; None for the CPU.
    """

    shard: str
    rows: int
    skipped: int
    content_hash: str
    rate: float | None
    device: str | None
    seconds: float
    resumed: bool


@dataclass(frozen=True)
class Numbered:
    """One parameter row of a sweep: its number in the cycle, and the shard that runs it."""

    number: int
    family: str
    shard: str
    record: np.record


def run_shard(cycle: Cycle, shard: str, say: Callable[[str], object] = lambda _: None) -> ShardReport:
    """Sweep one shard over the train days and store it, unless it is stored.

    Raises:
        EarlierShardsError: an adaptive search lacks the results that this shard learns from.
        ShardDiffersError: another process stored the shard meanwhile, with other results.
        GpuDiffersError: a GPU swept it and found otherwise than the CPU.
    """
    stored = shard_row(cycle, shard)
    if stored is not None and is_logged(cycle.store, Piece(cycle.cycle_id, "sweep_shards", shard)):
        return _report(cycle, stored, 0.0, resumed=True)
    proposals = propose(cycle, shard)
    device, why = sweeping_gpu(cycle)
    if why:
        say(f"shard {shard}: {why}")
    began = time.perf_counter()
    train = cycle.train
    runs = numbered(cycle, shard, proposals)
    rows = [own.record for own in runs]
    found = sweep_train(cycle, rows, device, _told(shard, say)) if rows else None
    seconds = time.perf_counter() - began
    if found is not None and device is not None:
        replayed = {place: _replayed(cycle, rows[place]) for place in spot_rows(cycle, shard, len(rows))}
        require_same(cycle, shard, device, found, replayed)
        say(f"shard {shard}: replays of {len(replayed)} of its {len(rows)} rows found the same")
    work = len(rows) * len(train.bars.times) * len(train.bars.symbols)
    own = _shard_row(cycle, shard, train, found, len(rows), work / seconds if rows else None, device)
    _store(cycle, shard, own, proposals, [] if found is None else result_rows(cycle, found, runs))
    stored = shard_row(cycle, shard) or own
    return _report(cycle, stored, seconds, resumed=False)


def propose(cycle: Cycle, shard: str) -> list[Proposal]:
    """What a shard runs."""
    batch = cycle.batch(cycle.search.batch_of(shard), lambda: tried(cycle, shard))
    wanted = cycle.search.shard_positions(shard)
    return [made for made in batch if made.position in wanted]


def tried(cycle: Cycle, shard: str) -> list[Tried]:
    """Results of the shards that the shard's batch learns from; a grid and Sobol points learn from none.

    Raises:
        EarlierShardsError: some are not stored.
    """
    before = cycle.search.shards_before(shard) if cycle.recipe.method is SearchMethod.OPTUNA else ()
    missing = [key for key in before if key not in done_shards(cycle)]
    if missing:
        raise EarlierShardsError(cycle.cycle_id, shard, ", ".join(missing))
    if not before:
        return []
    sql = (
        "SELECT row_index, family, params, params_hash, sharpe_day FROM sweep_results "
        "WHERE cycle_id = ? AND row_index > ? AND list_contains(?, shard) ORDER BY row_index"
    )
    rows = cycle.store.query("research", sql, [cycle.cycle_id, INCUMBENT_ROW, list(before)])
    return [_tried(cycle, row) for row in rows_as(SweepResultRow, rows)]


def _tried(cycle: Cycle, row: SweepResultRow) -> Tried:
    values = json.loads(row["params"])
    unchanged("adaptive search", row["family"], values, cycle.interval_seconds, row["params_hash"])
    return Tried(row["row_index"] - 1, row["family"], values, row["sharpe_day"] or 0.0)


def sweep_train(
    cycle: Cycle, records: list[np.record], device: str | None, say: Callable[[Progress], None] | None = None
) -> Sweep:
    """Parameter records over the train days, on the GPU where one is named, else on the CPU; the same bits."""
    train, rows = cycle.train, stack_params(records)
    if device is not None:
        return cuda.sweep_under(train.bars, rows, train.terms, say)
    return sweep_under(train.bars, rows, train.terms, progress=say)


def _replayed(cycle: Cycle, record: np.record) -> bytes:
    """What a replay over the train days, on the CPU, finds for one row; as `Sweep.bits`."""
    train = cycle.train
    result = replay_under(train.bars, record, train.terms)
    return Sweep.of_result(result, record, to_atoms(train.terms.capital), train.contract.hash).bits(0)


def done_shards(cycle: Cycle) -> list[str]:
    """Keys of the stored shards."""
    return of_cycle(cycle.store, "sweep_shards", cycle.cycle_id)["shard"].to_list()


def shard_row(cycle: Cycle, shard: str) -> SweepShardRow | None:
    """The stored row of a shard."""
    return first_as(SweepShardRow, of_cycle(cycle.store, "sweep_shards", cycle.cycle_id).filter(shard=shard))


def sweep_hash(cycle_id: str, shards: Sequence[SweepShardRow]) -> str:
    """SHA-256 over the contents of all shards of a cycle in order."""
    digest = hashlib.sha256(cycle_id.encode())
    for row in sorted(shards, key=lambda own: own["shard"]):
        digest.update(row["content_hash"].encode())
    return digest.hexdigest()


def numbered(cycle: Cycle, shard: str, proposals: list[Proposal]) -> list[Numbered]:
    """What a shard runs; the first shard runs the incumbent too."""
    runs = [Numbered(made.position + 1, made.family, shard, made.record)
            for made in proposals if made.record is not None]  # fmt: skip
    if shard == SHARD_KEYS[0]:
        own = cycle.incumbent
        record = params_record(own.family, own.values, cycle.interval_seconds)
        runs.insert(0, Numbered(INCUMBENT_ROW, own.family, shard, record))
    return runs


def _told(shard: str, say: Callable[[str], object]) -> Callable[[Progress], None]:
    def tell(done: Progress) -> None:
        say(f"shard {shard}: {done.rows:,} rows, {done.bars_done:,} of {done.bars:,} bars")

    return tell


def _shard_row(
    cycle: Cycle, shard: str, train: Run, found: Sweep | None, rows: int, rate: float | None, device: str | None
) -> SweepShardRow:
    content = found.content_hash if found is not None else hashlib.sha256(b"no rows").hexdigest()
    return {
        "cycle_id": cycle.cycle_id, "recorded_at": cycle.clock.now(), "shard": shard,
        "first_row": cycle.search.shard_positions(shard).start + 1, "row_count": rows,
        "contract": train.contract.json, "contract_hash": train.contract.hash, "content_hash": content, "rate": rate,
        "device": device,
    }  # fmt: skip


def result_rows(cycle: Cycle, found: Sweep, runs: list[Numbered]) -> list[dict[str, object]]:
    """Rows of `sweep_results` of what a sweep of `runs` found."""
    frame, now = found.frame, cycle.clock.now()
    sharpes = sharpe_rows(daily_returns(found.day_equity, found.capital))
    rows = []
    for i, (run, own) in enumerate(zip(runs, frame.iter_rows(named=True), strict=True)):
        side = row_side(found, i)
        record = found.rows.view(np.recarray)[i]
        rows.append(
            {
                "cycle_id": cycle.cycle_id, "recorded_at": now, "family": run.family,
                "params": values_json(params_values(record)), "params_hash": params_hash(record),
                "row_index": run.number, "shard": run.shard, "interval": cycle.interval,
                **{name: own[name] for name in _FRAME},
                "sharpe_day": float(sharpes[i]) if sharpes[i] != 0.0 else None, "events_digest": side.events_digest,
                "symbols": json.dumps(side.symbols), "day_equity": side.day_equity.astype("<i8").tobytes(),
                "bits_hash": side.bits_hash,
            }
        )  # fmt: skip
    return rows


def _store(
    cycle: Cycle, shard: str, own: SweepShardRow, proposals: list[Proposal], rows: list[dict[str, object]]
) -> None:
    """One transaction; a shard that another process stored meanwhile must be the same."""
    counts = trial_rows(cycle, shard, proposals, own["recorded_at"])
    with cycle.store.write("research") as con:
        before = con.execute(
            "SELECT content_hash, device FROM sweep_shards WHERE cycle_id = ? AND shard = ?", [cycle.cycle_id, shard]
        ).fetchone()
        logged = Piece(cycle.cycle_id, "sweep_shards", shard) in logged_pieces(con, cycle.cycle_id, "sweep_shards")
        if before is None or (not logged and before[0] == own["content_hash"]):
            written: dict[str, Rows] = {"sweep_shards": [own], "trial_counts": counts, "sweep_results": rows}
            for table, own_rows in written.items():
                con.execute(f"DELETE FROM {table} WHERE cycle_id = ? AND shard = ?", [cycle.cycle_id, shard])
                store_logged(con, table, own_rows, own["recorded_at"])
    if before is not None and before[0] != own["content_hash"]:
        for device in sorted({before[1], own["device"]} - {None}):
            log_comparison(cycle, device, own["row_count"], own["row_count"], shard)
        both = (before, (own["content_hash"], own["device"]))
        stored, found = (f"{content[:12]} by {device or 'the CPU'}" for content, device in both)
        raise ShardDiffersError(cycle.cycle_id, shard, stored, found)
    state = cycle_row(cycle.world, cycle.cycle_id)["state"]
    if state == CycleState.PLANNED and len(done_shards(cycle)) == len(SHARD_KEYS):
        cycle.note(CycleState.SWEPT)


def trial_rows(cycle: Cycle, shard: str, proposals: list[Proposal], now: datetime) -> list[TrialCountRow]:
    """Rows of `trial_counts` of a shard."""
    return [
        {
            "cycle_id": cycle.cycle_id, "recorded_at": now, "shard": shard, "family": space.family,
            "trials": sum(made.family == space.family and made.record is not None for made in proposals),
            "skipped": sum(made.family == space.family and made.conflicting for made in proposals),
        }
        for space in cycle.search.spaces
    ]  # fmt: skip


def _report(cycle: Cycle, row: SweepShardRow, seconds: float, *, resumed: bool) -> ShardReport:
    skipped = trials(cycle.store, cycle.cycle_id, row["shard"]).skipped
    return ShardReport(
        row["shard"], row["row_count"], skipped, row["content_hash"], row["rate"], row["device"], seconds, resumed
    )  # fmt: skip


def best_rows(cycle_id: str, cycle: Cycle, shard: str, n: int = 10) -> pl.DataFrame:
    """The best rows of a shard by daily Sharpe ratio, for people."""
    return cycle.store.query(
        "research",
        "SELECT row_index AS row, family, round(sharpe_day, 4) AS sharpe_day, CAST(net AS DECIMAL(18,2)) AS net, "
        "trades, round(max_drawdown, 4) AS max_drawdown, left(params_hash, 12) AS params FROM sweep_results "
        f"WHERE cycle_id = ? AND shard = ? ORDER BY sharpe_day DESC NULLS LAST, params_hash LIMIT {n}",
        [cycle_id, shard],
    )
