"""The files of an archive folder: what each name says and what is in it. Formats are in `readers`, rules in `rules`."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.symbols import base_and_quote
from openclaw_pipelines.resources.market.archive.errors import (
    ArchiveFolderError,
    EmptyFileError,
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
    venue_quotes,
)
from openclaw_pipelines.resources.market.archive.readers import BAR_VALUES, read_rows, scan_parquet
from openclaw_pipelines.resources.market.archive.rules import checked_bars, checked_rates, without_open_bar
from openclaw_pipelines.resources.market.instruments_file import UnknownVenueError, known_quotes, venue_instruments

_KEPT_ROWS = 5_000_000
"""Rows of text and feather files held in memory at most, about 280 MB; Parquet is read again by window."""

_LOG = logging.getLogger("openclaw.market")
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

    @property
    def written_at(self) -> datetime:
        """When the file was last written; it cannot know what came later."""
        return datetime.fromtimestamp(self.stamp[1] / 1e9, UTC)

    @property
    def unusable(self) -> bool:
        """Whether something is wrong with it; a file of another kind is only left aside."""
        return self.problem is not None and not isinstance(self.problem, NotCandlesError)


@dataclass(frozen=True)
class Content:
    """A file found good. `rows` is empty where it is read again by window, as Parquet is.

    tidy: the file itself is ascending and has no row twice.
    still_open: the newest bar, left out because it had not closed when the file was written.
    """

    height: int
    tidy: bool
    first: datetime
    last: datetime
    rows: pl.DataFrame | None
    still_open: datetime | None = None

    @property
    def held(self) -> int:
        """Rows in memory."""
        return 0 if self.rows is None else self.height


class ArchiveFolder:
    """One folder, listed again when a file was added, removed or changed; a file is checked when it is first needed.

    Raises ArchiveFolderError, UnknownMarketTypeError.
    """

    def __init__(self, path: Path, kind: MarketType | None = None) -> None:
        if not path.is_dir():
            raise ArchiveFolderError(path, "is no folder" if path.exists() else "does not exist")
        self.path = path.resolve()
        self.venue = self.path.name
        self.kind = kind
        self._by_folder = folder_market_type(self.path)
        if self._by_folder and kind:
            agreed_market_type(self.venue, self._by_folder, None, kind)
        self._index: tuple[tuple[Stamp, ...], list[ArchiveFile]] = ((), [])
        self._folder_changed_at = -1
        self._by_pair: dict[tuple[str, str, Kind], list[ArchiveFile]] = {}
        self._contents: dict[Stamp, Content] = {}

    def files(self) -> list[ArchiveFile]:
        """Every file by name."""
        changed_at = self.path.stat().st_mtime_ns
        paths = sorted(path for path in self.path.iterdir() if path.name.endswith(SUFFIXES) and path.is_file())
        stamps = tuple(_stamp(path) for path in paths)
        if stamps != self._index[0]:
            known = self._known_symbols()
            files = [self._listed(path, stamp, known) for path, stamp in zip(paths, stamps, strict=True)]
            self._index, self._by_pair = (stamps, files), {}
            for file in files:
                if file.name is not None:
                    self._by_pair.setdefault((file.name.base, file.name.quote, file.name.kind), []).append(file)
        self._folder_changed_at = changed_at
        return self._index[1]

    def files_of(self, symbol: str, kind: Kind) -> list[ArchiveFile]:
        """Files of that kind for `symbol`. A file of the same pair whose market type is unknown is an error.

        The whole folder is looked at when a file came or went, else only the files of the pair: a day of sixty symbols
        in daily files would look at all of them sixty times.
        """
        pair = (*base_and_quote(symbol), kind)
        came_or_went = self.path.stat().st_mtime_ns != self._folder_changed_at
        if came_or_went or any(_changed(file) for file in self._by_pair.get(pair, [])):
            self.files()
        found = []
        for file in self._by_pair.get(pair, []):
            if isinstance(file.problem, UnknownMarketTypeError):
                raise file.problem.with_traceback(None)
            if file.symbol == symbol:
                found.append(file)
        return found

    def window(self, file: ArchiveFile, start: datetime, end: datetime) -> pl.DataFrame:
        """Checked rows with `start <= ts < end`, ascending."""
        content = self.content(file)
        inside = (pl.col("ts") >= start) & (pl.col("ts") < end) & (pl.col("ts") <= content.last)
        if content.rows is not None:
            return content.rows.filter(inside)
        columns = ["ts", *(BAR_VALUES if file.name and file.name.kind is Kind.CANDLES else ["funding_rate"])]
        rows = scan_parquet(file.path).filter(inside).select(columns).collect()
        return rows if content.tidy else rows.unique(maintain_order=True).sort("ts")

    def content(self, file: ArchiveFile) -> Content:
        """The file read and checked as a whole, remembered until it changes."""
        content = self._contents.get(file.stamp)
        if content is None:
            content = _read(file)
            if content.still_open is not None:
                _LOG.warning(open_bar_note(file, content.still_open))
            self._contents[file.stamp] = content
            while len(self._contents) > 1 and sum(kept.held for kept in self._contents.values()) > _KEPT_ROWS:
                self._contents.pop(next(iter(self._contents)))
        return content

    def _listed(self, path: Path, stamp: Stamp, known: list[str]) -> ArchiveFile:
        name = None
        try:
            name = parse_name(path.name, venue_quotes(self.venue, known_quotes()), known)
            if name.kind is Kind.OTHER:
                raise NotCandlesError(path.name, name.holds)
            kind = agreed_market_type(path.name, self._by_folder, name.market_type, self.kind)
            return ArchiveFile(path, stamp, replace(name, market_type=kind), name.symbol(kind), None)
        except OpenclawError as problem:
            return ArchiveFile(path, stamp, name, None, problem)

    def _known_symbols(self) -> list[str]:
        try:
            return list(venue_instruments(self.venue, self.path))
        except UnknownVenueError:
            return []


def open_bar_note(file: ArchiveFile, still_open: datetime) -> str:
    """What is left out of a file that was written while its newest bar was open."""
    return (
        f"{file.path.name}: the bar of {still_open.isoformat()} was still open when the file was written "
        f"({file.written_at:%Y-%m-%dT%H:%M:%SZ}) and is left out. Download the file again."
    )


def _read(file: ArchiveFile) -> Content:
    if file.name is None:
        raise ValueError(f"{file.path.name} has no name that can be read")
    raw = read_rows(file.path, file.name)
    still_open = None
    if file.name.interval is not None:
        rows = checked_bars(raw, file.path.name, file.name.interval)
        rows, still_open = without_open_bar(rows, file.name.interval, file.written_at)
        if rows.is_empty():
            raise EmptyFileError(file.path.name, "its only bar was still open when it was written")
    else:
        rows = checked_rates(raw, file.path.name)
    tidy = rows.height + (still_open is not None) == raw.height and raw["ts"].is_sorted()
    first, last = rows["ts"][0], rows["ts"][-1]
    by_window = file.name.format is Format.PARQUET and isinstance(pl.read_parquet_schema(file.path)["ts"], pl.Datetime)
    return Content(rows.height, tidy, first, last, None if by_window else rows, still_open)


def _changed(file: ArchiveFile) -> bool:
    try:
        return _stamp(file.path) != file.stamp
    except OSError:  # a link to what is gone
        return True


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return path.name, status.st_mtime_ns, status.st_size
