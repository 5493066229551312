"""The store: three DuckDB files, each opened behind an OS lock for the length of one transaction.

A plain object that knows nothing of Dagster. It stands on `engine`, not on dagster-duckdb's resource: that one always
opens for writing, waits up to 102 s without order when the file is busy, and keeps the file after an exception,
where a lock in front of open - one transaction - close lost no commit with eight writers and two readers.
Candles are in `market_tables`, comparison and hashes of ledger rows in `comparison`, files for notebooks in `export`.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from openclaw_pipelines.contracts.errors import ContractError, DataError, LedgerError, StoreError
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import NaiveTimeError
from openclaw_pipelines.resources.store.engine import Connection, engine_of
from openclaw_pipelines.resources.store.hold import hold_of
from openclaw_pipelines.resources.store.locks import (
    StoreFullError,
    StoreReadOnlyError,
    StoreUnusableError,
    os_failure,
)
from openclaw_pipelines.resources.store.migrations import DATABASES, StoreNewerError

Params = Sequence[object] | Mapping[str, object]

_DAMAGED = (
    "not a valid DuckDB",
    "Corrupt database",
    "Could not read enough bytes",
    "checksum",
    "Serialization Error",
    "replaying WAL",
)
_FULL = ("No space left", "File too large", "Disk quota", "not enough disk space")
_FORBIDDEN = ("Permission denied", "Read-only file system", "read-only mode")


class StoreDamagedError(StoreError):
    """The file is not a DuckDB file, parts of it are gone, or the log beside it belongs to another state of it."""

    template = (
        "{file} is damaged or not a DuckDB file: {reason}. Restore it and its .wal together from a copy, or move both "
        "away and backfill."
    )
    file: Path
    reason: str


class UnknownDatabaseError(ContractError):
    """A database that the store does not have."""

    template = "unknown database {database!r}. Known: " + ", ".join(DATABASES) + "."
    database: str


class UnknownTableError(ContractError):
    """A table that no model describes."""

    template = "unknown table {table!r}. Nearest: {nearest}."
    table: str
    nearest: str


class DuplicateRowsError(DataError):
    """Several rows to be written have the same key."""

    template = "{rows} key(s) of {table} occur more than once in the rows to write. First: {first}. Mend their source."
    table: str
    rows: int
    first: str


class KeyExistsError(LedgerError):
    """A row with this key is already stored, and stored rows are never changed."""

    template = "{table} already has a row with {key}. Recorded rows are immutable; verify them instead."
    table: str
    key: str


@dataclass(frozen=True)
class Store:
    """The files `market.duckdb`, `ledger.duckdb` and `research.duckdb` in one folder.

    One transaction writes one file, so what must be atomic together lives in one database. A transaction inside another
    one on the same database waits for itself and fails after `lock_timeout_seconds`.

    Args:
        folder: where the files are; made when first used.
        lock_timeout_seconds: how long to wait for other processes.
        threads: threads of one connection.
        memory_limit: memory of one connection, as DuckDB writes it; beyond it DuckDB spills to disk.
    """

    folder: Path
    lock_timeout_seconds: float = field(default=30.0, kw_only=True)
    threads: int = field(default=2, kw_only=True)
    memory_limit: str = field(default="1GB", kw_only=True)

    def file(self, database: str) -> Path:
        """Path of a database."""
        if database not in DATABASES:
            raise UnknownDatabaseError(database)
        return Path(self.folder) / f"{database}.duckdb"

    @contextmanager
    def read(self, database: str) -> Iterator[Connection]:
        """Read-only connection, in one transaction. A database that does not exist yet is made, empty.

        Raises:
            StoreError: locked, newer, damaged or unreadable; see its subclasses.
        """
        with self._connection(database, exclusive=False) as con:
            con.execute("BEGIN TRANSACTION READ ONLY")
            yield con

    @contextmanager
    def write(self, database: str) -> Iterator[Connection]:
        """One transaction under the exclusive lock: committed at the normal end, rolled back after an exception.

        Raises:
            StoreError: locked, newer, damaged, full or read-only; the store stays as it was.
        """
        with self._connection(database, exclusive=True) as con:
            con.begin()
            yield con
            # an exception above never comes here: closing the connection rolls back
            con.commit()

    def query(self, database: str, sql: str, params: Params = ()) -> pl.DataFrame:
        """Result of `sql` with bound `params`; times are UTC on both sides.

        Raises:
            NaiveTimeError: a parameter or a column holds times without a zone.
        """
        with self.read(database) as con:
            return fetch(con, sql, params)

    def table(self, name: str) -> pl.DataFrame:
        """All rows of one table in the order of their key."""
        table = table_named(name)
        return self.query(table.database, f"SELECT * FROM {name} ORDER BY {', '.join(table.key)}")

    @contextmanager
    def _connection(self, database: str, *, exclusive: bool) -> Iterator[Connection]:
        file = self.file(database)
        if exclusive or not file.exists():
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise os_failure(file.parent, error) from error
        with _named_errors(file):
            engine = engine_of(Path(self.folder), self.threads, self.memory_limit)
            hold = hold_of(file)
            with hold.using(engine, exclusive=exclusive, timeout_seconds=self.lock_timeout_seconds) as con:
                yield con


def fetch(con: Connection, sql: str, params: Params = ()) -> pl.DataFrame:
    """`sql` on an open connection as a frame, with the same rules for times as `Store.query`."""
    values = list(params.values()) if isinstance(params, Mapping) else list(params)
    for position, value in enumerate(values, start=1):
        if isinstance(value, datetime) and value.tzinfo is None:
            raise NaiveTimeError(f"parameter {position} of the query", value.isoformat())
    frame = con.execute(sql, dict(params) if isinstance(params, Mapping) else values).pl()
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Datetime) and dtype.time_zone != "UTC":
            raise NaiveTimeError(f"column {name!r} of the query", str(dtype))
    return frame


def insert(con: Connection, table_name: str, frame: pl.DataFrame, *, validated: bool = False) -> int:
    """Validate `frame` against the model of its table and append it; returns the number of rows.

    Args:
        con: connection of `Store.write`.
        table_name: table.
        frame: all columns of the model, in any order.
        validated: `frame` comes from `Table.frame` or `Table.validate`, so that checking it again, which takes some
            10 ms per table, can be left out.

    Raises:
        SchemaError: rows break the rules of the model.
        DuplicateRowsError: a key occurs twice in `frame`.
        KeyExistsError: a key is already stored.
    """
    table = table_named(table_name)
    rows = frame if validated else checked(table, frame)
    with registered(con, rows) as view:
        stored, since = _stored(table, rows)
        held = fetch(con, f"SELECT * FROM {view} SEMI JOIN {stored} USING ({', '.join(table.key)}) LIMIT 1", since)
        if held.height:
            raise KeyExistsError(table.name, key_text(held.select(table.key).row(0, named=True)))
        con.execute(f"INSERT INTO {table.name} BY NAME SELECT * FROM {view}")
    return rows.height


def insert_new(con: Connection, table_name: str, frame: pl.DataFrame) -> int:
    """Append the rows whose key is not stored yet; the first write of a key stays. Returns how many were written."""
    table = table_named(table_name)
    rows = checked(table, frame)
    with registered(con, rows) as view:
        stored, since = _stored(table, rows)
        written = con.execute(
            f"INSERT INTO {table.name} BY NAME SELECT * FROM {view} ANTI JOIN {stored} USING ({', '.join(table.key)})",
            since,
        ).fetchone()
    return int(written[0]) if written else 0


def _stored(table: Table, rows: pl.DataFrame) -> tuple[str, list[object]]:
    """The stored rows that may have a key of `rows`, as SQL with what it binds.

    A key that holds only text is looked for by hash in the whole table, which grows with it; a bound on a time lets
    DuckDB skip what lies before.
    """
    if table.ordered_by is None:
        return table.name, []
    bound = f"(SELECT {', '.join(table.key)} FROM {table.name} WHERE {table.ordered_by} >= ?) AS stored"
    return bound, [rows[table.ordered_by].min()]


def checked(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` validated, in column order and with every key once."""
    rows = table.validate(frame)
    twice = rows.select(table.key).filter(pl.struct(table.key).is_duplicated()).unique(maintain_order=True)
    if twice.height:
        raise DuplicateRowsError(table.name, twice.height, key_text(twice.row(0, named=True)))
    return rows


