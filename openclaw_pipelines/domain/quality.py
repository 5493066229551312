"""Data-quality checks over the candles of a window. Each is named once, in `CHECKS`, and asset checks come from there.

A check describes and lists; it never mends. Gaps are never filled. What a single tick may trade on is decided in
`masks`; the column rules themselves are `contracts.market.Candles`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import polars as pl
from pandera.errors import SchemaErrors

from openclaw_pipelines.contracts.config import Quality
from openclaw_pipelines.contracts.market import Candles
from openclaw_pipelines.contracts.schema import TABLES
from openclaw_pipelines.contracts.time import DAY, floor_to, interval_length

Severity = Literal["error", "warning"]
Fact = int | float | str

MAX_CASES = 50
"""Rows that a result carries; `total_cases` says how many there were."""

OUTAGE_BARS = 2
"""So many flat bars in a row without volume are an outage, in a symbol that trades in nearly every bar."""

NEARLY_ALWAYS = 0.95
"""Share of bars with trades above which a symbol counts as trading in nearly every bar."""

MAD_TO_SIGMA = 1.4826
"""A normal deviation per median absolute deviation."""

_SERIES = ["symbol", "interval"]
_BAR = [*_SERIES, "ts", "open", "high", "low", "close", "volume"]
_OHLC_CHECKS = {"high_is_highest", "low_is_lowest"}
_STRUCTURE = {"column_in_dataframe", "column_in_schema"}


@dataclass(frozen=True)
class Window:
    """What the checks look at: candles of `start <= ts < end` as known at `as_of`, and what was expected of them.

    candles: rows of `contracts.market.Candles`, one source, any order.
    revisions: rows of `contracts.market.CandleRevisions`, later values of stored bars.
    listed_at: first trade of symbols, where known; a symbol is not expected before it.
    """

    candles: pl.DataFrame
    symbols: Sequence[str]
    intervals: Sequence[str]
    start: datetime
    end: datetime
    as_of: datetime
    quality: Quality = field(default_factory=Quality)
    revisions: pl.DataFrame | None = None
    listed_at: Mapping[str, datetime] = field(default_factory=dict)

    def expected_end(self, interval: str) -> datetime:
        """Close of the last bar that the window can hold: its end, or the latest close at `as_of`."""
        return min(self.end, floor_to(self.as_of, interval_length(interval)))

    def expected_start(self, symbol: str, interval: str) -> datetime:
        """Open of the first bar expected of `symbol`."""
        listed = self.listed_at.get(symbol)
        return self.start if listed is None else max(self.start, floor_to(listed, interval_length(interval)))


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    severity: of a failure; an error blocks what stands downstream, a warning does not.
    sentence: the finding as a person would say it, with what to do about it.
    facts: numbers behind it.
    cases: the rows to act on, at most `MAX_CASES` of `total_cases`.
    """

    name: str
    passed: bool
    severity: Severity
    description: str
    sentence: str
    facts: dict[str, Fact]
    cases: pl.DataFrame
    total_cases: int


@dataclass(frozen=True)
class Finding:
    """What a rule found, before it is put under the check's name."""

    cases: pl.DataFrame
    sentence: str
    facts: dict[str, Fact] = field(default_factory=dict)
    severity: Severity | None = None
    failed: bool | None = None


@dataclass(frozen=True)
class Check:
    """A named rule. `blocking` tells whether its failure can be an error."""

    name: str
    description: str
    rule: Callable[[Window], Finding]
    severity: Severity
    blocking: bool = True

    def run(self, window: Window) -> CheckResult:
        """Judge a window. Where the columns themselves are broken nothing else can be judged, which is a failure."""
        if self.rule is not _schema and _misshapen(window.candles):
            finding = Finding(
                pl.DataFrame(), "Not judged: the columns are broken, see schema.", severity="error", failed=True
            )
        else:
            finding = self.rule(window)
        failed = finding.cases.height > 0 if finding.failed is None else finding.failed
        return CheckResult(
            name=self.name,
            passed=not failed,
            severity=finding.severity or self.severity,
            description=self.description,
            sentence=finding.sentence,
            facts={"rows": window.candles.height, **finding.facts},
            cases=finding.cases.head(MAX_CASES),
            total_cases=finding.cases.height,
        )


