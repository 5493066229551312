"""A tick from its recorded input to rows: modes, keys, money, and what replays equal."""

import json
from datetime import UTC, datetime
from decimal import Decimal as Dec
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import KillSwitch, Mode
from openclaw_pipelines.domain.governance.audit import BrokenChainError, verify_chain
from openclaw_pipelines.domain.governance.proposal_states import MOVES
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.kernel.base.state_bytes import state_hash

PERP, SPOT = "AAA/USDT:USDT", "BBB/USDT"
CALM, UP, DOWN = (100, 101, 99, 100), (100, 106, 100, 105), (100, 100, 94, 95)
HOLD_105 = (105, 106, 104, 105)
KEY = "autopilot:paper:desk:AAAUSDT-PERP:20250510T0600Z"


def statuses(desk: Any) -> list[str]:
    return [row["status"] for row in desk.of("autopilot_decisions")]


# ---- keys and money, worked by hand


def test_an_entry_and_its_stop(desk: Any) -> None:
    """19.047 bought at 105, fee 5 bps of 1999.935; the breaking bar's range of 6 is the stop's distance, so 99."""
    trading = desk()
    trading.take(UP, CALM)
    (order,) = trading.of("autopilot_orders")
    assert (order["order_key"], order["leg"], order["qty"]) == (f"{KEY}:entry", "entry", Dec("19.047"))
    trading.take(HOLD_105, CALM)
    (entry,) = trading.of("autopilot_fills")
    assert (entry["fill_key"], entry["decision_key"]) == (f"{KEY}:entry:1", KEY)
    assert entry["fee"] == Dec("1999.935") * Dec("0.0005")
    assert entry["bar_at"] == datetime(2025, 5, 10, 6, tzinfo=UTC)
    (position,) = trading.of("autopilot_positions")
    assert (position["stop_price"], position["margin"]) == (99, Dec("1999.935") / 2)
    trading.take((105, 105, 98, 100), CALM)
    (stop,) = trading.of("autopilot_fills")
    (order,) = trading.of("autopilot_orders")
    assert (stop["fill_key"], stop["decision_key"], stop["leg"]) == (f"{KEY}:stop:1", KEY, "stop")
    assert (order["order_key"], order["reason"]) == (f"{KEY}:stop", "stop")
    assert (stop["price"], stop["realized_pnl"]) == (99, Dec("19.047") * -6)
    assert stop["cash_change"] == Dec("19.047") * -6 - stop["fee"]
    assert trading.of("autopilot_positions") == []
    (equity,) = trading.of("autopilot_equity")
    assert equity["cash"] == equity["equity"] == 10_000 + entry["cash_change"] + stop["cash_change"]
    trading.frames()


def test_an_exit_by_signal_has_a_decision_of_its_own(desk: Any) -> None:
    trading = desk(params={"stop_atr": 0.0})
    trading.take(UP, CALM)
    trading.take(HOLD_105, CALM)
    trading.take((105, 105, 97, 97.5), CALM)
    (decided,) = trading.of("autopilot_decisions")
    assert (decided["action"], decided["decision_key"][-5:]) == ("exit", "0800Z")
    trading.take((97, 98, 96, 97), CALM)
    (fill,) = trading.of("autopilot_fills")
    assert (fill["order_key"], fill["price"]) == (f"{decided['decision_key']}:exit", 97)
    assert fill["slippage_bps"] == pytest.approx((97 - 97.5) / 97.5 * 10_000 * -1)


def test_a_target(desk: Any) -> None:
    trading = desk(params={"target_atr": 2.0})
    trading.take(UP, CALM)
    trading.take((105, 118, 105, 110), CALM)
    _, target = trading.of("autopilot_fills")
    assert (target["order_key"], target["price"], target["slippage_bps"]) == (f"{KEY}:target", 117, 0)
    assert target["realized_pnl"] == Dec("19.047") * 12


def test_a_trailing_stop_is_a_stop_leg(desk: Any) -> None:
    """Trails by 6 from the high of 112, so 106."""
    trading = desk(params={"stop_atr": 0.0, "trail_atr": 1.0})
    trading.take(UP, CALM)
    trading.take((105, 112, 105, 111), CALM)
    trading.take((111, 111, 105, 110), CALM)
    (fill,) = trading.of("autopilot_fills")
    assert (fill["order_key"], fill["reason"], fill["price"]) == (f"{KEY}:stop", "trailing_stop", 106)


