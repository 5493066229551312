"""The universe of a day, ranked on what was stored at its 00:00Z and on the outcomes of the walk that asks for it."""

import json
from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.config.configuration import Configuration
from openclaw_pipelines.contracts.enums import Regime
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.evaluation.outcomes import due_outcomes, score_outcomes
from openclaw_pipelines.domain.market.parts import measured
from openclaw_pipelines.domain.trading.universe import rank_universe
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.trading.walk import Walk
from openclaw_pipelines.settings import StrategySettings

REGIME_BARS = 8
"""How many bars back the newest features of a symbol may lie to tell its regime at 00:00Z."""


def regimes(store: Store, source: str, strategy: StrategySettings, as_of: datetime) -> pl.DataFrame:
    """Features of the last bars that were closed at `as_of`, one row per symbol."""
    length, symbols = strategy.interval, list(strategy.symbols)
    start = as_of - REGIME_BARS * length
    rows = market_tables.features(store, source, symbols, strategy.own.interval, start, as_of)
    return rows.sort("ts").group_by("symbol", maintain_order=True).last()


def build_universe(
    store: Store, source: str, walk: Walk, strategy: StrategySettings, settings: Configuration, day: str
) -> dict[str, str | None]:
    """Columns of the snapshot: the candidates ranked as of 00:00Z of `day` on what was known then."""
    as_of = day_start(day)
    since = as_of - strategy.universe.look_back
    symbols = list(strategy.symbols)
    stored = market_tables.candles(store, source, symbols, strategy.own.interval, since, as_of)
    candles = measured(stored, settings.quality.min_parts_bps)
    due = due_outcomes(walk.decisions(since, as_of), (), settings.outcome_horizons_seconds, as_of)
    outcomes = score_outcomes(due, candles, as_of, [strategy.own.interval])
    result = rank_universe(
        candles,
        symbols,
        as_of=as_of,
        interval=strategy.own.interval,
        settings=strategy.universe,
        allow=strategy.own.allow,
        deny=strategy.own.deny,
        outcomes=outcomes.select("symbol", "matured_at", "return_signed"),
        previous=walk.previous_universe(day),
        instruments=market_tables.instruments(store, source),
    )
    seen = dict(regimes(store, source, strategy, as_of).select("symbol", "regime").iter_rows())
    return _with_regimes(result.columns(), seen)


def _with_regimes(columns: dict[str, str | None], seen: dict[str, str]) -> dict[str, str | None]:
    """The snapshot's columns, each candidate with the regime it was in as of the snapshot."""
    candidates = json.loads(columns["candidates"] or "[]")
    for candidate in candidates:
        candidate["regime"] = seen.get(candidate["symbol"], Regime.UNKNOWN.value)
    return {**columns, "candidates": canonical_json(candidates)}
