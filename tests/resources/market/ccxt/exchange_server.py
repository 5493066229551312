"""A local HTTP server that speaks the wire formats of four exchanges, for the real ccxt client.

Bars and rates come from a deterministic series (`bar`, `rate`) or from recorded bodies; markets likewise. Page limits,
bounds, order and horizon are each exchange's own. Faults are queued by tests and used up one per request.
"""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

HOUR_MS = 3_600_000
NOW = datetime(2025, 5, 10, 12, 0, 30, tzinfo=UTC)
"""Clock of the server unless a test sets another."""
MINUTES = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "8h": 480, "1d": 1440}


class Bar(NamedTuple):
    """A bar as exchanges write it: numbers are text."""

    ts: int
    open: str
    high: str
    low: str
    close: str
    volume: str


class Rate(NamedTuple):
    """A funding rate: hour of payment, stamp a little late, rate as text."""

    ts: int
    stamp: int
    rate: str


def bar(ts: int) -> Bar:
    """The bar of the generated series that opens at `ts` (ms), a function of nothing else."""
    wave = ts // 60_000 * 7919
    middle = 20_000 + wave % 1_000
    last = 20_000 + (wave + 7919) % 1_000
    high, low = max(middle, last) + wave % 13, min(middle, last) - wave % 11
    return Bar(ts, f"{middle}.5", f"{high}.5", f"{low}.5", f"{last}.5", f"{wave % 97}.{wave % 10}")


def rate(ts: int, late_ms: int = 7) -> Rate:
    """The funding rate of the generated series for the hour `ts` (ms)."""
    return Rate(ts, ts + late_ms, f"{(ts // HOUR_MS % 41 - 20) / 1e5:.6f}")


@dataclass(frozen=True)
class Request:
    """What came over the wire."""

    exchange: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    kind: str


@dataclass(frozen=True)
class Fault:
    """How one request goes wrong. Without a status the connection is reset, after `delay_seconds` if given."""

    status: int | None = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    cut_to: int | None = None
    """Answer rightly, but only with this many bytes of the body."""


def ms(value: datetime) -> int:
    return int(value.timestamp()) * 1000


