"""What can be traded, as Decimals, and its integer record for the compiled code.

Conversion rules are in `money`. The stored table is `instruments`; whoever reads it builds these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import cached_property

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.contracts.symbols import base_and_quote, market_type
from openclaw_pipelines.kernel.base.layout import INSTRUMENT, Records, records
from openclaw_pipelines.kernel.base.money import ATOM, kernel_lot, to_rate


class InstrumentError(KernelError):
    """An instrument whose numbers contradict each other."""

    template = "instrument {symbol!r}: {field} is {value}. {advice}"
    symbol: str
    field: str
    value: Decimal | int
    advice: str


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One instrument. Prices and notionals in quote, quantities in base, rates as a share of one.

    >>> bitcoin = Instrument(symbol="BTC/USDT:USDT", price_unit=Decimal("0.1"), lot=Decimal("0.001"))
    >>> bitcoin.kernel_lot, bitcoin.mult, bitcoin.is_perp
    (Decimal('0.001'), 10000, True)
    """

    symbol: str
    price_unit: Decimal
    """Finest price step that ever applies."""
    lot: Decimal
    tick: Decimal | None = None
    """Price step of orders, a multiple of the price unit; the price unit itself where not given."""
    significant_digits: int = 0
    """Digits that an order's price may have; 0 where the tick is fixed. Whole prices are always allowed."""
    min_qty: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    taker_fee_rate: Decimal = Decimal("0.0005")
    liquidation_fee_rate: Decimal = Decimal(0)
    maintenance_margin_rate: Decimal = Decimal(0)
    max_leverage: int = 1

    def __post_init__(self) -> None:
        positive: dict[str, Decimal | int] = {
            "price_unit": self.price_unit,
            "lot": self.lot,
            "max_leverage": self.max_leverage,
        }
        for field, value in positive.items():
            if value <= 0:
                raise InstrumentError(self.symbol, field, value, "It must be above 0.")
        if self.tick is not None and (self.tick <= 0 or self.tick % self.price_unit != 0):
            raise InstrumentError(self.symbol, "tick", self.tick, f"It must be a multiple of {self.price_unit}.")
        if not self.is_perp and self.max_leverage != 1:
            raise InstrumentError(self.symbol, "max_leverage", self.max_leverage, "Spot has 1.")

    @cached_property
    def is_perp(self) -> bool:
        """Linear perpetual, else spot. An inverse contract is refused by its name."""
        return market_type(self.symbol) is MarketType.LINEAR

    @cached_property
    def kernel_lot(self) -> Decimal:
        """Quantity of one kernel lot, in base."""
        return kernel_lot(self.price_unit, self.lot)[0]

    @cached_property
    def mult(self) -> int:
        """Atoms per price unit and kernel lot."""
        return kernel_lot(self.price_unit, self.lot)[1]

    def price(self, units: int) -> Decimal:
        """Price units as quote."""
        return self.price_unit * int(units)

    def qty(self, lots: int) -> Decimal:
        """Kernel lots as base."""
        return self.kernel_lot * int(lots)


def instrument_records(instruments: Sequence[Instrument]) -> Records:
    """INSTRUMENT[S] in the given order."""
    rows = records(INSTRUMENT, len(instruments))
    bases: dict[str, int] = {}
    for row, spec in zip(rows, instruments, strict=True):
        whole_price = 1 / spec.price_unit
        row.mult = spec.mult
        row.step_units = int((spec.tick or spec.price_unit) / spec.price_unit)
        row.significant_digits = spec.significant_digits
        row.max_step_units = int(whole_price) if spec.significant_digits and whole_price == int(whole_price) else 0
        row.min_qty = max(_up(spec.min_qty / spec.kernel_lot), 1)
        row.min_notional = _up(spec.min_notional / ATOM)
        row.is_perp = int(spec.is_perp)
        row.taker_rate = to_rate(spec.taker_fee_rate, spec.symbol)
        row.liquidation_rate = to_rate(spec.liquidation_fee_rate, spec.symbol)
        row.maintenance_bps = _up(spec.maintenance_margin_rate * 10_000)
        row.max_leverage_bps = spec.max_leverage * 10_000
        row.group = bases.setdefault(base_and_quote(spec.symbol)[0], len(bases))
    return rows


def _up(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_CEILING))
