"""Record layouts of the kernel: what a tick may read, what it carries on and what it writes.

Every field is eight bytes wide, so that a record has no padding and its bytes are canonical; `state_bytes` keeps them.
Units: money in atoms (1e-8 of the quote currency), prices in units of the instrument, quantities in kernel lots, rates
in 1e-10, shares in basis points, times in whole seconds since the epoch, UTC. Arithmetic on them is in `money`, rules
are in `fills`, `risk` and `step`.

Arrays are record arrays, so that `array[i].field` means the same with and without the compiler.
"""

from collections import namedtuple
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    Records = Any  # fields are known at run time only
    Record = Any
else:
    Records = np.recarray
    Record = np.record | tuple
"""A record array: `array[i].field`, and `array.field` as a column; one record of it, or of `plain`."""

RING_SIZE = 64
"""Ordered entries whose times are remembered; `max_orders_per_window` cannot exceed it."""
EVENTS_PER_SYMBOL = 6
"""Most events one symbol can cause in one tick: funding, exit, reduced or refused entry, entry, protective exit."""
PROPOSALS_PER_SYMBOL = 2
"""Most proposals of one symbol in one tick: the strategy's own and one from outside."""
NO_LIMIT = 2**62
"""A limit in lots or atoms that never binds."""


class BarState(IntEnum):
    """What the bar of a symbol allows. A synthetic bar stands in for one that never was, so it counts as missing.

    A bar without an open was built of parts of which the first is absent: nothing fills at its open.
    """

    MISSING = 0
    TRADABLE = 1
    UNFILLABLE = 2
    NO_OPEN = 3
    """Its beginning is missing: what is stored as its open is a later price, at which no order fills."""


TRADED = 1
"""Bit of a BarState: the bar's range and close are those of trades, so that protective levels are held against it."""


class Halt(IntEnum):
    """The kill switch as the kernel sees it."""

    OFF = 0
    CLOSE_ONLY = 1
    HALT_ALL = 2


class Profile(IntEnum):
    """Candle rules; the names in lower case are what users write."""

    STRICT = 0
    FREQTRADE = 1


class EventKind(IntEnum):
    """What happened inside a bar. Only FILL and FUNDING move cash."""

    FILL = 1
    FUNDING = 2
    ENTRY_EXPIRED = 3
    INSUFFICIENT = 4
    REDUCED = 5


def _dtype(integers: str, floats: str = "") -> np.dtype[np.void]:
    fields = [(name, np.int64) for name in integers.split()] + [(name, np.float64) for name in floats.split()]
    return np.dtype((np.record, fields))  # of records from the start: a view as recarray then takes a fifth of the time


INSTRUMENT = _dtype(
    "mult"  # atoms per price unit and kernel lot
    " step_units"  # tick in price units; the finest one where it follows the price
    " significant_digits"  # of an order's price; 0 where the tick is fixed
    " max_step_units"  # tick never grows beyond this (whole prices are always allowed); 0 where the tick is fixed
    " min_qty"  # lots
    " min_notional"  # atoms
    " is_perp"  # 1 linear perpetual, 0 spot
    " taker_rate liquidation_rate"  # 1e-10 of the notional
    " maintenance_bps max_leverage_bps"
    " group"  # instruments on the same base asset share one, for concentration
)

SYMBOL_TICK = _dtype(
    "open high low close"  # price units
    " bar_state"  # BarState
    " funding_rate"  # due at the bar's open, 1e-10 of the notional, longs pay a positive one; 0 none
    " funding_inside"  # the same, of all stamps after the open and before the close, added up
    " in_universe"  # 0: close-only
    " control",  # RejectCode that refuses entries, or 0
    "volume",
)

LIMITS = _dtype(
    "min_order_notional max_order_notional max_position_notional"  # atoms
    " max_position_qty"  # lots
    " max_position_bps"  # of equity
    " max_concentration_bps"  # of gross exposure and free cash together
    " leverage_bps"  # 10_000 is 1x; margin of a perpetual is notional / leverage
    " size_bps"  # canary: the part of the proposed quantity that is approved
)

