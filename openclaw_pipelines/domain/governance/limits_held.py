"""Approved entries judged again: in Decimal, from recorded rows, against the limits recorded beside them.

A second witness of `kernel.account.risk`, which decides. Nothing of the kernel is imported here, neither directly nor
by what is imported, and its arithmetic is not copied: amounts are exact, and only what the documentation says is
rounded is rounded, to 1e-8 of the quote currency and against the account. Entries are held against docs/limits.md.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import Any

from openclaw_pipelines.contracts.enums import RejectCode as R
from openclaw_pipelines.contracts.symbols import base_and_quote

Row = Mapping[str, Any]
ATOM = Decimal("1e-8")
LARGEST_EQUITY = Decimal(900_000_000)
"""Beyond it nothing is entered: an account is exact up to there."""
LARGEST_NOTIONAL = Decimal(1_000_000_000)
ENTRIES_COUNT_FORM = 3
"""Of a recorded policy: from here on entries alone count, and concentration is a share of exposure and free cash."""
LIMITS = frozenset({
    "min_order_notional", "max_order_notional", "max_position_qty", "max_position_notional",
    "max_position_pct_equity_bps", "max_symbol_concentration_bps", "max_open_positions", "max_leverage_bps",
    "margin_leverage_bps", "max_daily_loss_bps", "max_drawdown_bps", "allow_short", "max_orders_per_window",
    "order_window_seconds", "order_gap_seconds", "cooldown_seconds", "price_buffer_bps", "size_bps",
})  # fmt: skip
"""Each must stand beside an entry."""
_BPS = Decimal(10_000)
_EXACT = Context(prec=80)


@dataclass(frozen=True)
class Broken:
    """A limit that an approved entry breaks. measured, limit: None where the code is about no number."""

    tick_at: datetime
    symbol: str
    decision_key: str
    code: R
    measured: Decimal | None = None
    limit: Decimal | None = None


@dataclass(frozen=True)
class Moment:
    """What the ledger holds of one tick.

    Args:
        at: the tick.
        tick: its row of `autopilot_ticks`.
        equity: its row of `autopilot_equity`.
        positions: its rows of `autopilot_positions`.
        entries: approved entries, rows of `autopilot_decisions`, in the order of their rank.
        masks, bars: as in `tick_inputs`, out of JSON.
        deployment, policy: as in `tick_contexts`, out of JSON.
        reconciled: whether the tick before reconciled.
        exits_ordered: exits that the tick ordered, which count in policies before `ENTRIES_COUNT_FORM`.
    """

    at: datetime
    tick: Row
    equity: Row
    positions: Sequence[Row]
    entries: Sequence[Row]
    masks: Row
    bars: Row
    deployment: Row
    policy: Row
    reconciled: bool
    exits_ordered: int = 0


@dataclass(frozen=True)
class Before:
    """What happened before a tick, newest last. ordered: times of orders that count; exits: last exit by symbol."""

    ordered: Sequence[datetime]
    exits: Mapping[str, datetime]


@dataclass
class _Book:
    """What the tick's approvals so far add up to, with open positions."""

    equity: Decimal
    free_cash: Decimal
    gross: Decimal
    by_base: dict[str, Decimal]
    positions: int
    symbols: set[str]
    ordered: int


@dataclass(frozen=True)
class _Asked:
    """One approved entry, its numbers and its limits."""

    row: Row
    limits: Row
    instrument: Row
    qty: Decimal
    price: Decimal
    notional: Decimal
    required: Decimal
    margin: Decimal


Finding = tuple[R, Decimal | None, Decimal | None]


def judge(moment: Moment, before: Before) -> list[Broken]:
    """Every limit that an approved entry of the tick breaks; empty where all were held."""
    with localcontext(_EXACT):
        book = _book(moment)
        broken: list[Broken] = []
        for row in moment.entries:
            key = (moment.at, row["symbol"], row["decision_key"])
            asked = _asked(row, moment)
            if asked is None:
                broken.append(Broken(*key, R.POLICY_UNRESOLVED))
                continue
            found = _findings(asked, book, moment, before)
            broken += [Broken(*key, code, measured, limit) for code, measured, limit in found]
            _count(asked, book)
        return broken


def entries_count(policy: Row) -> bool:
    """Whether a recorded policy counts entries alone, and not exits too."""
    return bool(policy.get("form", 1) >= ENTRIES_COUNT_FORM)


