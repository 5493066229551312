"""A run taken one tick at a time from Python, as paper trading takes it; the result has the shape of a replay's.

It goes through `kernel.run.ticks.step_once`, which knows nothing of loops over bars, and so shows whether the compiled
loop and the single step agree.
"""

import numpy as np

from openclaw_pipelines.kernel.base.layout import EVENT, PROPOSAL, Records, Tick, new_state, records
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import (
    EQUITY_ROW,
    Prepared,
    Terms,
    contract_of,
    prepare,
)
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.run.step import observe_bars
from openclaw_pipelines.kernel.run.ticks import TickInput, TickOutput, step_once
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators
from openclaw_pipelines.kernel.strategy.params import stack_params


def step_through(bars: Bars, params: np.record, terms: Terms) -> Result:
    """As `kernel.run.replay.replay_under`, tick by tick, with the same errors."""
    stacked = stack_params([params])
    ready, start = prepare(bars, stacked, terms), terms.start
    state = new_state(new_indicators(len(bars.symbols), stacked[0]), ready.cash, int(bars.times[start]))
    for row in range(start):
        observe_bars(state, _tick(bars, ready, row), ready.setup.context)
    none = records(PROPOSAL, 0)
    taken: list[TickOutput] = []
    open_counts = np.zeros(len(bars.times) - start, np.int64)
    for row in range(start, len(bars.times)):
        given = TickInput(_tick(bars, ready, row), ready.setup.limits, ready.setup.account_limits, none)
        taken.append(step_once(state, given, ready.setup.context))
        open_counts[row - start] = int((state.positions.qty != 0).sum())
    return Result(
        bars=bars, profile=terms.profile, contract=contract_of(ready, start, stacked),
        slippage_rate=int(ready.setup.account_limits.slippage_rate[0]),
        instrument_records=ready.setup.context.instruments, events=_joined([own.events for own in taken], EVENT),
        proposals=_joined([own.proposals for own in taken], PROPOSAL),
        proposal_ticks=_proposal_ticks(taken),
        equity_rows=_equity(taken, open_counts), state=state,
    )  # fmt: skip


def _tick(bars: Bars, ready: Prepared, row: int) -> Tick:
    tick = bars.tick(row)
    if not ready.funding:
        tick.symbols.funding_rate = tick.symbols.funding_inside = 0
    return tick


def _joined(parts: list[Records], dtype: np.dtype[np.void]) -> Records:
    kept = [np.asarray(part) for part in parts if len(part)]
    return np.concatenate(kept).view(np.recarray) if kept else records(dtype, 0)


def _proposal_ticks(taken: list[TickOutput]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    counts = [len(own.proposals) for own in taken]
    return np.repeat(np.array([own.tick_at for own in taken], np.int64), counts)


def _equity(taken: list[TickOutput], open_counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Records:
    rows = records(EQUITY_ROW, len(taken))
    rows.tick_at = [own.tick_at for own in taken]
    for name in ("cash", "margin", "unrealized", "equity", "gross_exposure"):
        rows[name] = [getattr(own.mark, name) for own in taken]
    rows.open_positions = open_counts
    return rows
