"""Given signals through the same candle rules: exact trades by hand, errors by name, invariants by property."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import Costs
from openclaw_pipelines.kernel.run.simulate import SignalsError, simulate_signals

FIRST = datetime(2025, 5, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def bars_of(*rows, symbol="X/USDT:USDT"):
    """Hourly bars of (open, high, low, close), unit 1, lot 1."""
    columns = {name: [float(row[i]) for row in rows] for i, name in enumerate(("open", "high", "low", "close"))}
    stamps = [FIRST + hour * HOUR for hour in range(len(rows))]
    frame = pl.DataFrame({"ts": stamps, "symbol": symbol, **columns, "volume": 1.0})
    leverage = 10 if ":" in symbol else 1
    spec = Instrument(
        symbol=symbol, price_unit=Decimal(1), lot=Decimal(1), taker_fee_rate=Decimal(0), max_leverage=leverage
    )
    return Bars.from_frame(frame, interval="1h", instruments=[spec])


def at(n, *rows):
    mask = np.zeros(n, bool)
    mask[list(rows)] = True
    return mask


RISE = [(100, 100, 100, 100), (100, 104, 99, 103), (104, 110, 102, 108), (108, 109, 95, 96), (96, 97, 90, 91)]
TRADES = [
    pytest.param({"exits": (2,)}, ("buy", 100, 1, 3, 100, 108, "signal", 800), id="exit signal fills at the next open"),
    pytest.param({"stop_loss": 0.03}, ("buy", 100, 1, 3, 100, 97, "stop", -300), id="stop 3 % below the fill"),
    pytest.param({"take_profit": 0.08}, ("buy", 100, 1, 2, 100, 108, "target", 800), id="target"),
    pytest.param({"trailing_stop": 0.05}, ("buy", 100, 1, 3, 100, 105, "trailing_stop", 500), id="trailing stop"),
    pytest.param({"exits": (2,), "fee_bps": 10}, ("buy", 99, 1, 3, 100, 108, "signal", 792), id="fees leave 99"),
    pytest.param({"exits": (2,), "slippage_bps": 100}, ("buy", 99, 1, 3, 101, 106, "signal", 495), id="slippage"),
    pytest.param({"short": True, "exits": (3,)}, ("sell", 100, 1, 4, 100, 96, "signal", 400), id="short"),
    pytest.param({"short": True, "stop_loss": 0.05}, ("sell", 100, 1, 2, 100, 105, "stop", -500), id="short stopped"),
]


@pytest.mark.parametrize(("given_", "trade"), TRADES)
def test_trades(given_, trade) -> None:
    given_ = dict(given_)
    costs = Costs(fee_bps=Decimal(given_.pop("fee_bps", 0)), slippage_bps=Decimal(given_.pop("slippage_bps", 0)))
    exits = at(5, *given_.pop("exits", ()))
    entries, shorts = at(5, 0), at(5)
    if given_.pop("short", False):
        entries, shorts = shorts, entries
    result = simulate_signals(bars_of(*RISE), entries, exits, short_entries=shorts, costs=costs, **given_)
    rows = [
        (row["side"], row["qty"], (row["entry_at"] - FIRST) // HOUR, (row["exit_at"] - FIRST) // HOUR,
         row["entry_price"], row["exit_price"], row["reason"], row["gross"])
        for row in result.trades.iter_rows(named=True)
    ]  # fmt: skip
    assert rows == [trade]


def test_an_entry_on_the_last_bar_stays_pending_and_an_open_position_stays_open() -> None:
    last = simulate_signals(bars_of(*RISE), at(5, 4), at(5), costs=Costs())
    assert (last.fills.height, last.decisions.height) == (0, 1)
    held = simulate_signals(bars_of(*RISE), at(5, 0), at(5), costs=Costs(fee_bps=Decimal(0)))
    assert (held.trades.height, held.fills.height) == (0, 1)
    assert held.final_equity == Decimal(10_000) + 100 * (91 - 100)


def test_spot_cannot_be_sold_short() -> None:
    result = simulate_signals(bars_of(*RISE, symbol="X/USDT"), at(5), at(5), short_entries=at(5, 0))
    assert result.decisions["code"].to_list() == [RejectCode.SHORT_NOT_ALLOWED.name]
    assert result.fills.height == 0


def test_no_short_entries_are_the_same_run_as_none_given() -> None:
    """Down to the hash; one more entry is another run."""
    runs = [simulate_signals(bars_of(*RISE), at(5, 0), at(5), **own) for own in ({}, {"short_entries": at(5)})]
    assert runs[0].content_hash == runs[1].content_hash
    other = simulate_signals(bars_of(*RISE), at(5, 0), at(5), short_entries=at(5, 4))
    assert other.content_hash != runs[0].content_hash


def test_the_opposite_signal_closes_and_a_later_one_enters() -> None:
    result = simulate_signals(
        bars_of(*RISE), at(5, 0), at(5), short_entries=at(5, 1, 2), costs=Costs(fee_bps=Decimal(0))
    )
    lines = result.fills.select("side", "leg", "price").rows()
    assert lines == [("buy", "entry", Decimal(100)), ("sell", "exit", Decimal(104)), ("sell", "entry", Decimal(108))]


@pytest.mark.parametrize("hours", [1, 8, 12, 24])
def test_the_same_holding_pays_the_same_funding_at_every_bar_length(hours) -> None:
    """100 units at 100 over one day: three stamps of 0.1 %, the last at the exit's open. Before and after it is 1 %."""
    count, a_day = 96 // hours, 24 // hours
    stamps = [FIRST + hour * HOUR for hour in (24, 32, 40, 48, 56, 64)]
    funding = pl.DataFrame(
        {"ts": stamps, "symbol": "X/USDT:USDT", "funding_rate": [0.01, 0.001, 0.001, 0.001, 0.01, 0.01]}
    )
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), 100.0)
    frame = pl.DataFrame({"ts": [FIRST + n * hours * HOUR for n in range(count)], "symbol": "X/USDT:USDT", **columns})
    bars = Bars.from_frame(frame, interval="1d" if hours == 24 else f"{hours}h", funding=funding)
    result = simulate_signals(
        bars, at(count, a_day - 1), at(count, 2 * a_day - 1), costs=Costs(fee_bps=Decimal(0)), qty=Decimal(100),
        capital=Decimal(20_000),
    )  # fmt: skip
    assert result.trades["funding"].to_list() == [Decimal(-30)]


