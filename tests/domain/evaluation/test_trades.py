"""Round trips against a hand-computed table."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.evaluation.trades import (
    TRADE_SCHEMA,
    UnmatchedExitError,
    closed_trades,
    trade_results,
)

START = datetime(2025, 5, 12, tzinfo=UTC)
D = Decimal


def fill(
    leg: str, side: str, minute: int, qty: str, price: str, fee: str, pnl: str = "0", **change: Any
) -> dict[str, Any]:
    at = START + timedelta(minutes=minute)
    key = f"d{minute}:{leg}"
    return {
        "account_id": "a", "strategy_config_id": "s", "deployment_id": "x", "recorded_at": START,
        "run_fingerprint": "r",
        "tick_at": at + timedelta(minutes=15), "fill_key": f"{key}:1", "order_key": key, "decision_key": f"d{minute}",
        "symbol": "BTC/USDT", "leg": leg, "side": side, "status": "filled", "reason_code": "NONE",
        "reason": f"{leg} reason", "bar_at": at, "qty": D(qty), "price": D(price), "intended_price": D(price),
        "fee": D(fee), "slippage_bps": 0.0, "cash_change": D(0), "realized_pnl": D(pnl), **change,
    }  # fmt: skip


def trades(*fills: dict[str, Any], funding: pl.DataFrame | None = None) -> list[dict[str, Any]]:
    return closed_trades(TABLES["autopilot_fills"].frame(list(fills)), funding).to_dicts()


def test_long_trade_of_a_hand_table() -> None:
    (trade,) = trades(
        fill("entry", "buy", 0, "2", "100", "0.2"), fill("exit", "sell", 30, "2", "110.5", "0.221", pnl="21")
    )
    assert trade == {
        "account_id": "a", "strategy_config_id": "s", "symbol": "BTC/USDT", "side": "buy", "entry_decision_key": "d0",
        "entry_at": START, "exit_at": START + timedelta(minutes=30), "exit_tick_at": START + timedelta(minutes=45),
        "qty": D(2), "entry_price": D(100), "exit_price": D("110.5"), "gross_pnl": D(21), "fees": D("0.421"),
        "funding": D(0), "net_pnl": D("20.579"), "net_return": 0.102895, "holding_seconds": 1800, "exit_leg": "exit",
        "exit_reason": "exit reason",
    }  # fmt: skip


def test_two_entries_and_two_exits_are_one_round_trip_at_average_prices() -> None:
    (trade,) = trades(
        fill("entry", "sell", 0, "1", "100", "0.1"),
        fill("entry", "sell", 15, "3", "104", "0.3"),
        fill("exit", "buy", 30, "1", "90", "0.1", pnl="13"),
        fill("stop", "buy", 45, "3", "98", "0.3", pnl="15"),
    )
    assert (trade["entry_price"], trade["exit_price"], trade["qty"]) == (D(103), D(96), D(4))
    assert (trade["gross_pnl"], trade["fees"], trade["net_pnl"]) == (D(28), D("0.8"), D("27.2"))
    assert (trade["side"], trade["exit_leg"], trade["holding_seconds"]) == ("sell", "stop", 2700)


def test_a_stop_in_the_entry_bar_closes_it_and_the_bars_own_exit_comes_first() -> None:
    found = trades(
        fill("stop", "sell", 15, "1", "95", "0", pnl="-5", fill_key="a"),
        fill("entry", "buy", 15, "1", "100", "0", fill_key="b"),
        fill("exit", "sell", 15, "1", "100", "0", pnl="1", fill_key="c"),
        fill("entry", "buy", 0, "1", "99", "0", fill_key="d"),
    )
    assert [(t["exit_leg"], t["net_pnl"], t["holding_seconds"]) for t in found] == [
        ("exit", D(1), 900),
        ("stop", D(-5), 0),
    ]


def test_funding_belongs_to_the_position_whose_entry_it_names() -> None:
    """Also what fell due inside the bar of the entry, after its fill."""
    entry = fill("entry", "buy", 0, "1", "100", "0.1")
    payments = pl.DataFrame(
        {"entry_decision_key": [entry["decision_key"]] * 2 + ["another"], "amount": [D("-0.5"), D("-0.25"), D(7)]},
        schema={"entry_decision_key": pl.String, "amount": pl.Decimal(38, 18)},
    )
    (trade,) = trades(entry, fill("exit", "sell", 30, "1", "101", "0.1", "1"), funding=payments)
    assert (trade["funding"], trade["net_pnl"]) == (D("-0.75"), D("0.05"))


def test_open_positions_and_unfilled_orders_are_no_trades() -> None:
    unfilled = fill("exit", "sell", 30, "0", "0", "0", status="expired")
    assert trades(fill("entry", "buy", 0, "1", "100", "0.1"), unfilled) == []


def test_an_order_that_filled_nothing_begins_no_round_trip() -> None:
    """The entry that expired at minute 0 is not the entry of the position bought at minute 30."""
    (trade,) = trades(
        fill("entry", "buy", 0, "0", "0", "0", status="expired"),
        fill("entry", "buy", 30, "2", "100", "0"),
        fill("exit", "sell", 60, "2", "101", "0", pnl="2"),
    )
    assert (trade["entry_at"], trade["entry_decision_key"]) == (START + timedelta(minutes=30), "d30")
    assert trade["holding_seconds"] == 1_800


def test_a_deployment_starts_flat_whatever_the_one_before_left_open() -> None:
    found = trades(
        fill("entry", "buy", 0, "1", "100", "0", deployment_id="old"),
        fill("entry", "buy", 15, "1", "200", "0"),
        fill("exit", "sell", 30, "1", "210", "0", "10"),
    )
    assert [(t["entry_price"], t["qty"]) for t in found] == [(D(200), D(1))]


@pytest.mark.parametrize(
    ("fills", "held"),
    [
        pytest.param([fill("exit", "sell", 0, "1", "100", "0")], "0", id="never opened"),
        pytest.param(
            [fill("entry", "buy", 0, "1", "100", "0"), fill("exit", "sell", 15, "2", "100", "0")], "1", id="too much"
        ),
    ],
)
def test_an_exit_without_its_entry_is_an_error(fills: list[dict[str, Any]], held: str) -> None:
    with pytest.raises(UnmatchedExitError) as caught:
        trades(*fills)
    assert D(caught.value.held) == D(held)
    assert caught.value.symbol == "BTC/USDT"


def test_no_fills_give_an_empty_frame_with_the_columns() -> None:
    assert closed_trades(pl.DataFrame()).schema == pl.Schema(TRADE_SCHEMA)


def test_quantities_of_eighteen_digits_lose_nothing() -> None:
    (trade,) = trades(
        fill("entry", "buy", 0, "12345678.123456789012345678", "0.000000012345678901", "0"),
        fill("exit", "sell", 15, "12345678.123456789012345678", "0.000000012345678901", "0"),
    )
    assert trade["qty"] == D("12345678.123456789012345678")
    assert trade["entry_price"] == D("0.00000001")


def test_results_are_the_trades_without_what_takes_products() -> None:
    fills = TABLES["autopilot_fills"].frame(
        [
            fill("entry", "buy", 0, "1", "100", "0.1"),
            fill("exit", "sell", 30, "1", "101", "0.1", "1"),
            fill("entry", "sell", 45, "2", "100", "0.2", symbol="ETH/USDT"),
            fill("target", "buy", 60, "2", "90", "0.2", "20", symbol="ETH/USDT"),
        ]
    )
    whole, results = closed_trades(fills), trade_results(fills)
    assert whole.height == 2
    assert results.equals(whole.select(results.columns))
    assert set(whole.columns) - set(results.columns) == {"entry_price", "exit_price", "net_return"}
    later = closed_trades(fills, after=START + timedelta(minutes=45))  # the tick at which the first one closed
    assert later.equals(whole.tail(1))
