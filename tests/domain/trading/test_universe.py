"""The ranking by hand, each threshold with a candidate that fails it, the fall-backs, and that no future is read."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.config.trading import Universe
from openclaw_pipelines.contracts.tables.market import Candles
from openclaw_pipelines.contracts.tables.trading import UniverseSnapshots
from openclaw_pipelines.domain.trading.universe import PARTS, WeightError, rank_universe

CANDLES = {name: column.dtype.type for name, column in Candles.to_schema().columns.items()}
AS_OF = datetime(2025, 5, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = 7 * 24
BTC, ETH, SOL, XRP = SYMBOLS = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"]


def series(symbol, hours=WEEK, end=AS_OF, seed=0, step=0.007, volume=100.0, spread=0.002) -> pl.DataFrame:
    """Hourly bars that end at `end`: a random walk whose step gives about 0.65 of annual volatility."""
    rng = np.random.default_rng([seed, len(symbol), ord(symbol[0])])
    close = 100 * np.exp(np.cumsum(rng.normal(0, step, hours)))
    open_ = np.concatenate([[100.0], close[:-1]])
    return pl.DataFrame(
        {
            "source": "archive:test",
            "symbol": symbol,
            "interval": "1h",
            "ts": [end - (hours - i) * HOUR for i in range(hours)],
            "open": open_,
            "high": np.maximum(open_, close) * (1 + spread / 2),
            "low": np.minimum(open_, close) * (1 - spread / 2),
            "close": close,
            "volume": volume,
            "is_synthetic": False,
            "ingested_at": AS_OF,
            "parts": None,
            "parts_expected": None,
            "has_open": True,
        },
        schema=CANDLES,
    )


def market(**changes) -> pl.DataFrame:
    """Four ordinary symbols; `changes` of one of them by its base."""
    return pl.concat(series(symbol, **changes.get(symbol.split("/")[0], {})) for symbol in SYMBOLS)


TIME = pl.Datetime("us", "UTC")


def outcomes(*rows) -> pl.DataFrame:
    schema = {"symbol": pl.String, "matured_at": pl.Datetime("us", "UTC"), "return_signed": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def instruments(**states) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "symbol": symbol,
                "state": states.get(symbol.split("/")[0], "tradable"),
                "listed_at": None,
                "delisted_at": None,
            }
            for symbol in SYMBOLS
        ],
        schema={"symbol": pl.String, "state": pl.String, **dict.fromkeys(("listed_at", "delisted_at"), TIME)},
    )


def ranked(candles=None, symbols=SYMBOLS, config=None, **changes):
    return rank_universe(
        market() if candles is None else candles,
        symbols,
        as_of=AS_OF,
        interval="1h",
        settings=Universe(**(config or {})),
        **changes,
    )


def reasons(result) -> dict[str, str]:
    return {item.symbol: item.reason for item in result.candidates}


def only(part: str) -> dict:
    return {"weights": {part: 1.0}}


def test_the_ranking_orders_selects_and_explains():
    result = ranked(config={"max_symbols": 2})
    assert result.picked_by == "ranking"
    assert result.reason is None
    assert [item.rank for item in result.candidates] == [0, 1, 2, 3]
    assert [item.score for item in result.candidates] == sorted((i.score for i in result.candidates), reverse=True)
    assert result.selected == tuple(item.symbol for item in result.candidates[:2])
    assert [item.selected for item in result.candidates] == [True, True, False, False]
    assert result.candidates[0].reason == "rank 1 of 4"
    assert result.candidates[2].reason == "rank 3 of 4, beyond the 2 that are selected"


def test_the_score_is_the_weighted_mean_of_percentile_ranks():
    weights = {"liquidity": 3.0, "spread": 1.0}
    result = ranked(
        market(BTC={"volume": 400.0, "spread": 0.02}, ETH={"volume": 300.0, "spread": 0.01}),
        [BTC, ETH],
        config={"weights": weights},
    )
    # of two, the better stands at (1 + 0.5) / 2 and the worse at 0.5 / 2
    assert {item.symbol: item.score for item in result.candidates} == {BTC: 0.625, ETH: 0.375}
    assert result.candidates[0].parts["liquidity"] == 0.75
    assert result.candidates[0].parts["spread"] == 0.25
    assert result.scoring["weights"] == {
        "liquidity": 0.75, "spread": 0.25, "volatility": 0.0, "trend_quality": 0.0, "outcomes": 0.0
    }  # fmt: skip


def straight(symbol: str) -> pl.DataFrame:
    """A climb of one part in a thousand each hour, with a little noise that volatility can be measured on."""
    climb = pl.Series(100 * 1.001 ** np.arange(WEEK) * (1 + 0.0001 * (np.arange(WEEK) % 2)))
    prices = {name: climb * factor for name, factor in (("open", 1), ("high", 1.001), ("low", 0.999), ("close", 1))}
    return series(symbol).with_columns(**prices)


@pytest.mark.parametrize(
    ("part", "candles", "best"),
    [
        pytest.param("liquidity", market(SOL={"volume": 500.0}), SOL, id="most traded"),
        pytest.param("spread", market(**{b: {"spread": 0.02} for b in ("BTC", "ETH", "SOL")}), XRP, id="narrowest"),
        pytest.param(
            "volatility",
            market(BTC={"step": 0.03}, ETH={"step": 0.0007}, SOL={"step": 0.0205}),
            XRP,
            id="neither calm nor wild",
        ),
        pytest.param(
            "trend_quality",
            pl.concat([market().filter(pl.col("symbol") != ETH), straight(ETH)]),
            ETH,
            id="straightest",
        ),
    ],
)
def test_each_part_prefers_what_it_should(part, candles, best):
    assert ranked(candles, config=only(part)).selected[0] == best


def test_past_outcomes_count_once_matured_and_when_there_are_enough():
    inside = AS_OF - HOUR
    past = outcomes(
        (SOL, inside, 0.5),
        *[(ETH, inside, 0.03)] * 40,
        *[(BTC, AS_OF + timedelta(microseconds=1), 9.0)] * 40,
        *[(XRP, AS_OF - 8 * DAY, 9.0)] * 40,
        (XRP, inside, None),
    )
    result = ranked(outcomes=past, config=only("outcomes"))
    measured = {item.symbol: (item.measures["outcomes"], item.measures["outcome_return"]) for item in result.candidates}
    # one lucky trade of a half is worth 0.5 / 21; forty of 0.03 are worth 1.2 / 60
    assert measured == {SOL: (1, round(0.5 / 21, 8)), ETH: (40, 0.02), BTC: (0, 0.0), XRP: (0, 0.0)}
    assert result.selected == (SOL, ETH, BTC, XRP)
    assert "matured" not in json.dumps(result.columns())


def test_an_outcome_that_matures_exactly_at_the_time_counts():
    result = ranked(outcomes=outcomes((XRP, AS_OF, 0.2)), config=only("outcomes"))
    assert result.selected[0] == XRP


def test_ties_are_broken_by_name():
    same = pl.concat(series(BTC).with_columns(pl.lit(symbol).alias("symbol")) for symbol in SYMBOLS)
    result = ranked(same, list(reversed(SYMBOLS)))
    assert result.selected == tuple(SYMBOLS)
    assert {item.score for item in result.candidates} == {0.5}


@pytest.mark.parametrize(
    ("candles", "config", "lists", "reason"),
    [
        pytest.param({}, {}, {"deny": [ETH]}, "on the deny list", id="denied"),
        pytest.param({}, {}, {"allow": [BTC, SOL, XRP]}, "not on the allow list", id="not allowed"),
        pytest.param({}, {}, {"allow": [ETH], "deny": [ETH]}, "on the deny list", id="deny outranks allow"),
        pytest.param({}, {}, {"instruments": instruments(ETH="watch_only")}, "instrument is watch_only", id="watched"),
        pytest.param({}, {}, {"instruments": instruments(ETH="deprecated")}, "instrument is deprecated", id="gone"),
        pytest.param(
            {}, {}, {"instruments": instruments().filter(pl.col("symbol") != ETH)}, "no such instrument", id="unknown"
        ),
        pytest.param({"hours": 71}, {}, {}, "only 2.95833333 days of candles, the least is 3", id="young"),
        pytest.param({"end": AS_OF - DAY}, {}, {}, "no candles in the last 24 hours", id="silent"),
        pytest.param({"end": AS_OF + 8 * DAY}, {}, {}, "no candles in the look-back", id="only in the future"),
        pytest.param(
            {"volume": 0.0},
            {"min_quote_volume_24h": Decimal(1)},
            {},
            "traded 0.0 in 24 hours, the least is 1",
            id="not traded",
        ),
    ],
)
def test_a_threshold_gives_its_reason_and_the_others_stay(candles, config, lists, reason):
    result = ranked(market(ETH=candles), config=config, **lists)
    assert reasons(result)[ETH] == reason
    assert ETH not in result.selected
    if "allow" not in lists or ETH not in lists["allow"]:
        assert set(result.selected) == {BTC, SOL, XRP}


@pytest.mark.parametrize(
    ("change", "config", "begins"),
    [
        pytest.param({"spread": 0.05}, {"max_spread_bps": 100.0}, "spread proxy", id="wide"),
        pytest.param({"step": 0.08}, {}, "volatility", id="wild"),
    ],
)
def test_measured_thresholds(change, config, begins):
    result = ranked(market(ETH=change), config=config)
    assert reasons(result)[ETH].startswith(begins)
    assert set(result.selected) == {BTC, SOL, XRP}


def test_coverage_counts_from_the_first_bar_and_leaves_synthetic_bars_out():
    def holes(bars: int):
        gone = (pl.col("symbol") == ETH) & pl.col("ts").is_between(AS_OF - 100 * HOUR, AS_OF - (100 - bars + 1) * HOUR)
        return market().with_columns(gone.alias("is_synthetic"))

    # 168 bars, of which 16 may be absent: 152 / 168 is 0.9048, 151 / 168 is 0.8988
    assert ETH in ranked(holes(16)).selected
    assert reasons(ranked(holes(17)))[ETH] == f"coverage {round(151 / 168, 8)}, the least is 0.9"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param({"state": "deprecated"}, "instrument is deprecated", id="deprecated"),
        pytest.param({"delisted_at": AS_OF}, f"delisted since {AS_OF:%Y-%m-%dT%H:%MZ}", id="delisted as of now"),
        pytest.param({"delisted_at": AS_OF + HOUR}, None, id="delisted later"),
    ],
)
def test_what_is_traded_no_more_is_not_selected(row, reason):
    known = instruments().with_columns(
        pl.when(pl.col("symbol") == ETH)
        .then(pl.lit(value))
        .otherwise(name)
        .cast(instruments().schema[name])
        .alias(name)
        for name, value in row.items()
    )
    result = ranked(instruments=known)
    assert (ETH in result.selected) == (reason is None)
    assert reason is None or reasons(result)[ETH] == reason


def test_a_listing_before_the_look_back_counts_as_age():
    listed = instruments().with_columns(pl.lit(AS_OF - 400 * DAY).cast(pl.Datetime("us", "UTC")).alias("listed_at"))
    config = {"min_age_days": 30}
    assert set(ranked(config=config, instruments=listed).selected) == set(SYMBOLS)
    assert ranked(config=config, instruments=instruments()).selected == ()


def test_quote_currencies_are_not_pooled():
    usd = "DOGE/USD"
    candles = pl.concat([market(), series(usd, volume=1e9)])
    result = ranked(candles, [*SYMBOLS, usd], config=only("liquidity"))
    parts = {item.symbol: item.parts["liquidity"] for item in result.candidates}
    # alone with its quote, however much it trades
    assert parts[usd] == 0.5


@pytest.mark.parametrize(
    ("candles", "deny", "previous", "selected", "picked_by", "reason"),
    [
        pytest.param(
            market(), [BTC, ETH, SOL], [ETH, XRP], (XRP,), "previous",
            "1 of 4 candidates pass, the floor is 2: the previous universe stays, without ETH/USDT",
            id="below the floor",
        ),
        pytest.param(
            market(), [BTC, ETH, SOL], None, (), "floor",
            "1 of 4 candidates pass, the floor is 2, and there is no previous universe: nothing may be entered",
            id="below the floor on the first day",
        ),
        pytest.param(
            market().clear(), [], [SOL, BTC], (SOL, BTC), "previous",
            "there are no candles to rank: the previous universe stays", id="no candles",
        ),
        pytest.param(
            market().with_columns(pl.col("ts") + 30 * DAY), [], [SOL], (SOL,), "previous",
            "there are no candles to rank: the previous universe stays", id="only later candles",
        ),
        pytest.param(
            market().clear(), [], [], (), "previous",
            "there are no candles to rank: the previous universe stays", id="an empty universe before",
        ),
    ],
)  # fmt: skip
def test_fall_backs_say_why(candles, deny, previous, selected, picked_by, reason):
    result = ranked(candles, config={"min_symbols": 2}, deny=deny, previous=previous)
    assert (result.selected, result.picked_by, result.reason) == (selected, picked_by, reason)
    assert {item.symbol for item in result.candidates if item.selected} == set(selected)


def test_a_kept_symbol_says_so():
    result = ranked(config={"min_symbols": 2}, deny=[BTC, ETH, SOL], previous=[XRP])
    assert reasons(result)[XRP] == "kept from the previous universe; today: rank 1 of 1"


def test_exactly_the_floor_is_enough():
    assert ranked(config={"min_symbols": 4}, previous=[BTC]).picked_by == "ranking"


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param({"liquidty": 1.0}, id="misspelt"),
        pytest.param({"liquidity": 0.0}, id="all zero"),
        pytest.param({}, id="none"),
    ],
)
def test_unusable_weights_are_refused(weights):
    with pytest.raises(WeightError, match=r"universe\.weights"):
        ranked(config={"weights": weights})


def test_columns_are_json_in_the_shape_of_the_table():
    columns = ranked().columns()
    assert set(columns) == {"selected", "candidates", "scoring", "picked_by", "reason"}
    assert set(columns) <= set(UniverseSnapshots.to_schema().columns)
    assert json.loads(columns["selected"]) == list(ranked().selected)
    first = json.loads(columns["candidates"])[0]
    assert set(first) == {"symbol", "selected", "reason", "measures", "parts", "score", "rank"}
    assert set(first["parts"]) == set(PARTS)


PAST = outcomes((BTC, AS_OF - HOUR, 0.01), (SOL, AS_OF - 2 * HOUR, -0.02))
KNOWN = ranked(outcomes=PAST).columns()

future_bars = st.lists(
    st.tuples(st.sampled_from([*SYMBOLS, "NEW/USDT"]), st.integers(0, 500), st.floats(1e-6, 1e9), st.floats(0, 1e12)),
    max_size=20,
)
future_outcomes = st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(1, 10**9), st.floats(-10, 10)), max_size=20)


@settings(max_examples=40, deadline=None)
@given(bars=future_bars, later=future_outcomes, seed=st.integers(0, 9))
def test_nothing_after_the_time_changes_anything(bars, later, seed):
    template = series(BTC, hours=1).row(0, named=True)
    rows = [
        {
            **template,
            "symbol": symbol,
            # the bar that opens at the time minus 59 minutes would be off the grid, so the first is at the time itself
            "ts": AS_OF + i * HOUR,
            **dict.fromkeys(("open", "high", "low", "close"), price),
            "volume": volume,
        }
        for symbol, i, price, volume in bars
    ]
    candles = pl.concat([market(), pl.DataFrame(rows, schema=CANDLES, orient="row")])
    unknown = outcomes(*[(symbol, AS_OF + timedelta(microseconds=us), value) for symbol, us, value in later])
    shuffled = candles.sample(fraction=1, shuffle=True, seed=seed)
    assert ranked(shuffled, outcomes=pl.concat([PAST, unknown])).columns() == KNOWN


def test_a_bar_that_is_still_open_at_the_time_is_not_read():
    half = AS_OF + HOUR / 2
    early = rank_universe(market(), SYMBOLS, as_of=half, interval="1h", settings=Universe())
    forming = (
        market().filter(pl.col("ts") == AS_OF - HOUR).with_columns(ts=pl.lit(AS_OF).cast(pl.Datetime("us", "UTC")))
    )
    wild = forming.with_columns(pl.col("open", "high", "low", "close") * 5)
    late = rank_universe(pl.concat([market(), wild]), SYMBOLS, as_of=half, interval="1h", settings=Universe())
    assert early.columns() == late.columns()


def test_a_past_bar_does_change_it():
    # the twin: what was known may not be touched without being noticed
    raised = pl.when((pl.col("symbol") == SOL) & (pl.col("ts") == AS_OF - HOUR)).then(1.001).otherwise(1.0)
    assert ranked(market().with_columns(pl.col("close") * raised), outcomes=PAST).columns() != KNOWN
