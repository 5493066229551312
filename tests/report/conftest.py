"""A synthetic day: two strategies, three symbols, with every kind of exception."""

import dataclasses
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.evaluation.metrics.compute import compute_metrics
from openclaw_pipelines.domain.evaluation.outcomes import due_outcomes, score_outcomes
from openclaw_pipelines.report.day.data import ReportData, StrategyReport

sys.path.insert(0, str(Path(__file__).parent))  # factory_cycle, which tests of the factory's report share
START = datetime(2025, 5, 12, tzinfo=UTC)
STAMP = {"recorded_at": START, "run_fingerprint": "f" * 64}
OWNER = {"account_id": "paper", "deployment_id": "d1"}
PRICES = {"BTC/USDT:USDT": 104_000.0, "ETH/USDT:USDT": 2_510.0, "SOL/USDT:USDT": 172.5}
CODES = ["MAX_LEVERAGE", "COOLDOWN", "MAX_OPEN_POSITIONS", "GAP", "MAX_LEVERAGE", "MAX_DAILY_LOSS", "MAX_LEVERAGE"]


def frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return TABLES[table].frame([{**STAMP, **row} for row in rows])


def close_at(symbol: str, at: datetime) -> float:
    t = (at - START).total_seconds() / 86_400
    seed = len(symbol) + ord(symbol[0]) % 7
    wave = 0.012 * math.sin(9 * t + seed) + 0.004 * math.sin(61 * t + 2 * seed) + 0.001 * math.sin(700 * t)
    return round(PRICES[symbol] * (1 + wave + 0.006 * t), 2)


def closes() -> pl.DataFrame:
    rows = [
        {
            "symbol": symbol,
            "closed_at": START + timedelta(minutes=m),
            "close": close_at(symbol, START + timedelta(minutes=m)),
        }
        for symbol in PRICES
        for m in range(-1440, 1441, 5)
    ]
    return pl.DataFrame(rows, schema={"symbol": pl.String, "closed_at": pl.Datetime("us", "UTC"), "close": pl.Float64})


def decision(strategy: str, symbol: str, at: datetime, n: int) -> dict[str, Any]:
    code = CODES[n % len(CODES)] if n % 4 else "NONE"
    approved = code == "NONE"
    price = Decimal(str(close_at(symbol, at)))
    qty = (Decimal(2_000) / price).quantize(Decimal("0.001"))
    text = "within all limits" if approved else f"{code} refused {symbol}: asked for 2,000.00 USDT of exposure"
    return {
        **OWNER, "strategy_config_id": strategy, "tick_at": at, "symbol": symbol,
        "decision_key": f"autopilot:paper:{strategy}:{symbol}:{at:%Y%m%dT%H%MZ}",
        "status": "approved" if approved else "rejected", "reason_code": code, "reason": text,
        "action": "enter", "side": "buy" if n % 8 else "sell", "proposed_qty": qty,
        "approved_qty": qty if approved else Decimal(0), "intended_price": price, "measured": None, "limit_value": None,
        "confidence": 0.4 + (n * 7 % 50) / 100, "planner": "heuristic", "policy_source": "binding",
        "policy_version_id": "p" * 64, "base_limits": "{}", "effective_limits": "{}", "features": "{}",
        "rationale": "close broke the 20-bar channel with ADX at 27", "data_hash": "h" * 64, "model_calls": "[]",
        "universe_key": None,
    }  # fmt: skip


def fill(decision_row: dict[str, Any], leg: str, at: datetime, reason: str) -> dict[str, Any]:
    symbol, entry_side = decision_row["symbol"], decision_row["side"]
    side = entry_side if leg == "entry" else ("sell" if entry_side == "buy" else "buy")
    intended = Decimal(str(close_at(symbol, at)))
    against = Decimal("1.0002") if side == "buy" else Decimal("0.9998")
    price = (intended * against).quantize(Decimal("0.01"))
    qty = decision_row["approved_qty"]
    sign = 1 if entry_side == "buy" else -1
    pnl = Decimal(0) if leg == "entry" else (price - decision_row["intended_price"]) * qty * sign
    key = f"{decision_row['decision_key']}:{leg}"
    return {
        **OWNER, "strategy_config_id": decision_row["strategy_config_id"], "tick_at": at + timedelta(minutes=15),
        "fill_key": f"{key}:1", "order_key": key, "decision_key": decision_row["decision_key"], "symbol": symbol,
        "leg": leg, "side": side, "status": "filled", "reason_code": "NONE", "reason": reason, "bar_at": at,
        "qty": qty, "price": price, "intended_price": intended,
        "fee": (qty * price * Decimal("0.0005")).quantize(Decimal("1E-8")),
        "slippage_bps": 2.0, "cash_change": Decimal(0), "realized_pnl": pnl,
    }  # fmt: skip


def equity_rows(strategy: str, step: timedelta) -> list[dict[str, Any]]:
    rows, at = [], START - timedelta(days=1)
    while at <= START + timedelta(days=1):
        t = (at - START).total_seconds() / 86_400
        value = Decimal(str(round(10_000 + 60 * t + 45 * math.sin(8 * t + len(strategy)) + 9 * math.sin(90 * t), 2)))
        open_equity = Decimal("10012.34") if at > START else Decimal(10_000)
        rows.append({
            **OWNER, "strategy_config_id": strategy, "tick_at": at, "cash": value, "margin": Decimal(0),
            "reserved": Decimal(0), "position_value": Decimal(0), "unrealized_pnl": Decimal(0), "equity": value,
            "gross_exposure": Decimal(4_000), "realized_pnl": Decimal(0), "fees": Decimal(0),
            "funding": Decimal("-1.25") if at > START else Decimal(0), "day_open_equity": open_equity,
            "peak_equity": value, "open_positions": 1,
        })  # fmt: skip
        at += step
    return rows


