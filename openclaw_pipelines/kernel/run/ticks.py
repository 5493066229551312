"""Recorded ticks taken one at a time, as paper did, outside of any loop over bars."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from openclaw_pipelines.kernel.account.valuation import Mark, mark
from openclaw_pipelines.kernel.base.layout import Context, Records, State, Tick, copy_state
from openclaw_pipelines.kernel.base.state_bytes import state_hash
from openclaw_pipelines.kernel.run.planned import plan_of, step_planned
from openclaw_pipelines.kernel.run.replay import tick_buffers
from openclaw_pipelines.kernel.run.step import step


class TickInput(NamedTuple):
    """Everything one tick depends on, as recorded."""

    tick: Tick
    limits: Records
    account_limits: Records
    external: Records
    """PROPOSAL[K], may be empty."""
    signals: Records | None = None
    """SIGNAL[S] of a planner outside the kernel; None where the family plans."""


class TickOutput(NamedTuple):
    """What one tick wrote; copies that later ticks do not change."""

    tick_at: int
    events: Records
    proposals: Records
    mark: Mark
    state_hash: str


def replay_ticks(state: State, inputs: Iterable[TickInput], context: Context) -> Iterator[TickOutput]:
    """Take recorded tick inputs one at a time, as paper did. The given state is left alone.

    Yields one output per input, in order; the state after the last is known by its hash.
    """
    state = copy_state(state)
    for given in inputs:
        yield step_once(state, given, context)


def step_once(state: State, given: TickInput, context: Context) -> TickOutput:
    """Take one tick, changing `state`.

    Raises:
        PlanError: a signal out of bounds.
    """
    n = len(given.external)
    events, proposals, _ = tick_buffers(len(state.positions), n)
    proposals[:n] = given.external
    around = (state, given.tick, given.limits, given.account_limits, context, events, proposals, n)
    if given.signals is None:
        n_proposals, n_events = step(*around)
    else:
        n_proposals, n_events = step_planned(*around, plan_of(given.signals.reshape(1, -1)))
    return TickOutput(
        int(given.tick.at), events[:n_events], proposals[:n_proposals], mark(state, context), state_hash(state)
    )
