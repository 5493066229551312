"""Opening and using Dagster's instance: one process at a time makes its databases, and what they cannot do has a name.

Two that make them at once stamp their schema twice, which breaks them for good.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import yaml
from sqlalchemy.exc import SQLAlchemyError

from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.resources.store.locks import file_lock

OPENING_SECONDS = 120.0
"""How long to wait for other processes that open the same instance."""
FILES = ("history/runs.db", "event_log.db", "schedules/schedules.db")
"""Databases in Dagster's folder."""


class InstanceError(OpenclawError):
    """Dagster cannot open or use its instance."""

    template = (
        "Dagster cannot use {file}: {reason}. Mend it or restore it from a copy; or move Dagster's folder away and "
        "`openclaw init`, which begins the history of runs anew and leaves the ledger as it is."
    )
    file: Path
    reason: str


def opened_alone(home: Path, opened: Callable[[], dg.DagsterInstance]) -> dg.DagsterInstance:
    """The instance of a folder, opened while no other process opens it.

    Raises:
        StoreLockedError: others took too long. InstanceError: it cannot be opened.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InstanceError(home, error.strerror or type(error).__name__) from error
    with file_lock(home / "instance", exclusive=True, timeout_seconds=OPENING_SECONDS), named_failures(home):
        try:
            return opened()
        except (yaml.YAMLError, dg.DagsterInvalidConfigError) as error:
            raise InstanceError(home / "dagster.yaml", " ".join(str(error).split())[:300]) from error
        except dg.DagsterError as error:
            raise InstanceError(home, str(error).splitlines()[0][:300]) from error


@contextmanager
def named_failures(home: Path | None = None) -> Iterator[None]:
    """Failures of the instance's files under their name.

    home: Dagster's folder; that of DAGSTER_HOME unless given.

    Raises:
        InstanceError: a database cannot be read or written.
    """
    folder = home or Path(os.environ.get("DAGSTER_HOME", "."))
    try:
        yield
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise InstanceError(_unreadable(folder) or folder, said) from error


def _unreadable(home: Path) -> Path | None:
    """The first database that cannot be read, if any."""
    for file in (home / name for name in FILES):
        if not file.exists():
            continue
        try:
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as con:
                con.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except sqlite3.Error:
            return file
    return None
