"""Cells of the report's tables against values written by hand."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest

from openclaw_pipelines.report.day import tables
from openclaw_pipelines.report.day.data import Day, ReportData
from openclaw_pipelines.report.page import text


@pytest.fixture(scope="module")
def day(full_day: ReportData) -> Day:
    return Day(full_day, full_day.strategies[0])


def cells(row: tuple[text.Cell, ...]) -> list[str]:
    return [cell.text.replace("\u00a0", " ").replace("\u2212", "-") for cell in row]


def test_trade_row(day: Day) -> None:
    # sold 0.019 at 104,015.47 less 2 bps, bought back 2 bps above 103,179.54; fees 5 bps of each notional
    assert cells(tables.trades_table(day).rows[0]) == [
        "BTC/USDT:USDT", "Short", "05-12 00:15", "05-12 01:00", "45 min", "0.019", "103,994.67", "103,200.18",
        "+15.49", "1.97", "0.00", "+13.52", "+0.68 %", "trailing stop hit",
    ]  # fmt: skip


def test_a_trade_closed_on_another_day_is_not_listed(
    day: Day, full_day: ReportData, change: Callable[..., ReportData]
) -> None:
    later = timedelta(days=1)
    moved = day.strategy.fills.with_columns(tick_at=pl.col("tick_at") + later, bar_at=pl.col("bar_at") + later)
    other = change(full_day, fills=moved)
    assert tables.trades_table(Day(other, other.strategies[0])).rows == ()


def test_trades_bear_their_funding(day: Day, full_day: ReportData, change: Callable[..., ReportData]) -> None:
    entries = day.strategy.fills.filter(pl.col("leg") == "entry").sort("bar_at")
    paid = {"entry_decision_key": [entries["decision_key"][0]], "amount": [Decimal("-0.5")]}
    types = {"entry_decision_key": pl.String, "amount": pl.Decimal(38, 18)}
    other = change(full_day, funding=pl.DataFrame(paid, schema=types))
    row = cells(tables.trades_table(Day(other, other.strategies[0])).rows[0])
    assert row[8:12] == ["+15.49", "1.97", "-0.50", "+13.02"]


def test_a_name_as_reason_is_written_as_words(
    day: Day, full_day: ReportData, change: Callable[..., ReportData]
) -> None:
    other = change(full_day, fills=day.strategy.fills.with_columns(reason=pl.lit("trailing_stop")))
    assert tables.trades_table(Day(other, other.strategies[0])).rows[0][-1].text == "Trailing stop"


def test_decision_row(day: Day) -> None:
    refused = tables.decisions_table(day).rows[1]
    assert cells(refused) == [
        "01:00", "ETH/USDT:USDT", "Enter (buy)", "Rejected",
        "MAX_LEVERAGE refused ETH/USDT:USDT: asked for 2,000.00 USDT of exposure",
        "0.792", "0", "2,526.74", "0.81", "close broke the 20-bar channel with ADX at 27",
    ]  # fmt: skip
    assert refused[3].tone == "loss"


def test_outcome_rows_have_one_column_per_horizon_and_a_note_only_where_needed(
    day: Day, full_day: ReportData, change: Callable[..., ReportData]
) -> None:
    table = tables.outcomes_table(day)
    heads = [column.title.replace("\u00a0", " ") for column in table.columns]
    assert heads == [
        "Time", "Symbol", "Verdict", "After 5 min (bps)", "After 15 min (bps)", "After 1 h (bps)", "PnL at the longest",
    ]  # fmt: skip
    assert len(table.rows) == 20
    gone = day.strategy.outcomes.with_columns(
        return_signed=pl.lit(None, pl.Float64),
        pnl_quote_est=pl.lit(None, pl.Decimal(38, 18)),
        reason=pl.lit("no candle"),
    )
    other = change(full_day, outcomes=gone)
    row = tables.outcomes_table(Day(other, other.strategies[0])).rows[0]
    assert cells(row)[3:] == ["\u2013", "\u2013", "\u2013", "\u2013", "no candle"]


def test_small_samples_are_marked_and_undefined_values_say_why(day: Day) -> None:
    rows = {row[0].text: cells(row)[1:] for row in tables.metrics_table(day).rows}
    assert rows["Fills"][:2] == ["10", "10, small"]
    assert rows["Decisions"][:2] == ["20", "20"]
    assert rows["Sharpe"][:2] == ["", ""]
    assert rows["Sharpe"][3] == "2, small"
    assert text.metric("calmar", None, "ratio", "there was no drawdown").text == "undefined: there was no drawdown"


def test_metrics_by_scope_put_horizons_first(day: Day) -> None:
    scopes = [row[0].text.replace("\u00a0", " ") for row in tables.scopes_table(day).rows]
    assert scopes == ["After 5 min", "After 15 min", "After 1 h", "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]


def test_scopes_without_outcomes_have_a_dash(day: Day, full_day: ReportData, change: Callable[..., ReportData]) -> None:
    only_held = day.strategy.metrics.with_columns(value=pl.lit(None, pl.Float64), reason=pl.lit("no scored outcomes"))
    other = change(full_day, metrics=only_held)
    row = tables.scopes_table(Day(other, other.strategies[0])).rows[0]
    assert {cell.text for cell in row[2:]} == {"\u2013"}


def test_stale_positions_say_so(day: Day, full_day: ReportData, change: Callable[..., ReportData]) -> None:
    assert tables.positions_table(day).rows[0][4].text == "2,513.25"
    other = change(full_day, positions=day.strategy.positions.with_columns(stale=pl.lit(True)))
    assert tables.positions_table(Day(other, other.strategies[0])).rows[0][4] == text.Cell("2,513.25 (stale)", "warn")


def test_positions_of_earlier_ticks_are_not_open_ones(
    day: Day, full_day: ReportData, change: Callable[..., ReportData]
) -> None:
    earlier = day.strategy.positions.with_columns(tick_at=pl.col("tick_at") - timedelta(hours=1))
    other = change(full_day, positions=earlier)
    assert tables.positions_table(Day(other, other.strategies[0])).rows == ()


def test_costs_are_signed_and_targets_have_no_slippage() -> None:
    base = {"symbol": "B", "qty": Decimal(2), "fee": Decimal("0.1"), "slippage_bps": 1.0}
    rows = [
        {**base, "side": "buy", "price": Decimal(101), "intended_price": Decimal(100)},
        {**base, "side": "sell", "price": Decimal("100.5"), "intended_price": Decimal(100)},
        {**base, "side": "sell", "price": Decimal(90), "intended_price": Decimal(100), "slippage_bps": None},
    ]
    assert tables.costs_by_symbol(pl.DataFrame(rows)) == [("B", Decimal("0.3"), Decimal(1))]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(text.money(Decimal("-0.006"), signed=True), ("-0.01", "loss"), id="loss"),
        pytest.param(text.money(Decimal("-0.004"), signed=True), ("0.00", ""), id="rounds to nothing"),
        pytest.param(text.money(None), ("\u2013", "muted"), id="no value"),
        pytest.param(text.exact(Decimal("0.000000012300")), ("0.0000000123", ""), id="small price"),
        pytest.param(text.exact(Decimal(1200)), ("1,200", ""), id="zeros before the point stay"),
        pytest.param(text.metric("leverage_max", 1.5, "ratio", None), ("1.50", ""), id="ratio that is no share"),
        pytest.param(text.metric("win_rate", 0.5, "ratio", None), ("50.00 %", ""), id="share"),
        pytest.param(text.metric("slippage_bps_mean", -1.25, "bps", None), ("-1.2 bps", ""), id="bps"),
        pytest.param(text.metric("average_holding_seconds", 5400.0, "seconds", None), ("1 h 30 min", ""), id="time"),
    ],
)
def test_numbers(found: text.Cell, expected: tuple[str, str]) -> None:
    assert (cells((found,))[0], found.tone) == expected
