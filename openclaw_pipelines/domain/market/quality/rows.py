"""Data-quality rules that look at single rows: columns, keys, the grid, prices and revisions."""

from datetime import timedelta
from typing import Any

import polars as pl
from pandera.errors import SchemaErrors

from openclaw_pipelines.contracts.tables.market import Candles
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.market.quality.bounds import BROKEN_BAR
from openclaw_pipelines.domain.market.quality.units import off_unit_words, on_unit
from openclaw_pipelines.domain.market.quality.window import BAR, SERIES, Fact, Finding, Window, said

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
    """Bars that were stored before they had closed, or have not closed at `as_of`."""
    early = pl.min_horizontal(pl.col("ingested_at"), window.as_of)
    closes = [
        window.candles.filter((pl.col("interval") == interval) & (pl.col("ts") > early - interval_length(interval)))
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
    wrong = pl.concat_list(pl.when(rule).then(pl.lit(name)) for name, rule in BROKEN_BAR.items()).list.drop_nulls()
    cases = window.candles.select(*BAR, wrong.list.join("; ").alias("broken")).filter(pl.col("broken") != "")
    return Finding(
        cases.sort(*SERIES, "ts"),
        said(
            cases.height,
            "bar(s) cannot be; they count as missing until `openclaw candles correct`",
            "Prices are ordered.",
        ),
        {"broken_bars": cases.height},
    )


def off_unit(window: Window) -> Finding:
    """Bars with a price between two steps of their instrument, which no tick can take as exact money.

    Most bars of a series are an error, which blocks nothing either: other symbols go on.
    """
    ordinary = window.candles.filter(~pl.any_horizontal(BROKEN_BAR.values()))  # the others belong to `ohlc`
    units = {symbol: f"{unit.normalize():f}" for symbol, unit in window.price_units.items()}
    cases = (
        ordinary.filter(~on_unit(ordinary, window.price_units))
        .select(*BAR, pl.col("symbol").replace_strict(units, default=None, return_dtype=pl.String).alias("price_unit"))
        .sort(*SERIES, "ts")
    )
    words = off_unit_words(cases, window.price_units) if cases.height else ""
    sentence = said(cases.height, f"bar(s) lie off their price unit; {words}", "All prices on their unit.")
    shares = cases.group_by(SERIES).len().join(window.candles.group_by(SERIES).len("stored"), on=SERIES)
    wrong_unit = shares.filter(pl.col("len") * 2 > pl.col("stored")).height > 0  # the unit is wrong, not the bars
    return Finding(cases, sentence, {"off_unit_bars": cases.height}, "error" if wrong_unit else None)


def revisions(window: Window) -> Finding:
    """Later, different values of stored bars, beside what is stored."""
    if window.revisions is None or window.revisions.is_empty():
        return Finding(pl.DataFrame(), "No stored bar was contradicted later.", {"revised_rows": 0})
    rows = window.revisions.filter((pl.col("ts") >= window.start) & (pl.col("ts") < window.end))
    key = ["source", *SERIES, "ts"]
    values = ["open", "high", "low", "close", "volume"]
    stored = window.candles.select(*key, pl.col("close", "volume").name.prefix("stored_"))
    cases = (
        rows.join(window.candles, on=[*key, *values], how="anti")  # a correction may have put a later value there
        .join(stored, on=key, how="left")
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
