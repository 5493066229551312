"""Which facts of a day are exceptions: one row per rule, and days that have none."""

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.report.day.data import Day, ReportData, StrategyReport
from openclaw_pipelines.report.day.findings import findings


def quiet(data: ReportData) -> ReportData:
    """One strategy with whole ticks and nothing to complain about."""
    first = data.strategies[1]
    calm = dataclasses.replace(
        first,
        decisions=first.decisions.filter(pl.col("status") == "approved"),
        ticks=first.ticks.with_columns(status=pl.lit("done"), kill_switch=pl.lit("off")),
        reconcile_events=pl.DataFrame(),
    )
    return dataclasses.replace(data, strategies=(calm,), checks=data.checks.filter(pl.col("passed")))


def found(data: ReportData) -> list[tuple[str, str]]:
    days = tuple(Day(data, strategy) for strategy in data.strategies)
    return [(finding.severity, finding.what) for finding in findings(data, days)]


def refused(n: int) -> Callable[[StrategyReport], dict[str, Any]]:
    return lambda s: {
        "decisions": pl.concat(
            [s.decisions.head(1).with_columns(status=pl.lit("rejected"), reason_code=pl.lit("GAP"))] * n
            + [s.decisions.head(1)] * 10
        )
    }


CASES = [
    pytest.param(lambda s: {}, set(), id="a quiet day"),
    pytest.param(
        lambda s: {"ticks": s.ticks.with_columns(kill_switch=pl.lit("halt_all"))},
        {("error", "Kill switch was halt_all")}, id="kill switch",
    ),
    pytest.param(
        lambda s: {"ticks": s.ticks.with_columns(status=pl.lit("settled_only"), reason=pl.lit("old"))},
        {("warning", "24 ticks settled only")}, id="settled only",
    ),
    pytest.param(lambda s: {"equity": s.equity.head(-1)}, {("error", "1 tick missing")}, id="stalled"),
    pytest.param(
        lambda s: {"equity": s.equity.head(-2), "no_data_reason": "disabled at 22:00"},
        {("error", "2 ticks missing")}, id="missing for a stated reason",
    ),
    pytest.param(
        lambda s: {
            "fills": s.fills.filter((pl.col("leg") == "stop") & pl.col("symbol").str.starts_with("SOL")).with_columns(
                leg=pl.lit("liquidation")
            )
        },
        {("error", "SOL/USDT:USDT was liquidated")}, id="liquidation",
    ),
    pytest.param(
        lambda s: {"fills": s.fills.head(1).with_columns(status=pl.lit("expired"), qty=pl.lit(Decimal(0)))},
        {("warning", "1 order not filled")}, id="expired entry",
    ),
    pytest.param(
        lambda s: {"positions": s.positions.with_columns(stale=pl.lit(True))},
        {("warning", "Open positions valued at an older close")}, id="stale mark",
    ),
    pytest.param(refused(10), {("warning", "10 of 20 decisions were refused")}, id="half of many refused"),
    pytest.param(refused(9), set(), id="nine refusals are no spike"),
]  # fmt: skip


@pytest.mark.parametrize(("frames", "expected"), CASES)
def test_rules(
    full_day: ReportData,
    change: Callable[..., ReportData],
    frames: Callable[[StrategyReport], dict[str, Any]],
    expected: set[tuple[str, str]],
) -> None:
    day = quiet(full_day)
    assert set(found(change(day, **frames(day.strategies[0])))) == expected


def test_errors_stand_before_warnings_and_failed_checks_are_both(full_day: ReportData) -> None:
    severities = [severity for severity, _ in found(full_day)]
    assert severities == sorted(severities)
    assert ("error", "Check books_agree failed") in found(full_day)
    assert ("warning", "Check no_gaps failed") in found(full_day)


def test_ticks_not_yet_due_are_not_missed(full_day: ReportData, change: Callable[..., ReportData]) -> None:
    day = quiet(full_day)
    first = day.strategies[0]
    noon = day.start.replace(hour=12)
    cut = {name: getattr(first, name).filter(pl.col("tick_at") <= noon) for name in ("equity", "ticks")}
    assert ("error", "12 ticks missing") in found(change(day, **cut))
    assert found(dataclasses.replace(change(day, **cut), as_of=noon)) == []


def test_ticks_before_inception_or_of_a_disabled_strategy_are_not_missed(
    full_day: ReportData, change: Callable[..., ReportData]
) -> None:
    day = quiet(full_day)
    nothing = {"equity": pl.DataFrame(), "ticks": pl.DataFrame(), "no_data_reason": "it starts on 2025-05-13"}
    assert ("error", "24 ticks missing") in found(change(day, **nothing))
    assert ("error", "6 ticks missing") in found(change(day, **nothing, starts_at=day.start.replace(hour=18)))
    assert found(change(day, **nothing, starts_at=day.end)) == []
    assert found(change(day, **nothing, enabled=False)) == []
