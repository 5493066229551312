"""What a ticker closes when it lives alone: the checks, evaluation and report that schedules ask for beside a daemon.

A day is closed once its last tick is taken: its market and its ledger are checked, its decisions scored as far as they
have matured, its page is written, deployed strategies are reviewed. On the real clock evaluation and report also follow
each hour, one run per look, so that no tick waits for all of them.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from openclaw_pipelines.contracts.time import DAY
from openclaw_pipelines.domain.trading.timing import ask_again
from openclaw_pipelines.jobs import CYCLE, EVALUATION, LIFECYCLE, MARKET_DAY, REPORT
from openclaw_pipelines.processes.ticker import Ticked, Ticker
from openclaw_pipelines.services.trading.timetable import evaluated_days, running_on

Step = tuple[str, str]
"""A job and its partition."""


class Closing:
    """Closes days and hours for a ticker, each step once.

    Args:
        ticker: whose runs these are, and whose ticks come first.
        hourly: whether evaluation and report follow each hour, or each day only.
    """

    def __init__(self, ticker: Ticker, *, hourly: bool) -> None:
        self.ticker, self.hourly = ticker, hourly
        self._done: dict[Step, str] = {}

    def close(self, now: datetime, ticked: Ticked) -> None:
        """Run what is to be closed at `now`; with `hourly` one step at a time. Failures are added to `ticked`."""
        for step in self._steps(now):
            if self.hourly and not ask_again(self.ticker.asked, f"closing {step}", self._due(step, now), now):
                continue  # failed a moment ago
            if self.ticker.run_counted(*step, ticked):
                self._done[step] = self._due(step, now)
            if self.hourly:
                return

    def _steps(self, now: datetime) -> Iterator[Step]:
        """What was not done yet, in the order in which one rests on the other."""
        return (step for step in self._wanted(now) if self._done.get(step) != self._due(step, now))

    def _wanted(self, now: datetime) -> Iterator[Step]:
        settings, day = self.ticker.world.settings(), f"{now - DAY:%Y-%m-%d}"
        strategies = [name for name in running_on(settings, day) if name in self.ticker.strategies]
        if not self.hourly and (now.hour, now.minute) != (0, 0):
            return
        if strategies and self.ticker.taken_until(strategies, now):
            yield MARKET_DAY, day
            yield from ((CYCLE, f"{day}|{name}") for name in strategies)
            if not self.hourly:
                yield from self._evaluation([f"{now - 2 * DAY:%Y-%m-%d}", day])
            yield LIFECYCLE, day
        if self.hourly:
            yield from self._evaluation(evaluated_days(now))

    def _evaluation(self, days: Iterable[str]) -> Iterator[Step]:
        known = [(day, running_on(self.ticker.world.settings(), day)) for day in days]
        yield from ((EVALUATION, f"{day}|{name}") for day, names in known for name in names)
        yield from ((REPORT, day) for day, names in known if names)

    def _due(self, step: Step, now: datetime) -> str:
        """A step is due once in what this says: evaluation and report in an hour, the others ever."""
        return f"{now:%Y-%m-%dT%H}" if step[0] in (EVALUATION, REPORT) else "once"
