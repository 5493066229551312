"""Frames become aligned integer bars, or a named error that says where."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.contracts.time import NaiveTimeError
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.kernel.base.money import PriceUnitError
from openclaw_pipelines.kernel.run.bars import (
    Bars,
    BarsError,
    MissingColumnsError,
    NoPriceUnitError,
    UniverseError,
    UnknownInstrumentError,
)

FIRST = datetime(2025, 5, 10, tzinfo=UTC)
BTC = Instrument(symbol="BTC/USDT:USDT", price_unit=Decimal("0.1"), lot=Decimal("0.001"))


def frame(*rows, symbol="BTC/USDT:USDT"):
    """Rows of (hour, open, high, low, close, volume)."""
    names = ("open", "high", "low", "close", "volume")
    columns = {name: [float(row[i + 1]) for row in rows] for i, name in enumerate(names)}
    return pl.DataFrame({"ts": [FIRST + timedelta(hours=row[0]) for row in rows], "symbol": symbol, **columns})


GOOD = ((0, 100.1, 101, 99.5, 100.5, 7), (1, 100.5, 102, 100, 101, 0), (3, 101, 103, 101, 102.5, 4))


def test_alignment() -> None:
    bars = Bars.from_frame(pl.concat([frame(*GOOD), frame((1, 5, 6, 4, 5, 1), symbol="ETH/USDT")]), interval="1h")
    assert bars.symbols == ("BTC/USDT:USDT", "ETH/USDT")
    assert [spec.price_unit for spec in bars.instruments] == [Decimal("0.1"), Decimal(1)]
    assert (bars.times - int(FIRST.timestamp())).tolist() == [0, 3_600, 7_200, 10_800]
    assert bars.matrices.open.tolist() == [[1_001, 0], [1_005, 5], [0, 0], [1_010, 0]]
    assert bars.matrices.close.tolist() == [[1_005, 0], [1_010, 5], [0, 0], [1_025, 0]]
    tradable, unfillable, missing = BarState.TRADABLE, BarState.UNFILLABLE, BarState.MISSING
    assert bars.matrices.bar_state[:, 0].tolist() == [tradable, unfillable, missing, tradable]
    assert bars.matrices.bar_state[:, 1].tolist() == [missing, tradable, missing, missing]
    assert [low_high.tolist() for low_high in bars.price_range] == [[995, 4], [1_030, 6]]


def test_a_synthetic_bar_counts_as_missing() -> None:
    marked = frame(*GOOD).with_columns(is_synthetic=pl.Series([False, True, False]))
    bars = Bars.from_frame(marked, interval="1h")
    without = Bars.from_frame(marked.filter(~pl.col("is_synthetic")), interval="1h")
    assert bars.bars_hash == without.bars_hash


def test_funding_is_due_at_the_open_that_is_its_stamp_or_inside_the_bar() -> None:
    stamps = [timedelta(hours=1, milliseconds=3), timedelta(minutes=130), timedelta(minutes=140), timedelta(hours=9)]
    funding = pl.DataFrame({
        "ts": [FIRST + at for at in stamps], "symbol": ["BTC/USDT:USDT"] * 4,
        "funding_rate": [-0.0001, 0.0003, 0.08, 0.5],
    })  # fmt: skip
    bars = Bars.from_frame(frame(*GOOD), interval="1h", funding=funding)
    assert bars.matrices.funding_rate[:, 0].tolist() == [0, -1_000_000, 0, 0]
    assert bars.matrices.funding_inside[:, 0].tolist() == [0, 0, 803_000_000, 0]


def test_a_bar_without_its_beginning_has_no_open_to_fill_at() -> None:
    bars = Bars.from_frame(frame(*GOOD).with_columns(has_open=pl.Series([False, False, None])), interval="1h")
    states = [BarState.NO_OPEN, BarState.UNFILLABLE, BarState.MISSING, BarState.TRADABLE]
    assert bars.matrices.bar_state[:, 0].tolist() == states


def test_a_tick_is_the_row_that_closed(walk) -> None:
    bars = Bars.from_frame(walk(5), interval="1h")
    tick = bars.tick(2)
    assert tick.at == int(bars.times[2]) + 3_600
    assert tick.symbols["high"].tolist() == bars.matrices.high[2].tolist()
    assert tick.symbols["in_universe"].tolist() == [1, 1]


def changed(row, **fields):
    names = ("hour", "open", "high", "low", "close", "volume")
    values = dict(zip(names, GOOD[row], strict=True)) | fields
    return tuple(values[name] for name in names)


BROKEN = [
    pytest.param([GOOD[0], GOOD[0]], "twice", id="duplicate"),
    pytest.param([GOOD[1], GOOD[0]], "not sorted", id="unsorted"),
    pytest.param([changed(0, hour=0.5)], "grid", id="off the grid"),
    pytest.param([changed(0, hour=0.5 / 3_600)], "grid", id="half a second late"),
    pytest.param([changed(0, high=100.4)], "high", id="high below close"),
    pytest.param([changed(0, high=float("nan"))], "high", id="no high"),
    pytest.param([changed(0, low=100.2)], "low", id="low above open"),
    pytest.param([changed(0, low=0)], "not above 0", id="price of nothing"),
    pytest.param([changed(0, high=float("inf"))], "high is endless", id="endless high"),
    pytest.param([changed(0, volume=float("inf"))], "volume is .* no finite", id="endless volume"),
    pytest.param([changed(0, volume=-1)], "volume", id="negative volume"),
    pytest.param([changed(0, volume=float("nan"))], "volume", id="no volume"),
]


@pytest.mark.parametrize(("rows", "why"), BROKEN)
def test_rows_that_cannot_be_bars(rows, why) -> None:
    with pytest.raises(BarsError, match=why) as refused:
        Bars.from_frame(frame(*rows), interval="1h")
    assert refused.value.symbol == "BTC/USDT:USDT"
    assert refused.value.ts.isoformat().startswith("2025-05-10T0")


def test_naive_times() -> None:
    naive = frame(*GOOD).with_columns(pl.col("ts").dt.replace_time_zone(None))
    with pytest.raises(NaiveTimeError, match="candles"):
        Bars.from_frame(naive, interval="1h")


def test_a_price_off_the_given_unit_names_symbol_and_value() -> None:
    with pytest.raises(PriceUnitError, match=r"BTC/USDT:USDT: price 100.55"):
        Bars.from_frame(frame(changed(0, close=100.55)), interval="1h", instruments=[BTC])


@pytest.mark.parametrize(
    ("prices", "unit"),
    [
        pytest.param([0.000007123, 0.000007125], "1e-9", id="nine decimals"),
        pytest.param([0.000000123456, 0.1], "1e-12", id="twelve"),
        pytest.param([100.25, 99.5], "0.01", id="two"),
    ],
)
def test_the_price_unit_is_read_off_the_prices(prices, unit) -> None:
    rows = [changed(n, open=at, high=at, low=at, close=at) for n, at in enumerate(prices)]
    assert Bars.from_frame(frame(*rows), interval="1h").instruments[0].price_unit == Decimal(unit)


@pytest.mark.parametrize(
    ("price", "decimals"), [pytest.param(100 / 3, 8, id="an average"), pytest.param(1 / 3, 12, id="one below 1")]
)
def test_prices_without_a_unit_say_what_to_give(price, decimals) -> None:
    says = rf"BTC/USDT:USDT: price {price} lies on no price unit down to 1e-{decimals}, .*`instruments=`"
    with pytest.raises(NoPriceUnitError, match=says):
        Bars.from_frame(frame(changed(0, open=price, high=price, low=price, close=price)), interval="1h")


def test_other_named_errors() -> None:
    with pytest.raises(MissingColumnsError, match="close, volume"):
        Bars.from_frame(frame(*GOOD).drop("close", "volume"), interval="1h")
    with pytest.raises(MissingColumnsError, match="rows"):
        Bars.from_frame(frame(*GOOD).clear(), interval="1h")
    with pytest.raises(UnknownInstrumentError, match="ETH/USDT"):
        Bars.from_frame(frame(*GOOD, symbol="ETH/USDT"), interval="1h", instruments=[BTC])
    beyond = pl.DataFrame({"ts": [FIRST], "symbol": ["BTC/USDT:USDT"], "funding_rate": [0.091]})
    with pytest.raises(BarsError, match=r"beyond 0\.09"):
        Bars.from_frame(frame(*GOOD), interval="1h", funding=beyond)


def test_the_hash_covers_every_number(walk) -> None:
    base = walk(6)
    hashes = {Bars.from_frame(base, interval="1h").bars_hash}
    for name in ("close", "volume"):
        other = base.with_columns(pl.when(pl.int_range(pl.len()) == 3).then(pl.col(name) + 0.0).otherwise(pl.col(name)))
        assert Bars.from_frame(other, interval="1h").bars_hash in hashes
    bumped = base.with_columns(volume=pl.when(pl.int_range(pl.len()) == 3).then(9.0).otherwise(pl.col("volume")))
    hashes.add(Bars.from_frame(bumped, interval="1h").bars_hash)
    universe = {"BTC/USDT:USDT": np.array([True] * 5 + [False])}
    hashes.add(Bars.from_frame(base, interval="1h", universe=universe).bars_hash)
    assert len(hashes) == 3


# ---- funding and universe that do not fit


def _rates(*rows: tuple[datetime, str, object]) -> pl.DataFrame:
    ts, symbol, rate = zip(*rows, strict=True)
    return pl.DataFrame({"ts": ts, "symbol": symbol, "funding_rate": rate})


BITCOIN = "BTC/USDT:USDT"


@pytest.mark.parametrize(
    ("funding", "error", "match"),
    [
        (_rates((FIRST, BITCOIN, 0.001), (FIRST, BITCOIN, 0.001)), BarsError, "at .*: its funding stands twice"),
        (_rates((FIRST, BITCOIN, 0.001), (FIRST, BITCOIN, 0.002)), BarsError, "at .*: its funding stands twice"),
        (_rates((FIRST, "ETH/USDT:USDT", 0.001)), UnknownInstrumentError, "'ETH/USDT:USDT'. Known: BTC"),
        (_rates((FIRST, BITCOIN, None)), BarsError, "its funding rate is no finite number"),
        (_rates((FIRST, BITCOIN, float("nan"))), BarsError, "its funding rate is no finite number"),
        (_rates((FIRST, BITCOIN, 0.1)).drop("funding_rate"), MissingColumnsError, "funding_rate"),
    ],
    ids=["twice the same", "two rates", "another name", "none", "nan", "no column"],
)
def test_funding_that_would_be_paid_twice_or_by_nobody_is_refused(funding, error, match) -> None:
    with pytest.raises(error, match=match):
        Bars.from_frame(frame(*GOOD), interval="1h", funding=funding)


def test_a_universe_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(
        UniverseError, match=r"4 flags or codes are given for .ETH/USDT:USDT.; the bars are 4 of each of BTC"
    ):
        Bars.from_frame(frame(*GOOD), interval="1h", universe={"ETH/USDT:USDT": np.ones(4, np.bool_)})
    with pytest.raises(UniverseError, match=r"3 flags or codes are given for 'BTC/USDT:USDT'"):
        Bars.from_frame(frame(*GOOD), interval="1h", universe={BITCOIN: np.ones(3, np.bool_)})
