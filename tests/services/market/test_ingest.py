"""Market data into the store: first write wins, revisions apart, coverage only forward."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from openclaw_pipelines.domain.market.quality.scale import ScaleJumpError
from openclaw_pipelines.resources.market.errors import UntrueAnswerError
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket
from openclaw_pipelines.resources.store.coverage import coverage, funding_coverage
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.market_appends import append_candles
from openclaw_pipelines.resources.store.market_tables import candles, refused_answers, revisions
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.market.ingest import RECHECKED_BARS, Ingest
from openclaw_pipelines.services.market.refusals import REFUSALS_IN_A_ROW

SYMBOL, DAY = "BTC/USDT:USDT", "2025-05-10"
MIDNIGHT = datetime(2025, 5, 10, tzinfo=UTC)
QUARTER, MINUTE = timedelta(minutes=15), timedelta(minutes=1)


class LieError(UntrueAnswerError):
    """What a market that cannot be believed says."""

    template = "{symbol}: a lie."
    symbol: str


class Watched(SimulatedMarket):
    """The simulated market; it notes what it is asked for and can change its mind about one bar."""

    def __init__(self) -> None:
        super().__init__(20_250_101)
        self.asked: list[datetime] = []
        self.close_of: dict[datetime, float] = {}
        self.withheld: set[datetime] = set()
        self.incomplete: set[datetime] = set()
        self.funding_moved = 0.0
        self.lying: set[str] = set()
        self.times: dict[datetime, float] = {}

    def funding_rates(self, symbol: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        self._lie_of(symbol)
        return (
            super().funding_rates(symbol, start, end, as_of).with_columns(pl.col("funding_rate") + self.funding_moved)
        )

    def candles(self, symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        self.asked.append(start)
        self._lie_of(symbol)
        bars = super().candles(symbol, interval, start, end, as_of).filter(~pl.col("ts").is_in(list(self.withheld)))
        lacking = pl.col("ts").is_in(list(self.incomplete))
        bars = bars.with_columns(parts=pl.when(lacking).then(pl.col("parts") - 1).otherwise("parts"))
        for ts, close in self.close_of.items():
            here = pl.col("ts") == ts
            bars = bars.with_columns(
                close=pl.when(here).then(close).otherwise("close"),
                high=pl.when(here).then(close + 1).otherwise("high"),
            )
        for since, factor in self.times.items():
            prices = pl.col("open", "high", "low", "close")
            bars = bars.with_columns(pl.when(pl.col("ts") >= since).then(prices * factor).otherwise(prices))
        return bars

    def _lie_of(self, symbol: str) -> None:
        if symbol in self.lying:
            raise LieError(symbol)


@pytest.fixture
def market() -> Watched:
    return Watched()


@pytest.fixture
def ingest(tmp_path: Path, market: Watched) -> Ingest:
    return Ingest(Store(tmp_path), market, [SYMBOL], ["15m"])


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


OTHER = "ETH/USDT:USDT"


@pytest.fixture
def two(tmp_path: Path, market: Watched) -> Ingest:
    return Ingest(Store(tmp_path), market, [SYMBOL, OTHER], ["15m"])


def told(ingest: Ingest, symbol: str) -> int:
    rows = candles(ingest.store, "simulated", [symbol], "15m", MIDNIGHT, MIDNIGHT + timedelta(days=1))
    return rows.height


class TestLies:
    """A series of which the source says what cannot be, and the others."""

    def test_one_lying_symbol_stops_no_other(self, two: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        done = two.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
        assert done.series == {f"{SYMBOL} 15m": 0, f"{OTHER} 15m": 4}
        assert [(own.symbol, own.series, str(own.problem)) for own in done.refused] == [
            (SYMBOL, "15m", f"{SYMBOL}: a lie.")
        ]
        assert (told(two, SYMBOL), told(two, OTHER)) == (0, 4)

    def test_its_ticks_see_missing_bars_and_not_unknown_ones(self, two: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        two.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
        covered = coverage(two.store, "simulated", [DAY])
        assert {own: until for (own, _, _), until in covered.items()} == dict.fromkeys(
            (SYMBOL, OTHER), MIDNIGHT + 4 * QUARTER
        )

    def test_the_truth_is_taken_when_it_is_told(self, two: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        two.candles_since(DAY, MIDNIGHT + 4 * QUARTER)
        market.lying = set()
        assert two.candles_since(DAY, MIDNIGHT + 5 * QUARTER).refused == ()
        assert told(two, SYMBOL) == RECHECKED_BARS + 1
        two.candles_day(DAY, MIDNIGHT + 5 * QUARTER)
        assert told(two, SYMBOL) == 5

    def test_a_refusal_is_kept_once_per_series_and_day(self, two: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        for n in (4, 5):
            two.candles_since(DAY, MIDNIGHT + n * QUARTER)
        [row] = refused_answers(two.store, "simulated", [SYMBOL, OTHER], DAY).to_dicts()
        assert (row["symbol"], row["series"], row["reason"]) == (SYMBOL, "15m", f"{SYMBOL}: a lie.")
        assert (row["first_seen_at"], row["last_seen_at"]) == (MIDNIGHT + 4 * QUARTER, MIDNIGHT + 5 * QUARTER)

    def test_where_every_series_lies_nothing_is_stored(self, two: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL, OTHER}
        with pytest.raises(LieError, match=SYMBOL):
            two.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
        with pytest.raises(LieError, match=SYMBOL):
            two.funding_day(DAY, MIDNIGHT + 4 * QUARTER)
        assert {name: two.store.table(name).height for name in ("candles", "candle_coverage", "refused_answers")} == {
            "candles": 0,
            "candle_coverage": 0,
            "refused_answers": 0,
        }

    def test_funding_of_one_symbol_stops_no_other(self, two: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        done = two.funding_day(DAY, MIDNIGHT + timedelta(days=1))
        assert (done.inserted, [(own.symbol, own.series) for own in done.refused]) == (3, [(SYMBOL, "funding")])
        assert set(two.store.table("funding_rates")["symbol"]) == {OTHER}
        assert refused_answers(two.store, "simulated", [SYMBOL], DAY)["series"].to_list() == ["funding"]


class TestRefusalsInARow:
    """An exchange that is refused once is asked again: what it has is unknown until it says the same five times."""

    ASKED = MIDNIGHT + 4 * QUARTER

    @pytest.fixture
    def patient(self, tmp_path: Path, market: Watched) -> Ingest:
        return Ingest(Store(tmp_path), market, [SYMBOL, OTHER], ["15m"], patience=REFUSALS_IN_A_ROW)

    def covered(self, ingest: Ingest) -> dict[str, datetime]:
        return {own: until for (own, _, _), until in coverage(ingest.store, "simulated", [DAY]).items()}

    def in_a_row(self, ingest: Ingest) -> list[int]:
        return refused_answers(ingest.store, "simulated", [SYMBOL, OTHER], DAY)["refusals"].to_list()

    def test_one_refused_answer_leaves_its_series_unknown(self, patient: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        assert patient.candles_day(DAY, self.ASKED).series == {f"{SYMBOL} 15m": 0, f"{OTHER} 15m": 4}
        assert self.covered(patient) == {OTHER: self.ASKED}
        assert patient.behind(DAY, self.ASKED)
        market.lying = set()
        patient.candles_day(DAY, self.ASKED)
        assert self.covered(patient) == {OTHER: self.ASKED, SYMBOL: self.ASKED}
        assert told(patient, SYMBOL) == 4

    def test_so_does_one_of_another_scale(self, patient: Ingest, market: Watched) -> None:
        patient.candles_day(DAY, self.ASKED)
        market.times[self.ASKED + QUARTER] = 1_000.0
        later = MIDNIGHT + 8 * QUARTER
        patient.candles_day(DAY, later)
        assert (self.covered(patient)[SYMBOL], self.in_a_row(patient)) == (self.ASKED, [1, 1])

    def test_the_fifth_says_that_there_is_nothing(self, patient: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        known = []
        for _ in range(5):
            patient.candles_since(DAY, self.ASKED)
            known.append(SYMBOL in self.covered(patient))
        assert (known, self.in_a_row(patient)) == ([False] * 4 + [True], [5])

    def test_an_answer_begins_the_count_again(self, patient: Ingest, market: Watched) -> None:
        for lying in ({SYMBOL}, {SYMBOL}, set(), {SYMBOL}):
            market.lying = lying
            patient.candles_since(DAY, self.ASKED)
        assert self.in_a_row(patient) == [1]
        market.lying = set()
        patient.candles_since(DAY, self.ASKED)
        assert self.in_a_row(patient) == [0]

    def test_bars_that_are_stored_though_no_tick_can_take_them_are_told(self, patient: Ingest, market: Watched) -> None:
        patient.instruments(MIDNIGHT)
        market.close_of[MIDNIGHT + QUARTER] = 95_000.037
        assert patient.candles_day(DAY, self.ASKED).refused != ()
        assert self.covered(patient)[SYMBOL] == self.ASKED

    def test_a_row_of_the_first_version_counts_from_one(self, patient: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        patient.candles_since(DAY, self.ASKED)
        with patient.store.write("market") as con:
            con.execute("UPDATE refused_answers SET refusals = NULL")
        patient.candles_since(DAY, self.ASKED)
        assert self.in_a_row(patient) == [1]

    def test_funding_is_waited_for_as_well(self, patient: Ingest, market: Watched) -> None:
        market.lying = {SYMBOL}
        later = MIDNIGHT + timedelta(days=1)
        known = []
        for _ in range(5):
            patient.funding_day(DAY, later)
            known.append((SYMBOL, DAY) in funding_coverage(patient.store, "simulated", [DAY]))
        assert known == [False] * 4 + [True]

    def test_a_spot_symbol_answers_for_no_perpetual(self, tmp_path: Path, market: Watched) -> None:
        ingest = Ingest(Store(tmp_path), market, [SYMBOL, "BTC/USDT"], ["15m"])
        market.lying = {SYMBOL}
        with pytest.raises(LieError, match=SYMBOL):
            ingest.funding_day(DAY, MIDNIGHT + timedelta(days=1))
        assert ingest.store.table("funding_coverage").is_empty()


def test_a_bar_off_its_unit_is_stored_and_said(ingest: Ingest, market: Watched) -> None:
    ingest.instruments(MIDNIGHT)
    market.close_of[MIDNIGHT + QUARTER] = 95_000.037
    done = ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
    assert (done.inserted, told(ingest, SYMBOL)) == (4, 4)
    [off] = done.refused
    first = f"the first is {SYMBOL} 15m of 2025-05-10T00:15Z: its price 95001.037"
    assert str(off.problem).startswith(f"simulated gave 1 bar(s) off their price unit; {first}")


class TestScale:
    """Bars of another scale than the stored ones."""

    def test_they_are_not_stored_and_said(self, ingest: Ingest, market: Watched) -> None:
        ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
        market.times[MIDNIGHT + 5 * QUARTER] = 1_000.0
        done = ingest.candles_since(DAY, MIDNIGHT + 8 * QUARTER)
        assert (done.inserted, told(ingest, SYMBOL)) == (1, 5)
        [refused] = done.refused
        assert isinstance(refused.problem, ScaleJumpError)
        assert (refused.problem.ts, refused.problem.bars) == (MIDNIGHT + 5 * QUARTER, 3)
        assert refused.problem.factor == pytest.approx(1_000, rel=0.05)
        assert f"candles correct {SYMBOL} 15m 2025-05-10T01:15" in str(refused.problem)

    def test_bars_back_in_scale_are_taken(self, ingest: Ingest, market: Watched) -> None:
        ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
        market.times = {MIDNIGHT + 5 * QUARTER: 1_000.0, MIDNIGHT + 6 * QUARTER: 0.001}
        done = ingest.candles_since(DAY, MIDNIGHT + 8 * QUARTER)
        assert (done.inserted, [own.problem.bars for own in done.refused]) == (3, [1])

    def test_a_day_is_judged_by_the_bar_before_it(self, ingest: Ingest, market: Watched) -> None:
        ingest.candles_day("2025-05-09", MIDNIGHT)
        market.times[MIDNIGHT] = 0.001
        with pytest.raises(ScaleJumpError, match="2025-05-10T00:00:00"):
            ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
        assert told(ingest, SYMBOL) == 0

    def test_only_the_symbol_stops(self, two: Ingest, market: Watched) -> None:
        class OneJumps(Watched):
            """One symbol in another scale."""

            def candles(self, symbol: str, *rest: object) -> pl.DataFrame:
                self.times = {MIDNIGHT + 2 * QUARTER: 1_000.0} if symbol == SYMBOL else {}
                return super().candles(symbol, *rest)

        two.source = OneJumps()
        done = two.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
        assert done.series == {f"{SYMBOL} 15m": 2, f"{OTHER} 15m": 4}
        assert [own.symbol for own in done.refused] == [SYMBOL]

    def test_a_new_scale_goes_on_from_a_bar_that_was_let_in(self, ingest: Ingest, market: Watched) -> None:
        ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
        market.times[MIDNIGHT + 4 * QUARTER] = 1_000.0
        end = MIDNIGHT + 5 * QUARTER
        bar = market.candles(SYMBOL, "15m", MIDNIGHT + 4 * QUARTER, end, end)
        append_candles(ingest.store, bar, end)
        done = ingest.candles_day(DAY, MIDNIGHT + 8 * QUARTER)
        assert (done.inserted, done.refused) == (3, ())

    def test_a_bar_of_long_ago_is_the_measure_where_no_newer_is(self, ingest: Ingest, market: Watched) -> None:
        ingest.candles_day("2025-04-01", MIDNIGHT)
        market.times[MIDNIGHT] = 1_000.0
        with pytest.raises(ScaleJumpError, match="2025-05-10T00:00:00"):
            ingest.candles_day(DAY, MIDNIGHT + 4 * QUARTER)
