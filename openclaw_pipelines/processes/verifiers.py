"""Strategies verified side by side, each in a process of its own, as many as there are cores."""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from typing import Any

from openclaw_pipelines.resources.world import World, open_world
from openclaw_pipelines.services.evaluation.verifying import Verified, verify_strategy

DAYS_OF_A_PROCESS = 30
"""Days that a process must have to do; starting one costs as much as some ten of them."""
POLL_SECONDS = 0.1
_told: Any = None
"""In a process of its own: where it says that a day is done."""


def verify_all(
    world: World, days: Mapping[str, Sequence[str]], done: Callable[[], object] = lambda: None, *, whole: bool = True,
    processes: int | None = None,
) -> list[Verified]:  # fmt: skip
    """Verify days of strategies, in their order; see `verify_strategy`.

    Args:
        world: the configured world, which each process opens anew from the same environment.
        days: by strategy.
        done: called after each day.
        whole: read every sealed day again, also one that has no ticks any more.
        processes: how many; by default what the cores and the number of days are good for.

    Raises:
        BrokenChainError: an audit trail was tampered with.
    """
    worth = sum(map(len, days.values())) // DAYS_OF_A_PROCESS
    at_once = min(len(os.sched_getaffinity(0)), worth, len(days)) if processes is None else processes
    if at_once < 2:
        return [verify_strategy(world, name, own, done, whole=whole) for name, own in days.items()]
    context = multiprocessing.get_context("spawn")
    told = context.SimpleQueue()
    with ProcessPoolExecutor(at_once, context, _begin, (told,)) as pool:
        # the longest first, so that none is left alone at the end
        order = sorted(days, key=lambda name: -len(days[name]))
        running = {name: pool.submit(_verified, name, days[name], whole) for name in order}
        waiting = set(running.values())
        while waiting:
            waiting = wait(waiting, POLL_SECONDS).not_done
            while not told.empty():
                told.get()
                done()
        return [running[name].result() for name in days]


def _begin(told: Any) -> None:
    global _told  # noqa: PLW0603 - a queue reaches a process of a pool only as it begins
    _told = told


def _verified(strategy: str, days: Sequence[str], whole: bool) -> Verified:  # noqa: FBT001 - a pool passes by place
    return verify_strategy(open_world(), strategy, days, lambda: _told.put(None), whole=whole)
