"""The exchange server and clients of it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_pipelines.resources.market.ccxt.client import Backoff
from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode has no packages of tests

from exchange_server import NOW, ExchangeServer
from wire_markets import recorded_markets, shortened, smallest_markets

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data" / "ccxt_static"


@pytest.fixture(scope="session")
def market_lists() -> dict[str, Any]:
    """Recorded lists where they are, else the smallest ones: the suite runs on either."""
    return shortened(recorded_markets(SHARED)) if SHARED.is_dir() else smallest_markets()


@pytest.fixture
def server(market_lists: dict[str, Any]) -> Iterator[ExchangeServer]:
    with ExchangeServer(NOW, market_lists) as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    """Seconds that clients of `open_market` would have slept between attempts."""
    return []


@pytest.fixture
def open_market(server: ExchangeServer, waits: list[float]) -> Callable[..., CcxtMarket]:
    def open_(exchange: str, options: dict[str, Any] | None = None, **changes: Any) -> CcxtMarket:
        settings: dict[str, Any] = {"timeout_seconds": 5, "max_retries": 3, "backoff": Backoff(sleep=waits.append)}
        return CcxtMarket(exchange, options=server.options(exchange) | (options or {}), **settings | changes)

    return open_
