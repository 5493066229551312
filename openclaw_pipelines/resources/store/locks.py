"""Operating-system locks in front of the store's files.

DuckDB allows one writing process or many reading ones per file and fails at once otherwise, so all queue here first.
The locks are advisory (`flock`), belong to the open file and vanish with the process that held them, however it died.
Opening the database itself is in `store`.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openclaw_pipelines.contracts.errors import StoreError

POLL_SECONDS = 0.005
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class StoreLockedError(StoreError):
    """Another process, or this one in an outer transaction, holds the file for longer than we may wait."""

    template = (
        "{file} is locked by {holder}; gave up after {seconds:.1f} s. "
        "Wait for it to finish, close notebooks that have the file open, or raise lock_timeout_seconds."
    )
    file: Path
    seconds: float
    holder: str


class StoreFullError(StoreError):
    """No room for what was to be written; the store stays as it was."""

    template = "no room left to write {file}: {reason}. Nothing of this transaction was kept. Free space and run again."
    file: Path
    reason: str


class StoreReadOnlyError(StoreError):
    """The store's folder or file may not be written."""

    template = (
        "{file} may not be written: {reason}. Give this user write permission or set OPENCLAW_DATA_DIR elsewhere."
    )
    file: Path
    reason: str


class StoreUnusableError(StoreError):
    """The operating system refuses the file for another reason."""

    template = "{file} cannot be used: {reason}. Check the folder that OPENCLAW_DATA_DIR names."
    file: Path
    reason: str


def os_failure(file: Path, error: OSError) -> StoreError:
    """`error` of the operating system as the store's own error."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StoreFullError(file, reason)
    if error.errno in _FORBIDDEN:
        return StoreReadOnlyError(file, reason)
    return StoreUnusableError(file, reason)


@contextmanager
def file_lock(database_file: Path, *, exclusive: bool, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock of `database_file`, exclusive for a writer, shared for a reader.

    Everyone passes a gate first, and a waiting writer keeps it closed, so a stream of readers cannot starve writers.

    Raises:
        StoreLockedError: not obtained within `timeout_seconds`; names the holder where a writer left its process id.
    """
    deadline = time.monotonic() + timeout_seconds
    lock = database_file.with_name(database_file.name + ".lock")
    gate = database_file.with_name(database_file.name + ".gate")
    with _opened(lock, writable=exclusive) as descriptor:
        with _opened(gate, writable=False) as gate_descriptor:
            _acquire(gate_descriptor, fcntl.LOCK_EX, database_file, lock, deadline, timeout_seconds)
            kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            _acquire(descriptor, kind, database_file, lock, deadline, timeout_seconds)
        if not exclusive:
            yield
            return
        _leave_name(descriptor, database_file)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)


@contextmanager
def _opened(lock: Path, *, writable: bool) -> Iterator[int]:
    """Descriptor of a lock file; closing it releases the lock. Readers manage with files that are there already."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        if writable or error.errno not in _FORBIDDEN or not lock.exists():
            raise os_failure(lock, error) from error
        descriptor = os.open(lock, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, kind: int, file: Path, lock: Path, deadline: float, timeout_seconds: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StoreLockedError(file, timeout_seconds, _holder(lock)) from None
            time.sleep(POLL_SECONDS)
        else:
            return


def _leave_name(descriptor: int, database_file: Path) -> None:
    """Write our process id, so that whoever waits can say for whom."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError as error:
        raise os_failure(database_file, error) from error


def _holder(lock: Path) -> str:
    """Who holds the lock. A name left by a killed writer does not count."""
    text = lock.read_text().strip()
    if not text.isdigit() or not _alive(int(text)):
        return "one or more readers"
    return "this process itself" if int(text) == os.getpid() else f"process {text}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