def worst_price(price: Decimal, instrument: Row, slippage_bps: Decimal, buffer_bps: Decimal) -> Decimal:
    """Price up to which an approval reserves cash: up by slippage and buffer, each in whole price units, on the tick.

    >>> contract = {"price_unit": "0.01", "tick": "0.5", "significant_digits": None}
    >>> worst_price(Decimal("100.00"), contract, Decimal(1), Decimal(50))
    Decimal('101.0')
    """
    unit = Decimal(instrument["price_unit"])
    moved = price + sum(_up(price * part / _BPS, unit) for part in (slippage_bps, buffer_bps))
    return _up(moved, _tick_of(moved, instrument))


def _tick_of(price: Decimal, instrument: Row) -> Decimal:
    """Step of an order's price: fixed, or by significant digits, of which whole prices are exempt."""
    tick, digits = Decimal(instrument["tick"]), instrument["significant_digits"]
    if not digits:
        return tick
    step = Decimal(1).scaleb(price.adjusted() + 1 - digits)
    whole_prices = Decimal(1) % Decimal(instrument["price_unit"]) == 0
    return max(min(step, Decimal(1)) if whole_prices else step, tick)


def _book(moment: Moment) -> _Book:
    own = moment.equity
    by_base: dict[str, Decimal] = {}
    for position in moment.positions:
        base = base_and_quote(position["symbol"])[0]
        by_base[base] = by_base.get(base, Decimal(0)) + position["qty"] * position["mark_price"]
    symbols = {position["symbol"] for position in moment.positions}
    free = own["cash"] - own["margin"]
    gross = sum(by_base.values(), Decimal(0))
    ordered = 0 if entries_count(moment.policy) else moment.exits_ordered
    return _Book(own["equity"], free, gross, by_base, len(moment.positions), symbols, ordered)


def _asked(row: Row, moment: Moment) -> _Asked | None:
    """The entry with its limits; None where one of them, or its instrument, is not recorded."""
    limits = {name: own["value"] for name, own in json.loads(row["effective_limits"]).items()}
    instrument = next((own for own in moment.deployment["instruments"] if own["symbol"] == row["symbol"]), None)
    if instrument is None or not limits.keys() >= LIMITS:
        return None
    costs, qty, price = moment.policy["costs"], row["approved_qty"], row["intended_price"]
    fee = instrument["taker_fee_rate"] if costs["taker_fee_bps"] is None else Decimal(costs["taker_fee_bps"]) / _BPS
    slippage = Decimal(costs["slippage_bps"])
    worst = qty * worst_price(price, instrument, slippage, Decimal(limits["price_buffer_bps"]))
    leverage = Decimal(limits["margin_leverage_bps"]) / _BPS
    spot = instrument["market_type"] == "spot"
    required = _up(worst * Decimal(fee), ATOM) + (worst if spot else _up(worst / leverage, ATOM))
    notional = qty * price
    return _Asked(row, limits, instrument, qty, price, notional, required, _up(notional / leverage, ATOM))


def _count(asked: _Asked, book: _Book) -> None:
    base = base_and_quote(asked.row["symbol"])[0]
    book.free_cash -= asked.required
    book.gross += asked.notional
    book.by_base[base] = book.by_base.get(base, Decimal(0)) + asked.notional
    book.positions += 1
    book.symbols.add(asked.row["symbol"])
    book.ordered += 1


def _findings(asked: _Asked, book: _Book, moment: Moment, before: Before) -> Iterator[Finding]:
    yield from _of_the_order(asked, book)
    yield from _of_the_position(asked, book, moment)
    yield from _of_the_account(asked, book, moment)
    yield from _of_the_pace(asked, book, moment, before)
    yield from _of_the_market(asked, book, moment)


def _of_the_order(asked: _Asked, book: _Book) -> Iterator[Finding]:
    limits, instrument = asked.limits, asked.instrument
    proposed, canary = asked.row["proposed_qty"], Decimal(limits["size_bps"]) / _BPS
    if asked.qty > proposed * canary:
        yield R.INVALID_QTY, asked.qty, proposed * canary
    for value, most in ((asked.notional, LARGEST_NOTIONAL), (book.equity, LARGEST_EQUITY)):
        if value > most:
            yield R.INVALID_QTY, value, most
    if asked.qty < Decimal(instrument["min_qty"]):
        yield R.MIN_QTY, asked.qty, Decimal(instrument["min_qty"])
    least = max(Decimal(limits["min_order_notional"]), Decimal(instrument["min_notional"]))
    if asked.notional < least:
        yield R.MIN_ORDER_NOTIONAL, asked.notional, least
    yield from _over(R.MAX_ORDER_NOTIONAL, asked.notional, Decimal(limits["max_order_notional"]))


