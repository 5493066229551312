"""A clock that is wrong: nothing counts as asked for beyond the exchange's own time, and no live tick is taken."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clocks import Present

sys.path.insert(0, str(Path(__file__).parents[2] / "resources" / "market" / "ccxt"))

from exchange_server import ExchangeServer, ms
from wire_markets import smallest_markets

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.market.clocks import ClockReading
from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket
from openclaw_pipelines.resources.store import market_appends, market_tables
from openclaw_pipelines.resources.store.coverage import coverage, funding_coverage, source_clock
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.market.asking import Asking
from openclaw_pipelines.services.market.clock import ClockSkewError, goes_without, wrong_clock
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.services.trading.timetable import alerts_now, due_of, waiting_of

DAY, SYMBOL, SOURCE = "2025-05-10", "BTC/USDT:USDT", "ccxt:binance"
MOMENTUM = "momentum_1h"
HALF_PAST = day_start(DAY) + timedelta(hours=6, minutes=30, seconds=30)
LAG = timedelta(seconds=60)


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer(HALF_PAST, smallest_markets()) as running:
        yield running


def ask(server: ExchangeServer, folder: Path, local: datetime) -> Store:
    """The day so far, as a machine asks for it whose clock shows `local`."""
    market = CcxtMarket("binance", options=server.options("binance"))
    ingest = Ingest(Store(folder), market, [SYMBOL], ["15m"], LAG, Present(local))
    ingest.candles_since(DAY, local)
    ingest.funding_day(DAY, local)
    return ingest.store


@pytest.mark.parametrize(
    ("hours", "covered", "funded", "ahead"),
    [
        pytest.param(0, HALF_PAST, "06:00", 0, id="right"),
        pytest.param(6, HALF_PAST, "06:00", 21_599, id="six-hours-ahead"),
        pytest.param(-2, HALF_PAST - timedelta(hours=2), "04:00", -7_200, id="two-hours-behind"),
    ],
)
def test_coverage_ends_where_the_slower_clock_stands(
    server: ExchangeServer, tmp_path: Path, hours: int, covered: datetime, funded: str, ahead: int
) -> None:
    server.absent = {ms(HALF_PAST.replace(second=0) - timedelta(minutes=15 * n)) for n in range(1, 12)}
    store = ask(server, tmp_path, HALF_PAST + timedelta(hours=hours))
    assert coverage(store, SOURCE, [DAY])[SYMBOL, "15m", DAY] == covered - LAG
    assert f"{funding_coverage(store, SOURCE, [DAY])[SYMBOL, DAY]:%H:%M}" == funded
    reading = source_clock(store, SOURCE)
    assert (reading.served_at, reading.ahead_seconds) == (HALF_PAST, ahead)


def test_bars_withheld_by_the_exchanges_clock_are_asked_for_again(server: ExchangeServer, tmp_path: Path) -> None:
    """What a clock six hours ahead left behind was five ticks without bars, which nothing mended."""
    store = ask(server, tmp_path, HALF_PAST + timedelta(hours=6))
    server.now = HALF_PAST + timedelta(hours=6)
    ask(server, tmp_path, server.now)
    bars = market_tables.candles(store, SOURCE, [SYMBOL], "15m", day_start(DAY), server.now)
    assert bars["ts"].to_list() == [day_start(DAY) + n * timedelta(minutes=15) for n in range(50)]
    assert source_clock(store, SOURCE).ahead_seconds == 0


def test_an_answer_that_cannot_be_is_known_by_the_clock_that_was_told_last(
    server: ExchangeServer, tmp_path: Path
) -> None:
    """It is refused before its clock is read; the local clock, six hours ahead, would say that it was all there is."""
    now = HALF_PAST + timedelta(hours=6)
    store = ask(server, tmp_path, now)
    server.change = lambda bars: [one._replace(ts=ms(HALF_PAST.replace(year=2090))) for one in bars]
    market = CcxtMarket("binance", options=server.options("binance"))
    asking = Asking(store, market, now, LAG, Present(now), holds_to_scale=True)
    [answer] = asking.candles({(SYMBOL, "15m"): day_start(DAY)}, now).values()
    assert (answer.rows.height, len(answer.refused)) == (0, 1)
    assert answer.known_at == now - timedelta(seconds=21_599)


def test_an_exchange_without_a_clock_leaves_the_local_one(server: ExchangeServer, tmp_path: Path) -> None:
    server.clock_header = False
    store = ask(server, tmp_path, HALF_PAST)
    assert source_clock(store, SOURCE) is None
    assert coverage(store, SOURCE, [DAY])[SYMBOL, "15m", DAY] == HALF_PAST.replace(second=0)


def test_the_past_is_asked_for_without_holding_clocks_against_each_other(
    server: ExchangeServer, tmp_path: Path
) -> None:
    market = CcxtMarket("binance", options=server.options("binance"))
    ingest = Ingest(Store(tmp_path), market, [SYMBOL], ["15m"], LAG)
    ingest.candles_day("2025-05-09", HALF_PAST - timedelta(days=1))
    assert source_clock(ingest.store, SOURCE) is None


# ---- live ticks


def read(own: Any, ahead: int) -> None:
    """The source told its time, and the local clock is that far ahead of it."""
    reading = ClockReading(own.world.source, own.clock.now() - timedelta(seconds=ahead), own.clock.now(), ahead)
    own.ask(DAY, own.clock.now())
    bars = own.world.market.candles("SOL/USDT", "1h", day_start(DAY), own.clock.now(), own.clock.now())
    market_appends.append_candles(own.store, bars, own.clock.now(), clock=reading)


@pytest.fixture
def late(desk: Any) -> Any:
    """A quarter past one on a clock that claims to be right; the first hour's bars are there."""
    own = desk("history")
    own.clock.set(day_start(DAY) + timedelta(hours=1, minutes=15))
    own.world.clock = Present(own.clock.now())
    return own


