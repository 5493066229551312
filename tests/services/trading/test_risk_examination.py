"""Limits judged by a second witness: what the kernel approved holds, and what it refused would not have."""

import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.governance.limits_held import Broken
from openclaw_pipelines.services.trading.examination import examine_ledger
from openclaw_pipelines.services.trading.risk_examination import RiskRows, examine_risk
from openclaw_pipelines.services.trading.verification import verify_day

DAY_ONE, BREAKOUT, MOMENTUM = "2025-05-10", "breakout_15m", "momentum_1h"


RISKS = st.fixed_dictionaries(
    {
        "max_order_notional": st.integers(500, 20_000),
        "min_order_notional": st.integers(10, 500),
        "max_position_notional": st.integers(500, 20_000),
        "max_position_pct_equity_bps": st.integers(500, 40_000),
        "max_symbol_concentration_bps": st.integers(1_000, 10_000),
        "max_open_positions": st.integers(1, 3),
        "max_leverage_bps": st.integers(5_000, 40_000),
        "margin_leverage_bps": st.sampled_from([10_000, 20_000, 30_000, 50_000]),
        "max_daily_loss_bps": st.integers(20, 1_000),
        "max_drawdown_bps": st.integers(50, 2_000),
        "allow_short": st.booleans(),
        "max_orders_per_window": st.sampled_from([0, 1, 2, 5]),
        "order_window_seconds": st.sampled_from([1_800, 7_200]),
        "order_gap_seconds": st.sampled_from([0, 900, 3_600]),
        "cooldown_seconds": st.sampled_from([0, 1_800]),
        "price_buffer_bps": st.sampled_from([0, 50, 500]),
    }
)
"""Limits of which each binds now and then."""


def refused_as_if_approved(rows: RiskRows) -> list[tuple[dict[str, Any], dict[str, Broken]]]:
    """Refused entries with what the witness says of each by code, had it been approved as asked for."""
    found = []
    for row in rows.refused().to_dicts():
        before = rows.entries.filter((pl.col("tick_at") == row["tick_at"]) & (pl.col("rank") < row["rank"]))
        broken = rows.judged([*before.to_dicts(), {**row, "approved_qty": row["proposed_qty"]}])
        found.append((row, {own.code.name: own for own in broken if own.decision_key == row["decision_key"]}))
    return found


def judged(own: Any, strategy: str) -> set[str]:
    """Codes by which a lived day refused entries, each with the same two numbers, to the last digit, by the witness."""
    held, _ = examine_risk(own.ledger(strategy), DAY_ONE)
    assert held.passed, held.sentence
    codes = set()
    for row, broken in refused_as_if_approved(RiskRows(own.ledger(strategy), DAY_ONE)):
        code = row["reason_code"]
        assert code in broken, row
        if code != "SHORT_NOT_ALLOWED":
            assert (broken[code].measured, broken[code].limit) == (row["measured"], row["limit_value"]), row["reason"]
        codes.add(code)
    return codes


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(risk=RISKS)
def test_what_was_approved_holds_and_what_was_refused_does_not(desk, risk: dict[str, Any]) -> None:
    own = desk("asked", risk=risk)
    for strategy in (BREAKOUT, MOMENTUM):
        own.run(strategy)
        judged(own, strategy)


def test_tight_limits_refuse_by_several_codes_and_both_witnesses_agree(desk) -> None:
    tight = {
        "max_order_notional": 20_000,
        "max_open_positions": 1,
        "max_orders_per_window": 2,
        "cooldown_seconds": 7_200,
    }
    own = desk(
        "asked", risk={**tight, "max_position_notional": 20_000, "order_gap_seconds": 3_600, "allow_short": False}
    )
    for strategy in (BREAKOUT, MOMENTUM):
        own.run(strategy)
    codes = judged(own, BREAKOUT) | judged(own, MOMENTUM)
    assert len(codes) >= 3, codes


def test_cash_that_does_not_reach_is_counted_alike(desk) -> None:
    """Margin, fee, slippage and buffer at the worst price, less what entries before it in the tick reserve."""
    loose = {"max_order_notional": 100_000, "max_position_notional": 100_000, "max_position_pct_equity_bps": 100_000,
             "max_leverage_bps": 100_000, "margin_leverage_bps": 10_000, "price_buffer_bps": 137,
             "max_daily_loss_bps": 9_000, "max_drawdown_bps": 9_000}  # fmt: skip
    own = desk("asked", risk=loose)
    for strategy in (BREAKOUT, MOMENTUM):
        own.strategy(strategy, params={"position_bps": 4_500})
        own.run(strategy)
    assert "INSUFFICIENT_BALANCE" in judged(own, BREAKOUT) & judged(own, MOMENTUM)


# ---- one planted row per limit


