"""From a file to rows of UTC stamps and numbers. Whether the rows make sense is in `rules`.

Every reader returns the columns `row` (from 1, in file order), `ts` and the values, as floats, unsorted.
"""

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.domain.market.quality.bounds import PRICES, out_of_time, time_range
from openclaw_pipelines.resources.clock import RealClock
from openclaw_pipelines.resources.market.archive.errors import (
    BadStampError,
    BadValueError,
    EmptyFileError,
    GitLfsPointerError,
    NaiveStampsError,
    NotCandlesError,
    OversizedFileError,
    TimeOutOfRangeError,
    UnknownColumnsError,
    UnreadableFileError,
    WrongSymbolError,
)
from openclaw_pipelines.resources.market.archive.naming import FileName, Format, Kind

BAR_VALUES = [*PRICES, "volume"]
UNPACKED_LIMIT_BYTES = 512 * 1024 * 1024
"""A year of minutes is about 50 MB of text; a file that unpacks to more than this is refused."""

TIME = pl.Datetime("us", "UTC")
# what the parsers raise on damaged bytes. PanicException, which is no Exception: polars on broken metadata and offsets;
# RuntimeError: encrypted zips, unknown compression, JSON nested too deep
_DAMAGE = (PolarsError, PanicException, OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
_LFS_START = b"version https://git-lfs"
_BINANCE_COLUMNS = [
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
]  # fmt: skip
_BINANCE_FUNDING_COLUMNS = ["calc_time", "funding_interval_hours", "last_funding_rate"]
_KRAKEN_COLUMNS = ["time", *BAR_VALUES, "count"]
_UNITS = {"s": (10**8, 10**10), "ms": (10**11, 10**13), "us": (10**14, 10**16), "ns": (10**17, 9 * 10**18)}
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def read_rows(path: Path, name: FileName) -> pl.DataFrame:
    """All rows of a candle or funding file.

    Candles have `open high low close volume`, funding `funding_rate` and, where the file says them, `interval_hours`.
    Raises the errors of `errors`.
    """
    refuse_empty_and_pointers(path)
    try:
        rows = _READERS[name.format](path, name)
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnreadableFileError(path.name, name.format, reason) from error
    if rows.is_empty():
        raise EmptyFileError(path.name, "it has no rows")
    return rows


def scan_parquet(path: Path) -> pl.LazyFrame:
    """Rows of a Parquet file already found good, to be filtered by `ts` before they are read."""
    return pl.scan_parquet(path).with_columns(pl.col("ts").dt.convert_time_zone("UTC").dt.cast_time_unit("us"))


def refuse_empty_and_pointers(path: Path) -> None:
    """Raise EmptyFileError or GitLfsPointerError by the first bytes."""
    with path.open("rb") as file:
        start = file.read(len(_LFS_START))
    if not start:
        raise EmptyFileError(path.name, "it has no bytes")
    if start == _LFS_START:
        raise GitLfsPointerError(path.name)


def _parquet(path: Path, name: FileName) -> pl.DataFrame:
    frame = pl.read_parquet(path)
    values = BAR_VALUES if name.kind is Kind.CANDLES else ["funding_rate"]
    _require_columns(path, frame, ["ts", "symbol", *values])
    pair, full = f"{name.base}/{name.quote}", name.symbol(name.market_type or MarketType.SPOT)
    # many files of perpetuals hold the pair alone, but then in every row
    expected = pair if frame["symbol"].first() == pair else full
    odd = frame.with_row_index("row", 1).filter(pl.col("symbol").ne_missing(expected))
    if odd.height:
        raise WrongSymbolError(path.name, odd["row"][0], odd["symbol"][0], expected)
    return _rows(path, frame, "ts", values)


def _feather(path: Path, name: FileName) -> pl.DataFrame:
    frame = pl.read_ipc(path)
    _require_columns(path, frame, ["date", *BAR_VALUES])
    if name.kind is Kind.FUNDING:
        # freqtrade keeps the rate in the column of the open
        return _rows(path, frame, "date", ["open"]).rename({"open": "funding_rate"})
    return _rows(path, frame, "date", BAR_VALUES)


def _json(path: Path, name: FileName) -> pl.DataFrame:
    return _json_rows(path, path.read_bytes(), name)


def _json_gz(path: Path, name: FileName) -> pl.DataFrame:
    with gzip.open(path) as file:
        text = file.read(UNPACKED_LIMIT_BYTES + 1)
    if len(text) > UNPACKED_LIMIT_BYTES:
        raise OversizedFileError(path.name, UNPACKED_LIMIT_BYTES)
    return _json_rows(path, text, name)


def _json_rows(path: Path, text: bytes, name: FileName) -> pl.DataFrame:
    rows = json.loads(text)
    if rows == []:
        raise EmptyFileError(path.name, "it is an empty list")
    columns = ["date", *BAR_VALUES]
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise UnknownColumnsError(path.name, "rows of another shape", f"a list of lists of {', '.join(columns)}")
    frame = pl.DataFrame(
        {column: pl.Series([row[at] for row in rows], strict=False) for at, column in enumerate(columns)}
    )
    if name.kind is Kind.FUNDING:
        return _rows(path, frame, "date", ["open"]).rename({"open": "funding_rate"})
    return _rows(path, frame, "date", BAR_VALUES)


def _binance(path: Path, name: FileName) -> pl.DataFrame:
    return _binance_rows(path, path.read_bytes(), name)


def _binance_zip(path: Path, name: FileName) -> pl.DataFrame:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise UnreadableFileError(path.name, name.format, f"it holds {len(members)} files instead of one")
        if members[0].file_size > UNPACKED_LIMIT_BYTES:
            raise OversizedFileError(path.name, UNPACKED_LIMIT_BYTES)
        # zipfile stops at the stated size, so a member that lies about it is cut short and fails its checksum
        return _binance_rows(path, archive.read(members[0]), name)


def _binance_rows(path: Path, text: bytes, name: FileName) -> pl.DataFrame:
    if name.kind is Kind.FUNDING:
        frame = _csv(path, text, _BINANCE_FUNDING_COLUMNS)
        rows = _rows(path, frame, "calc_time", ["last_funding_rate", "funding_interval_hours"])
        return rows.rename({"last_funding_rate": "funding_rate", "funding_interval_hours": "interval_hours"})
    return _rows(path, _csv(path, text, _BINANCE_COLUMNS), "open_time", BAR_VALUES)


def _kraken(path: Path, _: FileName) -> pl.DataFrame:
    text = path.read_bytes()
    if text.split(b"\n", maxsplit=1)[0].count(b",") == 2:
        raise NotCandlesError(path.name, "trades (time, price, volume)")
    return _rows(path, _csv(path, text, _KRAKEN_COLUMNS), "time", BAR_VALUES)


_READERS: dict[Format, Callable[[Path, FileName], pl.DataFrame]] = {
    Format.PARQUET: _parquet,
    Format.BINANCE: _binance,
    Format.BINANCE_ZIP: _binance_zip,
    Format.FEATHER: _feather,
    Format.JSON: _json,
    Format.JSON_GZ: _json_gz,
    Format.KRAKEN: _kraken,
}


def _csv(path: Path, text: bytes, columns: list[str]) -> pl.DataFrame:
    """Text columns of a CSV whose header may be absent; a header must be the known one. An empty line is no row."""
    text = b"\n".join(line for line in text.splitlines() if line.strip())
    if not text:
        raise EmptyFileError(path.name, "it has no rows")
    first = text.lstrip(b"\xef\xbb\xbf").split(b"\n", maxsplit=1)[0].decode().strip().split(",")
    has_header = not first[0].strip()[:1].isdigit()
    if (has_header and first != columns) or len(first) != len(columns):
        found = ", ".join(first) if has_header else f"{len(first)} columns without a header"
        raise UnknownColumnsError(path.name, found, ", ".join(columns))
    return pl.read_csv(io.BytesIO(text), has_header=has_header, new_columns=columns, infer_schema=False)


def _rows(path: Path, frame: pl.DataFrame, time_column: str, values: list[str]) -> pl.DataFrame:
    """Rows with a number each, UTC stamps that can be, and finite floats."""
    stamps, now = _utc_stamps(path, frame[time_column]), RealClock().now()
    odd = out_of_time(stamps, now)
    if odd is not None:
        first, last = time_range(now)
        raise TimeOutOfRangeError(path.name, odd + 1, str(stamps.cast(pl.String)[odd]), first, last)
    numbers = [_floats(path, frame[column]) for column in values]
    return pl.DataFrame([stamps.alias("ts"), *numbers]).with_row_index("row", 1)


def _floats(path: Path, column: pl.Series) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() | ~numbers.is_finite().fill_null(value=False)).arg_true()
    if len(bad):
        raise BadValueError(path.name, int(bad[0]) + 1, column.name, column[int(bad[0])])
    return numbers


