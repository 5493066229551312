"""When a strategy is due, late or stalled, and what is started for it: tables of times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.time import partition_of
from openclaw_pipelines.domain.governance.alerts import failed_run_alert, stale_market_alert
from openclaw_pipelines.domain.trading.timing import (
    PATIENCE_SECONDS,
    RETRY_SECONDS,
    STALLED_TICKS,
    Asked,
    Due,
    Need,
    Waiting,
    ask_again,
    choose,
    due_ticks,
    jitter,
    stalled_alert,
)

HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2025-05-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "after", "now", "first", "last", "count", "day"),
    [
        pytest.param(HOUR, "10T00:00", "10T00:59:59", None, None, 0, None, id="bar-still-open"),
        pytest.param(HOUR, "10T00:00", "10T01:00", "10T01:00", "10T01:00", 1, "2025-05-10", id="just-closed"),
        pytest.param(HOUR, "10T01:00", "10T01:30", None, None, 0, None, id="taken"),
        pytest.param(HOUR, "10T22:00", "11T00:00", "10T23:00", "11T00:00", 2, "2025-05-10", id="midnight-is-yesterday"),
        pytest.param(HOUR, "10T23:00", "11T00:00", "11T00:00", "11T00:00", 1, "2025-05-10", id="closes-yesterday"),
        pytest.param(HOUR, "11T00:00", "11T01:00", "11T01:00", "11T01:00", 1, "2025-05-11", id="opens-today"),
        pytest.param(QUARTER, "10T23:45", "12T00:15", "11T00:00", "12T00:15", 98, "2025-05-10", id="outage-of-a-day"),
        pytest.param(HOUR, "20T00:00", "10T12:00", None, None, 0, None, id="inception-ahead"),
    ],
)
def test_due_ticks(length, after, now, first, last, count, day) -> None:
    due = due_ticks("s", "1h" if length == HOUR else "15m", length, at(after), at(now))
    if first is None:
        assert due is None
    else:
        assert due == Due("s", at(first), at(last), count, day)


@given(seconds=st.integers(0, 600), name=st.text(min_size=1, max_size=20))
@settings(max_examples=50)
def test_jitter_is_the_strategys_own_and_bounded(seconds: int, name: str) -> None:
    assert 0 <= jitter(name, seconds) <= seconds
    assert jitter(name, seconds) == jitter(name, seconds)


def test_jitter_delays_and_spreads() -> None:
    waits = {jitter(f"strategy_{n}", 30) for n in range(40)}
    assert len(waits) > 10
    own = jitter("s", 600)
    assert own > 0
    closed = at("10T01:00")
    assert due_ticks("s", "1h", HOUR, at("10T00:00"), closed + timedelta(seconds=own - 1), 600) is None
    assert due_ticks("s", "1h", HOUR, at("10T00:00"), closed + timedelta(seconds=own), 600) is not None


@given(hours=st.integers(0, 60), minutes=st.integers(0, 59), length=st.sampled_from([("15m", QUARTER), ("1h", HOUR)]))
@settings(max_examples=60)
def test_every_due_tick_is_on_the_grid_after_the_last_one(hours: int, minutes: int, length) -> None:
    name, step = length
    after, now = at("10T03:00"), at("10T03:00") + timedelta(hours=hours, minutes=minutes)
    due = due_ticks("s", name, step, after, now)
    ticks = [after + n * step for n in range(1, 500) if after + n * step <= now]
    assert (due is None) == (not ticks)
    if due is not None:
        assert (due.first, due.last, due.count) == (ticks[0], ticks[-1], len(ticks))
        assert due.day == partition_of(due.first, name)


# ---- what to start

NOW = at("10T02:00")
DUE = Due("s", at("10T02:00"), at("10T02:00"), 1, "2025-05-10")
YESTERDAY, TODAY = Need("2025-05-09", "2025-05-09", whole=True), Need("2025-05-10", "2025-05-10", whole=False)


def seconds(n: float) -> datetime:
    return NOW + timedelta(seconds=n)


@pytest.mark.parametrize(
    ("waiting", "script"),
    [
        pytest.param(Waiting(DUE, ready=False), [(0, []), (59, [])], id="waits-for-its-bars"),
        pytest.param(
            Waiting(DUE, ready=True), [(0, ["s 1"]), (1, []), (119, []), (120, ["s 2"])], id="asks-again-later"
        ),
        pytest.param(
            Waiting(DUE, ready=True, needs=(TODAY,)),
            [(61, ["2025-05-10 1"]), (66, []), (61 + PATIENCE_SECONDS, ["s 1"])],
            id="market-first-then-without-the-bars",
        ),
        pytest.param(
            Waiting(DUE, ready=True, needs=(YESTERDAY, TODAY)),
            [
                (61, ["2025-05-09 1", "2025-05-10 1"]),
                (70, []),
                (61 + RETRY_SECONDS, ["2025-05-09 2", "2025-05-10 2", "s 1"]),
            ],
            id="all-needs-at-once",
        ),
    ],
)
def test_what_is_started_when(waiting: Waiting, script: list[tuple[int, list[str]]]) -> None:
    asked: Asked = {}
    for after, expected in script:
        starts, asked = choose([waiting], asked, seconds(after))
        names = [f"{item.strategy if isinstance(item, Due) else item.last} {attempt}" for item, attempt in starts]
        assert names == expected, after


def test_after_the_market_was_asked_the_tick_is_taken_at_once() -> None:
    _, asked = choose([Waiting(DUE, ready=True, needs=(TODAY,))], {}, seconds(61))
    starts, _ = choose([Waiting(DUE, ready=True)], asked, seconds(66))
    assert starts == [(DUE, 1)]


def test_the_next_day_of_an_outage_is_asked_for_at_once() -> None:
    """Midnight: the newest due tick stays the same, only the oldest moves."""
    first = Due("s", at("10T02:00"), at("12T05:00"), 52, "2025-05-10")
    second = Due("s", at("11T01:00"), at("12T05:00"), 29, "2025-05-11")
    starts, asked = choose([Waiting(first, ready=True)], {}, at("12T05:00"))
    assert [item.day for item, _ in starts] == ["2025-05-10"]
    starts, asked = choose([Waiting(second, ready=True)], asked, at("12T05:00") + timedelta(seconds=5))
    assert [item.day for item, _ in starts] == ["2025-05-11"]
    starts, _ = choose([Waiting(second, ready=True)], asked, at("12T05:00") + timedelta(seconds=10))
    assert starts == []


def test_two_strategies_ask_for_one_market_day_once() -> None:
    other = Due("t", at("10T02:00"), at("10T02:00"), 1, "2025-05-10")
    starts, _ = choose([Waiting(d, ready=True, needs=(TODAY,)) for d in (DUE, other)], {}, seconds(61))
    assert [item for item, _ in starts] == [TODAY]


def test_an_old_request_for_the_market_does_not_count() -> None:
    """Asked for an hour ago for another tick: the bars of this one had not closed."""
    old: Asked = {"market 2025-05-10 new": ("2025-05-10", 1, seconds(-3600).timestamp())}
    starts, _ = choose([Waiting(DUE, ready=True, needs=(TODAY,))], old, seconds(61))
    assert [item for item, _ in starts] == [TODAY]


def test_what_was_asked_for_is_forgotten_after_a_day_and_the_cursor_stays_as_it_was_given() -> None:
    given_cursor: Asked = {"market 2025-05-08 whole": ("2025-05-08", 3, seconds(-90_000).timestamp())}
    kept = dict(given_cursor)
    _, asked = choose([], given_cursor, NOW)
    assert asked == {}
    assert given_cursor == kept


def test_attempts_are_counted_per_tick() -> None:
    asked: Asked = {}
    numbers = [ask_again(asked, "s", what, seconds(n)) for n, what in [(0, "a"), (130, "a"), (131, "b"), (262, "b")]]
    assert numbers == [1, 2, 1, 2]


def test_an_attempt_by_a_clock_that_was_set_back_since_does_not_count() -> None:
    """Six hours ahead for a while: else nothing would be asked for until that time has come."""
    asked: Asked = {}
    assert ask_again(asked, "s", "a", seconds(21_600)) == 1
    assert ask_again(asked, "s", "a", seconds(5)) == 2
    assert ask_again(asked, "s", "a", seconds(6)) is None


def test_what_is_missing_is_asked_for_though_the_bars_are_not_there_yet() -> None:
    starts, _ = choose([Waiting(DUE, ready=False, needs=(YESTERDAY,))], {}, seconds(0))
    assert [item for item, _ in starts] == [YESTERDAY]


# ---- alerts


@pytest.mark.parametrize(
    ("count", "raised"),
    [
        pytest.param(0, False, id="nothing-due"),
        pytest.param(STALLED_TICKS, False, id="a-little-late"),
        pytest.param(STALLED_TICKS + 1, True, id="stalled"),
    ],
)
def test_stalled(count: int, raised: bool) -> None:
    due = Due("slow", at("10T01:00"), at("10T09:00"), count, "2025-05-10") if count else None
    alert = stalled_alert(due, at("10T09:59"))
    assert (alert is not None) is raised
    if alert is not None:
        assert alert.key == "stalled_strategy:slow:20250510T09"
        assert f"{count} ticks" in alert.message
        assert "2025-05-10 01:00Z" in alert.message


@pytest.mark.parametrize(
    ("newest", "raised"),
    [
        pytest.param("10T08:45", False, id="at-the-limit"),
        pytest.param("10T08:44:59", True, id="beyond"),
        pytest.param(None, True, id="no-candle-at-all"),
    ],
)
def test_stale_market(newest: str | None, raised: bool) -> None:
    alert = stale_market_alert("kraken", newest and at(newest), at("10T09:00"), timedelta(seconds=900))
    assert (alert is not None) is raised
    if alert is not None:
        assert alert.severity == "warning"
        assert ("holds no candle" in alert.message) is (newest is None)


def test_a_failed_run_is_one_alert_per_job_partition_and_hour() -> None:
    keys = {failed_run_alert("market_live", "2025-05-10", f"run {n}", at(f"10T09:{n:02}")).key for n in range(60)}
    assert keys == {"failed_run:market_live for 2025-05-10:20250510T09"}
    for other in (
        ("market_live", "2025-05-10", "m", at("10T10:00")),
        ("market_live", "2025-05-11", "m", at("10T09:00")),
    ):
        assert failed_run_alert(*other).key not in keys
    assert failed_run_alert("instruments_refresh", None, "m", at("10T09:00")).subject == "instruments_refresh"
