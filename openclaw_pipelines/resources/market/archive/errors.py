"""What can be wrong with an archive and its files: each error names the file, the row if there is one, and the remedy.

Rows count from 1 in the order of the file, without its header.
"""

from datetime import datetime, timedelta
from pathlib import Path

from openclaw_pipelines.contracts.errors import DataError, MarketError


class ArchiveFolderError(MarketError):
    """The archive's folder is not there."""

    template = (
        "archive folder {folder} {what}. Set market.archive_dir or OPENCLAW_ARCHIVE_DIR to a folder of bar files."
    )
    folder: Path
    what: str


class UnknownMarketTypeError(MarketError):
    """Nothing tells whether a file holds spot or perpetual bars, or two things contradict each other."""

    template = (
        "{file}: market type unknown: {why}. Name the folder after its market (as binance_usdm or binance_spot) or set "
        "market.archive_market_type to spot or linear, so that all agree."
    )
    file: str
    why: str


class NoBarsError(MarketError):
    """The archive has no file for a symbol or an interval."""

    template = (
        "{source} has no bars of {symbol} from which {interval} can be made{hint}. Add a file or ask for another."
    )
    source: str
    symbol: str
    interval: str
    hint: str


class ArchiveFileError(DataError):
    """Base of errors about one file."""


class UnknownFileNameError(ArchiveFileError):
    """A file name from which symbol and interval cannot be told."""

    template = (
        "{file}: {why}. Known names: BTC-USDT_1m_20250504_20250624.parquet, BTCUSDT-1m-2025-02.csv or .zip, "
        "BTC_USDT-5m.feather or .json or .json.gz, BTC_USDT_USDT-5m-futures.feather, XBTUSD_1.csv."
    )
    file: str
    why: str


class NotCandlesError(ArchiveFileError):
    """A file of another kind: trades, mark or index prices, dated contracts, bars of an interval that is not read."""

    template = "{file} holds {what}, not candles of use. Remove it from the archive, or leave it: it is not read."
    file: str
    what: str


class AmbiguousPairError(ArchiveFileError):
    """A pair written in one word that ends in two quote currencies."""

    template = "{file}: {pair} reads as {readings}. Give the right one an entry in the folder's instruments.yaml."
    file: str
    pair: str
    readings: str


class GitLfsPointerError(ArchiveFileError):
    """A git-LFS pointer where the data should be."""

    template = (
        "{file} is a git-LFS pointer, not the data. Run `git lfs pull` in its repository and copy the file again."
    )
    file: str


class EmptyFileError(ArchiveFileError):
    """A file without bytes or without rows."""

    template = "{file} is empty: {what}. Download it again or remove it."
    file: str
    what: str


class UnreadableFileError(ArchiveFileError):
    """A file that is damaged or of another format than its name says."""

    template = "{file} cannot be read as {kind}: {why}. Download it again."
    file: str
    kind: str
    why: str


class OversizedFileError(ArchiveFileError):
    """A packed file that unpacks to more than the limit."""

    template = "{file} unpacks to more than {limit_bytes:,} bytes. Unpack it yourself, or split it by month."
    file: str
    limit_bytes: int


class UnknownColumnsError(ArchiveFileError):
    """Columns that the format does not have."""

    template = "{file} has the columns {found}; expected {expected}. Export it again in that form."
    file: str
    found: str
    expected: str


class WrongSymbolError(ArchiveFileError):
    """The symbol inside a file is not the one of its name, or that of another market than the file's."""

    template = "{file}, row {row}: symbol {found!r} in a file named after {expected!r}. Rename or split the file."
    file: str
    row: int
    found: str
    expected: str


class BadValueError(ArchiveFileError):
    """A value that is no number, or empty."""

    template = "{file}, row {row}: {column} is {value!r}, not a number. Correct the row or download the file again."
    file: str
    row: int
    column: str
    value: object


class NaiveStampsError(ArchiveFileError):
    """Times without a zone."""

    template = "{file}: column {column} holds times without a zone, as {value}. Write them in UTC."
    file: str
    column: str
    value: str


class BadStampError(ArchiveFileError):
    """A stamp that is in no known unit, or in another unit than the rows before it."""

    template = "{file}, row {row}: stamp {value} is not in {unit} since 1970, as the rest is. Correct the file."
    file: str
    row: int
    value: object
    unit: str


class TimeOutOfRangeError(ArchiveFileError):
    """A time before there was a market, or one that has not come."""

    template = "{file}, row {row}: {ts} is not from {first} on and before {last}. Correct the stamp."
    file: str
    row: int
    ts: str
    first: datetime
    last: datetime


class OffGridStampError(ArchiveFileError):
    """A bar that does not open on its interval."""

    template = "{file}, row {row}: {ts} is no open of a {interval} bar. Correct the stamp, or the interval in the name."
    file: str
    row: int
    ts: datetime
    interval: str


class WrongIntervalError(ArchiveFileError):
    """Bars that are further apart than the name says."""

    template = (
        "{file} is named {interval}, but no two bars are less than {step} apart. Correct the interval in the name."
    )
    file: str
    interval: str
    step: timedelta


class BrokenBarError(ArchiveFileError):
    """A bar whose prices or volume cannot be."""

    template = "{file}, row {row}, {ts}: {what}. Correct the row or download the file again."
    file: str
    row: int
    ts: datetime
    what: str


class BrokenRateError(ArchiveFileError):
    """A funding rate that cannot be, or that the kernel cannot charge exactly."""

    template = (
        "{file}, row {row}, {ts}: funding rate {rate}: {what}. Correct the row or download the file again; if the "
        "venue did charge it, leave the symbol out of the strategies of that time."
    )
    file: str
    row: int
    ts: datetime
    rate: float
    what: str


class ConflictingRowsError(ArchiveFileError):
    """Two rows of one time that differ."""

    template = "{file}, row {row}, {ts}: differs from {other}. Keep one of the two."
    file: str
    row: int
    ts: datetime
    other: str


class ConflictingFilesError(ArchiveFileError):
    """Two files of one interval that disagree."""

    template = (
        "{file} and {other} differ in {rows} row(s), {first} to {last}. Remove the wrong one, or name the one "
        "to trust in market.archive_prefer, as *-????-??-??.* for daily files before monthly ones."
    )
    file: str
    other: str
    rows: int
    first: datetime
    last: datetime
