"""Many parameter rows over the same bars, with results equal to the bit to a `replay` of each row.

Time is cut into tiles. The indicator columns that the rows need are computed once per tile, by all threads together;
then each thread walks its rows through the tile. Memory is that of one tile and one account per row. Which rows to try
is in `domain.factory.space`, what comes out in `result`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel.account.valuation import net_equities
from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.base.jit import entered
from openclaw_pipelines.kernel.base.layout import (
    EVENT,
    EVENTS_PER_SYMBOL,
    PROPOSAL,
    PROPOSALS_PER_SYMBOL,
    RING_SIZE,
    SYMBOL_TICK,
    Context,
    Records,
    State,
    records,
)
from openclaw_pipelines.kernel.run.bars import Bars, Matrices
from openclaw_pipelines.kernel.run.planned import NO_PLAN
from openclaw_pipelines.kernel.run.replay import PROFILES, Costs, Setup, Terms, contract_of, prepare
from openclaw_pipelines.kernel.strategy.params import PARAMS
from openclaw_pipelines.kernel.sweep.columns import (
    Carried,
    Plan,
    Series,
    fill_columns,
    keep_history,
    new_carried,
    new_series,
    observe_tile,
    plan_columns,
)
from openclaw_pipelines.kernel.sweep.flags import Setups, mark_flags
from openclaw_pipelines.kernel.sweep.result import Sweep, is_day_end, new_books
from openclaw_pipelines.kernel.sweep.scan import TileBars, new_blocks, survey
from openclaw_pipelines.kernel.sweep.tally import SYMBOL_TALLY, TALLY
from openclaw_pipelines.kernel.sweep.walk import Given, Scratch, walk
from openclaw_pipelines.kernel.sweep.worth import Account

Number = TypeVar("Number", bound=np.generic)
COLUMN_BYTES = 4 * 2**20
"""Memory for indicator columns; it decides the length of a tile."""
SHORTEST_TILE, LONGEST_TILE = 1_024, 4_096
STRICT = PROFILES.index("strict")
_NO_GIVEN = Given(np.zeros(3), 0, np.zeros(1, np.int64), 0, NO_PLAN, 0)


class NoRowsError(KernelError):
    """A sweep over nothing."""

    template = "a sweep needs at least one parameter row. Widen the space or check its filter."


_NO_EVENTS = records(EVENT, 0)


@dataclass(frozen=True)
class Progress:
    """How far a sweep is: bars done of all."""

    bars_done: int
    bars: int
    rows: int


@dataclass(frozen=True, eq=False)
class Book:
    """One account per row."""

    accounts: Records
    positions: Records
    order_times: NDArray[np.int64]
    tallies: Records
    symbol_tallies: Records
    day_equity: NDArray[np.int64]
    setups: Setups


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
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Sweep:
    """Run every parameter row on an account of its own.

    Args:
        bars: see `Bars`.
        rows: PARAMS[R] of `params.stack_params`; families may be mixed.
        costs: fees, slippage and whether funding is charged.
        profile: candle rules; others than `strict` take every bar of an open position by the full rules.
        capital: quote currency, of each row.
        limits: LIMITS[S]; nothing binds where not given.
        account_limits: ACCOUNT_LIMITS[1]; its slippage is replaced by that of `costs`.
        start: first bar whose tick trades; earlier bars only warm the indicators.
        threads: walkers side by side; one per processor where not given. It changes nothing in the result.
        progress: called after each tile, from the calling thread.

    Raises:
        NoRowsError: no rows.
        UnknownProfileError, MoneyRangeError, ReplayWindowError: as for `replay`.
    """
    terms = Terms(costs=costs or Costs(), profile=profile, capital=capital, limits=limits,
                  account_limits=account_limits, start=start)  # fmt: skip
    return sweep_under(bars, rows, terms, threads, progress)


def sweep_under(
    bars: Bars, rows: NDArray[np.void], terms: Terms, threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Sweep:  # fmt: skip
    """`sweep` under given terms."""
    if len(rows) == 0:
        raise NoRowsError
    rows = np.ascontiguousarray(rows, PARAMS)
    ready, start = prepare(bars, rows, terms), terms.start
    ticks = bars.times[start:] + bars.interval_seconds
    book = new_book(len(rows), bars, ready.cash, start, int(is_day_end(ticks).sum()))
    workers = max(1, min(threads or os.cpu_count() or 1, len(rows)))
    _run(bars, rows, ready.setup, ready.matrices, book, start, workers, progress)
    return Sweep(
        symbols=bars.symbols, bars_hash=bars.bars_hash, profile=terms.profile,
        contract=contract_of(ready, start), capital=ready.cash, rows=rows, tallies=book.tallies,
        symbol_tallies=book.symbol_tallies, accounts=book.accounts, positions=book.positions,
        order_times=book.order_times, day_ends=ticks[is_day_end(ticks)].copy(), day_equity=book.day_equity,
        net_equity=net_equities(
            book.accounts, book.positions, ready.setup.context.instruments,
            int(ready.setup.account_limits.slippage_rate[0]),
        ),
    )  # fmt: skip


def new_book(n_rows: int, bars: Bars, cash: int, start: int, n_days: int) -> Book:
    """Flat accounts at bar `start`."""
    n_symbols = len(bars.symbols)
    accounts, positions = new_books(n_rows, n_symbols)
    fields = np.asarray(accounts)  # setting a field of a recarray takes three times as long
    for name in ("cash", "equity", "day_open_equity", "peak_equity"):
        fields[name] = cash
    fields["day"] = int(bars.times[start]) // 86_400
    fields["last_tick"] = fields["last_order_at"] = np.asarray(positions)["last_exit_at"] = -1
    shape = (n_rows, n_symbols)
    return Book(
        accounts, positions, np.full((n_rows, RING_SIZE), -1, np.int64), records(TALLY, n_rows),
        np.zeros(shape, SYMBOL_TALLY).view(np.recarray), np.zeros((n_rows, n_days), np.int64),
        Setups(np.zeros(shape, np.int64), np.zeros(shape, np.int64)),
    )  # fmt: skip


def _run(
    bars: Bars, rows: NDArray[np.void], setup: Setup, matrices: Matrices, book: Book, start: int, workers: int,
    progress: Callable[[Progress], None] | None,
) -> None:  # fmt: skip
    plan, n_symbols = plan_columns(rows), len(bars.symbols)
    length = _tile_length(plan, n_symbols, len(bars.times))
    series, carried = new_series(plan, n_symbols, length), new_carried(plan, n_symbols)
    columns = np.zeros((len(plan.kinds), n_symbols, length))
    scratches = [new_scratch(n_symbols, length) for _ in range(workers)]
    fillers = [np.zeros((2, plan.history + length)) for _ in range(workers)]
    day_index = np.zeros(len(rows), np.int64)
    with ThreadPoolExecutor(workers) as pool:
        for begin in range(0, len(bars.times), length):
            tile, volume = load_tile(bars, matrices, begin, length)
            counts = [
                observe_tile(
                    series, tile.bar_state, (tile.open, tile.high, tile.low, tile.close), volume, s, plan.history,
                    int(carried.seen[s]), tile.seen,
                )
                for s in range(n_symbols)
            ]  # fmt: skip
            _fill_side_by_side(pool, workers, plan, series, carried, columns, counts, tile, fillers)
            for s, count in enumerate(counts):
                keep_history(series, s, plan.history, count)
                carried.seen[s] += count
            first = max(start - begin, 0)
            size = len(tile.times)
            _walk_side_by_side(pool, workers, rows, plan, setup, book, tile, columns, scratches, day_index, first)
            if progress is not None:
                progress(Progress(begin + size, len(bars.times), len(rows)))


def _tile_length(plan: Plan, n_symbols: int, n_bars: int) -> int:
    """Bars of a tile: a multiple of eight, so that flags can be read eight at a time."""
    fitting = COLUMN_BYTES // (8 * n_symbols * len(plan.kinds))
    length = min(max(fitting, SHORTEST_TILE), LONGEST_TILE, n_bars + 7)
    return max(length // 8 * 8, 8)


def new_scratch(n_symbols: int, length: int, worth: NDArray[np.int64] | None = None) -> Scratch:
    """Buffers of one thread for tiles of `length` bars. worth: where the account's value goes, if it is wanted."""
    flags = np.empty((n_symbols, length), np.uint8)
    flags[:, -8:] = 0  # the last word may reach beyond the bars
    return Scratch(
        flags, flags.view(np.uint64), np.empty(length, np.uint8),
        np.empty(length, np.int64) if worth is None else worth,
        np.zeros(n_symbols, np.int64), records(EVENT, EVENTS_PER_SYMBOL * n_symbols),
        records(PROPOSAL, PROPOSALS_PER_SYMBOL * n_symbols), records(SYMBOL_TICK, n_symbols),
        np.zeros((1, slots.SLOTS)),
    )  # fmt: skip


