"""Parity reports of a cycle: sweep with replay for candidates and sample, replay with single steps for candidates.

Where there is a GPU, or one swept, CPU with GPU for candidates and sample too. Reports replace earlier ones of the same
comparison; what a machine without a GPU cannot compare again stays. Classes are those of `domain.factory.parity`;
whether stored reports still hold is asked again by everyone who relies on them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
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
    row_side,
    stale,
)
from openclaw_pipelines.domain.factory.stepping import step_through
from openclaw_pipelines.domain.lifecycle.hand_over import parity_class
from openclaw_pipelines.resources.factory.cycle import Cycle
from openclaw_pipelines.resources.factory.gpu import usable_gpu
from openclaw_pipelines.resources.factory.listing import Candidate, candidate_of, shortlisted
from openclaw_pipelines.resources.factory.replaying import again, contract_of, costs_of, replay_row, run_variant
from openclaw_pipelines.resources.factory.sweeping import sweep_train, train_run
from openclaw_pipelines.resources.store import insert

PARITY = "parity"
_SHORTLIST, _RANDOM = "shortlist", "random"


@dataclass(frozen=True)
class SweptRow:
    """A stored row of the sweep: what it found, the contract of its shard, and the GPU that ran it, if one did."""

    side: RowSide
    contract: str
    device: str | None


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
    listed = [*((own, _SHORTLIST) for own in chosen), *((own, _RANDOM) for own in sample)]
    reports += cpu_against_gpu(cycle, listed, changed, say)
    _store(cycle, reports)
    failed = [report for report in reports if not report.passed]
    kept = [row for row in parity_rows(cycle) if parity_class(row) is not ParityClass.EQUAL]
    if failed:
        cycle.note(CycleState.BLOCKED, f"{PARITY}: {failed[0].found.verdict.value}", failed[0].sentence)
    elif kept:
        own = kept[0]
        why = (
            f"{own['comparison']} of {own['params_hash'][:12]} on {own['device']} did not hold, and was not made again"
        )
        cycle.note(CycleState.BLOCKED, f"{PARITY}: {own['verdict']}", why)
    elif reports:
        cycle.note(CycleState.COMPARED)
    return reports


def sweep_against_replay(cycle: Cycle, candidate: Candidate, variant: Variant, changed: tuple[str, ...]) -> Report:
    """A stored row of the sweep against its stored replay."""
    row = swept_row(cycle, candidate)
    left = row.side
    stored = replay_row(cycle, candidate.params_hash, variant)
    if stored is None:
        raise ReplayMissingError(cycle.cycle_id, variant.value, candidate.params_hash[:12])
    found = _changed(changed) or invalid(row.contract, stored["contract"])
    if found is None and left.bits_hash == stored["bits_hash"]:
        found = _equal(left)
    if found is None:
        made = run_variant(cycle, candidate, variant)
        stale_row = _stored_replay_differs(stored, made.result.content_hash)
        found = stale_row or compare_row(left, made.side, made.result)
    return _report(
        cycle, Comparison.SWEEP_REPLAY, candidate, _RANDOM if variant is Variant.SAMPLE else _SHORTLIST, found,
        (row.contract, stored["contract"]), (left.bits_hash, stored["bits_hash"]),
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


def cpu_against_gpu(
    cycle: Cycle, listed: list[tuple[Candidate, str]], changed: tuple[str, ...], say: Callable[[str], Any]
) -> list[Report]:
    """Stored rows swept again on the other device: those of the CPU on this machine's GPU, those of a GPU on the CPU.

    listed: rows and why they are compared. Where no GPU can be used, rows of the CPU are not compared; that is said.
    """
    gpu, why = usable_gpu()
    stored = {own.params_hash: swept_row(cycle, own) for own, _ in listed}
    on_gpu = [own for own, _ in listed if stored[own.params_hash].device is None]
    on_cpu = [own for own, _ in listed if stored[own.params_hash].device is not None]
    if gpu is None and on_gpu:
        say(f"CPU and GPU are not compared: {why}")
        on_gpu = []
    again: dict[str, RowSide] = {}
    for device, candidates in ((gpu, on_gpu), (None, on_cpu)):
        if candidates and not changed:
            say(f"sweeping {len(candidates)} compared rows on {device or 'the CPU'} too")
            swept = sweep_train(cycle, [own.record for own in candidates], device)
            again |= {own.params_hash: row_side(swept, i) for i, own in enumerate(candidates)}
    wanted = {own.params_hash for own in on_gpu + on_cpu}
    return [
        _cpu_gpu(cycle, own, sample, stored[own.params_hash], again, gpu, changed)
        for own, sample in listed
        if own.params_hash in wanted
    ]  # fmt: skip


def _cpu_gpu(
    cycle: Cycle, candidate: Candidate, sample: str, row: SweptRow, again: dict[str, RowSide], gpu: str | None,
    changed: tuple[str, ...],
) -> Report:  # fmt: skip
    """The CPU's side stands first, whichever of the two is the stored one. again: none where something changed."""
    contracts, hashes = (row.contract, train_run(cycle).contract.json), (row.side.bits_hash, "")
    found = _changed(changed) or invalid(*contracts)
    if found is None:
        made = again[candidate.params_hash]
        left, right = (made, row.side) if row.device else (row.side, made)
        found, hashes = _rows_compared(cycle, candidate, left, right), (left.bits_hash, right.bits_hash)
    return _report(cycle, Comparison.CPU_GPU, candidate, sample, found, contracts, hashes, row.device or gpu)


