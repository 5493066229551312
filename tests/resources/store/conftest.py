"""A store in a folder of its own, legal rows of every table, and real processes."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openclaw_pipelines.resources.store.store import Store

WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", lock_timeout_seconds=5)


@pytest.fixture(scope="session")
def rows() -> SimpleNamespace:
    """`sample_row`, `samples`, `tick_frames` and `write_tick` of the worker script."""
    return SimpleNamespace(**runpy.run_path(str(WORKER)))


@pytest.fixture(scope="session")
def worker() -> Callable[..., list[dict[str, Any]]]:
    """Run a scenario of the worker script and return what its processes reported."""

    def run(*arguments: Any) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, str(WORKER), *map(str, arguments)], capture_output=True, text=True, check=True, timeout=120
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.fixture(scope="session")
def worker_command() -> list[str]:
    return [sys.executable, str(WORKER)]
