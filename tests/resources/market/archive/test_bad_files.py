"""One bad file per row, the named error it gives and what the error says; the files beside it stay readable."""

import gzip
import json
import random
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from openclaw_pipelines.contracts.errors import DataError, OpenclawError
from openclaw_pipelines.resources.market.archive import errors, readers
from openclaw_pipelines.resources.market.archive.source import ArchiveMarket

T0 = datetime(2025, 2, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 1, tzinfo=UTC)
PERP = "BTC/USDT:USDT"
MS = int(T0.timestamp() * 1000)
FIVE = 300_000


def table(**changes: object) -> pl.DataFrame:
    """Four good 5m bars; a change names a column and gives its values, None removes it."""
    columns: dict[str, object] = {
        "ts": [T0 + n * timedelta(minutes=5) for n in range(4)],
        "open": [10.0, 11.0, 12.0, 13.0],
        "high": [11.0, 12.0, 13.0, 14.0],
        "low": [9.0, 10.0, 11.0, 12.0],
        "close": [11.0, 12.0, 13.0, 13.5],
        "volume": [1.0, 0.0, 2.0, 3.0],
        "symbol": ["BTC/USDT"] * 4,
        **changes,
    }
    return pl.DataFrame({name: values for name, values in columns.items() if values is not None})


def parquet(**changes: object) -> Callable[[Path], object]:
    return lambda at: table(**changes).write_parquet(at / "BTC-USDT_5m.parquet")


def text(name: str, content: str | bytes) -> Callable[[Path], object]:
    return lambda at: (at / name).write_bytes(content.encode() if isinstance(content, str) else content)


def binance(*rows: str) -> Callable[[Path], object]:
    return text("BTCUSDT-5m-2025-02.csv", "".join(f"{row},0,0,3,0,0,0\n" for row in rows))


