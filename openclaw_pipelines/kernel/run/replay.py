"""Walk a strategy over many ticks with full events: the same `step` the paper executor takes one at a time.

Sweeps over many parameter rows are in `sweep`; given signals instead of a strategy are in `simulate`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel.account.valuation import mark, open_positions
from openclaw_pipelines.kernel.base.jit import compiled
from openclaw_pipelines.kernel.base.layout import (
    EVENT,
    EVENTS_PER_SYMBOL,
    PROPOSAL,
    PROPOSALS_PER_SYMBOL,
    SYMBOL_TICK,
    Context,
    Profile,
    Records,
    State,
    Tick,
    new_account_limits,
    new_limits,
    new_state,
    records,
)
from openclaw_pipelines.kernel.base.money import prove_ranges, to_atoms, to_rate
from openclaw_pipelines.kernel.run.bars import Bars, Matrices
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.run.step import observe_bars, step
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators
from openclaw_pipelines.kernel.strategy.params import stack_params

PROFILES = tuple(profile.name.lower() for profile in Profile)
EQUITY_ROW = np.dtype(
    [
        (name, np.int64)
        for name in ("tick_at", "cash", "margin", "unrealized", "equity", "gross_exposure", "open_positions")
    ]
)
_FIRST_CAPACITY = 1_024


class UnknownProfileError(KernelError):
    """Candle rules that the kernel does not have."""

    template = "unknown candle profile {profile!r}. Known: {known}."
    profile: str
    known: str


class ReplayWindowError(KernelError):
    """A start outside the bars."""

    template = "start is bar {start} of {bars} bars. Choose a bar that exists."
    start: int
    bars: int


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Cost model of a run. None takes the instrument's own rate.

    >>> Costs(fee_bps=Decimal("4.5")).slippage_bps
    Decimal('0')
    """

    fee_bps: Decimal | None = None
    liquidation_fee_bps: Decimal | None = None
    slippage_bps: Decimal = Decimal(0)
    funding: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """What a run is made under, besides bars and parameters; see `replay`."""

    costs: Costs = field(default_factory=Costs)
    profile: str = "strict"
    capital: Decimal = Decimal(10_000)
    limits: Records | None = None
    account_limits: Records | None = None
    start: int = 0


class Written(NamedTuple):
    """Growing buffers of a run and the caller's counts."""

    events: Records
    proposals: Records
    proposal_ticks: NDArray[np.int64]
    equity: Records


class Setup(NamedTuple):
    """Arrays a loop reads besides the bars."""

    limits: Records
    account_limits: Records
    context: Context


class Prepared(NamedTuple):
    """What a run over bars reads."""

    setup: Setup
    matrices: Matrices
    cash: int
    funding: bool


def replay(
    bars: Bars,
    params: np.record,
    costs: Costs | None = None,
    *,
    profile: str = "strict",
    capital: Decimal = Decimal(10_000),
    limits: Records | None = None,
    account_limits: Records | None = None,
    start: int = 0,
) -> Result:
    """Replay one strategy over all bars.

    Args:
        bars: see `Bars`; the step at row t is the tick that closes bar t.
        params: one record of `params.params_record`.
        costs: fees, slippage and whether funding is charged.
        profile: candle rules, one of `PROFILES`.
        capital: quote currency.
        limits: LIMITS[S]; nothing binds where not given.
        account_limits: ACCOUNT_LIMITS[1]; its slippage is replaced by that of `costs`.
        start: first bar whose tick trades; earlier bars only warm the indicators.

    Raises:
        UnknownProfileError, MoneyRangeError, ReplayWindowError: as their names say.
    """
    terms = Terms(costs=costs or Costs(), profile=profile, capital=capital, limits=limits,
                  account_limits=account_limits, start=start)  # fmt: skip
    return replay_under(bars, params, terms)


def replay_under(bars: Bars, params: np.record, terms: Terms) -> Result:
    """`replay` under given terms."""
    stacked = stack_params([params])
    return run(bars, stacked, new_indicators(len(bars.symbols), stacked[0]), replay_loop, (), terms)


