"""Opening Dagster's instance: the first process makes its databases, and two that do so at once break them for good."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg

from openclaw_pipelines.resources.store.locks import file_lock

OPENING_SECONDS = 120.0
"""How long to wait for other processes that open the same instance."""


def opened_alone(home: Path, opened: Callable[[], dg.DagsterInstance]) -> dg.DagsterInstance:
    """The instance of a folder, opened while no other process opens it.

    Raises:
        StoreLockedError: others took too long.
    """
    home.mkdir(parents=True, exist_ok=True)
    with file_lock(home / "instance", exclusive=True, timeout_seconds=OPENING_SECONDS):
        return opened()
