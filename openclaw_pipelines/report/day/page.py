"""The daily report: one HTML file that asks the network for nothing and reads well without having built the product.

Exceptions come first. Everything that comes from data is escaped by the template. Tables are in `report.day.tables`,
plots in `report.day.plots`, what counts as an exception in `report.day.findings`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.trading import DecisionStatus
from openclaw_pipelines.report.day import plots, tables
from openclaw_pipelines.report.day.data import Day, ReportData
from openclaw_pipelines.report.day.findings import findings
from openclaw_pipelines.report.page import text
from openclaw_pipelines.report.page.plots import bars_height
from openclaw_pipelines.report.page.tables import Column, Table
from openclaw_pipelines.report.page.template import Figure, figure, rendered
from openclaw_pipelines.report.page.text import Cell

MAX_PRICE_PLOTS = 12


@dataclass(frozen=True)
class Section:
    """One strategy's part of the page."""

    anchor: str
    name: str
    line: str
    empty: str | None
    figures: tuple[tuple[str, Cell], ...]
    plots: tuple[Figure, ...]
    tables: tuple[tuple[str, Table], ...]


def render_daily_report(data: ReportData) -> str:
    """The page of `data.day` as one self-contained HTML document; equal data gives equal bytes."""
    days = tuple(Day(data, strategy) for strategy in data.strategies)
    return rendered(
        "daily.html.j2",
        data,
        findings(data, days),
        as_of=text.stamp(data.as_of).text,
        overview=_overview(days),
        sections=[_section(place, day) for place, day in enumerate(days, start=1)],
        changes=tables.changes_table(data),
        checks=tables.checks_table(data),
        glossary=tables.glossary_table(data, days),
    )


def _section(place: int, day: Day) -> Section:
    anchor = f"strategy-{place}"
    line = f"{day.strategy.interval} bars, {day.equity.height} of {day.expected_ticks} due ticks recorded"
    if day.is_empty:
        why = day.strategy.no_data_reason or "no tick of this day has been recorded; materialize its partition first."
        return Section(
            anchor, day.strategy.name, line, f"There is nothing to show for {day.data.day}: {why}", (), (), ()
        )
    return Section(
        anchor,
        day.strategy.name,
        line,
        None,
        tuple(_figures(day).items()),
        tuple(_plots(anchor, day)),
        (
            ("trades", tables.trades_table(day)),
            ("positions", tables.positions_table(day)),
            ("decisions", tables.decisions_table(day)),
            ("outcomes", tables.outcomes_table(day)),
            ("metrics", tables.metrics_table(day)),
            ("scopes", tables.scopes_table(day)),
        ),
    )


def _overview(days: Sequence[Day]) -> Table:
    """One row per figure, one column per strategy."""
    shown = [day for day in days if not day.is_empty]
    columns = [_figures(day) for day in shown]
    rows = tuple((Cell(name), *(column[name] for column in columns)) for name in (columns[0] if columns else ()))
    heads = (Column(""), *(Column(day.strategy.name, numeric=True) for day in shown))
    return Table("The day in numbers", heads, rows, "No strategy has anything recorded for this day.")


def _figures(day: Day) -> dict[str, Cell]:
    metric = _metric_cells(day)
    fees, slippage = _cost_totals(day)
    return {
        "Equity at the start": text.money(_opening(day)),
        "Equity at the end": text.money(None if day.equity.is_empty() else day.equity["equity"][-1]),
        "Return": metric("return"),
        "PnL": metric("pnl"),
        "Buy and hold, equal weights": metric("buy_and_hold_return"),
        "Return above buy and hold": metric("excess_return"),
        "Fees": text.money(fees),
        "Slippage cost": text.money(slippage),
        "Funding received": metric("funding_received"),
        "Max drawdown": metric("max_drawdown"),
        "Decisions": text.count(day.decisions.height),
        "Approved": text.count(_with_status(day, DecisionStatus.APPROVED)),
        "Rejected": text.count(_with_status(day, DecisionStatus.REJECTED)),
        "Fills": text.count(day.filled.height),
        "Trades closed": text.count(len(tables.trades_table(day).rows)),
        "Open positions": text.count(day.open_positions.height),
    }


