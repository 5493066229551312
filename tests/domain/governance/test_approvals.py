"""Approvals, declines and expiries of proposals that wait for an operator."""

from datetime import timedelta
from decimal import Decimal as Dec
from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import Mode
from openclaw_pipelines.domain.governance.approvals import verdicts

PERP = "AAA/USDT:USDT"
CALM, UP, DOWN = (100, 101, 99, 100), (100, 106, 100, 105), (100, 100, 94, 95)
KEY = "autopilot:paper:desk:AAAUSDT-PERP:20250510T0600Z"
NEXT = "autopilot:paper:desk:AAAUSDT-PERP:20250510T0700Z"


def test_an_approval_is_judged_and_priced_at_its_own_tick(desk: Any) -> None:
    trading = desk(mode=Mode.ASSIST)
    trading.take(UP, CALM)
    trading.take((105, 106, 104, 104), CALM, requests={KEY: "approve"})
    (row,) = trading.of("autopilot_decisions")
    assert (row["decision_key"], row["planner"], row["status"]) == (NEXT, "operator", "approved")
    assert (row["intended_price"], row["approved_qty"]) == (104, Dec("19.047"))
    assert trading.path(KEY) == ["proposed", "approved", "awaiting_approval", "approved"]
    trading.take((104, 105, 103, 104), CALM)
    (fill,) = trading.of("autopilot_fills")
    assert (fill["decision_key"], fill["price"]) == (NEXT, 104)
    assert trading.of("autopilot_positions")[0]["stop_price"] == 104 - 6
    trading.frames()


@pytest.mark.parametrize(
    ("requests", "ticks", "state", "actor"),
    [
        pytest.param({KEY: "decline"}, 1, "declined", "operator", id="declined"),
        pytest.param({}, 1, "awaiting_approval", "autopilot", id="still waiting"),
        pytest.param({}, 2, "expired", "autopilot", id="expired after approval_ticks"),
    ],
)
def test_a_wait_ends(desk: Any, requests: dict[str, str], ticks: int, state: str, actor: str) -> None:
    trading = desk(mode=Mode.ASSIST, approval_ticks=2)
    trading.take(UP, CALM)
    for _ in range(ticks):
        trading.take(CALM, CALM, requests=requests)
    assert trading.path(KEY)[-1] == state
    assert trading.rows["admin_actions"][-1]["actor"] == actor
    assert (KEY in trading.session.awaiting) == (state == "awaiting_approval")
    assert "autopilot_fills" not in trading.rows


def test_an_approval_goes_before_the_strategy_own_fresh_entry(desk: Any) -> None:
    """The signal still stands at the next tick with a higher confidence; the approval must not be its duplicate."""
    trading = desk(mode=Mode.ASSIST, params={"entry_window_bars": 3})
    trading.take((100, 106, 100, 101.5), CALM)
    (weak,) = trading.of("autopilot_decisions")
    assert (weak["status"], weak["confidence"] < 0.8) == ("awaiting_approval", True)
    trading.take((101, 130, 101, 129), CALM, requests={weak["decision_key"]: "approve"})
    (row,) = trading.of("autopilot_decisions")
    assert (row["planner"], row["status"]) == ("operator", "approved")
    trading.take((129, 130, 128, 129), CALM)
    assert [fill["decision_key"] for fill in trading.of("autopilot_fills")] == [row["decision_key"]]


def test_many_approvals_at_once_become_one_entry_per_symbol(desk: Any) -> None:
    """More answers than the kernel has room for proposals; the latest of each symbol is taken."""
    trading = desk(PERP, mode=Mode.ASSIST, approval_ticks=9, params={"entry_window_bars": 9})
    for n in range(5):
        base = 100 + 6 * n
        trading.take((base, base + 6, base, base + 5))
    waiting = sorted(trading.session.awaiting)
    assert len(waiting) == 5
    trading.take((131, 136, 130, 135), requests=dict.fromkeys(waiting, "approve"))
    (row,) = trading.of("autopilot_decisions")
    assert (row["planner"], row["status"]) == ("operator", "approved")
    assert row["proposed_qty"] == trading.rows["autopilot_decisions"][4]["proposed_qty"]
    assert {trading.path(key)[-1] for key in waiting} == {"approved"}
    trading.take((135, 136, 134, 135))
    assert len(trading.of("autopilot_fills")) == 1
    assert trading.verified()


def test_after_a_change_to_auto_the_proposal_that_is_ordered_is_the_one_recorded(desk: Any) -> None:
    """The approval is too large for the new limit; the strategy's own, smaller entry on the symbol goes out."""
    from dataclasses import replace

    trading = desk(mode=Mode.ASSIST, params={"entry_window_bars": 3})
    trading.take(UP, CALM)
    (waiting,) = trading.session.awaiting
    policy = trading.session.policy
    risk = policy.risk.model_copy(update={"max_position_qty": Dec(16)})
    trading.session.use_policy(replace(policy, mode=Mode.AUTO, symbol_risk=dict.fromkeys(policy.symbol_risk, risk)))
    trading.take((105, 131, 105, 130), CALM, requests={waiting: "approve"})
    (row,) = trading.of("autopilot_decisions")
    assert trading.path(waiting)[-1] == "approved"
    assert (row["planner"], row["status"], row["approved_qty"]) == ("heuristic", "approved", Dec("15.384"))
    assert [order["qty"] for order in trading.of("autopilot_orders")] == [Dec("15.384")]
    trading.take((130, 131, 129, 130), CALM)
    assert trading.path(row["decision_key"])[-2:] == ["executed", "reconciled"]


def test_an_approval_outlives_neither_switch_nor_universe(desk: Any) -> None:
    trading = desk(mode=Mode.ASSIST)
    trading.take(UP, CALM)
    trading.take(CALM, CALM, requests={KEY: "approve"}, universe=[])
    assert [row["reason_code"] for row in trading.of("autopilot_decisions")] == ["SYMBOL_NOT_ALLOWED"]
    assert trading.path(NEXT) == ["proposed", "preview_rejected"]


@pytest.mark.parametrize(
    ("requests", "waited", "said"),
    [
        pytest.param({KEY: "approve"}, timedelta(0), ["approve"], id="approve"),
        pytest.param({KEY: "approve"}, timedelta(hours=2), ["approve"], id="approved at the last moment"),
        pytest.param({}, timedelta(hours=2), ["expire"], id="expire"),
        pytest.param({}, timedelta(minutes=119), [], id="not yet"),
        pytest.param({"another": "approve"}, timedelta(0), [], id="a request for something else"),
    ],
)
def test_verdicts(desk: Any, requests: dict[str, str], waited: timedelta, said: list[str]) -> None:
    trading = desk(mode=Mode.ASSIST)
    trading.take(UP, CALM)
    at = int((trading.at + waited).timestamp())
    assert [item.verdict for item in verdicts(trading.session.awaiting, requests, at, 7_200)] == said
