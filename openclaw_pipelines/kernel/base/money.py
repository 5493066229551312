"""Integer money: atoms, rates, price steps, margins, and the proof that none of it overflows.

Every rounding goes against the account. What an order may cost is in `risk`, what it did cost in `fills`.
Conversions from `Decimal` and float are at the end; they run on the host, before and after a run.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel.base.jit import compiled, inlined
from openclaw_pipelines.kernel.base.layout import Record, Records, State, plain

ATOM = Decimal("1e-8")
RATE_UNIT = Decimal("1e-10")
MAX_RATE = 900_000_000
"""Nine percent: the largest rate whose product with a remainder of D fits int64."""
MAX_BPS = 1_000_000
CAPITAL_MAX = 10**15
"""Ten million quote units, the largest capital a run may start with."""
EQUITY_MAX = 9 * 10**16
"""900 million quote units; an account beyond it opens nothing more, so cash stays in range."""
NOTIONAL_MAX = 10**17
"""Largest notional of one order that is looked at, so that its checks cannot overflow."""
INT64_MAX = 2**63 - 1
_signed = cast("Any", np.int64)  # of an unsigned number; to the compiled code it is an int


class MoneyRangeError(KernelError):
    """A run could leave the range in which integer money is exact."""

    template = "{what} of {where} is {value}, outside the exact range up to {limit}. {advice}"
    what: str
    where: str
    value: Decimal | int
    limit: int | str
    advice: str


class PriceUnitError(KernelError):
    """A price that is no multiple of its instrument's price unit."""

    template = (
        "{symbol}: price {value} in row {row} is no multiple of the price unit {unit}. Correct the bar or the unit."
    )
    symbol: str
    row: int
    value: float
    unit: Decimal