def run(
    bars: Bars,
    params: NDArray[np.void],
    indicators: NDArray[np.float64],
    loop: Callable[..., tuple[int, int, int]],
    extra: tuple[Any, ...],
    terms: Terms,
) -> Result:
    """Prepare, prove ranges, and drive a compiled loop until every tick is done, growing its buffers."""
    ready, start = prepare(bars, params, terms), terms.start
    setup, matrices = ready.setup, ready.matrices
    state = new_state(indicators, ready.cash, int(bars.times[start]))
    written, n_events, n_proposals = _drive(loop, extra, state, matrices, bars, setup, start)
    return Result(
        bars=bars,
        profile=terms.profile,
        contract=contract_of(ready, start, params, *extra),
        slippage_rate=int(setup.account_limits.slippage_rate[0]),
        instrument_records=setup.context.instruments,
        events=written.events[:n_events],
        proposals=written.proposals[:n_proposals],
        proposal_ticks=written.proposal_ticks[:n_proposals],
        equity_rows=written.equity,
        state=state,
    )


def prepare(bars: Bars, params: NDArray[np.void], terms: Terms) -> Prepared:
    """Costs, limits and capital as the kernel reads them, with ranges proved."""
    _refuse(bars, terms.profile, terms.start)
    costs = terms.costs
    instruments = instruments_with(bars, costs)
    limits = new_limits(len(bars.symbols)) if terms.limits is None else terms.limits.copy()
    account_limits = new_account_limits() if terms.account_limits is None else terms.account_limits.copy()
    account_limits["slippage_rate"] = to_rate(costs.slippage_bps / 10_000, "slippage")
    cash = to_atoms(terms.capital)
    prove_ranges(instruments, limits, cash, *bars.price_range)
    context = Context(instruments, params, bars.interval_seconds, PROFILES.index(terms.profile))
    setup = Setup(limits, account_limits, context)
    matrices = bars.matrices if costs.funding else _without_funding(bars)
    return Prepared(setup, matrices, cash, costs.funding)


def instruments_with(bars: Bars, costs: Costs) -> Records:
    """INSTRUMENT[S] with the cost model's fees in place."""
    instruments = bars.instrument_records.copy()
    if costs.fee_bps is not None:
        instruments["taker_rate"] = to_rate(costs.fee_bps / 10_000, "fee_bps")
    if costs.liquidation_fee_bps is not None:
        instruments["liquidation_rate"] = to_rate(costs.liquidation_fee_bps / 10_000, "liquidation_fee_bps")
    return instruments


def _refuse(bars: Bars, profile: str, start: int) -> None:
    if profile not in PROFILES:
        raise UnknownProfileError(profile, ", ".join(PROFILES))
    if not 0 <= start < len(bars.times):
        raise ReplayWindowError(start, len(bars.times))


def _without_funding(bars: Bars) -> Matrices:
    zeros = np.zeros_like(bars.matrices.funding_rate)
    zeros.flags.writeable = False  # read-only as the other matrices, else the loop would be compiled twice
    return bars.matrices._replace(funding_rate=zeros, funding_inside=zeros)


def contract_of(ready: Prepared, start: int, *parts: NDArray[np.generic]) -> str:
    """Hash of what besides the bars decides a run: capital, window, costs, limits, and the given parts."""
    context = ready.setup.context
    known = (ready.cash, context.interval_seconds, context.profile, start, ready.funding)
    digest = hashlib.sha256(repr(known).encode())
    for part in (ready.setup.limits, ready.setup.account_limits, context.instruments, *parts):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _drive(
    loop: Callable[..., tuple[int, int, int]],
    extra: tuple[object, ...],
    state: State,
    matrices: Matrices,
    bars: Bars,
    setup: Setup,
    start: int,
) -> tuple[Written, int, int]:
    n_symbols, n_ticks = len(bars.symbols), len(bars.times)
    scratch = tick_buffers(n_symbols)
    capacity = max(_FIRST_CAPACITY, 2 * len(scratch[0]))
    written = Written(
        records(EVENT, capacity), records(PROPOSAL, capacity), np.zeros(capacity, np.int64),
        records(EQUITY_ROW, n_ticks - start),
    )  # fmt: skip
    row, n_events, n_proposals = 0, 0, 0
    while True:
        row, n_events, n_proposals = loop(
            state, matrices, bars.times, setup, written, scratch, row, start, n_events, n_proposals, *extra
        )
        if row == n_ticks:
            return written, n_events, n_proposals
        written = _doubled(written)