def _of_the_position(asked: _Asked, book: _Book, moment: Moment) -> Iterator[Finding]:
    limits = asked.limits
    if most_qty := Decimal(limits["max_position_qty"]):
        yield from _over(R.MAX_POSITION_QTY, asked.qty, most_qty)
    yield from _over(R.MAX_POSITION_NOTIONAL, asked.notional, Decimal(limits["max_position_notional"]))
    of_equity = _share(book.equity, limits["max_position_pct_equity_bps"])
    yield from _over(R.MAX_POSITION_PCT_EQUITY, asked.notional, of_equity)
    yield from _over(R.MAX_OPEN_POSITIONS, Decimal(book.positions + 1), Decimal(limits["max_open_positions"]))
    whole = book.equity
    if entries_count(moment.policy):
        whole = book.gross + asked.notional + max(book.free_cash - asked.margin, Decimal(0))
    in_base = book.by_base.get(base_and_quote(asked.row["symbol"])[0], Decimal(0)) + asked.notional
    most = _share(whole, limits["max_symbol_concentration_bps"])
    yield from _over(R.MAX_SYMBOL_CONCENTRATION, in_base, most)


def _of_the_account(asked: _Asked, book: _Book, moment: Moment) -> Iterator[Finding]:
    limits, own = asked.limits, moment.equity
    yield from _over(R.INSUFFICIENT_BALANCE, asked.required, book.free_cash)
    yield from _over(R.MAX_LEVERAGE, book.gross + asked.notional, _share(book.equity, limits["max_leverage_bps"]))
    opened, peak = own["day_open_equity"], own["peak_equity"]
    yield from _over(R.MAX_DAILY_LOSS, opened - book.equity, _share(opened, limits["max_daily_loss_bps"]))
    yield from _over(R.MAX_DRAWDOWN, peak - book.equity, _share(peak, limits["max_drawdown_bps"]))
    may_short = asked.instrument["market_type"] != "spot" and limits["allow_short"]
    if asked.row["side"] == "sell" and not may_short:
        yield R.SHORT_NOT_ALLOWED, None, None


def _of_the_pace(asked: _Asked, book: _Book, moment: Moment, before: Before) -> Iterator[Finding]:
    limits, at = asked.limits, moment.at
    if most := limits["max_orders_per_window"]:
        since = at - timedelta(seconds=limits["order_window_seconds"])
        recent = sum(since < other < at for other in before.ordered) + book.ordered
        yield from _over(R.RATE_LIMITED, Decimal(recent + 1), Decimal(most))
    earlier = [other for other in before.ordered if other < at]
    last = at if book.ordered else max(earlier, default=None)
    for code, event, key in (
        (R.ORDER_GAP, last, "order_gap_seconds"),
        (R.COOLDOWN, before.exits.get(asked.row["symbol"]), "cooldown_seconds"),
    ):
        if event is not None and at - event < timedelta(seconds=limits[key]):
            yield code, Decimal(int((at - event).total_seconds())), Decimal(limits[key])


def _of_the_market(asked: _Asked, book: _Book, moment: Moment) -> Iterator[Finding]:
    symbol, masks, policy = asked.row["symbol"], moment.masks, moment.policy
    bar = moment.bars.get(symbol)
    refusing = (
        (R.DUPLICATE, symbol in book.symbols),
        (R.STALE_CANDLES, bar is None or bar[4] == 0 or moment.tick["status"] != "done"),
        (R.NO_PRICE, asked.price <= 0),
        (R.SYMBOL_NOT_ALLOWED, symbol not in masks["universe"]),
        (R.SYMBOL_DISABLED, asked.instrument["state"] != "tradable"),
        (R.KILL_SWITCH, moment.tick["kill_switch"] == "halt_all" or masks["halt"] == 2),
        (R.CLOSE_ONLY, moment.tick["kill_switch"] == "close_only" or masks["halt"] == 1),
        (R.PAUSED, policy["paused"]),
        (R.MODE_FORBIDS, policy["mode"] == "manual" or moment.tick["mode"] == "manual"),
        (R.STATE_UNCERTAIN, not moment.reconciled),
    )
    yield from ((code, None, None) for code, refuses in refusing if refuses)
    if code := masks["controls"].get(symbol, 0):
        yield R(code), None, None


def _over(code: R, measured: Decimal, limit: Decimal) -> Iterator[Finding]:
    if measured > limit:
        yield code, measured, limit


def _share(amount: Decimal, bps: int) -> Decimal:
    return (max(amount, Decimal(0)) * bps / _BPS).quantize(ATOM, ROUND_FLOOR)


def _up(amount: Decimal, step: Decimal) -> Decimal:
    return (amount / step).to_integral_value(ROUND_CEILING) * step