ACCOUNT_LIMITS = _dtype(
    "max_open_positions"
    " max_leverage_bps"  # gross exposure over equity
    " max_daily_loss_bps"  # of the equity at 00:00
    " max_drawdown_bps"  # of the peak equity
    " max_orders_per_window window_seconds order_gap_seconds cooldown_seconds"
    " shorts_allowed"  # 1 or 0
    " price_buffer_bps"  # adverse move until the fill for which approval reserves cash
    " slippage_rate"  # 1e-10 of the price, against the account
    " halt"  # Halt
    " executes"  # which approved entries become orders: 0 none, 1 those from outside, 2 all; exits always do
    " first_rules"  # 1: exits count as orders too and concentration is a share of equity, as in the first ledgers
)

ACCOUNT = _dtype(
    "cash margin"  # margin: sum over open perpetuals, part of cash
    " realized fees funding"  # running totals; fees are positive, funding is what was received
    " day"  # days since the epoch of the last daily baseline
    " day_open_equity peak_equity equity"  # equity: at the last tick
    " last_tick"  # -1 before the first
    " last_order_at"  # of an entry, -1 before the first
    " order_count"  # entries ordered so far; the ring's write position follows from it
    " pending_entries"
)

POSITION = _dtype(
    "qty"  # signed lots
    " entry_price margin"
    " stop target trail_stop liquidation"  # price units; 0 none
    " trail_distance"  # price units; 0 none
    " entry_at"  # open of the bar it was filled in
    " decided_at"  # tick of the entry's decision
    " bars_held"
    " last_price"  # last close of a bar that could be traded
    " stale"  # 1: valued at an older close
    " last_exit_at"  # tick at which the last exit was settled, -1 before the first
    " last_signal"  # side of the entry signal at the last observed bar
    " entry_fee funding"  # of the open position, atoms
    " pending_action pending_side pending_qty pending_price"  # Action, Side, lots, the intended price
    " pending_stop pending_target pending_trail"  # distances in price units; 0 none
    " pending_rank pending_reason pending_decided_at pending_reserved pending_leverage_bps"
)

PROPOSAL = _dtype(
    "symbol"  # column
    " action side"  # Action, Side
    " qty"  # proposed lots, positive
    " price"  # intended price: the close at the tick
    " stop_distance target_distance trail_distance"  # price units, 0 none
    " reason"  # ExitReason of an exit
    " external"  # 1: from a model or an operator
    " code measured limit"  # RejectCode with the numbers that decided it
    " approved_qty rank reserved",
    "confidence",
)

ENTER_LONG, ENTER_SHORT, LEAVE_LONG, LEAVE_SHORT = 1, 2, 4, 8
"""Bits of a flag: what is wanted of a symbol at a bar, without the numbers of an entry."""

WHOLE = 2**62
"""What `part` and `confidence` of a SIGNAL are counted in: every float64 from 2**-10 to 1 is a whole number of it."""

SIGNAL = _dtype(
    "side"  # to be entered: Side, 0 none
    " leave_long leave_short"  # 1: a position of that side is to be left
    " stop target trail"  # distances of the entry in price units, 0 none
    " size_bps"  # notional of a full position, of equity
    " part"  # of a full position that is entered, in 1 / WHOLE
    " confidence"  # of the entry, in 1 / WHOLE
    " tag"  # the planner's own number for what it saw
)

EVENT = _dtype(
    "kind symbol leg side qty"  # EventKind, column, Leg, Side of the order, lots
    " price intended_price"  # price units; a stop's or target's own price is its intended price
    " fee cash_change realized"  # atoms; cash_change includes the fee
    " reason"  # ExitReason of an exit
    " at"  # open of the bar
    " decided_at"  # tick of the decision that owns the order
    " entry_decided_at"  # tick of the entry that the closed position came from
)


class State(NamedTuple):
    """What a sub-account carries from tick to tick. Arrays are changed in place."""

    account: Records
    """ACCOUNT[1]"""
    positions: Records
    """POSITION[S]"""
    indicators: NDArray[np.float64]
    """[S, W]; `indicators.new_indicators` says what a row holds"""
    order_times: NDArray[np.int64]
    """[RING_SIZE] ticks of the latest ordered entries"""