def zipped(*members: bytes) -> Callable[[Path], object]:
    def write(at: Path) -> None:
        with zipfile.ZipFile(at / "BTCUSDT-5m-2025-02.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for number, member in enumerate(members):
                archive.writestr(f"{number}.csv", member)

    return write


def jsons(*rows: object) -> Callable[[Path], object]:
    return text("BTC_USDT_USDT-5m-futures.json", json.dumps(rows))


def torn_zip(at: Path) -> None:
    zipped(b"1" * 5000)(at)
    path = at / "BTCUSDT-5m-2025-02.zip"
    path.write_bytes(path.read_bytes()[:60])


GOOD_LINE = f"{MS},10,11,9,11,1"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5631346\n"
STAMPS = [T0, T0 + timedelta(minutes=5), T0 + timedelta(minutes=5), T0 + timedelta(minutes=15)]
MINUTE_TEN = [T0 + n * timedelta(minutes=10) for n in range(4)]
FEATHER = "BTC_USDT_USDT-5m-futures.feather"

CASES = [
    pytest.param(text(FEATHER, POINTER), errors.GitLfsPointerError, "git lfs pull", id="git-LFS pointer as feather"),
    pytest.param(text("BTC-USDT_5m.parquet", POINTER), errors.GitLfsPointerError, "git lfs", id="pointer as Parquet"),
    pytest.param(text(FEATHER, b""), errors.EmptyFileError, "it has no bytes", id="zero bytes"),
    pytest.param(
        lambda at: table(symbol=None).rename({"ts": "date"}).clear().write_ipc(at / FEATHER),
        errors.EmptyFileError,
        "it has no rows",
        id="feather of zero rows",
    ),
    pytest.param(jsons(), errors.EmptyFileError, "it is an empty list", id="empty list"),
    pytest.param(text("BTCUSDT-5m-2025-02.csv", "\n"), errors.EmptyFileError, "it has no rows", id="blank CSV"),
    pytest.param(
        text(FEATHER, b"PK\x03\x04junk"),
        errors.UnreadableFileError,
        "cannot be read as freqtrade feather",
        id="another format",
    ),
    pytest.param(
        text("BTC-USDT_5m.parquet", b"x" * 99), errors.UnreadableFileError, "read as parquet", id="damaged Parquet"
    ),
    pytest.param(
        text("BTC_USDT_USDT-5m-futures.json", "[[1,"), errors.UnreadableFileError, "freqtrade JSON", id="torn JSON"
    ),
    pytest.param(
        text("BTC_USDT_USDT-5m-futures.json.gz", b"no gzip"), errors.UnreadableFileError, "gzipped", id="no gzip"
    ),
    pytest.param(
        text("BTC_USDT_USDT-5m-futures.json.gz", gzip.compress(b"[" * 999)[:-9]),
        errors.UnreadableFileError,
        "gzipped",
        id="torn gzip",
    ),
    pytest.param(torn_zip, errors.UnreadableFileError, "Binance Vision zip", id="torn zip"),
    pytest.param(zipped(), errors.UnreadableFileError, "it holds 0 files instead of one", id="empty zip"),
    pytest.param(zipped(b"1", b"2"), errors.UnreadableFileError, "it holds 2 files", id="zip of two files"),
    pytest.param(zipped(b"1" * 5000), errors.OversizedFileError, "more than 4,000 bytes", id="zip bomb"),
    pytest.param(
        text("BTC_USDT_USDT-5m-futures.json.gz", gzip.compress(b"[" * 5000)),
        errors.OversizedFileError,
        "more than 4,000 bytes",
        id="gzip bomb",
    ),
    pytest.param(parquet(vwap=[1.0] * 4), errors.UnknownColumnsError, "volume, symbol, vwap", id="column too many"),
    pytest.param(parquet(volume=None), errors.UnknownColumnsError, "expected ts, symbol", id="column missing"),
    pytest.param(jsons([MS, 1, 1, 1]), errors.UnknownColumnsError, "rows of another shape", id="short JSON row"),
    pytest.param(jsons({"a": 1}), errors.UnknownColumnsError, "rows of another shape", id="JSON of objects"),
    pytest.param(
        text("BTCUSDT-5m-2025-02.csv", "time,open,high\n1,2,3\n"),
        errors.UnknownColumnsError,
        "time, open, high",
        id="unknown header",
    ),
    pytest.param(
        text("BTCUSDT-5m-2025-02.csv", GOOD_LINE),
        errors.UnknownColumnsError,
        "6 columns without a header",
        id="too few columns",
    ),
    pytest.param(
        text("BTCUSDT_5m.csv", f"{MS // 1000},10,11\n"), errors.NotCandlesError, "holds trades", id="Kraken trades"
    ),
    pytest.param(
        text("BTCUSDT_5m.csv", f"{MS // 1000},1,1,1,1,1,1,1\n"),
        errors.UnknownColumnsError,
        "8 columns",
        id="Kraken of 8 columns",
    ),
    pytest.param(
        parquet(symbol=["BTC/USDT", "BTC/USDT", "ETH/USDT", "BTC/USDT"]),
        errors.WrongSymbolError,
        "row 3: symbol 'ETH/USDT'",
        id="symbol of another pair",
    ),
    pytest.param(
        parquet(high=[11.0, 12.0, 12.5, 14.0]),
        errors.BrokenBarError,
        "row 3, 2025-02-01T00:10:00.*high is not",
        id="high below close",
    ),
    pytest.param(
        parquet(low=[9.0, 10.0, 11.0, 13.2]), errors.BrokenBarError, "row 4.*low is not the lowest", id="low above open"
    ),
    pytest.param(parquet(low=[9.0, 0.0, 11.0, 12.0]), errors.BrokenBarError, "row 2.*not above 0", id="price of zero"),
    pytest.param(
        parquet(high=[11.0, 1e300, 13.0, 14.0]),
        errors.BrokenBarError,
        "row 2.*outside 1e-12 to 1e",
        id="price of 1e300",
    ),
    pytest.param(
        parquet(low=[9.0, 1e-300, 11.0, 12.0]),
        errors.BrokenBarError,
        "row 2.*outside 1e-12 to 1e",
        id="price of 1e-300",
    ),
    pytest.param(
        parquet(volume=[1.0, 1e19, 2.0, 3.0]), errors.BrokenBarError, "row 2.*above 1e", id="more volume than any coin"
    ),
    pytest.param(
        parquet(high=[11.0, float("inf"), 13.0, 14.0]), errors.BadValueError, "row 2: high is inf", id="endless price"
    ),
    pytest.param(
        parquet(ts=[*STAMPS[:2], datetime(2090, 2, 1, tzinfo=UTC), datetime(2090, 2, 2, tzinfo=UTC)]),
        errors.TimeOutOfRangeError,
        "row 3: 2090-02-01 00:00:00.*not from 2009-01-03",
        id="stamp of 2090",
    ),
    pytest.param(
        parquet(ts=[datetime(1999, 2, 1, tzinfo=UTC), *STAMPS[:2], STAMPS[3]]),
        errors.TimeOutOfRangeError,
        "row 1: 1999-02-01",
        id="stamp before the first block",
    ),
    pytest.param(
        binance(GOOD_LINE, f"{MS * 4},10,11,9,11,1"),
        errors.TimeOutOfRangeError,
        "BTCUSDT-5m-2025-02.csv, row 2: 2190-",
        id="stamp of 2190 in milliseconds",
    ),
    pytest.param(
        parquet(symbol=[PERP, PERP, "BTC/USDT", PERP]),
        errors.WrongSymbolError,
        "row 3: symbol 'BTC/USDT' in a file named after 'BTC/USDT:USDT'",
        id="spot symbol among a perpetual's",
    ),
    pytest.param(
        parquet(symbol=["BTC/USDT:BTC"] * 4),
        errors.WrongSymbolError,
        "row 1: symbol 'BTC/USDT:BTC'",
        id="inverse symbol",
    ),
    pytest.param(parquet(volume=[1.0, -1.0, 2.0, 3.0]), errors.BrokenBarError, "row 2.*negative", id="negative volume"),
    pytest.param(
        parquet(open=[10.0, None, 12.0, 13.0]), errors.BadValueError, "row 2: open is None", id="missing price"
    ),
    pytest.param(
        parquet(close=[11.0, 12.0, float("nan"), 13.5]), errors.BadValueError, "row 3: close is nan", id="price NaN"
    ),
    pytest.param(
        parquet(volume=[1.0, 0.0, 2.0, float("inf")]), errors.BadValueError, "row 4: volume is inf", id="endless volume"
    ),
    pytest.param(
        binance(GOOD_LINE, f"{MS + FIVE},10,n/a,9,11,1"),
        errors.BadValueError,
        "row 2: high is 'n/a'",
        id="text for a price",
    ),
    pytest.param(
        binance(GOOD_LINE, "yesterday,10,11,9,11,1"),
        errors.BadValueError,
        "row 2: open_time is 'yesterday'",
        id="text for a stamp",
    ),
    pytest.param(
        parquet(ts=[*STAMPS[:2], None, STAMPS[3]]), errors.BadValueError, "row 3: ts is None", id="missing stamp"
    ),
    pytest.param(
        parquet(ts=[at.replace(tzinfo=None) for at in MINUTE_TEN]),
        errors.NaiveStampsError,
        "without a zone",
        id="naive times",
    ),
    pytest.param(
        binance(GOOD_LINE, f"{(MS + FIVE) * 1000},10,11,9,11,1"),
        errors.BadStampError,
        "row 2.*is not in milliseconds",
        id="stamps of two units",
    ),
    pytest.param(binance("17,10,11,9,11,1"), errors.BadStampError, "row 1: stamp 17", id="stamp of no unit"),
    pytest.param(
        parquet(ts=[T0, T0 + timedelta(minutes=5, seconds=1), *MINUTE_TEN[1:3]]),
        errors.OffGridStampError,
        "row 2: 2025-02-01T00:05:01",
        id="off-grid stamp",
    ),
    pytest.param(
        parquet(ts=[T0 + n * timedelta(minutes=1) for n in range(4)]),
        errors.OffGridStampError,
        "5m bar",
        id="1m bars named 5m",
    ),
    pytest.param(
        parquet(ts=MINUTE_TEN), errors.WrongIntervalError, "named 5m.*less than 0:10:00 apart", id="10m bars named 5m"
    ),
    pytest.param(
        parquet(ts=STAMPS), errors.ConflictingRowsError, "row 3.*differs from row 2", id="duplicates that differ"
    ),
]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(readers, "UNPACKED_LIMIT_BYTES", 4_000)
    folder = tmp_path / "my_futures"
    folder.mkdir()
    table(symbol=["ETH/USDT"] * 4).write_parquet(folder / "ETH-USDT_5m.parquet")
    return folder


@pytest.mark.parametrize(("write", "error", "says"), CASES)
def test_a_bad_file_has_a_named_error_and_harms_no_other(archive, write, error, says):
    write(archive)
    market = ArchiveMarket(archive)
    with pytest.raises(error, match=says) as caught:
        market.candles(PERP, "5m", T0, LATER, LATER)
    assert isinstance(caught.value, DataError)
    bad = market.inventory().filter(pl.col("problem").is_not_null())
    assert bad["problem"].to_list() == [str(caught.value)]
    assert bad["file"].item() in str(caught.value)
    assert market.candles("ETH/USDT:USDT", "5m", T0, LATER, LATER).height == 4


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="ordinary bars"),
        pytest.param({"ts": [T0, T0 + timedelta(minutes=5), T0 + timedelta(minutes=90), LATER]}, id="holes"),
        pytest.param(
            {"ts": [at.timestamp() * 1000 for at in STAMPS[:2]] + [MS + 7 * FIVE, MS + 9 * FIVE]}, id="numbers"
        ),
    ],
)
def test_good_files_pass_the_same_door(archive, changes):
    parquet(**changes)(archive)
    assert (
        ArchiveMarket(archive).candles(PERP, "5m", T0, LATER + timedelta(days=1), LATER + timedelta(days=1)).height == 4
    )


