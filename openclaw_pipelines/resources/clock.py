"""The only place where the wall clock is read; a replayed clock stands where a person or a test puts it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from openclaw_pipelines.contracts.time import utc


class Clock(Protocol):
    """Tells what time it is, in UTC."""

    def now(self) -> datetime:
        """The time."""


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)


@dataclass
class ReplayedClock:
    """A clock that stands still until it is set, for living through the past.

    >>> clock = ReplayedClock(datetime(2025, 5, 10, tzinfo=UTC))
    >>> clock.set(datetime(2025, 5, 10, 0, 15, tzinfo=UTC))
    >>> clock.now().minute
    15
    """

    at: datetime

    def now(self) -> datetime:
        """The time it was set to."""
        return self.at

    def set(self, at: datetime) -> None:
        """Move to another time."""
        self.at = utc(at, "replayed clock")
