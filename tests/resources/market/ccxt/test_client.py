"""Waiting between attempts, what is refused at once, and what never leaves the process."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from exchange_server import NOW, ExchangeServer, Fault

from openclaw_pipelines.contracts.config.market import Market
from openclaw_pipelines.contracts.enums import SourceKind
from openclaw_pipelines.resources.market.ccxt.client import CREDENTIALS, Backoff, retry_after_seconds
from openclaw_pipelines.resources.market.ccxt.errors import (
    CredentialInOptionsError,
    ExchangeRateLimitedError,
    ExchangeUnavailableError,
    IntervalNotSupportedError,
    UnknownExchangeError,
    VolumeUnitUnknownError,
)
from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket, build_ccxt_source
from openclaw_pipelines.resources.market.choose import build_source
from openclaw_pipelines.resources.market.errors import MissingSourceSettingError

Open = Callable[..., CcxtMarket]
WINDOW = ("1m", datetime(2025, 5, 10, 10, tzinfo=UTC), datetime(2025, 5, 10, 11, tzinfo=UTC), NOW)


def ask(market: CcxtMarket) -> int:
    return market.candles("BTC/USDT", *WINDOW).height


def waited(
    open_market: Open, server: ExchangeServer, waits: list[float], *faults: Fault, **settings: Any
) -> list[float]:
    server.fail(*faults)
    assert ask(open_market("binance", **settings)) == 60
    return waits


def test_waits_double_and_jitter(open_market: Open, server: ExchangeServer, waits: list[float]) -> None:
    waited(open_market, server, waits, *[Fault(503)] * 5, max_retries=5)
    floors = [1, 2, 4, 8, 16]
    assert all(floor <= wait <= floor + 1 for floor, wait in zip(floors, waits, strict=True))
    assert any(wait != floor for floor, wait in zip(floors, waits, strict=True))


def test_waits_are_capped(open_market: Open, server: ExchangeServer) -> None:
    waits: list[float] = []
    backoff = Backoff(first_seconds=2, longest_seconds=3, sleep=waits.append)
    waited(open_market, server, waits, *[Fault(503)] * 4, max_retries=4, backoff=backoff)
    assert len(waits) == 4
    assert max(waits) == 3


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        pytest.param({"Retry-After": "7"}, 7, id="seconds"),
        pytest.param({"Retry-After": format_datetime(NOW + timedelta(seconds=9), usegmt=True)}, 9, id="a date"),
        pytest.param({"Retry-After": "soon"}, 1, id="nonsense"),
        pytest.param({}, 1, id="none"),
    ],
)
def test_retry_after_is_honoured(
    open_market: Open, server: ExchangeServer, waits: list[float], headers: dict[str, str], least: float
) -> None:
    [wait] = waited(open_market, server, waits, Fault(429, headers=headers))
    assert wait == least if least > 2 else least <= wait <= 2


def test_retry_after_does_not_outlive_its_answer(open_market: Open, server: ExchangeServer, waits: list[float]) -> None:
    waited(open_market, server, waits, Fault(429, headers={"Retry-After": "30"}), Fault(None))
    assert waits[0] == 30
    assert waits[1] <= 3


def test_a_ban_is_not_waited_out(open_market: Open, server: ExchangeServer, waits: list[float]) -> None:
    server.fail(Fault(418, headers={"Retry-After": "7200"}))
    with pytest.raises(ExchangeRateLimitedError, match=r"after 1 attempt\(s\), retry after: 7200 s"):
        ask(open_market("binance"))
    assert waits == []


def test_a_rate_limit_inside_an_answer_is_one_too(open_market: Open, server: ExchangeServer) -> None:
    """OKX says 429 also in the body of a 200, Kraken only there."""
    server.fail(*[Fault(200, b'{"error":["EGeneral:Too many requests"]}')] * 2)
    with pytest.raises(ExchangeRateLimitedError):
        open_market("kraken", max_retries=1).candles("BTC/USD", *WINDOW)
    server.fail(*[Fault(200, b'{"code":"50011","msg":"Too Many Requests","data":[]}')] * 2)
    with pytest.raises(ExchangeRateLimitedError):
        open_market("okx", max_retries=1).candles("BTC/USDT", *WINDOW)


def test_jitter_does_not_change_results(open_market: Open, server: ExchangeServer, waits: list[float]) -> None:
    market = open_market("okx")
    undisturbed = market.candles("BTC/USDT", *WINDOW)
    for _ in range(2):
        server.fail(Fault(503), Fault(429))
        assert market.candles("BTC/USDT", *WINDOW).equals(undisturbed)
    assert len(set(waits)) == 4


def test_requests_keep_the_exchanges_pace(open_market: Open, server: ExchangeServer) -> None:
    server.page_cap = 10
    market = open_market("okx", {"rateLimit": 100})
    ask_all = datetime(2025, 5, 10, 10, tzinfo=UTC), datetime(2025, 5, 10, 10, 40, tzinfo=UTC), NOW
    market.instruments(["BTC/USDT"], NOW)
    started = time.perf_counter()
    assert market.candles("BTC/USDT", "1m", *ask_all).height == 40
    assert len(server.asked("candles")) == 4
    assert time.perf_counter() - started >= 3 * 0.1


def test_proxies_of_the_environment_are_not_used(
    open_market: Open, server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(open_market("binance", max_retries=0)) == 60


def test_the_secret_of_a_proxy_is_not_shown(open_market: Open) -> None:
    market = open_market("binance", {"httpProxy": "http://trader:hunter2@127.0.0.1:9"}, max_retries=0)
    with pytest.raises(ExchangeUnavailableError) as caught:
        ask(market)
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert "hunter2" not in shown
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("option", CREDENTIALS)
def test_credentials_in_options_are_refused(option: str) -> None:
    with pytest.raises(CredentialInOptionsError, match=f"holds '{option}'") as caught:
        CcxtMarket("binance", options={option: "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("exchange", "suggestion"),
    [
        pytest.param("krakn", ", the nearest is 'kraken'", id="misspelt"),
        pytest.param("Binance", ", the nearest is 'binance'", id="capital"),
        pytest.param("wxyz9876", "", id="nothing near"),
    ],
)
def test_unknown_exchange(exchange: str, suggestion: str) -> None:
    with pytest.raises(UnknownExchangeError) as caught:
        CcxtMarket(exchange)
    assert str(caught.value) == f"unknown exchange {exchange!r}{suggestion}. Use the ccxt id of an exchange."


def test_interval_that_no_bars_divide() -> None:
    with pytest.raises(IntervalNotSupportedError, match=r"mercado has no 5m bars .* It has: 15m, 1h, 1d"):
        CcxtMarket("mercado").candles("BTC/BRL", "5m", *WINDOW[1:])


def test_exchange_without_bars() -> None:
    with pytest.raises(IntervalNotSupportedError, match="It has: none"):
        CcxtMarket("bitflyer").candles("BTC/JPY", "5m", *WINDOW[1:])


def test_contracts_of_unknown_volume_unit_are_refused(open_market: Open, server: ExchangeServer) -> None:
    market = open_market("binance")
    described = market._load_markets(reload=False)["BTC/USDT:USDT"]
    described["contractSize"] = described["contractSize"] * 10
    with pytest.raises(VolumeUnitUnknownError, match="in contracts of 10"):
        market.candles("BTC/USDT:USDT", *WINDOW)
    assert server.asked("candles") == []


def test_built_from_the_configuration() -> None:
    given = {"exchange": "kraken", "timeout_seconds": 3, "exchange_options": {"rateLimit": 7}}
    settings = Market(source=SourceKind.CCXT, symbols=["BTC/USD"], **given)
    market = build_source(settings)
    assert isinstance(market, CcxtMarket)
    assert market.name == "ccxt:kraken"
    api = market._client.api
    assert (api.timeout, api.rateLimit, api.enableRateLimit, api.has["fetchCurrencies"]) == (3000, 7, True, False)


def test_without_an_exchange() -> None:
    with pytest.raises(MissingSourceSettingError, match="OPENCLAW_EXCHANGE"):
        build_ccxt_source(Market(source=SourceKind.CCXT, symbols=["BTC/USD"]))


def test_ccxt_is_imported_when_first_used() -> None:
    code = (
        "import sys, openclaw_pipelines.resources.market.ccxt.source as s; assert 'ccxt' not in sys.modules; "
        "s.CcxtMarket('kraken'); assert 'ccxt' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="absent"),
        pytest.param({"Retry-After": "0"}, 0, id="zero"),
        pytest.param({"Retry-After": "-5"}, 0, id="negative"),
        pytest.param({"Retry-After": "Sat, 10 May 2025 12:00:40 GMT"}, None, id="a date without Date"),
        pytest.param(
            {"Retry-After": "Sat, 10 May 2025 12:00:40 GMT", "Date": "Sat, 10 May 2025 12:00:30 GMT"}, 10, id="dates"
        ),
    ],
)
def test_retry_after_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds
