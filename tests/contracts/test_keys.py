"""Keys exactly as CONTRACTS.md writes them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from openclaw_pipelines.contracts import keys
from openclaw_pipelines.contracts.enums import Leg
from openclaw_pipelines.contracts.time import NaiveTimeError

AT = datetime(2025, 5, 10, 3, 15, tzinfo=UTC)
DECISION = "autopilot:paper:trend_1h:BTCUSDT-PERP:20250510T0315Z"


def test_decision() -> None:
    assert keys.decision_key("paper", "trend_1h", "BTC/USDT:USDT", AT) == DECISION
    assert keys.decision_key("paper", "trend_1h", "BTC/USDT", AT) == DECISION.replace("-PERP", "")


@pytest.mark.parametrize(("leg", "name"), [(leg, leg.name.lower()) for leg in Leg])
def test_order_and_fill(leg: Leg, name: str) -> None:
    assert keys.order_key(DECISION, leg) == f"{DECISION}:{name}"
    assert keys.fill_key(keys.order_key(DECISION, leg), 1) == f"{DECISION}:{name}:1"


def test_outcome() -> None:
    assert keys.outcome_key(DECISION, 3600) == f"{DECISION}:3600"


def test_a_time_in_another_zone_is_the_same_tick() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert keys.decision_key("paper", "trend_1h", "BTC/USDT:USDT", there) == DECISION


def test_a_naive_time_is_an_error() -> None:
    with pytest.raises(NaiveTimeError, match="tick holds 2025-05-10T03:15:00"):
        keys.decision_key("paper", "trend_1h", "BTC/USDT:USDT", AT.replace(tzinfo=None))