def run_all(window: Window) -> list[CheckResult]:
    """Every check of `CHECKS`, in order."""
    return [check.run(window) for check in CHECKS]


def _misshapen(candles: pl.DataFrame) -> bool:
    return dict(candles.schema) != TABLES["candles"].polars_schema


def _schema(window: Window) -> Finding:
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
    rules = sorted({f"{row['column']}: {row['check']}" for row in cases.iter_rows(named=True)})
    return Finding(cases, f"{cases.height:,} value(s) break the table's rules: {'; '.join(rules)}. Mend the source.")


def _duplicates(window: Window) -> Finding:
    key = ["source", *_SERIES, "ts"]
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
        _said(cases.height, "bar(s) are stored more than once; keep the first row of each", "Each bar once."),
        facts,
    )


def gap_runs(window: Window) -> pl.DataFrame:
    """Runs of absent bars of every symbol that has any bar: symbol, interval, first_missing, last_missing, bars.

    Bars before the first and after the last one are counted from the window's edges (or the listing).
    """
    runs = [
        _absent(window, str(symbol), str(interval), part.get_column("ts"))
        for (symbol, interval), part in window.candles.group_by(_SERIES, maintain_order=True)
    ]
    empty = pl.DataFrame(
        schema={
            "symbol": pl.String,
            "interval": pl.String,
            "first_missing": pl.Datetime("us", "UTC"),
            "last_missing": pl.Datetime("us", "UTC"),
            "bars": pl.Int64,
        }
    )
    return pl.concat([empty, *runs]).sort("interval", "symbol", "first_missing")


def _absent(window: Window, symbol: str, interval: str, present: pl.Series) -> pl.DataFrame:
    length = interval_length(interval)
    slots = pl.datetime_range(
        window.expected_start(symbol, interval),
        window.expected_end(interval),
        length,
        closed="left",
        time_unit="us",
        time_zone="UTC",
        eager=True,
    ).alias("ts")
    absent = pl.DataFrame({"ts": slots}).filter(~pl.col("ts").is_in(present.implode()))
    run = (pl.col("ts").diff() != length).fill_null(value=False).cum_sum().alias("run")
    return (
        absent.with_columns(run)
        .group_by("run")
        .agg(
            pl.col("ts").min().alias("first_missing"),
            pl.col("ts").max().alias("last_missing"),
            pl.len().cast(pl.Int64).alias("bars"),
        )
        .select(pl.lit(symbol).alias("symbol"), pl.lit(interval).alias("interval"), pl.exclude("run"))
    )


def _gaps(window: Window) -> Finding:
    cases = gap_runs(window)
    bars = int(cases.get_column("bars").sum())
    facts: dict[str, Fact] = {"runs": cases.height, "missing_bars": bars}
    if cases.height:
        facts["longest_run_bars"] = int(cases.get_column("bars").to_numpy().max())
        facts["symbols"] = ", ".join(sorted(set(cases.get_column("symbol"))))
    return Finding(
        cases.sort("bars", descending=True, maintain_order=True),
        _said(
            cases.height,
            f"run(s) of absent bars, {bars:,} bars in all; they are never filled, entries are masked there",
            "No bar is absent.",
        ),
        facts,
    )


