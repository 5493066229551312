"""A small world for tests of the tick: prices in plain units, 0.01 quote per unit and lot."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.contracts.enums import Action, ExitReason, Leg
from openclaw_pipelines.kernel.account import govern, valuation
from openclaw_pipelines.kernel.base.layout import (
    INSTRUMENT,
    SYMBOL_TICK,
    Context,
    EventKind,
    State,
    Tick,
    new_account_limits,
    new_limits,
    new_state,
    records,
)
from openclaw_pipelines.kernel.run import step as steps
from openclaw_pipelines.kernel.run.replay import tick_buffers
from openclaw_pipelines.kernel.strategy.params import PARAMS

HOUR = 3_600


@dataclass
class World:
    """One account; `bar` settles the next hour, `ask` puts proposals through rank, govern and order."""

    state: State
    context: Context
    limits: Any
    account_limits: Any
    at: int = 0

    def symbols(self, *bars: tuple[int, int, int, int], **fields: Any) -> Any:
        rows = records(SYMBOL_TICK, len(self.state.positions))
        rows.in_universe = rows.bar_state = 1
        for row, bar in zip(rows, bars, strict=True):
            row.open, row.high, row.low, row.close = bar
        for name, value in fields.items():
            rows[name] = value
        return rows

    def bar(self, *bars: tuple[int, int, int, int], **fields: Any) -> list[dict[str, int]]:
        """Settle the next hour; the events that followed, as dicts."""
        self.at += HOUR
        events, _, _ = tick_buffers(len(self.state.positions))
        tick = Tick(self.at, self.symbols(*bars, **fields))
        n = steps.settle(self.state, tick, self.account_limits, self.context, events, 0)
        names = events.dtype.names
        return [{name: int(event[name]) for name in names} for event in events[:n]]

    def ask(self, *asked: dict[str, Any], symbols: Any = None) -> Any:
        """Proposals after rank, govern and order."""
        proposals = tick_buffers(len(self.state.positions), len(asked))[1]
        for row, fields in zip(proposals, asked, strict=False):
            row.action, row.side, row.qty, row.price, row.external = Action.ENTER, 1, 100, 1_000, 1
            for name, value in fields.items():
                row[name] = value
        if symbols is None:
            symbols = self.symbols(*[(1_000,) * 4] * len(self.state.positions))
        govern.decide(
            self.state, Tick(self.at, symbols), self.limits, self.account_limits, self.context, proposals, len(asked)
        )
        return proposals[: len(asked)]

    @property
    def account(self) -> Any:
        return self.state.account[0]

    def mark(self) -> Any:
        return valuation.mark(self.state, self.context)


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    """Builder of worlds: capital in atoms, instrument fields as keywords; 10,000 quote and no fees by default."""

    def build(n_symbols: int = 1, capital: int = 10**12, leverage_bps: int = 10_000, **fields: Any) -> World:
        instruments = records(INSTRUMENT, n_symbols)
        instruments.mult, instruments.step_units, instruments.is_perp, instruments.min_qty = 10**6, 1, 1, 1
        instruments.max_leverage_bps, instruments.group = 1_000_000, np.arange(n_symbols)
        for name, value in fields.items():
            instruments[name] = value
        limits = new_limits(n_symbols)
        limits.leverage_bps = leverage_bps
        state = new_state(np.zeros((n_symbols, 1)), capital, 0)
        context = Context(instruments, np.zeros(1, PARAMS), HOUR)
        return World(state, context, limits, new_account_limits())

    return build


def told(events: list[dict[str, int]]) -> list[tuple[Any, ...]]:
    """Events as (what, side, qty, price, cash change)."""
    lines = []
    for event in events:
        kind = EventKind(event["kind"])
        what = kind.name
        if kind is EventKind.FILL:
            reason = ExitReason(event["reason"])
            what = Leg(event["leg"]).name if reason is ExitReason.NONE else reason.name
        lines.append((what, event["side"], event["qty"], event["price"], event["cash_change"]))
    return lines


@pytest.fixture(scope="session", name="told")
def told_fixture() -> Callable[..., list[tuple[Any, ...]]]:
    return told


@pytest.fixture(scope="session")
def walk() -> Callable[..., pl.DataFrame]:
    """Builder of frames: a seeded random walk with two decimals, 1h bars from 2025-01-01."""

    def build(
        n_bars: int, symbols: tuple[str, ...] = ("BTC/USDT:USDT", "ETH/USDT:USDT"), seed: int = 1
    ) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        first = datetime(2025, 1, 1, tzinfo=UTC)
        frames = []
        for symbol in symbols:
            close = np.round(1_000 * np.exp(np.cumsum(rng.normal(0, 0.01, n_bars))), 2)
            open_ = np.round(np.r_[1_000, close[:-1]] * np.exp(rng.normal(0, 0.001, n_bars)), 2)
            frames.append({
                "ts": [first + timedelta(hours=hour) for hour in range(n_bars)],
                "symbol": [symbol] * n_bars,
                "open": open_,
                "high": np.round(np.maximum(open_, close) * (1 + rng.uniform(0.001, 0.006, n_bars)), 2),
                "low": np.round(np.minimum(open_, close) * (1 - rng.uniform(0.001, 0.006, n_bars)), 2),
                "close": close,
                "volume": np.where(rng.uniform(size=n_bars) < 0.03, 0.0, 5.0),
            })  # fmt: skip
        return pl.concat([pl.DataFrame(frame) for frame in frames])

    return build
