"""A process's hold on a database file: the lock, and the file attached, kept for a moment after the last use.

Opening a file costs more than most queries, and closing it with a checkpoint more than most transactions: each
rewrites the end of every table it touched. So whoever works keeps the file, and hands it over within `POLL_SECONDS`
when another process waits at the lock, or when nothing was asked for `KEPT_SECONDS`. What was committed stands in the
log beside the file (`.wal`), flushed; it is moved into the file when it has grown, never for each commit.
"""

import atexit
import logging
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from openclaw_pipelines.contracts.errors import StoreError
from openclaw_pipelines.resources.store.engine import Connection, Engine, discard
from openclaw_pipelines.resources.store.files import (
    Stamp,
    bring_up_to_date,
    create,
    give_back,
    log_of,
    stamp_of,
)
from openclaw_pipelines.resources.store.locks import FileLock, StoreLockedError, locked
from openclaw_pipelines.resources.store.migrations import is_current

_log = logging.getLogger(__name__)
KEPT_SECONDS = 1.0
"""How long an unused file stays attached where nobody waits for it."""
POLL_SECONDS = 0.01
"""How often who keeps an unused file looks whether somebody waits."""
WRITER_SECONDS = 600.0
"""How long a process that wrote to a file attaches it for writing, also to read."""
LOG_BYTES = 1 << 19
"""Size from which on the log is moved into the file when it is let go: whoever attaches it reads the log again."""


