"""The real ccxt client, with retries and errors that have names.

What is asked for and how pages are put together is in `source` and `pages`. Public data only: no credentials
are read or accepted. Proxies of the environment are not used; set `exchange_options.httpsProxy` where one is needed.
"""

import difflib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import tenacity

from openclaw_pipelines.contracts.errors import MarketError
from openclaw_pipelines.resources.http import BoundedSession, RefusedAnswerError
from openclaw_pipelines.resources.market.ccxt.errors import (
    CredentialInOptionsError,
    ExchangeRateLimitedError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    MalformedResponseError,
    UnknownExchangeError,
)

CREDENTIALS = ("apiKey", "secret", "password", "privateKey", "walletAddress", "uid", "login", "token", "twofa", "pin")
RETRIED_CLIENT_ERRORS = frozenset({408, 418, 425, 429})
RATE_LIMIT_STATUSES = frozenset({418, 429})
PARSER_SLIPS = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)
"""What ccxt's parsers raise on answers of an unexpected shape."""

_USER_INFO = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True)
class Backoff:
    """How long to wait between attempts: doubling, with jitter, unless the exchange names a time.

    first_seconds: wait after the first failure, before jitter.
    longest_seconds: no wait is longer; a `Retry-After` beyond it ends the attempts.
    """

    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)


@dataclass(frozen=True)
class Answer:
    """What a call returned.

    body: the answer as it came over the wire, parsed.
    served_at: clock of the exchange (`Date` header), cut to the second; empty where it sends none.
    """

    value: Any
    body: Any
    served_at: datetime | None


class CcxtClient:
    """One exchange through ccxt's synchronous REST client.

    exchange: ccxt id, as `kraken`.
    options: configuration of the ccxt client, merged over `defaults`; credentials are refused.
    timeout_seconds: time-out of one request. max_retries: further attempts after the first.
    envelope: key that every answer must hold its data under; empty where answers are bare.
    """

    def __init__(
        self,
        exchange: str,
        *,
        defaults: Mapping[str, object],
        options: Mapping[str, object],
        timeout_seconds: float,
        max_retries: int,
        backoff: Backoff,
        envelope: str | None = None,
    ) -> None:
        self.exchange = exchange
        self.api = _create(exchange, defaults, options, timeout_seconds, envelope)
        self._max_retries = max_retries
        self._backoff = backoff

    def call(self, what: str, method: str, *args: object) -> Answer:
        """Call a method of the ccxt client, retrying what may pass.

        Retried: 429, 418, 5xx, time-outs, broken connections, bodies that are no JSON. Not retried: other 4xx.
        Raises ExchangeUnavailableError, ExchangeRateLimitedError, ExchangeRefusedError or MalformedResponseError.
        """
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _transient(error, self.api)),
            stop=self._give_up,
            wait=self._wait_seconds,
            sleep=self._backoff.sleep,
            reraise=True,
        )
        import ccxt

        try:
            value = attempts(getattr(self.api, method), *args)
        except (ccxt.BaseError, *PARSER_SLIPS) as error:
            # from None: ccxt's own message holds the whole url and body
            raise self._named(error, what, attempts.statistics.get("attempt_number", 1)) from None
        if value == [] and not self.api.held_list:  # what is no list at all is read as an empty one by ccxt
            raise MalformedResponseError(self.exchange, what, 1, "no list stands where the rows belong")
        return Answer(value, self.api.body, _served_at(self.api.last_response_headers or {}))

    def _wait_seconds(self, state: tenacity.RetryCallState) -> float:
        asked = retry_after_seconds(self.api.last_response_headers or {})
        first, longest = self._backoff.first_seconds, self._backoff.longest_seconds
        growing = tenacity.wait_exponential(multiplier=first) + tenacity.wait_random(0, first)
        jittered = min(growing(state), longest)
        return jittered if asked is None else max(asked, jittered)

    def _give_up(self, state: tenacity.RetryCallState) -> bool:
        asked = retry_after_seconds(self.api.last_response_headers or {})
        asked_too_long = asked is not None and asked > self._backoff.longest_seconds
        return asked_too_long or state.attempt_number > self._max_retries

    def _named(self, error: Exception, what: str, attempts: int) -> MarketError:
        import ccxt

        cause = _redacted(error, self.api.http_status)
        if isinstance(error, PARSER_SLIPS) or type(error) in (ccxt.BadResponse, ccxt.NullResponse):
            return MalformedResponseError(self.exchange, what, attempts, cause)
        if _rate_limited(error, self.api):
            asked = retry_after_seconds(self.api.last_response_headers or {})
            retry_after = "not stated" if asked is None else f"{asked:g} s"
            return ExchangeRateLimitedError(self.exchange, what, attempts, retry_after, cause)
        if _transient(error, self.api):
            return ExchangeUnavailableError(self.exchange, what, attempts, cause)
        return ExchangeRefusedError(self.exchange, what, cause)


