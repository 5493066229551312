"""The candle rules a second time, in Decimal: what `test_oracle` holds the kernel against.

Written from docs/candle-rules.md, to be read beside it, and importing nothing of the package. Prices and money are in
quote, quantities in base, rates are shares of one, times whole seconds. Every number is exact: an operation that would
have to round raises, and what the rules round is rounded to a named step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, localcontext
from typing import NamedTuple

EXACT = Context(prec=90, traps=[Inexact, InvalidOperation, DivisionByZero])
ATOM = Decimal("1e-8")
NOTHING = Decimal(0)
LARGEST_EXPOSURE = 100
"""Of the equity: the one limit besides cash that no run is without."""


@dataclass(frozen=True, kw_only=True)
class Market:
    """A symbol and what trading it costs. Spot has leverage 1."""

    unit: Decimal
    tick: Decimal
    lot: Decimal
    perpetual: bool
    leverage: int = 1
    maintenance: Decimal = NOTHING
    fee: Decimal = NOTHING
    liquidation_fee: Decimal = NOTHING
    slippage: Decimal = NOTHING
    min_notional: Decimal = NOTHING
    max_notional: Decimal = Decimal(1_000_000)


class Bar(NamedTuple):
    """A bar that is there."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    has_volume: bool = True
    has_open: bool = True


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted at a close. Distances are in quote; sized by `qty`, or by `part` of the equity if it is 0."""

    side: int = 0
    leave_long: bool = False
    leave_short: bool = False
    stop: Decimal = NOTHING
    target: Decimal = NOTHING
    trail: Decimal = NOTHING
    qty: Decimal = NOTHING
    part: Decimal = NOTHING
    confidence: int = 0


NO_WISH = Wish()


@dataclass(kw_only=True)
class Position:
    """What is held. A level that does not exist is None."""

    side: int
    qty: Decimal
    entry: Decimal
    margin: Decimal
    liquidation: Decimal | None
    stop: Decimal | None
    target: Decimal | None
    trail_distance: Decimal
    trail: Decimal | None
    last: Decimal


class Pending(NamedTuple):
    """An order that fills at a later open. `wish` is that of an entry, None for an exit."""

    wish: Wish | None
    qty: Decimal
    price: Decimal


@dataclass
class Event:
    """Something that happened in a bar: a fill by its leg, `funding`, or an entry that did not fill in full."""

    bar: int
    symbol: int
    kind: str
    side: int
    qty: Decimal
    price: Decimal = NOTHING
    intended: Decimal = NOTHING
    fee: Decimal = NOTHING
    cash: Decimal = NOTHING
    realized: Decimal = NOTHING
    reason: str = "none"


class Row(NamedTuple):
    """The account at a bar's close; the levels are (entry, margin, liquidation, stop, target, trail) of each symbol."""

    cash: Decimal
    margin: Decimal
    unrealized: Decimal
    equity: Decimal
    exposure: Decimal
    levels: tuple[tuple[Decimal | None, ...] | None, ...]


