"""An exchange that wants to hold its client up, fill its memory or send it elsewhere: a named error, in time."""

import contextlib
import gzip
import ipaddress
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from exchange_server import NOW, ExchangeServer, Fault, Rate

from openclaw_pipelines.contracts.time import DAY
from openclaw_pipelines.resources.http import BoundedSession, RefusedAnswerError
from openclaw_pipelines.resources.market.ccxt.errors import (
    EndlessAnswersError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    MalformedResponseError,
)
from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket

Open = Callable[..., CcxtMarket]
WINDOW = ("1m", datetime(2025, 5, 10, 10, tzinfo=UTC), datetime(2025, 5, 10, 11, tzinfo=UTC), NOW)
MIDNIGHT = datetime(2025, 5, 10, tzinfo=UTC)
SECONDS = 0.5


class Line:
    """A server of one connection after another, each answered by a function of its socket."""

    def __init__(self, answer: Callable[[socket.socket], None], *, reads: bool = True) -> None:
        self._answer, self._reads = answer, reads
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Line":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                if self._reads:
                    line.recv(65_536)
                with contextlib.suppress(OSError):  # the client hung up, as it should
                    self._answer(line)

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/"


def drip(first: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """Something, then a little every tenth of a second for a minute."""

    def answer(line: socket.socket) -> None:
        line.sendall(first)
        for _ in range(600):
            line.sendall(drop)
            time.sleep(0.1)

    return answer


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ", id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"y", id="one header"),
        pytest.param(b"", b"H", id="status line"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="continue for ever"),
    ],
)
def test_a_dripping_answer_ends_with_the_deadline_of_the_request(first: bytes, drop: bytes) -> None:
    with Line(drip(first, drop)) as line, BoundedSession() as session:
        began = time.monotonic()
        with pytest.raises((requests.Timeout, requests.ConnectionError)):
            session.request("GET", line.url(), timeout=SECONDS)
        assert time.monotonic() - began < 10 * SECONDS


def test_the_twin_of_requests_goes_on() -> None:
    """Its time-out is that of a read: a drop in each keeps it waiting."""
    with Line(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", b" ")) as line, requests.Session() as session:
        began = time.monotonic()
        session.request("GET", line.url(), timeout=SECONDS)
        assert time.monotonic() - began > 4 * SECONDS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, its own issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(names, critical=False)
    )
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(key.private_bytes(pem, *plain) + made.sign(key, hashes.SHA256()).public_bytes(pem))
    return file


def test_the_deadline_holds_over_tls_and_one_line_serves_many(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def answer(line: socket.socket) -> None:
        with context.wrap_socket(line, server_side=True) as own:
            for n in range(3):
                own.recv(65_536)
                if n < 2:
                    own.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + str(n).encode())
            drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ")(own)

    with Line(answer, reads=False) as line, BoundedSession() as session:
        url = line.url().replace("http", "https")
        got = [session.request("GET", url, timeout=10, verify=str(certificate)).content for _ in range(2)]
        began = time.monotonic()
        with pytest.raises(requests.Timeout):
            session.request("GET", url, timeout=SECONDS, verify=str(certificate))
        assert time.monotonic() - began < 10 * SECONDS
    assert got == [b"0", b"1"]