def key_text(key: Mapping[str, object]) -> str:
    """A key as messages show it.

    >>> key_text({"symbol": "BTC/USDT", "n": 1})
    'symbol=BTC/USDT, n=1'
    """
    return ", ".join(
        f"{name}={value.isoformat() if isinstance(value, datetime) else value}" for name, value in key.items()
    )


@contextmanager
def registered(con: Connection, frame: pl.DataFrame, name: str = "incoming") -> Iterator[str]:
    """`frame` under a name that SQL can use, for the length of the block."""
    con.register(name, frame)
    try:
        yield name
    finally:
        con.unregister(name)


def table_named(name: str) -> Table:
    """Table of that name.

    >>> table_named("candels")
    Traceback (most recent call last):
    openclaw_pipelines.resources.store.store.UnknownTableError: unknown table 'candels'. Nearest: candles.
    """
    try:
        return TABLES[name]
    except KeyError:
        nearest = difflib.get_close_matches(name, TABLES, n=1, cutoff=0.0)
        raise UnknownTableError(name, nearest[0]) from None


@contextmanager
def _named_errors(file: Path) -> Iterator[None]:
    """Failures of the file as the store's own errors; errors of the caller's SQL pass as they are."""
    try:
        yield
    except duckdb.Error as error:
        named = _named(file, error)
        if named is None:
            raise
        raise named from error


def _named(file: Path, error: duckdb.Error) -> StoreError | None:
    reason = str(error).splitlines()[0]
    if _says(error, ("version number",)) and isinstance(error, duckdb.IOException):
        return StoreNewerError(file, reason, f"files of DuckDB {duckdb.__version__}")
    if _says(error, _FULL):
        return StoreFullError(file, reason)
    if _says(error, _FORBIDDEN) and not isinstance(error, duckdb.TransactionException):
        return StoreReadOnlyError(file, reason)
    if _says(error, _DAMAGED) or isinstance(error, duckdb.FatalException | duckdb.InternalException):
        return StoreDamagedError(file, reason)
    return StoreUnusableError(file, reason) if isinstance(error, duckdb.IOException) else None


def _says(error: Exception, texts: tuple[str, ...]) -> bool:
    return any(text in str(error) for text in texts)
