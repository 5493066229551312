"""Everything a cycle left, computed again from what it rests on, before anything of it is put on paper.

First the log: no row changed, absent or unknown to it. Then the rows themselves, since who can write the store can
write the log: rows of the sweep and replays are run again, the shortlist, reports, gates and the cycle's state are made
again from them, and every business column is compared with what is stored. Nothing is written.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.config.factory import SearchMethod
from openclaw_pipelines.contracts.factory import INCUMBENT_ROW, Comparison, CycleState, Variant
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import ReplayRow, SweepShardRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.factory.log import DEPLOYED, SUBJECTS, Anchor, standing
from openclaw_pipelines.domain.factory.parity import Report, compare_runs, equal_row
from openclaw_pipelines.domain.factory.search import SHARD_KEYS
from openclaw_pipelines.domain.lifecycle.hand_over import HandOverError
from openclaw_pipelines.resources.store.comparison import Difference, verify_equal
from openclaw_pipelines.resources.store.research_tables import of_cycle
from openclaw_pipelines.services.factory.cycle import Cycle, cycle_row, gate_limits
from openclaw_pipelines.services.factory.judging import Judged, judge, result_rows, verdict_of
from openclaw_pipelines.services.factory.listing import (
    Candidate,
    candidate_of,
    entries_of,
    shortlist_rows,
    shortlisted,
    sweep_rows,
)
from openclaw_pipelines.services.factory.parity_rows import (
    RANDOM,
    SHORTLIST,
    parity_rows,
    report_of,
    report_rows,
    swept_row,
)
from openclaw_pipelines.services.factory.recording import newest_logged, unlogged, verified_log
from openclaw_pipelines.services.factory.replaying import Replayed, contract_of, parity_sample, row_of, run_variant
from openclaw_pipelines.services.factory.sweeping import (
    Numbered,
    numbered,
    propose,
    sweep_train,
    trial_rows,
)
from openclaw_pipelines.services.factory.sweeping import result_rows as swept_rows

Say = Callable[[str], object]
SWEPT_AGAIN = 32
"""Random rows of the sweep that are swept again, beside the incumbent and all rows that are compared. Who changed one
row in ten is missed 3 times in 100, one in five once in 1,300; some tens of rows share one pass over the bars."""
LOGGED = ("factory_cycles", *SUBJECTS, DEPLOYED)
"""Tables that the log of the factory is about."""
_VARIANTS = (Variant.TRAIN, Variant.HOLDOUT, Variant.STRESSED, Variant.FINER)


class EvidenceUnloggedError(HandOverError):
    """Stored rows that are not what the log of the factory says, or that it never heard of."""

    template = (
        "{cycle}: {what}. Nothing is deployed. Where rows were changed, restore research.duckdb from a copy; "
        "where the cycle is older than the log, `openclaw factory run --cycle {cycle}` computes it again."
    )
    cycle: str
    what: str


class EvidenceDiffersError(HandOverError):
    """A stored value that is another when it is computed again."""

    template = (
        "{cycle}: {table} {key}: {column} is stored as {stored}, and computed again it is {found}. "
        "Nothing is deployed. Restore research.duckdb from a copy, or run a new cycle."
    )
    cycle: str
    table: str
    key: str
    column: str
    stored: str
    found: str


def prove(cycle: Cycle, say: Say = lambda _: None) -> Anchor:
    """The newest row of the log, after all that a cycle left was found to be what it must be.

    Raises:
        EvidenceUnloggedError, EvidenceDiffersError, BrokenFactoryLogError: a row is not.
    """
    require_logged(cycle)
    anchor = newest_logged(cycle.store)
    say("every row is what the log says; computing them again")
    _sweep_again(cycle, say)
    _same(cycle, "shortlist", shortlist_rows(cycle, swept := sweep_rows(cycle), entries_of(cycle, swept)))
    chosen = shortlisted(cycle)
    _same(
        cycle, "parity_reports", report_rows(cycle, _reports_again(cycle, chosen, _replays_again(cycle, chosen, say)))
    )
    judged = _judged_again(cycle, chosen)
    _same(cycle, "gate_results", result_rows(cycle, judged))
    _state_again(cycle, judged)
    say(f"gates of {len(judged)} candidates and the cycle's state are as stored")
    return anchor


def require_logged(cycle: Cycle) -> None:
    """Raise EvidenceUnloggedError unless every row of a cycle is what the log says."""
    found = unlogged(cycle.store, cycle.cycle_id, LOGGED)
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise EvidenceUnloggedError(cycle.cycle_id, found[0] + more)


def _sweep_again(cycle: Cycle, say: Say) -> None:
    """Which rows there must be, by the search; and some of them swept again."""
    now, runs, counts = cycle.clock.now(), [], []
    for shard in SHARD_KEYS:
        own = _runs(cycle, shard)
        runs += own
        if cycle.recipe.method is not SearchMethod.OPTUNA:
            counts += trial_rows(cycle, shard, propose(cycle, shard), now)
    if counts:
        _same(cycle, "trial_counts", counts)
    _shards_again(cycle, runs)
    _numbers_again(cycle, runs)
    wanted = _again(cycle, len(runs))
    chosen = [run for run in runs if run.number in wanted]
    found = sweep_train(cycle, [run.record for run in chosen], None)
    _same(cycle, "sweep_results", swept_rows(cycle, found, chosen), whole=False)
    say(f"{len(chosen)} of {len(runs)} rows of the sweep, swept again, are the same to the last bit")


def _runs(cycle: Cycle, shard: str) -> list[Numbered]:
    """What a shard must have run. An adaptive search is taken at its rows: what it asks for is its library's word."""
    if cycle.recipe.method is not SearchMethod.OPTUNA:
        return numbered(cycle, shard, propose(cycle, shard))
    own = [(row["row_index"], candidate_of("sweep", cycle, row)) for row in sweep_rows(cycle) if row["shard"] == shard]
    return [Numbered(number, row.family, shard, row.record) for number, row in own]