@pytest.mark.parametrize(("qty", "filled", "codes"), [
    pytest.param(7, [7], ["NONE"], id="as asked"),
    pytest.param(100, [100], ["NONE"], id="all the cash"),
    pytest.param(101, [], ["INSUFFICIENT_BALANCE"], id="more than the cash: refused, not reduced"),
])  # fmt: skip
def test_a_fixed_quantity_takes_the_place_of_a_share_of_the_equity(qty, filled, codes) -> None:
    result = simulate_signals(
        bars_of(*RISE), at(5, 0), at(5), costs=Costs(fee_bps=Decimal(0)), qty=Decimal(qty), position_bps=1
    )
    assert result.fills["qty"].to_list() == filled
    assert result.decisions["code"].to_list() == codes


@pytest.mark.parametrize(("options", "name"), [
    pytest.param({"entries": np.zeros(4, bool)}, "entries", id="another length"),
    pytest.param({"exits": np.zeros(5)}, "exits", id="floats"),
    pytest.param({"short_entries": np.zeros((5, 2), bool)}, "short_entries", id="another width"),
    pytest.param({"stop_loss": 0.0}, "stop_loss", id="no distance"),
    pytest.param({"take_profit": 2.0}, "take_profit", id="percent for fraction"),
    pytest.param({"trailing_stop": float("nan")}, "trailing_stop", id="no number"),
    pytest.param({"position_bps": 10_001}, "position_bps", id="more than all"),
    pytest.param({"qty": Decimal("1.5")}, "qty", id="off the lot"),
    pytest.param({"qty": Decimal(0)}, "qty", id="nothing"),
])  # fmt: skip
def test_named_errors(options, name) -> None:
    given_ = {"entries": at(5, 0), "exits": at(5)} | options
    with pytest.raises(SignalsError) as refused:
        simulate_signals(bars_of(*RISE), **given_)
    assert refused.value.name == name


price = st.integers(50, 150)
fraction = st.sampled_from((None, 0.01, 0.05, 0.3))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(price, price, price, price), min_size=4, max_size=16),
    seed=st.integers(0, 2**16),
    symbol=st.sampled_from(("X/USDT", "X/USDT:USDT")),
    fractions=st.tuples(fraction, fraction, fraction),
    costs=st.sampled_from((Costs(fee_bps=Decimal(0)), Costs(fee_bps=Decimal("7.5"), slippage_bps=Decimal(3)))),
)
def test_money_adds_up(rows, seed, symbol, fractions, costs) -> None:
    bars = bars_of(*[(a, max(row), min(row), d) for row in rows for a, _, _, d in [row]], symbol=symbol)
    rng = np.random.default_rng(seed)
    entries, exits, shorts = rng.uniform(size=(3, len(rows))) < 0.4
    stop, target, trail = fractions
    result = simulate_signals(bars, entries, exits, short_entries=shorts, stop_loss=stop, take_profit=target,
                              trailing_stop=trail, costs=costs)  # fmt: skip
    account = result.state.account[0]
    assert int(account.cash) == 10**12 + int(result.events.cash_change.sum())
    gained = int(account.realized) - int(account.fees) + int(account.funding)
    assert int(account.equity) == 10**12 + gained + int(result.equity_rows.unrealized[-1])
    assert (result.equity_rows.cash - result.equity_rows.margin >= -(10**10)).all()  # an exit's fee at most
    for trade in result.trades.iter_rows(named=True):
        direction = 1 if trade["side"] == "buy" else -1
        gross = direction * trade["qty"] * (trade["exit_price"] - trade["entry_price"])
        assert trade["gross"] == (gross if symbol == "X/USDT" else max(gross, -trade["qty"] * trade["entry_price"]))
