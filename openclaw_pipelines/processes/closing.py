"""What a ticker closes when it lives alone: the checks, evaluation and report that schedules ask for beside a daemon.

A day is closed once its last tick is taken: its market and its ledger are checked, its decisions scored as far as they
have matured, its page is written, deployed strategies are reviewed. On the real clock evaluation and report also follow
each hour, and one run is made per look, so that no tick waits for all of them.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.trading.timing import ask_again
from openclaw_pipelines.jobs import CYCLE, EVALUATION, LIFECYCLE, MARKET_DAY, REPORT
from openclaw_pipelines.processes.ticker import Ticked, Ticker
from openclaw_pipelines.services.trading.timetable import evaluated_days, running_on

RETRY_SECONDS = 3_600.0
"""A step that failed is tried again after this time: a red check stays red until somebody mends what it found."""


class Step(NamedTuple):
    """A run to make. due: what it is made for, a day that ends or an hour; for each of them once."""

    job: str
    partition: str
    due: str


class Closing:
    """Closes days and hours for a ticker, each step once.

    Args:
        ticker: whose runs these are, and whose ticks come first.
        hourly: whether it follows the real clock, with evaluation and report each hour and a step at a time; else all
            of a day is closed at its end.
    """

    def __init__(self, ticker: Ticker, *, hourly: bool) -> None:
        self.ticker, self.hourly = ticker, hourly
        self._done: set[Step] = set()

    def close(self, now: datetime, ticked: Ticked) -> None:
        """Run what is to be closed at `now`. Failures are added to `ticked`."""
        for step in self._wanted(now):
            if self.ticker.stop.asked:
                return
            if step in self._done or not ask_again(self.ticker.asked, f"closing {step}", step.due, now, RETRY_SECONDS):
                continue
            if self.ticker.run_counted(step.job, step.partition, ticked):
                self._done.add(step)
            if self.hourly:
                return

    def _wanted(self, now: datetime) -> Iterator[Step]:
        """Steps in the order in which one rests on the other."""
        if not self.hourly and (now.hour, now.minute) != (0, 0):
            return
        yesterday = {f"{now - DAY:%Y-%m-%d}"} if self.hourly else set()
        for day in sorted(self.ticker.lived | yesterday):
            if day < f"{now:%Y-%m-%d}":
                yield from self._of_day(day, now)
        if self.hourly:
            yield from self._evaluation(evaluated_days(now), f"{now:%Y-%m-%dT%H}")

    def _of_day(self, day: str, now: datetime) -> Iterator[Step]:
        """What closes a day, for the strategies whose last tick of it is taken."""
        running, end = self._running(day), day_start(day) + DAY
        taken = [name for name in running if self.ticker.taken_until(name, end, now)]
        if not taken:
            return
        yield Step(MARKET_DAY, day, day)
        yield from (Step(CYCLE, f"{day}|{name}", day) for name in taken)
        if taken == running:
            yield from self._evaluation([f"{day_start(day) - DAY:%Y-%m-%d}", day], day)
            yield Step(LIFECYCLE, day, day)

    def _evaluation(self, days: Iterable[str], due: str) -> Iterator[Step]:
        known = [(day, self._running(day)) for day in days]
        yield from (Step(EVALUATION, f"{day}|{name}", due) for day, names in known for name in names)
        yield from (Step(REPORT, day, due) for day, names in known if names)

    def _running(self, day: str) -> list[str]:
        return [name for name in running_on(self.ticker.world.settings(), day) if name in self.ticker.strategies]