def test_funding_that_contradicts_itself_is_refused(archive):
    rows = {"ts": [T0, T0 + timedelta(milliseconds=5)], "funding_rate": [0.0001, 0.0002], "symbol": ["BTC/USDT"] * 2}
    pl.DataFrame(rows).write_parquet(archive / "BTC-USDT_funding.parquet")
    with pytest.raises(errors.ConflictingRowsError, match="BTC-USDT_funding"):
        ArchiveMarket(archive).funding_rates(PERP, T0, LATER, LATER)


@pytest.mark.parametrize("rate", [0.12, -0.0901, 1e6])
def test_a_funding_rate_beyond_the_largest_is_refused_by_file_row_and_time(archive, rate):
    rows = {"ts": [T0, T0 + timedelta(hours=8)], "funding_rate": [0.09, rate], "symbol": ["BTC/USDT"] * 2}
    pl.DataFrame(rows).write_parquet(archive / "BTC-USDT_funding.parquet")
    with pytest.raises(errors.BrokenRateError, match=rf"BTC-USDT_funding.parquet, row 2, 2025-02-01T08.* {rate}.*0.09"):
        ArchiveMarket(archive).funding_rates(PERP, T0, LATER, LATER)


def test_a_perpetual_in_a_folder_of_spot_is_refused(tmp_path):
    folder = tmp_path / "my_spot"
    folder.mkdir()
    table(symbol=[PERP] * 4).write_parquet(folder / "BTC-USDT_5m.parquet")
    with pytest.raises(errors.WrongSymbolError, match="row 1: symbol 'BTC/USDT:USDT' in a file named after 'BTC/USDT'"):
        ArchiveMarket(folder).candles("BTC/USDT", "5m", T0, LATER, LATER)


