"""The host's side of the GPU sweep: prepare and prove as the replay does, move arrays, launch tile by tile.

A launch takes TICKS_PER_LAUNCH ticks of at most ROWS_PER_BATCH rows, so that it stays short (a display's watchdog, a
shared device) and memory does not grow with rows x bars: bars are packed and moved per launch, states stay on the
device. What the numbers mean is in `step`; nothing here computes.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.kernel.account.valuation import net_equities
from openclaw_pipelines.kernel.base.layout import (
    EVENT,
    EVENTS_PER_SYMBOL,
    PROPOSAL,
    PROPOSALS_PER_SYMBOL,
    SYMBOL_TICK,
    Records,
    new_state,
)
from openclaw_pipelines.kernel.cuda.device import device_name, driver_api, failures_named, simulated
from openclaw_pipelines.kernel.run.bars import Bars, Matrices
from openclaw_pipelines.kernel.run.replay import Costs, Prepared, Terms, contract_of, prepare
from openclaw_pipelines.kernel.strategy.indicator_rows import width
from openclaw_pipelines.kernel.strategy.params import PARAMS
from openclaw_pipelines.kernel.sweep.result import Sweep, is_day_end
from openclaw_pipelines.kernel.sweep.sweep import NoRowsError, Progress
from openclaw_pipelines.kernel.sweep.tally import SYMBOL_TALLY, TALLY

TICKS_PER_LAUNCH = 4_096
ROWS_PER_BATCH = 32_768
THREADS_PER_BLOCK = 32
"""One warp: a sweep has few rows for a device's thousands of cores, small blocks spread over all of them."""


Moved = Any
"""An array, here or on the device."""


class _Batch(NamedTuple):
    """The arrays of some rows in the order of `advance`'s arguments: State's parts, outputs, scratch, parameters."""

    accounts: Moved
    positions: Moved
    indicators: Moved
    order_times: Moved
    tallies: Moved
    symbol_tallies: Moved
    day_equity: Moved
    events: Moved
    proposals: Moved
    params: Moved