def nearest(name: str, known: list[str]) -> str:
    """Suggestion to append to an error, or nothing.

    >>> nearest("kraken2", ["kraken", "okx"])
    ", the nearest is 'kraken'"
    """
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f", the nearest is {close[0]!r}" if close else ""


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Wait that an exchange asks for, from `Retry-After` in seconds or as a date relative to `Date`.

    >>> retry_after_seconds({"Retry-After": "3"})
    3.0
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        until, served_at = _http_date(value), _served_at(headers)
    if until is None or served_at is None:
        return None
    return max(0.0, (until - served_at).total_seconds())


def _create(
    exchange: str,
    defaults: Mapping[str, object],
    options: Mapping[str, object],
    timeout_seconds: float,
    envelope: str | None,
) -> Any:
    import ccxt

    for option in options:
        if option in CREDENTIALS:
            raise CredentialInOptionsError(option)
    if exchange not in ccxt.exchanges:
        raise UnknownExchangeError(exchange, nearest(exchange, ccxt.exchanges))
    config = ccxt.Exchange.deep_extend({"timeout": int(timeout_seconds * 1000)}, defaults, options)
    api = _guarded(getattr(ccxt, exchange), envelope)(config)
    api.session.close()
    api.session = BoundedSession()
    return api


def _guarded(base: Any, envelope: str | None) -> Any:
    """The exchange's class with decimal numbers, nothing dropped, and answers that hold no data made errors.

    ccxt turns a body that is no JSON into a string, in which several of its parsers then find an empty list, as they
    do in an answer without its envelope: lost bars. Rows of another time or symbol than asked for it drops without a
    word; here they come through and are judged.
    """
    import ccxt

    def fetch(self: Any, url: str, method: str = "GET", headers: object = None, body: object = None) -> object:
        self.last_response_headers = {}
        self.http_status = self.body = None
        answer = base.fetch(self, url, method, headers, body)
        if not isinstance(answer, dict | list):
            raise ccxt.BadResponse(f"the body is no JSON: {str(answer)[:80]!r}")
        if answer == {} or (envelope and (not isinstance(answer, dict) or answer.get(envelope) is None)):
            raise ccxt.BadResponse(f"the body holds no data: {str(answer)[:80]!r}")
        self.body = answer
        self.held_list = _holds_list(answer[envelope] if envelope and isinstance(answer, dict) else answer)
        return answer

    def on_rest_response(self: Any, code: int, *rest: object) -> object:
        self.http_status = code
        return base.on_rest_response(self, code, *rest)

    members: dict[str, object] = {"number": Decimal, "http_status": None, "held_list": False, "body": None}
    members |= {"filter_by_since_limit": _all_rows, "filter_by_symbol_since_limit": _all_rows}
    return type(base.__name__, (base,), {**members, "fetch": fetch, "on_rest_response": on_rest_response})


def _all_rows(_api: Any, rows: Any, *_: object, **_named: object) -> Any:
    return rows


def _holds_list(data: object) -> bool:
    """Whether a list stands in it, at any depth, or null, as which some exchanges give no rows.

    >>> _holds_list({"result": {"category": "spot", "list": []}}), _holds_list({"XXBTZUSD": "soon", "last": 1})
    (True, False)
    """
    return data is None or isinstance(data, list) or (isinstance(data, dict) and any(map(_holds_list, data.values())))


def _transient(error: BaseException, api: Any) -> bool:
    import ccxt

    status = api.http_status
    if isinstance(error, MarketError) or not isinstance(error, ccxt.BaseError):
        return False
    if status is not None and status >= 500:
        return True
    if status is not None and 400 <= status < 500:
        return status in RETRIED_CLIENT_ERRORS
    return isinstance(error, ccxt.OperationFailed)


def _rate_limited(error: BaseException, api: Any) -> bool:
    import ccxt

    return isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded) or api.http_status in RATE_LIMIT_STATUSES


def _redacted(error: Exception, status: int | None) -> str:
    said = error.__cause__ if isinstance(error.__cause__, RefusedAnswerError) else error  # ccxt's own is the url only
    text = _USER_INFO.sub("//***@", " ".join(str(said).split()))
    shown = text if len(text) <= 200 else text[:200] + "..."
    return f"{type(error).__name__}{'' if status is None else f', HTTP {status}'}: {shown}"


def _served_at(headers: Mapping[str, str]) -> datetime | None:
    return _http_date(headers.get("Date", ""))


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).astimezone(UTC)
    except ValueError:
        return None
