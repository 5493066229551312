"""Each check on hand-made days, each with a twin that breaks one thing, and on what exchanges really published."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import NaiveTimeError
from openclaw_pipelines.domain.market.quality.checks import CHECKS, run_all
from openclaw_pipelines.domain.market.quality.frame import FrameColumnsError, FrameEmptyError, check_candles
from openclaw_pipelines.domain.market.quality.series import gap_runs, stale_runs
from openclaw_pipelines.domain.market.quality.window import MAX_CASES, Window

DAY = datetime(2025, 5, 10, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
LATER = datetime(2025, 6, 1, tzinfo=UTC)
SYMBOLS = ["BTC/USDT", "ETH/USDT"]
ABSENT = {"coverage": "error", "freshness": "warning", "gaps": "warning"}
HOUR = timedelta(hours=1)


def bar(symbol: str, i: int) -> dict:
    """A bar that moves by a few bps up and down and always trades."""
    open_, close = 100.0 + 0.05 * (i % 5), 100.0 + 0.05 * ((i + 1) % 5)
    return {
        "source": "archive:test",
        "symbol": symbol,
        "interval": "1h",
        "ts": DAY + i * HOUR,
        "open": open_,
        "high": max(open_, close) + 0.03,
        "low": min(open_, close) - 0.03,
        "close": close,
        "volume": 5.0 + i % 3,
        "is_synthetic": False,
        "has_open": True,
        "ingested_at": LATER,
    }


def frame(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TABLES["candles"].polars_schema, orient="row")


def day(change=None) -> pl.DataFrame:
    rows = [bar(symbol, i) for symbol in SYMBOLS for i in range(24)]
    return frame(change(rows) if change else rows)


def window(candles: pl.DataFrame, **changes) -> Window:
    facts = {"symbols": SYMBOLS, "intervals": ["1h"], "start": DAY, "end": NEXT, "as_of": LATER, "quality": Quality()}
    return Window(candles, **{**facts, **changes})


def failing(results) -> dict[str, str]:
    return {result.name: result.severity for result in results if not result.passed}


def put(i: int, **values):
    """The day with some columns of row `i` replaced."""
    return lambda rows: [{**row, **(values if n == i else {})} for n, row in enumerate(rows)]


def still(first: int, bars: int, volume: float):
    """The day with `bars` bars from `first` at the close before them."""

    def change(rows):
        price = rows[first - 1]["close"]
        flat = dict.fromkeys(("open", "high", "low", "close"), price) | {"volume": volume}
        return [{**row, **(flat if first <= n < first + bars else {})} for n, row in enumerate(rows)]

    return change


def without(*gone: int):
    return lambda rows: [row for n, row in enumerate(rows) if n not in gone]


SPIKE = {"high": 112.0}
CRASH = {"open": 100.0, "high": 100.0, "low": 89.0, "close": 90.0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(None, {}, id="ordinary day"),
        pytest.param(put(3, volume=-1.0), {"schema": "error", "ohlc": "error"}, id="negative volume"),
        pytest.param(put(3, interval="7m"), {"schema": "error", "off_grid": "error", "gaps": "warning"}, id="interval"),
        pytest.param(lambda rows: [*rows, rows[4]], {"duplicates": "error"}, id="a row twice"),
        pytest.param(
            put(3, ts=DAY + 3 * HOUR + timedelta(seconds=1)), {"off_grid": "error", "gaps": "warning"}, id="off grid"
        ),
        pytest.param(put(3, high=100.0), {"ohlc": "error"}, id="high below close"),
        pytest.param(put(3, low=100.3), {"ohlc": "error"}, id="low above open"),
        pytest.param(put(3, volume=float("nan")), {"schema": "error", "ohlc": "error"}, id="volume is not a number"),
        pytest.param(put(3, volume=float("inf")), {"schema": "error", "ohlc": "error"}, id="volume is infinite"),
        pytest.param(lambda rows: rows[:24], ABSENT, id="a symbol is absent"),
        pytest.param(lambda rows: [], {"coverage": "warning", "freshness": "warning"}, id="nothing at all"),
        pytest.param(without(22, 23), {"gaps": "warning", "freshness": "warning"}, id="ends early"),
        pytest.param(without(23), {"gaps": "warning"}, id="ends one bar early, as late as is allowed"),
        pytest.param(without(5, 6, 9), {"gaps": "warning"}, id="holes"),
        pytest.param(still(3, 10, 5.0), {"stale_flat_runs": "warning"}, id="ten still bars with volume"),
        pytest.param(still(3, 9, 5.0), {}, id="nine still bars with volume"),
        pytest.param(put(3, volume=0.0), {}, id="one bar without trades"),
        pytest.param(put(12, **SPIKE), {"outlier_moves": "warning"}, id="a spike in the high"),
        pytest.param(put(12, **CRASH), {"outlier_moves": "warning"}, id="a crash"),
        pytest.param(put(12, high=102.9), {}, id="a move below the floor"),
    ],
)
def test_each_check_sees_its_defect_and_no_other(change, expected):
    assert failing(run_all(window(day(change)))) == expected


def test_names_are_unique_and_every_result_carries_its_check():
    results = run_all(window(day()))
    assert [result.name for result in results] == [check.name for check in CHECKS]
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert {result.description for result in results} == {check.description for check in CHECKS}


def test_only_checks_declared_blocking_give_errors():
    broken = [put(3, high=100.0), put(3, volume=-1.0), lambda rows: [*rows, rows[4]], lambda rows: rows[:24]]
    blocking = {check.name for check in CHECKS if check.blocking}
    for change in broken:
        errors = {name for name, severity in failing(run_all(window(day(change)))).items() if severity == "error"}
        assert errors
        assert errors <= blocking


def test_gaps_are_listed_as_runs():
    runs = gap_runs(window(day(without(0, 5, 6, 9, 24 + 23))))
    assert runs.rows() == [
        ("BTC/USDT", "1h", DAY, DAY, 1),
        ("BTC/USDT", "1h", DAY + 5 * HOUR, DAY + 6 * HOUR, 2),
        ("BTC/USDT", "1h", DAY + 9 * HOUR, DAY + 9 * HOUR, 1),
        ("ETH/USDT", "1h", DAY + 23 * HOUR, DAY + 23 * HOUR, 1),
    ]


@pytest.mark.parametrize(
    ("as_of", "listed_at", "missing"),
    [
        pytest.param(DAY + timedelta(hours=6, minutes=30), {}, 0, id="live: later bars are not expected yet"),
        pytest.param(DAY + timedelta(hours=9), {}, 6, id="live: three bars late for both symbols"),
        pytest.param(DAY - timedelta(days=1), {}, 0, id="before the day"),
        pytest.param(DAY + timedelta(hours=9), {"ETH/USDT": DAY + timedelta(hours=8)}, 4, id="listed in the day"),
    ],
)
def test_only_bars_that_can_be_there_are_missed(as_of, listed_at, missing):
    early = day().filter(pl.col("ts") < DAY + 6 * HOUR)
    early = early.filter((pl.col("symbol") == "BTC/USDT") | (not listed_at) | (pl.col("ts") == DAY))
    runs = gap_runs(window(early, as_of=as_of, listed_at=listed_at))
    assert runs.get_column("bars").sum() == missing


def test_a_symbol_is_not_expected_before_its_listing():
    only_btc = day(lambda rows: rows[:24])
    assert failing(run_all(window(only_btc, listed_at={"ETH/USDT": NEXT}))) == {}


@pytest.mark.parametrize(
    ("kept", "delisted_at", "missing"),
    [
        pytest.param(9, DAY + 9 * HOUR, 0, id="delisted with its last bar"),
        pytest.param(9, DAY + 9.5 * HOUR, 0, id="delisted in a bar"),
        pytest.param(9, DAY + 11 * HOUR, 2, id="two bars before it are absent"),
        pytest.param(0, DAY, 0, id="delisted at midnight"),
        pytest.param(0, DAY - 3 * timedelta(days=1), 0, id="delisted days ago"),
        pytest.param(9, LATER, 15, id="delisted later"),
    ],
)
def test_a_symbol_is_not_expected_after_its_delisting(kept, delisted_at, missing):
    ended = day(lambda rows: rows[: 24 + kept])
    results = {result.name: result for result in run_all(window(ended, delisted_at={"ETH/USDT": delisted_at}))}
    assert results["gaps"].facts["missing_bars"] == missing
    assert results["coverage"].passed
    assert results["freshness"].passed == (missing < 2)


def elsewhere(before: datetime | None, after: datetime | None) -> pl.DataFrame:
    stamp = pl.Datetime("us", "UTC")
    schema = {"symbol": pl.String, "interval": pl.String, "last_before": stamp, "first_after": stamp}
    return pl.DataFrame([("ETH/USDT", "1h", before, after)], schema=schema, orient="row")


@pytest.mark.parametrize(
    ("before", "after", "severity", "says"),
    [
        pytest.param(None, None, "error", "none on any other day, though others have. Check the name", id="never seen"),
        pytest.param(DAY - HOUR, None, "warning", "last bar is of 2025-05-09T23:00Z. If it was delisted", id="ended"),
        pytest.param(None, NEXT, "warning", "first bar is of 2025-05-11T00:00Z. If it was listed then", id="begins"),
        pytest.param(DAY - HOUR, NEXT, "warning", "has bars before and after. Add the day", id="one day is absent"),
    ],
)
def test_a_whole_missing_day_of_one_symbol_is_a_gap_that_stops_nobody_else(before, after, severity, says):
    known = window(day(lambda rows: rows[:24]), elsewhere=elsewhere(before, after))
    found = {result.name: result for result in run_all(known)}
    assert failing(found.values()) == {**ABSENT, "coverage": severity}
    sentence = found["coverage"].sentence
    assert sentence.startswith("1 of 2 series have no bar at all: ETH/USDT 1h on 2025-05-10, ")
    assert says in sentence
    assert found["gaps"].cases.rows() == [("ETH/USDT", "1h", DAY, DAY + 23 * HOUR, 24)]


def built(i: int, parts: int, expected: int, has_open: bool):
    return put(i, parts=parts, parts_expected=expected, has_open=has_open)


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        pytest.param(built(4, 12, 12, True), None, id="whole"),
        pytest.param(built(4, 11, 12, True), (1, 0, 0), id="one part is absent"),
        pytest.param(built(4, 11, 12, False), (1, 0, 1), id="the first part is absent"),
        pytest.param(built(4, 6, 12, True), (1, 1, 0), id="half of them are"),
        pytest.param(built(4, 2, 4, True), (1, 1, 0), id="two of four"),
    ],
)
def test_built_bars_that_lack_a_part_are_listed(change, facts):
    found = {result.name: result for result in run_all(window(day(change)))}
    result = found["incomplete_bars"]
    assert failing(found.values()) == ({} if facts is None else {"incomplete_bars": "warning"})
    assert tuple(result.facts.values())[1:] == (facts or (0, 0, 0))
    if facts is not None:
        assert result.cases["ts"].to_list() == [DAY + 4 * HOUR]


def halves(change=None) -> pl.DataFrame:
    """The day of BTC in hours, as published, and in the half hours that make them."""
    rows = [bar("BTC/USDT", i) for i in range(24)]
    parts = []
    for row in rows:
        shared = {**row, "interval": "30m", "volume": row["volume"] / 2}
        parts += [{**shared, "close": row["open"]}, {**shared, "open": row["open"], "ts": row["ts"] + HOUR / 2}]
    return frame((change(rows) if change else rows) + parts)


@pytest.mark.parametrize(
    ("change", "hours"),
    [
        pytest.param(None, [], id="they agree"),
        pytest.param(put(7, low=90.0), [7], id="a low that no part has"),
        pytest.param(put(7, volume=5.0), [7], id="another volume"),
        pytest.param(put(7, low=90.0, parts=1, parts_expected=2), [], id="built bars are judged by their parts"),
        pytest.param(put(7, low=90.0, is_synthetic=True), [], id="synthetic bars are nobody's word"),
    ],
)
def test_published_bars_agree_with_their_lower_bars(change, hours):
    both = window(halves(change), symbols=["BTC/USDT"], intervals=["1h", "30m"])
    result = next(result for result in run_all(both) if result.name == "intervals_agree")
    assert result.cases.get_column("ts").to_list() == [DAY + n * HOUR for n in hours] if hours else result.passed


def test_a_bar_whose_parts_are_not_all_there_is_not_compared():
    lacking = halves(put(7, low=90.0)).filter(~((pl.col("interval") == "30m") & (pl.col("ts") == DAY + 7 * HOUR)))
    both = window(lacking, symbols=["BTC/USDT"], intervals=["30m", "1h"])
    assert next(result for result in run_all(both) if result.name == "intervals_agree").passed


@pytest.mark.parametrize(
    ("as_of", "rows", "severity"),
    [
        pytest.param(DAY + timedelta(hours=9), 6, "error", id="live and everything is late: the source stands still"),
        pytest.param(LATER, 6, "warning", id="a day long past may end in a hole"),
    ],
)
def test_freshness_is_an_error_only_where_a_live_source_stopped(as_of, rows, severity):
    candles = day().filter(pl.col("ts") < DAY + rows * HOUR)
    assert failing(run_all(window(candles, as_of=as_of)))["freshness"] == severity


def test_one_late_symbol_of_a_live_source_is_a_warning():
    candles = day().filter((pl.col("ts") < DAY + 6 * HOUR) | (pl.col("symbol") == "ETH/USDT"))
    candles = candles.filter(pl.col("ts") < DAY + 9 * HOUR)
    results = {result.name: result for result in run_all(window(candles, as_of=DAY + timedelta(hours=9)))}
    assert (results["freshness"].passed, results["freshness"].severity) == (False, "warning")
    assert results["freshness"].cases.select("symbol", "lag_seconds").rows() == [("BTC/USDT", 3 * 3600)]


@pytest.mark.parametrize(
    ("as_of", "unclosed"),
    [
        pytest.param(NEXT, 0, id="the last bar closes right then"),
        pytest.param(NEXT - timedelta(microseconds=1), 2, id="just before"),
        pytest.param(DAY + timedelta(hours=22, minutes=59), 4, id="two bars of both symbols"),
    ],
)
def test_bars_that_had_not_closed_are_errors(as_of, unclosed):
    result = next(r for r in run_all(window(day(), as_of=as_of)) if r.name == "unclosed")
    assert (result.passed, result.severity, result.total_cases) == (not unclosed, "error", unclosed)


def test_an_outage_in_a_busy_symbol_is_found_though_it_is_short():
    candles = pl.concat([day(still(9, 2, 0.0)), *[shifted(day(), n) for n in (1, 2, 3)]])
    found = stale_runs(window(candles, end=DAY + timedelta(days=4)))
    assert found.rows() == [("BTC/USDT", "1h", DAY + 9 * HOUR, DAY + 10 * HOUR, 2, 2, "outage")]


def test_a_pause_in_a_quiet_symbol_is_ordinary():
    # twin: 2 of 24 bars without trades is more than one in twenty
    assert stale_runs(window(day(still(9, 2, 0.0)))).is_empty()


def test_a_hole_breaks_a_run():
    assert stale_runs(window(day(lambda rows: without(8)(still(3, 11, 5.0)(rows))))).is_empty()


def shifted(candles: pl.DataFrame, days: int) -> pl.DataFrame:
    return candles.with_columns(pl.col("ts") + timedelta(days=days))


@pytest.mark.parametrize(
    ("close", "differing"), [pytest.param(100.2, 0, id="the same row"), pytest.param(100.19, 1, id="another value")]
)
def test_duplicates_say_whether_they_differ(close, differing):
    candles = day(lambda rows: [*rows, {**rows[3], "close": close}])
    result = next(r for r in run_all(window(candles)) if r.name == "duplicates")
    assert (result.total_cases, result.facts["differing_keys"]) == (1, differing)


def test_zero_volume_warns_above_its_share():
    def quiet(bars: int):
        return day(lambda rows: [{**row, "volume": 0.0 if n < bars else 1.0} for n, row in enumerate(rows)])

    # 2,000 bps of 24 bars is 4.8
    assert failing(run_all(window(quiet(4)))) == {}
    results = {result.name: result for result in run_all(window(quiet(5)))}
    assert results["zero_volume"].cases.rows() == [("BTC/USDT", "1h", 5, 24, 2083.3)]
    assert results["zero_volume"].facts["zero_volume_bars"] == 5


def test_an_outlier_is_measured_in_bps_and_deviations():
    result = next(r for r in run_all(window(day(put(12, **CRASH)))) if r.name == "outlier_moves")
    # the close before is 100.10; the low of 89 is the farthest the bar went
    first = result.cases.row(0, named=True)
    assert first["ts"] == DAY + 12 * HOUR
    assert first["move_bps"] == round((90 / 100.10 - 1) * 10_000, 2)
    assert first["excursion_bps"] == round((1 - 89 / 100.10) * 10_000, 2)
    closes = [row["close"] for row in put(12, **CRASH)([bar("BTC/USDT", i) for i in range(24)])]
    moves = np.diff(closes) / closes[:-1]
    sigma = 1.4826 * np.median(np.abs(moves - np.median(moves)))
    assert first["robust_sigmas"] == pytest.approx((1 - 89 / 100.10) / sigma, rel=1e-6)


def _thousandfold(since: datetime, first: datetime = DAY) -> pl.DataFrame:
    """Two days of one series whose prices are a thousand times higher from `since` on; bars from `first` on."""
    rows = [bar(SYMBOLS[0], i) for i in range(48)]
    factor = {True: 1_000.0, False: 1.0}
    prices = ("open", "high", "low", "close")
    changed = [{**row, **{name: row[name] * factor[row["ts"] >= since] for name in prices}} for row in rows]
    return frame([row for row in changed if row["ts"] >= first])


@pytest.mark.parametrize("since", [NEXT, NEXT + 12 * HOUR], ids=["at midnight", "at noon"])
def test_a_jump_of_scale_is_seen_wherever_the_window_begins(since) -> None:
    candles = _thousandfold(since)
    second = window(
        candles.filter(pl.col("ts") >= NEXT), symbols=SYMBOLS[:1], start=NEXT, end=NEXT + timedelta(days=1),
        before=candles.filter(pl.col("ts") < NEXT).tail(1),
    )  # fmt: skip
    found = next(result for result in run_all(second) if result.name == "outlier_moves")
    assert (found.passed, found.cases["ts"].to_list()) == (False, [since])
    assert found.cases["move_bps"][0] == pytest.approx(9_990_000, rel=0.01)
    assert all(result.facts["rows"] == 24 for result in run_all(second))  # the bar before is no bar of the window


def test_a_hole_at_the_start_of_a_day_does_not_hide_the_jump() -> None:
    candles = _thousandfold(NEXT)
    late = candles.filter((pl.col("ts") < NEXT) | (pl.col("ts") >= NEXT + 3 * HOUR))
    second = window(
        late.filter(pl.col("ts") >= NEXT), symbols=SYMBOLS[:1], start=NEXT, end=NEXT + timedelta(days=1),
        before=late.filter(pl.col("ts") < NEXT).tail(1),
    )  # fmt: skip
    found = next(result for result in run_all(second) if result.name == "outlier_moves")
    assert found.cases["ts"].to_list() == [NEXT + 3 * HOUR]


def test_a_run_that_stands_still_over_midnight_is_counted_from_the_close_before_it() -> None:
    """A run of the length that counts, whose first bar repeats the close of the day before."""
    bars = Quality().stale_flat_bars
    candles = day(still(0 + 1, 23, 0.0))
    price = float(candles["close"][0])
    flat = candles.head(24).filter(pl.col("ts") < DAY + bars * HOUR)
    flat = flat.with_columns(pl.lit(price).alias(name) for name in ("open", "high", "low", "close"))
    rest = day().filter((pl.col("symbol") == SYMBOLS[0]) & (pl.col("ts") >= DAY + bars * HOUR))
    before = flat.head(1).with_columns(ts=pl.lit(DAY - HOUR).cast(flat.schema["ts"]))
    own = {"symbols": SYMBOLS[:1]}
    assert stale_runs(window(pl.concat([flat, rest]), **own)).filter(kind="flat").is_empty()
    run = stale_runs(window(pl.concat([flat, rest]), before=before, **own)).row(0, named=True)
    assert (run["first"], run["bars"], run["kind"]) == (DAY, bars, "flat")


def test_a_notebook_can_ask_the_same_rules() -> None:
    columns = ["ts", "symbol", "open", "high", "low", "close", "volume"]
    jumped = check_candles(_thousandfold(NEXT).select(columns), interval="1h")
    assert failing(jumped) == {"outlier_moves": "warning", "scale_jumps": "error"}
    assert not failing(check_candles(_thousandfold(LATER).select(columns), interval="1h"))
    with pytest.raises(FrameColumnsError, match="the frame has no volume; it has ts, symbol"):
        check_candles(_thousandfold(NEXT).select(columns[:-1]), interval="1h")
    with pytest.raises(NaiveTimeError, match="candles"):
        check_candles(_thousandfold(NEXT).with_columns(pl.col("ts").dt.replace_time_zone(None)), interval="1h")
    with pytest.raises(FrameEmptyError, match="1h candles has no bar"):
        check_candles(_thousandfold(NEXT).select(columns).head(0), interval="1h")


def test_outliers_need_both_the_floor_and_the_deviations():
    wide = window(day(put(12, **SPIKE)), quality=Quality(outlier_floor_bps=1_300))
    calm = window(day(put(12, **SPIKE)), quality=Quality(outlier_sigma=1e9))
    assert failing(run_all(wide)) == failing(run_all(calm)) == {}


def test_revisions_show_both_values():
    later = TABLES["candle_revisions"].polars_schema
    row = {**bar("BTC/USDT", 3), "close": 100.3, "high": 100.4, "seen_at": LATER}
    outside = {**row, "ts": NEXT}
    revisions = pl.DataFrame([{name: item[name] for name in later} for item in (row, outside)], schema=later)
    results = {result.name: result for result in run_all(window(day(), revisions=revisions))}
    assert failing(results.values()) == {"revisions": "warning"}
    case = results["revisions"].cases.row(0, named=True)
    assert results["revisions"].total_cases == 1
    assert (case["ts"], case["stored_close"], case["close"]) == (DAY + 3 * HOUR, 100.2, 100.3)
    assert case["close_change_bps"] == round((100.3 / 100.2 - 1) * 10_000, 2)


def test_broken_columns_fail_every_check():
    results = run_all(window(day().drop("volume")))
    assert all(not result.passed and result.severity == "error" for result in results)
    assert "volume: column_in_dataframe" in results[0].sentence
    assert results[1].sentence.startswith("Not judged")


def test_cases_are_capped_and_counted():
    rows = [{**bar("BTC/USDT", i), "high": 1.0} for i in range(24)] * 3
    results = {result.name: result for result in run_all(window(frame(rows)))}
    assert (results["ohlc"].cases.height, results["ohlc"].total_cases) == (MAX_CASES, 72)


def real(path, symbol: str, interval: str) -> pl.DataFrame:
    stamp = pl.Datetime("us", "UTC")
    return pl.read_parquet(path).select(
        source=pl.lit("archive:real"),
        symbol=pl.lit(symbol),
        interval=pl.lit(interval),
        ts=pl.col("ts").cast(stamp),
        open="open",
        high="high",
        low="low",
        close="close",
        volume="volume",
        is_synthetic=pl.lit(value=False),
        ingested_at=pl.lit(LATER).cast(stamp),
        parts=pl.lit(None, dtype=pl.Int64),
        parts_expected=pl.lit(None, dtype=pl.Int64),
        has_open=pl.lit(value=True),
    )


@pytest.mark.shared_data
def test_the_binance_halt_of_march_2023_is_reported(shared_data):
    symbols = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    start = datetime(2023, 3, 24, tzinfo=UTC)
    folder = shared_data / "binance_spot"
    halt = pl.concat(
        real(folder / f"{name.replace('/', '-')}_5m_20230301_20230331.parquet", name, "5m") for name in symbols
    ).filter(pl.col("ts").dt.date() == start.date())
    seen = window(halt, symbols=symbols, intervals=["5m"], start=start, end=start + timedelta(days=1))
    results = {result.name: result for result in run_all(seen)}
    assert failing(results.values()) == {"gaps": "warning", "stale_flat_runs": "warning"}
    at = datetime(2023, 3, 24, 11, 30, tzinfo=UTC)
    minutes = timedelta(minutes=1)
    assert gap_runs(seen).rows() == [(s, "5m", at + 70 * minutes, at + 145 * minutes, 16) for s in symbols]
    assert stale_runs(seen).rows() == [(s, "5m", at, at + 65 * minutes, 14, 14, "flat") for s in symbols]
    assert [results["zero_volume"].facts[f"zero_volume_bars {s} 5m"] for s in symbols] == [14, 14, 14]


@pytest.mark.shared_data
def test_hyperliquid_outages_are_still_bars_and_no_gaps(shared_data):
    path = shared_data / "hyperliquid_perp" / "BTC-USDC_5m_20250314_20250726.parquet"
    candles = real(path, "BTC/USDC:USDC", "5m")
    end = candles.get_column("ts").max() + timedelta(minutes=5)
    start = datetime(2025, 3, 15, tzinfo=UTC)
    candles = candles.filter(pl.col("ts") >= start)
    seen = window(candles, symbols=["BTC/USDC:USDC"], intervals=["5m"], start=start, end=end)
    assert gap_runs(seen).is_empty()
    runs = stale_runs(seen)
    assert runs.select("first", "bars", "kind").rows() == [
        (datetime(2025, 5, 25, 14, 25, tzinfo=UTC), 2, "outage"),
        (datetime(2025, 6, 8, 9, 45, tzinfo=UTC), 8, "outage"),
        (datetime(2025, 7, 19, 9, 55, tzinfo=UTC), 4, "outage"),
    ]
    # the fifteenth stands alone and is counted as a bar without trades
    zero = next(result for result in run_all(seen) if result.name == "zero_volume")
    assert zero.facts["zero_volume_bars"] == 15


@pytest.mark.shared_data
def test_binanceus_usdc_without_trades_is_counted_exactly(shared_data):
    path = shared_data / "binanceus_spot" / "BTC-USDC_1m_20230301_20230321.parquet"
    start = datetime(2023, 3, 1, tzinfo=UTC)
    seen = window(
        real(path, "BTC/USDC", "1m"),
        symbols=["BTC/USDC"],
        intervals=["1m"],
        start=start,
        end=start + timedelta(days=21),
    )
    results = {result.name: result for result in run_all(seen)}
    assert results["zero_volume"].facts["zero_volume_bars"] == 12_971
    assert not results["zero_volume"].passed
    assert results["gaps"].passed


@pytest.mark.shared_data
def test_kraken_bars_without_trades_are_absent(shared_data):
    path = shared_data / "kraken_spot" / "BTC-USDC_1m_20230301_20230321.parquet"
    start = datetime(2023, 3, 1, tzinfo=UTC)
    candles = real(path, "BTC/USDC", "1m").filter(pl.col("ts") < start + timedelta(days=20))
    seen = window(candles, symbols=["BTC/USDC"], intervals=["1m"], start=start, end=start + timedelta(days=20))
    results = {result.name: result for result in run_all(seen)}
    assert results["gaps"].facts["missing_bars"] == 20 * 1440 - candles.height
    assert results["zero_volume"].facts["zero_volume_bars"] == 0
    # the depeg of 11 March was no error of the feed: reported, not blocked
    assert not results["outlier_moves"].passed
    assert dict(results["outlier_moves"].cases.group_by(pl.col("ts").dt.date()).len().iter_rows())[date(2023, 3, 11)]
    assert "error" not in failing(results.values()).values()