class ExchangeServer:
    """Serves on 127.0.0.1 and a free port while used as a context manager."""

    def __init__(self, now: datetime, markets: dict[str, Any]) -> None:
        self.now = now
        self.markets = markets
        """Bodies of market lists by `exchange:name`, see `wire_markets`."""
        self.requests: list[Request] = []
        self.faults: deque[tuple[str, Fault]] = deque()
        self.absent: set[int] = set()
        self.listed_at = 0
        self.page_cap: int | None = None
        self.funding_hours = 8
        self.change: Callable[[list[Bar]], list[Bar]] = list
        self.change_rates: Callable[[list[Rate]], list[Rate]] = list
        self.told_symbol: str | None = None
        """What rows are said to be of, in place of the symbol asked for."""
        self.clock_header = True
        self.recorded: dict[tuple[str, ...], list[Any]] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"exchanges": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "ExchangeServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def options(self, exchange: str) -> dict[str, Any]:
        """Options that point the real client of an exchange here, without its pause between requests."""
        paths = _api_paths(exchange)
        return {
            "rateLimit": 0,
            "urls": {"api": {name: f"{self.url}/{exchange}{path}" for name, path in paths.items()}},
        }

    def fail(self, *faults: Fault, kind: str = "candles") -> None:
        """Let the next requests of a kind (`candles`, `funding`, `markets`) go wrong, in this order."""
        self.faults.extend((kind, fault) for fault in faults)

    def asked(self, kind: str) -> list[Request]:
        return [request for request in self.requests if request.kind == kind]

    def bars(self, minutes: int, low: int, high: int) -> list[Bar]:
        """Bars with `low <= ts <= high` that have begun, the forming one included."""
        step = minutes * 60_000
        first = max(-(-low // step) * step, -(-self.listed_at // step) * step)
        last = min(high, ms(self.now))
        return self.change([bar(ts) for ts in range(first, last + 1, step) if ts not in self.absent])

    def rates(self, low: int, high: int) -> list[Rate]:
        """Rates stamped in `low <= stamp <= high`."""
        step = self.funding_hours * HOUR_MS
        last = min(high, ms(self.now))
        every = [rate(ts) for ts in range(max(low // step * step, self.listed_at), last + 1, step)]
        return self.change_rates([one for one in every if low <= one.stamp <= last])

    def take_fault(self, kind: str) -> Fault | None:
        for place, (wanted, fault) in enumerate(self.faults):
            if wanted == kind:
                del self.faults[place]
                return fault
        return None

    def page(self, rows: list[Any], limit: int, *, newest: bool) -> list[Any]:
        size = min(limit, self.page_cap or limit)
        return rows[-size:] if newest else rows[:size]


@cache
def _api_paths(exchange: str) -> dict[str, str]:
    import ccxt

    return {name: urlsplit(url).path for name, url in getattr(ccxt, exchange)().urls["api"].items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes
    exchanges: ExchangeServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._serve(parts.path, dict(parse_qsl(parts.query)), {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._serve(urlsplit(self.path).path, {}, body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.exchanges.now.astimezone(UTC), usegmt=True)

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _serve(self, path: str, query: dict[str, str], body: dict[str, Any]) -> None:
        exchange, _, rest = path.lstrip("/").partition("/")
        kind, answer = WIRES[exchange](self.exchanges, rest, query, body)
        self.exchanges.requests.append(Request(exchange, rest, query, body, kind))
        fault = self.exchanges.take_fault(kind) or Fault()
        time.sleep(fault.delay_seconds)
        if fault.status is None:
            self._reset()
        else:
            whole = fault.body or json.dumps(answer()).encode()
            self._send(fault.status, whole[: fault.cut_to], fault.headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        if self.exchanges.clock_header:
            self.send_header("Date", self.date_time_string())
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        try:
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


Answer = tuple[str, Callable[[], Any]]


def _binance(server: ExchangeServer, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
    spot = path.startswith("api/")
    name = path.rsplit("/", 1)[-1]
    if name == "exchangeInfo":
        return "markets", lambda: server.markets["binance:spot" if spot else "binance:linear"]
    if name == "fundingInfo":
        return "intervals", lambda: server.markets.get("binance:funding", [])
    low, high = int(query.get("startTime", 0)), int(query.get("endTime", ms(server.now)))
    limit = int(query.get("limit", 500 if name == "klines" else 100))
    if name == "fundingRate":
        recorded = server.recorded.get(("binance", path, query["symbol"]))
        rows = (
            [_binance_rate(server.told_symbol or query["symbol"], one) for one in server.rates(low, high)]
            if recorded is None
            else [row for row in recorded if low <= row["fundingTime"] <= high]
        )
        return "funding", lambda: server.page(rows, min(limit, 1000), newest=False)
    if name == "klines":
        recorded = server.recorded.get(("binance", path, query["symbol"], query["interval"]))
        rows = (
            [
                _binance_bar(one, MINUTES[query["interval"]])
                for one in server.bars(MINUTES[query["interval"]], low, high)
            ]
            if recorded is None
            else [row for row in recorded if low <= row[0] <= high]
        )
        return "candles", lambda: server.page(rows, min(limit, 1000 if spot else 1500), newest=False)
    raise ValueError(path)


def _binance_bar(one: Bar, minutes: int) -> list[Any]:
    return [one.ts, *one[1:], one.ts + minutes * 60_000 - 1, "0", 5, "0", "0", "0"]


def _binance_rate(symbol: str, one: Rate) -> dict[str, Any]:
    return {"symbol": symbol, "fundingTime": one.stamp, "fundingRate": one.rate, "markPrice": "20000.0"}


def _kraken(server: ExchangeServer, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
    if path == "0/public/AssetPairs":
        return "markets", lambda: server.markets["kraken:pairs"]
    if path != "0/public/OHLC":
        raise ValueError(path)
    pair = query["pair"]
    since = int(query.get("since", 0))
    recorded = server.recorded.get(("kraken", pair, query["interval"]))
    if recorded is None:
        oldest = ms(server.now) - 721 * int(query["interval"]) * 60_000
        every = [_kraken_bar(one) for one in server.bars(int(query["interval"]), oldest, ms(server.now))]
    else:
        every = recorded
    rows = [row for row in every if row[0] > since]
    return "candles", lambda: {
        "error": [],
        "result": {server.told_symbol or pair: rows, "last": every[-2][0] if every[1:] else 0},
    }


def _kraken_bar(one: Bar) -> list[Any]:
    return [one.ts // 1000, one.open, one.high, one.low, one.close, one.close, one.volume, 5]


def _okx(server: ExchangeServer, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
    if path == "api/v5/public/instruments":
        return "markets", lambda: server.markets[f"okx:{query['instType']}"]
    low, high = int(query.get("before", 0)) + 1, int(query.get("after", ms(server.now) + 1)) - 1
    limit = int(query.get("limit", 100))
    if path == "api/v5/public/funding-rate-history":
        oldest = ms(server.now - timedelta(days=92))
        rates = [_okx_rate(server.told_symbol or query["instId"], one) for one in server.rates(max(low, oldest), high)]
        return "funding", lambda: _okx_page(server.page(rates, min(limit, 400), newest=True))
    if path not in ("api/v5/market/candles", "api/v5/market/history-candles"):
        raise ValueError(path)
    minutes = MINUTES[query["bar"].lower().removesuffix("utc")]
    if path.endswith("/candles"):
        low = max(low, ms(server.now) - 1440 * minutes * 60_000)
    closed = ms(server.now) - minutes * 60_000
    swap = query["instId"].endswith("-SWAP")
    rows = [_okx_bar(one, swap, closed) for one in server.bars(minutes, low, high)]
    return "candles", lambda: _okx_page(server.page(rows, min(limit, 300), newest=True))


def _okx_page(rows: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows[::-1]}


def _okx_bar(one: Bar, swap: bool, closed: int) -> list[str]:
    contracts = "999999" if swap else one.volume
    return [str(one.ts), *one[1:5], contracts, one.volume, "0", "1" if one.ts <= closed else "0"]


def _okx_rate(instrument: str, one: Rate) -> dict[str, str]:
    return {
        "instType": "SWAP",
        "instId": instrument,
        "fundingRate": "0.5",
        "realizedRate": one.rate,
        "fundingTime": str(one.stamp),
    }


def _hyperliquid(server: ExchangeServer, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
    if body["type"] == "metaAndAssetCtxs":
        return "markets", lambda: server.markets["hyperliquid:swap"]
    if body["type"] == "fundingHistory":
        rates = [
            _hyper_rate(server.told_symbol or body["coin"], one)
            for one in server.rates(body["startTime"], body["endTime"])
        ]
        recorded = server.recorded.get(("hyperliquid", "funding", body["coin"]))
        if recorded is not None:
            rates = [row for row in recorded if body["startTime"] <= row["time"] <= body["endTime"]]
        return "funding", lambda: server.page(rates, 500, newest=False)
    if body["type"] != "candleSnapshot":
        raise ValueError(body)
    asked = body["req"]
    recorded = server.recorded.get(("hyperliquid", asked["coin"], asked["interval"]))
    if recorded is not None:
        rows = [row for row in recorded if asked["startTime"] <= row["t"] <= asked["endTime"]]
    else:
        minutes = MINUTES[asked["interval"]]
        oldest = ms(server.now) - 5000 * minutes * 60_000
        bars = server.bars(minutes, max(asked["startTime"], oldest), asked["endTime"])
        asked = {**asked, "coin": server.told_symbol or asked["coin"]}
        rows = [_hyper_bar(one, asked, minutes) for one in bars]
    return "candles", lambda: server.page(rows, 5000, newest=False)


def _hyper_bar(one: Bar, asked: dict[str, Any], minutes: int) -> dict[str, Any]:
    return {
        "t": one.ts,
        "T": one.ts + minutes * 60_000 - 1,
        "s": asked["coin"],
        "i": asked["interval"],
        "o": one.open,
        "h": one.high,
        "l": one.low,
        "c": one.close,
        "v": one.volume,
        "n": 5,
    }


def _hyper_rate(coin: str, one: Rate) -> dict[str, Any]:
    return {"coin": coin, "fundingRate": one.rate, "premium": "0.0003", "time": one.stamp}


WIRES: dict[str, Callable[[ExchangeServer, str, dict[str, str], dict[str, Any]], Answer]] = {
    "binance": _binance,
    "kraken": _kraken,
    "okx": _okx,
    "hyperliquid": _hyperliquid,
}
