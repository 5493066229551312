"""`openclaw ticker`: a resident process that runs the same jobs against the same instance as schedules and sensors do.

Its runs appear in the web UI like any other. The clock is real, or replayed from one time to another as fast as the
ticks can be taken. What is due is decided by `domain.timing`; exactly-once is kept by the ledger, not by this loop.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from openclaw_pipelines.assets.market import LIVE_TAG
from openclaw_pipelines.assets.partitions import STRATEGIES
from openclaw_pipelines.contracts.errors import ConfigError, OpenclawError
from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, utc
from openclaw_pipelines.definitions import build_defs
from openclaw_pipelines.domain.timing import Due
from openclaw_pipelines.jobs import CYCLE_LIVE, INSTRUMENTS, MARKET_DAY, MARKET_LIVE
from openclaw_pipelines.resources.autopilot import Autopilot, open_autopilot
from openclaw_pipelines.resources.clock import RealClock, ReplayedClock
from openclaw_pipelines.resources.notifier import notify
from openclaw_pipelines.resources.timetable import alerts_now, bars_ready, due_of, features_missing, missing_history

TICKER_TAG = "openclaw/ticker"
"""Tag of the ticker's runs: process id and start of the process, to find runs that a killed ticker left."""
POLL_SECONDS = 1.0
Partition = str | tuple[str, str] | None
"""A partition key, the first and last key of a range, or none."""


class TickFailedError(OpenclawError):
    """A run of the ticker failed on a replayed clock, where going on would leave a hole."""

    template = "{job} for {partition} failed at {at}: {cause}"
    fields = ("job", "partition", "at", "cause")


class TickerRangeError(ConfigError):
    """A replayed clock needs a start before its end."""

    template = "a replayed clock needs --from before --to, got {start} and {end}."
    fields = ("start", "end")


@dataclass
class Ticked:
    """What the ticker did at one time."""

    at: datetime
    strategies: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Ticker:
    """Takes what is due, one time at a time.

    Args:
        autopilot: store, market, clock and settings; kept open between ticks.
        instance: Dagster's instance, whose web UI shows the runs.
        strategies: names; all enabled ones unless given.
    """

    def __init__(
        self, autopilot: Autopilot, instance: dg.DagsterInstance, strategies: Iterable[str] | None = None
    ) -> None:
        self.autopilot, self.instance = autopilot, instance
        self._chosen = None if strategies is None else tuple(strategies)
        repository = build_defs(resource_overrides={"autopilot": autopilot}).get_repository_def()
        self._jobs = {name: repository.get_job(name) for name in (CYCLE_LIVE, INSTRUMENTS, MARKET_DAY, MARKET_LIVE)}
        self._tags = {LIVE_TAG: "true", TICKER_TAG: process_tag(os.getpid())}

    @property
    def strategies(self) -> tuple[str, ...]:
        """Strategies that this ticker takes."""
        return self._chosen or tuple(self.autopilot.settings().strategies)

    def start(self) -> int:
        """Make the instance ready and fail the runs that a killed ticker left; returns how many those were."""
        self.instance.add_dynamic_partitions(STRATEGIES, list(self.strategies))
        orphans = fail_orphans(self.instance)
        if self.autopilot.ingest.unknown_instruments():
            self._must_run(INSTRUMENTS, None)
        missing = missing_history(self.autopilot, self.strategies)
        if missing:
            self._must_run(MARKET_DAY, (missing[0], missing[-1]))
        return orphans

    def tick(self, now: datetime) -> Ticked:
        """Take every strategy's ticks that have closed by `now`."""
        ticked = Ticked(now)
        due = [item for item in (due_of(self.autopilot, name, now) for name in self.strategies) if item is not None]
        if not due:
            return ticked
        for day in sorted({item.day for item in due}):
            self._refresh_market(day, now, ticked)
        for item in due:
            self._advance(item, now, ticked)
        return ticked

    def _refresh_market(self, day: str, now: datetime, ticked: Ticked) -> None:
        before = f"{day_start(day) - DAY:%Y-%m-%d}"
        if features_missing(self.autopilot, before):
            self._run_counted(MARKET_DAY, before, ticked)
        if self.autopilot.ingest.behind(day, now):
            self._run_counted(MARKET_LIVE, day, ticked)

    def _advance(self, due: Due | None, now: datetime, ticked: Ticked) -> None:
        """Run day after day until nothing more can be taken; a run that waits for bars ends the round."""
        while due is not None and bars_ready(self.autopilot, due, now):
            if not self._run_counted(CYCLE_LIVE, f"{due.day}|{due.strategy}", ticked):
                return
            ticked.strategies.append(due.strategy)
            left = due_of(self.autopilot, due.strategy, now)
            if left is not None and left.first == due.first:
                return
            due = left
            if due is not None:
                self._refresh_market(due.day, now, ticked)

    def _run_counted(self, job: str, partition: str, ticked: Ticked) -> bool:
        failure = self._run(job, partition)
        if failure is not None:
            ticked.failures.append(f"{job} for {partition}: {failure}")
        return failure is None

    def _must_run(self, job: str, partition: Partition) -> None:
        failure = self._run(job, partition)
        if failure is not None:
            raise TickFailedError(job, partition, self.autopilot.clock.now().isoformat(), failure)

    def _run(self, job: str, partition: Partition) -> str | None:
        """Run a job in this process; None when it succeeded, else what failed."""
        tags = {key: value for key, value in self._tags.items() if key != LIVE_TAG or job != MARKET_DAY}
        if isinstance(partition, tuple):
            tags |= {ASSET_PARTITION_RANGE_START_TAG: partition[0], ASSET_PARTITION_RANGE_END_TAG: partition[1]}
            partition = None
        result = self._jobs[job].execute_in_process(
            instance=self.instance, partition_key=partition, tags=tags, raise_on_error=False
        )
        return None if result.success else failure_of(result)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """The first step failure of a run, as its own error says it."""
    for event in result.all_events:
        if event.is_step_failure:
            error: Any = event.step_failure_data.error
            cause = error.cause or error if error else None
            return cause.message.strip() if cause else str(event.message)
    return "the run failed before its first step"