def tick_buffers(n_symbols: int, n_external: int = 0) -> tuple[Records, Records, Records]:
    """EVENT, PROPOSAL and SYMBOL_TICK records for one tick of `n_symbols`."""
    return (
        records(EVENT, EVENTS_PER_SYMBOL * n_symbols),
        records(PROPOSAL, PROPOSALS_PER_SYMBOL * n_symbols + n_external),
        records(SYMBOL_TICK, n_symbols),
    )


def _doubled(written: Written) -> Written:
    def grown(array: Records) -> Records:
        larger = np.zeros(2 * len(array), array.dtype)
        larger[: len(array)] = array
        return larger.view(np.recarray) if array.dtype.names else larger

    return Written(grown(written.events), grown(written.proposals), grown(written.proposal_ticks), written.equity)


@compiled
def replay_loop(
    state: State, matrices: Matrices, times: NDArray[np.int64], setup: Setup, written: Written,
    scratch: tuple[Records, Records, Records], row: int, start: int, n_events: int, n_proposals: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Take ticks from `row` on until the end or until the buffers may not hold another. Returns row and counts."""
    events, proposals, symbols = scratch
    last_event, last_proposal = len(written.events) - len(events), len(written.proposals) - len(proposals)
    while row < len(times) and n_events <= last_event and n_proposals <= last_proposal:
        tick = load_tick(matrices, times, row, setup.context.interval_seconds, symbols)
        if row < start:
            observe_bars(state, tick, setup.context)
        else:
            new_proposals, new_events = step(
                state, tick, setup.limits, setup.account_limits, setup.context, events, proposals, 0
            )
            n_events = keep_events(written, events, new_events, n_events)
            n_proposals = keep_proposals(written, proposals, new_proposals, n_proposals, tick.at)
            keep_equity(written, state, setup.context, tick.at, row - start)
        row += 1
    return row, n_events, n_proposals


@compiled
def load_tick(matrices: Matrices, times: NDArray[np.int64], row: int, interval_seconds: int, symbols: Records) -> Tick:
    """Copy row `row` of the bars into `symbols`."""
    for s in range(len(symbols)):
        symbol = symbols[s]
        symbol.open, symbol.high = matrices.open[row, s], matrices.high[row, s]
        symbol.low, symbol.close = matrices.low[row, s], matrices.close[row, s]
        symbol.volume, symbol.bar_state = matrices.volume[row, s], matrices.bar_state[row, s]
        symbol.funding_rate, symbol.funding_inside = matrices.funding_rate[row, s], matrices.funding_inside[row, s]
        symbol.in_universe, symbol.control = matrices.in_universe[row, s], matrices.control[row, s]
    return Tick(times[row] + interval_seconds, symbols)


@compiled
def keep_events(written: Written, events: Records, count: int, n: int) -> int:
    """Append the tick's events."""
    for i in range(count):
        written.events[n + i] = events[i]
    return n + count


@compiled
def keep_proposals(written: Written, proposals: Records, count: int, n: int, tick_at: int) -> int:
    """Append the tick's proposals."""
    for i in range(count):
        written.proposals[n + i] = proposals[i]
        written.proposal_ticks[n + i] = tick_at
    return n + count


@compiled
def keep_equity(written: Written, state: State, context: Context, tick_at: int, index: int) -> None:
    """Write the account's value after the tick."""
    now, row = mark(state, context), written.equity[index]
    row.tick_at, row.cash, row.margin, row.unrealized = tick_at, now.cash, now.margin, now.unrealized
    row.equity, row.gross_exposure = now.equity, now.gross_exposure
    row.open_positions = open_positions(state.positions)
