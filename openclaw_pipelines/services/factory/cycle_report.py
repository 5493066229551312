"""The report of a factory cycle: its stored rows read, its page written beside the daily reports.

It opens no cycle and asks for no contract, so that a cycle whose code, bars or configuration are others now can still
be read. What the page shows is in `report.factory.page`.
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from openclaw_pipelines.contracts.factory import Variant
from openclaw_pipelines.contracts.program import program_version
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import SweepShardRow
from openclaw_pipelines.contracts.time import DAY, interval_length
from openclaw_pipelines.domain.factory.search import SHARD_KEYS
from openclaw_pipelines.report.factory.data import CycleData
from openclaw_pipelines.resources.files import replace_file
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.research_tables import cycles, of_cycle, trials_ever
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.factory.cycle import cycle_row
from openclaw_pipelines.services.factory.gpu import gpu_sentence
from openclaw_pipelines.services.factory.sweeping import sweep_hash

_AT = pl.Datetime("us", "UTC")


def cycle_data(world: World, cycle_id: str) -> CycleData:
    """Everything that is stored of a cycle. Raises UnknownCycleError."""

    def rows(table: str, *without: str) -> pl.DataFrame:
        return of_cycle(world.store, table, cycle_id, without=without)

    row, shards = cycle_row(world, cycle_id), rows("sweep_shards")
    data = CycleData(
        cycle=row,
        shards=shards,
        trials=rows("trial_counts"),
        sweep=rows("sweep_results", "day_equity", "symbols"),
        shortlist=rows("shortlist"),
        replays=rows("replays", "trade_log"),
        parity=rows("parity_reports"),
        gpu=gpu_sentence(world, cycle_id),
        gates=rows("gate_results"),
        looks=_looks(world, cycle_id),
        deployments=rows("deployments"),
        hold=pl.DataFrame(),
        trials_ever=trials_ever(world.store, cycle_id),
        sweep_hash=sweep_hash(cycle_id, rows_as(SweepShardRow, shards)) if shards.height else None,
        shards_expected=len(SHARD_KEYS),
        generated_at=world.clock.now(),
        version=program_version(),
    )
    return replace(data, hold=held(world, data))


def held(world: World, data: CycleData) -> pl.DataFrame:
    """Value of equal parts of every symbol at day ends, per window, as a multiple of what they cost at its start.

    A symbol without a candle at the window's start is left out; one without a candle at a day's end keeps its last.
    """
    symbols, source = data.contract["symbols"], data.contract["source"]
    parts = []
    for window in (Variant.TRAIN, Variant.HOLDOUT):
        start, end = data.window(window)
        candles = market_tables.candles(world.store, source, symbols, data.cycle["interval"], start, end)
        parts.append(_held(candles, window.value, start, interval_length(data.cycle["interval"])))
    return pl.concat(parts)


def write_cycle_report(world: World, cycle_id: str) -> Path:
    """Render a cycle's report into the data folder; returns its path. Raises UnknownCycleError."""
    from openclaw_pipelines.report.factory.page import render_cycle_report

    path = cycle_report_path(world, cycle_id)
    return replace_file(path, render_cycle_report(cycle_data(world, cycle_id)))


def cycle_report_path(world: World, cycle_id: str) -> Path:
    """Where a cycle's report is; a recipe may have any name, a file may not."""
    return world.settings().data_dir / "reports" / f"{re.sub(r'[^A-Za-z0-9_.-]', '-', cycle_id).lstrip('.')}.html"


def newest_cycle(world: World) -> str | None:
    """The cycle that moved last; None where none is stored."""
    found = cycles(world.store).sort("updated_at", "cycle_id", descending=[True, False])["cycle_id"]
    return found[0] if found.len() else None


def _looks(world: World, cycle_id: str) -> pl.DataFrame:
    """Every look at days of the cycle's holdout, by whichever cycle."""
    sql = (
        "SELECT l.* FROM holdout_looks l JOIN factory_cycles c ON c.cycle_id = ? "
        "WHERE l.window_start < c.holdout_end AND c.holdout_start < l.window_end ORDER BY l.recorded_at, l.look_key"
    )
    return world.store.query("research", sql, [cycle_id])


def _held(candles: pl.DataFrame, window: str, start: datetime, length: timedelta) -> pl.DataFrame:
    first = candles.filter(pl.col("ts") == start).select("symbol", cost="open")
    if first.is_empty():
        return pl.DataFrame(schema={"window": pl.String, "at": _AT, "value": pl.Float64})
    closes = (
        candles.with_columns(at=(pl.col("ts") + length - pl.duration(microseconds=1)).dt.truncate("1d") + DAY)
        .sort("ts")
        .group_by("symbol", "at")
        .agg(pl.col("close").last())
    )
    wide = closes.join(first, on="symbol").with_columns(part=(pl.col("close") / pl.col("cost")).cast(pl.Float64))
    return (
        wide.pivot(on="symbol", index="at", values="part").sort("at").fill_null(strategy="forward")
        .select("at", value=pl.mean_horizontal(pl.exclude("at")))
        .select(window=pl.lit(window), at=pl.col("at").cast(_AT), value="value")
    )  # fmt: skip
