"""Limit checks of an entry. Each gives the code, the measured value and the limit; the first failing one decides.

The order is that of `RejectCode`. Exits are not judged here: they reduce risk, and only `halt_all` stops them (`step`).
What cannot be known inside (quotes, mode, budget, lists) arrives as one control code per symbol and takes its place in
the same order. Units of measured and limit follow the check: lots, atoms, basis points, counts or seconds.
"""

from typing import Any, NamedTuple

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.kernel.base.jit import compiled, inlined
from openclaw_pipelines.kernel.base.layout import BarState, Halt
from openclaw_pipelines.kernel.base.money import (
    EQUITY_MAX,
    NOTIONAL_MAX,
    entry_cost,
    margin_of,
    mul_div_up,
    notional_of,
    rate_up,
    round_price,
    share,
)
from openclaw_pipelines.kernel.base.primitives import mul, to_int

_NONE = int(RejectCode.NONE)
_QTY_ZERO, _INVALID_QTY, _MIN_QTY = int(RejectCode.QTY_ZERO), int(RejectCode.INVALID_QTY), int(RejectCode.MIN_QTY)
_MIN_ORDER_NOTIONAL, _MAX_ORDER_NOTIONAL = int(RejectCode.MIN_ORDER_NOTIONAL), int(RejectCode.MAX_ORDER_NOTIONAL)
_MAX_POSITION_QTY = int(RejectCode.MAX_POSITION_QTY)
_MAX_POSITION_NOTIONAL = int(RejectCode.MAX_POSITION_NOTIONAL)
_MAX_POSITION_PCT_EQUITY = int(RejectCode.MAX_POSITION_PCT_EQUITY)
_MAX_OPEN_POSITIONS = int(RejectCode.MAX_OPEN_POSITIONS)
_MAX_SYMBOL_CONCENTRATION = int(RejectCode.MAX_SYMBOL_CONCENTRATION)
_INSUFFICIENT_BALANCE, _MAX_LEVERAGE = int(RejectCode.INSUFFICIENT_BALANCE), int(RejectCode.MAX_LEVERAGE)
_MAX_DAILY_LOSS, _MAX_DRAWDOWN = int(RejectCode.MAX_DAILY_LOSS), int(RejectCode.MAX_DRAWDOWN)
_SHORT_NOT_ALLOWED = int(RejectCode.SHORT_NOT_ALLOWED)
_RATE_LIMITED, _ORDER_GAP, _COOLDOWN = int(RejectCode.RATE_LIMITED), int(RejectCode.ORDER_GAP), int(RejectCode.COOLDOWN)
_DUPLICATE, _STALE_CANDLES, _NO_PRICE = (
    int(RejectCode.DUPLICATE),
    int(RejectCode.STALE_CANDLES),
    int(RejectCode.NO_PRICE),
)
_SYMBOL_NOT_ALLOWED = int(RejectCode.SYMBOL_NOT_ALLOWED)
_KILL_SWITCH, _CLOSE_ONLY = int(RejectCode.KILL_SWITCH), int(RejectCode.CLOSE_ONLY)
_MISSING = int(BarState.MISSING)
_HALT_ALL, _HALT_CLOSE_ONLY = int(Halt.HALT_ALL), int(Halt.CLOSE_ONLY)


class Check(NamedTuple):
    """A refusal with its numbers; code 0 passes."""

    code: int
    measured: int
    limit: int


class Book(NamedTuple):
    """What a tick's approvals add up to, including open positions."""

    equity: int
    free_cash: int
    """Less what approved entries of this tick have reserved."""
    gross_exposure: int
    group_exposure: int
    """Of the instruments on the same base asset as the one judged."""
    open_positions: int
    symbol_orders: int
    """Above 0 where the symbol has a position, a pending order or an approved one."""
    recent_orders: int
    last_order_at: int


class Asked(NamedTuple):
    """The entry being judged, at its approved quantity."""

    side: int
    qty: int
    price: int
    notional: int
    required: int
    """Free cash that approval reserves."""


