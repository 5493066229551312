"""Dagster's instance is opened by one at a time: two that make its databases at once stamp their schema twice."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openclaw_pipelines.processes import instance
from openclaw_pipelines.processes.instance import opened_alone
from openclaw_pipelines.resources.store.locks import StoreLockedError


def most_at_once(times: int, attempt: Callable[[Callable[[], Any]], Any]) -> int:
    """How many were inside together when so many attempts are made at the same time."""
    inside, most = 0, 0

    def opened() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.05)
        inside -= 1

    with ThreadPoolExecutor(times) as pool:
        list(pool.map(attempt, [opened] * times))
    return most


def test_one_opens_at_a_time(tmp_path: Path) -> None:
    assert most_at_once(4, lambda opened: opened_alone(tmp_path / "dagster", opened)) == 1
    assert most_at_once(4, lambda opened: opened()) > 1  # the twin: without the lock


def test_who_waits_too_long_is_told_for_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "OPENING_SECONDS", 0.05)

    def opens_again() -> Any:
        return opened_alone(tmp_path, lambda: None)

    with pytest.raises(StoreLockedError, match=r"instance is locked by this process itself"):
        opened_alone(tmp_path, opens_again)