def sweep(
    bars: Bars,
    rows: NDArray[np.void],
    costs: Costs | None = None,
    *,
    profile: str = "strict",
    capital: Decimal = Decimal(10_000),
    limits: Records | None = None,
    account_limits: Records | None = None,
    start: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Sweep:
    """Run every parameter row on an account of its own, on the GPU; the same bits as `kernel.sweep.sweep`.

    Arguments are as there: `rows` are PARAMS[R] of `params.stack_params`, families may be mixed. `progress` is called
    once per batch and launch, when the device has done it; bars count for each batch.

    Raises:
        CudaMissingError, CudaDeviceError: no extra, no device.
        CudaFailedError: compiling for it or running on it failed.
        NoRowsError: no rows.
        UnknownProfileError, MoneyRangeError, ReplayWindowError: as in `replay`.
    """
    terms = Terms(costs=costs or Costs(), profile=profile, capital=capital, limits=limits,
                  account_limits=account_limits, start=start)  # fmt: skip
    return sweep_under(bars, rows, terms, progress)


def sweep_under(
    bars: Bars, rows: NDArray[np.void], terms: Terms, progress: Callable[[Progress], None] | None = None
) -> Sweep:
    """`sweep` under given terms."""
    device = device_name()
    if len(rows) == 0:
        raise NoRowsError
    rows = np.ascontiguousarray(rows, PARAMS)
    ready, start = prepare(bars, rows, terms), terms.start
    order = np.argsort(rows["family"], kind="stable")  # threads of a warp then take the same branches
    kernel = _kernel()
    batches = [rows[order[at : at + ROWS_PER_BATCH]] for at in range(0, len(rows), ROWS_PER_BATCH)]
    done = _counter(progress, len(batches) * len(bars.times), len(rows))
    parts = [_run(kernel, device, bars, ready, batch, start, done) for batch in batches]
    return _as_sweep(parts, np.argsort(order), bars, rows, ready, terms.profile, start)


@cache
def _kernel() -> Any:
    """The loop as a kernel, compiled at its first launch and kept while the process lives."""
    from openclaw_pipelines.kernel.cuda.loop import advance

    if simulated():
        return driver_api().jit(advance)
    from openclaw_pipelines.kernel.cuda.exact import use_exact_products

    use_exact_products()
    # without link-time optimisation the device runs the very PTX that is checked
    return driver_api().jit(lto=False)(advance)


def _counter(progress: Callable[[Progress], None] | None, bars: int, rows: int) -> Callable[[int], None]:
    """What is called with the ticks of each launch and tells how many bars the device has done."""
    done = 0

    def launched(ticks: int) -> None:
        nonlocal done
        done += ticks
        if progress is not None:
            progress(Progress(done, bars, rows))

    return launched


def _run(
    kernel: Any, device: str, bars: Bars, ready: Prepared, rows: NDArray[np.void], start: int,
    launched: Callable[[int], None],
) -> _Batch:  # fmt: skip
    """Take a batch of rows through all bars; the arrays as they are afterwards, on the host."""
    setup, columns = ready.setup, _day_columns(bars, start)
    with failures_named(device):
        batch = _Batch(*map(_moved, _new_batch(bars, ready.cash, rows, start, int(columns[-1]) + 1)))
        shared = [_moved(part) for part in (setup.limits, setup.account_limits, setup.context.instruments)]
    blocks = -(-len(rows) // THREADS_PER_BLOCK)
    for first, ticks in _tiles(ready.matrices):
        first_at = int(bars.times[first]) + bars.interval_seconds
        with failures_named(device):
            kernel[blocks, THREADS_PER_BLOCK](
                *batch, _moved(ticks), _moved(columns[first : first + len(ticks)]), *shared, bars.interval_seconds,
                setup.context.profile, first_at, max(start - first, 0),
            )  # fmt: skip
            driver_api().synchronize()  # a launch only queues
        launched(len(ticks))
    with failures_named(device):
        return _Batch(*(array.copy_to_host() for array in batch))


def _day_columns(bars: Bars, start: int) -> NDArray[np.int64]:
    """Column of `day_equity` [T] that each tick writes; ticks before `start` write none."""
    ends = is_day_end(bars.times[start:] + bars.interval_seconds).astype(np.int64)
    return np.concatenate([np.zeros(start, np.int64), np.cumsum(ends) - ends])


def _new_batch(bars: Bars, cash: int, rows: NDArray[np.void], start: int, n_days: int) -> _Batch:
    n_rows, n_symbols = len(rows), len(bars.symbols)
    widest = max(width(row) for row in rows)
    state = new_state(np.zeros((n_symbols, widest)), cash, int(bars.times[start]))
    return _Batch(
        *(np.repeat(np.asarray(part)[None], n_rows, axis=0) for part in state),
        tallies=np.zeros(n_rows, TALLY),
        symbol_tallies=np.zeros((n_rows, n_symbols), SYMBOL_TALLY),
        day_equity=np.zeros((n_rows, n_days), np.int64),
        events=np.zeros((n_rows, EVENTS_PER_SYMBOL * n_symbols), EVENT),
        proposals=np.zeros((n_rows, PROPOSALS_PER_SYMBOL * n_symbols), PROPOSAL),
        params=rows.reshape(n_rows, 1),
    )  # type: ignore[misc]


def _moved(array: NDArray[np.generic]) -> Moved:
    """The array on the device, its records declared aligned."""
    from openclaw_pipelines.kernel.cuda.loop import aligned

    plain = np.ascontiguousarray(array)
    return driver_api().to_device(plain.view(aligned(plain.dtype)) if plain.dtype.names else plain)


def _tiles(matrices: Matrices) -> Iterator[tuple[int, NDArray[np.void]]]:
    """First bar and SYMBOL_TICK[N, S] of each launch."""
    for first in range(0, len(matrices.open), TICKS_PER_LAUNCH):
        tile = slice(first, first + TICKS_PER_LAUNCH)
        ticks = np.zeros(matrices.open[tile].shape, SYMBOL_TICK)
        for name in Matrices._fields:
            ticks[name] = getattr(matrices, name)[tile]
        yield first, ticks


def _as_sweep(
    parts: list[_Batch], place: NDArray[np.int64], bars: Bars, rows: NDArray[np.void], ready: Prepared, profile: str,
    start: int,
) -> Sweep:  # fmt: skip
    """Batches put together, each row back in its place."""

    def gathered(name: str) -> Records:
        array = np.concatenate([getattr(part, name) for part in parts])[place]
        # records lose the mark of alignment again, else compiled code would take them for another type
        return array.view(np.dtype(array.dtype.descr)).view(np.recarray) if array.dtype.names else array

    ticks = bars.times[start:] + bars.interval_seconds
    accounts, positions = gathered("accounts")[:, 0].copy(), gathered("positions")
    setup = ready.setup
    slippage_rate = int(setup.account_limits.slippage_rate[0])
    return Sweep(
        symbols=bars.symbols, bars_hash=bars.bars_hash, profile=profile, contract=contract_of(ready, start),
        capital=ready.cash, rows=rows, tallies=gathered("tallies"), symbol_tallies=gathered("symbol_tallies"),
        accounts=accounts, positions=positions, order_times=gathered("order_times"),
        day_ends=ticks[is_day_end(ticks)].copy(), day_equity=gathered("day_equity"),
        net_equity=net_equities(accounts, positions, setup.context.instruments, slippage_rate),
    )  # fmt: skip
