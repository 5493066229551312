"""A strategy's lock: one run of a strategy at a time, in any process."""

from collections.abc import Iterator
from contextlib import contextmanager

from openclaw_pipelines.resources.store.locks import file_lock
from openclaw_pipelines.settings import Settings

STRATEGY_LOCK_SECONDS = 600.0
"""How long a run waits for another run of the same strategy; it then finds the ticks recorded."""


@contextmanager
def strategy_lock(settings: Settings, strategy: str, *, wait_seconds: float = STRATEGY_LOCK_SECONDS) -> Iterator[None]:
    """Hold a strategy's lock: one run of a strategy at a time, in any process.

    Raises:
        StoreLockedError: another one runs for longer than `wait_seconds`.
    """
    locks = settings.data_dir / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = locks / f"{settings.config.account}.{strategy}"
    with file_lock(lock, exclusive=True, timeout_seconds=wait_seconds):
        yield
