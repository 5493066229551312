"""A scene that the kernel and the oracle in Decimal both play, and what each says of it in the same words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from kernel.decimal_oracle import NO_WISH, Bar, Event, Market, Oracle, Row, Wish

from openclaw_pipelines.contracts.enums import ExitReason, Leg, RejectCode
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.base.layout import PROPOSAL, SIGNAL, WHOLE, EventKind, new_limits, new_state, records
from openclaw_pipelines.kernel.base.money import from_atoms, to_atoms
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.planned import replay_planned
from openclaw_pipelines.kernel.run.replay import Costs, Terms, prepare
from openclaw_pipelines.kernel.run.simulate import simulate_signals
from openclaw_pipelines.kernel.run.ticks import TickInput, step_once
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators
from openclaw_pipelines.kernel.strategy.params import planned_params, stack_params
from openclaw_pipelines.kernel.sweep.given_signals import score_planned, score_signals

FIRST = datetime(2025, 5, 1, tzinfo=UTC)
CONFIDENCES = 4
"""Steps in which a wish is confident."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What happens and what is wanted. bars: of each symbol; stamps: rates of each symbol by seconds since `FIRST`."""

    hours: int
    markets: Sequence[Market]
    bars: Sequence[Sequence[Bar | None]]
    stamps: Sequence[Mapping[int, Decimal]]
    wishes: Sequence[Sequence[Wish]]
    capital: Decimal = Decimal(10_000)

    @property
    def symbols(self) -> list[str]:
        """Their names, in the order of their columns."""
        return [f"{'ABCD'[s]}/USDT{':USDT' if own.perpetual else ''}" for s, own in enumerate(self.markets)]

    def oracle(self) -> Oracle:
        """The oracle after the last bar."""
        first = int(FIRST.timestamp())
        stamps = [{first + at: rate for at, rate in own.items()} for own in self.stamps]
        return Oracle(
            markets=self.markets, bars=self.bars, stamps=stamps, wishes=self.wishes, seconds=self.hours * 3_600,
            first=first, cash=self.capital,
        ).run()  # fmt: skip

    @cached_property
    def kernel_bars(self) -> Bars:
        """The same for the kernel."""
        rows = [
            (FIRST + timedelta(hours=t * self.hours), symbol, *map(float, bar[:4]), float(bar.has_volume), bar.has_open)
            for symbol, own in zip(self.symbols, self.bars, strict=True)
            for t, bar in enumerate(own)
            if bar is not None
        ]
        names = ["ts", "symbol", "open", "high", "low", "close", "volume", "has_open"]
        stamps = [
            (FIRST + timedelta(seconds=at), symbol, rate)
            for symbol, own in zip(self.symbols, self.stamps, strict=True)
            for at, rate in own.items()
        ]
        funding = pl.DataFrame(
            stamps,
            {"ts": pl.Datetime("us", "UTC"), "symbol": pl.String, "funding_rate": pl.Decimal(20, 10)},
            orient="row",
        )
        specs = [_instrument(symbol, own) for symbol, own in zip(self.symbols, self.markets, strict=True)]
        frame = pl.DataFrame(rows, names, orient="row")
        bars = Bars.from_frame(frame, interval=_interval(self.hours), instruments=specs, funding=funding)
        assert len(bars.times) == len(self.wishes), "the first and the last bar of a scene are there"
        return bars

    @cached_property
    def options(self) -> dict[str, Any]:
        """Costs, capital and limits of a run."""
        limits = new_limits(len(self.markets))
        limits.leverage_bps = [own.leverage * 10_000 for own in self.markets]
        limits.max_position_notional = [to_atoms(own.max_notional) for own in self.markets]
        costs = Costs(slippage_bps=self.markets[0].slippage * 10_000)
        return {"costs": costs, "capital": self.capital, "limits": limits}

    @cached_property
    def signals(self) -> np.recarray:
        """The wishes as a planner says them."""
        signals = np.zeros((len(self.wishes), len(self.markets)), SIGNAL).view(np.recarray)
        for t, wishes in enumerate(self.wishes):
            for s, wish in enumerate(wishes):
                said, unit = signals[t, s], self.markets[s].unit
                said.side, said.leave_long, said.leave_short = wish.side, wish.leave_long, wish.leave_short
                said.stop, said.target, said.trail = (int(d / unit) for d in (wish.stop, wish.target, wish.trail))
                said.size_bps, said.part = int(wish.part * 10_000), WHOLE
                assert said.size_bps == wish.part * 10_000, "a planner sizes in whole basis points"
                said.confidence = WHOLE // CONFIDENCES * wish.confidence
        return signals


def _interval(hours: int) -> str:
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


def _instrument(symbol: str, own: Market) -> Instrument:
    return Instrument(
        symbol=symbol, price_unit=own.unit, lot=own.lot, tick=own.tick, min_notional=own.min_notional,
        taker_fee_rate=own.fee, liquidation_fee_rate=own.liquidation_fee, maintenance_margin_rate=own.maintenance,
        max_leverage=own.leverage,
    )  # fmt: skip


