"""Which days a strategy reads before it starts, and which of them nobody asked for."""

from datetime import timedelta

import pytest

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.services.market.history import days_between, history_days, uncovered_days

DAYS = ["2025-05-08", "2025-05-09"]


def test_history_ends_before_inception_and_starts_with_the_market(desk) -> None:
    settings = desk().world.settings()
    for name in settings.strategies:
        assert history_days(settings, settings.strategy(name)) == DAYS


@pytest.mark.parametrize(
    ("start", "hours", "days"),
    [
        pytest.param("2025-05-09", 24, ["2025-05-09"], id="whole-day"),
        pytest.param("2025-05-09", 25, ["2025-05-09", "2025-05-10"], id="an-hour-of-the-next"),
        pytest.param("2025-05-01", 24 * 8, ["2025-05-08"], id="clipped-at-the-first-day"),
        pytest.param("2025-05-09", 0, [], id="empty"),
        pytest.param("2025-05-01", 24, [], id="before-the-market"),
    ],
)
def test_days_between(desk, start: str, hours: int, days: list[str]) -> None:
    settings = desk().world.settings()
    assert days_between(settings, day_start(start), day_start(start) + timedelta(hours=hours)) == days


def test_a_day_counts_as_asked_for_only_to_its_end_and_for_every_series(desk) -> None:
    own = desk("history")
    args = (own.store, own.world.source, own.world.settings())
    assert uncovered_days(*args, DAYS) == []
    own.ask("2025-05-10", day_start("2025-05-10") + timedelta(hours=23))
    assert uncovered_days(*args, [*DAYS, "2025-05-10"]) == ["2025-05-10"]
    own.ask("2025-05-10")
    assert uncovered_days(*args, [*DAYS, "2025-05-10"]) == []
    with own.store.write("market") as con:
        con.execute("DELETE FROM candle_coverage WHERE day = '2025-05-08' AND interval = '1h' AND symbol = 'SOL/USDT'")
        con.execute("DELETE FROM funding_coverage WHERE day = '2025-05-09' AND symbol = 'BTC/USDT:USDT'")
    assert uncovered_days(*args, DAYS) == ["2025-05-08"]
    assert uncovered_days(*args, DAYS, funded=["ETH/USDT:USDT", "SOL/USDT"]) == ["2025-05-08"]
    assert uncovered_days(*args, DAYS, funded=["ETH/USDT:USDT", "BTC/USDT:USDT"]) == ["2025-05-08", "2025-05-09"]