def test_a_liquidation_loses_the_margin(desk: Any) -> None:
    """Margin 1/20 of 1999.935; maintenance one percent: liquidated at (105 - 5.25) / 0.99 rounded up, 100.76."""
    trading = desk(params={"stop_atr": 0.0}, risk={"margin_leverage_bps": 200_000})
    trading.take(UP, CALM)
    trading.take((105, 105, 100, 100.5), CALM)
    _, gone = trading.of("autopilot_fills")
    assert (gone["fill_key"], gone["price"]) == (f"{KEY}:liquidation:1", Dec("100.76"))
    assert gone["fee"] == Dec("19.047") * Dec("100.76") * Dec("0.01")
    assert gone["realized_pnl"] == Dec("19.047") * (Dec("100.76") - 105)


@pytest.mark.parametrize(
    ("rate", "amount"),
    [
        pytest.param(0.0001, Dec("-0.1999935"), id="longs pay a positive rate"),
        pytest.param(-0.0001, Dec("0.1999935"), id="and receive a negative one"),
    ],
)
def test_funding_is_charged_at_the_open(desk: Any, rate: float, amount: Dec) -> None:
    trading = desk()
    trading.take(UP, CALM)
    trading.take(HOLD_105, CALM)
    trading.take(HOLD_105, CALM, funding=rate)
    (payment,) = trading.of("autopilot_funding_payments")
    assert (payment["amount"], payment["qty"], payment["price"]) == (amount, Dec("19.047"), 105)
    assert payment["entry_decision_key"] == KEY
    assert trading.of("autopilot_equity")[0]["funding"] == amount


def test_spot_is_not_funded(desk: Any) -> None:
    trading = desk()
    trading.take(CALM, UP)
    trading.take(CALM, HOLD_105)
    trading.take(CALM, HOLD_105, funding=0.0001)
    assert trading.of("autopilot_funding_payments") == []


@pytest.mark.parametrize(
    ("bar", "volume"),
    [pytest.param(None, 10.0, id="missing bar"), pytest.param(HOLD_105, 0.0, id="no volume")],
)
def test_an_entry_without_a_bar_to_fill_in_expires(desk: Any, bar: Any, volume: float) -> None:
    trading = desk()
    trading.take(UP, CALM)
    trading.take(bar, CALM, volume=volume)
    (fill,) = trading.of("autopilot_fills")
    assert (fill["status"], fill["reason_code"], fill["qty"], fill["cash_change"]) == ("expired", "NO_PRICE", 0, 0)
    assert trading.path(KEY) == ["proposed", "approved", "execution_failed"]
    trading.frames()


def test_an_entry_is_reduced_to_what_the_cash_affords(desk: Any) -> None:
    """9,900 worth at 105; the bar opens at 110 and 10,000 of cash buy 90.863 with the fee of 5 bps."""
    trading = desk(params={"position_bps": 9_900}, risk={"margin_leverage_bps": 10_000, "price_buffer_bps": 0})
    trading.take(UP, CALM)
    trading.take((110, 111, 109, 110), CALM)
    (fill,) = trading.of("autopilot_fills")
    assert (fill["status"], fill["qty"]) == ("reduced", Dec("90.863"))
    assert Dec("90.864") * 110 * Dec("1.0005") > 10_000 >= Dec("90.863") * 110 * Dec("1.0005")
    assert trading.path(KEY)[-2:] == ["executed", "reconciled"]


def test_a_fresh_signal_in_the_held_direction_is_held(desk: Any) -> None:
    trading = desk()
    trading.take(UP, CALM)
    trading.take(HOLD_105, CALM)
    trading.take((107, 112, 106, 111), CALM)
    (row,) = trading.of("autopilot_decisions")
    assert (row["action"], row["status"], row["reason_code"], row["approved_qty"]) == ("hold", "held", "NONE", 0)


# ---- modes


