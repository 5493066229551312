"""What the materialization pages of the cycle show for one day of one strategy."""

import json
from typing import Any

import dagster as dg
import polars as pl

from openclaw_pipelines.assets.metadata import markdown_table
from openclaw_pipelines.contracts.time import DAY, day_start, interval_length
from openclaw_pipelines.contracts.trading import DecisionStatus
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.trading.runner import DayReport

Metadata = dict[str, object]
SHOWN = {
    "proposals": ["tick_at", "symbol", "action", "side", "proposed_qty", "intended_price", "confidence", "state"],
    "decisions": ["tick_at", "symbol", "action", "side", "status", "reason_code", "reason"],
    "orders": ["tick_at", "symbol", "leg", "side", "qty", "intended_price", "reason"],
    "fills": ["bar_at", "symbol", "leg", "side", "status", "qty", "price", "fee", "slippage_bps", "realized_pnl"],
}


_DAY_EQUITY = (
    "SELECT arg_min(day_open_equity, tick_at) AS opened, arg_max(equity, tick_at) AS closed FROM autopilot_equity"
)


def day_metadata(
    world: World, strategy: str, day: str, report: DayReport, *, live: bool, whole: bool = True
) -> dict[str, Metadata]:  # fmt: skip
    """Metadata per asset. A live tick shows what it wrote, a day what it holds; `whole` with tables and pictures."""
    counted = {
        "ticks_taken": report.taken,
        "settled_only": report.settled_only,
        **({"waiting_for": report.waiting_for} if report.waiting_for else {}),
        **({"refused_by_executor": report.refused} if report.refused else {}),
    }
    names = ("universe_snapshots", "proposals", "decisions", "orders", "fills", "positions", "equity")
    metadata = {name: {**counted, "rows_written": report.rows.get(f"autopilot_{name}", 0)} for name in names}
    if not live:
        _count(metadata, world.ledger(strategy), day)
        if whole:
            _describe(metadata, world, strategy, day)
        else:
            for own in metadata.values():
                own["tables_and_pictures"] = "of the last day of a range; materialize this day alone for its own"
    return metadata


def _count(metadata: dict[str, Metadata], ledger: StrategyLedger, day: str) -> None:
    start, end = day_start(day), day_start(day) + DAY
    tables = {f"autopilot_{name}": name for name in (*SHOWN, "positions", "equity")}
    with ledger.reading():
        for table, rows in ledger.counts(list(tables), start, end).items():
            metadata[tables[table]]["dagster/partition_row_count"] = rows
        metadata["equity"] |= _equity(ledger.query(_DAY_EQUITY, "tick_at > ? AND tick_at <= ?", [start, end]))


def _describe(metadata: dict[str, Metadata], world: World, strategy: str, day: str) -> None:
    ledger = world.ledger(strategy)
    start = day_start(day)
    with ledger.reading():
        rows = {name: ledger.rows(f"autopilot_{name}", start, start + DAY) for name in (*SHOWN, "positions", "equity")}
        universe = ledger.universe(day)
    for name, columns in SHOWN.items():
        metadata[name]["rows"] = markdown_table(rows[name].sort("tick_at").select(columns))
    metadata["decisions"]["reject_codes"] = _codes(rows["decisions"])
    if universe is not None:
        metadata["universe_snapshots"] |= _universe(universe)
    metadata["positions"]["at_the_last_tick"] = _open_positions(rows["positions"], rows["equity"])
    if rows["equity"].height:
        metadata["equity"]["equity_and_drawdown"] = _equity_plot(rows["equity"])
    if rows["fills"].height:
        metadata["fills"]["trades_on_price"] = _price_plot(world, ledger, strategy, day, rows["fills"])


def _codes(decisions: pl.DataFrame) -> dg.MarkdownMetadataValue:
    refused = decisions.filter(pl.col("status") == DecisionStatus.REJECTED)
    counted = refused.group_by("reason_code").len("decisions")
    return markdown_table(counted.sort("decisions", "reason_code", descending=[True, False]))


def _universe(row: dict[str, Any]) -> Metadata:
    columns = ("rank", "symbol", "score", "selected", "reason")
    candidates = [{name: item.get(name) for name in columns} for item in json.loads(row["candidates"])]
    return {
        "as_of": dg.MetadataValue.timestamp(row["as_of"]),
        "selected": ", ".join(json.loads(row["selected"])) or "none",
        "picked_by": row["picked_by"],
        **({"reason": row["reason"]} if row["reason"] else {}),
        "candidates": markdown_table(pl.DataFrame(candidates, infer_schema_length=None)),
    }


def _open_positions(positions: pl.DataFrame, equity: pl.DataFrame) -> dg.MarkdownMetadataValue:
    last = equity["tick_at"].max()
    shown = ["symbol", "side", "qty", "entry_price", "mark_price", "unrealized_pnl", "stop_price", "target_price"]
    return markdown_table(positions.filter(pl.col("tick_at") == last).select(shown))


def _equity(equity: pl.DataFrame) -> Metadata:
    opened, closed = equity.row(0)
    if opened is None:
        return {}
    return {
        "equity_at_open": round(float(opened), 2),
        "equity_at_close": round(float(closed), 2),
        "day_pnl": round(float(closed - opened), 2),
    }


def _equity_plot(equity: pl.DataFrame) -> dg.MarkdownMetadataValue:
    from openclaw_pipelines.report.day.plots import equity_png
    from openclaw_pipelines.report.page.plots import png_markdown

    return dg.MetadataValue.md(png_markdown(equity_png(equity.sort("tick_at")), "Equity and drawdown"))


def _price_plot(
    world: World, ledger: StrategyLedger, strategy: str, day: str, fills: pl.DataFrame
) -> dg.MarkdownMetadataValue:
    """The symbol with the most fills of the day."""
    from openclaw_pipelines.report.day.plots import price_png
    from openclaw_pipelines.report.page.plots import png_markdown

    busiest = fills.group_by("symbol").len().sort("len", "symbol", descending=[True, False])["symbol"][0]
    interval = world.settings().strategy(strategy).own.interval
    start = day_start(day)
    candles = market_tables.candles(ledger.store, world.source, [busiest], interval, start, start + DAY)
    closes = candles.select(closed_at=pl.col("ts") + interval_length(interval), close="close")
    image = price_png(closes, fills.filter(pl.col("symbol") == busiest))
    return dg.MetadataValue.md(f"{busiest}\n\n{png_markdown(image, f'Fills of {busiest} on its closes')}")
