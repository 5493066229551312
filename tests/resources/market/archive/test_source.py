"""Every format that the archive reads, with exact expected values, and how files are put together."""

import gzip
import io
import json
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.market.archive import folder as folder_module
from openclaw_pipelines.resources.market.archive.errors import (
    ArchiveFolderError,
    ConflictingFilesError,
    EmptyFileError,
    NoBarsError,
    UnknownMarketTypeError,
)
from openclaw_pipelines.resources.market.archive.source import ArchiveMarket
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, FUNDING_COLUMNS
from openclaw_pipelines.resources.market.instruments_file import UnknownVenueError

T0 = datetime(2025, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
PERP = "BTC/USDT:USDT"
Row = tuple[datetime, float, float, float, float, float]
BARS: list[Row] = [
    (T0, 100.0, 103.5, 99.5, 101.0, 7.0),
    (T0 + timedelta(minutes=5), 101.0, 101.0, 98.25, 98.5, 0.125),
    (T0 + timedelta(minutes=10), 98.5, 99.0, 98.5, 98.75, 0.0),
    (T0 + timedelta(minutes=20), 98.75, 110.0, 98.75, 109.5, 31.5),
]
ZIPPED = "BTCUSDT-5m-2025-02.zip"


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def frame(rows: list[Row], time_column: str = "ts", unit: str = "ms") -> pl.DataFrame:
    names = [time_column, "open", "high", "low", "close", "volume"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col(time_column).dt.cast_time_unit(unit).dt.convert_time_zone("UTC"),
        *[pl.col(name).cast(pl.Float64) for name in names[1:]],
    )


def parquet(path: Path, rows: list[Row] = BARS, symbol: str = "BTC/USDT") -> None:
    frame(rows).with_columns(symbol=pl.lit(symbol)).write_parquet(path)


def funding_parquet(path: Path, rows: list[tuple[datetime, float]]) -> None:
    pl.DataFrame(rows, schema={"ts": pl.Datetime("ms", "UTC"), "funding_rate": pl.Float64}, orient="row").with_columns(
        symbol=pl.lit("BTC/USDT")
    ).write_parquet(path)


def feather(path: Path, rows: list[Row] = BARS) -> None:
    frame(rows, "date", "ns").write_ipc(path, compression="lz4")


def json_rows(rows: list[Row] = BARS) -> str:
    return json.dumps([[milliseconds(row[0]), *row[1:]] for row in rows])


def binance_text(rows: list[Row] = BARS, header: bool = True, scale: int = 1) -> str:
    names = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,"
        "count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
    )
    lines = [f"{milliseconds(row[0]) * scale},{','.join(map(str, row[1:]))},0,0,3,0,0,0\n" for row in rows]
    return (names if header else "") + "".join(lines)