MODES = [
    pytest.param({"mode": Mode.AUTO}, "approved", ["proposed", "approved"], 1, id="auto"),
    pytest.param(
        {"mode": Mode.ASSIST}, "awaiting_approval", ["proposed", "approved", "awaiting_approval"], 0, id="assist"
    ),
    pytest.param({"mode": Mode.MANUAL}, "rejected", ["proposed", "preview_rejected"], 0, id="manual"),
    pytest.param({"shadow": True}, "shadowed", ["proposed", "approved", "shadowed"], 0, id="shadow"),
    pytest.param({"paused": True}, "rejected", ["proposed", "preview_rejected"], 0, id="paused"),
]


@pytest.mark.parametrize(("mode", "status", "path", "orders"), MODES)
def test_modes(desk: Any, mode: dict[str, Any], status: str, path: list[str], orders: int) -> None:
    trading = desk(**mode)
    trading.take(UP, CALM)
    assert statuses(trading) == [status]
    assert trading.of("autopilot_proposals")[0]["state"] == {"rejected": "preview_rejected"}.get(status, status)
    assert trading.path(KEY) == path
    trading.take(HOLD_105, CALM)
    assert len(trading.rows.get("autopilot_fills", [])) == orders
    trading.frames()


def test_a_canary_trades_a_part(desk: Any) -> None:
    trading = desk(canary_bps=1_000)
    trading.take(UP, CALM)
    (row,) = trading.of("autopilot_decisions")
    assert (row["proposed_qty"], row["approved_qty"]) == (Dec("19.047"), Dec("1.904"))
    assert '"size_bps":{"because":"canary","value":1000}' in row["effective_limits"]


@pytest.mark.parametrize(
    ("change", "fills"),
    [
        pytest.param({"switch": KillSwitch.CLOSE_ONLY}, 1, id="close_only lets an exit through"),
        pytest.param({"switch": KillSwitch.HALT_ALL}, 0, id="halt_all stops it"),
        pytest.param({"settle_only": "too old"}, 1, id="a tick too old to enter still leaves"),
        pytest.param({"universe": []}, 1, id="a symbol outside the universe is left"),
    ],
)
def test_exits_under_control(desk: Any, change: dict[str, Any], fills: int) -> None:
    trading = desk(params={"stop_atr": 0.0})
    trading.take(UP, CALM)
    trading.take(HOLD_105, CALM)
    trading.take((105, 105, 97, 97.5), CALM, **change)
    assert statuses(trading) == ["approved" if fills else "rejected"]
    trading.take((97, 98, 96, 97), CALM)
    assert len(trading.of("autopilot_fills")) == fills
    assert len(trading.of("autopilot_positions")) == 1 - fills


@pytest.mark.parametrize("paused", [{"paused": True}, {"mode": Mode.MANUAL}, {"shadow": True}])
def test_a_position_can_always_be_left(desk: Any, paused: dict[str, Any]) -> None:
    from dataclasses import replace

    trading = desk(params={"stop_atr": 0.0})
    trading.take(UP, CALM)
    trading.take(HOLD_105, CALM)
    trading.session.use_policy(replace(trading.session.policy, **paused))
    trading.take((105, 105, 97, 97.5), CALM)
    assert statuses(trading) == ["approved"]


# ---- the state machine