class Hold:
    """The hold on one file.

    Transactions of this process exclude each other as those of others do: one writes or many read. A file that is held
    to write is read in the same attachment.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._changed = threading.Condition()
        self._opening = False
        self._lock: FileLock | None = None
        self._engine: Engine | None = None
        self._stamp: Stamp = ()
        self._users: Counter[int] = Counter()
        """Transactions by thread."""
        self._writing = self._broken = False
        self._used_at = self._wrote_at = -math.inf

    @contextmanager
    def using(self, engine: Engine, *, exclusive: bool, timeout_seconds: float) -> Iterator[Connection]:
        """Connection to the file with all migrations, to read or to write. A file that does not exist is made.

        Raises:
            StoreLockedError: others kept the file for too long.
            StoreError, duckdb.Error: it cannot be used.
        """
        self._enter(engine, exclusive=exclusive, timeout_seconds=timeout_seconds)
        try:
            connection = engine.cursor(self.file)
            try:
                yield connection
            finally:
                connection.close()
        except duckdb.FatalException:
            self._broken = True
            raise
        finally:
            self._leave()

    def close(self) -> None:
        """Let go of the file unless it is in use."""
        with self._changed:
            if not self._users and not self._opening:
                self._let_go(at_rest=True)

    def hand_over(self) -> None:
        """Let go of an unused file that another waits for, or that nobody asked for lately."""
        if self._changed.acquire(blocking=False):
            try:
                if self._lock is not None and not self._users and not self._opening:
                    if self._lock.wanted():
                        self._let_go()
                    elif time.monotonic() - self._used_at > KEPT_SECONDS:
                        self._let_go(at_rest=True)
            finally:
                self._changed.release()

    def forget(self) -> None:
        """In a forked child: the lock is the parent's, and must not live on here."""
        if self._lock is not None:
            self._lock.forget()

    def _enter(self, engine: Engine, *, exclusive: bool, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while not self._admits(engine, exclusive=exclusive):
                if not self._users and not self._opening:
                    self._let_go()
                    self._open(engine, exclusive=exclusive, timeout_seconds=timeout_seconds)
                    break
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise StoreLockedError(self.file, timeout_seconds, "this process itself")
            self._users[threading.get_ident()] += 1
            self._writing = exclusive

    def _admits(self, engine: Engine, *, exclusive: bool) -> bool:
        """Whether a transaction can begin in what is attached."""
        lock = self._lock
        if lock is None or self._engine is not engine or self._broken or self._writing:
            return False
        if exclusive and not (lock.exclusive and not self._users):
            return False
        if self._users:  # who reads already does not wait for one who waits for him
            return threading.get_ident() in self._users or not lock.wanted()
        return stamp_of(self.file) == self._stamp and not lock.wanted()

    def _leave(self) -> None:
        with self._changed:
            thread = threading.get_ident()
            self._users[thread] -= 1
            self._users += Counter()  # without those that are at none
            self._used_at = time.monotonic()
            if self._writing:
                self._writing, self._wrote_at = False, self._used_at
            if not self._users:
                self._stamp = stamp_of(self.file)
                if self._broken:
                    self._let_go()
            self._changed.notify_all()

    def _open(self, engine: Engine, *, exclusive: bool, timeout_seconds: float) -> None:
        """Take the lock and attach the file, while others of this process may look.

        Who wrote lately will write again, and attaches the file once for both.
        """
        exclusive = exclusive or time.monotonic() - self._wrote_at < WRITER_SECONDS
        self._opening = True
        self._changed.release()
        try:
            lock = _attached(engine, self.file, exclusive=exclusive, timeout_seconds=timeout_seconds)
        finally:
            self._changed.acquire()
            self._opening = False
            self._changed.notify_all()
        self._lock, self._engine, self._broken = lock, engine, False
        self._stamp = stamp_of(self.file)
        _watch(self)

    def _let_go(self, *, at_rest: bool = False) -> None:
        """Detach and unlock; a log that has grown is moved into the file first, free blocks are given back at rest."""
        lock, engine = self._lock, self._engine
        if lock is None or engine is None:
            return
        self._lock = self._engine = None
        try:
            if self._broken:
                discard(engine)
            elif lock.exclusive and stamp_of(self.file) == self._stamp and _bytes_of_log(self.file) >= LOG_BYTES:
                engine.checkpoint(self.file)
                if at_rest:
                    give_back(engine, self.file)
            engine.detach(self.file)
        except (duckdb.Error, OSError, StoreError):  # what was committed stands in the log
            engine.close()
            _log.warning("%s could not be let go; it is opened anew", self.file, exc_info=True)
        finally:
            lock.release()
            _kept.discard(self)


def _bytes_of_log(file: Path) -> int:
    log = log_of(file)
    return log.stat().st_size if log.exists() else 0


def _attached(engine: Engine, file: Path, *, exclusive: bool, timeout_seconds: float) -> FileLock:
    """Lock of a file, which is attached with all migrations; a lock to write where there was something to do."""
    if not exclusive and file.exists():
        lock = locked(file, exclusive=False, timeout_seconds=timeout_seconds)
        with _released_after_failure(lock):
            engine.attach(file, read_only=True, timeout_seconds=timeout_seconds)
            with _detached_after_failure(engine, file), engine.cursor(file) as con:
                if is_current(con, file, file.stem):
                    return lock
            engine.detach(file)
        lock.release()
    lock = locked(file, exclusive=True, timeout_seconds=timeout_seconds)
    with _released_after_failure(lock):
        if not file.exists():
            create(engine, file, file.stem)
        engine.attach(file, read_only=False, timeout_seconds=timeout_seconds)
        with _detached_after_failure(engine, file):
            bring_up_to_date(engine, file, file.stem)
    return lock


@contextmanager
def _released_after_failure(lock: FileLock) -> Iterator[None]:
    try:
        yield
    except BaseException:
        lock.release()
        raise


@contextmanager
def _detached_after_failure(engine: Engine, file: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        try:
            engine.detach(file)
        except duckdb.Error:  # after a fatal failure, or a rewrite that failed half way
            engine.close()
        raise


_holds: dict[Path, Hold] = {}
_kept: set[Hold] = set()
_guard = threading.Lock()
_stop = threading.Event()
_watcher: threading.Thread | None = None


def hold_of(file: Path) -> Hold:
    """The hold of this process on a file."""
    with _guard:
        return _holds.setdefault(file, Hold(file))


def let_go() -> None:
    """Let go of all files that are not in use: the process ends, or another program must have them at once."""
    for hold in list(_kept):
        hold.close()


def _watch(hold: Hold) -> None:
    """Look after a file that is attached now."""
    global _watcher  # noqa: PLW0603 - the one thread of this process
    with _guard:
        _kept.add(hold)
        if _watcher is None and not _stop.is_set():
            _watcher = threading.Thread(target=_look_after, name="store holds", daemon=True)
            _watcher.start()


def _look_after() -> None:
    global _watcher  # noqa: PLW0603 - the one thread of this process
    while not _stop.wait(POLL_SECONDS):
        for hold in list(_kept):
            hold.hand_over()
        with _guard:
            if not _kept:
                _watcher = None
                return


def _at_exit() -> None:
    _stop.set()
    if _watcher is not None:
        _watcher.join()
    let_go()


def _after_fork() -> None:
    """The parent's thread does not exist in a child, and its locks are not the child's."""
    global _guard, _watcher
    _guard, _watcher = threading.Lock(), None
    for hold in _kept:
        hold.forget()
    _kept.clear()
    _holds.clear()


atexit.register(_at_exit)
# DuckDB keeps a list of open files, which a child would inherit and never open them
os.register_at_fork(before=let_go, after_in_child=_after_fork)