def load_tile(bars: Bars, matrices: Matrices, begin: int, length: int) -> tuple[TileBars, NDArray[np.float64]]:
    """The bars [begin, begin + length) with each symbol's in one piece, and their volume."""
    rows = slice(begin, begin + length)

    def by_symbol(array: NDArray[Number]) -> NDArray[Number]:
        return np.ascontiguousarray(array[rows].T)

    state, funding = by_symbol(matrices.bar_state), by_symbol(matrices.funding_rate)
    opens, highs, lows, closes = (
        by_symbol(array) for array in (matrices.open, matrices.high, matrices.low, matrices.close)
    )
    tile = TileBars(
        opens, highs, lows, closes, np.stack((opens, highs, lows, closes), axis=2), state, funding,
        by_symbol(matrices.funding_inside), by_symbol(matrices.in_universe), by_symbol(matrices.control),
        np.empty(state.shape, np.uint8), new_blocks(*state.shape), np.empty(state.shape, np.int64), bars.times[rows],
    )  # fmt: skip
    survey(tile)
    return tile, by_symbol(matrices.volume)


def _shares(total: int, workers: int) -> Iterator[tuple[int, int]]:
    bounds = [total * i // workers for i in range(workers + 1)]
    return pairwise(bounds)


def _fill_side_by_side(
    pool: ThreadPoolExecutor, workers: int, plan: Plan, series: Series, carried: Carried,
    columns: NDArray[np.float64], counts: list[int], tile: TileBars, fillers: list[NDArray[np.float64]],
) -> None:  # fmt: skip
    size = len(tile.times)
    _side_by_side(pool, [
        partial(
            fill_columns, plan, series, carried, columns, size, counts, tile.bar_state, filler,
            range(i, len(plan.kinds), workers),
        )
        for i, filler in enumerate(fillers)
    ])  # fmt: skip


def _walk_side_by_side(
    pool: ThreadPoolExecutor, workers: int, rows: NDArray[np.void], plan: Plan, setup: Setup, book: Book,
    tile: TileBars, columns: NDArray[np.float64], scratches: list[Scratch], day_index: NDArray[np.int64], first: int,
) -> None:  # fmt: skip
    stepwise = 0 if setup.context.profile == STRICT else 1
    calls = []
    for (low, high), scratch in zip(_shares(len(rows), workers), scratches, strict=True):
        calls.append(
            partial(
                walk_rows, low, high, rows, plan.maps, setup, _NO_GIVEN, book.accounts, book.positions,
                book.order_times, book.tallies, book.symbol_tallies, book.day_equity, book.setups, tile, columns,
                scratch, day_index, _NO_EVENTS, np.zeros(1, np.int64), first, stepwise,
            )
        )  # fmt: skip
    _side_by_side(pool, calls)


def _side_by_side(pool: ThreadPoolExecutor, calls: Sequence[Callable[[], object]]) -> None:
    """Run all, the first in the calling thread: handing work to another takes as long as walking some rows."""
    jobs = [pool.submit(call) for call in calls[1:]]
    calls[0]()
    for job in jobs:
        job.result()


@entered
def walk_rows(
    low: int, high: int, rows: NDArray[Any], maps: NDArray[np.int32], setup: Setup, given: Given, accounts: Records,
    positions: Records, order_times: NDArray[np.int64], tallies: Records, symbol_tallies: Records,
    day_equity: NDArray[np.int64], setups: Setups, tile: TileBars, columns: NDArray[np.float64], scratch: Scratch,
    day_index: NDArray[np.int64], kept: Records, kept_count: NDArray[np.int64], first: int, stepwise: int,
) -> None:  # fmt: skip
    """Walk the rows [low, high) through a tile, trading from its bar `first` on."""
    n = len(tile.times)
    for r in range(low, high):
        params, row_map = rows[r], maps[r]
        for s in range(positions.shape[1]):
            mark_flags(
                scratch.flags[s], scratch.sides, columns, row_map, params, tile.bar_state, tile.seen, s,
                setups, r,
            )  # fmt: skip
        if first >= n:
            continue
        context = Context(
            setup.context.instruments, rows[r : r + 1], setup.context.interval_seconds, setup.context.profile
        )
        own = Account(
            State(accounts[r : r + 1], positions[r], scratch.row, order_times[r]), tallies[r : r + 1],
            symbol_tallies[r], day_equity[r], kept, kept_count,
        )  # fmt: skip
        day_index[r] = walk(
            own, tile, Setup(setup.limits, setup.account_limits, context), given, scratch, columns, row_map, first,
            day_index[r], stepwise,
        )  # fmt: skip
        last_tick = tile.times[n - 1] + context.interval_seconds
        if day_index[r] < day_equity.shape[1] and last_tick % 86_400 != 0:
            day_equity[r, day_equity.shape[1] - 1] = accounts[r].equity
