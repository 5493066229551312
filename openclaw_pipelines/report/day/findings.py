"""What an operator must know first: failed checks, mismatches, liquidations, controls, stalled ticks, refusals."""

from collections.abc import Iterator

import polars as pl

from openclaw_pipelines.contracts.enums import KillSwitch, TickStatus
from openclaw_pipelines.contracts.trading import DecisionStatus
from openclaw_pipelines.report.day.data import Day, ReportData
from openclaw_pipelines.report.day.plots import reject_counts
from openclaw_pipelines.report.page.findings import Finding, Severity, worst_first

SPIKE_SHARE, SPIKE_COUNT = 0.5, 10  # refusals worth a line: half of the judged decisions, and at least ten
_LISTED = 5


def findings(data: ReportData, days: tuple[Day, ...]) -> list[Finding]:
    """Exceptions of the day, errors first, in the order of the strategies."""
    found = [*_checks(data), *(finding for day in days for finding in _of_strategy(day))]
    return worst_first(found)


def _of_strategy(day: Day) -> Iterator[Finding]:
    yield from _mismatches(day)
    yield from _liquidations(day)
    yield from _controls(day)
    yield from _ticks(day)
    yield from _refusals(day)
    yield from _unfilled(day)
    yield from _stale(day)


def _checks(data: ReportData) -> Iterator[Finding]:
    if data.checks.is_empty():
        return
    failed = data.checks.filter(~pl.col("passed")).sort("asset", "name", "partition")
    for check in failed.to_dicts():
        severity: Severity = "error" if str(check["severity"]).lower() == "error" else "warning"
        where = f"{check['asset']} {check['partition'] or ''}".strip()
        yield Finding(severity, where, f"Check {check['name']} failed", check["message"] or "")


def _mismatches(day: Day) -> Iterator[Finding]:
    for event in day.mismatches.to_dicts():
        what = f"Reconciliation: {event['check_name']} does not agree"
        detail = f"{event['tick_at']:%H:%M} UTC. {event['message']}"
        yield Finding("error", day.strategy.name, what, detail)


def _liquidations(day: Day) -> Iterator[Finding]:
    if day.filled.is_empty():
        return
    for fill in day.filled.filter(pl.col("leg") == "liquidation").to_dicts():
        detail = f"{fill['bar_at']:%H:%M} UTC at {fill['price']:,f}. {fill['reason']}"
        yield Finding("error", day.strategy.name, f"{fill['symbol']} was liquidated", detail)


def _controls(day: Day) -> Iterator[Finding]:
    if day.ticks.is_empty():
        return
    engaged = day.ticks.filter(pl.col("kill_switch") != KillSwitch.OFF)
    for switch in sorted(engaged["kill_switch"].unique().to_list()):
        rows = engaged.filter(pl.col("kill_switch") == switch)
        detail = f"In force at {rows.height} of {day.ticks.height} ticks, {_span(rows)}."
        yield Finding("error", day.strategy.name, f"Kill switch was {switch}", detail)


def _ticks(day: Day) -> Iterator[Finding]:
    recorded = day.equity.height
    if recorded < day.expected_ticks:
        missing = day.expected_ticks - recorded
        detail = f"{recorded} of {day.expected_ticks} ticks due by {day.data.as_of:%Y-%m-%d %H:%M} UTC are recorded."
        detail += f" {day.strategy.no_data_reason}" if day.strategy.no_data_reason else ""
        yield Finding("error", day.strategy.name, f"{missing} tick{_s(missing)} missing", detail)
    settled = pl.DataFrame() if day.ticks.is_empty() else day.ticks.filter(pl.col("status") == TickStatus.SETTLED_ONLY)
    if settled.height:
        reasons = sorted({reason for reason in settled["reason"].to_list() if reason})
        detail = f"{_span(settled)}: no entries were considered. {'; '.join(reasons[:_LISTED])}"
        what = f"{settled.height} tick{_s(settled.height)} settled only"
        yield Finding("warning", day.strategy.name, what, detail)


def _refusals(day: Day) -> Iterator[Finding]:
    counts = reject_counts(day.decisions)
    refused = sum(n for _, n in counts)
    judged = 0 if day.decisions.is_empty() else day.decisions.filter(pl.col("status") != DecisionStatus.HELD).height
    if refused >= SPIKE_COUNT and refused >= SPIKE_SHARE * judged:
        top = ", ".join(f"{code} {n}" for code, n in counts[:_LISTED])
        what = f"{refused} of {judged} decisions were refused"
        yield Finding("warning", day.strategy.name, what, f"Most frequent: {top}.")


def _unfilled(day: Day) -> Iterator[Finding]:
    if day.fills.is_empty():
        return
    unfilled = day.fills.filter(pl.col("status").is_in(["expired", "insufficient"]))
    if unfilled.height:
        listed = "; ".join(
            f"{fill['symbol']} {fill['bar_at']:%H:%M} {fill['reason']}" for fill in unfilled.head(_LISTED).to_dicts()
        )
        what = f"{unfilled.height} order{_s(unfilled.height)} not filled"
        yield Finding("warning", day.strategy.name, what, listed)


def _stale(day: Day) -> Iterator[Finding]:
    if day.open_positions.is_empty():
        return
    stale = day.open_positions.filter(pl.col("stale"))["symbol"].to_list()
    if stale:
        what = "Open positions valued at an older close"
        yield Finding("warning", day.strategy.name, what, f"The last bar was missing for {', '.join(stale)}.")


def _span(rows: pl.DataFrame) -> str:
    first, last = rows["tick_at"][0], rows["tick_at"][-1]
    return f"{first:%H:%M} UTC" if first == last else f"{first:%H:%M} to {last:%H:%M} UTC"


def _s(n: int) -> str:
    return "" if n == 1 else "s"