def _off_grid(window: Window) -> Finding:
    lengths = {interval: interval_length(interval) for interval in window.intervals}
    length_us = pl.col("interval").replace_strict(
        {name: length // timedelta(microseconds=1) for name, length in lengths.items()},
        default=None,
        return_dtype=pl.Int64,
    )
    off = (pl.col("ts").dt.epoch("us") % length_us).alias("off_by_us")
    cases = window.candles.select(*_BAR, off).filter(pl.col("off_by_us").fill_null(1) != 0).sort(*_SERIES, "ts")
    sentence = _said(
        cases.height,
        "bar(s) do not open on a multiple of their interval, or have an interval nobody configured",
        "All on the grid.",
    )
    return Finding(cases, sentence, {"off_grid_bars": cases.height})


def _unclosed(window: Window) -> Finding:
    closes = [
        window.candles.filter(
            (pl.col("interval") == interval) & (pl.col("ts") > window.as_of - interval_length(interval))
        )
        for interval in window.intervals
    ]
    cases = pl.concat(closes).select(_BAR).sort(*_SERIES, "ts") if closes else pl.DataFrame()
    return Finding(
        cases,
        _said(cases.height, "bar(s) were stored before they had closed; remove them", "Every bar is closed."),
        {"unclosed_bars": cases.height},
    )


def _ohlc(window: Window) -> Finding:
    prices = ["open", "high", "low", "close"]
    rules = {
        "price or volume is not a number": ~pl.all_horizontal(pl.col(*prices, "volume").is_finite()),
        "price is not positive": pl.any_horizontal(pl.col(*prices) <= 0),
        "volume is negative": pl.col("volume") < 0,
        "high is not the highest": pl.col("high") < pl.max_horizontal(prices),
        "low is not the lowest": pl.col("low") > pl.min_horizontal(prices),
    }
    broken = pl.concat_list(pl.when(rule).then(pl.lit(name)) for name, rule in rules.items()).list.drop_nulls()
    cases = window.candles.select(*_BAR, broken.list.join("; ").alias("broken")).filter(pl.col("broken") != "")
    return Finding(
        cases.sort(*_SERIES, "ts"),
        _said(cases.height, "bar(s) contradict themselves; fetch them again or drop the source", "Prices are ordered."),
        {"broken_bars": cases.height},
    )


def stale_runs(window: Window) -> pl.DataFrame:
    """Runs of on-grid bars that stand still: symbol, interval, first, last, bars, zero_volume_bars, kind.

    A bar stands still when open, high, low and close all equal the close of the bar before. `flat` runs have at least
    `stale_flat_bars` of them; `outage` runs at least `OUTAGE_BARS` without volume in a symbol that trades in nearly
    every bar, as exchanges that stop matching publish them.
    """
    still = pl.all_horizontal(pl.col("open", "high", "low", "close") == pl.col("close").shift())
    lengths = pl.col("interval").replace_strict(
        {name: interval_length(name) for name in window.intervals}, default=None, return_dtype=pl.Duration("us")
    )
    follows = pl.col("ts").diff() == lengths
    bars = (
        window.candles.sort(*_SERIES, "ts")
        .with_columns(
            (still & follows).over(_SERIES).fill_null(value=False).alias("still"),
            (pl.col("volume") > 0).mean().over(_SERIES).alias("traded_share"),
        )
        .with_columns((~pl.col("still")).cum_sum().over(_SERIES).alias("run"))
    )
    runs = (
        bars.filter("still")
        .group_by(*_SERIES, "run")
        .agg(
            pl.col("ts").min().alias("first"),
            pl.col("ts").max().alias("last"),
            pl.len().cast(pl.Int64).alias("bars"),
            (pl.col("volume") == 0).sum().cast(pl.Int64).alias("zero_volume_bars"),
            pl.col("traded_share").first(),
        )
    )
    outage = (pl.col("traded_share") >= NEARLY_ALWAYS) & (pl.col("zero_volume_bars") >= OUTAGE_BARS)
    kind = (
        pl.when(pl.col("bars") >= window.quality.stale_flat_bars)
        .then(pl.lit("flat"))
        .when(outage)
        .then(pl.lit("outage"))
    )
    return (
        runs.with_columns(kind.alias("kind"))
        .filter(pl.col("kind").is_not_null())
        .select(*_SERIES, "first", "last", "bars", "zero_volume_bars", "kind")
        .sort("interval", "symbol", "first")
    )


def _stale(window: Window) -> Finding:
    cases = stale_runs(window)
    bars = int(cases.get_column("bars").sum())
    sentence = _said(
        cases.height,
        f"run(s) of bars that stand still, {bars:,} bars in all; on the grid, so no gap check sees them. "
        "Compare with another source; the cycle masks them",
        "No run stands still.",
    )
    zero = int(cases.get_column("zero_volume_bars").sum())
    return Finding(cases, sentence, {"runs": cases.height, "stale_bars": bars, "zero_volume_bars": zero})


def _zero_volume(window: Window) -> Finding:
    shares = (
        window.candles.group_by(_SERIES)
        .agg((pl.col("volume") == 0).sum().cast(pl.Int64).alias("zero_volume_bars"), pl.len().alias("bars"))
        .with_columns((pl.col("zero_volume_bars") / pl.col("bars") * 10_000).round(1).alias("share_bps"))
        .sort("interval", "symbol")
    )
    cases = shares.filter(pl.col("share_bps") > window.quality.max_zero_volume_share_bps)
    facts: dict[str, Fact] = {"zero_volume_bars": int(shares.get_column("zero_volume_bars").sum())}
    for row in shares.filter(pl.col("zero_volume_bars") > 0).iter_rows(named=True):
        facts[f"zero_volume_bars {row['symbol']} {row['interval']}"] = row["zero_volume_bars"]
        facts[f"share_bps {row['symbol']} {row['interval']}"] = row["share_bps"]
    limit = window.quality.max_zero_volume_share_bps
    ordinary = f"{facts['zero_volume_bars']:,} bar(s) without trades; no symbol above {limit:,} bps."
    return Finding(
        cases,
        _said(
            cases.height,
            f"symbol(s) did not trade in more than {limit:,} bps of their bars; orders fill late",
            ordinary,
        ),
        facts,
    )


def _outliers(window: Window) -> Finding:
    previous = pl.col("close").shift().over(_SERIES)
    moves = (
        window.candles.sort(*_SERIES, "ts")
        .select(
            *_BAR,
            (pl.col("close") / previous - 1).alias("move"),
            pl.max_horizontal(pl.col("high") / previous - 1, 1 - pl.col("low") / previous).alias("excursion"),
        )
        .with_columns((pl.col("move") - pl.col("move").median().over(_SERIES)).abs().alias("deviation"))
        .with_columns((pl.col("deviation").median().over(_SERIES) * MAD_TO_SIGMA).alias("sigma"))
    )
    floor = window.quality.outlier_floor_bps / 10_000
    # without any movement to compare with, the floor alone decides
    beyond = (pl.col("excursion") > pl.col("sigma") * window.quality.outlier_sigma) & (pl.col("excursion") > floor)
    cases = moves.filter(beyond).select(
        *_BAR,
        (pl.col("move") * 10_000).round(2).alias("move_bps"),
        (pl.col("excursion") * 10_000).round(2).alias("excursion_bps"),
        pl.when(pl.col("sigma") > 0).then(pl.col("excursion") / pl.col("sigma")).round(1).alias("robust_sigmas"),
    )
    sentence = _said(
        cases.height,
        "bar(s) moved beyond "
        f"{window.quality.outlier_sigma:g} robust deviations and {window.quality.outlier_floor_bps:,} bps. "
        "A genuine dislocation looks the same: compare with another source before blaming the feed",
        "No move stands out.",
    )
    return Finding(cases, sentence, {"outlier_bars": cases.height})


def _freshness(window: Window) -> Finding:
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
        _said(cases.height, f"of {expected.height} series end too early; refresh the market data", "All up to date."),
        facts,
        severity,
    )