TICK = st.tuples(
    st.sampled_from([CALM, UP, DOWN, HOLD_105, (105, 110, 90, 97), None]),
    st.sampled_from([CALM, UP, DOWN, HOLD_105, (105, 110, 90, 97), None]),
    st.sampled_from([KillSwitch.OFF, KillSwitch.OFF, KillSwitch.CLOSE_ONLY, KillSwitch.HALT_ALL]),
    st.sampled_from(["approve", "decline", None]),
    st.sampled_from([10.0, 10.0, 0.0]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ticks=st.lists(TICK, min_size=1, max_size=14),
    mode=st.sampled_from([{}, {"mode": Mode.ASSIST, "approval_ticks": 3}, {"shadow": True}]),
)
def test_any_ticks_make_legal_moves_only(desk: Any, ticks: list[Any], mode: dict[str, Any]) -> None:
    """Every proposal starts as proposed, moves as the table says, the chain verifies, and the account adds up."""
    trading = desk(params={"trail_atr": 1.0, "target_atr": 3.0, "entry_window_bars": 3}, **mode)
    for perp, spot, switch, answer, volume in ticks:
        requests = dict.fromkeys(trading.session.awaiting, answer) if answer else {}
        trading.take(perp, spot, switch=switch, requests=requests, volume=volume, funding=0.0001)
    states: dict[str, str] = {}
    legal = {(start.value, end.value) for start, ends in MOVES.items() for end in ends}
    for subject, start, end in trading.moves():
        assert (start, end) in legal
        assert states.get(subject, "proposed") == start
        states[subject] = end
    assert trading.verified() == len(trading.moves())
    assert set(states) == {row["decision_key"] for row in trading.rows.get("autopilot_decisions", [])}
    assert all(row["passed"] for row in trading.rows["reconcile_events"])
    for row in trading.rows["autopilot_equity"]:
        assert row["equity"] == row["cash"] + row["position_value"]
    orders = {row["order_key"] for row in trading.rows.get("autopilot_orders", [])}
    assert {row["order_key"] for row in trading.rows.get("autopilot_fills", [])} <= orders


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ticks=st.lists(TICK, min_size=1, max_size=10))
def test_recorded_inputs_replay_to_equal_rows(desk: Any, ticks: list[Any]) -> None:
    """Through the JSON that the ledger keeps, in assist mode with answers."""
    lived, again = desk(mode=Mode.ASSIST), desk(mode=Mode.ASSIST)
    for perp, spot, switch, answer, volume in ticks:
        requests = dict.fromkeys(lived.session.awaiting, answer) if answer else {}
        lived.take(perp, spot, switch=switch, requests=requests, volume=volume)
    for result in lived.results[-len(ticks) :]:
        again.run(TickInput.from_row(result.rows["tick_inputs"][0]))
    assert [result.rows for result in again.results] == [result.rows for result in lived.results]


def test_a_changed_or_removed_audit_row_is_caught(desk: Any) -> None:
    trading = desk()
    trading.take(UP, UP)
    trading.take(HOLD_105, HOLD_105)
    rows = trading.rows["admin_actions"]
    assert verify_chain(rows) == 6
    for broken in (
        [*rows[:2], {**rows[2], "to_state": "expired"}, *rows[3:]],
        [*rows[:2], *rows[3:]],
        [rows[1], rows[0], *rows[2:]],
        [{**rows[0], "details": '{"a":1}'}, *rows[1:]],
    ):
        with pytest.raises(BrokenChainError, match="audit trail of desk"):
            verify_chain(broken)


# ---- trial copies and uncertainty


def test_a_trial_copy_leaves_the_session_as_it_was(desk: Any) -> None:
    trading = desk()
    before = state_hash(trading.session.state)
    kept, trading.session = trading.session, trading.session.copy()
    trading.take(UP, UP)
    trading.take(HOLD_105, HOLD_105)
    assert state_hash(kept.state) == before
    assert (kept.books.cash, kept.books.quantities, kept.chain.sequence) == (10_000, {}, 0)


def test_books_that_differ_are_recorded_and_refuse_entries_until_they_agree(desk: Any) -> None:
    trading = desk()
    trading.session.books.cash += Dec("0.00000001")
    trading.calm()
    (event,) = trading.of("reconcile_events")
    assert (event["check_name"], event["passed"], event["expected"]) == ("cash", False, Dec("10000.00000001"))
    assert _reconcile_phase(trading)["mismatches"] == 1
    trading.take(UP, CALM)
    assert [row["reason_code"] for row in trading.of("autopilot_decisions")] == ["STATE_UNCERTAIN"]
    trading.session.books.cash -= Dec("0.00000001")
    trading.calm()
    assert not trading.session.uncertain
    assert _reconcile_phase(trading)["mismatches"] == 0


def _reconcile_phase(trading: Any) -> dict[str, int]:
    (row,) = trading.of("autopilot_ticks")
    return json.loads(row["phases"])["RECONCILE"]


def test_the_first_pass_of_each_day_is_recorded(desk: Any) -> None:
    trading = desk()
    trading.calm(25)
    assert sorted({row["tick_at"] for row in trading.rows["reconcile_events"]}) == [
        datetime(2025, 5, 10, 1, tzinfo=UTC),
        datetime(2025, 5, 11, 0, tzinfo=UTC),
    ]
