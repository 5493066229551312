"""The local clock against a source's: a slow answer proves less, never something wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from openclaw_pipelines.domain.governance.alerts import clock_skew_alert
from openclaw_pipelines.domain.market.clocks import ClockReading, read_clock

NOON = datetime(2025, 5, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("served", "took", "ahead"),
    [
        pytest.param(0, 0, 0, id="equal"),
        pytest.param(-1, 0, 0, id="the-header-is-cut-to-the-second"),
        pytest.param(-2, 0, 1, id="ahead"),
        pytest.param(-21_600, 3, 21_599, id="six-hours-ahead"),
        pytest.param(5, 5, 0, id="served-while-the-answer-was-on-its-way"),
        pytest.param(6, 5, -1, id="behind"),
        pytest.param(21_600, 40, -21_560, id="six-hours-behind-by-a-slow-answer"),
    ],
)
def test_what_an_answer_proves(served: int, took: int, ahead: int) -> None:
    reading = read_clock("x", NOON, NOON + timedelta(seconds=served), NOON + timedelta(seconds=took))
    assert reading.ahead_seconds == ahead


@pytest.mark.parametrize(("ahead", "raised"), [(30, False), (31, True), (-30, False), (-31, True), (0, False)])
def test_an_alert_beyond_the_bound(ahead: int, raised: bool) -> None:
    reading = ClockReading("ccxt:kraken", NOON, NOON + timedelta(seconds=ahead), ahead)
    alert = clock_skew_alert(reading, 30, NOON)
    assert (alert is not None) is raised is reading.apart(30)
    if alert is not None:
        side = "ahead of" if ahead > 0 else "behind"
        assert (alert.kind, alert.severity, alert.key) == ("clock_skew", "error", "clock_skew:ccxt:kraken:20250510T12")
        assert f"31 s {side} ccxt:kraken, more than market.max_clock_skew_seconds 30" in alert.message


def test_no_reading_no_alert() -> None:
    assert clock_skew_alert(None, 30, NOON) is None