def _utc_stamps(path: Path, column: pl.Series) -> pl.Series:
    """Stamps in UTC from times with a zone or from numbers since 1970, whose unit their size tells."""
    if column.null_count():
        raise BadValueError(path.name, int(column.is_null().arg_true()[0]) + 1, column.name, None)
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone is None:
            raise NaiveStampsError(path.name, column.name, str(column.first()))
        return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    numbers = column.cast(pl.Int64, strict=False)
    if numbers.null_count():
        at = int(numbers.is_null().arg_true()[0])
        raise BadValueError(path.name, at + 1, column.name, column[at])
    if numbers.is_empty():
        return numbers.cast(TIME)
    unit = next((unit for unit, (low, high) in _UNITS.items() if low <= int(numbers[0]) < high), None)
    if unit is None:
        raise BadStampError(path.name, 1, numbers[0], "seconds, milliseconds or microseconds")
    low, high = _UNITS[unit]
    odd = ((numbers < low) | (numbers >= high)).arg_true()
    if len(odd):
        raise BadStampError(path.name, int(odd[0]) + 1, numbers[int(odd[0])], _UNIT_NAMES[unit])
    microseconds = numbers // 1_000 if unit == "ns" else numbers * {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    return microseconds.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _require_columns(path: Path, frame: pl.DataFrame, expected: list[str]) -> None:
    if set(frame.columns) != set(expected):
        raise UnknownColumnsError(path.name, ", ".join(frame.columns), ", ".join(expected))