def answered(headers: bytes, body: bytes) -> Callable[[socket.socket], None]:
    return lambda line: line.sendall(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n" + body)


def test_a_bomb_is_refused_by_what_it_unpacks_to() -> None:
    packed = gzip.compress(b"0" * (1 << 30), 9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        Line(answered(b"Content-Encoding: gzip", packed)) as line,
        BoundedSession(8 << 20) as session,
        pytest.raises(RefusedAnswerError, match="more than 8,388,608 bytes, unpacked"),
    ):
        session.request("GET", line.url(), timeout=60)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 200


def test_a_long_answer_is_refused_and_one_at_the_bound_is_not() -> None:
    with Line(answered(b"Connection: close", b"x" * 1_000)) as line:
        with BoundedSession(1_000) as session:
            assert len(session.request("GET", line.url(), timeout=10).content) == 1_000
        with BoundedSession(999) as session, pytest.raises(RefusedAnswerError, match="more than 999 bytes"):
            session.request("GET", line.url(), timeout=10)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    asked: list[bytes] = []
    with Line(lambda line: asked.append(b"elsewhere")) as elsewhere:
        text = f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url()}\r\nContent-Length: 0\r\n\r\n".encode()
        with (
            Line(lambda line: line.sendall(text)) as line,
            BoundedSession() as session,
            pytest.raises(RefusedAnswerError, match=rf"redirects to 'http://127.0.0.1:{elsewhere.port}/'"),
        ):
            session.request("GET", line.url(), timeout=10)
    assert asked == []


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of `.example` lead to this machine, as a name server outside may say."""
    look = socket.getaddrinfo

    def answer(host: Any, *args: Any, **kwargs: Any) -> Any:
        return look("127.0.0.1" if str(host).endswith(".example") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.usefixtures("resolved")
def test_a_name_that_leads_into_a_private_network_is_refused() -> None:
    with Line(answered(b"Content-Length: 2", b"{}")) as line, BoundedSession() as session:
        with pytest.raises(RefusedAnswerError, match=r"exchange.example leads to 127.0.0.1, an address of a private"):
            session.request("GET", line.url("exchange.example"), timeout=10)
        assert session.request("GET", line.url(), timeout=10).content == b"{}"  # an address that was configured


class TestThroughTheClient:
    """The same of a real ccxt client, which names what was asked for."""

    def ask(self, market: CcxtMarket) -> int:
        return market.candles("BTC/USDT", *WINDOW).height

    def test_redirect(self, open_market: Open, server: ExchangeServer) -> None:
        server.fail(Fault(302, b"{}", {"Location": "http://169.254.169.254/latest"}))
        with pytest.raises(ExchangeRefusedError, match=r"redirects to 'http://169.254.169.254/latest'"):
            self.ask(open_market("binance"))

    def test_bomb(self, open_market: Open, server: ExchangeServer) -> None:
        packed = gzip.compress(b"[" + b"0," * (1 << 26) + b"0]", 9)
        server.fail(Fault(200, packed, {"Content-Encoding": "gzip"}))
        with pytest.raises(ExchangeRefusedError, match="more than 67,108,864 bytes, unpacked"):
            self.ask(open_market("binance"))

    def test_slow_answers_are_tried_again_and_end(self, open_market: Open, server: ExchangeServer) -> None:
        server.fail(*[Fault(200, b"[]", delay_seconds=2 * SECONDS)] * 2)
        with pytest.raises(ExchangeUnavailableError, match="RequestTimeout"):
            self.ask(open_market("binance", timeout_seconds=SECONDS, max_retries=1))

    @pytest.mark.parametrize("deep", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
    def test_deeply_nested(self, open_market: Open, server: ExchangeServer, deep: bytes) -> None:
        server.fail(*[Fault(200, deep)] * 4)
        with pytest.raises((MalformedResponseError, ExchangeUnavailableError)):
            self.ask(open_market("binance"))

    @pytest.mark.parametrize("place", [0, 1, 4], ids=["time", "open", "close"])
    def test_a_number_of_five_thousand_digits(self, open_market: Open, server: ExchangeServer, place: int) -> None:
        row = ["1746871200000", '"1"', '"1"', '"1"', '"1"', '"1"', "1746871259999", '"0"', "5", '"0"', '"0"', '"0"']
        row[place] = "9" * 5_000
        server.fail(*[Fault(200, f"[[{','.join(row)}]]".encode())] * 4)
        with pytest.raises((MalformedResponseError, ExchangeUnavailableError)):
            self.ask(open_market("binance"))

    @pytest.mark.parametrize("exchange", ["binance", "okx"])
    def test_funding_that_repeats_itself_for_ever(
        self, open_market: Open, server: ExchangeServer, monkeypatch: pytest.MonkeyPatch, exchange: str
    ) -> None:
        monkeypatch.setattr(server, "rates", lambda low, high: [Rate(low, low, "0.0001")])
        with pytest.raises(EndlessAnswersError, match=r"answers about funding of BTC/USDT:USDT .* repeats itself"):
            open_market(exchange).funding_rates("BTC/USDT:USDT", MIDNIGHT, NOW, NOW)
        assert len(server.asked("funding")) < 100
