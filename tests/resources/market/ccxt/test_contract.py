"""One suite that every exchange passes: the real ccxt client against each exchange's wire format."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import polars as pl
import pytest
from exchange_server import HOUR_MS, NOW, ExchangeServer, Fault, Rate, bar, ms, rate

from openclaw_pipelines.contracts.errors import MarketError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import floor_to, interval_length
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, FUNDING_COLUMNS
from openclaw_pipelines.resources.market.ccxt.errors import (
    BrokenBarError,
    BrokenRateError,
    ConflictingRowsError,
    ExchangeRateLimitedError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    HistoryTooShortError,
    MalformedResponseError,
    OffGridStampError,
    OtherSymbolError,
    SymbolNotListedError,
)
from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket
from openclaw_pipelines.resources.market.errors import UntrueAnswerError

Open = Callable[..., CcxtMarket]

VENUES = [
    pytest.param("binance", "BTC/USDT", id="binance spot"),
    pytest.param("binance", "BTC/USDT:USDT", id="binance usdm"),
    pytest.param("kraken", "BTC/USD", id="kraken"),
    pytest.param("okx", "BTC/USDT", id="okx spot"),
    pytest.param("okx", "BTC/USDT:USDT", id="okx swap"),
    pytest.param("hyperliquid", "BTC/USDC:USDC", id="hyperliquid"),
]
PERPETUALS = [VENUES[1], VENUES[4], VENUES[5]]
every_venue = pytest.mark.parametrize(("exchange", "symbol"), VENUES)
every_perpetual = pytest.mark.parametrize(("exchange", "symbol"), PERPETUALS)

MIDNIGHT = datetime(2025, 5, 10, tzinfo=UTC)
NOON = datetime(2025, 5, 10, 12, tzinfo=UTC)
NEVER_TWICE = {"max_retries": 0}


def at(hour: int, minute: int = 0) -> datetime:
    return MIDNIGHT + timedelta(hours=hour, minutes=minute)


def stamps(start: datetime, end: datetime, interval: str = "1m") -> list[int]:
    return list(range(ms(start), ms(end), int(interval_length(interval).total_seconds()) * 1000))


def rows(frame: pl.DataFrame) -> list[tuple[int, ...]]:
    """`(ts in ms, open, high, low, close, volume)` of each bar."""
    columns = [pl.col("ts").dt.timestamp("ms"), "open", "high", "low", "close", "volume"]
    return frame.select(columns).rows()


def generated(wanted: list[int]) -> list[tuple[float, ...]]:
    """The same rows straight from the series that the server encodes."""
    return [(one.ts, *map(float, one[1:])) for one in map(bar, wanted)]


@every_venue
def test_bars_of_a_window(open_market: Open, exchange: str, symbol: str) -> None:
    frame = open_market(exchange).candles(symbol, "1m", at(10), at(11), NOW)
    assert rows(frame) == generated(stamps(at(10), at(11)))
    assert frame.columns == CANDLE_COLUMNS
    assert frame.schema["ts"] == pl.Datetime("us", "UTC")
    assert frame.select("source", "symbol", "interval", "is_synthetic").unique().rows() == [
        (f"ccxt:{exchange}", symbol, "1m", False)
    ]
    stored = frame.with_columns(pl.lit(NOW).cast(pl.Datetime("us", "UTC")).alias("ingested_at"))
    assert TABLES["candles"].validate(stored).height == 60


@every_venue
def test_end_is_excluded_and_start_rounds_up(open_market: Open, exchange: str, symbol: str) -> None:
    start, end = at(10) + timedelta(seconds=1), at(10, 3) + timedelta(seconds=1)
    frame = open_market(exchange).candles(symbol, "1m", start, end, NOW)
    assert rows(frame) == generated(stamps(at(10, 1), at(10, 4)))


@every_venue
@pytest.mark.parametrize(
    ("as_of", "last_open"),
    [
        pytest.param(at(11, 0), at(10, 59), id="at a close"),
        pytest.param(at(11, 0) - timedelta(microseconds=1), at(10, 58), id="just before it"),
        pytest.param(NOW, at(11, 59), id="now, the forming bar is served"),
        pytest.param(NOW + timedelta(minutes=3), at(11, 59), id="our clock is ahead of the exchange's"),
    ],
)
def test_only_closed_bars(open_market: Open, exchange: str, symbol: str, as_of: datetime, last_open: datetime) -> None:
    frame = open_market(exchange).candles(symbol, "1m", at(10, 30), at(13), as_of)
    assert rows(frame) == generated(stamps(at(10, 30), last_open + timedelta(minutes=1)))


@every_venue
def test_nothing_closed_yet_asks_nothing(open_market: Open, server: ExchangeServer, exchange: str, symbol: str) -> None:
    frame = open_market(exchange).candles(symbol, "1h", NOON, at(15), NOW)
    assert frame.is_empty()
    assert frame.columns == CANDLE_COLUMNS
    assert server.asked("candles") == []


@every_venue
@pytest.mark.parametrize("page_cap", [7, 50, 299])
def test_pages_cut_short_lose_nothing(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str, page_cap: int
) -> None:
    server.page_cap = page_cap
    frame = open_market(exchange).candles(symbol, "1m", at(6), at(11), NOW)
    assert rows(frame) == generated(stamps(at(6), at(11)))
    wanted = 1 if exchange == "kraken" else -(-300 // page_cap)
    assert len(server.asked("candles")) == wanted


LONG = MIDNIGHT - timedelta(days=9)
PAGES_OF_2592 = {"binance": 3, "okx": 9, "hyperliquid": 3}


@pytest.mark.parametrize(("exchange", "symbol"), [venue for venue in VENUES if venue.id != "kraken"])
def test_nine_days_of_5m_bars_in_full_pages(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str
) -> None:
    frame = open_market(exchange).candles(symbol, "5m", LONG, MIDNIGHT, NOW)
    assert rows(frame) == generated(stamps(LONG, MIDNIGHT, "5m"))
    assert len(server.asked("candles")) == PAGES_OF_2592[exchange]


@every_venue
@pytest.mark.parametrize(
    "hole",
    [
        pytest.param(stamps(at(10), at(10, 5)), id="at the start"),
        pytest.param(stamps(at(10, 20), at(10, 40)), id="in the middle"),
        pytest.param(stamps(at(10, 55), at(11)), id="at the end"),
        pytest.param(stamps(at(10), at(11))[::2], id="every other bar"),
        pytest.param(stamps(at(10), at(11)), id="all of it"),
    ],
)
def test_holes_stay_holes(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str, hole: list[int]
) -> None:
    server.absent = set(hole)
    frame = open_market(exchange).candles(symbol, "1m", at(10), at(11), NOW)
    assert rows(frame) == generated([ts for ts in stamps(at(10), at(11)) if ts not in server.absent])
    assert len(server.asked("candles")) <= 3


@every_venue
def test_not_listed_yet_is_no_error(open_market: Open, server: ExchangeServer, exchange: str, symbol: str) -> None:
    server.listed_at = ms(at(10, 15))
    frame = open_market(exchange).candles(symbol, "1m", at(10), at(11), NOW)
    assert rows(frame) == generated(stamps(at(10, 15), at(11)))


@pytest.mark.parametrize(
    ("exchange", "symbol", "bars", "oldest"),
    [
        pytest.param("kraken", "BTC/USD", 720, NOON - timedelta(minutes=720), id="kraken"),
        pytest.param("hyperliquid", "BTC/USDC:USDC", 5000, NOON - timedelta(minutes=4999), id="hyperliquid"),
    ],
)
class TestHorizon:
    """Exchanges that serve their latest bars only. `oldest` is the oldest that the server gives."""

    def test_the_oldest_served_bar_is_read(
        self, open_market: Open, exchange: str, symbol: str, bars: int, oldest: datetime
    ) -> None:
        frame = open_market(exchange).candles(symbol, "1m", oldest, oldest + timedelta(minutes=2), NOW)
        assert rows(frame) == generated([ms(oldest), ms(oldest) + 60_000])

    def test_one_bar_earlier_is_an_error(
        self, open_market: Open, exchange: str, symbol: str, bars: int, oldest: datetime
    ) -> None:
        start = oldest - timedelta(minutes=1)
        with pytest.raises(HistoryTooShortError, match=f"serves the latest {bars:,} bars") as caught:
            open_market(exchange).candles(symbol, "1m", start, NOON, NOW)
        assert caught.value.start == start
        assert caught.value.reachable_from == oldest

    @pytest.mark.parametrize("as_of", [NOW, LONG + timedelta(hours=2)], ids=["as of now", "as of then"])
    def test_a_window_before_it_is_an_error(
        self, open_market: Open, exchange: str, symbol: str, bars: int, oldest: datetime, as_of: datetime
    ) -> None:
        with pytest.raises(HistoryTooShortError):
            open_market(exchange).candles(symbol, "1m", LONG, LONG + timedelta(hours=1), as_of)


def test_kraken_listed_within_its_horizon_is_complete(open_market: Open, server: ExchangeServer) -> None:
    server.listed_at = ms(at(9))
    frame = open_market("kraken").candles("BTC/USD", "1m", LONG, at(10), NOW)
    assert rows(frame) == generated(stamps(at(9), at(10)))


@pytest.mark.parametrize(
    ("exchange", "symbol", "interval", "part", "wire_name"),
    [
        pytest.param("kraken", "BTC/USD", "3m", "1m", "1", id="kraken 3m from 1m"),
        pytest.param("kraken", "BTC/USD", "2h", "1h", "60", id="kraken 2h from 1h"),
        pytest.param("okx", "BTC/USDT", "8h", "4h", "4H", id="okx 8h from 4h"),
        pytest.param("hyperliquid", "BTC/USDC:USDC", "6h", "2h", "2h", id="hyperliquid 6h from 2h"),
    ],
)
def test_intervals_an_exchange_lacks_are_built(
    open_market: Open,
    server: ExchangeServer,
    exchange: str,
    symbol: str,
    interval: str,
    part: str,
    wire_name: str,
) -> None:
    frame = open_market(exchange).candles(symbol, interval, MIDNIGHT, at(23), NOW)
    step, part_step = (int(interval_length(one).total_seconds()) * 1000 for one in (interval, part))
    expected = []
    for first in range(ms(MIDNIGHT), ms(NOON) - step + 1, step):
        parts = [bar(ts) for ts in range(first, first + step, part_step)]
        high, low = max(float(one.high) for one in parts), min(float(one.low) for one in parts)
        volume = pytest.approx(sum(float(one.volume) for one in parts))
        expected.append((first, float(parts[0].open), high, low, float(parts[-1].close), volume))
    assert rows(frame) == expected
    assert frame["interval"].unique().to_list() == [interval]
    asked = server.asked("candles")[0]
    assert wire_name in (asked.query.get("interval"), asked.query.get("bar"), asked.body.get("req", {}).get("interval"))


@pytest.mark.parametrize(("exchange", "symbol"), [VENUES[3], VENUES[4]])
def test_okx_latest_bars_come_from_its_other_endpoint(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str
) -> None:
    server.now = floor_to(datetime.now(UTC), timedelta(minutes=1)) + timedelta(seconds=5)
    end = floor_to(server.now, timedelta(minutes=1))
    frame = open_market(exchange).candles(symbol, "1m", end - timedelta(minutes=10), server.now, server.now)
    assert rows(frame) == generated(stamps(end - timedelta(minutes=10), end))
    assert server.asked("candles")[0].path == "api/v5/market/candles"


ASKED = {
    "binance spot": ("api/v3/klines", {"symbol": "BTCUSDT", "startTime": "1746871200000", "endTime": "1746874799999"}),
    "binance usdm": ("fapi/v1/klines", {"symbol": "BTCUSDT", "startTime": "1746871200000", "endTime": "1746874799999"}),
    "kraken": ("0/public/OHLC", {"pair": "XXBTZUSD", "interval": "1", "since": "1746871140"}),
    "okx spot": ("api/v5/market/history-candles", {"instId": "BTC-USDT", "before": "1746871199999"}),
    "okx swap": ("api/v5/market/history-candles", {"instId": "BTC-USDT-SWAP", "after": "1746874799999"}),
    "hyperliquid": ("info", {"coin": "BTC", "interval": "1m", "startTime": 1746871200000, "endTime": 1746874799999}),
}


@every_venue
def test_what_goes_over_the_wire(open_market: Open, server: ExchangeServer, exchange: str, symbol: str) -> None:
    open_market(exchange).candles(symbol, "1m", at(10), at(11), NOW)
    [asked] = server.asked("candles")
    venue = next(one.id for one in VENUES if one.values == (exchange, symbol))
    path, parameters = ASKED[venue]
    assert asked.path == path
    assert parameters.items() <= (asked.query or asked.body["req"]).items()


@every_venue
def test_without_a_clock_of_the_exchange_as_of_decides(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str
) -> None:
    server.clock_header = False
    frame = open_market(exchange).candles(symbol, "1m", at(11, 50), at(13), at(11, 58))
    assert rows(frame) == generated(stamps(at(11, 50), at(11, 58)))


class TestBadPages:
    """What an exchange may put into a page, checked alike on all."""

    window = ("1m", at(10), at(11), NOW)

    @every_venue
    def test_unsorted(self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str) -> None:
        server.change = lambda bars: bars[::-1][1:] + bars[-1:]
        assert rows(open_market(exchange).candles(symbol, *self.window)) == generated(stamps(at(10), at(11)))

    @every_venue
    def test_repeated_bars_count_once(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str
    ) -> None:
        server.change = lambda bars: [one for one in bars for _ in range(2)]
        assert rows(open_market(exchange).candles(symbol, *self.window)) == generated(stamps(at(10), at(11)))

    @every_venue
    def test_one_stamp_with_two_values(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str
    ) -> None:
        server.change = lambda bars: bars + [one._replace(close="20001.25") for one in bars if one.ts == ms(at(10, 7))]
        with pytest.raises(ConflictingRowsError, match=r"2025-05-10T10:07:00\+00:00.*20001\.25"):
            open_market(exchange).candles(symbol, *self.window)

    @every_venue
    def test_off_the_grid(self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str) -> None:
        server.change = lambda bars: [one._replace(ts=one.ts + 30_000 * (one.ts == ms(at(10, 7)))) for one in bars]
        with pytest.raises(OffGridStampError, match=r"2025-05-10T10:07:30\+00:00, which is off the 1m grid"):
            open_market(exchange).candles(symbol, *self.window)

    @every_venue
    @pytest.mark.parametrize(("field", "text"), [("open", "abc"), ("high", "NaN"), ("close", ""), ("volume", "inf")])
    def test_malformed_numbers(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str, field: str, text: str
    ) -> None:
        server.change = lambda bars: [one._replace(**{field: text}) if one.ts == ms(at(10, 7)) else one for one in bars]
        with pytest.raises(MalformedResponseError, match="no number where one belongs"):
            open_market(exchange).candles(symbol, *self.window)

    @every_venue
    @pytest.mark.parametrize(
        ("lie", "error", "says"),
        [
            pytest.param({"high": "Infinity"}, MalformedResponseError, "no number", id="endless high"),
            pytest.param({"high": "1e400"}, MalformedResponseError, "no number", id="endless as a float"),
            pytest.param({"high": "1e300"}, BrokenBarError, "outside 1e-12 to 1e", id="beyond any price"),
            pytest.param({"low": "1e-300"}, BrokenBarError, "outside 1e-12 to 1e", id="below any price"),
            pytest.param({"low": "-20000.5"}, BrokenBarError, "not above 0", id="negative price"),
            pytest.param({"low": "0"}, BrokenBarError, "not above 0", id="price of zero"),
            pytest.param({"volume": "-1"}, BrokenBarError, "volume is negative", id="negative volume"),
            pytest.param({"volume": "1e19"}, BrokenBarError, "volume is above", id="more volume than any coin"),
            pytest.param({"high": "0.5"}, BrokenBarError, "high is not the highest", id="high below low"),
            pytest.param({"low": "99999"}, BrokenBarError, "high is not the highest", id="low above high"),
        ],
    )
    def test_a_bar_that_cannot_be_is_refused(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str, lie: Any, error: Any, says: str
    ) -> None:
        server.change = lambda bars: [one._replace(**lie) if one.ts == ms(at(10, 7)) else one for one in bars]
        with pytest.raises(error, match=says) as caught:
            open_market(exchange).candles(symbol, *self.window)
        assert isinstance(caught.value, UntrueAnswerError)
        assert (caught.value.exchange, symbol in str(caught.value)) == (exchange, True)
        if error is BrokenBarError:
            assert caught.value.stamp == at(10, 7)

    @pytest.mark.parametrize(("exchange", "symbol"), [venue for venue in VENUES if venue.id != "kraken"])
    @pytest.mark.parametrize(
        "stamp", [pytest.param(True, id="true"), pytest.param(ms(datetime(1999, 1, 1, tzinfo=UTC)), id="1999")]
    )
    def test_a_stamp_before_there_was_a_market_is_refused(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str, stamp: int
    ) -> None:
        self.test_a_stamp_to_come_is_refused(open_market, server, exchange, symbol, stamp)

    @every_venue
    @pytest.mark.parametrize("stamp", [pytest.param(ms(datetime(2090, 1, 1, tzinfo=UTC)), id="2090")])
    def test_a_stamp_to_come_is_refused(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str, stamp: int
    ) -> None:
        server.change = lambda bars: [one._replace(ts=stamp) if one.ts == ms(at(10, 7)) else one for one in bars]
        with pytest.raises(UntrueAnswerError, match=r"stamped a row of|no time in"):
            open_market(exchange).candles(symbol, *self.window)


PASSING = [
    pytest.param(Fault(429, headers={"Retry-After": "2"}), id="429 with Retry-After"),
    pytest.param(Fault(429), id="429 without"),
    pytest.param(Fault(418), id="418"),
    pytest.param(Fault(408), id="408"),
    pytest.param(Fault(500), id="500"),
    pytest.param(Fault(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"}), id="502 html"),
    pytest.param(Fault(503), id="503"),
    pytest.param(Fault(504), id="504"),
    pytest.param(Fault(505), id="505, unknown to ccxt"),
    pytest.param(Fault(None), id="connection reset"),
    pytest.param(Fault(200, delay_seconds=0.8), id="slower than the time-out"),
    pytest.param(Fault(200, cut_to=200), id="truncated JSON"),
    pytest.param(Fault(200, b"<html>one moment</html>", {"Content-Type": "text/html"}), id="HTML page"),
    pytest.param(Fault(200, b'"maintenance"'), id="a JSON string"),
    pytest.param(Fault(200, b"{}"), id="an empty object"),
]


def ready(market: CcxtMarket, symbol: str, fault: Fault, timeout_ms: int) -> CcxtMarket:
    """Knowing its markets, and impatient from then on if the fault is a slow answer."""
    market.candles(symbol, "1m", at(9), at(9, 1), NOW)
    if fault.delay_seconds:
        market._client.api.timeout = timeout_ms
    return market


@every_venue
@pytest.mark.parametrize("fault", PASSING)
def test_passing_faults_change_nothing(
    open_market: Open,
    server: ExchangeServer,
    waits: list[float],
    exchange: str,
    symbol: str,
    fault: Fault,
) -> None:
    market = ready(open_market(exchange), symbol, fault, timeout_ms=500)
    server.requests.clear()
    server.fail(fault)
    assert rows(market.candles(symbol, "1m", at(10), at(11), NOW)) == generated(stamps(at(10), at(11)))
    assert len(server.asked("candles")) == 2
    assert len(waits) == 1
    assert server.requests[0] == server.requests[1]


LASTING = [
    pytest.param(Fault(503), ExchangeUnavailableError, "HTTP 503", id="5xx"),
    pytest.param(Fault(None), ExchangeUnavailableError, "NetworkError", id="resets"),
    pytest.param(Fault(200, delay_seconds=0.4), ExchangeUnavailableError, "RequestTimeout", id="time-outs"),
    pytest.param(Fault(429), ExchangeRateLimitedError, "retry after: not stated", id="429"),
    pytest.param(
        Fault(429, headers={"Retry-After": "3"}), ExchangeRateLimitedError, "retry after: 3 s", id="429 with a time"
    ),
    pytest.param(Fault(418, headers={"Retry-After": "3"}), ExchangeRateLimitedError, "HTTP 418", id="418"),
    pytest.param(Fault(200, cut_to=150), MalformedResponseError, "the body is no JSON", id="truncated JSON"),
    pytest.param(Fault(200, b"<html>"), MalformedResponseError, "<html>", id="HTML page"),
]


@every_venue
@pytest.mark.parametrize(("fault", "error", "said"), LASTING)
def test_lasting_faults_have_names(
    open_market: Open,
    server: ExchangeServer,
    waits: list[float],
    exchange: str,
    symbol: str,
    fault: Fault,
    error: type[MarketError],
    said: str,
) -> None:
    market = ready(open_market(exchange, max_retries=2), symbol, fault, timeout_ms=150)
    server.requests.clear()
    server.fail(*[fault] * 3)
    with pytest.raises(error, match=said) as caught:
        market.candles(symbol, "1m", at(10), at(11), NOW)
    assert caught.value.exchange == exchange
    assert caught.value.attempts == 3
    assert f"{symbol} 1m bars 2025-05-10T10:00Z..2025-05-10T11:00Z" in str(caught.value)
    assert len(server.asked("candles")) == 3
    assert len(waits) == 2


NO_ROWS = {
    "binance": b'{"candles":"soon"}',
    "kraken": b'{"error":[],"result":{"XXBTZUSD":"soon","last":1746871200}}',
    "okx": b'{"code":"0","msg":"","data":"soon"}',
    "hyperliquid": b'{"candles":"soon"}',
}


@every_venue
def test_what_is_no_list_of_bars_is_not_an_empty_one(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str
) -> None:
    market = open_market(exchange)
    market.candles(symbol, "1m", at(9), at(10), NOW)
    server.fail(Fault(200, NO_ROWS[exchange]))
    with pytest.raises(MalformedResponseError, match=symbol):
        market.candles(symbol, "1m", at(10), at(11), NOW)


REFUSALS = {
    "binance": Fault(400, b'{"code":-1121,"msg":"Invalid symbol."}'),
    "kraken": Fault(200, b'{"error":["EQuery:Unknown asset pair"]}'),
    "okx": Fault(200, b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}'),
    "hyperliquid": Fault(422, b"Failed to deserialize the JSON body into the target type"),
}


@every_venue
def test_refusals_are_not_retried(
    open_market: Open, server: ExchangeServer, waits: list[float], exchange: str, symbol: str
) -> None:
    server.fail(REFUSALS[exchange])
    with pytest.raises(ExchangeRefusedError) as caught:
        open_market(exchange).candles(symbol, "1m", at(10), at(11), NOW)
    assert caught.value.exchange == exchange
    assert len(server.asked("candles")) == 1
    assert waits == []


@every_venue
@pytest.mark.parametrize("status", [401, 403, 404, 451])
def test_other_client_errors_are_not_retried(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str, status: int
) -> None:
    server.fail(Fault(status, b"<html>not from here</html>"))
    with pytest.raises(ExchangeRefusedError, match=f"HTTP {status}"):
        open_market(exchange).candles(symbol, "1m", at(10), at(11), NOW)
    assert len(server.asked("candles")) == 1


@every_venue
def test_faults_while_reading_the_markets(
    open_market: Open, server: ExchangeServer, waits: list[float], exchange: str, symbol: str
) -> None:
    server.fail(Fault(503), Fault(200, cut_to=60), kind="markets")
    assert open_market(exchange).candles(symbol, "1m", at(10), at(11), NOW).height == 60
    assert len(waits) == 2


@every_venue
def test_markets_that_stay_away(open_market: Open, server: ExchangeServer, exchange: str, symbol: str) -> None:
    server.fail(Fault(503), kind="markets")
    with pytest.raises(ExchangeUnavailableError, match="did not answer for its markets in 1 attempt"):
        open_market(exchange, **NEVER_TWICE).candles(symbol, "1m", at(10), at(11), NOW)


@every_venue
def test_unlisted_symbol_names_the_nearest(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str
) -> None:
    wrong = symbol.replace("BTC", "BTCC")
    with pytest.raises(SymbolNotListedError, match=f"{exchange} does not list '{wrong}', the nearest is '"):
        open_market(exchange).candles(wrong, "1m", at(10), at(11), NOW)
    assert server.asked("candles") == []


class TestFunding:
    """Funding of perpetuals."""

    @staticmethod
    def expected(server: ExchangeServer, start: datetime, end: datetime, late_ms: int = 7) -> list[tuple[int, ...]]:
        step = server.funding_hours * HOUR_MS
        wanted = [rate(ts, late_ms) for ts in range(ms(start), ms(end), step)]
        return [(one.ts, one.stamp, float(one.rate)) for one in wanted]

    @staticmethod
    def rows(frame: pl.DataFrame) -> list[tuple[int, ...]]:
        return frame.select(
            pl.col("ts").dt.timestamp("ms"), pl.col("stamped_at").dt.timestamp("ms"), "funding_rate"
        ).rows()

    @every_perpetual
    @pytest.mark.parametrize("hours", [1, 4, 8])
    def test_a_month(self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str, hours: int) -> None:
        server.funding_hours = hours
        start = MIDNIGHT - timedelta(days=30)
        frame = open_market(exchange).funding_rates(symbol, start, MIDNIGHT, NOW)
        assert self.rows(frame) == self.expected(server, start, MIDNIGHT)
        assert frame.columns == FUNDING_COLUMNS
        assert frame.select("source", "symbol").unique().rows() == [(f"ccxt:{exchange}", symbol)]
        stored = frame.with_columns(pl.lit(NOW).cast(pl.Datetime("us", "UTC")).alias("ingested_at"))
        assert TABLES["funding_rates"].validate(stored).height == 720 // hours

    @every_perpetual
    @pytest.mark.parametrize("page_cap", [1, 5])
    def test_pages_cut_short(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str, page_cap: int
    ) -> None:
        server.page_cap = page_cap
        start = MIDNIGHT - timedelta(days=5)
        frame = open_market(exchange).funding_rates(symbol, start, MIDNIGHT, NOW)
        assert self.rows(frame) == self.expected(server, start, MIDNIGHT)

    @every_perpetual
    def test_only_what_was_stamped_by_as_of(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str
    ) -> None:
        market = open_market(exchange)
        eight = at(8) + timedelta(milliseconds=7)
        before = market.funding_rates(symbol, MIDNIGHT, at(23), eight - timedelta(milliseconds=1))
        assert before["ts"].to_list() == [MIDNIGHT]
        assert market.funding_rates(symbol, MIDNIGHT, at(23), eight)["ts"].to_list() == [MIDNIGHT, at(8)]

    @every_perpetual
    def test_two_rates_for_one_hour(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str
    ) -> None:
        server.change_rates = lambda rates: rates + [Rate(one.ts, one.stamp + 900, "0.0007") for one in rates[:1]]
        with pytest.raises(ConflictingRowsError, match=r"funding of .* at 2025-05-10T00:00:00\+00:00"):
            open_market(exchange).funding_rates(symbol, MIDNIGHT, at(9), NOW)

    @every_perpetual
    def test_the_same_rate_twice_counts_once(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str
    ) -> None:
        server.change_rates = lambda rates: [
            again for one in rates for again in (one._replace(stamp=one.stamp + 900), one)
        ]
        frame = open_market(exchange).funding_rates(symbol, MIDNIGHT, at(9), NOW)
        assert self.rows(frame) == self.expected(server, MIDNIGHT, at(9))

    @every_perpetual
    def test_malformed_rate(self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str) -> None:
        server.change_rates = lambda rates: [one._replace(rate="n/a") for one in rates]
        with pytest.raises(MalformedResponseError, match="no number where one belongs"):
            open_market(exchange).funding_rates(symbol, MIDNIGHT, at(9), NOW)

    @every_perpetual
    @pytest.mark.parametrize("lie", ["1e6", "-0.0901", "0.12"])
    def test_a_rate_that_cannot_be_is_refused(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str, lie: str
    ) -> None:
        server.change_rates = lambda rates: [one._replace(rate=lie) if one.ts == ms(at(8)) else one for one in rates]
        with pytest.raises(
            BrokenRateError, match=rf"{symbol}.* at 2025-05-10T08:00:00.*{float(lie)}: .*0\.09"
        ) as caught:
            open_market(exchange).funding_rates(symbol, MIDNIGHT, at(9), NOW)
        assert isinstance(caught.value, UntrueAnswerError)

    @every_perpetual
    def test_the_largest_rate_passes(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str
    ) -> None:
        server.change_rates = lambda rates: [one._replace(rate="-0.09") for one in rates]
        rates = open_market(exchange).funding_rates(symbol, MIDNIGHT, at(9), NOW)["funding_rate"]
        assert rates.to_list() == [-0.09, -0.09]

    @every_perpetual
    @pytest.mark.parametrize("fault", [Fault(429), Fault(503), Fault(None), Fault(200, cut_to=60)])
    def test_passing_faults(
        self, open_market: Open, server: ExchangeServer, waits: list[float], exchange: str, symbol: str, fault: Fault
    ) -> None:
        server.fail(fault, kind="funding")
        frame = open_market(exchange).funding_rates(symbol, MIDNIGHT, at(9), NOW)
        assert self.rows(frame) == self.expected(server, MIDNIGHT, at(9))
        assert len(waits) == 1

    def test_okx_serves_three_months(self, open_market: Open) -> None:
        start = NOW - timedelta(days=120)
        with pytest.raises(HistoryTooShortError, match=r"funding of BTC/USDT:USDT .* it serves the latest 90 days"):
            open_market("okx").funding_rates("BTC/USDT:USDT", start, start + timedelta(days=1), NOW)

    @pytest.mark.parametrize(("exchange", "symbol"), [VENUES[0], VENUES[2], VENUES[3]])
    def test_spot_has_none_and_is_not_asked(
        self, open_market: Open, server: ExchangeServer, exchange: str, symbol: str
    ) -> None:
        frame = open_market(exchange).funding_rates(symbol, MIDNIGHT, at(9), NOW)
        assert frame.is_empty()
        assert frame.columns == FUNDING_COLUMNS
        assert server.asked("funding") == []


@every_venue
def test_the_clock_of_the_last_answer_is_told(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str
) -> None:
    market = open_market(exchange)
    assert market.served_at() is None
    market.candles(symbol, "1m", at(11), NOON, NOW + timedelta(hours=6))
    assert market.served_at() == NOW
    market.candles(symbol, "1m", at(13), at(14), NOON)  # nothing has closed, so nothing is asked
    assert market.served_at() is None
    server.clock_header = False
    market.candles(symbol, "1m", at(11), NOON, NOON)
    assert market.served_at() is None


@pytest.mark.parametrize(
    ("exchange", "symbol", "asked", "told"),
    [
        pytest.param("kraken", "BTC/USD", "candles", "XETHZUSD", id="bars of kraken"),
        pytest.param("hyperliquid", "BTC/USDC:USDC", "candles", "ETH", id="bars of hyperliquid"),
        pytest.param("binance", "BTC/USDT:USDT", "funding", "ETHUSDT", id="rates of binance usdm"),
        pytest.param("okx", "BTC/USDT:USDT", "funding", "ETH-USDT-SWAP", id="rates of okx swap"),
        pytest.param("hyperliquid", "BTC/USDC:USDC", "funding", "ETH", id="rates of hyperliquid"),
    ],
)
def test_what_is_answered_of_another_symbol_is_refused(
    open_market: Open, server: ExchangeServer, exchange: str, symbol: str, asked: str, told: str
) -> None:
    server.told_symbol = told
    market = open_market(exchange)
    ask = partial(market.candles, symbol, "1m") if asked == "candles" else partial(market.funding_rates, symbol)
    with pytest.raises(OtherSymbolError, match=f"{symbol} .* answered for {told}"):
        ask(MIDNIGHT, at(9), NOW)
