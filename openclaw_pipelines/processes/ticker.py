"""`openclaw ticker`: a resident process that runs the same jobs against the same instance as schedules and sensors do.

Its runs appear in the web UI like any other. The clock is real, or replayed from one time to another as fast as the
ticks can be taken. What is due is decided by `domain.trading.timing`; exactly-once is kept by the ledger, not by this
loop.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import dagster as dg

from openclaw_pipelines.assets.partitions import STRATEGIES, add_partitions
from openclaw_pipelines.assets.run_tags import LIVE_TAG, TICKER_TAG, range_tags
from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.time import floor_to
from openclaw_pipelines.definitions import build_defs
from openclaw_pipelines.domain.trading.timing import Asked, Due, ask_again
from openclaw_pipelines.jobs import (
    CYCLE,
    CYCLE_LIVE,
    EVALUATION,
    INSTRUMENTS,
    LIFECYCLE,
    MARKET_DAY,
    MARKET_LIVE,
    QUIET,
    REPORT,
)
from openclaw_pipelines.processes.instance import named_failures
from openclaw_pipelines.processes.layers import failure_of
from openclaw_pipelines.processes.orphans import fail_orphans, process_tag
from openclaw_pipelines.processes.stopping import Stop, undisturbed
from openclaw_pipelines.resources.store.remembering import RememberingStore
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.observing import TICKER, observe
from openclaw_pipelines.services.market.clock import refuse_wrong_clock
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.rounds import take_round
from openclaw_pipelines.services.trading.timetable import bars_ready, clock_stops, due_of, needed_before

LATE_BAR_SECONDS = 5.0
"""How long to leave the market alone while a bar that has closed is not published yet."""
_LIVE = (CYCLE_LIVE, INSTRUMENTS, MARKET_LIVE)
_WHOLE = (MARKET_DAY, CYCLE, EVALUATION, REPORT, LIFECYCLE)
"""Jobs that follow the clock, and those of whole days."""
Partition = str | tuple[str, str] | None
"""A partition key, the first and last key of a range, or none."""


class TickFailedError(OpenclawError):
    """A run of the ticker failed on a replayed clock, where going on would leave a hole."""

    template = "{job} for {partition} failed at {at}: {cause}"
    job: str
    partition: str | tuple[str, str] | None
    at: datetime
    cause: str


@dataclass(frozen=True)
class Failure:
    """A run that failed, or a look at what is due that did."""

    job: str
    partition: Partition
    cause: str

    def __str__(self) -> str:
        """For the terminal."""
        return f"{self.job} for {self.partition}: {self.cause}" if self.partition else f"{self.job}: {self.cause}"


@dataclass
class Ticked:
    """What the ticker did at one time. strategies: those that took ticks."""

    at: datetime
    strategies: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


class Ticker:
    """Takes what is due, one time at a time.

    Args:
        world: store, market, clock and settings; kept open between ticks.
        instance: Dagster's instance, whose web UI shows the runs.
        strategies: names; all enabled ones unless given.
        stop: looked at between rounds; what runs is finished.
    """

    def __init__(
        self, world: World, instance: dg.DagsterInstance, strategies: Iterable[str] | None = None,
        stop: Stop | None = None,
    ) -> None:  # fmt: skip
        self._follow(world, strategies, stop)
        self.instance = instance
        repository = build_defs(resource_overrides={"world": world}).get_repository_def()
        self._jobs = {name: repository.get_job(name) for name in (*_LIVE, *_WHOLE)}
        self._tags = {LIVE_TAG: "true", TICKER_TAG: process_tag(os.getpid())}

    def _follow(self, world: World, strategies: Iterable[str] | None, stop: Stop | None = None) -> None:
        """What it needs to know what is due; how jobs are run is apart from that."""
        self.world, self.jittered = world, world.clock.real
        self._chosen = None if strategies is None else tuple(strategies)
        self.stop = stop or Stop()
        self._known: set[str] = set()
        self.lived: set[str] = set()
        """days of which it took ticks"""
        self.asked: Asked = {}
        """what was asked for last, by subject"""

    @property
    def strategies(self) -> tuple[str, ...]:
        """Strategies that this ticker takes, as configured now."""
        if self._chosen is not None:
            return self._chosen
        return tuple(name for name, own in self.world.settings().strategies.items() if own.own.enabled)

    def start(self) -> int:
        """Make the instance ready and fail the runs that a killed ticker left; returns how many those were.

        Raises:
            TickFailedError: the instruments are unknown and the source does not give them.
        """
        orphans = fail_orphans(self.instance)
        if Ingest.of(self.world).unknown_instruments():
            failure = self._run(INSTRUMENTS, None)
            if failure is not None:
                raise TickFailedError(INSTRUMENTS, None, self.world.clock.now(), failure)
        return orphans

    def tick(self, now: datetime) -> Ticked:
        """Take every strategy's ticks that have closed by `now`, a day of each at a time.

        Raises:
            ClockSkewError: the source's clock, which was just asked, is too far from the local one.
        """
        observe(self.world, TICKER)
        ticked, store, source = Ticked(now), self.world.store, self.world.source
        due = self._due(self.strategies, now)
        while due and not self.stop.asked:
            self._refresh_market(due, now, ticked)
            refuse_wrong_clock(store, source, self.world.clock, self.world.settings().market.max_clock_skew_seconds)
            looked = replace(self.world, store=RememberingStore.of(store))
            ready = [item for item in due if bars_ready(looked, item, now) and self._asked_anew(item, now)]
            take_round(self.world, [(item.strategy, item.day) for item in ready])
            ran = {item.strategy: item.first for item in ready if self._advance(item, ticked)}
            left = {item.strategy: item for item in self._due(ran, now)}
            moved = [name for name, first in ran.items() if name not in left or left[name].first != first]
            ticked.strategies += moved
            due = [left[name] for name in moved if name in left]
        return ticked

    def _due(self, strategies: Iterable[str], now: datetime) -> list[Due]:
        found = [due_of(self.world, name, now, jittered=self.jittered) for name in strategies]
        return [item for item in found if item is not None]

    def _refresh_market(self, due: list[Due], now: datetime, ticked: Ticked) -> None:
        """Ask for the market data that the ticks need and nobody asked for."""
        needs = dict.fromkeys(need for item in due for need in needed_before(self.world, item))
        stopped = clock_stops(self.world) is not None  # until the source is asked again
        days = sorted({item.day for item in due})
        behind = [day for day in days if stopped or Ingest.of(self.world).behind(day, now)]
        for need in needs:
            if ask_again(self.asked, f"{MARKET_DAY} {need.first}", need.last, now):
                self.run_counted(MARKET_DAY, (need.first, need.last), ticked)
        minute = floor_to(now, timedelta(minutes=1)).isoformat()
        for day in behind:
            if ask_again(self.asked, f"{MARKET_LIVE} {day}", minute, now, LATE_BAR_SECONDS):
                self.run_counted(MARKET_LIVE, day, ticked)

    def _asked_anew(self, due: Due, now: datetime) -> bool:
        """Whether it is time to take the first due tick; one that failed or waits is tried again later."""
        return ask_again(self.asked, due.strategy, due.first.isoformat(), now) is not None

    def _advance(self, due: Due, ticked: Ticked) -> bool:
        """Run the day of the first due tick."""
        self._know(due.strategy)
        ran = self.run_counted(CYCLE_LIVE, f"{due.day}|{due.strategy}", ticked)
        if ran:
            self.lived.add(due.day)
        return ran

    def _know(self, strategy: str) -> None:
        """A strategy that was added to the configuration becomes a partition."""
        if strategy not in self._known:
            add_partitions(self.instance, STRATEGIES, [strategy])
            self._known.add(strategy)

    def taken_until(self, strategy: str, end: datetime, now: datetime) -> bool:
        """Whether every tick of a strategy up to `end` is recorded; its jitter, in which none is due yet, is over."""
        due = due_of(self.world, strategy, now, jittered=False)
        return due is None or due.first > end

    def run_counted(self, job: str, partition: Partition, ticked: Ticked) -> bool:
        """Run a job in this process; a failure is added to `ticked`. Returns whether it succeeded."""
        failure = self._run(job, partition)
        if failure is not None:
            ticked.failures.append(Failure(job, partition, failure))
        return failure is None

    def _run(self, job: str, partition: Partition) -> str | None:
        """Run a job in this process; None when it succeeded, else what failed."""
        tags = {key: value for key, value in self._tags.items() if key != LIVE_TAG or job in _LIVE}
        if isinstance(partition, tuple):
            partition, tags = (
                (partition[0], tags) if partition[0] == partition[1] else (None, tags | range_tags(*partition))
            )
        with named_failures():
            result = undisturbed(
                lambda: self._jobs[job].execute_in_process(
                    instance=self.instance, partition_key=partition, tags=tags, raise_on_error=False, run_config=QUIET
                )
            )
        return None if result.success else failure_of(result)[1]


def range_text(partition: Partition) -> str | None:
    """A partition or a range of them as a subject of alerts.

    >>> range_text(("2025-05-01", "2025-05-03")), range_text(("2025-05-01", "2025-05-01"))
    ('2025-05-01...2025-05-03', '2025-05-01')
    """
    return "...".join(dict.fromkeys(partition)) if isinstance(partition, tuple) else partition