def _metric_cells(day: Day) -> Any:
    rows = tables.metric_rows(day)

    def cell(name: str) -> Cell:
        row = rows.get(("day", name))
        if row is None or row["value"] is None:
            return Cell("not computed" if row is None else f"undefined: {row['reason']}", "muted")
        signed = text.money if row["unit"] == "quote" else text.percent
        return signed(row["value"], signed=True)

    return cell


def _opening(day: Day) -> Decimal | None:
    if day.equity.is_empty():
        return None
    before = day.strategy.equity.filter(pl.col("tick_at") <= day.data.start).sort("tick_at")["equity"]
    opening: Decimal = before[-1] if before.len() else day.equity["day_open_equity"][0]
    return opening


def _cost_totals(day: Day) -> tuple[Decimal, Decimal]:
    costs = tables.costs_by_symbol(day.filled)
    return sum((row[1] for row in costs), Decimal(0)), sum((row[2] for row in costs), Decimal(0))


def _with_status(day: Day, status: DecisionStatus) -> int:
    return 0 if day.decisions.is_empty() else day.decisions.filter(pl.col("status") == status).height


def _plots(anchor: str, day: Day) -> Iterator[Figure]:
    yield from _equity_plots(anchor, day)
    yield from _price_plots(anchor, day)
    counts = plots.reject_counts(day.decisions)
    if counts:
        caption = f"{sum(n for _, n in counts)} refused decisions by the first check that failed."
        yield figure(
            f"{anchor}-rejects", "Why decisions were refused", caption, plots.rejects_plot(day.decisions),
            bars_height(len(counts)),
        )  # fmt: skip
    cells = plots.outcome_cells(day.outcomes)
    if cells:
        rows = len({symbol for symbol, _ in cells})
        caption = (
            "Mean return in the direction of the decision, accepted and refused alike, before costs; n decisions. "
            "Blue is a gain, red a loss."
        )
        draw = plots.outcomes_plot(day.outcomes)
        yield figure(f"{anchor}-outcomes", "Outcome by horizon and symbol", caption, draw, bars_height(rows, 0.5))
    yield from _cost_plot(anchor, day)


def _equity_plots(anchor: str, day: Day) -> Iterator[Figure]:
    history = day.strategy.equity
    history = history if history.is_empty() else history.filter(pl.col("tick_at") <= day.data.end).sort("tick_at")
    if day.equity.height:
        caption = "Marked to market after each tick, fees and funding in; below, the fall from the day's peak."
        draw = plots.equity_plot(history.filter(pl.col("tick_at") >= day.data.start))
        yield figure(f"{anchor}-equity", "Equity and drawdown of the day", caption, draw, 3.4)
    if history.height > day.equity.height + 1:
        caption = f"From {history['tick_at'][0]:%Y-%m-%d} on; below, the fall from the highest equity before."
        yield figure(f"{anchor}-history", "Equity and drawdown to date", caption, plots.equity_plot(history), 3.0)


def _price_plots(anchor: str, day: Day) -> Iterator[Figure]:
    symbols = [] if day.filled.is_empty() else sorted(day.filled["symbol"].unique().to_list())
    for place, symbol in enumerate(symbols[:MAX_PRICE_PLOTS], start=1):
        fills = day.filled.filter(pl.col("symbol") == symbol)
        caption = f"{fills.height} fill{'' if fills.height == 1 else 's'} at the price paid, on the close."
        draw = plots.price_plot(_closes(day.data, symbol), fills)
        yield figure(f"{anchor}-price-{place}", f"Trades on {symbol}", caption, draw, 2.5)


def _closes(data: ReportData, symbol: str) -> pl.DataFrame:
    if data.candles.is_empty():
        return data.candles
    here = (pl.col("symbol") == symbol) & (pl.col("closed_at") >= data.start) & (pl.col("closed_at") <= data.end)
    return data.candles.filter(here)


def _cost_plot(anchor: str, day: Day) -> Iterator[Figure]:
    costs = tables.costs_by_symbol(day.filled)
    if costs:
        fees, slippage = _cost_totals(day)
        caption = f"Fees {text.money(fees).text} and slippage {text.money(slippage).text} in quote currency."
        yield figure(
            f"{anchor}-costs", "What trading cost", caption, plots.costs_plot(costs), bars_height(len(costs), 0.5)
        )
