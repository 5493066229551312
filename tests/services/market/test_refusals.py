"""What a source says and cannot be: refused for its own series, asked for again, believed in the end."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from watched_market import DAY, MIDNIGHT, OTHER, QUARTER, SYMBOL, LieError, Watched, told

from openclaw_pipelines.domain.market.quality.scale import ScaleJumpError
from openclaw_pipelines.resources.store.coverage import coverage, funding_coverage
from openclaw_pipelines.resources.store.market_appends import append_candles
from openclaw_pipelines.resources.store.market_tables import refused_answers
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.market.ingest import RECHECKED_BARS, Ingest
from openclaw_pipelines.services.market.refusals import REFUSALS_IN_A_ROW


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
