"""The loops of `openclaw ticker`: on the real clock until interrupted, or on a replayed one from a time to another."""

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from openclaw_pipelines.contracts.errors import ConfigError, OpenclawError
from openclaw_pipelines.contracts.time import floor_to, utc
from openclaw_pipelines.domain.governance.alerts import failed_run_alert
from openclaw_pipelines.processes.closing import Closing
from openclaw_pipelines.processes.instance import named_failures, opened_alone
from openclaw_pipelines.processes.stopping import Stop
from openclaw_pipelines.processes.ticker import Failure, Ticked, Ticker, TickFailedError, range_text
from openclaw_pipelines.resources.clock import RealClock, ReplayedClock
from openclaw_pipelines.resources.world import World, open_world
from openclaw_pipelines.services.governance.notifications import dispatch, notify
from openclaw_pipelines.services.lifecycle.tracing import trace_logs
from openclaw_pipelines.services.trading.timetable import alerts_now

POLL_SECONDS = 1.0
RETRY_POLL_SECONDS = 5.0
WATCH_EVERY = timedelta(minutes=1)


class TickerRangeError(ConfigError):
    """A replayed clock needs a start before its end."""

    template = "a replayed clock needs --from before --to, got {start} and {end}."
    start: datetime | None
    end: datetime | None


class ClosingFailedError(OpenclawError):
    """A run that closes a day failed on a replayed clock; the ticks went on, since it leaves no hole."""

    template = "every tick is taken, but {job} for {partition} failed at {at}: {cause}"
    job: str
    partition: str | tuple[str, str] | None
    at: datetime
    cause: str


def replayed_times(world: World, strategies: Iterable[str], start: datetime, end: datetime) -> Iterator[datetime]:
    """Close times of the strategies' bars with `start < time <= end`, each once, in order."""
    lengths = {world.settings().strategy(name).interval for name in strategies}
    at = start
    while lengths:
        at = min(floor_to(at, length) + length for length in lengths)
        if at > end:
            return
        yield at


def replay(
    ticker: Ticker, clock: ReplayedClock, start: datetime, end: datetime, show: Callable[[Ticked], None],
    closing: Closing | None = None,
) -> int:  # fmt: skip
    """Live from `start` to `end` on a replayed clock; returns the number of times at which something was due.

    closing: closes each day that ends; None where something else does.

    Raises:
        TickFailedError: a run that takes ticks failed.
        ClosingFailedError: every tick was taken, and a run that closes a day failed.
    """
    taken = 0
    unclosed: ClosingFailedError | None = None
    for at in replayed_times(ticker.world, ticker.strategies, start, end):
        if ticker.stop.asked:
            break
        clock.set(at)
        ticked = ticker.tick(at)
        if ticked.failures:
            first = ticked.failures[0]
            raise TickFailedError(first.job, first.partition, at, first.cause)
        taken += bool(ticked.strategies)
        if closing:
            closing.close(at, ticked)
        for failed in ticked.failures:
            unclosed = unclosed or ClosingFailedError(failed.job, failed.partition, at, failed.cause)
        show(ticked)
    if unclosed:
        raise unclosed
    return taken


def follow(ticker: Ticker, show: Callable[[Ticked], None], closing: Closing | None = None) -> None:
    """Follow the real clock until asked to stop. What fails is shown, raises an alert and is tried again."""
    watched = ticker.world.clock.now() - WATCH_EVERY
    while not ticker.stop.asked:
        now = ticker.world.clock.now()
        ticked = attempted(ticker, now, closing)
        if ticked.failures or abs(now - watched) >= WATCH_EVERY:
            ticked.failures += watch(ticker, ticked, now)
            watched = now
        if ticked.strategies or ticked.failures:
            show(ticked)
        ticker.stop.pause(POLL_SECONDS if not ticked.failures else RETRY_POLL_SECONDS)


def attempted(ticker: Ticker, now: datetime, closing: Closing | None = None) -> Ticked:
    """A tick whose errors, as a locked store or an unreadable configuration, are failures and end nothing.

    closing: what is to be closed when no tick is due.
    """
    try:
        ticked = ticker.tick(now)
        if closing and not (ticked.strategies or ticked.failures):
            closing.close(now, ticked)
        return ticked
    except OpenclawError as error:
        return Ticked(now, failures=[Failure("ticker", None, f"{type(error).__name__}: {error}")])


def watch(ticker: Ticker, ticked: Ticked, now: datetime) -> list[Failure]:
    """Record what a killed process left untold, raise alerts for what failed, stands still or does not agree.

    Returns what kept it from doing so.
    """
    failed = [failed_run_alert(own.job, range_text(own.partition), str(own), now) for own in ticked.failures]
    try:
        trace_logs(ticker.world)
        dispatch(ticker.world)
        notify(ticker.world, [*failed, *alerts_now(ticker.world, now)])
    except OpenclawError as error:
        return [Failure("alerts", None, f"{type(error).__name__}: {error}")]
    return []


def main(
    *,
    clock: str = "real",
    start: datetime | None = None,
    end: datetime | None = None,
    strategies: Iterable[str] | None = None,
    show: Callable[[Ticked], None] = lambda ticked: None,  # noqa: ARG005
    closes: bool = True,
    stop: Stop | None = None,
) -> int:
    """Run the ticker against the instance of DAGSTER_HOME; returns the number of times that had something due.

    Args:
        clock: `real` or `replayed`.
        start: where a replayed clock starts; ticks after it are taken.
        end: where it ends; the tick at it is the last.
        strategies: names; all enabled ones unless given.
        show: called after each time at which something was done.
        closes: whether it closes days and hours too: checks, evaluation, report and review.
        stop: ends it early, after what is running.

    Raises:
        TickerRangeError, TickFailedError, ClosingFailedError.
    """
    with named_failures(), opened_alone(Path(os.environ["DAGSTER_HOME"]), dg.DagsterInstance.get) as instance:
        if clock == "real":
            ticker = Ticker(open_world(RealClock()), instance, strategies, stop)
            ticker.start()
            follow(ticker, show, Closing(ticker, hourly=True) if closes else None)
            return 0
        if start is None or end is None or start >= end:
            raise TickerRangeError(start, end)
        replayed = ReplayedClock(utc(start, "--from"))
        ticker = Ticker(open_world(replayed), instance, strategies, stop)
        ticker.start()
        closing = Closing(ticker, hourly=False) if closes else None
        return replay(ticker, replayed, utc(start, "--from"), utc(end, "--to"), show, closing)
