"""Numbered schema migrations: each applied once, in one transaction, and recorded in the file.

The texts are `migration_sql/NNNN_<database>[_what].sql`, numbered from 1 per database, and never change once released.
Migration 1 was generated from the pandera models; a later change of a model comes with a new file, and a test compares
the schema after all migrations with the models.

    python -m openclaw_pipelines.resources.store.migrations freeze   # before the first release: write migration 1 again
    python -m openclaw_pipelines.resources.store.migrations check    # compare the migrated schema with the models
"""

import hashlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from openclaw_pipelines.contracts.errors import ContractError, StoreError
from openclaw_pipelines.contracts.tables import TABLES

DATABASES = ("market", "ledger", "research")
SQL_FOLDER = Path(__file__).parent / "migration_sql"
_FILE_NAME = re.compile(r"(?P<number>\d{4})_(?P<database>[a-z]+?)(?:_(?P<what>\w+))?\.sql")
_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number BIGINT PRIMARY KEY,
    name VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT current_timestamp
)
"""


class StoreNewerError(StoreError):
    """The file was written by a newer program."""

    template = "{file} has schema version {found}, this program knows up to {known}. Update openclaw-pipelines."
    file: Path
    found: int | str
    known: int | str


class MigrationChangedError(StoreError):
    """A migration that the file records is not the one this program has under that number."""

    template = (
        "{file} was migrated with another text of {name}. Released migrations never change: "
        "use the program that wrote the file, or start a new data folder."
    )
    file: Path
    name: str


class MigrationFilesError(ContractError):
    """The migration files are not numbered 1, 2, 3, ... per database, or a released one would be replaced."""

    template = "migrations of {database}: {why}."
    database: str
    why: str


@dataclass(frozen=True)
class Migration:
    """One step of one database."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash of the text, which the file records."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def migrations_of(database: str, folder: Path = SQL_FOLDER) -> tuple[Migration, ...]:
    """Migrations of `database` in order."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is not None and match["database"] == database:
            found.append(Migration(int(match["number"]), path.stem, path.read_text()))
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise MigrationFilesError(database, f"numbers must run from 1 without holes, found {[s.name for s in found]}")
    return tuple(found)


def is_current(con: duckdb.DuckDBPyConnection, file: Path, database: str) -> bool:
    """Whether all migrations of `database` are applied.

    Raises:
        StoreNewerError: the file has migrations that this program does not know.
        MigrationChangedError: the file was migrated with another text.
    """
    return not _pending(con, file, database)


def migrate(con: duckdb.DuckDBPyConnection, file: Path, database: str) -> int:
    """Apply what is missing, each migration in a transaction of its own; returns how many."""
    con.execute(_RECORD)
    pending = _pending(con, file, database)
    for step in pending:
        con.begin()
        try:
            con.execute(step.sql)
            con.execute(
                "INSERT INTO schema_migrations (number, name, sha256) VALUES (?, ?, ?)",
                [step.number, step.name, step.sha256],
            )
            con.commit()
        except duckdb.Error:
            con.rollback()
            raise
    return len(pending)


def _pending(con: duckdb.DuckDBPyConnection, file: Path, database: str) -> list[Migration]:
    known = migrations_of(database)
    applied = _applied(con)
    newest = max((number for number, _ in applied), default=0)
    if newest > len(known):
        raise StoreNewerError(file, newest, len(known))
    for number, sha256 in applied:
        if known[number - 1].sha256 != sha256:
            raise MigrationChangedError(file, known[number - 1].name)
    return list(known[newest:])


def _applied(con: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    try:
        return con.execute("SELECT number, sha256 FROM schema_migrations ORDER BY number").fetchall()
    except duckdb.CatalogException:
        return []  # a file that no migration has touched yet


def schema_differences(database: str) -> list[str]:
    """Where the schema after all migrations is not what the models say; empty when they agree."""
    migrated, modelled = duckdb.connect(), duckdb.connect()
    try:
        migrate(migrated, Path(f"<memory:{database}>"), database)
        modelled.execute(models_ddl(database))
        left, right = _schema(migrated), _schema(modelled)
    finally:
        migrated.close()
        modelled.close()
    lines = [f"{item}: only in the models" for item in sorted(right - left)]
    return lines + [f"{item}: only in the migrations" for item in sorted(left - right)]


def models_ddl(database: str) -> str:
    """`CREATE TABLE` statements of every model of `database`, in the order of their names."""
    tables = sorted((t for t in TABLES.values() if t.database == database), key=lambda t: t.name)
    return "".join(f"{table.ddl()};\n\n" for table in tables)


def _schema(con: duckdb.DuckDBPyConnection) -> set[str]:
    columns = con.execute(
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() "
        "WHERE NOT internal AND table_name <> 'schema_migrations'"
    ).fetchall()
    keys = con.execute(
        "SELECT table_name, constraint_column_names FROM duckdb_constraints() "
        "WHERE constraint_type = 'PRIMARY KEY' AND table_name <> 'schema_migrations'"
    ).fetchall()
    lines = {f"{table}.{name} {kind}{'' if nullable else ' NOT NULL'}" for table, name, kind, nullable in columns}
    return lines | {f"{table} PRIMARY KEY ({', '.join(names)})" for table, names in keys}


def freeze(folder: Path = SQL_FOLDER) -> list[Path]:
    """Write migration 1 of every database from the models; refused once a second migration exists."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for database in DATABASES:
        if list(folder.glob(f"0002_{database}*.sql")):
            raise MigrationFilesError(database, "migration 1 is released; add a new numbered file instead")
        ddl = models_ddl(database)
        if ddl:
            path = folder / f"0001_{database}.sql"
            path.write_text(f"-- Tables of {database}. Generated from the models, then frozen.\n\n{ddl.rstrip()}\n")
            written.append(path)
    migrations_of.cache_clear()
    return written


def main(arguments: list[str]) -> int:
    """`freeze` or `check`; the exit code is 1 when the schema and the models differ."""
    if arguments == ["freeze"]:
        for path in freeze():
            sys.stdout.write(f"wrote {path}\n")
        return 0
    if arguments != ["check"]:
        sys.stderr.write("usage: python -m openclaw_pipelines.resources.store.migrations freeze | check\n")
        return 2
    differences = [line for database in DATABASES for line in schema_differences(database)]
    sys.stdout.write("\n".join(differences or ["migrations and models agree"]) + "\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