_AGE: dict[str, Any] = {
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


def _revisions(window: Window) -> Finding:
    if window.revisions is None or window.revisions.is_empty():
        return Finding(pl.DataFrame(), "No stored bar was contradicted later.", {"revised_rows": 0})
    rows = window.revisions.filter((pl.col("ts") >= window.start) & (pl.col("ts") < window.end))
    key = ["source", *_SERIES, "ts"]
    stored = window.candles.select(*key, pl.col("close", "volume").name.prefix("stored_"))
    cases = (
        rows.join(stored, on=key, how="left")
        .with_columns(((pl.col("close") / pl.col("stored_close") - 1) * 10_000).round(2).alias("close_change_bps"))
        .select(*key, "seen_at", "stored_close", "close", "close_change_bps", "stored_volume", "volume")
        .sort(*_SERIES, "ts", "seen_at")
    )
    sentence = _said(
        cases.height,
        "later, different value(s) of stored bars; the first stays, decisions do not change. "
        "Ask the source which is right",
        "No stored bar was contradicted later.",
    )
    return Finding(cases, sentence, {"revised_rows": cases.height})


def _coverage(window: Window) -> Finding:
    rows = [_present(window, symbol, interval) for interval in window.intervals for symbol in window.symbols]
    table = pl.DataFrame(
        rows,
        schema={"symbol": pl.String, "interval": pl.String, "bars": pl.Int64, "expected_bars": pl.Int64},
        orient="row",
    )
    expected = table.filter(pl.col("expected_bars") > 0)
    cases = expected.filter(pl.col("bars") == 0)
    others = expected.height > cases.height
    facts: dict[str, Fact] = {"series": expected.height, "series_without_bars": cases.height}
    for row in expected.iter_rows(named=True):
        share = round(row["bars"] / row["expected_bars"] * 10_000)
        facts[f"coverage_bps {row['symbol']} {row['interval']}"] = share
    why = "though the source has others; check the name" if others else "and neither has any other; is the source there"
    return Finding(
        cases,
        _said(cases.height, f"of {expected.height} series have no bar at all, {why}", "Every symbol has bars."),
        facts,
        "error" if others else "warning",
    )


def _present(window: Window, symbol: str, interval: str) -> dict[str, object]:
    start, end = window.expected_start(symbol, interval), window.expected_end(interval)
    inside = (
        (pl.col("symbol") == symbol) & (pl.col("interval") == interval) & pl.col("ts").is_between(start, end, "left")
    )
    bars = window.candles.filter(inside).get_column("ts").n_unique() if end > start else 0
    expected = max(0, (end - start) // interval_length(interval))
    return {"symbol": symbol, "interval": interval, "bars": bars, "expected_bars": expected}


def _said(count: int, finding: str, ordinary: str) -> str:
    return f"{count:,} {finding}." if count else ordinary


CHECKS: tuple[Check, ...] = (
    Check("schema", "Columns, types and ranges of the table.", _schema, "error"),
    Check("duplicates", "Each bar is stored once.", _duplicates, "error"),
    Check("off_grid", "Bars open on multiples of their interval.", _off_grid, "error"),
    Check("unclosed", "Only closed bars are stored.", _unclosed, "error"),
    Check("ohlc", "High is highest, low is lowest, all are finite and positive.", _ohlc, "error"),
    Check("coverage", "Every configured symbol has bars.", _coverage, "error"),
    Check("freshness", "The newest bar is recent.", _freshness, "warning"),
    Check("gaps", "No bar is absent. Gaps are listed and never filled.", _gaps, "warning", blocking=False),
    Check("stale_flat_runs", "No run of bars stands still at one price.", _stale, "warning", blocking=False),
    Check("zero_volume", "Share of bars without trades.", _zero_volume, "warning", blocking=False),
    Check("outlier_moves", "No move stands out from the window's own.", _outliers, "warning", blocking=False),
    Check("revisions", "No stored bar was contradicted later.", _revisions, "warning", blocking=False),
)
"""Every check, in the order in which people read them. The names are asset check names."""