@dataclass(kw_only=True)
class Oracle:
    """One account over given bars.

    bars: of each symbol, None where one is missing. stamps: of each symbol, rates by their time. wishes: of each bar
    and symbol. first: open of the first bar.
    """

    markets: Sequence[Market]
    bars: Sequence[Sequence[Bar | None]]
    stamps: Sequence[Mapping[int, Decimal]]
    wishes: Sequence[Sequence[Wish]]
    seconds: int
    first: int
    cash: Decimal
    held: dict[int, Position] = field(default_factory=dict)
    pending: dict[int, Pending] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def run(self) -> "Oracle":
        """Take every bar."""
        with localcontext(EXACT):
            for t in range(len(self.wishes)):
                self._settle(t)
                self._decide(t)
                self.rows.append(self._row())
        return self

    def _settle(self, t: int) -> None:
        opens = self.first + t * self.seconds
        symbols = range(len(self.markets))
        for s in symbols:
            self._fund(t, s, self.stamps[s].get(opens, NOTHING))
        for s in symbols:
            bar, order = self.bars[s][t], self.pending.get(s)
            if order and order.wish is None and _fills(bar):
                self._close(t, s, "exit", "signal", bar.open, order.price)
        for s in self._ranked(s for s in symbols if s in self.pending and self.pending[s].wish):
            self._enter(t, s, self.pending.pop(s))
        for s in symbols:
            inside = [rate for at, rate in self.stamps[s].items() if opens < at < opens + self.seconds]
            self._fund(t, s, sum(inside, NOTHING))
        for s in symbols:
            bar = self.bars[s][t]
            if bar and bar.has_volume and s in self.held:
                self._protect(t, s, bar)
            if bar and bar.has_volume and s in self.held:
                self.held[s].last = bar.close

    def _ranked(self, symbols: Iterator[int]) -> list[int]:
        return sorted(symbols, key=lambda s: (-self.pending[s].wish.confidence, s))

    def _fund(self, t: int, s: int, rate: Decimal) -> None:
        """Longs pay a positive rate; a position has one event of a bar, to which a later charge is added."""
        position = self.held.get(s)
        if rate == 0 or position is None or not self.markets[s].perpetual:
            return
        bar = self.bars[s][t]
        price = bar.open if bar and (bar.has_open or not bar.has_volume) else position.last
        due = position.qty * price * rate * position.side
        cash = -up(due, ATOM) if due > 0 else down(-due, ATOM)
        self.cash += cash
        for event in self.events:
            if (event.bar, event.symbol, event.kind) == (t, s, "funding"):
                event.cash += cash
                return
        self.events.append(Event(t, s, "funding", position.side, position.qty, price, cash=cash))

    def _enter(self, t: int, s: int, order: Pending) -> None:
        market, bar, wish, qty = self.markets[s], self.bars[s][t], order.wish, order.qty
        refused = Event(t, s, "expired", wish.side, qty, intended=order.price)
        if not _fills(bar):
            self.events.append(refused)
            return
        price = slipped(market, bar.open, market.slippage, buys=wish.side > 0)
        free = self._free()
        if cost(market, qty, price) > free:
            qty = affordable(market, free, price)
            refused.kind, refused.reason = "reduced", "none"
            if qty == 0 or qty * price < market.min_notional:
                refused.kind, refused.reason = "insufficient", "insufficient_at_fill"
            self.events.append(refused)
            if refused.kind == "insufficient":
                return
        self._open(t, s, order, qty, price)

    def _open(self, t: int, s: int, order: Pending, qty: Decimal, price: Decimal) -> None:
        market, wish, side, notional = self.markets[s], order.wish, order.wish.side, qty * price
        fee = up(notional * market.fee, ATOM)
        margin = margin_of(market, notional)
        cash = -fee if market.perpetual else -fee - notional
        self.cash += cash
        self.held[s] = Position(
            side=side, qty=qty, entry=price, margin=margin, last=price,
            liquidation=liquidation_price(market, side, qty, price, margin),
            stop=level(market, price, -side * wish.stop), target=level(market, price, side * wish.target),
            trail_distance=wish.trail, trail=level(market, price, -side * wish.trail),
        )  # fmt: skip
        self.events.append(Event(t, s, "entry", side, qty, price, order.price, fee, cash))

    def _protect(self, t: int, s: int, bar: Bar) -> None:
        """One adverse level, then the target, then the trailing stop moves on. Bars of shorts are seen from below."""
        position, market = self.held[s], self.markets[s]
        side = position.side
        worst, best = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
        named = [("stop", position.stop), ("trailing_stop", position.trail), ("liquidation", position.liquidation)]
        reached = [(-side * at, n) for n, (_, at) in enumerate(named) if at is not None and side * worst <= side * at]
        if reached:
            reason, at = named[min(reached)[1]]
            price = bar.open if side * bar.open < side * at else at
            self._close(t, s, "liquidation" if reason == "liquidation" else "stop", reason, price, at)
        elif position.target is not None and side * best >= side * position.target:
            better = bar.has_open and side * bar.open > side * position.target
            self._close(t, s, "target", "target", bar.open if better else position.target, position.target)
        elif position.trail_distance > 0:
            moved = level(market, best, -side * position.trail_distance)
            if moved is not None and (position.trail is None or side * moved > side * position.trail):
                position.trail = moved

    def _close(self, t: int, s: int, kind: str, reason: str, price: Decimal, intended: Decimal) -> None:
        position, market = self.held.pop(s), self.markets[s]
        self.pending.pop(s, None)
        if kind != "target" and market.slippage:
            price = slipped(market, price, market.slippage, buys=position.side < 0)
        notional = position.qty * price
        fee = up(notional * (market.liquidation_fee if kind == "liquidation" else market.fee), ATOM)
        gain = position.side * (notional - position.qty * position.entry)
        if market.perpetual:
            gain = max(gain, -position.margin)
        cash = (gain if market.perpetual else notional) - fee
        self.cash += cash
        side, qty = -position.side, position.qty
        self.events.append(Event(t, s, kind, side, qty, price, intended, fee, cash, gain, reason))

    def _decide(self, t: int) -> None:
        """Exits always go out; entries in the order of their confidence, each within what those before have left."""
        asked: list[tuple[int, int]] = []
        for s, market in enumerate(self.markets):
            bar, wish, position = self.bars[s][t], self.wishes[t][s], self.held.get(s)
            if bar is None or s in self.pending:
                continue
            if position is None and wish.side != 0 and (market.perpetual or wish.side > 0):
                asked.append((-wish.confidence, s))
            elif position is not None:
                leave = wish.leave_long if position.side > 0 else wish.leave_short
                if leave or wish.side == -position.side:
                    self.pending[s] = Pending(None, position.qty, bar.close)
        now = self._row()
        free, exposure = self._free(), now.exposure
        for _, s in sorted(asked):
            market, wish, price = self.markets[s], self.wishes[t][s], self.bars[s][t].close
            qty = wish.qty or down(down(max(now.equity, NOTHING) * wish.part, ATOM), price * market.lot) / price
            reserved = cost(market, qty, slipped(market, price, market.slippage, buys=True))
            within = exposure + qty * price <= LARGEST_EXPOSURE * now.equity
            sized = qty > 0 and market.min_notional <= qty * price <= market.max_notional
            if sized and reserved <= free and within:
                self.pending[s] = Pending(wish, qty, price)
                free, exposure = free - reserved, exposure + qty * price

    def _free(self) -> Decimal:
        return self.cash - sum((position.margin for position in self.held.values()), NOTHING)

    def _row(self) -> Row:
        unrealized = value = exposure = NOTHING
        for s, position in self.held.items():
            gain = position.side * position.qty * (position.last - position.entry)
            if self.markets[s].perpetual:
                gain = max(gain, -position.margin)
            unrealized += gain
            value += gain if self.markets[s].perpetual else position.qty * position.last
            exposure += position.qty * position.last
        levels = tuple(_levels(self.held.get(s)) for s in range(len(self.markets)))
        return Row(self.cash, self.cash - self._free(), unrealized, self.cash + value, exposure, levels)


