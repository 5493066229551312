"""A strategy that decides on its own bars while its orders settle on finer candles.

A bar does not tell whether its high or its low came first; `strict` assumes the worse for stop against target, but a
trailing stop that is raised by a bar's high only protects from the next bar on. Finer candles tell more. Indicators and
decisions stay those of the coarse bars, taken when they close, through the phases of `step`; between them every fine
bar settles. Comparing the results is in `domain.selection.gates`.
"""

from dataclasses import replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.kernel.account.govern import decide
from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import Records, State
from openclaw_pipelines.kernel.run.bars import Bars, Matrices
from openclaw_pipelines.kernel.run.replay import (
    Costs,
    Setup,
    Terms,
    Written,
    keep_equity,
    keep_events,
    keep_proposals,
    load_tick,
    run,
)
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.run.step import observe_bars, propose, settle
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators
from openclaw_pipelines.kernel.strategy.params import stack_params


class FinerBarsError(DataError):
    """Candles that are not a finer view of the same bars."""

    template = "the finer candles do not fit the bars: {why}. Give candles of the same instruments over the same time."
    why: str


def replay_on_finer(
    coarse: Bars,
    fine: Bars,
    params: np.record,
    costs: Costs | None = None,
    *,
    profile: str = "strict",
    capital: Decimal = Decimal(10_000),
    limits: Records | None = None,
    account_limits: Records | None = None,
    start: int = 0,
) -> Result:
    """As `kernel.run.replay.replay` over `coarse`, settled on `fine`; the result's bars and equity are the fine ones.

    fine: the same instruments from the coarse bars' first open to their last close, at an interval that divides
    theirs. start: coarse row, as in `replay`. With `fine` equal to `coarse` the result is that of `replay`.

    Raises:
        FinerBarsError: another grid or other instruments. Else as `replay`.
    """
    terms = Terms(costs=costs or Costs(), profile=profile, capital=capital, limits=limits,
                  account_limits=account_limits, start=start)  # fmt: skip
    return replay_finer_under(coarse, fine, params, terms)


def replay_finer_under(coarse: Bars, fine: Bars, params: np.record, terms: Terms) -> Result:
    """`replay_on_finer` under given terms."""
    _refuse(coarse, fine)
    per_bar = coarse.interval_seconds // fine.interval_seconds
    stacked = stack_params([params])
    stacked["max_hold_bars"] *= per_bar  # positions count the bars that settle them
    extra = (*coarse.matrices, coarse.times, np.array([coarse.interval_seconds], np.int64))
    indicators, fine_terms = new_indicators(len(fine.symbols), stacked[0]), replace(terms, start=terms.start * per_bar)
    return run(fine, stacked, indicators, finer_loop, extra, fine_terms)


def _refuse(coarse: Bars, fine: Bars) -> None:
    if coarse.instruments != fine.instruments:
        raise FinerBarsError(f"they are of {fine.symbols}, the bars of {coarse.symbols}, or their units differ")
    if coarse.interval_seconds % fine.interval_seconds:
        raise FinerBarsError(f"{fine.interval} does not divide {coarse.interval}")
    spans = [
        (int(bars.times[0]), int(bars.times[-1]) + bars.interval_seconds) for bars in (coarse, fine)
    ]  # fmt: skip
    if spans[0] != spans[1]:
        raise FinerBarsError(f"they span {spans[1]} and the bars {spans[0]}, in seconds since the epoch")


@compiled
def finer_loop(
    state: State, matrices: Matrices, times: NDArray[np.int64], setup: Setup, written: Written,
    scratch: tuple[Records, Records, Records], row: int, start: int, n_events: int, n_proposals: int,
    opens: NDArray[np.int64], highs: NDArray[np.int64], lows: NDArray[np.int64], closes: NDArray[np.int64],
    volumes: NDArray[np.float64], states: NDArray[np.int8], funding: NDArray[np.int64], inside: NDArray[np.int64],
    universe: NDArray[np.int8], control: NDArray[np.int8], coarse_times: NDArray[np.int64],
    coarse_seconds: NDArray[np.int64],
) -> tuple[int, int, int]:  # fmt: skip
    """As `replay.replay_loop`: fine bars settle, and the coarse bar that closes with one is observed and decided on."""
    coarse = Matrices(opens, highs, lows, closes, volumes, states, funding, inside, universe, control)
    events, proposals, symbols = scratch
    context, seconds = setup.context, coarse_seconds[0]
    last_event, last_proposal = len(written.events) - len(events), len(written.proposals) - len(proposals)
    while row < len(times) and n_events <= last_event and n_proposals <= last_proposal:
        tick = load_tick(matrices, times, row, context.interval_seconds, symbols)
        if row >= start:
            new_events = settle(state, tick, setup.account_limits, context, events, 0)
            n_events = keep_events(written, events, new_events, n_events)
        if (tick.at - coarse_times[0]) % seconds == 0:
            coarse_row = (tick.at - coarse_times[0]) // seconds - 1
            whole = load_tick(coarse, coarse_times, coarse_row, seconds, symbols)
            observe_bars(state, whole, context)
            if row >= start:
                n = propose(state, whole, context, proposals, 0)
                decide(state, whole, setup.limits, setup.account_limits, context, proposals, n)
                n_proposals = keep_proposals(written, proposals, n, n_proposals, whole.at)
        if row >= start:
            keep_equity(written, state, context, tick.at, row - start)
        row += 1
    return row, n_events, n_proposals
