"""What goes wrong in a simulated world: on the line, at the exchange, on the disk, with the clock and the process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
from exchange_server import Fault, ms

from openclaw_pipelines.resources.store.store import Store

if TYPE_CHECKING:
    from simulated_world import SimulatedWorld


class KilledError(BaseException):
    """The process dies here; nothing of the program catches it."""


@dataclass
class Fates:
    """What goes wrong at one of the next steps of the process: statements, commits and requests are counted.

    kill_after_commits: dies right after so many transactions, when set.
    """

    kill_in: int | None = None
    disk_error_in: int | None = None
    kill_after_commits: int | None = None

    def committed(self) -> None:
        """A transaction is in the file."""
        if self.kill_after_commits is not None:
            self.kill_after_commits -= 1
            if not self.kill_after_commits:
                self.kill_after_commits = None
                raise KilledError
        self.step(writes=False)

    def step(self, *, writes: bool) -> None:
        """One step; raises what was due at it."""
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                self.kill_in = None
                raise KilledError
        if writes and self.disk_error_in is not None:
            self.disk_error_in -= 1
            if self.disk_error_in < 0:
                self.disk_error_in = None
                raise duckdb.IOException("IO Error: Could not write file: No space left on device")


class Writing:
    """A connection whose statements are steps."""

    def __init__(self, con: Any, fates: Fates) -> None:
        self._con, self._fates = con, fates

    def execute(self, *args: Any) -> Any:
        self._fates.step(writes=True)
        return self._con.execute(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)


@dataclass(frozen=True)
class FragileStore(Store):
    """The store on a disk that fills up, in a process that may die at every statement, before and after a commit."""

    fates: Fates = field(default_factory=Fates, kw_only=True)

    @contextmanager
    def write(self, database: str) -> Iterator[Any]:
        with super().write(database) as con:
            yield Writing(con, self.fates)
            self.fates.step(writes=True)
        self.fates.committed()


class Misfortunes:
    """Chooses by the world's seed what goes wrong before the ticker's next look, and what is over by then."""

    def __init__(self, world: "SimulatedWorld") -> None:
        self.world, self.server, self.chance = world, world.server, world.chance

    def tempt(self, closed: datetime) -> None:
        """Something may go wrong. closed: when the newest bar closed."""
        self.server.change, self.world.seconds_there, self.world.seconds_back = list, 0.0, 0.0
        if self.chance.random() < 0.3:
            self.server.faults.clear()
            self.server.page_cap = None
        loading = closed == self.world.begin
        if self.chance.random() < (0.9 if loading else 0.6):
            one = self.chance.choice([self.kill, self.fill_disk, self.refuse, *self._all()] if loading else self._all())
            self.world.tell(one.__name__)
            one(closed)

    def _all(self) -> list[Callable[[datetime], None]]:
        exchange = [self.refuse, self.garble, self.shorten, self.slow, self.contradict, self.hold_back]
        machine = [self.fill_disk, *[self.kill] * 2, *[self.step_clock] * 2, self.let_drift, self.set_clock]
        return exchange + machine

    def refuse(self, closed: datetime) -> None:
        status = self.chance.choice([500, 502, 429, 403, None])
        kind = self.chance.choice(["candles", "funding", "markets"])
        self.server.fail(*[Fault(status=status)] * self.chance.randint(1, 6), kind=kind)

    def garble(self, closed: datetime) -> None:
        fault = self.chance.choice([Fault(body=b"<html>soon</html>"), Fault(body=b"{}"), Fault(cut_to=30)])
        kind = self.chance.choice(["candles", "funding"])
        self.server.fail(*[fault] * self.chance.randint(1, 4), kind=kind)

    def shorten(self, closed: datetime) -> None:
        self.server.page_cap = self.chance.randint(1, 7)

    def slow(self, closed: datetime) -> None:
        self.world.seconds_there, self.world.seconds_back = self.chance.uniform(0, 40), self.chance.uniform(0, 40)

    def contradict(self, closed: datetime) -> None:
        """The newest bar twice: with another value, off the grid, or with a word for a price."""
        changes: list[dict[str, str]] = [{"close": "20000.5", "volume": "1"}, {}, {"open": "nothing"}]
        told = self.chance.choice(changes)
        late = 0 if told else 60_000
        self.server.change = lambda bars: [*bars, *(one._replace(ts=one.ts + late, **told) for one in bars[-1:])]

    def hold_back(self, closed: datetime) -> None:
        """The bar that closes next comes late: before its deadline, or after."""
        world, seconds = self.world, self.chance.choice([20, 45, 100, 600, 9_000])
        world.late[ms(closed)] = closed + world.length + timedelta(seconds=seconds)
        world.held_back.add(ms(closed))
        self.server.absent.add(ms(closed))

    def fill_disk(self, closed: datetime) -> None:
        self.world.fates.disk_error_in = self.chance.randint(0, 40)

    def kill(self, closed: datetime) -> None:
        self.world.fates.kill_in = self.chance.randint(0, self.chance.choice([12, 60]))

    def step_clock(self, closed: datetime) -> None:
        hours = self.chance.choice([-26, -6, -0.1, -0.005, 0.002, 0.008, 0.1, 2, 6, 26])
        self.world.clock.turn(timedelta(hours=hours), 0.0)

    def let_drift(self, closed: datetime) -> None:
        self.world.clock.turn(self.world.clock.offset, self.chance.uniform(-2e-3, 2e-3))

    def set_clock(self, closed: datetime) -> None:
        self.world.clock.turn(timedelta(0), 0.0)

    def heal(self) -> None:
        """Exchange and disk are well again, and mostly the clock too; in some lives nobody sets it."""
        self.server.faults.clear()
        self.server.page_cap, self.server.change = None, list
        self.world.seconds_there = self.world.seconds_back = 0.0
        self.world.fates.kill_in = self.world.fates.disk_error_in = None
        self.world.clock.turn(timedelta(hours=6 if self.world.forsaken else 0), 0.0)
        self.world.failures = []