@inlined
def quotient(amount: int, by: int) -> int:
    """`amount // by` of numbers of 0 or more: an unsigned division needs none of a signed one's care.

    >>> int(quotient(9 * 10**18, 10_000))
    900000000000000
    """
    whole: int = _signed(np.uint64(amount) // np.uint64(by))
    return whole


@inlined
def rate_up(amount: int, rate: int) -> int:
    """`amount * rate` rounded up, for what the account pays: fees, slippage, funding.

    amount: 0 or more. rate: 1e-10, 0 to MAX_RATE.

    >>> rate_up(10**12 + 1, 5_000_000)  # 5 bps of 10,000.00000001
    500000001
    """
    whole = quotient(amount, 10_000_000_000)
    rest = (amount - whole * 10_000_000_000) * rate
    return whole * rate + quotient(rest + 9_999_999_999, 10_000_000_000)


@inlined
def rate_down(amount: int, rate: int) -> int:
    """`amount * rate` rounded down, for what the account receives."""
    whole = quotient(amount, 10_000_000_000)
    rest = (amount - whole * 10_000_000_000) * rate
    return whole * rate + quotient(rest, 10_000_000_000)


@compiled
def funding_of(side: int, notional: int, rate: int) -> int:
    """What a position of this notional receives, negative where it pays: longs pay a positive rate.

    rate: 1e-10, also of several stamps together and so beyond MAX_RATE; exact up to ninety times the notional.

    >>> funding_of(1, 10**12 + 1, 10_000_000), funding_of(-1, 10**12 + 1, 10_000_000)
    (-1000000001, 1000000000)
    """
    pays, rate = (side > 0) == (rate > 0), abs(rate)
    whole = quotient(notional, 10_000_000_000)
    rest = notional - whole * 10_000_000_000
    high = quotient(rest, 100_000)
    upper = high * rate  # in 1e-5 of an atom: the product of all of rest could leave int64
    carried = quotient(upper, 100_000)
    lower = (upper - carried * 100_000) * 100_000 + (rest - high * 100_000) * rate
    total = whole * rate + carried
    if pays:
        return -(total + quotient(lower + 9_999_999_999, 10_000_000_000))
    return total + quotient(lower, 10_000_000_000)


@inlined
def mul_div(amount: int, times: int, by: int) -> int:
    """`amount * times / by` rounded down; all of them 0 or more. Exact while the result and `by * times` fit int64.

    >>> mul_div(9 * 10**16, 1_000_000, 10_000)
    9000000000000000000
    """
    whole = quotient(amount, by)
    return whole * times + quotient((amount - whole * by) * times, by)


@inlined
def mul_div_up(amount: int, times: int, by: int) -> int:
    """`amount * times / by` rounded up; range as `mul_div`."""
    whole = quotient(amount, by)
    return whole * times + quotient((amount - whole * by) * times + by - 1, by)


@inlined
def share(equity: int, bps: int) -> int:
    """`bps` of the equity: 0 for a negative one, and never of more than EQUITY_MAX."""
    return mul_div(min(max(equity, 0), EQUITY_MAX), bps, 10_000)


@compiled
def price_step(price: int, step_units: int, significant_digits: int, max_step_units: int) -> int:
    """Tick at `price`, in price units: fixed, or following the significant digits.

    >>> price_step(1_234_567, 1, 5, 0)  # five digits: 12,345.67 moves in steps of 1.00
    100
    >>> price_step(1_234_567, 1, 5, 10)
    10
    """
    if significant_digits == 0:
        return step_units
    first_too_long = 1
    for _ in range(significant_digits):
        first_too_long *= 10
    step = 1
    while price >= first_too_long * step:
        step *= 10
    if max_step_units > 0:
        step = min(step, max_step_units)
    return max(step, step_units)


@inlined
def round_price(price: int, instrument: Any, up: bool) -> int:  # noqa: FBT001 - keywords cost inlining
    """`price` on the instrument's tick, `up` or down; a positive price stays positive."""
    if instrument.significant_digits == 0 and instrument.step_units == 1:
        return price
    step = price_step(price, instrument.step_units, instrument.significant_digits, instrument.max_step_units)
    excess = price % step
    if excess == 0:
        return price
    if up or price < step:
        return price - excess + step
    return price - excess


@inlined
def slipped(price: int, side: int, rate: int, instrument: Any) -> int:
    """Price of a market order on `side` (1 buys, -1 sells), `rate` worse than `price` and on the tick."""
    return round_price(max(price + side * rate_up(price, rate), 1), instrument, side > 0)


@inlined
def notional_of(qty: int, price: int, instrument: Any) -> int:
    """Atoms that `qty` lots (0 or more) are worth at `price`."""
    notional: int = qty * price * instrument.mult
    return notional


@inlined
def margin_of(notional: int, leverage_bps: int) -> int:
    """Isolated margin of a perpetual."""
    return mul_div_up(notional, 10_000, leverage_bps)


@inlined
def entry_cost(notional: int, instrument: Any, leverage_bps: int) -> int:
    """Free cash that an entry takes: its margin (a perpetual's) or all of it (spot), and the fee."""
    cost: int = rate_up(notional, instrument.taker_rate)
    cost += margin_of(notional, leverage_bps) if instrument.is_perp else notional
    return cost


@compiled
def affordable(free_cash: int, price: int, instrument: Any, leverage_bps: int) -> int:
    """Most lots whose `entry_cost` at `price` is within `free_cash`."""
    if free_cash <= 0:
        return 0
    per_lot = price * instrument.mult
    spendable = min(free_cash, EQUITY_MAX)
    if instrument.is_perp:
        spendable = min(mul_div(spendable, leverage_bps, 10_000), NOTIONAL_MAX)
    low, high = 0, spendable // per_lot
    while low < high:
        middle = low + (high - low + 1) // 2
        if entry_cost(middle * per_lot, instrument, leverage_bps) <= free_cash:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def liquidation_price(side: int, qty: int, entry_price: int, margin: int, instrument: Any) -> int:
    """Price at which margin and loss leave only the maintenance margin, rounded towards the market; 0 none.

    Solves margin + side * qty * (price - entry) = maintenance * qty * price for the price.
    """
    value, per_unit = notional_of(qty, entry_price, instrument), qty * instrument.mult
    if side > 0:
        owed = value - margin
        if owed <= 0:
            return 0
        above: int = -(-mul_div_up(owed, 10_000, 10_000 - instrument.maintenance_bps) // per_unit)
        return above
    below: int = mul_div(value + margin, 10_000, 10_000 + instrument.maintenance_bps) // per_unit
    return below


def to_atoms(value: Decimal) -> int:
    """Quote currency as atoms, rounded down.

    >>> to_atoms(Decimal("1.000000019"))
    100000001
    """
    return int((value / ATOM).to_integral_value(ROUND_FLOOR))


def from_atoms(atoms: int) -> Decimal:
    """Atoms as quote currency.

    >>> from_atoms(-150_000_000)
    Decimal('-1.50000000')
    """
    return Decimal(int(atoms)).scaleb(-8)


def to_rate(value: Decimal, where: str) -> int:
    """A rate in 1e-10, rounded up.

    Raises:
        MoneyRangeError: negative or above nine percent.
    """
    rate = int((value / RATE_UNIT).to_integral_value(ROUND_CEILING))
    if not 0 <= rate <= MAX_RATE:
        raise MoneyRangeError("rate", where, value, "0.09", "Give a share of one, 0.0005 is 5 bps.")
    return rate


def kernel_lot(price_unit: Decimal, lot: Decimal) -> tuple[Decimal, int]:
    """Smallest multiple of the exchange's lot that is worth whole atoms per price unit, and how many.

    >>> kernel_lot(Decimal("0.01"), Decimal("0.00001"))
    (Decimal('0.00001'), 10)
    >>> kernel_lot(Decimal("0.00001"), Decimal("0.0001"))  # a tenth of an atom each
    (Decimal('0.0010'), 1)
    """
    atoms, each = (price_unit * lot / ATOM).as_integer_ratio()
    return lot * each, atoms


def nearest_units(prices: NDArray[np.float64], unit: Decimal) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Prices in the nearest whole price units, and which of them lie on the unit within what `to_units` allows.

    >>> nearest_units(np.array([0.3, 0.35]), Decimal("0.1"))[1].tolist()
    [True, False]
    """
    exponent = int(unit.normalize().as_tuple().exponent)
    power_of_ten = unit == Decimal(1).scaleb(exponent) and exponent <= 0
    scaled = prices * float(10**-exponent) if power_of_ten else prices / float(unit)
    whole = np.rint(scaled)
    with np.errstate(invalid="ignore"):  # of infinities; they are refused below
        slack = np.minimum(1e-6 + 2 * np.spacing(np.abs(scaled)), 0.25)
        fits = (np.abs(scaled - whole) <= slack) & (whole >= 1) & (whole < 2**53)
    return whole, fits


def to_units(prices: NDArray[np.float64], unit: Decimal, symbol: str) -> NDArray[np.int64]:
    """Prices as whole price units.

    A price may be off by 1e-6 of a unit, and by what a float of its size cannot express.

    Raises:
        PriceUnitError: a price is off its unit; names the first such row.
    """
    whole, fits = nearest_units(prices, unit)
    wrong = np.flatnonzero(~fits)
    if wrong.size:
        row = int(wrong[0])
        raise PriceUnitError(symbol, row, float(prices[row]), unit)
    return whole.astype(np.int64)


def prove_ranges(
    instruments: Records,
    limits: Records,
    capital: int,
    price_low: NDArray[np.int64],
    price_high: NDArray[np.int64],
) -> None:
    """Prove that no number of a run over prices between `price_low` and `price_high` [S] leaves int64.

    A position is at most `max_position_notional` when decided, so at most that times highest over lowest price later;
    an account beyond EQUITY_MAX opens nothing; so cash never exceeds EQUITY_MAX plus what every position can be worth.

    Raises:
        MoneyRangeError: names the instrument's column and the number.
    """
    if not 0 < capital <= CAPITAL_MAX:
        raise MoneyRangeError("capital in atoms", "the account", capital, CAPITAL_MAX, "Give up to ten million quote.")
    reach = EQUITY_MAX
    for column, (instrument, limit) in enumerate(zip(plain(instruments), plain(limits), strict=True)):
        low, high = int(price_low[column]), int(price_high[column])
        if low < 1 or high < low:
            raise MoneyRangeError("price", f"column {column}", low, high, "Prices are positive multiples of the unit.")
        _prove_settings(column, instrument, limit)
        # 21/10: slippage on top of the highest price, and doubled where a liquidation price divides by 1 - maintenance
        largest = max(limit.max_position_notional, high * instrument.mult)
        reach += 2 * largest * (high * 21 // 10 // low + 1)
    if reach > INT64_MAX:
        advice = "Lower risk.max_position_notional, or start later: prices moved too far over the window."
        raise MoneyRangeError("reachable value in atoms", "the account", reach, INT64_MAX, advice)


def _prove_settings(column: int, instrument: Record, limit: Record) -> None:
    for name in ("taker_rate", "liquidation_rate"):
        _within(name, column, getattr(instrument, name), 0, MAX_RATE)
    _within("maintenance_bps", column, instrument.maintenance_bps, 0, 5_000)
    _within("mult", column, instrument.mult, 1, NOTIONAL_MAX)
    _within("max_position_notional", column, limit.max_position_notional, 0, NOTIONAL_MAX)
    _within("leverage_bps", column, limit.leverage_bps, 10_000, min(instrument.max_leverage_bps, MAX_BPS))
    if limit.leverage_bps * instrument.maintenance_bps >= 10**8:
        advice = "Lower the leverage: its margin must exceed the maintenance margin."
        raise MoneyRangeError("maintenance_bps", f"column {column}", instrument.maintenance_bps, "margin", advice)
    _within("size_bps", column, limit.size_bps, 0, 10_000)
    for name in ("max_position_bps", "max_concentration_bps"):
        _within(name, column, getattr(limit, name), 0, MAX_BPS)


def _within(name: str, column: int, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise MoneyRangeError(name, f"column {column}", value, high, f"It must lie between {low} and {high}.")


def prove_tick(state: State, symbols: Records, instruments: Records) -> None:
    """Prove the same for one live tick: no open or pending position leaves int64 at the tick's highest price.

    Raises:
        MoneyRangeError: names the position's column.
    """
    highest, multipliers = symbols["high"].tolist(), instruments["mult"].tolist()
    for column, position in enumerate(plain(state.positions)):
        lots = max(abs(position.qty), position.pending_qty)
        value = lots * multipliers[column] * max(highest[column], position.last_price)
        if 4 * value > INT64_MAX:
            advice = "The price moved beyond what the kernel can hold; flatten the position."
            raise MoneyRangeError("position value in atoms", f"column {column}", value, INT64_MAX // 4, advice)


Atoms = NDArray[np.int64]
