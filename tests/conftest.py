"""Fixtures shared by all tests."""

import sys
from pathlib import Path

import pytest

# importlib mode has no packages of tests, so what several folders share is found by its folder
sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["dagster_scene"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real exchange data beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real exchange data (../shared/data) is not here")
    return folder
