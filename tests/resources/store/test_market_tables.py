from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from openclaw_pipelines.contracts.schema import SchemaError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import NaiveTimeError
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, FUNDING_COLUMNS
from openclaw_pipelines.resources.store.market_appends import Written, append_candles, append_funding
from openclaw_pipelines.resources.store.market_tables import (
    OutsideRangeError,
    Upserted,
    candles,
    features,
    funding_rates,
    instruments,
    newest_candle,
    replace_features,
    revisions,
    upsert_instruments,
)
from openclaw_pipelines.resources.store.store import DuplicateRowsError

AT = datetime(2025, 5, 10, tzinfo=UTC)
NOW = datetime(2025, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def bars(*closes, symbol="BTC/USDT", start=AT, **values):
    """Minute bars with these closes; None leaves a hole."""
    rows = [
        {"source": "sim", "symbol": symbol, "interval": "1m", "ts": start + n * MINUTE, "open": 10.0, "high": 99.0,
         "low": 1.0, "close": float(close), "volume": 5.0, "is_synthetic": False, "has_open": True} | values
        for n, close in enumerate(closes) if close is not None
    ]  # fmt: skip
    schema = {name: kind for name, kind in TABLES["candles"].polars_schema.items() if name in CANDLE_COLUMNS}
    return pl.DataFrame(rows, schema=schema)


def stored(store, symbol="BTC/USDT"):
    frame = candles(store, "sim", [symbol], "1m", AT, AT + timedelta(days=1))
    return {(row["ts"] - AT) // MINUTE: row["close"] for row in frame.to_dicts()}


def later_values(store):
    frame = revisions(store, "sim", ["BTC/USDT"], "1m", AT, AT + timedelta(days=1))
    return [((row["ts"] - AT) // MINUTE, row["close"], row["seen_at"]) for row in frame.to_dicts()]


@pytest.mark.parametrize(
    ("second", "written", "after"),
    [
        pytest.param([10, 11, 12], Written(0, 3, 0), [10, 11, 12], id="the same again"),
        pytest.param([10, 50, 12], Written(0, 2, 1), [10, 11, 12], id="one later value"),
        pytest.param([50, 50, 50, 13], Written(1, 0, 3), [10, 11, 12, 13], id="all revised and one new"),
        pytest.param([None, None, None, 13, 14], Written(2, 0, 0), [10, 11, 12, 13, 14], id="only new"),
        pytest.param([], Written(0, 0, 0), [10, 11, 12], id="nothing"),
    ],
)
def test_the_first_write_wins(store, second, written, after):
    assert append_candles(store, bars(10, 11, 12), NOW) == Written(3, 0, 0)
    assert append_candles(store, bars(*second), LATER) == written
    assert stored(store) == dict(enumerate(map(float, after)))


def test_holes_stay_holes_and_may_be_filled_later(store):
    append_candles(store, bars(10, None, 12), NOW)
    assert stored(store) == {0: 10.0, 2: 12.0}
    assert append_candles(store, bars(10, 11, 12), LATER) == Written(1, 2, 0)
    assert stored(store) == {0: 10.0, 1: 11.0, 2: 12.0}


def test_each_distinct_later_value_is_kept_once(store):
    outcomes = [
        append_candles(store, bars(close), NOW + n * MINUTE) for n, close in enumerate([10, 20, 20, 30, 20, 10])
    ]
    kinds = [(w.inserted, w.unchanged, w.revised) for w in outcomes]
    assert kinds == [(1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 0, 1), (0, 1, 0), (0, 1, 0)]
    assert later_values(store) == [(0, 20.0, NOW + MINUTE), (0, 30.0, NOW + 3 * MINUTE)]
    assert stored(store) == {0: 10.0}


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_every_price_column_makes_a_revision(store, column):
    append_candles(store, bars(10), NOW)
    changed = bars(10).with_columns(pl.col(column) * 1.0000000000000002)  # the next float
    assert append_candles(store, changed, LATER) == Written(0, 0, 1)
    kept = revisions(store, "sim", ["BTC/USDT"], "1m", AT, AT + MINUTE)
    assert kept[column].to_list() == changed[column].to_list()


def test_symbols_and_intervals_do_not_meet(store):
    append_candles(store, pl.concat([bars(10), bars(20, symbol="BTC/USDT:USDT"), bars(30, interval="5m")]), NOW)
    assert stored(store) == {0: 10.0}
    assert stored(store, "BTC/USDT:USDT") == {0: 20.0}
    both = candles(store, "sim", ["BTC/USDT:USDT", "BTC/USDT"], "1m", AT, AT + MINUTE)
    assert both["symbol"].to_list() == ["BTC/USDT", "BTC/USDT:USDT"]


def coverage(minutes, **values):
    """How far the source was asked."""
    row = {"source": "sim", "symbol": "BTC/USDT", "interval": "1m", "day": "2025-05-10"}
    return TABLES["candle_coverage"].frame([row | {"covered_until": AT + minutes * MINUTE} | values])


def covered(store):
    return [(row["covered_until"] - AT) // MINUTE for row in store.table("candle_coverage").to_dicts()]


def test_bars_and_how_far_they_were_asked_for_are_written_together_or_not_at_all(store):
    append_candles(store, bars(10, 11), NOW, coverage(2))
    append_candles(store, bars(10), LATER, coverage(1))
    assert (stored(store), covered(store)) == ({0: 10.0, 1: 11.0}, [2])  # forward, never back
    append_candles(store, bars(), LATER, coverage(5))
    assert covered(store) == [5]
    with pytest.raises(duckdb.Error):
        append_candles(store, bars(10, 11, 12), LATER, coverage(6).drop("source"))
    assert (stored(store), covered(store)) == ({0: 10.0, 1: 11.0}, [5])


def test_the_range_is_half_open(store):
    append_candles(store, bars(1, 2, 3, 4), NOW)
    cut = candles(store, "sim", ["BTC/USDT"], "1m", AT + MINUTE, AT + 3 * MINUTE)
    assert cut["close"].to_list() == [2.0, 3.0]
    assert cut["ingested_at"].unique().to_list() == [NOW]
    assert newest_candle(store, "sim", "1m") == {"BTC/USDT": AT + 3 * MINUTE}
    assert newest_candle(store, "sim", "1h") == {}


def test_a_bar_twice_in_the_input_is_refused_and_nothing_is_written(store):
    with pytest.raises(DuplicateRowsError, match="ts=2025-05-10T00:00:00") as caught:
        append_candles(store, pl.concat([bars(10, 11), bars(12)]), NOW)
    assert caught.value.rows == 1
    assert stored(store) == {}


def test_a_broken_bar_is_refused_and_nothing_is_written(store):
    with pytest.raises(SchemaError, match="high_is_highest"):
        append_candles(store, bars(10, 100), NOW)
    with pytest.raises(NaiveTimeError):
        append_candles(store, bars(10), NOW.replace(tzinfo=None))
    assert stored(store) == {}


def funding(*rates, late=0):
    eight = timedelta(hours=8)
    rows = [("sim", "BTC/USDT:USDT", AT + n * eight, AT + n * eight + timedelta(milliseconds=late), rate, 8)
            for n, rate in enumerate(rates)]  # fmt: skip
    schema = {name: TABLES["funding_rates"].polars_schema[name] for name in FUNDING_COLUMNS}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_funding_keeps_the_first_rate_and_counts_later_ones(store):
    none = TABLES["funding_coverage"].frame([])
    assert append_funding(store, funding(0.0001, 0.0002), NOW, none) == Written(2, 0, 0)
    assert append_funding(store, funding(0.0001, 0.0005, -0.0003, late=7), LATER, none) == Written(1, 1, 1)
    frame = funding_rates(store, "sim", ["BTC/USDT:USDT"], AT, AT + timedelta(days=1))
    assert frame["funding_rate"].to_list() == [0.0001, 0.0002, -0.0003]
    assert frame["ingested_at"].to_list() == [NOW, NOW, LATER]
    assert append_funding(store, funding(), NOW, none) == Written(0, 0, 0)


def feature_rows(rows, *closes, symbol="BTC/USDT"):
    return TABLES["features"].frame([
        rows.sample_row("features", source="sim", symbol=symbol, interval="15m", ts=AT + n * 15 * MINUTE, close=close)
        for n, close in enumerate(closes)
    ])  # fmt: skip


def test_features_of_a_range_are_replaced_and_others_stay(store, rows):
    about = {"source": "sim", "intervals": ["15m"], "start": AT, "end": AT + timedelta(hours=1)}
    replace_features(store, feature_rows(rows, 1.0, symbol="ETH/USDT"), symbols=["ETH/USDT"], **about)
    assert replace_features(store, feature_rows(rows, 1.0, 2.0, 3.0), symbols=["BTC/USDT"], **about) == 3
    assert replace_features(store, feature_rows(rows, 7.0), symbols=["BTC/USDT"], **about) == 1
    seen = features(store, "sim", ["BTC/USDT", "ETH/USDT"], "15m", AT, AT + timedelta(days=1))
    assert seen.select("symbol", "close").rows() == [("BTC/USDT", 7.0), ("ETH/USDT", 1.0)]


@pytest.mark.parametrize(
    "change",
    [{"symbols": ["ETH/USDT"]}, {"source": "other"}, {"intervals": ["1h"]}, {"end": AT + 15 * MINUTE}],
    ids=["symbol", "source", "interval", "time"],
)
def test_features_outside_the_replaced_range_are_refused(store, rows, change):
    about = {"source": "sim", "symbols": ["BTC/USDT"], "intervals": ["15m"], "start": AT, "end": AT + timedelta(days=1)}
    with pytest.raises(OutsideRangeError):
        replace_features(store, feature_rows(rows, 1.0, 2.0), **(about | change))
    assert store.table("features").is_empty()


def test_instruments_are_updated_only_where_they_changed(store, rows):
    def frame(at, **lots):
        return TABLES["instruments"].frame([
            rows.sample_row("instruments", source="sim", symbol=symbol, lot=Decimal(lot), updated_at=at)
            for symbol, lot in lots.items()
        ])  # fmt: skip

    assert upsert_instruments(store, frame(NOW, A="0.1", B="0.2")) == Upserted(2, 0, 0)
    assert upsert_instruments(store, frame(LATER, A="0.1", B="0.3", C="1")) == Upserted(1, 1, 1)
    seen = instruments(store, "sim").select("symbol", "lot", "updated_at").rows()
    assert seen == [("A", Decimal("0.1"), NOW), ("B", Decimal("0.3"), LATER), ("C", Decimal(1), LATER)]
    assert instruments(store, "sim", ["B"])["symbol"].to_list() == ["B"]
    assert upsert_instruments(store, frame(NOW)) == Upserted(0, 0, 0)
