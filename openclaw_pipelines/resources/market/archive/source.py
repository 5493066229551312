"""A folder of bar files as a market source. Formats are in `readers`, names in `naming`, rules in `rules`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.symbols import base_and_quote, market_type
from openclaw_pipelines.contracts.time import INTERVALS, floor_to, interval_length, utc
from openclaw_pipelines.resources.market.archive.errors import (
    ArchiveFolderError,
    NoBarsError,
    NotCandlesError,
    UnknownMarketTypeError,
)
from openclaw_pipelines.resources.market.archive.naming import (
    SUFFIXES,
    FileName,
    Format,
    Kind,
    agreed_market_type,
    folder_market_type,
    parse_name,
)
from openclaw_pipelines.resources.market.archive.readers import BAR_VALUES, TIME, read_rows, scan_parquet
from openclaw_pipelines.resources.market.archive.rules import checked_bars, merged, once_each
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, FUNDING_COLUMNS
from openclaw_pipelines.resources.market.instruments_file import (
    UnknownVenueError,
    known_quotes,
    load_instruments,
    nearest,
    venue_instruments,
)
from openclaw_pipelines.resources.market.resample import divides, parts_window, resample

_KEPT_ROWS = 5_000_000
"""Rows of text and feather files held in memory at most, about 280 MB; Parquet is read again by window."""

_BARS_SCHEMA = pl.Schema({"ts": TIME, **dict.fromkeys(BAR_VALUES, pl.Float64())})
_FUNDING_SCHEMA = pl.Schema({"ts": TIME, "funding_rate": pl.Float64()})
_INVENTORY_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(["file", "symbol", "interval", "kind"], pl.String()),
        "rows": pl.Int64(),
        "first": TIME,
        "last": TIME,
        "problem": pl.String(),
    }
)
_INSTANT = timedelta(microseconds=1)
Stamp = tuple[str, int, int]
"""Name, modification time and size: what tells that a file has not changed."""


@dataclass(frozen=True)
class ArchiveFile:
    """One file of the folder: what its name says, or why it cannot be used."""

    path: Path
    stamp: Stamp
    name: FileName | None
    symbol: str | None
    problem: OpenclawError | None


@dataclass(frozen=True)
class _Content:
    """A file found good. `rows` is empty where it is read again by window, as Parquet is.

    tidy: the file itself is ascending and has no row twice.
    """

    height: int
    tidy: bool
    first: datetime
    last: datetime
    rows: pl.DataFrame | None

    @property
    def held(self) -> int:
        return 0 if self.rows is None else self.height


class ArchiveMarket:
    """Bars and funding from the files of one folder (not of folders inside it).

    folder: its name is the venue whose instruments apply and, where it says so, the market type: words such as `usdm`,
    `perp`, `linear`, `futures` or `spot`, as in binance_usdm. An `instruments.yaml` in it is read before the
    shipped one.
    kind: market type where neither folder nor file names tell; it may not contradict them.

    Read are Parquet (`ts symbol open high low close volume`; funding: `ts symbol funding_rate`), Binance Vision CSV and
    zip, freqtrade feather and JSON, and Kraken OHLCVT CSV; `naming` lists the names. A file is checked as a whole when
    it is first needed; a bad one stops the reading of its own symbol only, and `inventory` lists them all.
    Raises ArchiveFolderError, UnknownMarketTypeError.
    """

    def __init__(self, folder: Path, kind: MarketType | None = None) -> None:
        if not folder.is_dir():
            raise ArchiveFolderError(folder, "is no folder" if folder.exists() else "does not exist")
        self.folder = folder.resolve()
        self.venue = self.folder.name
        self.name = f"archive:{self.venue}"
        self.kind = kind
        self._by_folder = folder_market_type(self.folder)
        if self._by_folder and kind:
            agreed_market_type(self.venue, self._by_folder, None, kind)
        self._index: tuple[tuple[Stamp, ...], list[ArchiveFile]] = ((), [])
        self._contents: dict[Stamp, _Content] = {}

    def candles(self, symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Bars with `start <= ts < end` that are closed at `as_of`. See `MarketSource.candles`.

        Where the interval is stored its own bars are taken; the others are built from the lowest stored interval that
        has them. Raises NoBarsError and the errors of `errors` about the files that are read.
        """
        start, end, as_of = utc(start, "start"), utc(end, "end"), utc(as_of, "as_of")
        files = self._files(symbol, Kind.CANDLES)
        stored = {file.name.interval for file in files if file.name}
        usable = [lower for lower in INTERVALS if lower in stored and divides(lower, interval)]
        if not usable:
            known = [] if files else {file.symbol for file in self._listing() if file.symbol}
            raise NoBarsError(self.name, symbol, interval, nearest(symbol, known))
        found = self._stored(files, symbol, interval, start, end, as_of)
        first, last = parts_window(interval, start, end)
        for lower in usable:
            if found.height >= _slots(start, end, as_of, interval):
                break
            built = resample(self._stored(files, symbol, lower, first, last, as_of), interval, as_of)
            found = pl.concat([found, built.join(found, on="ts", how="anti")]).sort("ts")
        return found

    def funding_rates(self, symbol: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Funding with `start <= ts < end` due by `as_of`; empty for spot and where no file holds any.

        Venues stamp funding late by milliseconds and sometimes by minutes; `ts` is the full hour before the stamp,
        which lies on the grid of every known venue, hourly or eight-hourly.
        """
        start, end = utc(start, "start"), min(utc(end, "end"), utc(as_of, "as_of") + _INSTANT)
        files = self._files(symbol, Kind.FUNDING) if market_type(symbol) is MarketType.LINEAR else []
        parts = [(file.path.name, self._window(file, start, end + timedelta(hours=1))) for file in files]
        if not parts:
            parts = [("", pl.DataFrame(schema=_FUNDING_SCHEMA))]
        hourly = [(file, once_each(_on_the_hour(rows).with_row_index("row", 1), file)) for file, rows in parts]
        return (
            merged(hourly)
            .filter((pl.col("ts") >= start) & (pl.col("ts") < end))
            .with_columns(source=pl.lit(self.name), symbol=pl.lit(symbol))
            .select(FUNDING_COLUMNS)
        )

    def served_at(self) -> datetime | None:
        """None: files have no clock of its own."""

    def instruments(self, symbols: Sequence[str], as_of: datetime) -> pl.DataFrame:
        """Rows of `contracts.tables.market.Instruments`, from instruments.yaml in the folder or the shipped file."""
        return load_instruments(self.venue, symbols, as_of, source=self.name, folder=self.folder)

    def inventory(self) -> pl.DataFrame:
        """Every file and what it holds: `file symbol interval kind rows first last problem`.

        `problem` is the error that reading the file gives, empty where it is good.
        """
        return pl.DataFrame([self._described(file) for file in self._listing()], schema=_INVENTORY_SCHEMA, orient="row")

    def _described(self, file: ArchiveFile) -> dict[str, object]:
        row: dict[str, object] = {
            "file": file.path.name,
            "symbol": file.symbol,
            "interval": file.name.interval if file.name else None,
            "kind": file.name.kind.value if file.name else None,
        }
        if file.problem:
            return {**row, "problem": str(file.problem)}
        try:
            content = self._content(file)
        except OpenclawError as error:
            return {**row, "problem": str(error)}
        return {**row, "rows": content.height, "first": content.first, "last": content.last}

    def _files(self, symbol: str, kind: Kind) -> list[ArchiveFile]:
        """Files of that kind for `symbol`. A file of the same pair whose market type is unknown is an error."""
        pair = base_and_quote(symbol)
        found = []
        for file in self._listing():
            if file.name is None or file.name.kind is not kind or (file.name.base, file.name.quote) != pair:
                continue
            if isinstance(file.problem, UnknownMarketTypeError):
                raise file.problem.with_traceback(None)
            if file.symbol == symbol:
                found.append(file)
        return found

    def _listing(self) -> list[ArchiveFile]:
        """Files of the folder by name; listed again when one was added, removed or changed."""
        paths = sorted(path for path in self.folder.iterdir() if path.name.endswith(SUFFIXES) and path.is_file())
        stamps = tuple(_stamp(path) for path in paths)
        if stamps != self._index[0]:
            known = self._known_symbols()
            files = [self._listed(path, stamp, known) for path, stamp in zip(paths, stamps, strict=True)]
            self._index = (stamps, files)
        return self._index[1]

    def _listed(self, path: Path, stamp: Stamp, known: list[str]) -> ArchiveFile:
        name = None
        try:
            name = parse_name(path.name, known_quotes(), known)
            if name.kind is Kind.OTHER:
                raise NotCandlesError(path.name, "trades or mark, index or premium prices")
            kind = agreed_market_type(path.name, self._by_folder, name.market_type, self.kind)
            return ArchiveFile(path, stamp, name, name.symbol(kind), None)
        except OpenclawError as problem:
            return ArchiveFile(path, stamp, name, None, problem)

    def _known_symbols(self) -> list[str]:
        try:
            return list(venue_instruments(self.venue, self.folder))
        except UnknownVenueError:
            return []

    def _stored(
        self, files: list[ArchiveFile], symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime
    ) -> pl.DataFrame:
        """Closed bars that files of exactly this interval hold."""
        end = min(end, as_of - interval_length(interval) + _INSTANT)
        own = [file for file in files if file.name and file.name.interval == interval]
        parts = [(file.path.name, self._window(file, start, end)) for file in own]
        bars = merged(parts) if parts else pl.DataFrame(schema=_BARS_SCHEMA)
        return bars.with_columns(
            source=pl.lit(self.name),
            symbol=pl.lit(symbol),
            interval=pl.lit(interval),
            # files do not say which bars a tool filled in; a bar without trades shows in its volume
            is_synthetic=pl.lit(value=False),
        ).select(CANDLE_COLUMNS)

    def _window(self, file: ArchiveFile, start: datetime, end: datetime) -> pl.DataFrame:
        """Checked rows with `start <= ts < end`, ascending."""
        content = self._content(file)
        inside = (pl.col("ts") >= start) & (pl.col("ts") < end)
        if content.rows is not None:
            return content.rows.filter(inside)
        columns = ["ts", *(BAR_VALUES if file.name and file.name.kind is Kind.CANDLES else ["funding_rate"])]
        rows = scan_parquet(file.path).filter(inside).select(columns).collect()
        return rows if content.tidy else rows.unique(maintain_order=True).sort("ts")

    def _content(self, file: ArchiveFile) -> _Content:
        """The file read and checked as a whole, remembered until it changes."""
        content = self._contents.get(file.stamp)
        if content is None:
            content = _read(file)
            self._contents[file.stamp] = content
            while len(self._contents) > 1 and sum(kept.held for kept in self._contents.values()) > _KEPT_ROWS:
                self._contents.pop(next(iter(self._contents)))
        return content


def _read(file: ArchiveFile) -> _Content:
    if file.name is None:
        raise ValueError(f"{file.path.name} has no name that can be read")
    raw = read_rows(file.path, file.name)
    if file.name.interval is not None:
        rows = checked_bars(raw, file.path.name, file.name.interval)
    else:
        rows = once_each(raw, file.path.name)
    tidy = rows.height == raw.height and raw["ts"].is_sorted()
    first, last = rows["ts"][0], rows["ts"][-1]
    by_window = file.name.format is Format.PARQUET and isinstance(pl.read_parquet_schema(file.path)["ts"], pl.Datetime)
    return _Content(rows.height, tidy, first, last, None if by_window else rows)


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return path.name, status.st_mtime_ns, status.st_size


def _on_the_hour(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col("ts").dt.truncate("1h"), pl.col("ts").alias("stamped_at"), "funding_rate")


def _slots(start: datetime, end: datetime, as_of: datetime, interval: str) -> int:
    """How many bars of `interval` fit in the window and are closed."""
    first, last = parts_window(interval, start, min(end, as_of))
    return max(0, (min(last, floor_to(as_of, interval_length(interval))) - first) // interval_length(interval))