def _rows_compared(cycle: Cycle, candidate: Candidate, left: RowSide, right: RowSide) -> Found:
    """Two sides of one row; the replay, which knows the trades, is made only where they differ."""
    if left.bits_hash == right.bits_hash:
        return _equal(left)
    return compare_row(left, right, run_variant(cycle, candidate, Variant.TRAIN).result)


def swept_row(cycle: Cycle, candidate: Candidate) -> SweptRow:
    """A stored row of the sweep."""
    sql = (
        "SELECT r.*, s.contract, s.device FROM sweep_results r JOIN sweep_shards s USING (cycle_id, shard) "
        "WHERE r.cycle_id = ? AND r.row_index = ?"
    )
    row = cycle.store.query("research", sql, [cycle.cycle_id, candidate.row_index]).to_dicts()[0]
    candidate_of("sweep", cycle, {**row, "params_hash": candidate.params_hash})
    equity = np.frombuffer(row["day_equity"], "<i8")
    side = RowSide(row["bits_hash"], row["events_digest"], json.loads(row["symbols"]), equity)
    return SweptRow(side, row["contract"], row["device"])


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


def _equal(side: RowSide) -> Found:
    return Found(ParityClass.EQUAL, dict.fromkeys(side.symbols, ParityClass.EQUAL), (), None)


def _stored_replay_differs(stored: dict[str, Any], found: str) -> Found | None:
    """A stored replay that cannot be made again is no side of a comparison."""
    if stored["content_hash"] == found:
        return None
    return Found(ParityClass.INVALID_COMPARISON, {}, ("stored replay",), None)


def _report(
    cycle: Cycle, kind: Comparison, candidate: Candidate, sample: str, found: Found, contracts: tuple[str, str],
    hashes: tuple[str, str], device: str | None = None,
) -> Report:  # fmt: skip
    from hashlib import sha256

    left, right = (sha256(text.encode()).hexdigest() for text in contracts)
    run = cycle.contract.run
    return Report(
        comparison=kind, params_hash=candidate.params_hash, sample=sample, code_version=run.code_version,
        bars_hash=run.bars_hash, left_contract=left, right_contract=right, left_hash=hashes[0], right_hash=hashes[1],
        found=found, device=device,
    )  # fmt: skip


def _store(cycle: Cycle, reports: list[Report]) -> None:
    now = cycle.clock.now()
    rows = [
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
    with cycle.store.write("research") as con:
        made = sorted({*REQUIRED, *(own.comparison for own in reports)})
        con.execute(
            "DELETE FROM parity_reports WHERE cycle_id = ? AND list_contains(?, comparison)", [cycle.cycle_id, made]
        )
        if rows:
            insert(con, "parity_reports", TABLES["parity_reports"].unchecked(rows))
