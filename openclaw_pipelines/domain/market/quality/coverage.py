"""Data-quality rules that look for what ought to be there: every configured symbol, up to now."""

from datetime import datetime
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.schema import PolarsSchema
from openclaw_pipelines.contracts.time import DAY, interval_length
from openclaw_pipelines.domain.market.quality.window import (
    SERIES,
    Fact,
    Finding,
    Severity,
    Window,
    expected_spans,
    said,
)


def freshness(window: Window) -> Finding:
    """Series that end too early."""
    rows = [_age(window, symbol, interval) for interval in window.intervals for symbol in window.symbols]
    ages = pl.DataFrame(rows, schema=_AGE, orient="row")
    expected = ages.filter(pl.col("expected_close").is_not_null())
    cases = expected.filter(pl.col("lag_seconds").is_null() | (pl.col("lag_seconds") > pl.col("allowed_seconds")))
    # a day long past may honestly end in a hole; a live source of which nothing is fresh has stopped
    live = window.as_of < window.end + DAY
    severity: Severity = "error" if live and cases.height and cases.height == expected.height else "warning"
    lags = [int(lag) for lag in expected.get_column("lag_seconds").drop_nulls()]
    facts: dict[str, Fact] = {"late_series": cases.height, "series": expected.height}
    if lags:
        facts["largest_lag_seconds"] = max(lags)
    return Finding(
        cases,
        said(cases.height, f"of {expected.height} series end too early; refresh the market data", "All up to date."),
        facts,
        severity,
    )


_AGE: PolarsSchema = {
    "symbol": pl.String,
    "interval": pl.String,
    "newest_close": pl.Datetime("us", "UTC"),
    "expected_close": pl.Datetime("us", "UTC"),
    "lag_seconds": pl.Int64,
    "allowed_seconds": pl.Int64,
}


def _age(window: Window, symbol: str, interval: str) -> dict[str, object]:
    length = interval_length(interval)
    expected: datetime | None = window.expected_end(symbol, interval)
    if expected is not None and window.expected_start(symbol, interval) >= expected:
        expected = None
    series = window.candles.filter((pl.col("symbol") == symbol) & (pl.col("interval") == interval))
    newest = series.select((pl.col("ts").max() + length).alias("newest")).item() if series.height else None
    lag = None if newest is None or expected is None else max(0, int((expected - newest).total_seconds()))
    allowed = max(window.quality.max_staleness_seconds, int(length.total_seconds()))
    return {
        "symbol": symbol,
        "interval": interval,
        "newest_close": newest,
        "expected_close": expected,
        "lag_seconds": lag,
        "allowed_seconds": allowed,
    }


def coverage(window: Window) -> Finding:
    """Configured symbols without a single bar.

    A series that has bars on other days has a gap or has ended, which warns and stops nobody else. One that has none
    anywhere, though others do, may be a name that nobody lists.
    """
    table = _present(window)
    elsewhere = pl.DataFrame(schema=_ELSEWHERE) if window.elsewhere is None else window.elsewhere
    expected = table.filter(pl.col("expected_bars") > 0).join(elsewhere, on=SERIES, how="left", maintain_order="left")
    cases = expected.filter(pl.col("bars") == 0)
    unexplained = cases if window.refused is None else cases.join(_series(window.refused), on=SERIES, how="anti")
    unseen = unexplained.filter(pl.col("last_before").is_null() & pl.col("first_after").is_null())
    others = expected.height > cases.height
    facts: dict[str, Fact] = {"series": expected.height, "series_without_bars": cases.height}
    for row in expected.iter_rows(named=True):
        share = round(row["bars"] / row["expected_bars"] * 10_000)
        facts[f"coverage_bps {row['symbol']} {row['interval']}"] = share
    first = next((found for found in (unseen, unexplained, cases) if found.height), cases)
    why = "" if first.is_empty() else _why_absent(first.row(0, named=True), f"{window.start:%Y-%m-%d}", others=others)
    if cases.height and unexplained.is_empty():
        why = "what the source answered was refused, see refused_answers"
    return Finding(
        cases,
        said(cases.height, f"of {expected.height} series have no bar at all: {why}", "Every symbol has bars."),
        facts,
        "error" if others and unseen.height else "warning",
    )


def refused_answers(window: Window) -> Finding:
    """Answers of the source that cannot be, of which nothing was stored."""
    if window.refused is None or window.refused.is_empty():
        return Finding(pl.DataFrame(), "No answer of the source was refused.", {"refused_series": 0})
    cases = window.refused.select("symbol", "series", "first_seen_at", "last_seen_at", "reason")
    sentence = said(
        cases.height, f"series got answers that cannot be; the first: {cases['reason'][0].removesuffix('.')}", ""
    )
    return Finding(cases, sentence, {"refused_series": cases.height})


def _series(refused: pl.DataFrame) -> pl.DataFrame:
    return refused.select("symbol", pl.col("series").alias("interval"))


_ELSEWHERE: PolarsSchema = {
    "symbol": pl.String,
    "interval": pl.String,
    "last_before": pl.Datetime("us", "UTC"),
    "first_after": pl.Datetime("us", "UTC"),
}


def _why_absent(case: dict[str, Any], day: str, *, others: bool) -> str:
    """The first of them, with what there is of it on other days and what to do."""
    series = f"{case['symbol']} {case['interval']} on {day}"
    before, after = case["last_before"], case["first_after"]
    if before is not None and after is None:
        return (
            f"{series}, whose last bar is of {before:%Y-%m-%dT%H:%MZ}. If it was delisted, give it `delisted_at` in "
            "instruments.yaml; else add the day and materialize it again"
        )
    if before is None and after is not None:
        return (
            f"{series}, whose first bar is of {after:%Y-%m-%dT%H:%MZ}. If it was listed then, give it `listed_at` in "
            "instruments.yaml; else add the day and materialize it again"
        )
    if before is not None:
        return f"{series}, which has bars before and after. Add the day and materialize it again"
    if others:
        return (
            f"{series}, which has none on any other day, though others have. Check the name; if it is listed later, "
            "give it `listed_at` in instruments.yaml"
        )
    return f"{series}, and no other either; is the source there"


def _present(window: Window) -> pl.DataFrame:
    """Bars of each expected series, and how many there may be."""
    spans = expected_spans(window, window.symbols, window.intervals)
    inside = window.candles.join(spans, on=SERIES).filter(pl.col("ts").is_between("start", "end", "left"))
    bars = inside.group_by(SERIES).agg(bars=pl.col("ts").n_unique().cast(pl.Int64))
    table = spans.join(bars, on=SERIES, how="left", maintain_order="left")
    return table.select(*SERIES, pl.col("bars").fill_null(0), "expected_bars")