@pytest.mark.parametrize("ahead", [31, -31])
def test_clocks_too_far_apart_stop_live_ticks_by_name(late: Any, ahead: int) -> None:
    read(late, ahead)
    due = due_of(late.world, MOMENTUM, late.clock.now())
    waiting = waiting_of(late.world, due, late.clock.now())
    assert (waiting.ready, [need.first for need in waiting.needs]) == (False, [DAY])  # the source is asked again
    with pytest.raises(ClockSkewError, match=r"31 s (ahead of|behind) simulated, more than market.max_clock_skew_sec"):
        Runner.of(late.world).run_day(MOMENTUM, DAY, live=True)
    assert late.counts()["autopilot_ticks"] == 0
    assert "clock_skew" in {alert.kind for alert in alerts_now(late.world, late.clock.now())}


def test_once_the_clock_is_set_ticks_go_on(late: Any) -> None:
    read(late, 31)
    late.configure(market={"max_clock_skew_seconds": 31})
    assert wrong_clock(late.store, late.world.source, late.world.clock, 31) is None
    late.configure(market={"max_clock_skew_seconds": None})
    read(late, 0)
    assert Runner.of(late.world).run_day(MOMENTUM, DAY, live=True).taken == 1
    assert "clock_skew" not in {alert.kind for alert in alerts_now(late.world, late.clock.now())}


def test_backfills_and_replayed_clocks_do_not_mind(late: Any) -> None:
    read(late, 9_999)
    assert Runner.of(late.world).run_day(MOMENTUM, DAY, live=False).taken == 1
    late.world.clock = late.clock
    late.clock.set(late.clock.now() + timedelta(hours=1))
    late.ask(DAY, late.clock.now())
    assert Runner.of(late.world).run_day(MOMENTUM, DAY, live=True).taken == 1


def test_a_source_that_tells_its_time_is_waited_for_however_late_it_is_here(late: Any) -> None:
    """An outage of the exchange is no proof that a bar does not exist."""
    two = day_start(DAY) + timedelta(hours=2)
    assert goes_without(late.store, late.world.source, two + LAG, two + LAG)
    read(late, 0)
    assert not goes_without(late.store, late.world.source, two + LAG, two + LAG)
    late.world.clock.at = two + timedelta(hours=3)
    report = Runner.of(late.world).run_day(MOMENTUM, DAY, live=True)
    assert (report.taken, report.waiting_for) == (1, f"BTC/USDT:USDT bar of the tick at {two.isoformat()}")
