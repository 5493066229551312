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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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


@dataclass
class FileLock:
    """The lock of one file while this process has it."""

    file: Path
    exclusive: bool
    descriptor: int
    gate: int

    def wanted(self) -> bool:
        """Whether somebody waits for the lock, in this process or another."""
        try:
            fcntl.flock(self.gate, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self.gate, fcntl.LOCK_UN)
        return False

    def release(self) -> None:
        """Let go of the lock."""
        if self.exclusive:
            os.ftruncate(self.descriptor, 0)
        self.forget()

    def forget(self) -> None:
        """Close the descriptors: in a forked child, where the lock is still the parent's."""
        os.close(self.descriptor)
        os.close(self.gate)


def locked(database_file: Path, *, exclusive: bool, timeout_seconds: float) -> FileLock:
    """Take the lock of `database_file`, exclusive for a writer, shared for a reader.

    Everyone passes a gate first, and a waiting writer keeps it closed, so a stream of readers cannot starve writers.

    Raises:
        StoreLockedError: not obtained within `timeout_seconds`; names the holder where a writer left its process id.
    """
    deadline = time.monotonic() + timeout_seconds
    lock = database_file.with_name(database_file.name + ".lock")
    with ExitStack() as opened:
        descriptor = _opened(lock, writable=exclusive)
        opened.callback(os.close, descriptor)
        gate = _opened(lock.with_suffix(".gate"), writable=False)
        opened.callback(os.close, gate)
        _acquire(gate, fcntl.LOCK_EX, database_file, lock, deadline, timeout_seconds)
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        _acquire(descriptor, kind, database_file, lock, deadline, timeout_seconds)
        if exclusive:
            _leave_name(descriptor, database_file)
        fcntl.flock(gate, fcntl.LOCK_UN)
        opened.pop_all()
    return FileLock(database_file, exclusive, descriptor, gate)


@contextmanager
def file_lock(database_file: Path, *, exclusive: bool, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock of `database_file` for the length of the block; raises as `locked` does."""
    lock = locked(database_file, exclusive=exclusive, timeout_seconds=timeout_seconds)
    try:
        yield
    finally:
        lock.release()


def _opened(lock: Path, *, writable: bool) -> int:
    """Descriptor of a lock file; closing it releases the lock. Readers manage with files that are there already."""
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        if writable or error.errno not in _FORBIDDEN or not lock.exists():
            raise os_failure(lock, error) from error
        return os.open(lock, os.O_RDONLY)


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
