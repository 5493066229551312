"""Keys of ledger rows, made only from what a row is about: never a uuid, never the wall clock."""

from datetime import datetime

from openclaw_pipelines.contracts.enums import Leg
from openclaw_pipelines.contracts.symbols import normalize
from openclaw_pipelines.contracts.time import tick_bucket


def decision_key(account_id: str, strategy_config_id: str, symbol: str, tick_at: datetime) -> str:
    """Key of a proposal and of the decision on it.

    >>> from datetime import UTC
    >>> decision_key("paper", "trend_1h", "BTC/USDT:USDT", datetime(2025, 5, 10, 3, tzinfo=UTC))
    'autopilot:paper:trend_1h:BTCUSDT-PERP:20250510T0300Z'
    """
    return f"autopilot:{account_id}:{strategy_config_id}:{normalize(symbol)}:{tick_bucket(tick_at)}"


def order_key(decision: str, leg: Leg) -> str:
    """Key of one leg of a decision.

    >>> order_key("autopilot:a:s:BTCUSDT:20250510T0300Z", Leg.STOP)
    'autopilot:a:s:BTCUSDT:20250510T0300Z:stop'
    """
    return f"{decision}:{leg.name.lower()}"


def fill_key(order: str, n: int) -> str:
    """Key of the n-th fill of an order, counted from 1."""
    return f"{order}:{n}"


def outcome_key(decision: str, horizon_seconds: int) -> str:
    """Key of the outcome of a decision at one horizon."""
    return f"{decision}:{horizon_seconds}"