class Tick(NamedTuple):
    """One tick's bars. `at` is the close time of the bars."""

    at: int
    symbols: Records
    """SYMBOL_TICK[S]"""


class Wanted(NamedTuple):
    """What is wanted of one symbol at a closed bar, whoever plans. A float is exact: no rounding happens on the way.

    entry: side to enter (-1, 0, 1). exit: 0 or the ExitReason for the position held. confidence: 0 to 1.
    stop, target, trail: distances in price units, 0 = none. size: part of a full position, in [0, 1].
    """

    entry: int
    exit: int
    confidence: float
    stop: float
    target: float
    trail: float
    size: float


class Context(NamedTuple):
    """What stays the same over a deployment."""

    instruments: Records
    """INSTRUMENT[S]"""
    params: NDArray[np.void]
    """PARAMS[1], see `params`"""
    interval_seconds: int
    profile: int = 0
    """The number of a `Profile`, a plain int for the compiler"""


def records(dtype: np.dtype[np.void], n: int) -> Records:
    """`n` zeroed records.

    >>> position = records(POSITION, 2)[1]
    >>> int(position.qty)
    0
    """
    return np.zeros(n, dtype).view(np.recarray)


def plain(records: Records) -> list[Record]:
    """Records as tuples with the same names, of Python numbers; each field read off a record takes a microsecond.

    >>> plain(records(POSITION, 2))[1].qty
    0
    """
    made = _names(records.dtype)._make
    return [made(row) for row in records.tolist()]


@lru_cache(maxsize=32)
def _names(dtype: np.dtype[np.void]) -> Any:
    return namedtuple("Plain", dtype.names or ())


def new_limits(n_symbols: int) -> Records:
    """LIMITS under which nothing binds but the range of the kernel: 1x, full size, ten million quote per position."""
    return _LIMITS.repeat(n_symbols).view(np.recarray)


def new_account_limits(**fields: int) -> Records:
    """ACCOUNT_LIMITS under which nothing binds but `fields`."""
    values = dict(zip(ACCOUNT_LIMITS.names or (), _ACCOUNT_LIMITS.item(), strict=True)) | fields
    return np.array([tuple(values.values())], ACCOUNT_LIMITS).view(np.recarray)


def _record(dtype: np.dtype[np.void], **fields: int) -> Any:
    record = np.zeros((), dtype)
    for name, value in fields.items():
        record[name] = value
    return record


_LIMITS = _record(
    LIMITS,
    max_order_notional=10**15,
    max_position_notional=10**15,
    max_position_qty=NO_LIMIT,
    max_position_bps=1_000_000,
    max_concentration_bps=1_000_000,
    leverage_bps=10_000,
    size_bps=10_000,
)
_ACCOUNT_LIMITS = _record(
    ACCOUNT_LIMITS,
    max_open_positions=NO_LIMIT,
    max_leverage_bps=1_000_000,
    max_daily_loss_bps=1_000_000,
    max_drawdown_bps=1_000_000,
    max_orders_per_window=RING_SIZE,
    shorts_allowed=1,
    executes=2,
)


def new_state(indicators: NDArray[np.float64], capital: int, inception: int) -> State:
    """A flat account.

    Args:
        indicators: [S, W] rows, warmed or not; copied.
        capital: atoms.
        inception: seconds; the day it falls in is the first day, its baseline is the capital.
    """
    n_symbols = indicators.shape[0]
    account, positions = records(ACCOUNT, 1), records(POSITION, n_symbols)
    account.cash = account.equity = account.day_open_equity = account.peak_equity = capital
    account.day = inception // 86_400
    account.last_tick = account.last_order_at = -1
    positions.last_exit_at = -1
    return State(account, positions, indicators.copy(), np.full(RING_SIZE, -1, np.int64))


def copy_state(state: State) -> State:
    """An independent copy."""
    return State(state.account.copy(), state.positions.copy(), state.indicators.copy(), state.order_times.copy())