def zipped(path: Path, *members: tuple[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members:
            archive.writestr(name, text)


def kraken_text(rows: list[Row] = BARS) -> str:
    return "".join(f"{milliseconds(row[0]) // 1000},{','.join(map(str, row[1:]))},4\n" for row in rows)


def folder(tmp_path: Path, name: str = "binance_usdm") -> Path:
    path = tmp_path / name
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("place", "symbol", "write"),
    [
        pytest.param(
            "binance_usdm", PERP, lambda at: parquet(at / "BTC-USDT_5m_20250201_20250201.parquet"), id="Parquet"
        ),
        pytest.param(
            "binance_usdm", PERP, lambda at: parquet(at / "BTC-USDT_5m.parquet", symbol=PERP), id="Parquet, perp symbol"
        ),
        pytest.param(
            "binance_spot",
            "BTC/USDT",
            lambda at: (at / "BTCUSDT-5m-2025-02.csv").write_text(binance_text()),
            id="Binance Vision CSV with header",
        ),
        pytest.param(
            "binance_spot",
            "BTC/USDT",
            lambda at: (at / "BTCUSDT-5m-2025-02.csv").write_text(binance_text(header=False)),
            id="Binance Vision CSV without header",
        ),
        pytest.param(
            "binance_spot",
            "BTC/USDT",
            lambda at: (at / "BTCUSDT-5m-2025-02.csv").write_text(binance_text(header=False, scale=1000)),
            id="Binance Vision CSV in microseconds",
        ),
        pytest.param(
            "binance_usdm",
            PERP,
            lambda at: zipped(at / ZIPPED, ("BTCUSDT-5m-2025-02.csv", binance_text())),
            id="Binance Vision zip",
        ),
        pytest.param("data", "BTC/USDT", lambda at: feather(at / "BTC_USDT-5m.feather"), id="freqtrade feather, spot"),
        pytest.param(
            "data", PERP, lambda at: feather(at / "BTC_USDT_USDT-5m-futures.feather"), id="freqtrade feather, perpetual"
        ),
        pytest.param(
            "data", "BTC/USDT", lambda at: (at / "BTC_USDT-5m.json").write_text(json_rows()), id="freqtrade JSON"
        ),
        pytest.param(
            "data",
            PERP,
            lambda at: (at / "BTC_USDT_USDT-5m-futures.json.gz").write_bytes(gzip.compress(json_rows().encode())),
            id="freqtrade JSON, gzipped",
        ),
        pytest.param(
            "kraken_spot",
            "BTC/USDT",
            lambda at: (at / "XBTUSDT_5.csv").write_text(kraken_text()),
            id="Kraken CSV, own name",
        ),
        pytest.param(
            "kraken_spot",
            "BTC/USDT",
            lambda at: (at / "BTCUSDT_5m_20250201_20250201.csv").write_text(kraken_text()),
            id="Kraken CSV, plain name",
        ),
    ],
)
def test_every_format_gives_the_same_bars(tmp_path, place, symbol, write):
    at = folder(tmp_path, place)
    write(at)
    bars = ArchiveMarket(at).candles(symbol, "5m", T0, T0 + DAY, LATER)
    assert bars.columns == CANDLE_COLUMNS
    assert bars.select("ts", "open", "high", "low", "close", "volume").rows() == BARS
    assert bars.select("source", "symbol", "interval", "is_synthetic").unique().rows() == [
        (f"archive:{place}", symbol, "5m", False)
    ]
    TABLES["candles"].validate(bars.with_columns(ingested_at=pl.lit(LATER)))


def test_rows_out_of_order_are_sorted_and_equal_ones_dropped(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet", [BARS[3], BARS[0], BARS[2], BARS[1], BARS[0]])
    market = ArchiveMarket(at)
    assert market.candles(PERP, "5m", T0, T0 + DAY, LATER)["ts"].to_list() == [row[0] for row in BARS]
    assert market.inventory()["rows"].to_list() == [4]


def test_windows_and_as_of_are_those_of_a_full_read(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet")
    feather(at / "ETH_USDT_USDT-5m-futures.feather")
    market = ArchiveMarket(at)
    for symbol in (PERP, "ETH/USDT:USDT"):
        whole = market.candles(symbol, "5m", T0, T0 + DAY, LATER)
        for first in range(0, 30, 3):
            for last in range(0, 30, 3):
                for age in (0, 5, 12):
                    start, end = T0 + timedelta(minutes=first), T0 + timedelta(minutes=last)
                    as_of = end + timedelta(minutes=age - 6)
                    kept = whole.filter(
                        (pl.col("ts") >= start) & (pl.col("ts") < end) & (pl.col("ts") + timedelta(minutes=5) <= as_of)
                    )
                    assert_frame_equal(market.candles(symbol, "5m", start, end, as_of), kept)


def test_higher_bars_are_built_from_what_is_stored(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet")
    bars = ArchiveMarket(at).candles(PERP, "15m", T0, T0 + DAY, LATER)
    assert bars.select("ts", "open", "high", "low", "close", "volume").rows() == [
        (T0, 100.0, 103.5, 98.25, 98.75, 7.125),
        (T0 + timedelta(minutes=15), 98.75, 110.0, 98.75, 109.5, 31.5),
    ]


def test_own_bars_win_and_others_are_built_from_the_lowest_interval_that_has_them(tmp_path):
    at = folder(tmp_path)
    minute = [(T0 + timedelta(minutes=n), 1.0 + n, 1.0 + n, 1.0 + n, 1.0 + n, 1.0) for n in range(30)]
    parquet(at / "BTC-USDT_1m.parquet", minute)
    parquet(at / "BTC-USDT_5m.parquet", [(T0 + timedelta(minutes=40), 9.0, 9.0, 9.0, 9.0, 2.0), *BARS[:2]])
    parquet(at / "BTC-USDT_15m.parquet", [(T0, 50.0, 50.0, 50.0, 50.0, 5.0)])
    bars = ArchiveMarket(at).candles(PERP, "15m", T0, T0 + DAY, LATER)
    assert bars.select(pl.col("ts").dt.minute(), "open", "close", "volume").rows() == [
        (0, 50.0, 50.0, 5.0),
        (15, 16.0, 30.0, 15.0),
        (30, 9.0, 9.0, 2.0),
    ]


def test_files_that_overlap_are_merged_when_equal(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m_20250201_20250201.parquet", BARS[:3])
    zipped(at / ZIPPED, ("BTCUSDT-5m-2025-02.csv", binance_text(BARS[1:])))
    assert ArchiveMarket(at).candles(PERP, "5m", T0, T0 + DAY, LATER)["ts"].to_list() == [row[0] for row in BARS]


def test_files_that_differ_by_float_noise_are_merged_and_the_first_by_name_stays(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet", [(*BARS[1][:4], 98.50000000000001, 0.125)])
    zipped(at / ZIPPED, ("any.csv", binance_text()))
    bars = ArchiveMarket(at).candles(PERP, "5m", T0, T0 + DAY, LATER)
    assert bars["close"].to_list() == [101.0, 98.50000000000001, 98.75, 109.5]


def test_files_that_disagree_are_an_error_naming_both(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet", BARS[:3])
    zipped(at / ZIPPED, ("any.csv", binance_text([(*BARS[1][:5], 9.0)])))
    market = ArchiveMarket(at)
    with pytest.raises(ConflictingFilesError) as caught:
        market.candles(PERP, "5m", T0, T0 + DAY, LATER)
    assert caught.value.args == ("BTC-USDT_5m.parquet", ZIPPED, 1, *[datetime(2025, 2, 1, 0, 5, tzinfo=UTC)] * 2)


MONTHLY, DAILY = "BTCUSDT-5m-2025-02.csv", "BTCUSDT-5m-2025-02-01.csv"
DAY_FILES = "*-????-??-??.*"


def monthly_and_daily(at: Path) -> None:
    """The daily file differs in its two middle bars."""
    (at / MONTHLY).write_text(binance_text())
    (at / DAILY).write_text(binance_text([BARS[0], *[(*row[:5], 9.0) for row in BARS[1:3]]]))


@pytest.mark.parametrize(
    ("prefer", "volumes"),
    [
        pytest.param((DAY_FILES,), [7.0, 9.0, 9.0, 31.5], id="daily"),
        pytest.param(("nothing", "*-2025-02.csv", DAY_FILES), [7.0, 0.125, 0.0, 31.5], id="monthly"),
    ],
)
def test_a_file_that_is_trusted_wins_where_files_differ(tmp_path, prefer, volumes):
    at = folder(tmp_path)
    monthly_and_daily(at)
    market = ArchiveMarket(at, prefer=prefer)
    assert market.candles(PERP, "5m", T0, T0 + DAY, LATER)["volume"].to_list() == volumes
    assert market.inventory()["problem"].to_list() == [None, None]


def test_files_that_differ_are_named_by_the_inventory_with_count_and_range(tmp_path):
    at = folder(tmp_path)
    monthly_and_daily(at)
    (at / "ETHUSDT-5m-2025-02.csv").write_text(binance_text())
    problems = ArchiveMarket(at).inventory()["problem"].to_list()
    assert problems[2] is None
    assert problems[0] == problems[1]
    assert problems[0].startswith(
        f"{DAILY} and {MONTHLY} differ in 2 row(s), 2025-02-01T00:05:00+00:00 to 2025-02-01T00:10:00+00:00. "
    )
    assert "market.archive_prefer" in problems[0]


def written(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


@pytest.mark.parametrize("write", [parquet, lambda path: (path.parent / MONTHLY).write_text(binance_text())])
@pytest.mark.parametrize(
    ("minute", "kept", "left_out"),
    [
        pytest.param(25, 4, None, id="written when it had closed"),
        pytest.param(24, 3, 20, id="written while it was open"),
        pytest.param(20, 3, 20, id="written when it opened"),
        pytest.param(3, 4, None, id="the stated time of writing cannot be"),
    ],
)
def test_a_bar_that_was_open_when_its_file_was_written_is_left_out(tmp_path, caplog, write, minute, kept, left_out):
    at = folder(tmp_path)
    write(at / "BTC-USDT_5m.parquet")
    written(next(at.iterdir()), T0 + timedelta(minutes=minute))
    market = ArchiveMarket(at)
    bars = market.candles(PERP, "5m", T0, T0 + DAY, LATER)
    assert bars["ts"].to_list() == [row[0] for row in BARS[:kept]]
    (note,) = market.inventory()["note"].to_list()
    if left_out is None:
        assert (note, caplog.messages) == (None, [])
    else:
        assert f"the bar of 2025-02-01T00:{left_out}:00+00:00 was still open" in note
        assert caplog.messages == [note]


def test_a_file_whose_only_bar_was_still_open_has_none(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet", BARS[:1])
    written(at / "BTC-USDT_5m.parquet", T0)
    with pytest.raises(EmptyFileError, match="its only bar was still open when it was written"):
        ArchiveMarket(at).candles(PERP, "5m", T0, T0 + DAY, LATER)


def test_bars_of_two_intervals_that_contradict_each_other_are_noted(tmp_path):
    at = folder(tmp_path)
    quarter = [(T0, 100.0, 103.5, 97.0, 98.75, 7.125), (T0 + timedelta(minutes=15), 98.75, 110.0, 98.75, 109.5, 31.5)]
    parquet(at / "BTC-USDT_5m.parquet")
    parquet(at / "BTC-USDT_15m.parquet", quarter)
    listed = ArchiveMarket(at).inventory()
    assert listed["problem"].to_list() == [None, None]
    assert listed["note"].to_list() == [
        "1 bar(s), 2025-02-01T00:00Z to 2025-02-01T00:00Z, are not what their 5m bars make: in the first, low is 97, "
        "the parts make 98.25. Compare with another source.",
        None,
    ]
    parquet(at / "BTC-USDT_15m.parquet", [(T0, 100.0, 103.5, 98.25, 98.75, 7.125)])
    assert ArchiveMarket(at).inventory()["note"].to_list() == [None, None]


def test_a_bar_is_built_from_the_interval_that_has_most_of_its_parts(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet", BARS[1:])
    parquet(at / "BTC-USDT_15m.parquet", [(T0 + timedelta(minutes=15 * n), 1.0, 2.0, 0.5, 1.0, 1.0) for n in range(3)])
    built = ArchiveMarket(at).candles(PERP, "30m", T0, T0 + DAY, LATER)
    assert built.select("ts", "low", "parts", "parts_expected", "has_open").rows() == [
        (T0, 0.5, 2, 2, True),
        (T0 + timedelta(minutes=30), 0.5, 1, 2, True),
    ]


def test_a_symbol_without_bars_names_the_files_that_could_not_be_used(tmp_path):
    at = folder(tmp_path)
    parquet(at / "ETH-USDT_5m.parquet", symbol="ETH/USDT")
    for name in ("BTC_USDT-1h.csv", "a.csv", "b.csv", "c.csv", "XRP_USDT_USDT-8h-mark.feather"):
        (at / name).write_text("")
    with pytest.raises(NoBarsError, match=r"not used: BTC_USDT-1h.csv, a.csv, b.csv and 1 more \(`openclaw market"):
        ArchiveMarket(at).candles(PERP, "5m", T0, T0 + DAY, LATER)


def test_a_changed_file_is_read_again_and_a_new_one_found(tmp_path):
    at = folder(tmp_path)
    feather(at / "BTC_USDT_USDT-5m-futures.feather", BARS[:1])
    market = ArchiveMarket(at)
    assert market.candles(PERP, "5m", T0, T0 + DAY, LATER).height == 1
    feather(at / "BTC_USDT_USDT-5m-futures.feather", BARS[:3])
    assert market.candles(PERP, "5m", T0, T0 + DAY, LATER).height == 3
    parquet(at / "BTC-USDT_5m.parquet")
    assert market.candles(PERP, "5m", T0, T0 + DAY, LATER).height == 4


def test_a_bad_file_does_not_stop_other_symbols_and_is_listed(tmp_path):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet")
    (at / "ETH-USDT_5m.parquet").write_bytes(b"")
    (at / "notes.csv").write_text("hello")
    (at / "README.md").write_text("not listed")
    market = ArchiveMarket(at)
    assert market.candles(PERP, "5m", T0, T0 + DAY, LATER).height == 4
    listed = market.inventory()
    assert listed.columns == ["file", "symbol", "interval", "kind", "rows", "first", "last", "problem", "note"]
    assert listed.select("file", "symbol", "interval", "kind", "rows", "first", "last").rows() == [
        ("BTC-USDT_5m.parquet", PERP, "5m", "candles", 4, T0, T0 + timedelta(minutes=20)),
        ("ETH-USDT_5m.parquet", "ETH/USDT:USDT", "5m", "candles", None, None, None),
        ("notes.csv", None, None, None, None, None, None),
    ]
    problems = listed["problem"].to_list()
    assert problems[0] is None
    assert problems[1].startswith("ETH-USDT_5m.parquet is empty: it has no bytes.")
    assert problems[2].startswith("notes.csv: symbol and interval cannot be told")


def test_files_kept_in_memory_stay_within_their_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "_KEPT_ROWS", 6)
    at = folder(tmp_path)
    for base in ("BTC", "ETH", "SOL"):
        feather(at / f"{base}_USDT_USDT-5m-futures.feather")
    market = ArchiveMarket(at)
    for _ in range(2):
        for base in ("BTC", "ETH", "SOL"):
            assert market.candles(f"{base}/USDT:USDT", "5m", T0, T0 + DAY, LATER).height == 4
    assert sum(content.held for content in market.folder._contents.values()) <= 6


FUNDING = [
    (T0 + timedelta(milliseconds=17), 0.0001),
    (T0 + timedelta(hours=8, minutes=14, seconds=47), -0.00025),
    (T0 + timedelta(hours=16), 0.0),
]
FUNDING_ROWS = [(at.replace(minute=0, second=0, microsecond=0), at, rate) for at, rate in FUNDING]


def funding_feather(path: Path) -> None:
    feather(path, [(at, rate, 0.0, 0.0, 0.0, 0.0) for at, rate in FUNDING])


def funding_csv(path: Path) -> None:
    rows = "".join(f"{milliseconds(at)},8,{rate}\n" for at, rate in FUNDING)
    path.write_text("calc_time,funding_interval_hours,last_funding_rate\n" + rows)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda at: funding_parquet(at / "BTC-USDT_funding.parquet", FUNDING), id="Parquet"),
        pytest.param(lambda at: funding_feather(at / "BTC_USDT_USDT-8h-funding_rate.feather"), id="freqtrade feather"),
        pytest.param(lambda at: funding_csv(at / "BTCUSDT-fundingRate-2025-02.csv"), id="Binance Vision CSV"),
    ],
)
def test_funding_falls_on_the_full_hour_and_keeps_its_stamp(tmp_path, write):
    at = folder(tmp_path)
    write(at)
    market = ArchiveMarket(at)
    rates = market.funding_rates(PERP, T0, T0 + DAY, LATER)
    assert rates.columns == FUNDING_COLUMNS
    assert rates.select("ts", "stamped_at", "funding_rate").rows() == FUNDING_ROWS
    eight = T0 + timedelta(hours=8)
    assert market.funding_rates(PERP, eight, T0 + DAY, eight).select("ts").rows() == [(eight,)]
    assert market.funding_rates(PERP, T0, eight, LATER).select("ts").rows() == [(T0,)]


def test_spot_and_missing_funding_are_empty(tmp_path):
    at = folder(tmp_path, "data")
    parquet(at / "BTC-USDT_5m.parquet")
    funding_feather(at / "BTC_USDT_USDT-8h-funding_rate.feather")
    market = ArchiveMarket(at)
    for symbol in ("BTC/USDT", "ETH/USDT:USDT"):
        rates = market.funding_rates(symbol, T0, T0 + DAY, LATER)
        assert rates.columns == FUNDING_COLUMNS
        assert rates.is_empty()


@pytest.mark.parametrize(
    ("place", "kind", "error", "text"),
    [
        pytest.param(
            "data", None, UnknownMarketTypeError, "neither folder, name nor setting tells", id="nothing tells"
        ),
        pytest.param(
            "data", MarketType.SPOT, NoBarsError, "did you mean BTC/USDT", id="the setting says the other market"
        ),
        pytest.param("binance_spot", None, NoBarsError, "did you mean BTC/USDT", id="the folder says the other market"),
        pytest.param(
            "binance_spot", MarketType.LINEAR, UnknownMarketTypeError, "its folder says spot", id="folder and setting"
        ),
        pytest.param("spot_futures", None, UnknownMarketTypeError, "both spot and perpetual", id="folder says both"),
    ],
)
def test_market_types_that_cannot_be_told_are_refused(tmp_path, place, kind, error, text):
    at = folder(tmp_path, place)
    parquet(at / "BTC-USDT_5m.parquet")
    with pytest.raises(error, match=text):
        ArchiveMarket(at, kind).candles(PERP, "5m", T0, T0 + DAY, LATER)


def test_the_setting_tells_where_nothing_else_does(tmp_path):
    at = folder(tmp_path, "data")
    parquet(at / "BTC-USDT_5m.parquet")
    assert ArchiveMarket(at, MarketType.LINEAR).candles(PERP, "5m", T0, T0 + DAY, LATER).height == 4
    assert ArchiveMarket(at, MarketType.SPOT).candles("BTC/USDT", "5m", T0, T0 + DAY, LATER).height == 4


@pytest.mark.parametrize(
    ("interval", "symbol", "text"),
    [
        pytest.param("1m", PERP, "no bars of BTC/USDT:USDT from which 1m can be made", id="lower than stored"),
        pytest.param("3m", PERP, "from which 3m can be made", id="not a multiple"),
        pytest.param("5m", "BTC/USD:USD", "did you mean BTC/USDT:USDT", id="unknown symbol"),
    ],
)
def test_bars_that_cannot_be_made_are_an_error(tmp_path, interval, symbol, text):
    at = folder(tmp_path)
    parquet(at / "BTC-USDT_5m.parquet")
    with pytest.raises(NoBarsError, match=text):
        ArchiveMarket(at).candles(symbol, interval, T0, T0 + DAY, LATER)


def test_a_folder_that_is_none_is_an_error(tmp_path):
    with pytest.raises(ArchiveFolderError, match="does not exist"):
        ArchiveMarket(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveFolderError, match="is no folder"):
        ArchiveMarket(tmp_path / "file")


def test_instruments_come_from_the_venue_or_from_a_file_in_the_folder(tmp_path):
    rows = ArchiveMarket(folder(tmp_path)).instruments([PERP], T0)
    assert rows.select("source", "symbol", "market_type").rows() == [("archive:binance_usdm", PERP, "linear")]
    own = folder(tmp_path, "my_futures")
    with pytest.raises(UnknownVenueError, match=r"put an instruments\.yaml"):
        ArchiveMarket(own).instruments([PERP], T0)
    (own / "instruments.yaml").write_text(
        "linear:\n  defaults: {taker_fee_rate: '0.0004', max_leverage: 5, maintenance_margin_rate: '0.02', "
        "liquidation_fee_rate: '0', min_notional: '1'}\n"
        "  instruments:\n    BTC/USDT:USDT: {price_unit: '0.25', lot: '0.5'}\n"
    )
    rows = ArchiveMarket(own).instruments([PERP], T0)
    assert str(rows["price_unit"].item().normalize()) == "0.25"


def test_zip_made_in_memory_is_what_a_user_would_download(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("folder/", "")
        archive.writestr("folder/BTCUSDT-5m-2025-02.csv", binance_text())
    at = folder(tmp_path)
    (at / ZIPPED).write_bytes(packed.getvalue())
    assert ArchiveMarket(at).candles(PERP, "5m", T0, T0 + DAY, LATER).height == 4


def test_the_folder_is_looked_at_whole_only_when_a_file_came_or_went(tmp_path: Path, monkeypatch) -> None:
    at = tmp_path / "binance_usdm"
    at.mkdir()
    for base in ("BTC", "ETH", "SOL"):
        parquet(at / f"{base}-USDT_5m.parquet", symbol=f"{base}/USDT")
    looked: list[str] = []
    stamp = folder_module._stamp
    monkeypatch.setattr(folder_module, "_stamp", lambda path: (looked.append(path.name), stamp(path))[1])
    market = ArchiveMarket(at)
    ends = (T0, T0 + DAY, LATER)

    def closes(symbol: str) -> list[float]:
        looked.clear()
        return market.candles(symbol, "5m", *ends)["close"].to_list()

    whole = [row[4] for row in BARS]
    assert closes("BTC/USDT:USDT") == whole
    assert len(looked) >= 3
    assert closes("ETH/USDT:USDT") == whole
    assert set(looked) == {"ETH-USDT_5m.parquet"}
    changed = [(*BARS[0][:4], 100.5, 7.0), *BARS[1:]]
    parquet(at / "SOL-USDT_5m.parquet", changed, "SOL/USDT")  # in place
    assert closes("SOL/USDT:USDT") == [100.5, *whole[1:]]
    parquet(at / "XRP-USDT_5m.parquet", symbol="XRP/USDT")
    assert closes("XRP/USDT:USDT") == whole
    (at / "BTC-USDT_5m.parquet").unlink()
    with pytest.raises(NoBarsError):
        closes("BTC/USDT:USDT")