@compiled
def size_qty(equity: int, position_bps: int, size: float, price: int, instrument: Any) -> int:
    """Lots worth `size` (0 to 1) of `position_bps` of the equity, rounded down."""
    if price <= 0:
        return 0
    budget = min(share(equity, position_bps), NOTIONAL_MAX)
    spend = to_int(mul(float(budget), size), 0, budget)
    lots: int = spend // (price * instrument.mult)
    return lots


@inlined
def distance_units(distance: float) -> int:
    """A float distance as whole price units, rounded up; 0 for none and for NaN.

    >>> distance_units(2.1), distance_units(float("nan"))
    (3, 0)
    """
    whole = to_int(distance, 0, 9_007_199_254_740_992)
    if distance > whole:
        whole += 1
    return whole


@compiled
def worst_price(price: int, instrument: Any, account_limits: Any) -> int:
    """Price up to which approval reserves cash: up by slippage and the price buffer, whatever the side."""
    worst = price + rate_up(price, account_limits.slippage_rate)
    worst += mul_div_up(price, account_limits.price_buffer_bps, 10_000)
    worst_on_tick: int = round_price(worst, instrument, True)  # noqa: FBT003 - keywords cost inlining
    return worst_on_tick


@compiled
def required_cash(qty: int, price: int, instrument: Any, leverage_bps: int, account_limits: Any) -> int:
    """Free cash reserved for an entry: margin and fee at the worst price."""
    worst = worst_price(price, instrument, account_limits)
    return entry_cost(notional_of(qty, worst, instrument), instrument, leverage_bps)


@compiled
def check_entry(
    asked: Asked, book: Book, symbol: Any, position: Any, instrument: Any, limits: Any, account: Any,
    account_limits: Any, tick_at: int,
) -> Check:  # fmt: skip
    """First failing check of an entry, in the order of `RejectCode`."""
    check = check_order(asked, instrument, limits, book.equity)
    if check.code == _NONE:
        check = check_position(asked, book, limits, account_limits)
    if check.code == _NONE:
        check = check_account(asked, book, instrument, account, account_limits)
    if check.code == _NONE:
        check = check_flow(book, position, account_limits, tick_at)
    if check.code == _NONE:
        check = check_market(asked, book, symbol, account_limits)
    if symbol.control != 0 and (check.code == _NONE or symbol.control < check.code):
        check = Check(symbol.control, 1, 0)
    return check


@compiled
def check_order(asked: Asked, instrument: Any, limits: Any, equity: int) -> Check:
    """The order by itself. INVALID_QTY is also given where the account is beyond the kernel's exact range."""
    if asked.qty == 0:
        return Check(_QTY_ZERO, 0, 1)
    if asked.qty < 0 or asked.notional < 0 or asked.notional > NOTIONAL_MAX:
        return Check(_INVALID_QTY, asked.qty, NOTIONAL_MAX)
    if equity > EQUITY_MAX:
        return Check(_INVALID_QTY, equity, EQUITY_MAX)
    if asked.qty < instrument.min_qty:
        return Check(_MIN_QTY, asked.qty, instrument.min_qty)
    least = max(instrument.min_notional, limits.min_order_notional)
    if asked.notional < least:
        return Check(_MIN_ORDER_NOTIONAL, asked.notional, least)
    if asked.notional > limits.max_order_notional:
        return Check(_MAX_ORDER_NOTIONAL, asked.notional, limits.max_order_notional)
    return Check(_NONE, 0, 0)


