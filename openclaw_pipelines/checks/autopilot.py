"""Asset checks of the ledger: recorded ticks replay to themselves, books reconcile, days are complete."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from openclaw_pipelines.assets.metadata import markdown_table
from openclaw_pipelines.assets.partitions import day_and_strategy, day_by_strategy
from openclaw_pipelines.checks.reporting import Evaluated, evaluate_partitions
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.resources.autopilot import Autopilot
from openclaw_pipelines.resources.verification import Verification, verify_day
from openclaw_pipelines.resources.walk import ticks_between

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
SPECS = {
    "recorded_ticks_replay": ("Recorded ticks, taken again from their recorded inputs, give every row again.", True),
    "books_reconcile": ("Cash and quantities equal what the recorded fills and funding add up to.", True),
    "day_complete": ("Every tick of the day is recorded.", False),
    "entries_possible": ("The day's universe holds a symbol that may be entered.", False),
}


def autopilot_checks(days: dg.DailyPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the autopilot layer, on its last table."""

    @dg.multi_asset_check(
        name="ledger_checks",
        specs=[
            dg.AssetCheckSpec(
                name, asset="equity", description=text, blocking=blocking, partitions_def=day_by_strategy(days)
            )
            for name, (text, blocking) in SPECS.items()
        ],
    )
    def ledger_checks(
        context: dg.AssetCheckExecutionContext, autopilot: dg.ResourceParam[Autopilot]
    ) -> Iterator[dg.AssetCheckResult]:
        def evaluate(key: str) -> list[Evaluated]:
            day, strategy = day_and_strategy(key)
            return check_day(autopilot, strategy, day)

        yield from evaluate_partitions(context, "equity", evaluate)

    return [ledger_checks]


def check_day(autopilot: Autopilot, strategy: str, day: str) -> list[Evaluated]:
    """Every ledger check on one day of one strategy."""
    ledger = autopilot.runner.ledger(strategy)
    start, end = day_start(day), day_start(day) + DAY
    with ledger.reading():
        recorded = ledger.recorded_ticks(start, end)
        universe = ledger.universe(day)
        mismatches = ledger.query(
            "SELECT * FROM reconcile_events", "tick_at > ? AND tick_at <= ? AND NOT passed", [start, end]
        )
    own = autopilot.settings().strategy(strategy)
    first = max(start, day_start(own.own.start_day.isoformat()))
    expected = ticks_between(first, min(end, autopilot.clock.now()), own.interval)
    return [
        replay_result(verify_day(ledger, autopilot.executor, day)),
        _reconciled(mismatches),
        _complete(len(recorded), len(expected)),
        _enterable(universe),
    ]


def replay_result(verification: Verification) -> Evaluated:
    """Verification as a check: which rows differ, under which program version."""
    differences = pl.DataFrame([vars(item) for item in verification.differences], infer_schema_length=None)
    found = len(verification.differences)
    finding = (
        f"{verification.ticks} ticks replay to exactly the recorded rows"
        if verification.passed
        else f"{found} value(s) differ; run `openclaw verify` and compare the program versions"
    )
    metadata = {"finding": finding, "ticks": verification.ticks, "program_version": verification.program_version}
    if found:
        metadata["differences"] = markdown_table(differences, rows=50)
    return Evaluated("recorded_ticks_replay", verification.passed, ERROR, metadata)


def _reconciled(mismatches: pl.DataFrame) -> Evaluated:
    finding = "; ".join(mismatches["message"].head(5).to_list()) or "every tick of the day reconciles"
    return Evaluated("books_reconcile", mismatches.is_empty(), ERROR, {"finding": finding})


def _complete(recorded: int, expected: int) -> Evaluated:
    finding = f"{recorded} of {expected} ticks that have closed are recorded"
    return Evaluated("day_complete", recorded >= expected, WARN, {"finding": finding, "recorded": recorded})


def _enterable(universe: dict[str, object] | None) -> Evaluated:
    selected = str(universe["selected"]) if universe else "[]"
    reason = universe["reason"] if universe else "no universe is recorded for the day"
    finding = f"selected: {selected}" + (f"; {reason}" if reason else "")
    return Evaluated("entries_possible", selected != "[]", WARN, {"finding": finding})
