"""Why a strategy cannot be walked through its ticks: what is recorded, configured or known stands against it."""

from datetime import datetime

from openclaw_pipelines.contracts.errors import LedgerError, MarketError


class HoleError(LedgerError):
    """Ticks are missing between what is recorded and what was asked for."""

    template = "{strategy}: {missing} is not recorded, so {day} cannot follow. Materialize the days from {first} on."
    strategy: str
    missing: str
    day: str
    first: str


class DeploymentChangedError(LedgerError):
    """The configuration describes another deployment than the recorded ticks."""

    template = (
        "{strategy} recorded ticks until {recorded} under {old}; the configuration now describes {new}. "
        "Put back what changed, set its start_day after that, or give it a new name."
    )
    strategy: str
    recorded: datetime
    old: str
    new: str


class OtherVenueError(LedgerError):
    """A ledger of a version that did not record its market source would take over that of another venue."""

    template = (
        "{strategy} runs since before ledgers knew their market source, and would take over {source} now. But {symbol} "
        "has {what} {now} there, and {recorded} in the recorded ticks. Configure the source that it was recorded on."
    )
    strategy: str
    source: str
    symbol: str
    what: str
    now: str
    recorded: str


class CapitalChangedError(LedgerError):
    """The configuration gives a running deployment another capital than it started with."""

    template = (
        "{strategy} runs since {inception} with a capital of {recorded}; the configuration now says {configured}. "
        "Set capital back to {recorded}, or start a new deployment with a start_day after {newest}."
    )
    strategy: str
    inception: str
    recorded: str
    configured: str
    newest: datetime


class MarketNotReadyError(MarketError):
    """Candles or funding that a tick needs were never asked for."""

    template = (
        "{strategy}: {asset} of {symbol} are known until {until}, the tick {tick} of {interval} bars needs more. "
        "Materialize `{asset}` for {day}."
    )
    strategy: str
    asset: str
    symbol: str
    until: datetime | str
    tick: datetime
    interval: str
    day: str


class FeaturesNotReadyError(MarketError):
    """Features that the universe of a day reads were never computed, or without a bar that came later."""

    template = (
        "{strategy}: the universe of {day} reads the {interval} features of the bars before it; some are not stored. "
        "Materialize `features` for {before} and the days before it that lack them."
    )
    strategy: str
    day: str
    interval: str
    before: str


class WarmUpError(MarketError):
    """Candles or funding before the inception of a strategy were never asked for."""

    template = (
        "{strategy} starts on {inception} and reads {bars} bars of {interval} and days before it; "
        "`{asset}` of {first} were not asked for. "
        "Materialize `candles`, `funding_rates` and `features` from {first} on."
    )
    strategy: str
    bars: int
    interval: str
    inception: str
    first: str
    asset: str


class LiveExecutorError(LedgerError):
    """A past day was asked of an executor that fills orders in the present."""

    template = "{strategy}: {executor} fills orders at present prices, so {day} can be taken live only, not backfilled."
    strategy: str
    executor: str
    day: str
