"""Market data into the store: first write wins, revisions apart, coverage only forward."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from watched_market import DAY, MIDNIGHT, MINUTE, QUARTER, SYMBOL, Watched

from openclaw_pipelines.resources.store.coverage import coverage, funding_coverage
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.market_tables import candles, revisions
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.market.ingest import RECHECKED_BARS, Ingest


@pytest.fixture
def covered(ingest: Ingest) -> Callable[[], datetime | None]:
    return lambda: coverage(ingest.store, "simulated", [DAY]).get((SYMBOL, "15m", DAY))


def test_only_closed_bars_are_stored(ingest: Ingest) -> None:
    done = ingest.candles_day(DAY, MIDNIGHT + timedelta(minutes=50))
    assert (done.inserted, done.first, done.last) == (3, MIDNIGHT, MIDNIGHT + 2 * QUARTER)
    assert done.series == {f"{SYMBOL} 15m": 3}


def test_the_first_published_value_stays_and_a_later_one_is_kept_apart(ingest: Ingest, market: Watched) -> None:
    minutes = Ingest(ingest.store, market, [SYMBOL], ["1m"])
    minutes.candles_day(DAY, MIDNIGHT + 4 * MINUTE)
    window = (ingest.store, "simulated", [SYMBOL], "1m", MIDNIGHT, MIDNIGHT + timedelta(days=1))
    first = candles(*window)
    market.close_of[MIDNIGHT + MINUTE] = 123_456.7
    again = minutes.candles_day(DAY, MIDNIGHT + 4 * MINUTE)
    assert (again.inserted, again.unchanged, again.revised, again.followed) == (0, 3, 1, 0)
    assert candles(*window).equals(first)
    assert revisions(*window)["close"].to_list() == [123_456.7]
    once_more = minutes.candles_day(DAY, MIDNIGHT + 4 * MINUTE)
    assert (once_more.inserted, once_more.unchanged, once_more.revised) == (0, 4, 0)


def test_a_built_bar_follows_its_parts(ingest: Ingest, market: Watched) -> None:
    ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
    market.close_of[MIDNIGHT + QUARTER] = 123_456.7
    again = ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
    assert (again.inserted, again.unchanged, again.revised, again.followed, again.rows) == (0, 3, 0, 1, 4)
    window = (ingest.store, "simulated", [SYMBOL], "15m", MIDNIGHT, MIDNIGHT + timedelta(days=1))
    assert candles(*window)["close"][1] == 123_456.7
    assert revisions(*window).is_empty()


def test_a_bar_is_not_built_while_a_part_may_still_be_on_its_way(tmp_path: Path, market: Watched) -> None:
    late = Ingest(Store(tmp_path), market, [SYMBOL], ["15m"], publish_lag=timedelta(seconds=20))
    close = MIDNIGHT + 2 * QUARTER
    market.incomplete = {MIDNIGHT + QUARTER}
    assert late.candles_since(DAY, close + timedelta(seconds=19)).inserted == 1
    assert late.candles_since(DAY, close + timedelta(seconds=20)).inserted == 1


def test_a_refresh_asks_again_for_some_bars_only(ingest: Ingest, market: Watched) -> None:
    ingest.candles_day(DAY, MIDNIGHT + 20 * QUARTER)
    market.asked.clear()
    done = ingest.candles_since(DAY, MIDNIGHT + 22 * QUARTER)
    assert market.asked == [MIDNIGHT + (20 - RECHECKED_BARS) * QUARTER]
    assert (done.inserted, done.unchanged) == (2, RECHECKED_BARS)


def test_a_refresh_of_a_new_day_starts_at_its_beginning(ingest: Ingest, market: Watched) -> None:
    ingest.candles_since(DAY, MIDNIGHT + QUARTER)
    assert market.asked == [MIDNIGHT]


def test_a_late_bar_is_found_by_the_refresh_after_it(ingest: Ingest, market: Watched) -> None:
    market.withheld = {MIDNIGHT + QUARTER}
    ingest.candles_since(DAY, MIDNIGHT + 2 * QUARTER)
    market.withheld = set()
    assert ingest.candles_since(DAY, MIDNIGHT + 3 * QUARTER).inserted == 2


def test_coverage_moves_forward_only(ingest: Ingest, covered: Callable[[], datetime | None]) -> None:
    assert covered() is None
    for hours, expected in ((6, 6), (3, 6), (25, 24), (4, 24)):
        ingest.candles_day(DAY, MIDNIGHT + timedelta(hours=hours))
        assert covered() == MIDNIGHT + timedelta(hours=expected)


def test_an_absent_bar_is_covered_all_the_same(
    ingest: Ingest, market: Watched, covered: Callable[[], datetime | None]
) -> None:
    market.withheld = {MIDNIGHT + n * QUARTER for n in range(4)}
    ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
    assert covered() == MIDNIGHT + 4 * QUARTER


def test_a_bar_that_may_still_be_on_its_way_is_not_covered(
    tmp_path: Path, market: Watched, covered: Callable[[], datetime | None]
) -> None:
    """With a lag of a minute, coverage at 02:00 ends at 01:59, or at the close of the newest bar that has come."""
    slow = Ingest(Store(tmp_path), market, [SYMBOL], ["15m"], publish_lag=timedelta(minutes=1))
    market.withheld = {MIDNIGHT + 7 * QUARTER}
    slow.candles_day(DAY, MIDNIGHT + 8 * QUARTER)
    assert covered() == MIDNIGHT + timedelta(minutes=119)
    market.withheld = set()
    slow.candles_day(DAY, MIDNIGHT + 8 * QUARTER)
    assert covered() == MIDNIGHT + 8 * QUARTER


def test_a_day_that_has_not_begun(ingest: Ingest, covered: Callable[[], datetime | None]) -> None:
    done = ingest.candles_day(DAY, MIDNIGHT - timedelta(hours=1))
    assert (done.rows, done.first, covered()) == (0, None, MIDNIGHT)


def test_funding_that_is_stored_already_opens_no_transaction(tmp_path: Path, market: Watched) -> None:
    """A live tick asks every minute, and three answers of a day are new."""

    class Counting(Store):
        """Counts what is written."""

        def write(self, database: str) -> AbstractContextManager[Connection]:
            opened.append(database)
            return super().write(database)

    opened: list[str] = []
    ingest = Ingest(Counting(tmp_path), market, [SYMBOL], ["15m"])
    seen = []
    for minutes in (62, 63, 119, 122, 482, 483, 1_000):
        written = ingest.funding_day(DAY, MIDNIGHT + timedelta(minutes=minutes))
        seen.append((written.inserted, written.unchanged, len(opened)))
    # the third transaction is the rate of 08:00; the second and fourth only say until when was asked
    assert seen == [(1, 0, 1), (0, 1, 1), (0, 1, 1), (0, 1, 2), (1, 1, 3), (0, 2, 3), (1, 2, 4)]
    assert ingest.store.table("funding_rates").height == 3
    market.funding_moved = 0.0001
    revised = ingest.funding_day(DAY, MIDNIGHT + timedelta(minutes=1_001))
    assert (revised.inserted, revised.unchanged, revised.revised, len(opened)) == (0, 0, 3, 4)


def test_funding_is_covered_up_to_the_newest_rate_or_the_last_whole_hour(ingest: Ingest) -> None:
    """Rates may be published a minute late; one that has come is proof of itself."""

    def covered() -> datetime | None:
        return funding_coverage(ingest.store, "simulated", [DAY]).get((SYMBOL, DAY))

    seen = []
    for minutes in (-1, 0, 60, 61, 479, 480, 300, 1_439, 1_440, 1_441):
        ingest.funding_day(DAY, MIDNIGHT + timedelta(minutes=minutes))
        until = covered()
        seen.append(None if until is None else (until - MIDNIGHT) // timedelta(hours=1))
    assert seen == [None, 0, 0, 1, 7, 8, 8, 23, 23, 24]


def test_funding_that_nobody_asked_for_leaves_a_day_behind(ingest: Ingest) -> None:
    now = MIDNIGHT + timedelta(hours=8, minutes=15)
    ingest.candles_day(DAY, now)
    assert ingest.behind(DAY, now)
    ingest.funding_day(DAY, now - timedelta(minutes=15))
    assert not ingest.behind(DAY, now)
    later = now + timedelta(hours=1)
    ingest.candles_day(DAY, later)
    assert ingest.behind(DAY, later)
    ingest.funding_day(DAY, later)
    assert not ingest.behind(DAY, later)


def test_funding_and_instruments(ingest: Ingest) -> None:
    assert ingest.funding_day(DAY, MIDNIGHT + timedelta(days=1)).inserted == 3
    assert ingest.funding_day(DAY, MIDNIGHT + timedelta(days=1)).unchanged == 3
    assert ingest.instruments(MIDNIGHT).inserted == 1
    assert ingest.instruments(MIDNIGHT + timedelta(days=1)).unchanged == 1
