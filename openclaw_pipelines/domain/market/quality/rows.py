"""Data-quality rules that look at single rows: columns, keys, the grid, prices and revisions."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from pandera.errors import SchemaErrors

from openclaw_pipelines.contracts.tables.market import Candles
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.market.quality.window import BAR, SERIES, Fact, Finding, Window, said
from openclaw_pipelines.kernel.base import money

_OHLC_CHECKS = {"high_is_highest", "low_is_lowest"}


def schema(window: Window) -> Finding:
    """Columns, types and ranges of the table; the order of the four prices belongs to `ohlc`."""
    try:
        Candles.validate(window.candles, lazy=True)
    except SchemaErrors as error:
        found = error.failure_cases.select(pl.col("column", "check", "failure_case").cast(pl.String), "index")
        # order of the four prices has a check of its own, which names the bars
        cases = found.filter(~pl.col("check").is_in(_OHLC_CHECKS).fill_null(value=False))
    else:
        cases = pl.DataFrame()
    if cases.is_empty():
        return Finding(cases, f"{window.candles.height:,} rows have the columns, types and ranges of the table.")
    rules = sorted({_rule(row) for row in cases.iter_rows(named=True)})
    return Finding(cases, f"{cases.height:,} value(s) break the table's rules: {'; '.join(rules)}. Mend the source.")


def _rule(case: dict[str, Any]) -> str:
    """A broken rule; for an absent or unknown column pandera names the table and puts the column's name in the case."""
    column = case["failure_case"] if "column_in" in case["check"] else case["column"]
    return f"{column}: {case['check']}"


def duplicates(window: Window) -> Finding:
    """Bars stored more than once, and whether their values differ."""
    key = ["source", *SERIES, "ts"]
    cases = window.candles.group_by(key).agg(
        pl.len().alias("rows"),
        (pl.struct("open", "high", "low", "close", "volume").n_unique() > 1).alias("rows_differ"),
    )
    cases = cases.filter(pl.col("rows") > 1).sort(key)
    facts: dict[str, Fact] = {
        "duplicate_keys": cases.height,
        "differing_keys": int(cases.get_column("rows_differ").sum()),
    }
    return Finding(
        cases,
        said(cases.height, "bar(s) are stored more than once; keep the first row of each", "Each bar once."),
        facts,
    )


def off_grid(window: Window) -> Finding:
    """Bars that do not open on a multiple of their interval, or whose interval nobody configured."""
    lengths = {interval: interval_length(interval) for interval in window.intervals}
    length_us = pl.col("interval").replace_strict(
        {name: length // timedelta(microseconds=1) for name, length in lengths.items()},
        default=None,
        return_dtype=pl.Int64,
    )
    off = (pl.col("ts").dt.epoch("us") % length_us).alias("off_by_us")
    cases = window.candles.select(*BAR, off).filter(pl.col("off_by_us").fill_null(1) != 0).sort(*SERIES, "ts")
    sentence = said(
        cases.height,
        "bar(s) do not open on a multiple of their interval, or have an interval nobody configured",
        "All on the grid.",
    )
    return Finding(cases, sentence, {"off_grid_bars": cases.height})


def unclosed(window: Window) -> Finding:
    """Bars stored before they had closed at `as_of`."""
    closes = [
        window.candles.filter(
            (pl.col("interval") == interval) & (pl.col("ts") > window.as_of - interval_length(interval))
        )
        for interval in window.intervals
    ]
    cases = pl.concat(closes).select(BAR).sort(*SERIES, "ts") if closes else pl.DataFrame()
    return Finding(
        cases,
        said(cases.height, "bar(s) were stored before they had closed; remove them", "Every bar is closed."),
        {"unclosed_bars": cases.height},
    )


def ohlc(window: Window) -> Finding:
    """Bars that contradict themselves."""
    prices = ["open", "high", "low", "close"]
    rules = {
        "price or volume is not a number": ~pl.all_horizontal(pl.col(*prices, "volume").is_finite()),
        "price is not positive": pl.any_horizontal(pl.col(*prices) <= 0),
        "volume is negative": pl.col("volume") < 0,
        "high is not the highest": pl.col("high") < pl.max_horizontal(prices),
        "low is not the lowest": pl.col("low") > pl.min_horizontal(prices),
    }
    broken = pl.concat_list(pl.when(rule).then(pl.lit(name)) for name, rule in rules.items()).list.drop_nulls()
    cases = window.candles.select(*BAR, broken.list.join("; ").alias("broken")).filter(pl.col("broken") != "")
    return Finding(
        cases.sort(*SERIES, "ts"),
        said(cases.height, "bar(s) contradict themselves; fetch them again or drop the source", "Prices are ordered."),
        {"broken_bars": cases.height},
    )


def off_unit(window: Window) -> Finding:
    """Bars with a price between two steps of their instrument, which no tick can take as exact money."""
    found = [
        part.filter(_off_unit(part, window.price_units[str(symbol)])).select(
            *BAR, pl.lit(f"{window.price_units[str(symbol)].normalize():f}").alias("price_unit")
        )
        for (symbol,), part in window.candles.group_by("symbol", maintain_order=True)
        if symbol in window.price_units
    ]
    cases = pl.concat(found).sort(*SERIES, "ts") if found else pl.DataFrame()
    sentence = said(
        cases.height,
        "bar(s) have a price that is no multiple of the instrument's price unit; correct the bars, or give the "
        "instrument a finer unit",
        "All prices on their unit.",
    )
    return Finding(cases, sentence, {"off_unit_bars": cases.height})


def _off_unit(bars: pl.DataFrame, unit: Decimal) -> pl.Series:
    """Rows with a finite, positive price off the unit; prices that are none of both belong to `ohlc`."""
    wrong = np.zeros(bars.height, dtype=bool)
    for name in ("open", "high", "low", "close"):
        prices = bars[name].to_numpy()
        ordinary = np.isfinite(prices) & (prices > 0)
        wrong |= ordinary & ~money.nearest_units(np.where(ordinary, prices, 0.0), unit)[1]
    return pl.Series(wrong)


def revisions(window: Window) -> Finding:
    """Later, different values of stored bars, beside what is stored."""
    if window.revisions is None or window.revisions.is_empty():
        return Finding(pl.DataFrame(), "No stored bar was contradicted later.", {"revised_rows": 0})
    rows = window.revisions.filter((pl.col("ts") >= window.start) & (pl.col("ts") < window.end))
    key = ["source", *SERIES, "ts"]
    stored = window.candles.select(*key, pl.col("close", "volume").name.prefix("stored_"))
    cases = (
        rows.join(stored, on=key, how="left")
        .with_columns(((pl.col("close") / pl.col("stored_close") - 1) * 10_000).round(2).alias("close_change_bps"))
        .select(*key, "seen_at", "stored_close", "close", "close_change_bps", "stored_volume", "volume")
        .sort(*SERIES, "ts", "seen_at")
    )
    sentence = said(
        cases.height,
        "later, different value(s) of stored bars; the first stays, decisions do not change. "
        "Ask the source which is right",
        "No stored bar was contradicted later.",
    )
    return Finding(cases, sentence, {"revised_rows": cases.height})
