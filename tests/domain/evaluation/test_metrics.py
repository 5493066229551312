"""Metrics of a hand-made day, value by value, and of days that have nothing to measure."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.evaluation.metrics.compute import METRIC_SCHEMA, compute_metrics
from openclaw_pipelines.domain.evaluation.metrics.definitions import DATA_CODES, GROUPS, METRICS, POLICY_CODES, UNITS

DAY = "2025-05-12"
START = datetime(2025, 5, 12, tzinfo=UTC)
OWNER = {
    "account_id": "a", "strategy_config_id": "s", "deployment_id": "x", "recorded_at": START, "run_fingerprint": "r",
}  # fmt: skip
D = Decimal
NOTHING = pl.DataFrame()


def hour(n: float) -> datetime:
    return START + timedelta(hours=n)


def decision(n: float, status: str, code: str = "NONE", **change: Any) -> dict[str, Any]:
    return {
        **OWNER, "tick_at": hour(n), "decision_key": f"d{n}{status}{code}", "symbol": "BTC/USDT", "status": status,
        "reason_code": code, "reason": "", "action": "enter", "side": "buy", "proposed_qty": D(1), "approved_qty": D(1),
        "intended_price": D(100), "measured": None, "limit_value": None, "confidence": 0.5, "planner": "heuristic",
        "policy_source": "b", "policy_version_id": "p", "base_limits": "{}", "effective_limits": "{}", "features": "{}",
        "rationale": "", "data_hash": "h", "model_calls": "[]", "universe_key": None, **change,
    }  # fmt: skip


def fill(
    n: float, leg: str, side: str, price: str, fee: str, pnl: str, bps: float | None, **change: Any
) -> dict[str, Any]:
    return {
        **OWNER, "tick_at": hour(n), "fill_key": f"f{n}{leg}", "order_key": f"o{n}{leg}", "decision_key": f"d{n}",
        "symbol": "BTC/USDT", "leg": leg, "side": side, "status": "filled", "reason_code": "NONE", "reason": "",
        "bar_at": hour(n - 1), "qty": D(2), "price": D(price), "intended_price": D(price), "fee": D(fee),
        "slippage_bps": bps, "cash_change": D(0), "realized_pnl": D(pnl), **change,
    }  # fmt: skip


def equity(n: float, value: str, **change: Any) -> dict[str, Any]:
    return {
        **OWNER, "tick_at": hour(n), "cash": D(value), "margin": D(0), "reserved": D(0), "position_value": D(0),
        "unrealized_pnl": D(0), "equity": D(value), "gross_exposure": D(0), "realized_pnl": D(0), "fees": D(0),
        "funding": D(0), "day_open_equity": D(1000), "peak_equity": D(value), "open_positions": 0, **change,
    }  # fmt: skip


def outcome(n: float, symbol: str, horizon: int, status: str, value: float | None, pnl: str | None) -> dict[str, Any]:
    key = f"{n}{symbol}{horizon}{status}"
    return {
        **{k: v for k, v in OWNER.items() if k != "deployment_id"}, "outcome_key": key, "decision_key": key,
        "symbol": symbol, "decided_at": hour(n), "decision_status": status, "horizon_seconds": horizon,
        "matured_at": hour(n) + timedelta(seconds=horizon), "interval_used": "1m", "intended_price": D(100),
        "horizon_price": 100.0, "return_signed": value, "pnl_quote_est": None if pnl is None else D(pnl),
        "win": None if pnl is None else D(pnl) > 0, "buy_and_hold_return": value, "reason": None,
    }  # fmt: skip


def closes(*rows: tuple[str, float, float]) -> pl.DataFrame:
    schema = {"symbol": pl.String, "closed_at": pl.Datetime("us", "UTC"), "close": pl.Float64}
    return pl.DataFrame([(symbol, hour(n), close) for symbol, n, close in rows], schema=schema, orient="row")


DECISIONS = [
    decision(1, "approved"),
    decision(2, "approved"),
    decision(3, "shadowed"),
    decision(4, "rejected", "MAX_LEVERAGE"),
    decision(5, "rejected", "MAX_LEVERAGE"),
    decision(6, "rejected", "COOLDOWN"),
    decision(7, "rejected", "GAP"),
    decision(24, "abstain", "STATE_UNCERTAIN"),  # the tick at 00:00 closes this day
    decision(8, "held"),
    decision(0, "approved"),  # closed the day before
    decision(25, "rejected", "GAP"),  # the next day
    decision(9, "rejected", "GAP", strategy_config_id="other"),
]
FILLS = [
    fill(-20, "entry", "buy", "100", "0.1", "0", 2.0),
    fill(-10, "exit", "sell", "110", "0.1", "20", 2.0),
    fill(2, "entry", "buy", "100", "0.2", "0", 1.0),
    fill(4, "target", "sell", "105", "0.2", "10", None),
    fill(6, "entry", "sell", "100", "0.2", "0", 3.0),
    fill(8, "exit", "buy", "102", "0.2", "-4", 5.0),
    fill(9, "entry", "buy", "100", "0", "0", None, status="expired", qty=D(0)),
]
EQUITY = [
    equity(-24, "1000"),  # inception at 00:00Z of the day before
    equity(-12, "900"),
    equity(0, "1100"),
    equity(6, "1210", gross_exposure=D(605), funding=D("-1")),
    equity(12, "990", gross_exposure=D(990)),
    equity(24, "1045", funding=D("-1.5")),
]
OUTCOMES = [
    outcome(1, "BTC/USDT", 300, "approved", 0.01, "10"),
    outcome(2, "BTC/USDT", 300, "rejected", -0.02, "-20"),
    outcome(3, "ETH/USDT", 300, "rejected", 0.04, "30"),
    outcome(4, "ETH/USDT", 300, "approved", None, None),
    outcome(5, "ETH/USDT", 300, "held", 0.5, None),
    outcome(1, "BTC/USDT", 900, "approved", 0.03, "30"),
    outcome(25, "BTC/USDT", 300, "approved", 9.0, "999"),
]
POSITIONS = [
    {"tick_at": hour(6), "symbol": "BTC/USDT", "qty": D(3), "mark_price": D(100)},
    {"tick_at": hour(12), "symbol": "BTC/USDT", "qty": D(3), "mark_price": D(100)},
    {"tick_at": hour(12), "symbol": "ETH/USDT", "qty": D(20), "mark_price": D(10)},
]


def positions() -> pl.DataFrame:
    rest = {
        "side": "buy", "entry_price": D(1), "stale": False, "unrealized_pnl": D(0), "margin": D(0), "stop_price": None,
        "trailing_stop_price": None, "target_price": None, "liquidation_price": None, "entry_decision_key": "k",
        "bars_held": 1,
    }  # fmt: skip
    return TABLES["autopilot_positions"].frame([{**OWNER, **rest, **row} for row in POSITIONS])


def events() -> pl.DataFrame:
    row = {**OWNER, "check_name": "cash", "expected": D(1), "measured": D(1), "message": ""}
    rows = [{**row, "tick_at": hour(6), "passed": True}, {**row, "tick_at": hour(12), "passed": False}]
    rows.append({**row, "tick_at": hour(12), "passed": False, "check_name": "margin"})
    return TABLES["reconcile_events"].frame(rows)


def metrics(**change: Any) -> pl.DataFrame:
    given: dict[str, Any] = {
        "decisions": TABLES["autopilot_decisions"].frame(DECISIONS),
        "fills": TABLES["autopilot_fills"].frame(FILLS),
        "equity": TABLES["autopilot_equity"].frame(EQUITY),
        "outcomes": TABLES["autopilot_outcomes"].frame(OUTCOMES),
        "benchmark": closes(
            ("BTC/USDT", -24, 100.0), ("BTC/USDT", 0, 200.0), ("BTC/USDT", 24, 210.0),
            ("ETH/USDT", -24, 10.0), ("ETH/USDT", -0.5, 10.0), ("ETH/USDT", 23, 11.0),
            ("OLD/USDT", -72, 5.0), ("OLD/USDT", 24, 50.0),
        ),
        "positions": positions(), "reconcile_events": events(), "max_leverage_bps": 20_000, "minimum_sample": 3,
    }  # fmt: skip
    return compute_metrics(account="a", strategy="s", day=DAY, **{**given, **change})


@pytest.mark.parametrize(
    ("bars", "value", "bought"),
    [
        pytest.param([("A/USDT", 0, 10.0), ("A/USDT", 24, 11.0), ("B/USDT", 0, 10.0), ("B/USDT", 2, 0.1)],
                     (0.1 - 0.99) / 2, 2, id="one dies early in the day"),
        pytest.param([("A/USDT", 0, 10.0), ("A/USDT", 24, 11.0), ("B/USDT", -2, 10.0)],
                     0.05, 2, id="no close after it"),
        pytest.param([("A/USDT", 0, 10.0), ("A/USDT", 24, 11.0), ("B/USDT", -24, 10.0), ("B/USDT", 2, 99.0)],
                     0.1, 1, id="a price of the day before is too old to buy at"),
    ],
)  # fmt: skip
def test_who_was_bought_stays_in_the_benchmark_at_its_last_close(bars: list[Any], value: float, bought: int) -> None:
    held = by_name(metrics(benchmark=closes(*bars)))[("day", "buy_and_hold_return")]
    assert held["value"] == pytest.approx(value)
    assert held["sample_size"] == bought


def empty_day(**change: Any) -> pl.DataFrame:
    names = ("decisions", "fills", "equity", "outcomes", "benchmark")
    return metrics(**{**dict.fromkeys(names, NOTHING), "positions": None, "reconcile_events": None, **change})


def by_name(frame: pl.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["scope"], row["name"]): row for row in frame.to_dicts()}


@pytest.fixture(scope="module")
def day() -> dict[tuple[str, str], dict[str, Any]]:
    return by_name(metrics())


# fees 0.8 on 2 * (100 + 105 + 100 + 102) = 814; trades of the day 10 - 0.4 and -4 - 0.4, the day before 20 - 0.2
HAND_TABLE = [
    ("day", "decisions", 8.0, 8),
    ("day", "acceptance_rate", 3 / 8, 8),
    ("day", "policy_reject_ratio", 3 / 8, 8),
    ("day", "data_skip_ratio", 2 / 8, 8),
    ("day", "rejects", 4.0, 8),
    ("day", "rejects.MAX_LEVERAGE", 2.0, 8),
    ("day", "rejects.COOLDOWN", 1.0, 8),
    ("day", "rejects.GAP", 1.0, 8),
    ("horizon:300", "outcome_win_rate", 2 / 3, 3),
    ("horizon:300", "outcome_average_return", 0.01, 3),
    ("horizon:300", "outcome_expectancy", 20 / 3, 3),
    ("horizon:300", "outcome_total_pnl", 20.0, 3),
    ("horizon:300", "accepted_average_return", 0.01, 1),
    ("horizon:300", "refused_average_return", 0.01, 2),
    ("horizon:300", "outcome_missing", 1.0, 5),
    ("horizon:900", "outcome_total_pnl", 30.0, 1),
    ("symbol:BTC/USDT", "outcome_total_pnl", 30.0, 1),
    ("day", "fills", 4.0, 4),
    ("day", "unfilled_ratio", 1 / 5, 5),
    ("day", "slippage_bps_mean", 3.0, 3),
    ("day", "slippage_bps_p95", 4.8, 3),
    ("day", "fees_paid", 0.8, 4),
    ("day", "fee_bps_of_notional", 0.8 / 814 * 10_000, 4),
    ("day", "funding_received", -1.5, 3),
    ("day", "reconcile_mismatch_frequency", 1 / 3, 3),
    ("day", "max_drawdown", 990 / 1210 - 1, 4),
    ("day", "leverage_max", 1.0, 3),
    ("day", "leverage_utilisation_max", 0.5, 3),
    ("symbol:BTC/USDT", "exposure_share", 600 / 800, 2),
    ("symbol:ETH/USDT", "exposure_share", 200 / 800, 1),
    ("day", "pnl", -55.0, 3),
    ("day", "return", 1045 / 1100 - 1, 3),
    ("day", "buy_and_hold_return", (0.05 + 0.10) / 2, 2),
    ("day", "excess_return", -0.05 - 0.075, 2),
    ("day", "trades", 2.0, 2),
    ("day", "profit_factor", 9.6 / 4.4, 2),
    ("day", "win_rate", 0.5, 2),
    ("day", "expectancy", (9.6 - 4.4) / 2, 2),
    ("day", "average_holding_seconds", 7200.0, 2),
    ("to_date", "pnl", 45.0, 2),
    ("to_date", "return", 0.045, 2),
    ("to_date", "buy_and_hold_return", (1.1 + 0.1) / 2, 2),
    ("to_date", "max_drawdown", -0.05, 3),
    ("to_date", "sharpe", 0.025 / (0.15 / 2**0.5) * 365**0.5, 2),
    ("to_date", "sortino", 0.025 / (0.0025 / 2) ** 0.5 * 365**0.5, 2),
    ("to_date", "cagr", 1.045 ** (365 / 2) - 1, 3),
    ("to_date", "calmar", (1.045 ** (365 / 2) - 1) / 0.05, 3),
    ("to_date", "trades", 3.0, 3),
    ("to_date", "profit_factor", (9.6 + 19.8) / 4.4, 3),
    ("to_date", "win_rate", 2 / 3, 3),
    ("to_date", "expectancy", (9.6 + 19.8 - 4.4) / 3, 3),
]


@pytest.mark.parametrize(
    ("scope", "name", "value", "size"), [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in HAND_TABLE]
)
def test_hand_table(day: dict[tuple[str, str], dict[str, Any]], scope: str, name: str, value: float, size: int) -> None:
    row = day[(scope, name)]
    assert row["value"] == pytest.approx(value, rel=1e-12)
    assert row["sample_size"] == size
    assert row["below_minimum_sample"] is (size < 3)
    assert row["reason"] is None


def test_rows_pass_the_contract_and_name_their_definition() -> None:
    rows = metrics()
    stamp = pl.lit(START).cast(pl.Datetime("us", "UTC"))
    assert TABLES["autopilot_metrics"].validate(
        rows.with_columns(recorded_at=stamp, run_fingerprint=pl.lit("r"))
    ).height == (rows.height)
    assert rows.schema == pl.Schema(METRIC_SCHEMA)
    assert rows["metric_key"].n_unique() == rows.height
    assert rows["definition"].to_list() == [METRICS[name].definition for name in rows["name"]]


def test_an_empty_day_is_undefined_with_reasons_and_never_zero() -> None:
    rows = by_name(empty_day())
    undefined = {key: row["reason"] for key, row in rows.items() if row["value"] is None}
    assert undefined[("day", "return")] == "no ticks"
    assert undefined[("day", "acceptance_rate")] == "no decisions were judged"
    assert undefined[("day", "slippage_bps_mean")] == "no fills"
    assert undefined[("day", "buy_and_hold_return")] == "no closes to compare with"
    assert undefined[("to_date", "sharpe")] == "needs at least two returns"
    assert all(undefined.values())
    counts = {key for key, row in rows.items() if row["value"] is not None}
    assert counts == {("day", name) for name in ("decisions", "rejects", "fills", "fees_paid", "trades")} | {
        ("to_date", "trades")
    }


def test_first_day_without_an_inception_row_opens_at_the_first_ticks_baseline() -> None:
    first = TABLES["autopilot_equity"].frame([equity(1, "1010"), equity(24, "1020")])
    rows = by_name(empty_day(equity=first))
    assert rows[("day", "pnl")]["value"] == 20.0
    assert rows[("to_date", "return")]["value"] == pytest.approx(0.02)


def test_a_new_deployment_starts_its_own_record() -> None:
    newer = [equity(0, "500", deployment_id="y"), equity(24, "505", deployment_id="y", day_open_equity=D(500))]
    rows = by_name(empty_day(equity=TABLES["autopilot_equity"].frame([*EQUITY[:2], *newer])))
    assert rows[("to_date", "return")]["value"] == pytest.approx(0.01)
    assert rows[("to_date", "sharpe")]["value"] is None


def test_nothing_after_the_day_is_read() -> None:
    later = TABLES["autopilot_equity"].frame([*EQUITY, equity(30, "5000")])
    more = closes(("BTC/USDT", 0, 200.0), ("BTC/USDT", 24, 210.0), ("BTC/USDT", 25, 999.0))
    same = closes(("BTC/USDT", 0, 200.0), ("BTC/USDT", 24, 210.0))
    assert metrics(equity=later, benchmark=more).equals(metrics(benchmark=same))


def test_a_wiped_out_account_has_no_return_but_a_reason() -> None:
    ruined = TABLES["autopilot_equity"].frame([equity(0, "0"), equity(24, "10")])
    row = by_name(empty_day(equity=ruined))[("day", "return")]
    assert (row["value"], row["reason"]) == (None, "equity was at or below zero at the start")


def test_every_code_is_driven_by_policy_or_by_data_and_has_its_metric() -> None:
    codes = set(RejectCode) - {RejectCode.NONE}
    assert codes == POLICY_CODES | DATA_CODES
    assert not POLICY_CODES & DATA_CODES
    assert {name.split(".")[1] for name in METRICS if "." in name} == {code.name for code in codes}


@pytest.mark.parametrize("definition", METRICS.values(), ids=METRICS)
def test_definitions_are_whole(definition: Any) -> None:
    assert definition.group in GROUPS
    assert definition.unit in UNITS
    assert definition.definition.endswith(".")