def test_every_error_about_a_file_is_in_the_table():
    named = {case.values[1] for case in CASES} | {
        errors.AmbiguousPairError,
        errors.ConflictingFilesError,
        errors.UnknownFileNameError,
        errors.BrokenRateError,
    }
    assert named == set(errors.ArchiveFileError.__subclasses__())


WHOLE = "".join(f"{MS + n * FIVE},10,11,9,11,1,0,0,3,0,0,0\n" for n in range(4)).encode()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        pytest.param("BTC-USDT_5m.parquet", parquet(), id="Parquet"),
        pytest.param(
            FEATHER,
            lambda at: table(symbol=None).rename({"ts": "date"}).write_ipc(at / FEATHER, compression="lz4"),
            id="feather",
        ),
        pytest.param("BTCUSDT-5m-2025-02.zip", zipped(WHOLE), id="zip"),
        pytest.param("BTCUSDT-5m-2025-02.csv", text("BTCUSDT-5m-2025-02.csv", WHOLE), id="CSV"),
    ],
)
def test_damaged_bytes_give_a_named_error_or_bars_that_keep_the_rules(archive, name, write):
    write(archive)
    path, chance = archive / name, random.Random(20_250_201)
    good = path.read_bytes()
    assert ArchiveMarket(archive).candles(PERP, "5m", T0, LATER, LATER).height == 4
    refused = 0
    for attempt in range(60):
        damaged = bytearray(good[: chance.randrange(1, len(good))] if attempt % 3 == 0 else good)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            bars = ArchiveMarket(archive).candles(PERP, "5m", T0, LATER, LATER)
        except OpenclawError as error:
            refused += 1
            assert name in str(error)  # noqa: PT017, not every damage is found
        else:
            assert bars.filter(pl.col("high") < pl.col("low")).is_empty()
    assert refused >= 30
