"""A resident round: the ticks of all due strategies in one transaction, ahead of the runs that show them.

Each strategy keeps a run of its own in Dagster. What the round did for it is left in the world, where its run takes it
out; a strategy that the round did not take is taken by its run, alone.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from openclaw_pipelines.resources.store.remembering import RememberingStore
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.trading.runner import DayReport, Runner
from openclaw_pipelines.services.trading.strategy_lock import strategy_lock
from openclaw_pipelines.services.trading.walk import Walk, commit


def take_round(world: World, due: Sequence[tuple[str, str]]) -> None:
    """Take the live ticks of strategies on their days over one look at the market, and write them in one transaction.

    A strategy that another process runs right now, or whose ticks cannot be taken, is left to its own run, which waits
    or says why. Where the transaction fails nothing is written, and all are.
    """
    world.handed.clear()
    runner = Runner.of(replace(world, store=RememberingStore.of(world.store)))
    if len(due) < 2 or not runner.fills_inside:
        return
    taken: list[tuple[DayReport, Walk | None]] = []
    with ExitStack() as locks:
        for strategy, day in sorted(due):
            try:
                taken.append(_taken(runner, locks, DayReport(strategy, day)))
            except Exception:  # noqa: BLE001, S112 - its own run meets the same, and tells
                continue
        walks = [walk for _, walk in taken if walk is not None]
        try:
            if walks:
                commit(walks, world.clock.now())
        except Exception:  # noqa: BLE001 - as above
            return
        for report, walk in taken:
            if walk is not None:
                runner.committed(walk, report)
            world.handed[report.strategy, report.day] = report


def _taken(runner: Runner, locks: ExitStack, report: DayReport) -> tuple[DayReport, Walk | None]:
    settings = runner.settings()
    locks.enter_context(strategy_lock(settings, report.strategy, wait_seconds=0))
    return report, runner.due_walk(settings, report, live=True)


def handed_over(world: World, strategy: str, day: str) -> DayReport | None:
    """What a round did for a strategy and a day, told once; None where it did nothing."""
    report = world.handed.pop((strategy, day), None)
    return report if isinstance(report, DayReport) else None