def position(strategy: str, symbol: str, side: str) -> dict[str, Any]:
    at = START + timedelta(days=1)
    return {
        "account_id": "paper", "deployment_id": "d1", "strategy_config_id": strategy, "tick_at": at, "symbol": symbol,
        "side": side, "qty": Decimal("0.75"), "entry_price": Decimal("2498.5"), "mark_price": Decimal("2513.25"),
        "stale": side == "sell",
        "unrealized_pnl": Decimal("11.06"), "margin": Decimal("936.94"), "stop_price": Decimal(2450),
        "trailing_stop_price": None, "target_price": None, "liquidation_price": Decimal("1310.4"),
        "entry_decision_key": "k", "bars_held": 9,
    }  # fmt: skip


def tick(strategy: str, at: datetime, n: int) -> dict[str, Any]:
    settled = 40 <= n < 44
    return {
        **OWNER, "strategy_config_id": strategy, "tick_at": at, "status": "settled_only" if settled else "done",
        "reason": "older than max_catch_up_ticks" if settled else None, "mode": "auto", "shadow": False,
        "kill_switch": "close_only" if n in (60, 61) else "off", "phases": "{}", "state_hash": "s" * 64,
        "program_version": "0.1.0",
    }  # fmt: skip


def strategy_report(name: str, interval: str) -> StrategyReport:
    step = interval_length(interval)
    count = timedelta(days=1) // step
    symbols = list(PRICES)
    decisions = [decision(name, symbols[n % 3], START + (n * 7 % (count - 8) + 1) * step, n) for n in range(20)]
    fills = []
    for n, row in enumerate(d for d in decisions if d["status"] == "approved"):
        fills.append(fill(row, "entry", row["tick_at"], ""))
        leg, why = ("exit", "signal reversed") if n % 2 else ("stop", "trailing stop hit")
        fills.append(fill(row, leg, row["tick_at"] + 3 * step, why))
    decided = frame("autopilot_decisions", decisions)
    candles = closes().select("symbol", "close", interval=pl.lit("5m"), ts=pl.col("closed_at") - timedelta(minutes=5))
    end = START + timedelta(days=1)
    due = due_outcomes(decided, set(), [300, 900, 3600], end)
    outcomes = score_outcomes(due, candles, end, ["5m"]).with_columns(**{k: pl.lit(v) for k, v in STAMP.items()})
    equity = frame("autopilot_equity", equity_rows(name, step))
    filled = frame("autopilot_fills", fills)
    ticks = [tick(name, START + n * step, n) for n in range(1, count + 1)]
    mismatch = {
        **OWNER, "strategy_config_id": name, "tick_at": START + 5 * step, "check_name": "cash", "passed": False,
        "expected": Decimal(100), "measured": Decimal("99.5"),
        "message": "cash is 99.50, fills and funding add up to 100.00",
    }  # fmt: skip
    metrics = compute_metrics(
        account="paper", strategy=name, day="2025-05-12", decisions=decided, fills=filled, equity=equity,
        outcomes=outcomes, benchmark=closes(), minimum_sample=20,
    )  # fmt: skip
    return StrategyReport(
        name=name, interval=interval, decisions=decided, orders=pl.DataFrame(), fills=filled, equity=equity,
        positions=frame("autopilot_positions", [position(name, "ETH/USDT:USDT", "buy")]), outcomes=outcomes,
        metrics=metrics,
        ticks=frame("autopilot_ticks", ticks), reconcile_events=frame("reconcile_events", [mismatch]),
    )  # fmt: skip


def checks() -> pl.DataFrame:
    return pl.DataFrame([
        {"name": "no_gaps", "asset": "candles", "partition": "2025-05-12", "passed": False, "severity": "WARN",
         "message": "SOL/USDT:USDT 1m: 3 bars missing from 10:02 to 10:04"},
        {"name": "ohlc_rules", "asset": "candles", "partition": "2025-05-12", "passed": True, "severity": "ERROR",
         "message": ""},
        {"name": "books_agree", "asset": "equity", "partition": "2025-05-12", "passed": False, "severity": "ERROR",
         "message": "1 mismatch in breakout_15m"},
    ])  # fmt: skip


@pytest.fixture(scope="session")
def full_day() -> ReportData:
    return ReportData(
        day="2025-05-12", account="paper", market="simulated", as_of=START + timedelta(days=1),
        generated_at=START + timedelta(days=1, minutes=3), version="0.1.0",
        strategies=(strategy_report("breakout_15m", "15m"), strategy_report("trend_1h", "1h")),
        candles=closes(), checks=checks(),
    )  # fmt: skip


@pytest.fixture(scope="session")
def change() -> Callable[..., ReportData]:
    """The day with some frames of its first strategy replaced."""

    def replaced(data: ReportData, **frames: Any) -> ReportData:
        first = dataclasses.replace(data.strategies[0], **frames)
        return dataclasses.replace(data, strategies=(first, *data.strategies[1:]))

    return replaced
