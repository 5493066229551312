"""Baselines: random trades cost to the atom what the kernel books, holding is worth what a hand table says."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from domain.selection.controls import FIRST, HOUR, SYMBOLS, flat_bars, walk_bars, walk_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.domain.selection.baselines import (
    PlacementError,
    buy_and_hold,
    exposure_bps,
    is_inside_a_bar,
    random_entries,
    share_not_below,
)
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.base.layout import records
from openclaw_pipelines.kernel.base.money import from_atoms, to_atoms, to_rate
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.random_trades import PLACED, trade_nets
from openclaw_pipelines.kernel.run.replay import Costs, instruments_with
from openclaw_pipelines.kernel.run.simulate import simulate_signals

FREE = Costs(fee_bps=Decimal(0))
COSTS = Costs(fee_bps=Decimal("4.5"), slippage_bps=Decimal(3))


def holed_bars(n: int, symbols=SYMBOLS, **options) -> Bars:
    """A walk with funding every eight hours, bars without volume and bars that are missing."""
    frame = walk_frame(n, symbols)
    ts = pl.col("ts").dt
    funding = frame.filter(ts.hour() % 8 == 0).select(
        "ts", "symbol", funding_rate=pl.when(ts.day() % 2 == 0).then(0.0003).otherwise(-0.0002)
    )
    kept = frame.filter(~((ts.hour() == 7) & (ts.day() % 3 == 0)) & ~((ts.hour() == 8) & (ts.day() % 3 == 0)))
    return Bars.from_frame(kept, interval="1h", funding=funding, **options)


def placed_of(trades: pl.DataFrame, bars: Bars):
    placed = records(PLACED, trades.height)
    for row, trade in zip(placed, trades.iter_rows(named=True), strict=True):
        column = bars.symbols.index(trade["symbol"])
        row.symbol, row.side = column, 1 if trade["side"] == "buy" else -1
        row.qty = int(trade["qty"] / bars.instruments[column].kernel_lot)
        row.entry, row.exit = (
            int(np.searchsorted(bars.times, int(trade[name].timestamp()))) for name in ("entry_at", "exit_at")
        )
    return placed


EXCHANGE = [
    Instrument(symbol=s, price_unit=Decimal("0.01"), lot=Decimal("0.001"), significant_digits=5, max_leverage=20)
    for s in SYMBOLS
]


@pytest.mark.parametrize(("bars", "costs"), [
    pytest.param(holed_bars(400), COSTS, id="perpetuals with funding and holes"),
    pytest.param(holed_bars(400), Costs(slippage_bps=Decimal(20), funding=False), id="funding not charged"),
    pytest.param(holed_bars(400, instruments=EXCHANGE), COSTS, id="ticks of five digits"),
    pytest.param(holed_bars(400, ("BTC/USDT", "ETH/USDT")), COSTS, id="spot"),
])  # fmt: skip
def test_a_random_trade_costs_to_the_atom_what_the_kernel_books(bars, costs) -> None:
    rng = np.random.default_rng(4)
    entries, exits, shorts = rng.uniform(size=(3, *bars.matrices.close.shape)) < 0.1
    if bars.instruments[0].is_perp:
        booked = simulate_signals(bars, entries, exits, short_entries=shorts, costs=costs, position_bps=3_000)
    else:
        booked = simulate_signals(bars, entries, exits, costs=costs, position_bps=3_000)
    assert booked.trades.height > 30
    nets = trade_nets(
        bars, placed_of(booked.trades, bars), instruments_with(bars, costs), to_rate(costs.slippage_bps / 10_000, "s"),
        with_funding=costs.funding,
    )  # fmt: skip
    assert [from_atoms(net) for net in nets] == booked.trades["net"].to_list()
    if costs.funding and bars.instruments[0].is_perp:
        assert (booked.trades["funding"] != 0).any()


def trades_of(*rows: tuple[str, int, int, str], qty: int = 1, price: int = 100, symbol: str = "X/USDT:USDT"):
    """Trades of (side, entry row, exit row, reason)."""
    return pl.DataFrame(
        {
            "symbol": [symbol] * len(rows),
            "side": [row[0] for row in rows],
            "qty": [Decimal(qty)] * len(rows),
            "entry_at": [FIRST + row[1] * HOUR for row in rows],
            "exit_at": [FIRST + row[2] * HOUR for row in rows],
            "entry_price": [Decimal(price)] * len(rows),
            "reason": [row[3] for row in rows],
        }
    )


def test_every_place_of_one_trade_is_as_likely() -> None:
    """A long of two bars on opens 100 100 110 130 130 160: entries at rows 1 to 3 earn 30, 20, 30."""
    bars = flat_bars(100, 110, 130, 130, 160, 160)
    nets = random_entries(bars, trades_of(("buy", 1, 3, "signal")), costs=FREE, sets=2_000, seed=1).nets
    counts = {net: nets.count(net) / 2_000 for net in set(nets)}
    assert set(counts) == {Decimal(30), Decimal(20)}
    assert counts[Decimal(20)] == pytest.approx(1 / 3, abs=0.04)


def test_sides_holding_and_notional_are_the_candidates() -> None:
    """A price that doubles at once: a short loses what a long earns, and half the lots are bought at the double."""
    bars = flat_bars(*[100] * 10, *[200] * 10)
    long = random_entries(bars, trades_of(("buy", 1, 3, "signal"), qty=10), costs=FREE, sets=200).nets
    short = random_entries(bars, trades_of(("sell", 1, 3, "signal"), qty=10), costs=FREE, sets=200).nets
    assert set(long) == {Decimal(0), Decimal(1_000)}
    assert set(short) == {Decimal(0), Decimal(-1_000)}
    paid = random_entries(bars, trades_of(("buy", 1, 3, "signal"), qty=10), costs=Costs(fee_bps=Decimal(10)), sets=200)
    assert set(paid.nets) == {Decimal(-2), Decimal(997)}  # 10 x 100 or 5 x 200, a thousandth of 1,000 twice, or 3,000


def test_an_exit_inside_a_bar_is_held_to_its_end() -> None:
    bars = flat_bars(*range(100, 130))
    at_open = random_entries(bars, trades_of(("buy", 4, 6, "signal")), costs=FREE, sets=50).nets
    inside = random_entries(bars, trades_of(("buy", 4, 6, "stop")), costs=FREE, sets=50).nets
    assert (set(at_open), set(inside)) == ({Decimal(2)}, {Decimal(3)})


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), held=st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_trades_of_a_symbol_never_overlap(seed, held) -> None:
    from openclaw_pipelines.domain.selection.baselines import _arrange, _plan

    bars = walk_bars(80, seed=3)
    tradable = np.flatnonzero(bars.matrices.bar_state[:, 0] == 1)
    rows, at = [], 1
    for bars_held in held:
        rows.append(("buy", int(tradable[at]), int(tradable[at + bars_held]), "signal"))
        at += bars_held + 1
    plan = _plan(bars, trades_of(*rows, price=1_000, symbol=SYMBOLS[0]), SYMBOLS[0])
    placed = _arrange(plan, bars.matrices.open[:, 0].copy(), bars.instruments[0].mult, np.random.default_rng(seed))
    order = np.argsort(placed.entry)
    lengths = np.searchsorted(tradable, placed.exit) - np.searchsorted(tradable, placed.entry)
    assert sorted(lengths.tolist()) == sorted(held)
    assert (placed.entry[order][1:] >= placed.exit[order][:-1]).all()
    assert placed.entry.min() >= 1
    assert set(placed.entry.tolist()) | set(placed.exit.tolist()) <= set(tradable.tolist())


def test_seeds_decide_everything_and_order_nothing() -> None:
    bars = walk_bars(300)
    booked = simulate_signals(bars, *(np.random.default_rng(2).uniform(size=(2, 300, 2)) < 0.1), costs=COSTS)
    first = random_entries(bars, booked.trades, costs=COSTS, sets=20, seed=1)
    assert first == random_entries(bars, booked.trades, costs=COSTS, sets=20, seed=1)
    assert first != random_entries(bars, booked.trades, costs=COSTS, sets=20, seed=2)
    assert list(first.nets) == sorted(first.nets)
    assert first.trades == booked.trades.height


def test_what_cannot_be_placed_says_why() -> None:
    bars = flat_bars(100, 101, 102, 103)
    assert random_entries(bars, trades_of(), costs=FREE).reason == "there is no trade to place"
    full = random_entries(bars, trades_of(("buy", 0, 3, "signal")), costs=FREE)
    assert (full.nets, full.reason) == ((), "the trades fill the bars; there is nowhere else to place them")
    with pytest.raises(PlacementError):
        random_entries(bars, trades_of(("buy", 1, 9, "signal")), costs=FREE)


def test_chance_counts_the_candidate_itself() -> None:
    nets = [Decimal(n) for n in range(19)]
    assert share_not_below(nets, Decimal(100)) == 0.05
    assert share_not_below(nets, Decimal(18)) == 0.1
    assert share_not_below(nets, Decimal(-1)) == 1.0


def test_holding_is_bought_once_and_valued_at_each_days_end() -> None:
    """Bought at the second open, 100; 100 lots of a price that stands at 110 after a day and 120 at the end."""
    bars = flat_bars(*[100] * 20, *[110] * 4, *[120] * 10)
    hold = buy_and_hold(bars, costs=FREE)
    assert [from_atoms(e) for e in hold.day_equity] == [Decimal(11_000), Decimal(12_000)]
    assert hold.net == 2_000
    half = buy_and_hold(bars, costs=FREE, invested_bps=5_000)
    assert half.net == 1_000
    assert buy_and_hold(bars, costs=FREE, invested_bps=0).net == 0
    costly = buy_and_hold(bars, costs=Costs(fee_bps=Decimal(10), slippage_bps=Decimal(100)))
    lots = 98  # at 101 and a fee 99 would cost 10,009; closing slips from 120 to 118
    assert costly.net == lots * (118 - 101) - Decimal("0.001") * lots * (101 + 118)


def test_holding_pays_funding() -> None:
    stamps = [FIRST + 8 * HOUR]
    funding = pl.DataFrame({"ts": stamps, "symbol": ["X/USDT:USDT"], "funding_rate": [0.001]})
    assert buy_and_hold(flat_bars(*[100] * 24, funding=funding), costs=FREE).net == -10


def test_holding_starts_where_a_symbol_can_first_be_bought() -> None:
    frame = walk_frame(100).filter(~((pl.col("symbol") == SYMBOLS[1]) & (pl.col("ts") < FIRST + timedelta(hours=30))))
    both = buy_and_hold(Bars.from_frame(frame, interval="1h"), costs=FREE)
    assert len(both.day_equity) == 5
    early = buy_and_hold(Bars.from_frame(frame.filter(pl.col("symbol") == SYMBOLS[0]), interval="1h"),
                         costs=FREE, invested_bps=5_000)  # fmt: skip
    assert both.day_equity[0] == early.day_equity[0]
    assert both.day_equity[-1] != early.day_equity[-1]


def test_holding_buys_where_an_entry_is_first_admitted_and_leaves_out_what_never_is() -> None:
    frame, hours = walk_frame(100), np.arange(100)
    denied = {SYMBOLS[1]: np.full(100, int(RejectCode.SYMBOL_DENIED), np.int8)}
    late = {SYMBOLS[0]: hours >= 30}
    held = buy_and_hold(Bars.from_frame(frame, interval="1h", universe=late, controls=denied), costs=FREE)
    own = frame.filter(pl.col("symbol") == SYMBOLS[0])
    alone = buy_and_hold(Bars.from_frame(own.filter(pl.col("ts") >= FIRST + 30 * HOUR), interval="1h"), costs=FREE)
    assert held.net == alone.net != 0
    assert held.day_equity[0] == to_atoms(Decimal(10_000)), "nothing is held on the first day"


def test_exposure_is_the_mean_share_of_equity() -> None:
    """Flat for two ticks, then all of it: entered at the second bar's open."""
    n = 10
    entries = np.zeros(n, bool)
    entries[1] = True
    held = simulate_signals(flat_bars(*[100] * n), entries, np.zeros(n, bool), costs=FREE)
    assert exposure_bps(held) == 8_000
    idle = simulate_signals(flat_bars(*[100] * n), np.zeros(n, bool), np.zeros(n, bool), costs=FREE)
    assert exposure_bps(idle) == 0


@pytest.mark.parametrize(("reason", "inside"), [
    ("stop", True), ("trailing_stop", True), ("target", True), ("liquidation", True),
    ("signal", False), ("time_stop", False), ("flatten", False),
])  # fmt: skip
def test_which_exits_sit_inside_a_bar(reason, inside) -> None:
    assert is_inside_a_bar(reason) is inside