def _shards_again(cycle: Cycle, runs: Sequence[Numbered]) -> None:
    """Contract, place and size of each shard. Its content is that of rows that are swept again, and the log's."""
    contract = cycle.train.contract
    expected = [
        {
            **row, "contract": contract.json, "contract_hash": contract.hash,
            "first_row": cycle.search.shard_positions(row["shard"]).start + 1,
            "row_count": sum(run.shard == row["shard"] for run in runs),
        }
        for row in rows_as(SweepShardRow, of_cycle(cycle.store, "sweep_shards", cycle.cycle_id))
    ]  # fmt: skip
    _same(cycle, "sweep_shards", expected)


def _numbers_again(cycle: Cycle, runs: Sequence[Numbered]) -> None:
    """Numbers and families of all rows, whether they are swept again or not."""
    stored = {row["row_index"]: (row["family"], row["shard"]) for row in sweep_rows(cycle)}
    expected = {run.number: (run.family, run.shard) for run in runs}
    for number in sorted({*stored, *expected}):
        if stored.get(number) != expected.get(number):
            held, wanted = (str(own.get(number) or "no row") for own in (stored, expected))
            raise EvidenceDiffersError(cycle.cycle_id, "sweep_results", f"row {number}", "family, shard", held, wanted)


def _again(cycle: Cycle, rows: int) -> set[int]:
    """Numbers of the rows that are swept again: the incumbent, those that are compared, and some at random."""
    chosen = shortlisted(cycle)
    compared = [*chosen, *parity_sample(cycle, {own.params_hash for own in chosen})]
    seed = int.from_bytes(sha256(cycle.cycle_id.encode()).digest()[:8])
    numbers = sorted(row["row_index"] for row in sweep_rows(cycle))
    drawn = np.random.default_rng(seed).choice(numbers, min(SWEPT_AGAIN, rows, len(numbers)), replace=False)
    return {INCUMBENT_ROW, *(own.row_index for own in compared if own.row_index is not None), *drawn.tolist()}


def _replays_again(cycle: Cycle, chosen: Sequence[Candidate], say: Say) -> dict[str, Replayed]:
    """All replays of a cycle made again and compared; by parameters, those of the train days."""
    made, rows = {}, []
    sample = parity_sample(cycle, {candidate.params_hash for candidate in chosen})
    for candidate, variants in [*((own, _VARIANTS) for own in chosen), *((own, (Variant.SAMPLE,)) for own in sample)]:
        for variant in variants:
            if contract_of(cycle, variant) is None:
                continue
            found = run_variant(cycle, candidate, variant)
            rows.append(_with_stored_trades(cycle, row_of(cycle, candidate, found)))
            if variant in (Variant.TRAIN, Variant.SAMPLE):
                made[candidate.params_hash] = found
        say(f"replayed {candidate.params_hash[:12]} again")
    _same(cycle, "replays", rows)
    return made


def _with_stored_trades(cycle: Cycle, row: ReplayRow) -> ReplayRow:
    """The row with the stored file of trades where that has the same trades: files differ by what wrote them."""
    key = {name: row[name] for name in ("params_hash", "variant")}
    stored = rows_as(ReplayRow, of_cycle(cycle.store, "replays", cycle.cycle_id).filter(**key))
    if not stored or not row["trade_log"] or not stored[0]["trade_log"]:
        return row
    try:
        held = pl.read_parquet(io.BytesIO(stored[0]["trade_log"]))
    except pl.exceptions.PolarsError:
        return row
    same = held.equals(pl.read_parquet(io.BytesIO(row["trade_log"])))
    return {**row, "trade_log": stored[0]["trade_log"]} if same else row


