"""Rules that the rows of an archive file must keep. Holes are no error: the data-quality checks list them."""

from datetime import timedelta

import polars as pl

from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.market.quality.bounds import BROKEN_BAR, BROKEN_RATE, broken, off_grid
from openclaw_pipelines.resources.market.archive.errors import (
    BrokenBarError,
    BrokenRateError,
    ConflictingFilesError,
    ConflictingRowsError,
    OffGridStampError,
    WrongIntervalError,
)

_LEAST_ROWS_TO_JUDGE_INTERVAL = 4
_AGREE_WITHIN = 1e-9


def checked_bars(rows: pl.DataFrame, file: str, interval: str) -> pl.DataFrame:
    """Bars ascending and once each, or an error naming the first offending row.

    rows: `row ts open high low close volume`, in any order. Equal duplicates are dropped.
    """
    length = interval_length(interval)
    off = off_grid(rows["ts"], interval)
    if off is not None:
        raise OffGridStampError(file, rows["row"][off], rows["ts"][off], interval)
    wrong = broken(rows, BROKEN_BAR)
    if wrong is not None:
        raise BrokenBarError(file, rows["row"][wrong.row], rows["ts"][wrong.row], wrong.what)
    bars = once_each(rows, file)
    step = bars["ts"].diff().min()
    if bars.height >= _LEAST_ROWS_TO_JUDGE_INTERVAL and isinstance(step, timedelta) and step > length:
        raise WrongIntervalError(file, interval, step)
    return bars


def checked_rates(rows: pl.DataFrame, file: str) -> pl.DataFrame:
    """Funding rates ascending and once each, or an error naming the first offending row."""
    wrong = broken(rows, BROKEN_RATE)
    if wrong is not None:
        at = rows.row(wrong.row, named=True)
        raise BrokenRateError(file, at["row"], at["ts"], at["funding_rate"], wrong.what)
    return once_each(rows, file)


def once_each(rows: pl.DataFrame, file: str) -> pl.DataFrame:
    """Rows ascending by `ts`, equal duplicates dropped; differing ones are an error. Drops `row`."""
    if rows["ts"].is_sorted() and not rows["ts"].is_duplicated().any():
        return rows.drop("row")
    values = [column for column in rows.columns if column != "row"]
    kept = rows.sort("ts", "row").unique(subset=values, keep="first", maintain_order=True)
    again = kept.filter(pl.col("ts").is_duplicated())
    if again.height:
        first, second = again.row(0, named=True), again.row(1, named=True)
        raise ConflictingRowsError(file, second["row"], second["ts"], f"row {first['row']} of the same time")
    return kept.drop("row")


def merged(parts: list[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    """One ascending frame of the rows of several files; where they overlap they must agree and the first file's stay.

    Values agree within 1e-9 of their size: tools that resample or convert leave 1.0789600000000001 for 1.07896.
    """
    if len(parts) == 1:
        return parts[0][1]
    tagged = pl.concat([rows.with_columns(file=pl.lit(file)) for file, rows in parts]).sort("ts", maintain_order=True)
    numbers = [column for column, dtype in tagged.schema.items() if dtype == pl.Float64]
    apart = [
        pl.col(name).max().over("ts") - pl.col(name).min().over("ts")
        > _AGREE_WITHIN * pl.col(name).abs().max().over("ts")
        for name in numbers
    ]
    differing = tagged.filter(pl.any_horizontal(apart))
    if differing.height:
        raise ConflictingFilesError(differing["file"][0], differing["file"][1], differing["ts"][0])
    return tagged.unique(subset="ts", keep="first", maintain_order=True).drop("file")
