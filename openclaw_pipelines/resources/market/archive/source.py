"""A folder of bar files as a market source. Its files are in `folder`, what is wrong with them in `inventory`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import polars as pl

from openclaw_pipelines.contracts.config.market import Market
from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.symbols import market_type
from openclaw_pipelines.contracts.time import INTERVALS, floor_to, interval_length, utc
from openclaw_pipelines.resources.market.archive.errors import NoBarsError
from openclaw_pipelines.resources.market.archive.folder import ArchiveFile, ArchiveFolder
from openclaw_pipelines.resources.market.archive.inventory import inventory
from openclaw_pipelines.resources.market.archive.naming import Kind
from openclaw_pipelines.resources.market.archive.readers import BAR_VALUES, TIME
from openclaw_pipelines.resources.market.archive.rules import merged, once_each
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, FUNDING_COLUMNS, published
from openclaw_pipelines.resources.market.errors import MissingSourceSettingError
from openclaw_pipelines.resources.market.instruments_file import load_instruments, nearest
from openclaw_pipelines.resources.market.resample import best_of, divides, parts_window, resample

_NAMED_FILES = 3
"""Files that cannot be used, as far as an error names them."""

_BARS_SCHEMA = pl.Schema({"ts": TIME, **dict.fromkeys(BAR_VALUES, pl.Float64())})
_FUNDING_SCHEMA = pl.Schema({"ts": TIME, "funding_rate": pl.Float64()})
_INSTANT = timedelta(microseconds=1)


class ArchiveMarket:
    """Bars and funding from the files of one folder (not of folders inside it).

    folder: its name is the venue whose instruments apply and, where it says so, the market type: words such as `usdm`,
    `perp`, `linear`, `futures` or `spot`, as in binance_usdm. An `instruments.yaml` in it is read before the
    shipped one.
    kind: market type where neither folder nor file names tell; it may not contradict them.
    prefer: patterns of the names of files that win where files of one interval differ; see `rules.merged`.

    Read are Parquet (`ts symbol open high low close volume`; funding: `ts symbol funding_rate`), Binance Vision CSV and
    zip, freqtrade feather and JSON, and Kraken OHLCVT CSV; `naming` lists the names. A file is checked as a whole when
    it is first needed; a bad one stops the reading of its own symbol only, and `inventory` lists them all.
    Raises ArchiveFolderError, UnknownMarketTypeError.
    """

    def __init__(self, folder: Path, kind: MarketType | None = None, prefer: Sequence[str] = ()) -> None:
        self.folder = ArchiveFolder(folder, kind)
        self._prefer = tuple(prefer)
        self.name = f"archive:{self.folder.venue}"

    @classmethod
    def of(cls, market: Market) -> Self:
        """The folder that the settings name. Raises MissingSourceSettingError."""
        if market.archive_dir is None:
            raise MissingSourceSettingError("archive", "market.archive_dir", "OPENCLAW_ARCHIVE_DIR")
        return cls(Path(market.archive_dir), market.archive_market_type, market.archive_prefer)

    def candles(self, symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Bars with `start <= ts < end` that are closed at `as_of`. See `MarketSource.candles`.

        Where the interval is stored its own bars are taken; the others are built from the stored interval that has most
        of their parts. Raises NoBarsError and the errors of `errors` about the files that are read.
        """
        start, end, as_of = utc(start, "start"), utc(end, "end"), utc(as_of, "as_of")
        files = self.folder.files_of(symbol, Kind.CANDLES)
        stored = {file.name.interval for file in files if file.name}
        usable = [lower for lower in INTERVALS if lower in stored and divides(lower, interval)]
        if not usable:
            raise NoBarsError(self.name, symbol, interval, self._hint(symbol, files))
        found = self._stored(files, symbol, interval, start, end, as_of)
        first, last = parts_window(interval, start, end)
        built = found.clear()
        for lower in usable:
            if found.height + built.height >= _slots(start, end, as_of, interval) and _whole(built):
                break
            made = resample(self._stored(files, symbol, lower, first, last, as_of), interval, as_of)
            built = best_of([built, made.join(found, on="ts", how="anti")])
        return pl.concat([found, built]).sort("ts")

    def funding_rates(self, symbol: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Funding with `start <= ts < end` due by `as_of`; empty for spot and where no file holds any.

        Venues stamp funding late by milliseconds and sometimes by minutes; `ts` is the full hour before the stamp,
        which lies on the grid of every known venue, hourly or eight-hourly.
        """
        start, end = utc(start, "start"), min(utc(end, "end"), utc(as_of, "as_of") + _INSTANT)
        perpetual = market_type(symbol) is MarketType.LINEAR
        files = self.folder.files_of(symbol, Kind.FUNDING) if perpetual else []
        parts = [(file.path.name, self.folder.window(file, start, end + timedelta(hours=1))) for file in files]
        if not parts:
            parts = [("", pl.DataFrame(schema=_FUNDING_SCHEMA))]
        hourly = [(file, once_each(_on_the_hour(rows).with_row_index("row", 1), file)) for file, rows in parts]
        return (
            merged(hourly, self._prefer)
            .filter((pl.col("ts") >= start) & (pl.col("ts") < end))
            .with_columns(source=pl.lit(self.name), symbol=pl.lit(symbol))
            .select(FUNDING_COLUMNS)
        )

    def served_at(self) -> datetime | None:
        """None: files have no clock of its own."""

    def instruments(self, symbols: Sequence[str], as_of: datetime) -> pl.DataFrame:
        """Rows of `contracts.tables.market.Instruments`, from instruments.yaml in the folder or the shipped file."""
        folder = self.folder
        return load_instruments(folder.venue, symbols, as_of, source=self.name, folder=folder.path)

    def inventory(self) -> pl.DataFrame:
        """Every file, what it holds and what is wrong with it; see `inventory.inventory`."""
        return inventory(self.folder, self._prefer)

    def _stored(
        self, files: list[ArchiveFile], symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime
    ) -> pl.DataFrame:
        """Closed bars that files of exactly this interval hold."""
        end = min(end, as_of - interval_length(interval) + _INSTANT)
        own = [file for file in files if file.name and file.name.interval == interval]
        parts = [(file.path.name, self.folder.window(file, start, end)) for file in own]
        bars = merged(parts, self._prefer) if parts else pl.DataFrame(schema=_BARS_SCHEMA)
        named = bars.with_columns(
            source=pl.lit(self.name),
            symbol=pl.lit(symbol),
            interval=pl.lit(interval),
            # files do not say which bars a tool filled in; a bar without trades shows in its volume
            is_synthetic=pl.lit(value=False),
        )
        return published(named).select(CANDLE_COLUMNS)

    def _hint(self, symbol: str, files: list[ArchiveFile]) -> str:
        """The nearest symbol of the folder, and its files that could not be used: the wanted one may be among them."""
        listing = self.folder.files()
        hint = nearest(symbol, [] if files else {file.symbol for file in listing if file.symbol})
        unusable = [file.path.name for file in listing if file.unusable]
        if not unusable:
            return hint
        more = f" and {len(unusable) - _NAMED_FILES} more" if len(unusable) > _NAMED_FILES else ""
        named = ", ".join(unusable[:_NAMED_FILES])
        return f"{hint}; not used: {named}{more} (`openclaw market inventory` says why)"


def _whole(built: pl.DataFrame) -> bool:
    return bool((built["parts"] == built["parts_expected"]).all())


def _on_the_hour(rows: pl.DataFrame) -> pl.DataFrame:
    stated = pl.col("interval_hours") if "interval_hours" in rows.columns else pl.lit(None)
    hour = pl.col("ts").dt.truncate("1h")
    return rows.select(hour, stamped_at="ts", funding_rate="funding_rate", interval_hours=stated.cast(pl.Int64))


def _slots(start: datetime, end: datetime, as_of: datetime, interval: str) -> int:
    """How many bars of `interval` fit in the window and are closed."""
    first, last = parts_window(interval, start, min(end, as_of))
    return max(0, (min(last, floor_to(as_of, interval_length(interval))) - first) // interval_length(interval))