def _reports_again(cycle: Cycle, chosen: Sequence[Candidate], made: dict[str, Replayed]) -> list[Report]:
    """The reports of equal runs that there must be. Single steps are not taken again: equal runs have equal hashes."""
    reports = []
    sample = parity_sample(cycle, {candidate.params_hash for candidate in chosen})
    for candidate, why in [*((own, SHORTLIST) for own in chosen), *((own, RANDOM) for own in sample)]:
        row, replayed = swept_row(cycle, candidate), made[candidate.params_hash]
        contracts, bits = (row.contract, replayed.contract.json), (row.side.bits_hash, replayed.side.bits_hash)
        found = equal_row(row.side)
        reports.append(
            report_of(cycle, Comparison.SWEEP_REPLAY, candidate, why, found, contracts, bits, row.device)
        )  # fmt: skip
        if why == SHORTLIST:
            content, contract = replayed.result.content_hash, replayed.contract.json
            equal = compare_runs(replayed.result, replayed.result)
            both = (contract, contract), (content, content)
            reports.append(report_of(cycle, Comparison.REPLAY_STEPPING, candidate, why, equal, *both))
        for stored in parity_rows(cycle):
            if (stored["comparison"], stored["params_hash"]) == (Comparison.CPU_GPU, candidate.params_hash):
                sides = (row.contract, cycle.train.contract.json), (row.side.bits_hash, row.side.bits_hash)
                own = report_of(cycle, Comparison.CPU_GPU, candidate, why, found, *sides)
                reports.append(replace(own, device=stored["device"]))
    return reports


def _judged_again(cycle: Cycle, chosen: Sequence[Candidate]) -> list[Judged]:
    """Gates as they were judged: trials and looks of cycles that came later do not count."""
    log = standing(verified_log(cycle.store))
    rested = [row["rests_on"] for piece, row in log.items() if piece[:2] == (cycle.cycle_id, "gate_results")]
    as_of = max((row for row in rested if row is not None), default=0)
    limits = gate_limits(cycle.settings.config.gates, cycle.recipe.seed, len(chosen))
    return [judge(cycle, candidate, limits, as_of) for candidate in chosen]


def _state_again(cycle: Cycle, judged: list[Judged]) -> None:
    state, blocked_by, reason = verdict_of(judged)
    if state is CycleState.VALIDATED and cycle_row(cycle.world, cycle.cycle_id)["state"] == CycleState.DEPLOYED:
        state = CycleState.DEPLOYED
    row = {**cycle.row, "state": state.value, "blocked_by": blocked_by, "reason": reason}
    _same(cycle, "factory_cycles", [row])


def _same(cycle: Cycle, table: str, rows: Sequence[object], *, whole: bool = True) -> None:
    """Raise EvidenceDiffersError unless the stored rows are these. whole: the cycle has no others."""
    frame = TABLES[table].unchecked(rows)  # type: ignore[arg-type]
    within = "cycle_id = ?" if whole else ""
    with cycle.store.read("research") as con:
        found = verify_equal(con, table, frame, within=within, params=[cycle.cycle_id] if whole else [])
    if found:
        raise _differs(cycle, found[0])


def _differs(cycle: Cycle, first: Difference) -> EvidenceDiffersError:
    key = first.key.replace(f"cycle_id={cycle.cycle_id}", "").lstrip(", ")
    if first.kind == "changed":
        column, stored, found = first.column, *_where_they_part(first.stored, first.given)
    else:
        column, stored, found = "the row", *(("nothing", "a row") if first.kind == "missing" else ("a row", "nothing"))
    return EvidenceDiffersError(cycle.cycle_id, first.table, key, column, stored, found)


def _where_they_part(stored: str | None, found: str | None, most: int = 60) -> tuple[str, str]:
    """Both values, of long ones what stands around the first character in which they differ.

    >>> _where_they_part("7", None), _where_they_part("a" * 80 + "b", "a" * 80 + "c", 8)
    (('7', 'nothing'), ('...aaaab', '...aaaac'))
    """
    left, right = ("nothing" if own is None else own for own in (stored, found))
    if max(len(left), len(right)) <= most:
        return left, right
    same = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    first = max(0, same - most // 2)
    cut = [own[first : first + most] + ("..." if len(own) > first + most else "") for own in (left, right)]
    return ("..." if first else "") + cut[0], ("..." if first else "") + cut[1]
