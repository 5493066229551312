"""HTTP for whatever asks the network: a deadline of the whole request, a bound on the answer, and no other host.

requests bounds single reads only, follows redirects anywhere and takes a body whole, however it unpacks.
"""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

MOST_BYTES = 64 << 20
"""Of an answer, unpacked: the longest lists of markets have a tenth of that."""
DEFAULT_SECONDS = 30.0
_CHUNK = 1 << 16
_under_way = threading.local()


class RefusedAnswerError(requests.RequestException):
    """An answer that is not taken: too long, from elsewhere, or from inside a private network."""


class _Deadline:
    """Cuts the connection of the request under way when its time is over."""

    def __init__(self, seconds: float) -> None:
        self.passed, self.refused = False, ""
        self._line: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def follow(self, line: socket.socket) -> None:
        self._line = line
        if self.passed:
            self._cut()

    def end(self) -> None:
        self._timer.cancel()

    def _pass(self) -> None:
        self.passed = True
        self._cut()

    def _cut(self) -> None:
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    """A connection that the deadline of the request under way can cut, from before its first byte on."""

    _line: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        _refuse_private(self, made)
        self._line = made.dup()  # what TLS makes of the socket leaves the first object without it
        self._followed()
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._followed()
        super().request(*args, **kwargs)

    def close(self) -> None:
        super().close()
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _followed(self) -> None:
        deadline: _Deadline | None = getattr(_under_way, "deadline", None)
        if deadline is not None and self._line is not None:
            deadline.follow(self._line)


class _WatchedTls(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class BoundedSession(requests.Session):
    """A session whose requests end: in time, within a size, at the host that was asked.

    most_bytes: of an answer, unpacked.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self.trust_env = False
        self.most_bytes = most_bytes
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """As of requests; `timeout` is that of the whole request, and the answer comes read.

        Raises:
            requests.Timeout: no whole answer within it. RefusedAnswerError: an answer that is not taken.
        """
        seconds = float(kwargs.get("timeout") or DEFAULT_SECONDS)
        kwargs |= {"timeout": seconds, "stream": True, "allow_redirects": False}
        with _within(seconds) as deadline:
            response = None
            try:
                response = super().request(method, url, *args, **kwargs)
                _refuse_redirect(response)
                self._read(response)
                if deadline.passed:  # a line that was cut between headers looks like one that ended
                    raise requests.ReadTimeout
            except requests.RequestException as error:
                if response is not None:
                    response.close()
                if deadline.refused:
                    raise RefusedAnswerError(deadline.refused) from None
                if deadline.passed:
                    raise requests.ReadTimeout(f"no whole answer within {seconds:g} s") from None
                raise error from None
        return response

    def _read(self, response: requests.Response) -> None:
        read = bytearray()
        for chunk in response.iter_content(_CHUNK):
            read += chunk
            if len(read) > self.most_bytes:
                raise RefusedAnswerError(f"the answer has more than {self.most_bytes:,} bytes, unpacked")
        response._content = bytes(read)


@contextmanager
def _within(seconds: float) -> Iterator[_Deadline]:
    deadline = _Deadline(seconds)
    _under_way.deadline = deadline
    try:
        yield deadline
    finally:
        _under_way.deadline = None
        deadline.end()


def _refuse_redirect(response: requests.Response) -> None:
    if response.is_redirect or response.is_permanent_redirect:
        raise RefusedAnswerError(f"it redirects to {response.headers.get('location', '')[:200]!r}, which is not asked")


def _refuse_private(connection: HTTPConnection, made: socket.socket) -> None:
    """A name that leads into a private network is refused; an address that is configured as such is meant so."""
    if connection.proxy is not None or connection.host == "localhost" or _address(connection.host) is not None:
        return
    peer = _address(made.getpeername()[0])
    if peer is not None and not peer.is_global:
        made.close()
        deadline: _Deadline | None = getattr(_under_way, "deadline", None)
        reason = f"{connection.host} leads to {peer}, an address of a private network"
        if deadline is not None:
            deadline.refused = reason
        raise OSError(reason)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
