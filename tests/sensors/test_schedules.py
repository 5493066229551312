"""Schedules: which partitions at which minute, over midnight too."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster_scene import BREAKOUT, MOMENTUM, environment, write_config

from openclaw_pipelines.sensors import schedules


@pytest.fixture(autouse=True)
def configured(tmp_path):
    with environment(write_config(tmp_path)):
        yield


def requests(schedule, at: str) -> list[tuple[str | None, str | None]]:
    """Partition and run key of what a schedule asks for at a minute of May 2025."""
    time = datetime.fromisoformat(f"2025-05-{at}").replace(tzinfo=UTC)
    with dg.build_schedule_context(scheduled_execution_time=time) as context:
        found = schedule(context)
        asked = [found] if isinstance(found, dg.RunRequest) else list(found)
    return [(one.partition_key and str(one.partition_key), one.run_key) for one in asked]


@pytest.mark.parametrize(
    ("at", "day"),
    [
        pytest.param("11T00:00", "2025-05-10", id="midnight-closes-yesterday"),
        pytest.param("11T00:01", "2025-05-11", id="one-minute-later-is-today"),
        pytest.param("11T23:59", "2025-05-11", id="last-minute"),
    ],
)
def test_the_market_is_asked_for_the_bar_that_closed(at: str, day: str) -> None:
    ((partition, key),) = requests(schedules.market_each_minute, at)
    assert partition == day
    assert key == f"202505{at[:2]}T{at[3:5]}{at[6:]}"


def test_live_market_runs_say_that_they_follow_the_clock() -> None:
    with dg.build_schedule_context(scheduled_execution_time=datetime(2025, 5, 11, tzinfo=UTC)) as context:
        assert schedules.market_each_minute(context).tags["openclaw/live"] == "true"


def test_a_day_is_closed_and_checked_on_the_next() -> None:
    assert requests(schedules.close_market_day, "12T00:02") == [("2025-05-11", "2025-05-11")]
    assert requests(schedules.check_ledger_day, "12T00:40") == [
        (f"2025-05-11|{name}", f"check:2025-05-11:{name}") for name in (BREAKOUT, MOMENTUM)
    ]


@pytest.mark.parametrize(
    ("at", "days"),
    [
        pytest.param("12T00:07", ["2025-05-11", "2025-05-12"], id="yesterday-still-matures"),
        pytest.param("12T02:07", ["2025-05-11", "2025-05-12"], id="last-hour-of-it"),
        pytest.param("12T03:07", ["2025-05-12"], id="today-only"),
        pytest.param("10T00:07", ["2025-05-10"], id="no-strategy-yesterday"),
        pytest.param("09T12:07", [], id="before-inception"),
    ],
)
def test_outcomes_of_today_and_for_some_hours_of_yesterday(at: str, days: list[str]) -> None:
    asked = requests(schedules.evaluate_each_hour, at)
    assert [partition for partition, _ in asked] == [f"{day}|{name}" for day in days for name in (BREAKOUT, MOMENTUM)]
    assert len({key for _, key in asked}) == len(asked)


def test_reports_of_the_same_days() -> None:
    assert [day for day, _ in requests(schedules.report_each_hour, "12T01:12")] == ["2025-05-11", "2025-05-12"]
    assert [day for day, _ in requests(schedules.report_each_hour, "12T13:12")] == ["2025-05-12"]