@compiled
def check_position(asked: Asked, book: Book, limits: Any, account_limits: Any) -> Check:
    """The position the order would make."""
    if asked.qty > limits.max_position_qty:
        return Check(_MAX_POSITION_QTY, asked.qty, limits.max_position_qty)
    if asked.notional > limits.max_position_notional:
        return Check(_MAX_POSITION_NOTIONAL, asked.notional, limits.max_position_notional)
    limit = share(book.equity, limits.max_position_bps)
    if asked.notional > limit:
        return Check(_MAX_POSITION_PCT_EQUITY, asked.notional, limit)
    if book.open_positions + 1 > account_limits.max_open_positions:
        return Check(_MAX_OPEN_POSITIONS, book.open_positions + 1, account_limits.max_open_positions)
    limit = share(_concentrated_in(asked, book, limits, account_limits), limits.max_concentration_bps)
    if book.group_exposure + asked.notional > limit:
        return Check(_MAX_SYMBOL_CONCENTRATION, book.group_exposure + asked.notional, limit)
    return Check(_NONE, 0, 0)


@inlined
def _concentrated_in(asked: Asked, book: Book, limits: Any, account_limits: Any) -> int:
    """What concentration is a share of: gross exposure and free cash as they are after the order, before its fee."""
    if account_limits.first_rules:
        return book.equity
    return (
        book.gross_exposure + asked.notional + max(book.free_cash - margin_of(asked.notional, limits.leverage_bps), 0)
    )


@compiled
def check_account(asked: Asked, book: Book, instrument: Any, account: Any, account_limits: Any) -> Check:
    """What the account can bear: cash, leverage, today's loss, drawdown, and whether it may be short."""
    if asked.required > book.free_cash:
        return Check(_INSUFFICIENT_BALANCE, asked.required, book.free_cash)
    limit = share(book.equity, account_limits.max_leverage_bps)
    if book.gross_exposure + asked.notional > limit:
        return Check(_MAX_LEVERAGE, book.gross_exposure + asked.notional, limit)
    lost, limit = (
        account.day_open_equity - book.equity,
        share(account.day_open_equity, account_limits.max_daily_loss_bps),
    )
    if lost > limit:
        return Check(_MAX_DAILY_LOSS, lost, limit)
    lost, limit = account.peak_equity - book.equity, share(account.peak_equity, account_limits.max_drawdown_bps)
    if lost > limit:
        return Check(_MAX_DRAWDOWN, lost, limit)
    if asked.side < 0 and (instrument.is_perp == 0 or account_limits.shorts_allowed == 0):
        return Check(_SHORT_NOT_ALLOWED, asked.side, 0)
    return Check(_NONE, 0, 0)


@compiled
def check_flow(book: Book, position: Any, account_limits: Any, tick_at: int) -> Check:
    """How often entries are made, in tick time."""
    if book.recent_orders + 1 > account_limits.max_orders_per_window:
        return Check(_RATE_LIMITED, book.recent_orders + 1, account_limits.max_orders_per_window)
    waited = tick_at - book.last_order_at
    if book.last_order_at >= 0 and waited < account_limits.order_gap_seconds:
        return Check(_ORDER_GAP, waited, account_limits.order_gap_seconds)
    rested = tick_at - position.last_exit_at
    if position.last_exit_at >= 0 and rested < account_limits.cooldown_seconds:
        return Check(_COOLDOWN, rested, account_limits.cooldown_seconds)
    return Check(_NONE, 0, 0)


@compiled
def check_market(asked: Asked, book: Book, symbol: Any, account_limits: Any) -> Check:
    """Duplicates, absent bars and prices, the universe and the kill switch."""
    if book.symbol_orders > 0:
        return Check(_DUPLICATE, book.symbol_orders, 0)
    if symbol.bar_state == _MISSING:
        return Check(_STALE_CANDLES, 1, 0)
    if asked.price <= 0:
        return Check(_NO_PRICE, asked.price, 1)
    if symbol.in_universe == 0:
        return Check(_SYMBOL_NOT_ALLOWED, 0, 1)
    if account_limits.halt == _HALT_ALL:
        return Check(_KILL_SWITCH, _HALT_ALL, _HALT_CLOSE_ONLY)
    if account_limits.halt == _HALT_CLOSE_ONLY:
        return Check(_CLOSE_ONLY, _HALT_CLOSE_ONLY, 0)
    return Check(_NONE, 0, 0)
