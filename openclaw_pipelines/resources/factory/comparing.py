"""Parity reports of a cycle: sweep with replay for candidates and sample, replay with single steps for candidates.

Reports replace earlier ones of the same comparison. Classes are those of `domain.factory.parity`; whether stored
reports still hold is asked again by everyone who relies on them.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.research import Comparison, CycleState, ParityClass, Variant
from openclaw_pipelines.contracts.schema import TABLES
from openclaw_pipelines.domain.factory.parity import (
    Found,
    Report,
    RowSide,
    compare_row,
    compare_runs,
    invalid,
    stale,
)
from openclaw_pipelines.domain.factory.stepping import step_through
from openclaw_pipelines.resources.factory.cycle import Cycle
from openclaw_pipelines.resources.factory.listing import Candidate, candidate_of, shortlisted
from openclaw_pipelines.resources.factory.replaying import again, contract_of, costs_of, replay_row, run_variant
from openclaw_pipelines.resources.factory.sweeping import train_run
from openclaw_pipelines.resources.store import insert

PARITY = "parity"
_SHORTLIST, _RANDOM = "shortlist", "random"


class ReplayMissingError(DataError):
    """A row whose replay is not stored."""

    template = "{cycle_id}: no {variant} replay of {params_hash} is stored. Materialize `replays` of the cycle first."
    fields = ("cycle_id", "variant", "params_hash")


def compare_cycle(cycle: Cycle, changed: tuple[str, ...], say: Callable[[str], Any] = lambda _: None) -> list[Report]:
    """Make and store every report of a cycle, and note whether it is blocked.

    changed: fields of the cycle's contract that are others than when it was begun; they make all of it invalid.
    """
    reports = []
    chosen = shortlisted(cycle)
    for candidate in chosen:
        reports.append(sweep_against_replay(cycle, candidate, Variant.TRAIN, changed))
        reports.append(replay_against_steps(cycle, candidate, changed))
        say("; ".join(report.sentence for report in reports[-2:]))
    sample = sampled(cycle)
    reports += [sweep_against_replay(cycle, candidate, Variant.SAMPLE, changed) for candidate in sample]
    say(f"compared {len(sample)} random rows")
    _store(cycle, reports)
    failed = [report for report in reports if not report.passed]
    if failed:
        cycle.note(CycleState.BLOCKED, f"{PARITY}: {failed[0].found.verdict.value}", failed[0].sentence)
    elif reports:
        cycle.note(CycleState.COMPARED)
    return reports


def sweep_against_replay(cycle: Cycle, candidate: Candidate, variant: Variant, changed: tuple[str, ...]) -> Report:
    """A stored row of the sweep against its stored replay."""
    left, left_contract = swept_side(cycle, candidate)
    stored = replay_row(cycle, candidate.params_hash, variant)
    if stored is None:
        raise ReplayMissingError(cycle.cycle_id, variant.value, candidate.params_hash[:12])
    found = _changed(changed) or invalid(left_contract, stored["contract"])
    if found is None and left.bits_hash == stored["bits_hash"]:
        found = Found(ParityClass.EQUAL, dict.fromkeys(left.symbols, ParityClass.EQUAL), (), None)
    if found is None:
        made = run_variant(cycle, candidate, variant)
        stale_row = _stored_replay_differs(stored, made.result.content_hash)
        found = stale_row or compare_row(left, made.side, made.result)
    return _report(
        cycle, Comparison.SWEEP_REPLAY, candidate, _RANDOM if variant is Variant.SAMPLE else _SHORTLIST, found,
        (left_contract, stored["contract"]), (left.bits_hash, stored["bits_hash"]),
    )  # fmt: skip


def replay_against_steps(cycle: Cycle, candidate: Candidate, changed: tuple[str, ...]) -> Report:
    """A stored replay of the train days, made again, against the same run one tick at a time."""
    contract = contract_of(cycle, Variant.TRAIN)
    stored = replay_row(cycle, candidate.params_hash, Variant.TRAIN)
    if stored is None or contract is None:
        raise ReplayMissingError(cycle.cycle_id, Variant.TRAIN.value, candidate.params_hash[:12])
    found, right_hash = _changed(changed) or invalid(stored["contract"], contract.json), ""
    if found is None:
        left, run = again(cycle, candidate, Variant.TRAIN).result, train_run(cycle)
        right = step_through(
            run.bars, candidate.record, costs_of(cycle, Variant.TRAIN), start=run.start, **cycle.data.account.kwargs()
        )  # fmt: skip
        found, right_hash = compare_runs(left, right), right.content_hash
    return _report(
        cycle, Comparison.REPLAY_STEPPING, candidate, _SHORTLIST, found, (stored["contract"], contract.json),
        (stored["content_hash"], right_hash),
    )  # fmt: skip


def swept_side(cycle: Cycle, candidate: Candidate) -> tuple[RowSide, str]:
    """A stored row of the sweep and the contract of its shard."""
    sql = (
        "SELECT r.*, s.contract FROM sweep_results r JOIN sweep_shards s USING (cycle_id, shard) "
        "WHERE r.cycle_id = ? AND r.row_index = ?"
    )
    row = cycle.store.query("research", sql, [cycle.cycle_id, candidate.row_index]).to_dicts()[0]
    candidate_of("sweep", cycle, {**row, "params_hash": candidate.params_hash})
    equity = np.frombuffer(row["day_equity"], "<i8")
    return RowSide(row["bits_hash"], row["events_digest"], json.loads(row["symbols"]), equity), row["contract"]


def sampled(cycle: Cycle) -> list[Candidate]:
    """The rows whose sample replays are stored, in the order of their numbers."""
    sql = (
        "SELECT r.* EXCLUDE (day_equity) FROM sweep_results r JOIN replays p USING (cycle_id, params_hash) "
        "WHERE r.cycle_id = ? AND p.variant = ? AND r.row_index > 0 ORDER BY r.row_index"
    )
    rows = cycle.store.query("research", sql, [cycle.cycle_id, Variant.SAMPLE.value]).to_dicts()
    return [candidate_of("parity sample", cycle, row) for row in rows]


def parity_rows(cycle: Cycle) -> list[dict[str, Any]]:
    """The stored reports of a cycle."""
    sql = "SELECT * FROM parity_reports WHERE cycle_id = ? ORDER BY sample DESC, comparison, params_hash"
    return cycle.store.query("research", sql, [cycle.cycle_id]).to_dicts()


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


REQUIRED = (Comparison.SWEEP_REPLAY, Comparison.REPLAY_STEPPING)
"""Comparisons that every candidate needs."""


def _changed(changed: tuple[str, ...]) -> Found | None:
    return Found(ParityClass.INVALID_COMPARISON, {}, changed, None) if changed else None


def _stored_replay_differs(stored: dict[str, Any], found: str) -> Found | None:
    """A stored replay that cannot be made again is no side of a comparison."""
    if stored["content_hash"] == found:
        return None
    return Found(ParityClass.INVALID_COMPARISON, {}, ("stored replay",), None)


def _report(
    cycle: Cycle, kind: Comparison, candidate: Candidate, sample: str, found: Found, contracts: tuple[str, str],
    hashes: tuple[str, str],
) -> Report:  # fmt: skip
    from hashlib import sha256

    left, right = (sha256(text.encode()).hexdigest() for text in contracts)
    run = cycle.contract.run
    return Report(
        comparison=kind, params_hash=candidate.params_hash, sample=sample, code_version=run.code_version,
        bars_hash=run.bars_hash, left_contract=left, right_contract=right, left_hash=hashes[0], right_hash=hashes[1],
        found=found,
    )  # fmt: skip


def _store(cycle: Cycle, reports: list[Report]) -> None:
    now = cycle.clock.now()
    rows = [
        {
            "cycle_id": cycle.cycle_id, "recorded_at": now, "comparison": own.comparison.value,
            **{name: getattr(own, name) for name in (
                "params_hash", "sample", "code_version", "bars_hash", "left_contract", "right_contract", "left_hash",
                "right_hash",
            )},
            "verdict": own.found.verdict.value, "differing": canonical_json(list(own.found.differing)),
            "first_difference": None if own.found.first is None else canonical_json(vars(own.found.first)),
            "symbols": canonical_json(dict(own.found.symbols)), "report_hash": own.hash,
        }
        for own in reports
    ]  # fmt: skip
    with cycle.store.write("research") as con:
        con.execute("DELETE FROM parity_reports WHERE cycle_id = ?", [cycle.cycle_id])
        if rows:
            insert(con, "parity_reports", TABLES["parity_reports"].unchecked(rows))
