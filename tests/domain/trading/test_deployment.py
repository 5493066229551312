"""A deployment and its policy: identity, integers for the kernel, and the way through JSON."""

import json
from dataclasses import replace
from decimal import Decimal as Dec
from typing import Any

import pytest

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.enums import Mode
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.trading.deployment import Deployment, LeverageError, policy_payload
from openclaw_pipelines.kernel.base.layout import NO_LIMIT, RING_SIZE, Halt

PERP, SPOT = "AAA/USDT:USDT", "BBB/USDT"


def test_identity(desk: Any) -> None:
    deployment = desk(warm=False).session.deployment
    assert deployment.deployment_id == "desk@ffffffffffff@20250510"
    assert (deployment.symbols, deployment.interval_seconds) == ([PERP, SPOT], 3_600)
    assert deployment.lots == [Dec("0.001"), Dec("0.001")]


def test_both_survive_json(desk: Any) -> None:
    session = desk(warm=False, risk={"max_order_notional": "1500.50"}, mode=Mode.ASSIST).session
    text = canonical_json(policy_payload(session.deployment, session.policy))
    again = json.loads(text)
    deployment, policy = Deployment.from_payload(again["deployment"]), Policy.from_payload(again["policy"])
    assert (deployment, policy) == (session.deployment, session.policy)
    assert canonical_json(policy_payload(deployment, policy)) == text


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"mode": Mode.ASSIST}, id="mode"),
        pytest.param({"canary_bps": 1}, id="canary"),
        pytest.param({"paused": True}, id="paused"),
        pytest.param({"approval_ticks": 3}, id="approval ticks"),
    ],
)
def test_every_control_has_a_version_of_its_own(policy_of: Any, change: dict[str, Any]) -> None:
    policy = policy_of([PERP], {}, {})
    assert replace(policy, **change).version_id != policy.version_id == policy_of([PERP], {}, {}).version_id


@pytest.mark.parametrize(
    ("mode", "shadow", "executes"),
    [
        (Mode.AUTO, False, 2),
        (Mode.ASSIST, False, 1),
        (Mode.MANUAL, False, 1),
        (Mode.AUTO, True, 0),
        (Mode.ASSIST, True, 0),
    ],
)
def test_which_entries_become_orders(policy_of: Any, mode: Mode, shadow: bool, executes: int) -> None:
    assert policy_of([PERP], {}, {}, mode=mode, shadow=shadow).executes == executes


def test_limits_in_kernel_units(desk: Any) -> None:
    risk = {"max_order_notional": "1500.5", "max_position_qty": "2.5", "margin_leverage_bps": 30_000}
    session = desk(warm=False, risk=risk, canary_bps=500).session
    perp, spot = session.deployment.limits(session.policy)
    assert (int(perp.max_order_notional), int(perp.max_position_qty)) == (150_050_000_000, 2_500)
    assert (int(perp.leverage_bps), int(spot.leverage_bps), int(perp.size_bps)) == (30_000, 10_000, 500)


def test_no_limit_on_quantity_and_on_orders(desk: Any) -> None:
    session = desk(warm=False).session
    assert int(session.deployment.limits(session.policy)[0].max_position_qty) == NO_LIMIT
    account = session.deployment.account_limits(session.policy, Halt.CLOSE_ONLY)
    assert (int(account.max_orders_per_window[0]), int(account.window_seconds[0])) == (RING_SIZE, 0)
    assert int(account.halt[0]) == Halt.CLOSE_ONLY


def test_more_leverage_than_the_instrument_allows(desk: Any) -> None:
    with pytest.raises(LeverageError, match=r"AAA/USDT:USDT allows leverage up to 20x, asked for 25\.0x"):
        desk(warm=False, risk={"margin_leverage_bps": 250_000})


@pytest.mark.parametrize(
    ("costs", "rate"),
    [
        pytest.param({}, 5_000_000, id="the instrument's fee"),
        pytest.param({"taker_fee_bps": Dec(10)}, 10_000_000, id="set"),
    ],
)
def test_the_fee(desk: Any, costs: dict[str, Any], rate: int) -> None:
    session = desk(warm=False, costs=costs).session
    assert int(session.deployment.context(session.policy).instruments[0].taker_rate) == rate
