"""The loop of one thread: a tile of ticks of one parameter row. The same source runs on a device and in the simulator.

What a thread writes per row belongs to it alone; ticks, limits and instruments are shared and only read. The arrays are
made, moved and read by `host`.
"""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.base.layout import Context, Records, State, Tick
from openclaw_pipelines.kernel.run.step import observe_bars, step
from openclaw_pipelines.kernel.sweep.tally import note_drawdown, tally_events

cuda: Any = importlib.import_module("numba.cuda")  # has no types; the simulator wants the module itself


def advance(
    accounts: Records, positions: Records, indicators: NDArray[np.float64], order_times: NDArray[np.int64],
    tallies: Records, symbol_tallies: Records, day_equity: NDArray[np.int64], events: Records, proposals: Records,
    params: NDArray[Any], ticks: Records, day_columns: NDArray[np.int64], limits: Records, account_limits: Records,
    instruments: Records, interval_seconds: int, profile: int, first_at: int, n_warming: int,
) -> None:  # fmt: skip
    """Take the thread's row through a tile of ticks; a kernel, so it returns nothing.

    The parts of `State` have one entry per row: accounts ACCOUNT[R, 1], positions POSITION[R, S], indicators [R, S, W],
    order_times [R, RING_SIZE]. So have the outputs, tallies TALLY[R], symbol_tallies SYMBOL_TALLY[R, S] and day_equity
    [R, D] in atoms, the scratch, events [R, EVENTS_PER_SYMBOL * S] and proposals [R, PROPOSALS_PER_SYMBOL * S], and the
    parameters PARAMS[R, 1]. Shared are ticks SYMBOL_TICK[N, S], the first at `first_at`, of which the first `n_warming`
    only warm indicators, the column of `day_equity` that each belongs to, day_columns [N], and limits, account_limits,
    instruments and the `layout.Profile` number as `step` takes them.
    """
    r = cuda.grid(1)
    if r >= params.shape[0]:
        return
    state = State(accounts[r], positions[r], indicators[r], order_times[r])
    context = Context(instruments, params[r], interval_seconds, profile)
    for i in range(ticks.shape[0]):
        tick = Tick(first_at + i * interval_seconds, ticks[i])
        if i < n_warming:
            observe_bars(state, tick, context)
        else:
            _, n_events = step(state, tick, limits, account_limits, context, events[r], proposals[r], 0)
            tally_events(tallies[r], symbol_tallies[r], instruments, events[r], n_events)
            account = state.account[0]
            note_drawdown(tallies[r], account.peak_equity, account.peak_equity - account.equity)
            day_equity[r, day_columns[i]] = account.equity  # the day's last tick stays


def aligned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The same record, declared aligned: of one that is not, a device reads every field byte by byte.

    >>> record = np.dtype([("price", np.int64), ("volume", np.float64)])
    >>> aligned(record).isalignedstruct, aligned(record).itemsize
    (True, 16)
    """
    return np.dtype(dtype.descr, align=True)