def agree(scene: Scene) -> Oracle:
    """Play the plan by the oracle and, whole, swept and tick by tick, by the kernel; all say the same."""
    told, bars = scene.oracle(), scene.kernel_bars
    replayed = replay_planned(bars, scene.signals, **scene.options)
    assert events_of(bars, replayed.events) == told.events
    assert equity_of(replayed.equity_rows) == [row[:5] for row in told.rows]
    swept = score_planned(bars, scene.signals, **scene.options)
    assert events_of(bars, swept.events) == told.events
    assert [from_atoms(value) for value in swept.equity_atoms] == [row.equity for row in told.rows]
    assert tick_by_tick(scene) == told.rows
    return told


def agree_on_signals(scene: Scene, fractions: Sequence[Decimal | None], qty: Decimal) -> Oracle:
    """The same for wishes that are signals alone, with one quantity and fractions for stop, target and trail."""
    told, bars = scene.oracle(), scene.kernel_bars
    side = np.array([[wish.side for wish in wishes] for wishes in scene.wishes])
    leave = np.array([[wish.leave_long for wish in wishes] for wishes in scene.wishes])
    stop, target, trail = (None if own is None else float(own) for own in fractions)
    given = {"stop_loss": stop, "take_profit": target, "trailing_stop": trail, "qty": qty, "short_entries": side < 0}
    simulated = simulate_signals(bars, side > 0, leave, **given, **scene.options)
    assert events_of(bars, simulated.events) == told.events
    assert equity_of(simulated.equity_rows) == [row[:5] for row in told.rows]
    swept = score_signals(bars, side > 0, leave, **given, **scene.options)
    assert events_of(bars, swept.events) == told.events
    assert [from_atoms(value) for value in swept.equity_atoms] == [row.equity for row in told.rows]
    return told


def tick_by_tick(scene: Scene) -> list[Row]:
    """The account and every level of its positions at every bar, taken as paper trading takes ticks."""
    bars, binding = scene.kernel_bars, planned_params(scene.hours * 3_600)
    ready = prepare(bars, stack_params([binding]), Terms(**scene.options))
    state = new_state(new_indicators(len(bars.symbols), binding), ready.cash, int(bars.times[0]))
    rows = []
    for t in range(len(bars.times)):
        limits, none = (ready.setup.limits, ready.setup.account_limits), records(PROPOSAL, 0)
        now = step_once(state, TickInput(bars.tick(t), *limits, none, scene.signals[t]), ready.setup.context).mark
        money = (from_atoms(v) for v in (now.cash, now.margin, now.unrealized, now.equity, now.gross_exposure))
        levels = tuple(_levels(spec, own) for spec, own in zip(bars.instruments, state.positions, strict=True))
        rows.append(Row(*money, levels))
    return rows


def _levels(spec: Instrument, position: Any) -> tuple[Decimal | None, ...] | None:
    if position.qty == 0:
        return None
    prices = (position.liquidation, position.stop, position.target, position.trail_stop)
    levels = (spec.price(price) if price else None for price in prices)
    return (spec.price(position.entry_price), from_atoms(position.margin), *levels)


def equity_of(rows: Any) -> list[tuple[Decimal, ...]]:
    """Cash, margin, unrealized, equity and exposure at every bar."""
    names = ("cash", "margin", "unrealized", "equity", "gross_exposure")
    return [tuple(from_atoms(row[name]) for name in names) for row in rows]


def events_of(bars: Bars, events: Any) -> list[Event]:
    """The kernel's events as the oracle tells them."""
    told = []
    for event in events:
        spec, kind = bars.instruments[event.symbol], EventKind(event.kind)
        name = Leg(event.leg).name.lower() if kind is EventKind.FILL else kind.name.lower()
        reasons = ExitReason if kind in (EventKind.FILL, EventKind.FUNDING) else RejectCode
        told.append(Event(
            bar=(int(event.at) - int(bars.times[0])) // bars.interval_seconds, symbol=int(event.symbol),
            kind=name.removeprefix("entry_"), side=int(event.side), qty=spec.qty(event.qty),
            price=spec.price(event.price), intended=spec.price(event.intended_price), fee=from_atoms(event.fee),
            cash=from_atoms(event.cash_change), realized=from_atoms(event.realized),
            reason=reasons(int(event.reason)).name.lower(),
        ))  # fmt: skip
    return told


def scene_of(*rows: Any, hours: int, wishes: Mapping[int, Wish], stamps: Mapping[int, str], **market: Any) -> Scene:
    """One symbol of hand-made bars, (open, high, low, close) or None for a missing one, free of costs if not said.

    stamps: rates by their hour since the first bar.
    """
    own = {"unit": Decimal("0.1"), "tick": Decimal("0.1"), "lot": Decimal("0.001"), "perpetual": True} | market
    bars = [bar if bar is None or isinstance(bar, Bar) else Bar(*map(Decimal, bar)) for bar in rows]
    return Scene(
        hours=hours, markets=[Market(**own)], bars=[bars], stamps=[{h * 3_600: Decimal(r) for h, r in stamps.items()}],
        wishes=[[wishes.get(t, NO_WISH)] for t in range(len(rows))], capital=Decimal(20_000),
    )  # fmt: skip
