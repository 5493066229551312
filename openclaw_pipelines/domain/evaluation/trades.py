"""Round trips: the fills of a position from flat to flat, with what it earned after costs.

Money stays Decimal. How fills come about is in the kernel; statistics of trades are in `domain.evaluation.statistics`.
"""

from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, TypedDict

import polars as pl

from openclaw_pipelines.contracts.errors import LedgerError
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


_PRICED = ("entry_price", "exit_price", "net_return")
_RESULTS: PolarsSchema = {name: kind for name, kind in TRADE_SCHEMA.items() if name not in _PRICED}
_WHERE = ["account_id", "strategy_config_id", "deployment_id", "symbol"]
_TRADE = [*_WHERE, "number"]
USED = [
    *_WHERE, "fill_key", "decision_key", "tick_at", "bar_at", "leg", "side", "qty", "price", "fee", "realized_pnl",
    "reason",
]  # fmt: skip
"""Columns of `autopilot_fills` that round trips are made of."""
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


def closed_trades(
    fills: pl.DataFrame, funding: pl.DataFrame | None = None, *, after: datetime | None = None
) -> pl.DataFrame:  # fmt: skip
    """Round trips that `fills` complete, oldest exit first, in the columns of `TRADE_SCHEMA`.

    fills: rows of `autopilot_fills` since inception; orders that were not filled are passed over.
    funding: payments with `entry_decision_key` and `amount` (received positive, quote currency).
    after: leave out those that closed until this tick.

    `entry_at` and `exit_at` are opens of the bars of the first and last fill; a stop in the entry bar holds 0 seconds.
    Prices are averages by quantity, rounded to 1e-8; PnL is the sum of the fills' own and exact.

    Raises:
        UnmatchedExitError: an exit without its entry.
    """
    if fills.is_empty():
        return pl.DataFrame(schema=TRADE_SCHEMA)
    legs = _legs(fills)
    results = _results(legs, funding)
    if after is not None:
        results = results.filter(pl.col("exit_tick_at") > after)
    parts = legs.join(results.select(_TRADE), on=_TRADE).group_by(_TRADE).agg("leg", "qty", "price")
    values = {row[:-3]: _values(*row[-3:]) for row in parts.iter_rows()}
    priced = [{**row, **_prices(row, *values[tuple(row[name] for name in _TRADE)])} for row in results.to_dicts()]
    rows = [{name: row[name] for name in TRADE_SCHEMA} for row in priced]
    return pl.DataFrame(rows, schema=TRADE_SCHEMA, orient="row")


def trade_results(fills: pl.DataFrame, funding: pl.DataFrame | None = None) -> pl.DataFrame:
    """As `closed_trades` without prices and `net_return`, which take exact products of every fill."""
    if fills.is_empty():
        return pl.DataFrame(schema=_RESULTS)
    return _results(_legs(fills), funding).select(*_RESULTS)


def _legs(fills: pl.DataFrame) -> pl.DataFrame:
    """What was filled, in its order, with the quantity held after it and the number of its round trip."""
    signed = pl.when(pl.col("leg") == "entry").then(pl.col("qty")).otherwise(-pl.col("qty"))
    in_bar = pl.col("leg").replace_strict(_ORDER_IN_BAR, return_dtype=pl.Int8)
    legs = (
        fills.select(USED)
        .filter(pl.col("qty") > 0)
        .sort("bar_at", in_bar, "fill_key")
        .with_columns(held=signed.cum_sum().over(_WHERE))
        .with_columns(flat=(pl.col("held") == 0).cast(pl.Int64))
        .with_columns(number=(pl.col("flat").cum_sum() - pl.col("flat")).over(_WHERE))
        .with_row_index("place")
    )
    unmatched = legs.filter(pl.col("held") < 0).head(1)
    for fill in unmatched.iter_rows(named=True):
        raise UnmatchedExitError(fill["fill_key"], fill["symbol"], fill["qty"], fill["held"] + fill["qty"])
    return legs


def _results(legs: pl.DataFrame, funding: pl.DataFrame | None) -> pl.DataFrame:
    """A row per round trip that ended."""
    entry = pl.col("leg") == "entry"
    trades = (
        legs.group_by(_TRADE, maintain_order=True)
        .agg(
            pl.col("side", "decision_key", "bar_at").first().name.prefix("first_"),
            pl.col("bar_at", "tick_at", "leg", "reason", "held", "place").last().name.prefix("last_"),
            qty=pl.col("qty").filter(entry).sum(),
            gross_pnl=pl.col("realized_pnl").filter(~entry).sum(),
            fees=pl.col("fee").sum(),
        )
        .filter(pl.col("last_held") == 0)
        .sort("last_place")
        .rename({"first_decision_key": "entry_decision_key", "first_side": "side", "first_bar_at": "entry_at"})
        .rename({"last_bar_at": "exit_at", "last_tick_at": "exit_tick_at", "last_leg": "exit_leg"})
        .rename({"last_reason": "exit_reason"})
    )
    return trades.join(_paid(funding), on="entry_decision_key", how="left", maintain_order="left").with_columns(
        pl.col("funding").fill_null(Decimal(0)),
        net_pnl=pl.col("gross_pnl") - pl.col("fees") + pl.col("funding").fill_null(Decimal(0)),
        holding_seconds=(pl.col("exit_at") - pl.col("entry_at")).dt.total_seconds(),
    )


def _paid(funding: pl.DataFrame | None) -> pl.DataFrame:
    if funding is None or funding.is_empty():
        return pl.DataFrame(schema={"entry_decision_key": pl.String, "funding": MONEY})
    return funding.group_by("entry_decision_key").agg(funding=pl.col("amount").sum())


def _values(legs: list[str], quantities: list[Decimal], prices: list[Decimal]) -> tuple[Decimal, Decimal]:
    """Value of the entries and of the exits of a round trip."""
    entered = exited = Decimal(0)
    for leg, qty, price in zip(legs, quantities, prices, strict=True):
        with localcontext(prec=76):  # two DECIMAL(38,18) factors, so that no digit is lost
            value = qty * price
        if leg == "entry":
            entered += value
        else:
            exited += value
    return entered, exited


def _prices(row: dict[str, Any], entered: Decimal, exited: Decimal) -> dict[str, object]:
    return {
        "entry_price": _average(entered, row["qty"]),
        "exit_price": _average(exited, row["qty"]),
        "net_return": float(row["net_pnl"] / entered),
    }


def _average(value: Decimal, qty: Decimal) -> Decimal:
    return (value / qty).quantize(MONEY_STEP)
