"""The local clock held against the clock of a market source, which says what has closed there."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SECOND = timedelta(seconds=1)
"""Exchanges cut the time of an answer to the second."""


@dataclass(frozen=True)
class ClockReading:
    """What a source's clock showed when it last told it.

    served_at: time of the source. read_at: local time when the answer was there. ahead_seconds: whole seconds by which
    the local clock is ahead at least, negative where it is behind; 0 where the answer leaves both possible.
    """

    source: str
    served_at: datetime
    read_at: datetime
    ahead_seconds: int

    def apart(self, most_seconds: int) -> bool:
        """Whether the two clocks are further from each other than is bearable."""
        return abs(self.ahead_seconds) > most_seconds

    @property
    def skew(self) -> str:
        """The difference in words."""
        return f"{abs(self.ahead_seconds):,} s {'ahead of' if self.ahead_seconds > 0 else 'behind'} {self.source}"


def read_clock(source: str, asked_at: datetime, served_at: datetime, read_at: datetime) -> ClockReading:
    """The reading of an answer that was served at some time between two times of the local clock.

    A slow answer proves less, never something wrong.

    >>> noon = datetime.fromisoformat("2025-05-10T12:00:00+00:00")
    >>> [read_clock("x", noon, noon + timedelta(seconds=n), noon + 3 * SECOND).ahead_seconds for n in (-9, 0, 3, 9)]
    [8, 0, 0, -6]
    """
    ahead = max(asked_at - served_at - SECOND, timedelta(0))
    behind = max(served_at - read_at, timedelta(0))
    return ClockReading(source, served_at, read_at, ahead // SECOND - behind // SECOND)
