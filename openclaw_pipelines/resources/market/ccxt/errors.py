"""What can go wrong between an exchange and the `ccxt` source, as named errors. Retrying is in `client`."""

from datetime import datetime

from openclaw_pipelines.contracts.errors import ConfigError, MarketError
from openclaw_pipelines.resources.market.errors import UntrueAnswerError


class UnknownExchangeError(ConfigError):
    """An exchange that ccxt does not know."""

    template = "unknown exchange {exchange!r}{nearest}. Use the ccxt id of an exchange."
    exchange: str
    nearest: str


class CredentialInOptionsError(ConfigError):
    """A credential among the exchange options; the source reads public data only and never needs one."""

    template = (
        "market.exchange_options holds {option!r}, a credential. Market data is public: remove it; "
        "secrets never belong in the configuration."
    )
    option: str


class ExchangeUnavailableError(MarketError):
    """Time-outs, broken connections or server errors, after all retries."""

    template = (
        "{exchange} did not answer for {what} in {attempts} attempt(s); last: {cause}. "
        "Try again later, or raise market.max_retries or market.timeout_seconds."
    )
    exchange: str
    what: str
    attempts: int
    cause: str


class ExchangeRateLimitedError(MarketError):
    """The exchange asks to slow down, after all retries or for longer than the source is willing to wait."""

    template = (
        "{exchange} limits the request rate for {what}, after {attempts} attempt(s), retry after: {retry_after}; "
        "last: {cause}. Wait, run fewer processes against it, or raise exchange_options.rateLimit."
    )
    exchange: str
    what: str
    attempts: int
    retry_after: str
    cause: str


class ExchangeRefusedError(MarketError):
    """The exchange understood the request and refuses it; asking again would not help."""

    template = (
        "{exchange} refuses {what}: {cause}. Check that the symbol and interval are offered in your region and "
        "that market.exchange_options fit this exchange."
    )
    exchange: str
    what: str
    cause: str


class MalformedResponseError(UntrueAnswerError):
    """An answer that is not what the exchange's interface promises."""

    template = (
        "{exchange} answered {what} with something that is no market data, after {attempts} attempt(s): {problem}. "
        "Nothing was kept; try again, and if it stays, update ccxt."
    )
    exchange: str
    what: str
    attempts: int
    problem: str


class SymbolNotListedError(MarketError):
    """A well-formed symbol that this exchange does not list."""

    template = "{exchange} does not list {symbol!r}{nearest}. Correct market.symbols."
    exchange: str
    symbol: str
    nearest: str


class MarketKindNotSupportedError(MarketError):
    """An instrument of a kind that the project does not trade."""

    template = (
        "{symbol!r} on {exchange} is {kind}. Only spot (BASE/QUOTE) and linear perpetuals "
        "(BASE/QUOTE:QUOTE) are supported; remove it from market.symbols."
    )
    exchange: str
    symbol: str
    kind: str


class VolumeUnitUnknownError(MarketError):
    """A contract of a size other than 1, on an exchange whose volume unit is not known to the source."""

    template = (
        "{exchange} trades {symbol!r} in contracts of {contract_size}, and whether its volumes count contracts or "
        "base currency is not known. Use another exchange for this symbol."
    )
    exchange: str
    symbol: str
    contract_size: object


class IntervalNotSupportedError(MarketError):
    """An interval that the exchange has neither itself nor in parts."""

    template = "{exchange} has no {interval} bars and none that they could be built from. It has: {known}."
    exchange: str
    interval: str
    known: str


class FundingNotOfferedError(MarketError):
    """A perpetual of an exchange whose funding history ccxt cannot read."""

    template = "{exchange} offers no funding history for {symbol!r} through ccxt. Use another exchange for perpetuals."
    exchange: str
    symbol: str


class HistoryTooShortError(MarketError):
    """The exchange no longer serves the beginning of what was asked for."""

    template = (
        "{exchange} does not reach back to {start} for {what}: it serves {horizon}, so nothing before "
        "{reachable_from}. Later bars alone would hide the hole. Ask for a later start, or import an archive."
    )
    exchange: str
    what: str
    start: datetime
    horizon: str
    reachable_from: datetime


class OffGridStampError(UntrueAnswerError):
    """A bar whose stamp is no multiple of its interval."""

    template = (
        "{exchange} stamped a bar of {what} {stamp}, which is off the {interval} grid. Nothing was kept; "
        "check that this exchange aligns its bars to UTC."
    )
    exchange: str
    what: str
    stamp: datetime
    interval: str


class TimeOutOfRangeError(UntrueAnswerError):
    """A stamp before there was a market, or one that has not come."""

    template = (
        "{exchange} stamped a row of {what} {stamp}, in ms no time from {first} on and before {last}: {row}. "
        "Nothing was kept; ask again, and compare with another source if it stays."
    )
    exchange: str
    what: str
    stamp: int
    row: str
    first: datetime
    last: datetime


class OtherSymbolError(UntrueAnswerError):
    """Rows of another symbol than the one that was asked for."""

    template = (
        "{exchange} was asked for {what} and answered for {others}. Nothing was kept; ask again, and update ccxt if it "
        "stays."
    )
    exchange: str
    what: str
    others: str


class BrokenBarError(UntrueAnswerError):
    """A bar that cannot be."""

    template = (
        "{exchange} gave for {what} at {stamp} the bar {bar}: {problem}. Nothing was kept; ask again, and compare with "
        "another source if it stays."
    )
    exchange: str
    what: str
    stamp: datetime
    bar: str
    problem: str


class BrokenRateError(UntrueAnswerError):
    """A funding rate that cannot be, or that the kernel cannot charge exactly."""

    template = (
        "{exchange} gave for {what} at {stamp} the rate {rate}: {problem}. Nothing was kept; ask again. If the "
        "exchange did charge it, leave the symbol out of the strategies of that time."
    )
    exchange: str
    what: str
    stamp: datetime
    rate: float
    problem: str


class ConflictingRowsError(UntrueAnswerError):
    """One stamp with two different values inside a single fetch."""

    template = (
        "{exchange} gave two values for {what} at {stamp}: {first} and {second}. Nothing was kept; "
        "fetch again, and compare with another source if it stays."
    )
    exchange: str
    what: str
    stamp: datetime
    first: object
    second: object


class IncompleteInstrumentError(MarketError):
    """An instrument whose price or quantity unit the exchange does not state."""

    template = "{exchange} states no {field} for {symbol!r}. It cannot be traded; remove it from market.symbols."
    exchange: str
    symbol: str
    field: str


class EndlessAnswersError(UntrueAnswerError):
    """An exchange that answers question after question with rows, and never comes to an end."""

    template = (
        "{exchange} gave {answers:,} answers about {what} and goes on, more than so many rows can fill: it repeats "
        "itself. Nothing of it is taken. Ask again later, or use another source."
    )
    exchange: str
    what: str
    answers: int
