"""Measures of universe candidates and the thresholds they must pass. Scoring and selection are in `universe`."""

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.config.trading import Universe
from openclaw_pipelines.contracts.time import DAY, interval_length
from openclaw_pipelines.domain.market.spread import corwin_schultz_bps

OUTCOME_PRIOR = 20
"""Outcomes count as if so many more had returned nothing, so that one lucky trade decides little."""

DIGITS = 8
"""Decimal places of stored measures and scores, so that their JSON is stable."""

_YEAR = 365 * DAY

Column = NDArray[np.float64]

Measured = dict[str, float | int | None]
"""What was measured of one symbol, by name; None where it cannot be."""


def bar_measures(bars: pl.DataFrame, as_of: datetime, interval: str, listed_at: datetime | None) -> Measured:
    """What the bars of one symbol say as of `as_of`: all of them are closed by then, oldest first."""
    length = interval_length(interval)
    high, low, close = (bars.get_column(name).to_numpy() for name in ("high", "low", "close"))
    first: datetime = bars.get_column("ts")[0]
    since = first if listed_at is None else min(first, listed_at)
    last_day = bars.filter(pl.col("ts") >= as_of - DAY)
    quote = float(np.sum(last_day.get_column("close").to_numpy() * last_day.get_column("volume").to_numpy()))
    returns = np.diff(close) / close[:-1]
    volatility = float(np.std(returns, ddof=1) * np.sqrt(_YEAR / length)) if returns.size > 1 else None
    spread = float(np.mean(corwin_schultz_bps(high, low)[1:])) if returns.size else None
    expected = (as_of - first) // length
    return {
        "bars_24h": last_day.height,
        "quote_volume_24h": round(quote, 2),
        "volatility": _rounded(volatility),
        "spread_proxy_bps": _rounded(spread),
        "trend_quality": _rounded(_trend_quality(close)),
        "age_days": _rounded((as_of - since) / DAY),
        "coverage": _rounded(bars.height / expected),
    }


def _trend_quality(close: Column) -> float:
    """R squared of the log price on time: 1 for a straight climb or fall, 0 for none, whatever the direction."""
    logs = np.log(close)
    if logs.size < 3 or not np.ptp(logs):
        return 0.0
    x = np.arange(logs.size) - (logs.size - 1) / 2
    y = logs - logs.mean()
    return float(np.sum(x * y) ** 2 / (np.sum(x * x) * np.sum(y * y)))


def outcome_measures(returns: Column) -> Measured:
    """Mean signed return of past outcomes, drawn towards zero where they are few.

    >>> outcome_measures(np.array([0.01] * 5))
    {'outcomes': 5, 'outcome_return': 0.002}
    """
    # sorted, so that the order in which outcomes were read does not change the last digit
    total = float(np.sum(np.sort(returns)))
    return {"outcomes": returns.size, "outcome_return": _rounded(total / (returns.size + OUTCOME_PRIOR))}


def below_threshold(measures: Measured, settings: Universe) -> str:
    """The first threshold that fails, with its numbers, or nothing. An unmeasurable value fails."""
    age, coverage, quote, spread, volatility = (
        measures[name] for name in ("age_days", "coverage", "quote_volume_24h", "spread_proxy_bps", "volatility")
    )
    if not measures["bars_24h"]:
        return "no candles in the last 24 hours"
    if age is None or age < settings.min_age_days:
        return f"only {age} days of candles, the least is {settings.min_age_days}"
    if coverage is None or round(coverage * 10_000) < settings.min_coverage_bps:
        return f"coverage {coverage}, the least is {settings.min_coverage_bps / 10_000}"
    if quote is None or quote < float(settings.min_quote_volume_24h):
        return f"traded {quote} in 24 hours, the least is {settings.min_quote_volume_24h}"
    if spread is None or spread > settings.max_spread_bps:
        return f"spread proxy {spread} bps, the most is {settings.max_spread_bps:g}"
    if volatility is None or volatility > settings.max_volatility:
        return f"volatility {volatility}, the most is {settings.max_volatility:g}"
    return ""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
