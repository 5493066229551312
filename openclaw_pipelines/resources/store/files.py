"""The file of a database as it lies on the disk: made, brought to the newest schema, rewritten without holes.

Whoever calls this has the exclusive lock of the file.
"""

import os
from pathlib import Path

from openclaw_pipelines.resources.store.engine import STORAGE_VERSION, Engine, alias
from openclaw_pipelines.resources.store.locks import os_failure
from openclaw_pipelines.resources.store.migrations import is_current, migrate

HOLES = 0.5
"""Part of a file that may be free blocks; beyond it the file is written again without them."""
HOLES_BYTES = 64 << 20
"""Free bytes that are never worth it."""
Stamp = tuple[int, ...]


def log_of(file: Path) -> Path:
    """Where DuckDB keeps what was committed and is not in the file yet."""
    return file.with_name(file.name + ".wal")


def stamp_of(file: Path) -> Stamp:
    """Time of change, size and number of a database's files; empty where there is none."""
    found: list[int] = []
    for one in (file, log_of(file)):
        try:
            own = one.stat()
        except (FileNotFoundError, NotADirectoryError):  # of a data folder that is none, the store has its own error
            continue
        found += [own.st_ctime_ns, own.st_size, own.st_ino]
    return tuple(found)


def create(engine: Engine, file: Path, database: str) -> None:
    """Make the file beside its place and move it there when whole, so that a kill leaves none that is half made."""
    draft = _draft(file)
    try:
        _attach(engine, draft)
        try:
            with engine.cursor(draft) as con:
                migrate(con, file, database)
            engine.checkpoint(draft)
        finally:
            engine.detach(draft)
        _move(draft, file)
    except BaseException:
        _remove(draft)
        raise


def bring_up_to_date(engine: Engine, file: Path, database: str) -> None:
    """Apply missing migrations to an attached file; one of an older storage version is written again."""
    with engine.cursor(file) as con:
        if not is_current(con, file, database):
            migrate(con, file, database)
        storage = con.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchall()[0][0]
    if not storage.startswith(STORAGE_VERSION):
        engine.checkpoint(file)
        rewrite(engine, file)


def give_back(engine: Engine, file: Path) -> None:
    """Write an attached file again where most of it is free blocks; its log is empty."""
    with engine.cursor(file) as con:
        free, size = con.execute(
            "SELECT free_blocks * block_size, greatest(total_blocks, 1) * block_size FROM pragma_database_size() "
            "WHERE database_name = current_database()"
        ).fetchall()[0]
    if free > HOLES_BYTES and free > HOLES * size:
        rewrite(engine, file)


def rewrite(engine: Engine, file: Path) -> None:
    """Copy an attached file, whose log is empty, and put the copy into its place; it is attached again."""
    draft = _draft(file)
    try:
        _attach(engine, draft)
        try:
            with engine.cursor(draft) as con:
                con.execute(f"COPY FROM DATABASE {alias(file)} TO {alias(draft)}")
            engine.checkpoint(draft)
        finally:
            engine.detach(draft)
        engine.detach(file)
        log_of(file).unlink(missing_ok=True)
        _move(draft, file)
    except BaseException:
        _remove(draft)
        raise
    _attach(engine, file)


def _attach(engine: Engine, file: Path) -> None:
    engine.attach(file, read_only=False, timeout_seconds=0)


def _draft(file: Path) -> Path:
    draft = file.with_name(file.name + ".new")
    _remove(draft)
    return draft


def _move(draft: Path, file: Path) -> None:
    """Into its place, both on the disk before a log is written beside it."""
    try:
        _flush(draft)
        draft.rename(file)
        _flush(file.parent)
    except OSError as error:
        raise os_failure(file, error) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(draft: Path) -> None:
    draft.unlink(missing_ok=True)
    log_of(draft).unlink(missing_ok=True)
