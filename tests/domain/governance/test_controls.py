"""Control codes per symbol, and limits as decisions record them."""

import json
from decimal import Decimal as Dec
from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import InstrumentState, KillSwitch, Mode, RejectCode
from openclaw_pipelines.domain.governance.controls import (
    Controls,
    base_limits,
    control_codes,
    effective_limits,
)

PERP, SPOT = "AAA/USDT:USDT", "BBB/USDT"
CLEAR = {PERP: RejectCode.NONE, SPOT: RejectCode.NONE}
R = RejectCode


@pytest.mark.parametrize(
    ("controls", "policy", "code"),
    [
        pytest.param({}, {}, R.NONE, id="nothing refuses"),
        pytest.param({"masks": {}}, {}, R.NO_PRICE, id="a mask that is not known refuses"),
        pytest.param({"masks": {PERP: R.GAP}}, {}, R.GAP, id="mask"),
        pytest.param({"masks": {PERP: R.GAP}, "settle_only": True}, {}, R.STALE_CANDLES, id="lowest code of two"),
        pytest.param({"kill_switch": KillSwitch.HALT_ALL}, {}, R.KILL_SWITCH, id="halt_all"),
        pytest.param({"kill_switch": KillSwitch.CLOSE_ONLY}, {}, R.CLOSE_ONLY, id="close_only"),
        pytest.param({"kill_switch": KillSwitch.HALT_ALL, "deny": frozenset({PERP})}, {}, R.SYMBOL_DENIED, id="denied"),
        pytest.param({"allow": frozenset({SPOT})}, {}, R.SYMBOL_NOT_ALLOWED, id="another is allowed"),
        pytest.param({"allow": frozenset({PERP})}, {}, R.NONE, id="allowed"),
        pytest.param({}, {"paused": True, "mode": Mode.MANUAL}, R.PAUSED, id="paused before manual"),
        pytest.param({}, {"mode": Mode.MANUAL}, R.MODE_FORBIDS, id="manual"),
        pytest.param({}, {"symbol_risk": {}}, R.POLICY_UNRESOLVED, id="no limits"),
        pytest.param({"uncertain": True}, {}, R.STATE_UNCERTAIN, id="uncertain"),
    ],
)
def test_codes(
    instrument: Any, policy_of: Any, controls: dict[str, Any], policy: dict[str, Any], code: RejectCode
) -> None:
    asked = Controls(**{"kill_switch": KillSwitch.OFF, "masks": CLEAR, **controls})
    own = policy_of([PERP, SPOT], {}, {}, **policy)
    assert control_codes([instrument(PERP)], own, asked) == {PERP: int(code)}


@pytest.mark.parametrize("state", [state for state in InstrumentState if state is not InstrumentState.TRADABLE])
def test_an_instrument_that_is_not_tradable_is_disabled(
    instrument: Any, policy_of: Any, state: InstrumentState
) -> None:
    asked = Controls(KillSwitch.OFF, masks=CLEAR)
    own = policy_of([PERP], {}, {})
    assert control_codes([instrument(PERP, state=state)], own, asked) == {PERP: int(R.SYMBOL_DISABLED)}


def test_base_limits_say_their_layer(policy_of: Any) -> None:
    limits = json.loads(base_limits(policy_of([PERP], {"max_order_notional": 1500}, {}), PERP))
    assert limits["max_order_notional"] == {"from": "autopilot.yaml", "value": "1500"}
    assert limits["price_buffer_bps"] == {"from": "default", "value": 50}


@pytest.mark.parametrize(
    ("symbol", "changes", "key", "value"),
    [
        pytest.param(PERP, {}, "size_bps", {"value": 10_000, "because": "full"}, id="full size"),
        pytest.param(
            PERP,
            {"min_notional": Dec(20)},
            "min_order_notional",
            {"value": "20", "because": "the exchange's least order"},
            id="the exchange's minimum",
        ),
        pytest.param(SPOT, {}, "allow_short", {"value": False, "because": "spot cannot be sold short"}, id="spot"),
        pytest.param(
            SPOT, {}, "margin_leverage_bps", {"value": 10_000, "because": "spot is bought in full"}, id="spot leverage"
        ),
    ],
)
def test_effective_limits_say_what_changed_them(
    instrument: Any, policy_of: Any, symbol: str, changes: dict[str, Any], key: str, value: dict[str, Any]
) -> None:
    limits = json.loads(
        effective_limits(policy_of([symbol], {"min_order_notional": 10}, {}), instrument(symbol, **changes))
    )
    assert limits[key] == value


def test_limits_of_a_symbol_without_any(instrument: Any, policy_of: Any) -> None:
    own = policy_of([], {}, {})
    assert (base_limits(own, PERP), effective_limits(own, instrument(PERP))) == ("{}", "{}")
