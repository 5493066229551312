"""Examines a day of one strategy: the ledger's own rules.

Comparing recorded ticks with their replay is in `verification`, limits judged again in `risk_examination`.
"""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.market.quality.window import CheckResult, Fact, Severity
from openclaw_pipelines.resources.store.comparison import Difference
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.trading.integrity import repeated_keys
from openclaw_pipelines.services.trading.risk_examination import RISK_CHECKS, examine_risk
from openclaw_pipelines.services.trading.verification import Verification
from openclaw_pipelines.services.trading.walk import ticks_between

LEDGER_CHECKS = {
    "recorded_ticks_replay": "Recorded ticks, taken again from their recorded inputs, give every row again.",
    "books_reconcile": "Cash and quantities equal what the recorded fills and funding add up to.",
    "keys_unique": "No two rows of the day's ticks have one key.",
    "day_complete": "Every tick of the day is recorded.",
    "entries_possible": "The day's universe holds a symbol that may be entered.",
    **RISK_CHECKS,
}
"""Checks of a day of one strategy."""

LEDGER_ERRORS = ("recorded_ticks_replay", "books_reconcile", "keys_unique", "risk_limits_held")
"""Those whose failure is an error; of the others it is a warning."""

_NO_CASES = pl.DataFrame()


def examine_ledger(world: World, verification: Verification) -> list[CheckResult]:
    """Every check of `LEDGER_CHECKS` on one day of one strategy, whose ticks were taken again."""
    strategy, day = verification.strategy, verification.day
    ledger = world.ledger(strategy)
    start, end = day_start(day), day_start(day) + DAY
    with ledger.reading():
        recorded = ledger.recorded_ticks(start, end)
        universe = ledger.universe(day)
        mismatches = ledger.rows("reconcile_events", start, end).filter(passed=False)
        twice = repeated_keys(ledger, start, end)
    own = world.settings().strategy(strategy)
    first = max(start, day_start(own.own.start_day.isoformat()))
    expected = ticks_between(first, min(end, world.clock.now()), own.interval)
    absent = _why_absent(world, strategy, start, first)
    return [
        replay_result(verification),
        _reconciled(mismatches),
        _unique(twice),
        _complete(len(recorded), len(expected)),
        _enterable(universe, absent),
        *examine_risk(ledger, day),
    ]


def _why_absent(world: World, strategy: str, start: datetime, first: datetime) -> str:
    if first >= start + DAY:
        return f"{strategy} starts on {first:%Y-%m-%d} and has no ticks before"
    if start > world.clock.now():
        return "the day has not begun"
    return "no universe is recorded for the day"


def replay_result(verification: Verification) -> CheckResult:
    """Verification as a check: which rows differ, under which program version."""
    found = len(verification.differences)
    sentence = (
        f"{verification.ticks} ticks replay to exactly the recorded rows"
        if verification.passed
        else f"{found} value(s) differ; run `openclaw verify` and compare the program versions"
    )
    facts: dict[str, Fact] = {
        "ticks": verification.ticks,
        "recorded_by_version": ", ".join(verification.recorded_versions) or "none",
        "replayed_by_version": verification.program_version,
    }
    cases = pl.DataFrame([vars(item) for item in verification.differences], infer_schema_length=None)
    return _result("recorded_ticks_replay", verification.passed, sentence, facts, cases)


def _reconciled(mismatches: pl.DataFrame) -> CheckResult:
    sentence = "; ".join(mismatches["message"].head(5).to_list()) or "every tick of the day reconciles"
    facts = {"mismatches": mismatches.height}
    return _result("books_reconcile", mismatches.is_empty(), sentence, facts, mismatches)


def _unique(twice: list[Difference]) -> CheckResult:
    first = f": {twice[0].table}, {twice[0].key}; remove all but the row that was written first" if twice else ""
    cases = pl.DataFrame([{"table": item.table, "key": item.key} for item in twice])
    sentence = f"{len(twice)} key(s) are stored more than once{first}"
    return _result("keys_unique", not twice, sentence, {"repeated": len(twice)}, cases)


def _complete(recorded: int, expected: int) -> CheckResult:
    sentence = f"{recorded} of {expected} ticks that have closed are recorded"
    return _result("day_complete", recorded >= expected, sentence, {"recorded": recorded, "expected": expected})


def _enterable(universe: dict[str, object] | None, absent: str) -> CheckResult:
    selected = str(universe["selected"]) if universe else "[]"
    reason = universe["reason"] if universe else absent
    sentence = f"selected: {selected}" + (f"; {reason}" if reason else "")
    return _result("entries_possible", selected != "[]", sentence, {})


def _result(
    name: str,
    passed: bool,  # noqa: FBT001 - as in the result it makes
    sentence: str,
    facts: Mapping[str, Fact],
    cases: pl.DataFrame = _NO_CASES,
) -> CheckResult:
    severity: Severity = "error" if name in LEDGER_ERRORS else "warning"
    shown = _NO_CASES if passed else cases.head(50)
    return CheckResult(
        name, passed, severity, LEDGER_CHECKS[name], sentence, dict(facts), shown, 0 if passed else cases.height
    )
