"""Dagster's instance is opened by one at a time: two that make its databases at once stamp their schema twice."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from stores import copy_store

from openclaw_pipelines.processes import instance
from openclaw_pipelines.processes.instance import FILES, InstanceError, opened_alone
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


HOURS = ["ticker", "--clock", "replayed", "--from", "2025-05-10T00:00Z", "--to", "2025-05-10T01:00Z"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an instance that no process uses."""
    folder = tmp_path_factory.mktemp("made")
    assert openclaw(folder, "init").returncode == 0
    return folder


def openclaw(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    own = {k: v for k, v in os.environ.items() if not k.startswith(("OPENCLAW_", "DAGSTER_"))}
    own |= {"OPENCLAW_DATA_DIR": str(folder / "data"), "DAGSTER_HOME": str(folder / "data" / "dagster")}
    command = [str(Path(sys.executable).with_name("openclaw")), *arguments]
    return subprocess.run(command, env=own, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("command", [["init"], HOURS], ids=["init", "ticker"])
@pytest.mark.parametrize("file", [*FILES, "dagster.yaml"])
def test_a_damaged_file_of_dagsters_is_named_and_nothing_else_is_lost(
    made: Path, tmp_path: Path, file: str, command: list[str]
) -> None:
    folder = copy_store(made, tmp_path / "own")
    damaged = folder / "data" / "dagster" / file
    for log in damaged.parent.glob(f"{damaged.name}-*"):
        log.unlink()
    damaged.write_bytes(b"\x00rubbish" * 200 if file.endswith(".db") else b"run_storage: [\n")
    done = openclaw(folder, *command)
    assert done.returncode == 1
    assert f"InstanceError: Dagster cannot use {damaged}: " in done.stderr
    assert "Traceback" not in done.stderr
    (folder / "data" / "dagster").rename(folder / "away")  # what the message says to do
    assert openclaw(folder, "init").returncode == 0


def test_a_file_damaged_while_it_runs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(Path(__file__).parents[2] / "config" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.get() as own:
        own.get_runs()
        (tmp_path / "history" / "runs.db").unlink()
        (tmp_path / "history" / "runs.db").write_bytes(b"rubbish" * 500)
        with pytest.raises(InstanceError, match=r"history/runs.db: "), instance.named_failures():
            own.get_runs()
