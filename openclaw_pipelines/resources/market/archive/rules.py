"""Rules that the rows of an archive file must keep. Holes are no error: the data-quality checks list them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

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


def merged(parts: list[tuple[str, pl.DataFrame]], prefer: Sequence[str] = ()) -> pl.DataFrame:
    """One ascending frame of the rows of several files; where they overlap they must agree and the first file's stay.

    prefer: patterns of file names; where files overlap, those that an earlier one fits win and the others give way.
    Values agree within 1e-9 of their size: tools that resample or convert leave 1.0789600000000001 for 1.07896.
    """
    if len(parts) == 1:
        return parts[0][1]
    ranked = [rows.with_columns(file=pl.lit(file), rank=pl.lit(rank(file, prefer))) for file, rows in parts]
    tagged = pl.concat(ranked).sort("ts", "rank", maintain_order=True)
    first = tagged.filter(pl.col("rank") == pl.col("rank").min().over("ts")).drop("rank")
    differing = first.filter(pl.any_horizontal(_apart(first)))
    if differing.height:
        names = differing["file"][:2].to_list()
        both = differing.filter(pl.col("file").is_in(names))["ts"]
        times = both.filter(both.is_duplicated()).unique().sort()
        raise ConflictingFilesError(names[0], names[1], len(times), times[0], times[-1])
    return first.unique(subset="ts", keep="first", maintain_order=True).drop("file")


def rank(file: str, prefer: Sequence[str]) -> int:
    """Place of the first pattern that a file name fits; after all of them where none does.

    >>> daily = "*-????-??-??.*"
    >>> rank("BTCUSDT-1h-2025-05-02.csv", [daily]), rank("BTCUSDT-1h-2025-05.csv", [daily])
    (0, 1)
    """
    return next((place for place, pattern in enumerate(prefer) if fnmatchcase(file, pattern)), len(prefer))


def without_open_bar(bars: pl.DataFrame, interval: str, written_at: datetime) -> tuple[pl.DataFrame, datetime | None]:
    """Bars without the newest one if it was still open when the file was written, and that bar's time.

    A newest bar that opens after the writing says that the stated time of writing is none, and is left to the checks.
    """
    newest: datetime = bars["ts"][-1]
    if newest <= written_at < newest + interval_length(interval):
        return bars.head(-1), newest
    return bars, None


def _apart(rows: pl.DataFrame) -> list[pl.Expr]:
    """Whether rows of one time differ, per column of numbers."""
    numbers = [column for column, dtype in rows.schema.items() if dtype == pl.Float64]
    return [
        pl.col(name).max().over("ts") - pl.col(name).min().over("ts")
        > _AGREE_WITHIN * pl.col(name).abs().max().over("ts")
        for name in numbers
    ]