def entry_of(own: Any, number: int) -> dict[str, Any]:
    """An approved entry of the first day, whose symbol was left before it where it is not the first."""
    rows = RiskRows(own.ledger(BREAKOUT), DAY_ONE).entries
    return rows.row(number, named=True)


def changed(own: Any, entry: dict[str, Any], table: str, **columns: object) -> None:
    """Write other values into the row of a table at the entry's tick."""
    key = (
        "decision_key = ?" if table == "autopilot_decisions" else "tick_at = ? AND strategy_config_id = 'breakout_15m'"
    )
    bound = entry["decision_key"] if table == "autopilot_decisions" else entry["tick_at"]
    with own.store.write("ledger") as con:
        sets = ", ".join(f"{name} = ?" for name in columns)
        con.execute(f"UPDATE {table} SET {sets} WHERE {key}", [*columns.values(), bound])


def limit(name: str, value: object) -> Any:
    """Another limit recorded beside the entry."""

    def plant(own: Any, entry: dict[str, Any]) -> None:
        limits = json.loads(entry["effective_limits"])
        limits[name] = {"value": value}
        changed(own, entry, "autopilot_decisions", effective_limits=json.dumps(limits))

    return plant


def row(table: str, **columns: object) -> Any:
    """Other values in a row of the entry's tick."""
    return lambda own, entry: changed(own, entry, table, **columns)


def masked(**masks: object) -> Any:
    """Another mask recorded with the entry's tick."""

    def plant(own: Any, entry: dict[str, Any]) -> None:
        recorded = own.store.table("tick_inputs").filter(
            (pl.col("tick_at") == entry["tick_at"]) & (pl.col("strategy_config_id") == BREAKOUT)
        )
        changed(own, entry, "tick_inputs", masks=json.dumps({**json.loads(recorded["masks"][0]), **masks}))

    return plant


def context(change: Any) -> Any:
    """Another context recorded with every tick."""

    def plant(own: Any, _entry: dict[str, Any]) -> None:
        for stored in own.store.table("tick_contexts").to_dicts():
            payload = json.loads(stored["payload"])
            change(payload)
            with own.store.write("ledger") as con:
                bound = [json.dumps(payload), stored["context_hash"]]
                con.execute("UPDATE tick_contexts SET payload = ? WHERE context_hash = ?", bound)

    return plant


def least(payload: dict[str, Any]) -> None:
    for instrument in payload["deployment"]["instruments"]:
        instrument["min_qty"] = "1000000000"


def paused(payload: dict[str, Any]) -> None:
    payload["policy"]["paused"] = True


def held_already(own: Any, entry: dict[str, Any]) -> None:
    """A position in the entry's symbol, copied from a later tick."""
    with own.store.write("ledger") as con:
        con.execute(
            "INSERT INTO autopilot_positions SELECT * REPLACE (?::TIMESTAMPTZ AS tick_at) FROM autopilot_positions "
            "WHERE strategy_config_id = ? AND symbol = ? LIMIT 1",
            [entry["tick_at"], BREAKOUT, entry["symbol"]],
        )


def unreconciled(own: Any, entry: dict[str, Any]) -> None:
    """Books that did not reconcile at the tick before."""
    before = entry["tick_at"] - timedelta(minutes=15)
    with own.store.write("ledger") as con:
        con.execute(
            "INSERT INTO reconcile_events SELECT * REPLACE (?::TIMESTAMPTZ AS tick_at, false AS passed) "
            "FROM reconcile_events WHERE strategy_config_id = ? LIMIT 1",
            [before, BREAKOUT],
        )


def unrecorded(own: Any, entry: dict[str, Any]) -> None:
    """The tick's input is gone."""
    with own.store.write("ledger") as con:
        con.execute("DELETE FROM tick_inputs WHERE tick_at = ?", [entry["tick_at"]])


