"""Parity of a cycle: sweep with replay for candidates and sample, replay with single steps for candidates.

Where there is a GPU, or one swept, CPU with GPU for candidates and sample too (`comparing_gpu`). Classes are those of
`domain.factory.parity`; whether stored reports still hold is asked again by all who rely on them (`parity_rows`).
"""

from collections.abc import Callable

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.factory import INCUMBENT_ROW, Comparison, CycleState, ParityClass, Variant
from openclaw_pipelines.contracts.rows.factory import ReplayRow
from openclaw_pipelines.domain.factory.parity import Found, Report, compare_row, compare_runs, equal_row, invalid
from openclaw_pipelines.domain.lifecycle.hand_over import parity_class
from openclaw_pipelines.kernel.run.stepping import step_through
from openclaw_pipelines.resources.store.research_tables import of_cycle
from openclaw_pipelines.services.factory.comparing_gpu import cpu_against_gpu, found_wrong, log_reports
from openclaw_pipelines.services.factory.cycle import Cycle
from openclaw_pipelines.services.factory.listing import Candidate, candidate_of, shortlisted, sweep_rows
from openclaw_pipelines.services.factory.parity_rows import (
    RANDOM,
    SHORTLIST,
    parity_rows,
    report_of,
    store_reports,
    swept_row,
)
from openclaw_pipelines.services.factory.replaying import again, contract_of, replay_row, run_variant

PARITY = "parity"


class ReplayMissingError(DataError):
    """A row whose replay is not stored."""

    template = "{cycle_id}: no {variant} replay of {params_hash} is stored. Materialize `replays` of the cycle first."
    cycle_id: str
    variant: Variant
    params_hash: str


def compare_cycle(
    cycle: Cycle, changed: tuple[str, ...], say: Callable[[str], object] = lambda _: None
) -> list[Report]:
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
    store_reports(cycle, reports)
    on_gpu: list[Report] = []
    if all(report.passed for report in reports):  # else the cycle is blocked, whatever a GPU finds
        listed = [*((own, SHORTLIST) for own in chosen), *((own, RANDOM) for own in sample)]
        on_gpu = cpu_against_gpu(cycle, listed, say)
    log_reports(cycle, [*reports, *on_gpu])  # before they replace earlier ones, which may say otherwise
    if on_gpu:
        store_reports(cycle, on_gpu)
    _note(cycle, [*reports, *on_gpu])
    return [*reports, *on_gpu]


def _note(cycle: Cycle, reports: list[Report]) -> None:
    """Blocked by a report that was made now, or by a failed one about a GPU that could not be made again here."""
    failed = [report for report in reports if not report.passed]
    kept = [row for row in parity_rows(cycle) if parity_class(row) is not ParityClass.EQUAL]
    if failed:
        dropped = ". What the GPU swept is dropped; run the cycle again, the CPU sweeps it"
        wrong = [own for own in failed if own.comparison is Comparison.SWEEP_REPLAY and found_wrong(own)]
        why = failed[0].sentence + (dropped if wrong else "")
        cycle.note(CycleState.BLOCKED, f"{PARITY}: {failed[0].found.verdict.value}", why)
    elif kept:
        own = kept[0]
        what = f"{own['comparison']} of {own['params_hash'][:12]} on {own['device']}"
        why = "did not hold and was not made again; compare it where the GPU agrees, or run later days without it"
        cycle.note(CycleState.BLOCKED, f"{PARITY}: {own['verdict']}", f"{what} {why}")
    elif reports:
        cycle.note(CycleState.COMPARED)


def sweep_against_replay(cycle: Cycle, candidate: Candidate, variant: Variant, changed: tuple[str, ...]) -> Report:
    """A stored row of the sweep against its stored replay."""
    row = swept_row(cycle, candidate)
    left = row.side
    stored = replay_row(cycle, candidate.params_hash, variant)
    if stored is None:
        raise ReplayMissingError(cycle.cycle_id, variant, candidate.params_hash[:12])
    found = _changed(changed) or invalid(row.contract, stored["contract"])
    if found is None and left.bits_hash == stored["bits_hash"]:
        found = equal_row(left)
    if found is None:
        made = run_variant(cycle, candidate, variant)
        stale_row = _stored_replay_differs(stored, made.result.content_hash)
        found = stale_row or compare_row(left, made.side, made.result)
    return report_of(
        cycle, Comparison.SWEEP_REPLAY, candidate, RANDOM if variant is Variant.SAMPLE else SHORTLIST, found,
        (row.contract, stored["contract"]), (left.bits_hash, stored["bits_hash"]), row.device,
    )  # fmt: skip


def replay_against_steps(cycle: Cycle, candidate: Candidate, changed: tuple[str, ...]) -> Report:
    """A stored replay of the train days, made again, against the same run one tick at a time."""
    contract = contract_of(cycle, Variant.TRAIN)
    stored = replay_row(cycle, candidate.params_hash, Variant.TRAIN)
    if stored is None or contract is None:
        raise ReplayMissingError(cycle.cycle_id, Variant.TRAIN, candidate.params_hash[:12])
    found, right_hash = _changed(changed) or invalid(stored["contract"], contract.json), ""
    if found is None:
        left, run = again(cycle, candidate, Variant.TRAIN).result, cycle.train
        right = step_through(run.bars, candidate.record, run.terms)
        found, right_hash = compare_runs(left, right), right.content_hash
    return report_of(
        cycle, Comparison.REPLAY_STEPPING, candidate, SHORTLIST, found, (stored["contract"], contract.json),
        (stored["content_hash"], right_hash),
    )  # fmt: skip


def sampled(cycle: Cycle) -> list[Candidate]:
    """The rows whose sample replays are stored, in the order of their numbers."""
    replays = of_cycle(cycle.store, "replays", cycle.cycle_id).filter(variant=Variant.SAMPLE.value)
    wanted = set(replays["params_hash"])
    rows = (row for row in sweep_rows(cycle) if row["row_index"] != INCUMBENT_ROW and row["params_hash"] in wanted)
    return [candidate_of("parity sample", cycle, row) for row in rows]


def _changed(changed: tuple[str, ...]) -> Found | None:
    return Found(ParityClass.INVALID_COMPARISON, {}, changed, None) if changed else None


def _stored_replay_differs(stored: ReplayRow, found: str) -> Found | None:
    """A stored replay that cannot be made again is no side of a comparison."""
    if stored["content_hash"] == found:
        return None
    return Found(ParityClass.INVALID_COMPARISON, {}, ("stored replay",), None)
