"""An ingest of one symbol, and one of two, from a market source that tests move."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # watched_market, which tests of asking share

from watched_market import OTHER, SYMBOL, Watched

from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.market.ingest import Ingest


@pytest.fixture
def market() -> Watched:
    return Watched()


@pytest.fixture
def ingest(tmp_path: Path, market: Watched) -> Ingest:
    return Ingest(Store(tmp_path), market, [SYMBOL], ["15m"])


@pytest.fixture
def two(tmp_path: Path, market: Watched) -> Ingest:
    return Ingest(Store(tmp_path), market, [SYMBOL, OTHER], ["15m"])