def _fills(bar: Bar | None) -> bool:
    """Whether orders fill at the bar's open."""
    return bar is not None and bar.has_volume and bar.has_open


def _levels(position: Position | None) -> tuple[Decimal | None, ...] | None:
    if position is None:
        return None
    return (position.entry, position.margin, position.liquidation, position.stop, position.target, position.trail)


def up(value: Decimal, step: Decimal) -> Decimal:
    """`value`, 0 or more, on the step, upwards."""
    whole, rest = divmod(value, step)
    return (whole + (1 if rest else 0)) * step


def down(value: Decimal, step: Decimal) -> Decimal:
    """`value`, 0 or more, on the step, downwards."""
    return value // step * step


def slipped(market: Market, price: Decimal, slippage: Decimal, *, buys: bool) -> Decimal:
    """The price of a fill: worse by the slippage, then on the tick against the account."""
    if buys:
        return up(price * (1 + slippage), market.tick)
    return max(down(price * (1 - slippage), market.tick), market.tick)


def level(market: Market, price: Decimal, offset: Decimal) -> Decimal | None:
    """A protective price, away from the market on the tick, of which it is one at least."""
    if offset == 0 or price + offset <= 0:
        return None
    return up(price + offset, market.tick) if offset > 0 else max(down(price + offset, market.tick), market.tick)


def margin_of(market: Market, notional: Decimal) -> Decimal:
    """Isolated margin; spot has none."""
    return up(notional, ATOM * market.leverage) / market.leverage if market.perpetual else NOTHING


def cost(market: Market, qty: Decimal, price: Decimal) -> Decimal:
    """Cash that an entry takes."""
    notional = qty * price
    return up(notional * market.fee, ATOM) + (margin_of(market, notional) if market.perpetual else notional)


def affordable(market: Market, free: Decimal, price: Decimal) -> Decimal:
    """The most that `free` pays for: what it would be without rounding, then less by lots."""
    if free <= 0:
        return NOTHING
    lots = free * market.leverage // (price * market.lot * (1 + market.fee * market.leverage))
    while lots > 0 and cost(market, lots * market.lot, price) > free:
        lots -= 1
    return lots * market.lot


def liquidation_price(market: Market, side: int, qty: Decimal, entry: Decimal, margin: Decimal) -> Decimal | None:
    """Where margin and loss leave the maintenance margin: margin + side * qty * (p - entry) = maintenance * qty * p.

    Towards the market on the price unit.
    """
    if not market.perpetual:
        return None
    owed = qty * entry - side * margin
    per_unit = qty * (1 - side * market.maintenance) * market.unit
    units = up(owed, per_unit) / per_unit if side > 0 else owed // per_unit
    return units * market.unit if units > 0 else None
