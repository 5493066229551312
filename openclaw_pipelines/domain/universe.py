"""Which symbols a strategy may enter for a day, ranked as of 00:00Z.

Nothing after `as_of` is read: bars, outcomes and listings beyond it are put aside before anything is measured. What a
single tick may trade on is decided in `masks`; limits belong to the governor.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.config import Universe
from openclaw_pipelines.contracts.enums import InstrumentState
from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.contracts.symbols import base_and_quote
from openclaw_pipelines.contracts.time import DAY, interval_length
from openclaw_pipelines.domain.spread import corwin_schultz_bps

PARTS = ("liquidity", "volatility", "spread", "trend_quality", "outcomes")
"""Parts of the score. Each is a percentile rank among the candidates that pass every threshold."""

MODERATE_VOLATILITY = 0.7
"""Annualised volatility that scores best: enough to pay the costs, not so much that stops are noise."""

OUTCOME_PRIOR = 20
"""Outcomes count as if so many more had returned nothing, so that one lucky trade decides little."""

DIGITS = 8
"""Decimal places of stored measures and scores, so that their JSON is stable."""

_YEAR = 365 * DAY

Measured = dict[str, float | int | None]


class WeightError(ConfigError):
    """Weights of the universe score that cannot be used."""

    template = "universe.weights {problem}. Give non-negative weights, not all zero, for: " + ", ".join(PARTS) + "."
    fields = ("problem",)


@dataclass(frozen=True)
class Candidate:
    """One symbol as it was judged.

    measures: what was measured, None where it cannot be.
    parts: percentile ranks in [0, 1] that the score weighs; empty where a threshold failed.
    rank: place by score, 0 first; None where a threshold failed.
    reason: why it was selected or not, as a person would say it.
    """

    symbol: str
    selected: bool
    reason: str
    measures: Measured = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    score: float | None = None
    rank: int | None = None


@dataclass(frozen=True)
class UniverseResult:
    """Universe of a strategy for a day.

    picked_by: `ranking`; `previous` where the universe before stays; `floor` where there was none before.
    reason: why the ranking was not used as it stood.
    """

    selected: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    scoring: dict[str, Any]
    picked_by: str
    reason: str | None

    def columns(self) -> dict[str, str | None]:
        """Columns of `autopilot_universe_snapshots` that are not keys."""
        return {
            "selected": json.dumps(self.selected, separators=(",", ":")),
            "candidates": json.dumps([vars(item) for item in self.candidates], sort_keys=True, separators=(",", ":")),
            "scoring": json.dumps(self.scoring, sort_keys=True, separators=(",", ":")),
            "picked_by": self.picked_by,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Lists:
    """What may be entered apart from any measure. An empty `allow` allows everything."""

    allow: Sequence[str] = ()
    deny: Sequence[str] = ()


def rank_universe(
    candles: pl.DataFrame,
    symbols: Sequence[str],
    *,
    as_of: datetime,
    interval: str,
    settings: Universe,
    lists: Lists | None = None,
    outcomes: pl.DataFrame | None = None,
    previous: Sequence[str] | None = None,
    instruments: pl.DataFrame | None = None,
) -> UniverseResult:
    """Measure, filter, score and rank the candidates as of `as_of`.

    candles: rows of `contracts.market.Candles` of one source, at least `lookback_days` before `as_of`.
    interval: which of its bars are measured.
    outcomes: symbol, matured_at and return_signed of past decisions; only those matured by `as_of` count.
    previous: universe of the day before, which stays where fewer than `min_symbols` pass.
    instruments: symbol, state and listed_at; without it neither is judged.

    Ties of the score are broken by the symbol's name. Raises `WeightError`.
    """
    weights = _weights(settings)
    lists = lists or Lists()
    known = _as_of(candles, interval, as_of, settings)
    facts = _instrument_facts(instruments)
    judged = [
        _judge(symbol, known, as_of, interval, settings, lists, facts, outcomes) for symbol in sorted(set(symbols))
    ]
    ranked = _ranked([item for item in judged if not item.reason], weights, settings.max_symbols)
    refused = [item for item in judged if item.reason]
    selected = tuple(item.symbol for item in ranked if item.selected)
    result = UniverseResult(selected, (*ranked, *refused), _scoring(settings, weights, interval), "ranking", None)
    if known.is_empty():
        return fall_back(result, previous, "there are no candles to rank", lists, facts)
    if len(selected) < settings.min_symbols:
        why = f"{len(selected)} of {len(judged)} candidates pass, the floor is {settings.min_symbols}"
        return fall_back(result, previous, why, lists, facts)
    return result


def fall_back(
    result: UniverseResult,
    previous: Sequence[str] | None,
    why: str,
    lists: Lists | None = None,
    facts: Mapping[str, tuple[str, datetime | None]] | None = None,
) -> UniverseResult:
    """The previous universe less what may not be entered at all any more; none where there was none before.

    A symbol that failed a threshold only by being measured today stays; one that was denied or is not tradable leaves.
    """
    lists = lists or Lists()
    if previous is None:
        reason = f"{why}, and there is no previous universe: nothing may be entered"
        return UniverseResult((), _unselected(result, ()), result.scoring, "floor", reason)
    kept = tuple(symbol for symbol in previous if not _forbidden(symbol, lists, facts))
    dropped = sorted(set(previous) - set(kept))
    reason = f"{why}: the previous universe stays" + (f", without {', '.join(dropped)}" if dropped else "")
    return UniverseResult(kept, _unselected(result, kept), result.scoring, "previous", reason)


def _unselected(result: UniverseResult, kept: Sequence[str]) -> tuple[Candidate, ...]:
    """The candidates as they were judged, selected only where they were kept."""
    return tuple(
        Candidate(
            **{**vars(item), "selected": item.symbol in kept, "reason": _kept_reason(item, kept=item.symbol in kept)}
        )
        for item in result.candidates
    )


def _kept_reason(item: Candidate, *, kept: bool) -> str:
    if kept:
        return f"kept from the previous universe; today: {item.reason}"
    return "passed, but too few did" if item.selected else item.reason


def _weights(settings: Universe) -> dict[str, float]:
    unknown = sorted(set(settings.weights) - set(PARTS))
    if unknown:
        raise WeightError(f"name unknown parts {', '.join(unknown)}")
    values = {part: float(settings.weights.get(part, 0.0)) for part in PARTS}
    if any(not np.isfinite(value) or value < 0 for value in values.values()) or sum(values.values()) <= 0:
        raise WeightError(f"are {json.dumps(settings.weights, sort_keys=True)}")
    total = sum(values.values())
    return {part: value / total for part, value in values.items()}


def _scoring(settings: Universe, weights: dict[str, float], interval: str) -> dict[str, Any]:
    return {
        "weights": {part: round(weight, DIGITS) for part, weight in weights.items()},
        "interval": interval,
        "moderate_volatility": MODERATE_VOLATILITY,
        "outcome_prior": OUTCOME_PRIOR,
        "thresholds": settings.model_dump(mode="json", exclude={"weights"}),
    }


def _as_of(candles: pl.DataFrame, interval: str, as_of: datetime, settings: Universe) -> pl.DataFrame:
    """Closed, traded bars of the look-back, whatever else the frame holds."""
    return (
        candles.filter(
            (pl.col("interval") == interval)
            & ~pl.col("is_synthetic")
            & (pl.col("ts") >= as_of - settings.lookback_days * DAY)
            & (pl.col("ts") + interval_length(interval) <= as_of)
        )
        .unique(["symbol", "ts"], keep="first", maintain_order=True)
        .sort("symbol", "ts")
    )


def _instrument_facts(instruments: pl.DataFrame | None) -> dict[str, tuple[str, datetime | None]] | None:
    if instruments is None:
        return None
    rows = instruments.select("symbol", "state", "listed_at").iter_rows()
    return {symbol: (state, listed_at) for symbol, state, listed_at in rows}


def _forbidden(symbol: str, lists: Lists, facts: Mapping[str, tuple[str, datetime | None]] | None) -> str:
    """Why a symbol may not be entered whatever it measures, or nothing."""
    if symbol in lists.deny:
        return "on the deny list"
    if lists.allow and symbol not in lists.allow:
        return "not on the allow list"
    if facts is not None and symbol not in facts:
        return "no such instrument"
    if facts is not None and facts[symbol][0] != InstrumentState.TRADABLE:
        return f"instrument is {facts[symbol][0]}"
    return ""


def _judge(
    symbol: str,
    known: pl.DataFrame,
    as_of: datetime,
    interval: str,
    settings: Universe,
    lists: Lists,
    facts: Mapping[str, tuple[str, datetime | None]] | None,
    outcomes: pl.DataFrame | None,
) -> Candidate:
    """A candidate with its measures, and with a reason only where it fails."""
    reason = _forbidden(symbol, lists, facts)
    bars = known.filter(pl.col("symbol") == symbol)
    if bars.is_empty():
        return Candidate(symbol, selected=False, reason=reason or "no candles in the look-back")
    listed_at = facts[symbol][1] if facts is not None and symbol in facts else None
    measures = {
        **_measures(bars, as_of, interval, listed_at, settings),
        **_outcome_measures(symbol, outcomes, as_of, settings),
    }
    return Candidate(symbol, selected=False, reason=reason or _below_threshold(measures, settings), measures=measures)


def _measures(
    bars: pl.DataFrame, as_of: datetime, interval: str, listed_at: datetime | None, settings: Universe
) -> Measured:
    length = interval_length(interval)
    high, low, close = (bars.get_column(name).to_numpy() for name in ("high", "low", "close"))
    first: datetime = bars.get_column("ts")[0]
    since = first if listed_at is None else min(first, listed_at)
    last_day = bars.filter(pl.col("ts") >= as_of - DAY)
    quote = float(np.sum(last_day.get_column("close").to_numpy() * last_day.get_column("volume").to_numpy()))
    returns = np.diff(close) / close[:-1]
    volatility = float(np.std(returns, ddof=1) * np.sqrt(_YEAR / length)) if returns.size > 1 else None
    spread = float(np.mean(corwin_schultz_bps(high, low)[1:])) if returns.size else None
    expected = (as_of - max(first, as_of - settings.lookback_days * DAY)) // length
    return {
        "quote_volume_24h": round(quote, 2),
        "volatility": _rounded(volatility),
        "spread_proxy_bps": _rounded(spread),
        "trend_quality": _rounded(_trend_quality(close)),
        "age_days": _rounded((as_of - since) / DAY),
        "coverage": _rounded(bars.height / expected),
    }


def _trend_quality(close: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """R squared of the log price on time: 1 for a straight climb or fall, 0 for none, whatever the direction."""
    logs = np.log(close)
    if logs.size < 3 or not np.ptp(logs):
        return 0.0
    x = np.arange(logs.size) - (logs.size - 1) / 2
    y = logs - logs.mean()
    return float(np.sum(x * y) ** 2 / (np.sum(x * x) * np.sum(y * y)))


def _outcome_measures(symbol: str, outcomes: pl.DataFrame | None, as_of: datetime, settings: Universe) -> Measured:
    """Mean signed return of the outcomes matured in the look-back, drawn towards zero where they are few."""
    if outcomes is None:
        return {"outcomes": 0, "outcome_return": 0.0}
    matured = outcomes.filter(
        (pl.col("symbol") == symbol)
        & (pl.col("matured_at") <= as_of)
        & (pl.col("matured_at") > as_of - settings.lookback_days * DAY)
        & pl.col("return_signed").is_not_null()
    )
    returns = np.sort(matured.get_column("return_signed").to_numpy())
    return {
        "outcomes": returns.size,
        "outcome_return": _rounded(float(np.sum(returns)) / (returns.size + OUTCOME_PRIOR)),
    }


def _below_threshold(measures: Measured, settings: Universe) -> str:
    """The first threshold that fails, with its numbers, or nothing. An unmeasurable value fails."""
    age, coverage, quote, spread, volatility = (
        measures[name] for name in ("age_days", "coverage", "quote_volume_24h", "spread_proxy_bps", "volatility")
    )
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


def _ranked(passed: list[Candidate], weights: dict[str, float], max_symbols: int) -> list[Candidate]:
    parts = _percentiles(passed)
    scores = {
        item.symbol: round(sum(weights[part] * parts[item.symbol][part] for part in PARTS), DIGITS) for item in passed
    }
    order = sorted(passed, key=lambda item: (-scores[item.symbol], item.symbol))
    return [
        Candidate(
            item.symbol,
            selected=rank < max_symbols,
            reason=f"rank {rank + 1} of {len(order)}"
            + ("" if rank < max_symbols else f", beyond the {max_symbols} that are selected"),
            measures=item.measures,
            parts=parts[item.symbol],
            score=scores[item.symbol],
            rank=rank,
        )
        for rank, item in enumerate(order)
    ]


def _percentiles(passed: list[Candidate]) -> dict[str, dict[str, float]]:
    """Percentile rank of each part per symbol. Liquidity is compared within one quote currency only."""
    quotes = {item.symbol: base_and_quote(item.symbol)[1] for item in passed}
    table: dict[str, dict[str, float]] = {}
    for item in passed:
        own = _merits(item)
        table[item.symbol] = {
            part: _share_below(
                own[part],
                [
                    _merits(other)[part]
                    for other in passed
                    if part != "liquidity" or quotes[other.symbol] == quotes[item.symbol]
                ],
            )
            for part in PARTS
        }
    return table


def _merits(item: Candidate) -> dict[str, float]:
    """Each part as a number of which more is better. Volatility is best near the moderate one, on a log scale."""
    volatility = max(float(item.measures["volatility"] or 0.0), 1e-9)
    return {
        "liquidity": float(item.measures["quote_volume_24h"] or 0.0),
        "volatility": -abs(float(np.log(volatility / MODERATE_VOLATILITY))),
        "spread": -float(item.measures["spread_proxy_bps"] or 0.0),
        "trend_quality": float(item.measures["trend_quality"] or 0.0),
        "outcomes": float(item.measures["outcome_return"] or 0.0),
    }


def _share_below(value: float, values: list[float]) -> float:
    below = sum(other < value for other in values) + 0.5 * sum(other == value for other in values)
    return round(below / len(values), DIGITS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
