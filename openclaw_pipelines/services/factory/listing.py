"""The shortlist of a cycle, out of its stored sweep. Order and floors are in `domain.factory.shortlist`."""

import json
from dataclasses import dataclass

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.factory import INCUMBENT_ROW, CycleState, Listing
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import ShortlistRow, SweepResultRow
from openclaw_pipelines.domain.factory.contract import unchanged
from openclaw_pipelines.domain.factory.search import SHARD_KEYS
from openclaw_pipelines.domain.factory.shortlist import Entry, Row, candidates, shortlist
from openclaw_pipelines.kernel.strategy.family import Value
from openclaw_pipelines.resources.store.research_tables import of_cycle
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.factory.cycle import Cycle
from openclaw_pipelines.services.factory.recording import store_logged
from openclaw_pipelines.services.factory.sweeping import done_shards

NO_CANDIDATE = "shortlist"


class SweepIncompleteError(DataError):
    """A shortlist of a sweep that has not ended, or of which shards were dropped."""

    template = "{cycle_id} lacks the shards {missing}. Materialize `sweep_results` of them first."
    cycle_id: str
    missing: str


@dataclass(frozen=True)
class Listed:
    """What became of a shortlist: its rows, the candidates in order of deployment, and the cycle's state."""

    entries: list[Entry]
    chosen: list[Entry]
    state: CycleState
    reason: str | None


@dataclass(frozen=True)
class Candidate:
    """Parameters on their way from the sweep to the deployment, checked against their hash."""

    row_index: int | None
    family: str
    values: dict[str, Value]
    params_hash: str
    record: np.record


def list_rows(cycle: Cycle) -> Listed:
    """Make and store the shortlist; the cycle is blocked where no row could be a candidate.

    Raises:
        SweepIncompleteError: a shard is missing. ParamsChangedError: a listed row's parameters were changed.
    """
    require_sweep(cycle)
    swept = sweep_rows(cycle)
    entries = entries_of(cycle, swept)
    chosen = candidates(entries)
    state, reason = _outcome(entries, chosen, len(swept) - 1, cycle)
    rows = shortlist_rows(cycle, swept, entries)
    with cycle.store.write("research") as con:
        con.execute("DELETE FROM shortlist WHERE cycle_id = ?", [cycle.cycle_id])
        store_logged(con, "shortlist", rows, cycle.clock.now())
    cycle.note(state, NO_CANDIDATE if state is CycleState.BLOCKED else None, reason)
    return Listed(entries, chosen, state, reason)


def entries_of(cycle: Cycle, swept: list[SweepResultRow]) -> list[Entry]:
    """The shortlist of stored rows."""
    rows = [_row(own) for own in swept]
    incumbent = next(row for row in rows if row.row_index == INCUMBENT_ROW)
    return shortlist([row for row in rows if row.row_index != INCUMBENT_ROW], incumbent, cycle.floors)


def require_sweep(cycle: Cycle) -> None:
    """Raise SweepIncompleteError unless every shard is stored."""
    done = done_shards(cycle)
    missing = [key for key in SHARD_KEYS if key not in done]
    if missing:
        raise SweepIncompleteError(cycle.cycle_id, ", ".join(missing))


def shortlisted(cycle: Cycle) -> list[Candidate]:
    """The stored candidates in the order in which they may be deployed, each checked against the sweep.

    Raises:
        SweepIncompleteError: a shard is missing, or was dropped.
        ParamsChangedError: parameters differ from what was swept.
    """
    require_sweep(cycle)
    swept: dict[int | None, str] = {row["row_index"]: row["params_hash"] for row in sweep_rows(cycle)}
    found: dict[str, Candidate] = {}
    for row in rows_as(ShortlistRow, of_cycle(cycle.store, "shortlist", cycle.cycle_id)):
        if row["status"] != Listing.CANDIDATE:
            continue
        candidate = candidate_of("shortlist", cycle, row)
        recorded = swept.get(row["row_index"], "none")
        unchanged("sweep", row["family"], candidate.values, cycle.interval_seconds, recorded)
        found.setdefault(candidate.params_hash, candidate)
    return list(found.values())


def candidate_of(where: str, cycle: Cycle, row: SweepResultRow | ShortlistRow) -> Candidate:
    """A row's parameters as a record, if they still have their hash. Raises ParamsChangedError."""
    values = json.loads(row["params"])
    record = unchanged(where, row["family"], values, cycle.interval_seconds, row["params_hash"])
    return Candidate(row["row_index"], row["family"], values, row["params_hash"], record)


def sweep_rows(cycle: Cycle) -> list[SweepResultRow]:
    """The stored rows of a cycle in order, without their equities."""
    return rows_as(SweepResultRow, of_cycle(cycle.store, "sweep_results", cycle.cycle_id, without=("day_equity",)))


def shortlist_frame(world: World, cycle_id: str) -> pl.DataFrame:
    """The shortlist for people."""
    return of_cycle(world.store, "shortlist", cycle_id).select(
        "channel", "rank", "status", "family", pl.col("score").round(5), "reason",
        pl.col("params_hash").str.head(12).alias("params"), "measures",
    )  # fmt: skip


def _row(own: SweepResultRow) -> Row:
    return Row(
        own["row_index"], own["family"], own["params_hash"], own["net"], own["return_total"], own["max_drawdown"],
        own["sharpe_day"], own["trades"], own["liquidations"], own["longest_hold_seconds"], own["events_digest"],
    )  # fmt: skip


def _outcome(entries: list[Entry], chosen: list[Entry], rows: int, cycle: Cycle) -> tuple[CycleState, str | None]:
    if chosen:
        return CycleState.SHORTLISTED, None
    if any(entry.status is Listing.INCUMBENT_HOLDS for entry in entries):
        return CycleState.INCUMBENT_HOLDS, "no candidate beats the incumbent by its channel's floor"
    least = cycle.floors.least_trades
    return CycleState.BLOCKED, f"none of {rows} rows made money with at least {least} closed trades"


def shortlist_rows(cycle: Cycle, stored: list[SweepResultRow], entries: list[Entry]) -> list[dict[str, object]]:
    """Rows of `shortlist`; the parameters of each are the sweep's own text."""
    now, by_number = cycle.clock.now(), {row["row_index"]: row for row in stored}
    rows: list[dict[str, object]] = []
    for entry in entries:
        swept = by_number[entry.row.row_index]
        unchanged(
            "shortlist", swept["family"], json.loads(swept["params"]), cycle.interval_seconds, swept["params_hash"]
        )
        rows.append(
            {
                "cycle_id": cycle.cycle_id, "recorded_at": now, "channel": entry.channel.value, "rank": entry.rank,
                "row_index": swept["row_index"], "family": swept["family"], "params": swept["params"],
                "params_hash": swept["params_hash"],
                "score": entry.score, "measures": _measures(entry.row), "status": entry.status.value,
                "reason": entry.reason,
            }
        )  # fmt: skip
    return rows


def _measures(row: Row) -> str:
    own = {name: getattr(row, name) for name in ("sharpe_day", "return_total", "max_drawdown", "trades")}
    return json.dumps({**own, "net": str(row.net)}, sort_keys=True)
