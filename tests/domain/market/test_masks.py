"""Masks against a plain reading of their rules, one tick at a time and a day at once, and on the March 2023 halt."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.tables.market import Candles
from openclaw_pipelines.domain.market.masks import OffGridTickError, entry_masks, window_bars
from openclaw_pipelines.domain.market.quality.rows import unclosed
from openclaw_pipelines.domain.market.quality.series import scale_jumps
from openclaw_pipelines.domain.market.quality.window import Window

CANDLES = {name: column.dtype.type for name, column in Candles.to_schema().columns.items()}
START = datetime(2025, 5, 10, tzinfo=UTC)
STEP = timedelta(minutes=15)
SYMBOLS = ["BTC/USDT", "ETH/USDT"]
SMALL = Quality(stale_flat_bars=3, recent_bars=4, gap_mask_bars=1)


def candles(series: dict[str, str], interval: str = "15m") -> pl.DataFrame:
    """A letter per slot: m moves, d ends where the bar before did, f is flat there, s is synthetic, . is absent.

    h moves and has half of its parts, a all but one of twelve.
    """
    rows = []
    for symbol, letters in series.items():
        price = 100.0
        for i, letter in enumerate(letters):
            if letter == ".":
                continue
            price += 0 if letter in "df" else 1
            spread = 0 if letter == "f" else 1
            rows.append(
                {
                    "source": "archive:test",
                    "symbol": symbol,
                    "interval": interval,
                    "ts": START + i * STEP,
                    "open": price,
                    "high": price + spread,
                    "low": price,
                    "close": price,
                    "volume": 1.0,
                    "is_synthetic": letter == "s",
                    "parts": {"h": 6, "a": 11}.get(letter),
                    "parts_expected": 12 if letter in "ha" else None,
                    "has_open": True,
                    "ingested_at": START + (i + 1) * STEP,
                }
            )
    return pl.DataFrame(rows, schema=CANDLES, orient="row")


def entry_mask(
    frame: pl.DataFrame, symbols: list[str], at: datetime, interval: str, quality: Quality
) -> dict[str, RejectCode]:  # fmt: skip
    """Code per symbol at one tick."""
    codes = entry_masks(frame, symbols, at, at, interval, quality)
    return {symbol: RejectCode(int(code)) for symbol, code in zip(symbols, codes[0], strict=True)}


def tick(i: int) -> datetime:
    """Close of bar `i`."""
    return START + (i + 1) * STEP


@pytest.mark.parametrize(
    ("letters", "code"),
    [
        pytest.param("mmmmmm", RejectCode.NONE, id="all there"),
        pytest.param("mm.mmm", RejectCode.NONE, id="one absent is tolerated"),
        pytest.param("mm..mm", RejectCode.GAP, id="two absent"),
        pytest.param("m..mmm", RejectCode.NONE, id="one of them outside the window"),
        pytest.param("mm.smm", RejectCode.GAP, id="a synthetic bar is an absent one"),
        pytest.param("mmmmm.", RejectCode.STALE_CANDLES, id="the bar of the tick is absent"),
        pytest.param("mmmmms", RejectCode.STALE_CANDLES, id="the bar of the tick is synthetic"),
        pytest.param("mmmfff", RejectCode.STALE_CANDLES, id="three still bars"),
        pytest.param("mmmffd", RejectCode.NONE, id="a bar that came back has moved"),
        pytest.param("mmmmff", RejectCode.NONE, id="two still bars"),
        pytest.param("mmfffm", RejectCode.NONE, id="a still run that has ended"),
        pytest.param("mm.fff", RejectCode.NONE, id="the first flat bar has no close before it"),
        pytest.param("mmmmmh", RejectCode.GAP, id="the bar of the tick has half of its parts"),
        pytest.param("mmmmma", RejectCode.NONE, id="the bar of the tick lacks one part of twelve"),
        pytest.param("mmmmhm", RejectCode.NONE, id="one such bar before it is tolerated"),
        pytest.param("mmmhhm", RejectCode.GAP, id="two are as two absent ones"),
        pytest.param("mm.hmm", RejectCode.GAP, id="one absent and one of half of its parts"),
        pytest.param("hhhhhh", RejectCode.GAP, id="a bar of half of its parts is a price"),
        pytest.param("......", RejectCode.NO_PRICE, id="no bar at all"),
        pytest.param("ssssss", RejectCode.NO_PRICE, id="only synthetic bars"),
    ],
)
def test_the_code_of_a_tick(letters, code):
    assert entry_mask(candles({"BTC/USDT": letters}), ["BTC/USDT"], tick(5), "15m", SMALL) == {"BTC/USDT": code}


@pytest.mark.parametrize(("least", "code"), [(5_000, RejectCode.NONE), (5_001, RejectCode.GAP)])
def test_the_share_of_parts_is_a_setting(least, code):
    quality = SMALL.model_copy(update={"min_parts_bps": least})
    assert entry_mask(candles({"BTC/USDT": "mmmmmh"}), ["BTC/USDT"], tick(5), "15m", quality) == {"BTC/USDT": code}


def test_a_bar_older_than_the_gap_window_is_still_a_price():
    # the look-back holds six bars here, the gap window four
    longer = Quality(stale_flat_bars=5, recent_bars=4)
    frame = candles({"BTC/USDT": "m....."})
    assert entry_mask(frame, ["BTC/USDT"], tick(5), "15m", longer) == {"BTC/USDT": RejectCode.STALE_CANDLES}
    assert entry_mask(frame, ["BTC/USDT"], tick(6), "15m", longer) == {"BTC/USDT": RejectCode.NO_PRICE}


def test_symbols_are_judged_apart_and_in_the_order_asked_for():
    frame = candles({"BTC/USDT": "mmmmmm", "ETH/USDT": "mmmmm."})
    codes = entry_masks(frame, ["ETH/USDT", "BTC/USDT", "SOL/USDT"], tick(5), tick(5), "15m", SMALL)
    assert codes.tolist() == [[RejectCode.STALE_CANDLES, RejectCode.NONE, RejectCode.NO_PRICE]]


def test_bars_of_another_interval_do_not_count():
    frame = candles({"BTC/USDT": "mmmmmm"}, interval="30m")
    assert entry_mask(frame, ["BTC/USDT"], tick(5), "15m", SMALL) == {"BTC/USDT": RejectCode.NO_PRICE}


def test_a_tick_off_the_grid_is_an_error():
    with pytest.raises(OffGridTickError, match="15m"):
        entry_mask(candles({"BTC/USDT": "m"}), ["BTC/USDT"], START + timedelta(minutes=7), "15m", SMALL)


def plain(letters: str, i: int, quality: Quality) -> RejectCode:
    """The rules read aloud, over letters: `i` is the bar that closes at the tick."""

    def at(n: int) -> str:
        return letters[n] if 0 <= n < len(letters) else "."

    def there(n: int) -> bool:
        return at(n) in "mdf"

    if not any(there(i - n) for n in range(window_bars(quality))):
        return RejectCode.NO_PRICE
    still = all(at(i - n) == "f" and there(i - n - 1) for n in range(quality.stale_flat_bars))
    if not there(i) or still:
        return RejectCode.STALE_CANDLES
    absent = sum(not there(i - n) for n in range(quality.recent_bars))
    return RejectCode.GAP if absent > quality.gap_mask_bars else RejectCode.NONE


series = st.text(alphabet="mmdfff.s", min_size=30, max_size=30)
qualities = st.builds(
    Quality, stale_flat_bars=st.integers(2, 6), recent_bars=st.integers(1, 8), gap_mask_bars=st.integers(0, 3)
)


@settings(max_examples=40, deadline=None)
@given(btc=series, eth=series, quality=qualities)
def test_a_day_at_once_equals_its_ticks_one_by_one_and_the_rules(btc, eth, quality):
    frame = candles({"BTC/USDT": btc, "ETH/USDT": eth})
    codes = entry_masks(frame, SYMBOLS, tick(0), tick(29), "15m", quality)
    expected = [[plain(letters, i, quality) for letters in (btc, eth)] for i in range(30)]
    assert codes.tolist() == expected
    lead = window_bars(quality)
    for i in (0, 13, 29):
        # what a live tick holds: its window and nothing after
        live = frame.filter(pl.col("ts") < tick(i), pl.col("ts") >= tick(i) - lead * STEP)
        assert list(entry_mask(live, SYMBOLS, tick(i), "15m", quality).values()) == expected[i]


@settings(max_examples=25, deadline=None)
@given(btc=series, future=series)
def test_bars_after_the_tick_change_nothing(btc, future):
    known = candles({"BTC/USDT": btc[:15]})
    later = candles({"BTC/USDT": btc[:15] + future})
    rows = entry_masks(known, SYMBOLS, tick(0), tick(14), "15m", SMALL)
    assert np.array_equal(rows, entry_masks(later, SYMBOLS, tick(0), tick(14), "15m", SMALL))


def scaled(frame: pl.DataFrame, first: int, last: int, factor: float) -> pl.DataFrame:
    """The frame with the prices of the bars `first` to `last` times a factor."""
    within = pl.col("ts").is_between(START + first * STEP, START + last * STEP)
    prices = pl.col("open", "high", "low", "close")
    return frame.with_columns(pl.when(within).then(prices * factor).otherwise(prices))


def window_of(frame: pl.DataFrame) -> Window:
    end = START + timedelta(days=1)
    return Window(candles=frame, symbols=SYMBOLS, intervals=["15m"], start=START, end=end, as_of=end, quality=SMALL)


JUMP = RejectCode.SCALE_JUMP


@pytest.mark.parametrize(
    ("first", "last", "factor", "codes"),
    [
        pytest.param(6, 11, 0.001, {6: JUMP, 7: JUMP, 8: JUMP, 9: 0}, id="a new scale is one once the window holds it"),
        pytest.param(6, 6, 1_000.0, {6: JUMP, 7: JUMP, 8: JUMP, 9: JUMP, 10: 0}, id="there and back"),
        pytest.param(6, 6, 11.0, {6: JUMP, 7: JUMP, 8: JUMP, 9: JUMP, 10: 0}, id="just beyond"),
        pytest.param(6, 6, 9.0, {6: 0, 7: 0, 8: 0, 9: 0}, id="a move in scale"),
    ],
)
def test_a_jump_of_scale_refuses_entries_while_the_window_holds_it(first, last, factor, codes):
    frame = scaled(candles({"BTC/USDT": "m" * 12}), first, last, factor)
    given = entry_masks(frame, ["BTC/USDT"], tick(0), tick(11), "15m", SMALL)[:, 0]
    assert {at: given[at] for at in codes} == codes
    lead = window_bars(SMALL)
    for i in range(12):  # what a live tick holds is the window alone
        live = frame.filter(pl.col("ts") < tick(i), pl.col("ts") >= tick(i) - lead * STEP)
        assert entry_mask(live, ["BTC/USDT"], tick(i), "15m", SMALL) == {"BTC/USDT": given[i]}
    named = scale_jumps(window_of(frame)).cases
    assert (START + first * STEP in named["ts"].to_list()) == (JUMP in codes.values())


def test_one_price_a_thousand_times_off_is_a_jump_and_a_crash_that_reaches_back_is_none():
    frame = candles({"BTC/USDT": "m" * 8})
    sixth = pl.col("ts") == START + 6 * STEP
    spike = frame.with_columns(high=pl.when(sixth).then(200_000.0).otherwise("high"))
    assert entry_mask(spike, ["BTC/USDT"], tick(6), "15m", SMALL) == {"BTC/USDT": JUMP}
    assert scale_jumps(window_of(spike)).cases["times_off"].round(0).to_list() == [1887.0]
    down = pl.when(sixth).then(5.0)
    crash = frame.with_columns(close=down.otherwise("close"), low=down.otherwise("low"))
    assert entry_mask(crash, ["BTC/USDT"], tick(6), "15m", SMALL) == {"BTC/USDT": 0}


def test_a_bar_stored_before_it_closed_is_absent_and_the_check_names_it():
    frame = candles({"BTC/USDT": "m" * 8})
    last = pl.col("ts") == START + 7 * STEP
    early = frame.with_columns(ingested_at=pl.when(last).then(tick(7) - timedelta(seconds=1)).otherwise("ingested_at"))
    assert entry_mask(frame, ["BTC/USDT"], tick(7), "15m", SMALL) == {"BTC/USDT": 0}
    assert entry_mask(early, ["BTC/USDT"], tick(7), "15m", SMALL) == {"BTC/USDT": RejectCode.STALE_CANDLES}
    assert unclosed(window_of(frame)).cases.height == 0
    assert unclosed(window_of(early)).cases["ts"].to_list() == [START + 7 * STEP]


@pytest.mark.shared_data
def test_the_binance_halt_masks_entries_until_the_window_is_whole(shared_data):
    path = shared_data / "binance_spot" / "BTC-USDT_5m_20230301_20230331.parquet"
    frame = pl.read_parquet(path).select(
        pl.lit("BTC/USDT").alias("symbol"),
        pl.lit("5m").alias("interval"),
        pl.col("ts").cast(pl.Datetime("us", "UTC")),
        "open",
        "high",
        "low",
        "close",
        pl.lit(value=False).alias("is_synthetic"),
        pl.lit(None, dtype=pl.Int64).alias("parts"),
        pl.lit(None, dtype=pl.Int64).alias("parts_expected"),
        pl.lit(datetime(2023, 4, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC")).alias("ingested_at"),
    )
    midnight = datetime(2023, 3, 24, tzinfo=UTC)
    codes = entry_masks(
        frame, ["BTC/USDT"], midnight + timedelta(minutes=5), midnight + timedelta(days=1), "5m", Quality()
    )[:, 0]
    minutes = {
        name: [(i + 1) * 5 for i in np.flatnonzero(codes == code)]
        for name, code in (("stale", RejectCode.STALE_CANDLES), ("none", RejectCode.NO_PRICE), ("gap", RejectCode.GAP))
    }
    # flat from 11:30, so the tenth such bar closes at 12:20; absent from 12:40; back with the bar of 14:00
    assert minutes["stale"] == list(range(12 * 60 + 20, 13 * 60 + 31, 5))
    assert minutes["none"] == list(range(13 * 60 + 35, 14 * 60 + 1, 5))
    assert minutes["gap"] == list(range(14 * 60 + 5, 14 * 60 + 31, 5))
