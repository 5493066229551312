"""Whose time counts: what has closed, and what is late, is for the source's clock to say and not for the local one.

The readings are written with the candles they came with (`ingest`); what they mean is in `domain.market.clocks`.
"""

from datetime import datetime

from openclaw_pipelines.contracts.errors import MarketError
from openclaw_pipelines.domain.market.clocks import ClockReading
from openclaw_pipelines.resources.clock import Clock
from openclaw_pipelines.resources.store.coverage import source_clock
from openclaw_pipelines.resources.store.store import Store


class ClockSkewError(MarketError):
    """The local clock and the exchange's are too far apart for live ticks."""

    template = (
        "the local clock is {skew}, more than market.max_clock_skew_seconds {most_seconds}: at {read_at} it was "
        "{served_at} there. No live tick is taken. Set this machine's clock, as by NTP; ticks then go on by themselves."
    )
    skew: str
    most_seconds: int
    read_at: datetime
    served_at: datetime


def goes_without(store: Store, source: str, now: datetime, deadline: datetime) -> bool:
    """Whether a tick goes without what is still absent, because its deadline has passed by the local clock.

    A source that tells its own time is waited for: how far it was asked ends where a bar may still be on its way by its
    clock, so that what is not asked for there is unknown, however late it is here.
    """
    return now >= deadline and source_clock(store, source) is None


def wrong_clock(store: Store, source: str, clock: Clock, most_seconds: int) -> ClockReading | None:
    """The last reading if it shows the clocks too far apart; a replayed clock does not claim to be right."""
    reading = source_clock(store, source) if clock.real else None
    return reading if reading and reading.apart(most_seconds) else None


def refuse_wrong_clock(store: Store, source: str, clock: Clock, most_seconds: int) -> None:
    """Raise ClockSkewError if the clocks are too far apart for live ticks."""
    wrong = wrong_clock(store, source, clock, most_seconds)
    if wrong:
        raise ClockSkewError(wrong.skew, most_seconds, wrong.read_at, wrong.served_at)
