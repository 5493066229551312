"""DuckDB in this process: one instance per store folder, to which files are attached for one transaction each.

Starting an instance costs some 15 ms, attaching a file to one under 1 ms, and a tick of two strategies opens files
a dozen times. Nothing of a file stays open between uses: whoever detaches it closes it, as closing a connection did.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from openclaw_pipelines.resources.store.locks import StoreLockedError

Connection = duckdb.DuckDBPyConnection
_BUSY_POLL_SECONDS = 0.05
_BUSY = ("Conflicting lock is held", "Could not set lock")
_MOST_ENGINES = 4
"""Instances kept in one process; a process works on one store, a test run on one after the other."""


class Engine:
    """An instance without a file of its own.

    Users of one file in several threads share its attachment: detaching a copy of their own would release the
    process's lock on the file, which POSIX keeps per process, for all of them.

    Args:
        spill_folder: where DuckDB spills what does not fit into memory.
        threads: threads of the instance.
        memory_limit: memory of the instance, as DuckDB writes it.
    """

    def __init__(self, spill_folder: Path, threads: int, memory_limit: str) -> None:
        self._guard = threading.Lock()
        self._users: dict[Path, int] = {}
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory_limit,
            "temp_directory": str(spill_folder),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._root = duckdb.connect(":memory:", config=config)
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")

    @contextmanager
    def attached(self, file: Path, *, read_only: bool, timeout_seconds: float) -> Iterator[Connection]:
        """Connection whose tables are those of `file`. What was not committed at the end is rolled back.

        The store's lock of the file must be held, which keeps readers and a writer of this process apart.

        Raises:
            StoreLockedError: a program that takes no such lock, as a notebook, has the file open for too long.
            duckdb.Error: the file cannot be used.
        """
        connection = self._attach(file, read_only=read_only, timeout_seconds=timeout_seconds)
        try:
            connection.execute(f"SET enable_progress_bar = false; USE {_alias(file)}")
            yield connection
        finally:
            connection.close()
            self._detach(file)

    def _attach(self, file: Path, *, read_only: bool, timeout_seconds: float) -> Connection:
        options = "TYPE duckdb, READ_ONLY" if read_only else "TYPE duckdb"
        path = str(file).replace("'", "''")
        deadline = time.monotonic() + timeout_seconds
        while True:
            with self._guard:
                try:
                    if file not in self._users:
                        self._root.execute(f"ATTACH '{path}' AS {_alias(file)} ({options})")
                    self._users[file] = self._users.get(file, 0) + 1
                    return self._root.cursor()
                except duckdb.IOException as error:
                    if not any(text in str(error) for text in _BUSY):
                        raise
                    if time.monotonic() >= deadline:
                        holder = "a program that opened it without the store's lock"
                        raise StoreLockedError(file, timeout_seconds, holder) from error
            time.sleep(_BUSY_POLL_SECONDS)

    def _detach(self, file: Path) -> None:
        with self._guard:
            self._users[file] -= 1
            if not self._users[file]:
                del self._users[file]
                try:
                    self._root.execute(f"DETACH {_alias(file)}")
                except duckdb.Error:  # the name stays taken, so that this engine could never open the file again
                    discard(self)
                    raise


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
    """Use an engine no more: DuckDB refuses all work after some failures."""
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


def _alias(file: Path) -> str:
    """The attached file's name in SQL."""
    return '"' + file.name.replace('"', '""') + '"'
