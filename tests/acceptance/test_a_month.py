"""Thirty days of four strategies on real perpetuals: every witness agrees on every day, and each day is sealed."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from scenes import Scene, scene

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.evaluation.evaluator import Evaluator
from openclaw_pipelines.services.evaluation.sealing import seal_days, seals_of
from openclaw_pipelines.services.evaluation.verifying import recorded_days, verify_strategy
from openclaw_pipelines.services.market.features import compute_features, verify_features
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.examination import examine_ledger
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.services.trading.verification import verify_day

pytestmark = [pytest.mark.slow, pytest.mark.shared_data, pytest.mark.timeout(1800)]
START, DAYS, HISTORY = date(2025, 3, 14), 30, 8
SYMBOLS = [f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "XRP", "BNB")]


def strategy(family: str, interval: str, risk: dict[str, Any], **params: object) -> dict[str, Any]:
    return {
        "family": family, "interval": interval, "start_day": START.isoformat(), "params": params, "risk": risk,
    }  # fmt: skip


CONFIG: dict[str, Any] = {
    "market": {"source": "archive", "symbols": SYMBOLS, "intervals": ["5m"], "first_day": "2025-03-06"},
    "universe": {"lookback_days": 3, "min_age_days": 3, "max_symbols": 4},
    "strategies": {
        "momentum_1h": strategy("momentum", "1h", {"max_open_positions": 2}, momentum_lookback=24, ema_slow=24),
        "breakout_15m": strategy(
            "breakout", "15m", {"max_orders_per_window": 3, "cooldown_seconds": 1800}, channel_entry=24, channel_exit=12
        ),
        "reversion_15m": strategy("reversion", "15m", {"max_daily_loss_bps": 60, "max_drawdown_bps": 400}),
        "trend_1h": strategy("ema_trend", "1h", {"max_leverage_bps": 6_000, "max_order_notional": 2_500}),
    },
}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Scene]:
    environ = {"OPENCLAW_ARCHIVE_DIR": str(shared_data / "binance_usdm")}
    subject = scene(tmp_path_factory.mktemp("month"), "month", CONFIG, environ, START, DAYS)
    world, first = subject.world(), day_start(START.isoformat())
    Ingest.of(world).instruments(world.clock.now())
    for n in range(-HISTORY, DAYS):
        day = f"{first + n * DAY:%Y-%m-%d}"
        Ingest.of(world).candles_day(day, day_start(day) + DAY)
        Ingest.of(world).funding_day(day, day_start(day) + DAY)
        compute_features(world, day)
    for name in subject.strategies:
        for day in subject.partitions:
            Runner.of(world).run_day(name, day, live=False)
        for day in subject.partitions:
            Evaluator.of(world).outcomes(name, day)
            Evaluator.of(world).metrics(name, day)
            seal_days(world, name, day)
    yield subject
    subject.stop()


@pytest.fixture(scope="module")
def world(month: Scene) -> World:
    return month.world()


def test_limits_held_on_every_day_and_refused_by_many_codes(month: Scene, world: World) -> None:
    entries, codes = 0, set()
    for name in month.strategies:
        for day in month.partitions:
            red = [
                own.name
                for own in examine_ledger(world, verify_day(world.ledger(name), day))
                if own.severity == "error" and not own.passed
            ]
            assert red == [], (name, day)
        decisions = world.ledger(name).query("SELECT action, status, reason_code FROM autopilot_decisions")
        entries += decisions.filter(action="enter", status="approved").height
        codes |= set(decisions.filter(status="rejected")["reason_code"])
    assert entries > 400
    assert codes >= {"COOLDOWN", "RATE_LIMITED", "MAX_OPEN_POSITIONS", "MAX_DAILY_LOSS", "MAX_LEVERAGE"}


def test_every_day_verifies_and_is_sealed(month: Scene, world: World) -> None:
    for name in month.strategies:
        result = verify_strategy(world, name, recorded_days(world, name, None, None))
        assert result.differences == [], name
        assert len(result.days) == DAYS
        assert (result.sealed_until, result.unknown) == (month.partitions[-1], [])
        rows = seals_of(world.ledger(name))
        assert len(rows) == DAYS + 1  # and the inception
        assert sum(json.loads(row["tables"])["autopilot_ticks"][0] for row in rows) == result.ticks + 1
    assert [found for day in month.partitions for found in verify_features(world, day)] == []
