"""Parity reports as rows: what they are about, stored and read, and whether they still hold."""

import json
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.factory import Comparison
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import ParityReportRow, SweepResultRow, SweepShardRow
from openclaw_pipelines.domain.factory.parity import Found, Report, RowSide, stale
from openclaw_pipelines.resources.store.research_tables import of_cycle
from openclaw_pipelines.services.factory.cycle import Cycle
from openclaw_pipelines.services.factory.listing import Candidate, candidate_of, shortlisted
from openclaw_pipelines.services.factory.recording import logged_pieces, store_logged

SHORTLIST, RANDOM = "shortlist", "random"
REQUIRED = (Comparison.SWEEP_REPLAY, Comparison.REPLAY_STEPPING)
"""Comparisons that every candidate needs."""


@dataclass(frozen=True)
class SweptRow:
    """A stored row of the sweep: what it found, the contract of its shard, and the GPU that ran it, if one did."""

    side: RowSide
    contract: str
    device: str | None


def swept_row(cycle: Cycle, candidate: Candidate) -> SweptRow:
    """A stored row of the sweep."""
    sql = (
        "SELECT r.*, s.contract, s.device FROM sweep_results r JOIN sweep_shards s USING (cycle_id, shard) "
        "WHERE r.cycle_id = ? AND r.row_index = ?"
    )
    found = cycle.store.query("research", sql, [cycle.cycle_id, candidate.row_index])
    row, shard = rows_as(SweepResultRow, found)[0], rows_as(SweepShardRow, found)[0]
    candidate_of("sweep", cycle, {**row, "params_hash": candidate.params_hash})
    equity = np.frombuffer(row["day_equity"], "<i8")
    side = RowSide(row["bits_hash"], row["events_digest"], json.loads(row["symbols"]), equity)
    return SweptRow(side, shard["contract"], shard["device"])


def report_of(
    cycle: Cycle, kind: Comparison, candidate: Candidate, sample: str, found: Found, contracts: tuple[str, str],
    hashes: tuple[str, str], device: str | None = None,
) -> Report:  # fmt: skip
    """A report with the hashes of what it rests on. contracts, hashes: of the left and the right side."""
    left, right = (sha256(text.encode()).hexdigest() for text in contracts)
    run = cycle.contract.run
    return Report(
        comparison=kind, params_hash=candidate.params_hash, sample=sample, code_version=run.code_version,
        bars_hash=run.bars_hash, left_contract=left, right_contract=right, left_hash=hashes[0], right_hash=hashes[1],
        found=found, device=device,
    )  # fmt: skip


def store_reports(cycle: Cycle, reports: list[Report]) -> None:
    """Reports in place of all earlier ones of the same comparisons; those of others stay."""
    kinds = sorted({own.comparison.value for own in reports})
    with cycle.store.write("research") as con:
        con.execute(
            "DELETE FROM parity_reports WHERE cycle_id = ? AND list_contains(?, comparison)", [cycle.cycle_id, kinds]
        )
        held = logged_pieces(con, cycle.cycle_id, "parity_reports")
        replaces = [piece for piece in held if piece.subject.partition(":")[0] in kinds]
        store_logged(con, "parity_reports", report_rows(cycle, reports), cycle.clock.now(), replaces=replaces)


def report_rows(cycle: Cycle, reports: list[Report]) -> list[dict[str, object]]:
    """Rows of `parity_reports`."""
    now = cycle.clock.now()
    return [
        {
            "cycle_id": cycle.cycle_id, "recorded_at": now, "comparison": own.comparison.value,
            **{name: getattr(own, name) for name in (
                "params_hash", "sample", "code_version", "bars_hash", "left_contract", "right_contract", "left_hash",
                "right_hash", "device",
            )},
            "verdict": own.found.verdict.value, "differing": canonical_json(list(own.found.differing)),
            "first_difference": None if own.found.first is None else canonical_json(vars(own.found.first)),
            "symbols": canonical_json(dict(own.found.symbols)), "report_hash": own.hash,
        }
        for own in reports
    ]  # fmt: skip


def parity_rows(cycle: Cycle) -> list[ParityReportRow]:
    """The stored reports of a cycle."""
    return rows_as(ParityReportRow, of_cycle(cycle.store, "parity_reports", cycle.cycle_id))


def stale_reports(cycle: Cycle) -> list[str]:
    """Why stored reports no longer hold, one sentence per reason; empty while all do."""
    run = cycle.contract.run
    reasons = {
        why
        for row in parity_rows(cycle)
        if (why := stale(row["code_version"], row["bars_hash"], run.code_version, run.bars_hash))
    }
    missing = _missing(cycle)
    return sorted(reasons) + ([f"no report of {', '.join(missing)}"] if missing else [])


def _missing(cycle: Cycle) -> list[str]:
    """Candidates without a report of both comparisons."""
    held = {(row["comparison"], row["params_hash"]) for row in parity_rows(cycle)}
    wanted = [(kind.value, own.params_hash) for own in shortlisted(cycle) for kind in REQUIRED]
    return [f"{kind} of {params[:12]}" for kind, params in wanted if (kind, params) not in held]
