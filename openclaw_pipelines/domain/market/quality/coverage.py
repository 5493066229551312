"""Data-quality rules that look for what ought to be there: every configured symbol, up to now."""

from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.schema import PolarsSchema
from openclaw_pipelines.contracts.time import DAY, interval_length
from openclaw_pipelines.domain.market.quality.window import SERIES, Fact, Finding, Severity, Window, said


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
    expected: datetime | None = window.expected_end(interval)
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
    """Configured symbols without a single bar."""
    rows = [_present(window, symbol, interval) for interval in window.intervals for symbol in window.symbols]
    table = pl.DataFrame(
        rows,
        schema={"symbol": pl.String, "interval": pl.String, "bars": pl.Int64, "expected_bars": pl.Int64},
        orient="row",
    )
    expected = table.filter(pl.col("expected_bars") > 0)
    cases = expected.filter(pl.col("bars") == 0)
    unexplained = cases if window.refused is None else cases.join(_series(window.refused), on=SERIES, how="anti")
    others = expected.height > cases.height and unexplained.height > 0
    facts: dict[str, Fact] = {"series": expected.height, "series_without_bars": cases.height}
    for row in expected.iter_rows(named=True):
        share = round(row["bars"] / row["expected_bars"] * 10_000)
        facts[f"coverage_bps {row['symbol']} {row['interval']}"] = share
    why = "though the source has others; check the name" if others else "and neither has any other; is the source there"
    if cases.height and unexplained.is_empty():
        why = "since what the source answered was refused, see refused_answers"
    return Finding(
        cases,
        said(cases.height, f"of {expected.height} series have no bar at all, {why}", "Every symbol has bars."),
        facts,
        "error" if others else "warning",
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


def _present(window: Window, symbol: str, interval: str) -> dict[str, object]:
    start, end = window.expected_start(symbol, interval), window.expected_end(interval)
    inside = (
        (pl.col("symbol") == symbol) & (pl.col("interval") == interval) & pl.col("ts").is_between(start, end, "left")
    )
    bars = window.candles.filter(inside).get_column("ts").n_unique() if end > start else 0
    expected = max(0, (end - start) // interval_length(interval))
    return {"symbol": symbol, "interval": interval, "bars": bars, "expected_bars": expected}
