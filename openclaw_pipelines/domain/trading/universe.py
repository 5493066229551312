"""Which symbols a strategy may enter for a day, ranked as of 00:00Z.

Nothing after `as_of` is read: bars, outcomes and listings beyond it are put aside before anything is measured. What a
single tick may trade on is decided in `masks`; limits belong to the governor.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.config.trading import Universe
from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.contracts.symbols import base_and_quote
from openclaw_pipelines.contracts.time import DAY, interval_length
from openclaw_pipelines.domain.market.instruments import Listing, listings
from openclaw_pipelines.domain.trading.universe_measures import (
    DIGITS,
    OUTCOME_PRIOR,
    Measured,
    bar_measures,
    below_threshold,
    outcome_measures,
)

PARTS = ("liquidity", "volatility", "spread", "trend_quality", "outcomes")
"""Parts of the score. Each is a percentile rank among the candidates that pass every threshold."""

MODERATE_VOLATILITY = 0.7
"""Annualised volatility that scores best: enough to pay the costs, not so much that stops are noise."""


class WeightError(ConfigError):
    """Weights of the universe score that cannot be used."""

    template = "universe.weights {problem}. Give a weight above zero to at least one of: " + ", ".join(PARTS) + "."
    problem: str


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
    scoring: dict[str, object]
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
class Admission:
    """What may be entered whatever it measures. An empty `allow` allows everything.

    instruments: what is listed, per symbol; None where it is not to be judged.
    """

    as_of: datetime
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    instruments: Mapping[str, Listing] | None = None

    @classmethod
    def of(
        cls, as_of: datetime, allow: Sequence[str], deny: Sequence[str], instruments: pl.DataFrame | None
    ) -> "Admission":
        """From the lists and rows of `contracts.tables.market.Instruments`."""
        return cls(as_of, allow, deny, None if instruments is None else listings(instruments))

    def refusal(self, symbol: str) -> str:
        """Why a symbol may not be entered, or nothing."""
        if symbol in self.deny:
            return "on the deny list"
        if self.allow and symbol not in self.allow:
            return "not on the allow list"
        if self.instruments is None:
            return ""
        return self.instruments[symbol].refusal(self.as_of) if symbol in self.instruments else "no such instrument"

    def listed_at(self, symbol: str) -> datetime | None:
        """First trade of a symbol, where known."""
        return (
            None if self.instruments is None or symbol not in self.instruments else self.instruments[symbol].listed_at
        )


def rank_universe(
    candles: pl.DataFrame,
    symbols: Sequence[str],
    *,
    as_of: datetime,
    interval: str,
    settings: Universe,
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    outcomes: pl.DataFrame | None = None,
    previous: Sequence[str] | None = None,
    instruments: pl.DataFrame | None = None,
) -> UniverseResult:
    """Measure, filter, score and rank the candidates as of `as_of`.

    candles: rows of `contracts.tables.market.Candles` of one source, at least `lookback_days` before `as_of`.
    interval: which of its bars are measured.
    outcomes: symbol, matured_at and return_signed of past decisions; only those matured by `as_of` count.
    previous: universe of the day before, which stays where fewer than `min_symbols` pass or nothing can be measured.
    instruments: symbol, state, listed_at and delisted_at; without it none is judged.

    Ties of the score are broken by the symbol's name. Raises `WeightError`.
    """
    weights = _weights(settings)
    admission = Admission.of(as_of, allow, deny, instruments)
    known = _as_of(candles, interval, as_of, settings)
    past = _matured(outcomes, as_of, settings)
    judged = [
        _judge(symbol, known.filter(pl.col("symbol") == symbol), past, as_of, interval, settings, admission)
        for symbol in sorted(set(symbols))
    ]
    ranked = _ranked([item for item in judged if not item.reason], weights, settings.max_symbols)
    refused = [item for item in judged if item.reason]
    selected = tuple(item.symbol for item in ranked if item.selected)
    result = UniverseResult(selected, (*ranked, *refused), _scoring(settings, weights, interval), "ranking", None)
    if known.is_empty():
        return keep_previous(result, previous, "there are no candles to rank", admission)
    if len(selected) < settings.min_symbols:
        why = f"{len(ranked)} of {len(judged)} candidates pass, the floor is {settings.min_symbols}"
        return keep_previous(result, previous, why, admission)
    return result


def keep_previous(
    result: UniverseResult, previous: Sequence[str] | None, why: str, admission: Admission
) -> UniverseResult:
    """The previous universe, less what may not be entered at all any more; nothing where there was none before.

    result: the ranking that cannot be used; its candidates keep their measures.
    why: what kept it from being used, to which the consequence is added.
    """
    if previous is None:
        reason = f"{why}, and there is no previous universe: nothing may be entered"
        return UniverseResult((), _reselected(result, ()), result.scoring, "floor", reason)
    kept = tuple(symbol for symbol in previous if not admission.refusal(symbol))
    dropped = sorted(set(previous) - set(kept))
    reason = f"{why}: the previous universe stays" + (f", without {', '.join(dropped)}" if dropped else "")
    return UniverseResult(kept, _reselected(result, kept), result.scoring, "previous", reason)


def _reselected(result: UniverseResult, kept: Sequence[str]) -> tuple[Candidate, ...]:
    return tuple(
        replace(item, selected=item.symbol in kept, reason=_reason(item, kept=item.symbol in kept))
        for item in result.candidates
    )


def _reason(item: Candidate, *, kept: bool) -> str:
    if kept:
        return f"kept from the previous universe; today: {item.reason}"
    return "passes, but too few do" if item.selected else item.reason


def _weights(settings: Universe) -> dict[str, float]:
    unknown = sorted(set(settings.weights) - set(PARTS))
    if unknown:
        raise WeightError(f"name unknown parts {', '.join(unknown)}")
    values = {part: settings.weights.get(part, 0.0) for part in PARTS}
    total = sum(values.values())
    if total <= 0:
        raise WeightError("are all zero")
    return {part: value / total for part, value in values.items()}


def _scoring(settings: Universe, weights: dict[str, float], interval: str) -> dict[str, object]:
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


def _matured(outcomes: pl.DataFrame | None, as_of: datetime, settings: Universe) -> pl.DataFrame:
    """Outcomes of the look-back that are known by `as_of`: symbol and return_signed."""
    if outcomes is None:
        return pl.DataFrame(schema={"symbol": pl.String, "return_signed": pl.Float64})
    return outcomes.filter(
        (pl.col("matured_at") <= as_of)
        & (pl.col("matured_at") > as_of - settings.lookback_days * DAY)
        & pl.col("return_signed").is_not_null()
    ).select("symbol", "return_signed")


def _judge(
    symbol: str,
    bars: pl.DataFrame,
    past: pl.DataFrame,
    as_of: datetime,
    interval: str,
    settings: Universe,
    admission: Admission,
) -> Candidate:
    """A candidate with its measures, and with a reason only where it fails."""
    refusal = admission.refusal(symbol)
    if bars.is_empty():
        return Candidate(symbol, selected=False, reason=refusal or "no candles in the look-back")
    returns = past.filter(pl.col("symbol") == symbol).get_column("return_signed").to_numpy()
    measures = {
        **bar_measures(bars, as_of, interval, admission.listed_at(symbol)),
        **outcome_measures(returns),
    }
    return Candidate(symbol, selected=False, reason=refusal or below_threshold(measures, settings), measures=measures)


def _ranked(passed: list[Candidate], weights: dict[str, float], max_symbols: int) -> list[Candidate]:
    parts = _percentiles(passed)
    scores = {
        item.symbol: round(sum(weights[part] * parts[item.symbol][part] for part in PARTS), DIGITS) for item in passed
    }
    order = sorted(passed, key=lambda item: (-scores[item.symbol], item.symbol))
    last = f", beyond the {max_symbols} that are selected"
    return [
        replace(
            item,
            selected=rank < max_symbols,
            reason=f"rank {rank + 1} of {len(order)}" + ("" if rank < max_symbols else last),
            parts=parts[item.symbol],
            score=scores[item.symbol],
            rank=rank,
        )
        for rank, item in enumerate(order)
    ]


def _percentiles(passed: list[Candidate]) -> dict[str, dict[str, float]]:
    """Percentile rank of each part per symbol. Liquidity is compared within one quote currency only."""
    merits = {item.symbol: _merits(item) for item in passed}
    quotes = {symbol: base_and_quote(symbol)[1] for symbol in merits}
    same_quote = {symbol: [other for other in merits if quotes[other] == quote] for symbol, quote in quotes.items()}
    return {
        symbol: {
            part: _share_below(
                own[part], [merits[peer][part] for peer in (same_quote[symbol] if part == "liquidity" else merits)]
            )
            for part in PARTS
        }
        for symbol, own in merits.items()
    }


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
