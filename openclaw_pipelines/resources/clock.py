"""The only place where the wall clock is read; a replayed clock stands where a person or a test puts it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Protocol

from openclaw_pipelines.contracts.time import utc


class Clock(Protocol):
    """Tells what time it is, in UTC."""

    @property
    def real(self) -> bool:
        """Whether it claims to tell the present, so that an exchange's clock can contradict it."""

    def now(self) -> datetime:
        """The time."""


class RealClock:
    """The machine's clock."""

    real: ClassVar[bool] = True

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
    real: ClassVar[bool] = False

    def now(self) -> datetime:
        """The time it was set to."""
        return self.at

    def set(self, at: datetime) -> None:
        """Move to another time."""
        self.at = utc(at, "replayed clock")
