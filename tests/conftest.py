"""Fixtures shared by all tests."""

import sys
from pathlib import Path

import pytest

# importlib mode has no packages of tests, so what several folders share is found by its folder; tools are no package
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tools")]

pytest_plugins = ["dagster_scene"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real exchange data beside the checkout; tests that need it are skipped where it is absent."""
    return _shared("data", "the real exchange data")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Folder of small inputs after public reports, each with the value that is right; as `shared_data`."""
    return _shared("cases", "the cases from public reports")


def _shared(name: str, what: str) -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / name
    if not folder.is_dir():
        pytest.skip(f"{what} (../shared/{name}) is not here")
    return folder
