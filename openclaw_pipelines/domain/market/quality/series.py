"""Data-quality rules that look along a series: gaps, runs that stand still, bars without trades, outliers."""

import polars as pl

from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.market.quality.bounds import BROKEN_BAR
from openclaw_pipelines.domain.market.quality.scale import times_off
from openclaw_pipelines.domain.market.quality.window import BAR, SERIES, Fact, Finding, Window, expected_spans, said

OUTAGE_BARS = 2
"""So many flat bars in a row without volume are an outage, in a symbol that trades in nearly every bar."""

NEARLY_ALWAYS = 0.95
"""Share of bars with trades above which a symbol counts as trading in nearly every bar."""

MAD_TO_SIGMA = 1.4826
"""A normal deviation per median absolute deviation."""


def gap_runs(window: Window) -> pl.DataFrame:
    """Runs of absent bars of every expected series: symbol, interval, first_missing, last_missing, bars.

    Bars before the first and after the last one are counted from the window's edges (or listing and delisting); a
    whole window without a bar is a run. Where no series of an interval has any, the source was not there: no gap.
    """
    symbols = sorted({*window.symbols, *window.candles["symbol"].unique()})
    intervals = sorted(set(window.candles["interval"].unique()) & set(window.intervals))
    runs = [_absent(window, symbols, interval) for interval in intervals]
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


def _absent(window: Window, symbols: list[str], interval: str) -> pl.DataFrame:
    length = interval_length(interval)
    slots = (
        expected_spans(window, symbols, [interval])
        .filter(pl.col("end") > pl.col("start"))
        .with_columns(ts=pl.datetime_ranges("start", "end", length, closed="left"))
        .explode("ts")
    )
    absent = slots.join(window.candles, on=[*SERIES, "ts"], how="anti", maintain_order="left")
    run = (pl.col("ts").diff() != length).fill_null(value=False).cum_sum().over("symbol")
    return (
        absent.group_by(*SERIES, run.alias("run"))
        .agg(
            pl.col("ts").min().alias("first_missing"),
            pl.col("ts").max().alias("last_missing"),
            pl.len().cast(pl.Int64).alias("bars"),
        )
        .drop("run")
    )


def gaps(window: Window) -> Finding:
    """Runs of absent bars."""
    cases = gap_runs(window)
    bars = int(cases.get_column("bars").sum())
    facts: dict[str, Fact] = {"runs": cases.height, "missing_bars": bars}
    if cases.height:
        facts["longest_run_bars"] = int(cases.get_column("bars").to_numpy().max())
        facts["symbols"] = ", ".join(sorted(set(cases.get_column("symbol"))))
    return Finding(
        cases.sort("bars", descending=True, maintain_order=True),
        said(
            cases.height,
            f"run(s) of absent bars, {bars:,} bars in all; they are never filled, entries are masked there",
            "No bar is absent.",
        ),
        facts,
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
        window.along()
        .with_columns((still & follows).over(SERIES).fill_null(value=False).alias("still"))
        .filter(pl.col("ts") >= window.start)
        .with_columns((pl.col("volume") > 0).mean().over(SERIES).alias("traded_share"))
        .with_columns((~pl.col("still")).cum_sum().over(SERIES).alias("run"))
    )
    runs = (
        bars.filter("still")
        .group_by(*SERIES, "run")
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
        .select(*SERIES, "first", "last", "bars", "zero_volume_bars", "kind")
        .sort("interval", "symbol", "first")
    )


def stale(window: Window) -> Finding:
    """Runs of bars that stand still; on the grid, so that no gap check sees them."""
    cases = stale_runs(window)
    bars = int(cases.get_column("bars").sum())
    sentence = said(
        cases.height,
        f"run(s) of bars that stand still, {bars:,} bars in all; on the grid, so no gap check sees them. "
        "Compare with another source; the cycle masks them",
        "No run stands still.",
    )
    zero = int(cases.get_column("zero_volume_bars").sum())
    return Finding(cases, sentence, {"runs": cases.height, "stale_bars": bars, "zero_volume_bars": zero})


def zero_volume(window: Window) -> Finding:
    """Symbols that did not trade in too large a share of their bars."""
    shares = (
        window.candles.group_by(SERIES)
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
        said(
            cases.height,
            f"symbol(s) did not trade in more than {limit:,} bps of their bars; orders fill late",
            ordinary,
        ),
        facts,
    )


def outliers(window: Window) -> Finding:
    """Moves far beyond the ordinary ones of the same series, by median absolute deviation.

    The first bar of a window is judged against the close before it, else a jump at midnight would be nobody's.
    """
    previous = pl.col("close").shift().over(SERIES)
    moves = (
        window.along()
        .select(
            *BAR,
            (pl.col("close") / previous - 1).alias("move"),
            pl.max_horizontal(pl.col("high") / previous - 1, 1 - pl.col("low") / previous).alias("excursion"),
        )
        .filter(pl.col("ts") >= window.start)
        .with_columns((pl.col("move") - pl.col("move").median().over(SERIES)).abs().alias("deviation"))
        .with_columns((pl.col("deviation").median().over(SERIES) * MAD_TO_SIGMA).alias("sigma"))
    )
    floor = window.quality.outlier_floor_bps / 10_000
    # without any movement to compare with, the floor alone decides
    beyond = (pl.col("excursion") > pl.col("sigma") * window.quality.outlier_sigma) & (pl.col("excursion") > floor)
    cases = moves.filter(beyond).select(
        *BAR,
        (pl.col("move") * 10_000).round(2).alias("move_bps"),
        (pl.col("excursion") * 10_000).round(2).alias("excursion_bps"),
        pl.when(pl.col("sigma") > 0).then(pl.col("excursion") / pl.col("sigma")).round(1).alias("robust_sigmas"),
    )
    sentence = said(
        cases.height,
        "bar(s) moved beyond "
        f"{window.quality.outlier_sigma:g} robust deviations and {window.quality.outlier_floor_bps:,} bps. "
        "A genuine dislocation looks the same: compare with another source before blaming the feed",
        "No move stands out.",
    )
    return Finding(cases, sentence, {"outlier_bars": cases.height})


def scale_jumps(window: Window) -> Finding:
    """Bars of another scale than the bar before them; ticks refuse entries near them as `SCALE_JUMP`."""
    ordinary = window.along().filter(~pl.any_horizontal(BROKEN_BAR.values()))  # the others belong to `ohlc`
    bars = ordinary.with_columns(pl.col("close").shift().over(SERIES).alias("close_before"))
    high, low, before = (bars[name].to_numpy() for name in ("high", "low", "close_before"))
    bars = bars.with_columns(pl.Series("times_off", times_off(high, low, before)).round(1))
    cases = bars.filter(pl.col("times_off") > 1.0, pl.col("ts") >= window.start).select(
        *BAR, "close_before", "times_off"
    )
    sentence = said(
        cases.height,
        "bar(s) are of another scale than the bar before them; entries near them are refused. If the coin has no new "
        "scale, mend the source and use `openclaw candles correct`",
        "Every bar goes on in the scale of the one before.",
    )
    return Finding(cases, sentence, {"scale_jumps": cases.height})
