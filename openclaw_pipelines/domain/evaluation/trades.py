"""Round trips: the fills of a position from flat to flat, with what it earned after costs.

Money stays Decimal. How fills come about is in the kernel; statistics of trades are in `domain.evaluation.statistics`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from typing import TypedDict

import polars as pl

from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.trading import FillRow
from openclaw_pipelines.contracts.schema import PolarsSchema

MONEY = pl.Decimal(38, 18)
MONEY_STEP = Decimal("1E-8")  # one atom of the quote currency, as in the kernel
TIME = pl.Datetime("us", "UTC")
TRADE_SCHEMA: PolarsSchema = {
    "account_id": pl.String,
    "strategy_config_id": pl.String,
    "symbol": pl.String,
    "side": pl.String,
    "entry_decision_key": pl.String,
    "entry_at": TIME,
    "exit_at": TIME,
    "exit_tick_at": TIME,
    "qty": MONEY,
    "entry_price": MONEY,
    "exit_price": MONEY,
    "gross_pnl": MONEY,
    "fees": MONEY,
    "funding": MONEY,
    "net_pnl": MONEY,
    "net_return": pl.Float64,
    "holding_seconds": pl.Int64,
    "exit_leg": pl.String,
    "exit_reason": pl.String,
}


class Trade(TypedDict):
    """A round trip, in the columns of `TRADE_SCHEMA`. Money in quote currency."""

    account_id: str
    strategy_config_id: str
    symbol: str
    side: str
    entry_decision_key: str
    entry_at: datetime
    exit_at: datetime
    exit_tick_at: datetime
    qty: Decimal
    entry_price: Decimal
    exit_price: Decimal
    gross_pnl: Decimal
    fees: Decimal
    funding: Decimal
    net_pnl: Decimal
    net_return: float
    holding_seconds: int
    exit_leg: str
    exit_reason: str


_ORDER_IN_BAR = {"exit": 0, "entry": 1, "stop": 2, "target": 2, "liquidation": 2}


class UnmatchedExitError(LedgerError):
    """A position was closed that the fills never opened, or by more than it held."""

    template = (
        "fill {fill_key} closes {closed} {symbol}, but the fills given hold only {held}. "
        "Read the fills of the whole deployment, from its inception on."
    )
    fill_key: str
    symbol: str
    closed: Decimal
    held: Decimal


@dataclass
class _Open:
    """A position while its fills are walked."""

    first: FillRow
    qty: Decimal = Decimal(0)
    entered_qty: Decimal = Decimal(0)
    entered_value: Decimal = Decimal(0)
    exited_value: Decimal = Decimal(0)
    gross_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    legs: list[str] = field(default_factory=list)


def closed_trades(fills: pl.DataFrame, funding: pl.DataFrame | None = None) -> pl.DataFrame:
    """Round trips that `fills` complete, oldest exit first, in the columns of `TRADE_SCHEMA`.

    fills: rows of `autopilot_fills` since inception; orders that were not filled are passed over.
    funding: payments with `entry_decision_key` and `amount` (received positive, quote currency).

    `entry_at` and `exit_at` are opens of the bars of the first and last fill; a stop in the entry bar holds 0 seconds.
    Prices are averages by quantity, rounded to 1e-8; PnL is the sum of the fills' own and exact.

    Raises:
        UnmatchedExitError: an exit without its entry.
    """
    open_by_symbol: dict[tuple[str, ...], _Open] = {}
    trades = []
    for fill in _in_order(fills):
        where = fill["account_id"], fill["strategy_config_id"], fill["deployment_id"], fill["symbol"]
        if fill["leg"] == "entry":
            _enter(open_by_symbol.setdefault(where, _Open(fill)), fill)
        elif _exit(open_by_symbol.get(where), fill).qty == 0:
            trades.append(_trade(open_by_symbol.pop(where), fill, funding))
    return pl.DataFrame(trades, schema=TRADE_SCHEMA, orient="row")


def _in_order(fills: pl.DataFrame) -> list[FillRow]:
    done = (fill for fill in rows_as(FillRow, fills) if fill["qty"] > 0)
    return sorted(done, key=lambda fill: (fill["bar_at"], _ORDER_IN_BAR[fill["leg"]], fill["fill_key"]))


def _enter(position: _Open, fill: FillRow) -> None:
    position.qty += fill["qty"]
    position.entered_qty += fill["qty"]
    position.entered_value += _product(fill["qty"], fill["price"])
    position.fees += fill["fee"]


def _exit(position: _Open | None, fill: FillRow) -> _Open:
    held = position.qty if position else Decimal(0)
    if position is None or fill["qty"] > held:
        raise UnmatchedExitError(fill["fill_key"], fill["symbol"], fill["qty"], held)
    position.qty -= fill["qty"]
    position.exited_value += _product(fill["qty"], fill["price"])
    position.gross_pnl += fill["realized_pnl"]
    position.fees += fill["fee"]
    return position


def _trade(position: _Open, last: FillRow, funding: pl.DataFrame | None) -> Trade:
    first = position.first
    paid = _funding(funding, first["decision_key"])
    net = position.gross_pnl - position.fees + paid
    return {
        "account_id": first["account_id"],
        "strategy_config_id": first["strategy_config_id"],
        "symbol": first["symbol"],
        "side": first["side"],
        "entry_decision_key": first["decision_key"],
        "entry_at": first["bar_at"],
        "exit_at": last["bar_at"],
        "exit_tick_at": last["tick_at"],
        "qty": position.entered_qty,
        "entry_price": _average(position.entered_value, position.entered_qty),
        "exit_price": _average(position.exited_value, position.entered_qty),
        "gross_pnl": position.gross_pnl,
        "fees": position.fees,
        "funding": paid,
        "net_pnl": net,
        "net_return": float(net / position.entered_value),
        "holding_seconds": int((last["bar_at"] - first["bar_at"]).total_seconds()),
        "exit_leg": last["leg"],
        "exit_reason": last["reason"],
    }


def _funding(funding: pl.DataFrame | None, entry_decision_key: str) -> Decimal:
    if funding is None:
        return Decimal(0)
    own = funding.filter(pl.col("entry_decision_key") == entry_decision_key)
    return sum(own["amount"].to_list(), Decimal(0))


def _product(qty: Decimal, price: Decimal) -> Decimal:
    with localcontext(prec=76):  # two DECIMAL(38,18) factors, so that no digit is lost
        return qty * price


def _average(value: Decimal, qty: Decimal) -> Decimal:
    return (value / qty).quantize(MONEY_STEP)