PLANTED = {
    "INVALID_QTY": row("autopilot_decisions", proposed_qty=Decimal("0.0001")),
    "MIN_QTY": context(least),
    "MIN_ORDER_NOTIONAL": limit("min_order_notional", "1000000"),
    "MAX_ORDER_NOTIONAL": limit("max_order_notional", "1"),
    "MAX_POSITION_QTY": limit("max_position_qty", "0.0000001"),
    "MAX_POSITION_NOTIONAL": limit("max_position_notional", "1"),
    "MAX_POSITION_PCT_EQUITY": limit("max_position_pct_equity_bps", 1),
    "MAX_OPEN_POSITIONS": limit("max_open_positions", 0),
    "MAX_SYMBOL_CONCENTRATION": limit("max_symbol_concentration_bps", 1),
    "INSUFFICIENT_BALANCE": row("autopilot_equity", cash=Decimal(1)),
    "MAX_LEVERAGE": limit("max_leverage_bps", 1),
    "MAX_DAILY_LOSS": row("autopilot_equity", day_open_equity=Decimal(1_000_000)),
    "MAX_DRAWDOWN": row("autopilot_equity", peak_equity=Decimal(1_000_000)),
    "SHORT_NOT_ALLOWED": limit("allow_short", value=False),
    "RATE_LIMITED": limit("max_orders_per_window", 1),
    "ORDER_GAP": limit("order_gap_seconds", 86_400),
    "COOLDOWN": limit("cooldown_seconds", 86_400),
    "DUPLICATE": held_already,
    "STALE_CANDLES": row("autopilot_ticks", status="settled_only"),
    "GAP": masked(controls={"BTC/USDT:USDT": 23, "ETH/USDT:USDT": 23, "SOL/USDT": 23}),
    "SCALE_JUMP": masked(controls={"BTC/USDT:USDT": 37, "ETH/USDT:USDT": 37, "SOL/USDT": 37}),
    "NO_PRICE": row("autopilot_decisions", intended_price=Decimal(0)),
    "SYMBOL_NOT_ALLOWED": masked(universe=[]),
    "KILL_SWITCH": row("autopilot_ticks", kill_switch="halt_all"),
    "CLOSE_ONLY": masked(halt=1),
    "PAUSED": context(paused),
    "MODE_FORBIDS": row("autopilot_ticks", mode="manual"),
    "POLICY_UNRESOLVED": row("autopilot_decisions", effective_limits="{}"),
    "STATE_UNCERTAIN": unreconciled,
}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_row_turns_the_check_red(desk, code: str) -> None:
    own = desk("recorded", risk={"order_window_seconds": 86_400})
    entry = entry_of(own, -1)
    if code == "SHORT_NOT_ALLOWED":
        changed(own, entry, "autopilot_decisions", side="sell")
    PLANTED[code](own, entry)
    held = next(
        own
        for own in examine_ledger(own.world, verify_day(own.world.ledger(BREAKOUT), DAY_ONE))
        if own.name == "risk_limits_held"
    )
    assert (held.passed, held.severity) == (False, "error")
    assert code in held.cases["code"].to_list()
    assert entry["decision_key"] in held.cases["decision"].to_list()


def test_an_entry_of_a_tick_that_is_gone_holds_nothing(desk) -> None:
    own = desk("recorded")
    entry = entry_of(own, -1)
    unrecorded(own, entry)
    held, _ = examine_risk(own.ledger(BREAKOUT), DAY_ONE)
    assert set(held.cases["code"]) == {"POLICY_UNRESOLVED"}
    assert entry["symbol"] in held.cases["symbol"].to_list()


def test_every_code_of_an_entry_has_a_planted_row() -> None:
    """What is left out cannot refuse an entry at the tick, or has no writer yet."""
    apart = {"NONE", "QTY_ZERO", "INSUFFICIENT_AT_FILL", "EXECUTOR_REFUSED"}  # no approved entry, or after the tick
    like_gap = {"STALE_QUOTE", "SPREAD_TOO_WIDE", "SYMBOL_DENIED", "SYMBOL_DISABLED", "BUDGET_EXHAUSTED"}
    assert {code.name for code in RejectCode} - apart - like_gap == set(PLANTED)


def test_the_state_of_the_account_as_facts(desk) -> None:
    own = desk("recorded")
    rows = own.rows("autopilot_equity").filter(pl.col("tick_at") > day_start(DAY_ONE))
    _, state = examine_risk(own.ledger(BREAKOUT), DAY_ONE)
    leverage = max(float(row["gross_exposure"] / row["equity"]) for row in rows.to_dicts()) * 10_000
    drawdown = max(float(1 - row["equity"] / row["peak_equity"]) for row in rows.to_dicts()) * 10_000
    assert (state.passed, state.severity) == (True, "warning")
    assert state.facts["worst_leverage_bps"] == pytest.approx(leverage, abs=0.06)
    assert state.facts["worst_drawdown_bps"] == pytest.approx(drawdown, abs=0.06)
    assert Decimal(state.facts["highest_gross_exposure"]) == max(rows["gross_exposure"])
    assert f"leverage {leverage:.1f} bps of 20000" in state.sentence


def test_a_state_beyond_a_limit_is_a_warning(desk) -> None:
    own = desk("recorded")
    with own.store.write("ledger") as con:
        con.execute("UPDATE autopilot_equity SET gross_exposure = equity * 3 WHERE strategy_config_id = ?", [BREAKOUT])
    _, state = examine_risk(own.ledger(BREAKOUT), DAY_ONE)
    assert not state.passed
    assert state.sentence.startswith("beyond its limit: leverage 30000.0 bps of 20000")


def test_the_witness_imports_nothing_of_the_kernel() -> None:
    program = (
        "import sys, openclaw_pipelines.domain.governance.limits_held\n"
        "print([name for name in sys.modules if name.startswith(('openclaw_pipelines.kernel', 'numba', 'numpy'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
