"""DuckDB in this process: one instance per store folder, to which files are attached.

Starting an instance costs some 15 ms, attaching a file to one a few and what its log holds. When files are attached and
let go is for `hold`. Letting go writes nothing: a checkpoint after each transaction would cost more than the work.
"""

import importlib.util
import os
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import cast

import duckdb

from openclaw_pipelines.resources.store.locks import StoreLockedError

Connection = duckdb.DuckDBPyConnection
_BUSY_POLL_SECONDS = 0.05
_BUSY = ("Conflicting lock is held", "Could not set lock")
STORAGE_VERSION = "v1.4.0"
"""Of new files: the first that finds a log which belongs to a newer state of its file than the one it lies beside."""
_MOST_ENGINES = 4
"""Instances kept in one process; a process works on one store, a test run on one after the other."""


class Engine:
    """An instance without a file of its own.

    Whoever attaches a file has the store's lock of it; see `hold`.

    Args:
        spill_folder: where DuckDB spills what does not fit into memory.
        threads: threads of the instance.
        memory_limit: memory of the instance, as DuckDB writes it.
    """

    def __init__(self, spill_folder: Path, threads: int, memory_limit: str) -> None:
        _spare_the_search_for_pandas()
        self._guard = threading.Lock()
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory_limit,
            "temp_directory": str(spill_folder),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._root = duckdb.connect(":memory:", config=config)
        self._root.execute("SET GLOBAL TimeZone = 'UTC'; PRAGMA disable_checkpoint_on_shutdown")
        # whatever a statement says, it reaches no file beyond the store and loads no code
        self._root.execute("SET allowed_directories = [?]", [str(spill_folder.parent.absolute())])
        self._root.execute("SET enable_external_access = false")

    def attach(self, file: Path, *, read_only: bool, timeout_seconds: float) -> None:
        """Open a file.

        Raises:
            StoreLockedError: a program that takes no such lock, as a notebook, has the file open for too long.
            duckdb.Error: the file cannot be used.
        """
        kind = "READ_ONLY" if read_only else f"STORAGE_VERSION '{STORAGE_VERSION}'"
        path = str(file).replace("'", "''")
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                with self._guard:
                    self._root.execute(f"ATTACH '{path}' AS {alias(file)} (TYPE duckdb, {kind})")
            except duckdb.IOException as error:
                if not any(text in str(error) for text in _BUSY):
                    raise
                if time.monotonic() >= deadline:
                    holder = "a program that opened it without the store's lock"
                    raise StoreLockedError(file, timeout_seconds, holder) from error
            else:
                return
            time.sleep(_BUSY_POLL_SECONDS)

    def cursor(self, file: Path) -> Connection:
        """Connection whose tables are those of an attached file. Closing it rolls back what was not committed."""
        with self._guard:
            connection = self._root.cursor()
        connection.execute(f"SET enable_progress_bar = false; USE {alias(file)}")
        return connection

    def checkpoint(self, file: Path) -> None:
        """Move what the log beside an attached file holds into the file."""
        with self._guard:
            self._root.execute(f"CHECKPOINT {alias(file)}")

    def detach(self, file: Path) -> None:
        """Close a file. An instance that cannot is of no use any more: the name stays taken."""
        with self._guard:
            self._root.execute(f"DETACH {alias(file)}")

    def close(self) -> None:
        """Give the instance up, with all its files: DuckDB refuses all work after some failures."""
        discard(self)
        self._root.close()


_Key = tuple[Path, int, str]
_engines: dict[_Key, Engine] = {}
_guard = threading.Lock()
_inherited: list[dict[_Key, Engine]] = []


def engine_of(folder: Path, threads: int, memory_limit: str) -> Engine:
    """The engine of a store's folder, the same for all threads."""
    key = (folder, threads, memory_limit)
    with _guard:
        engine = _engines.pop(key, None) or Engine(folder / "spilled", threads, memory_limit)
        _engines[key] = engine  # last in the order of use
        while len(_engines) > _MOST_ENGINES:
            del _engines[next(iter(_engines))]
    return engine


def discard(engine: Engine) -> None:
    """Give an engine to nobody any more; whoever has it may end."""
    with _guard:
        for key in [key for key, kept in _engines.items() if kept is engine]:
            del _engines[key]


def _after_fork() -> None:
    """The threads of the parent's engines do not exist in a child: leave them alone and start new ones."""
    global _guard  # noqa: PLW0603 - a thread that does not exist here may have held it
    _guard = threading.Lock()
    _inherited.append(dict(_engines))
    _engines.clear()


os.register_at_fork(after_in_child=_after_fork)


def _spare_the_search_for_pandas() -> None:
    """DuckDB looks for pandas at each statement, along the whole path, which costs more than many a statement.

    Not before an instance is made: pandera, which is imported by then, takes the message for a broken pandas.
    """
    if "pandas" not in sys.modules and importlib.util.find_spec("pandas") is None:
        sys.modules["pandas"] = cast("ModuleType", None)


def alias(file: Path) -> str:
    """The attached file's name in SQL."""
    return '"' + file.name.replace('"', '""') + '"'