def process_tag(pid: int) -> str:
    """Process id and when that process started, so that a reused id is not taken for the same process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - a kernel file, not a path of ours
            started = stat.read().rpartition(")")[2].split()[19]
    except OSError:
        started = "gone"
    return f"{pid}-{started}"


def fail_orphans(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed whose ticker no longer lives."""
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    failed = 0
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        tag = run.tags.get(TICKER_TAG)
        if tag is not None and process_tag(int(tag.split("-")[0])) != tag:
            instance.report_run_failed(run, "The ticker that ran this was killed; the next tick catches up.")
            failed += 1
    return failed


def replayed_times(
    autopilot: Autopilot, strategies: Iterable[str], start: datetime, end: datetime
) -> Iterator[datetime]:
    """Close times of the strategies' bars with `start < time <= end`, each once, in order."""
    lengths = {autopilot.settings().strategy(name).interval for name in strategies}
    at = start
    while True:
        at = min(floor_to(at, length) + length for length in lengths)
        if at > end:
            return
        yield at


def replay(ticker: Ticker, clock: ReplayedClock, start: datetime, end: datetime, show: Callable[[Ticked], None]) -> int:
    """Live from `start` to `end` on a replayed clock; returns the number of times at which something was due.

    Raises:
        TickFailedError: a run failed.
    """
    taken = 0
    for at in replayed_times(ticker.autopilot, ticker.strategies, start, end):
        clock.set(at)
        ticked = ticker.tick(at)
        if ticked.failures:
            job, _, cause = ticked.failures[0].partition(": ")
            raise TickFailedError(job, "its partition", at.isoformat(), cause)
        taken += bool(ticked.strategies)
        show(ticked)
    return taken


def follow(ticker: Ticker, show: Callable[[Ticked], None]) -> None:
    """Follow the real clock until interrupted. A failed run raises an alert and is caught up by the next."""
    while True:
        now = ticker.autopilot.clock.now()
        ticked = ticker.tick(now)
        if ticked.strategies or ticked.failures:
            show(ticked)
        notify(ticker.autopilot, alerts_now(ticker.autopilot, now))
        time.sleep(POLL_SECONDS)


def main(
    *,
    clock: str = "real",
    start: datetime | None = None,
    end: datetime | None = None,
    strategies: Iterable[str] | None = None,
    show: Callable[[Ticked], None] = lambda ticked: None,  # noqa: ARG005
) -> int:
    """Run the ticker against the instance of DAGSTER_HOME; returns the number of times that had something due.

    Args:
        clock: `real` or `replayed`.
        start: where a replayed clock starts; ticks after it are taken.
        end: where it ends; the tick at it is the last.
        strategies: names; all enabled ones unless given.
        show: called after each time at which something was done.

    Raises:
        TickerRangeError, TickFailedError.
    """
    with dg.DagsterInstance.get() as instance:
        if clock == "real":
            ticker = Ticker(open_autopilot(RealClock()), instance, strategies)
            ticker.start()
            follow(ticker, show)
            return 0
        if start is None or end is None or start >= end:
            raise TickerRangeError(start, end)
        replayed = ReplayedClock(utc(start, "--from"))
        ticker = Ticker(open_autopilot(replayed), instance, strategies)
        ticker.start()
        return replay(ticker, replayed, utc(start, "--from"), utc(end, "--to"), show)
