"""From a market as ccxt describes it to a row of `contracts.tables.market.Instruments`. No requests are made here.

Where an exchange publishes no leverage or margin without an account, a stated default stands in:
`DEFAULT_MAX_LEVERAGE`, half the initial margin at that leverage as maintenance margin, `DEFAULT_LIQUIDATION_FEE_RATE`.
"""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from openclaw_pipelines.contracts.enums import InstrumentState, MarketType
from openclaw_pipelines.contracts.symbols import normalize
from openclaw_pipelines.resources.market.ccxt.errors import IncompleteInstrumentError
from openclaw_pipelines.resources.market.ccxt.exchanges import Traits

DEFAULT_MAX_LEVERAGE = 20
DEFAULT_TAKER_FEE_RATE = Decimal("0.001")
DEFAULT_LIQUIDATION_FEE_RATE = Decimal("0.005")
_SCALE = Decimal(1).scaleb(-18)
_FINEST_UNIT = Decimal("1e-8")


def instrument_row(
    market: dict[str, Any],
    *,
    exchange: str,
    precision_mode: int,
    traits: Traits,
    as_of: datetime,
    funding_hours: int | None = None,
) -> dict[str, object]:
    """Row of one spot market or linear perpetual.

    market: ccxt market structure, its numbers `Decimal`. precision_mode: ccxt's 2 decimal places, 3 significant
    digits, 4 tick size. funding_hours: empty for the exchange's usual interval.
    Raises IncompleteInstrumentError where a unit is missing.
    """
    kind = MarketType.LINEAR if market["contract"] else MarketType.SPOT
    lot = _lot(market, exchange, precision_mode)
    unit, digits = _price_unit(market, exchange, precision_mode, traits, kind)
    return {
        "source": f"ccxt:{exchange}",
        "symbol": market["symbol"],
        "symbol_normalized": normalize(market["symbol"]),
        "base": market["base"],
        "quote": market["quote"],
        "market_type": kind.value,
        "price_unit": unit,
        "significant_digits": digits,
        "tick": unit,
        "lot": lot,
        "min_qty": _limit(market, "amount") * _contract_size(market),
        "min_notional": _limit(market, "cost"),
        "taker_fee_rate": DEFAULT_TAKER_FEE_RATE if market["taker"] is None else Decimal(market["taker"]),
        **_margin(market, traits, kind, funding_hours),
        "state": (InstrumentState.DEPRECATED if market["active"] is False else InstrumentState.TRADABLE).value,
        "listed_at": None if not market["created"] else datetime.fromtimestamp(int(market["created"]) / 1000, UTC),
        "delisted_at": None,  # exchanges drop a market when it is over; `services.market.listing` notes that
        "updated_at": as_of,
    }


def unit_of(precision: Any, precision_mode: int) -> Decimal | None:
    """Step that a ccxt precision stands for; empty where it counts significant digits or is not given.

    >>> unit_of(Decimal("0.01"), 4), unit_of(2, 2), unit_of(5, 3)
    (Decimal('0.01'), Decimal('0.01'), None)
    """
    if precision is None or precision_mode == 3:
        return None
    return Decimal(1).scaleb(-int(precision)) if precision_mode == 2 else Decimal(precision)


def _lot(market: dict[str, Any], exchange: str, precision_mode: int) -> Decimal:
    # amounts are never in significant digits, exchanges that say so count decimals of the size
    mode = 2 if precision_mode == 3 else precision_mode
    lot = unit_of(market["precision"]["amount"], mode)
    if not lot:
        raise IncompleteInstrumentError(exchange, market["symbol"], "quantity step")
    return lot * _contract_size(market)


def _price_unit(
    market: dict[str, Any], exchange: str, precision_mode: int, traits: Traits, kind: MarketType
) -> tuple[Decimal, int | None]:
    if traits.significant_digits is not None:
        lot_decimals = -int(_lot(market, exchange, precision_mode).normalize().as_tuple().exponent)
        return Decimal(1).scaleb(lot_decimals - traits.price_decimals[kind.value]), traits.significant_digits
    precision = market["precision"]["price"]
    if precision is not None and precision_mode == 3:
        return _FINEST_UNIT, int(precision)
    unit = unit_of(precision, precision_mode)
    if not unit:
        raise IncompleteInstrumentError(exchange, market["symbol"], "price step")
    return unit, None


def _contract_size(market: dict[str, Any]) -> Decimal:
    return Decimal(market["contractSize"] or 1)


def _limit(market: dict[str, Any], name: str) -> Decimal:
    return Decimal(market["limits"][name]["min"] or 0)


def _margin(market: dict[str, Any], traits: Traits, kind: MarketType, funding_hours: int | None) -> dict[str, object]:
    if kind is MarketType.SPOT:
        rates = {"maintenance_margin_rate": Decimal(0), "liquidation_fee_rate": Decimal(0)}
        return {"max_leverage": 1, "funding_interval_hours": None, **rates}
    leverage = int(market["limits"]["leverage"]["max"] or DEFAULT_MAX_LEVERAGE)
    fee = market["info"].get("liquidationFee", traits.liquidation_fee_rate)
    return {
        "max_leverage": leverage,
        "maintenance_margin_rate": (Decimal(1) / (2 * leverage)).quantize(_SCALE, rounding=ROUND_CEILING),
        "liquidation_fee_rate": DEFAULT_LIQUIDATION_FEE_RATE if fee is None else Decimal(str(fee)),
        "funding_interval_hours": funding_hours or traits.funding_interval_hours,
    }
