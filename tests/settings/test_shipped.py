"""An installed program brings its configuration along, and keeps nothing beside it."""

import shutil
from pathlib import Path

import pytest

from openclaw_pipelines.settings import load, load_settings

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of files that a build adds, and an empty working folder."""
    package = tmp_path / "site-packages" / "openclaw_pipelines"
    (package / "shipped").mkdir(parents=True)
    shutil.copy(PROJECT / "config" / "autopilot.yaml", package / "shipped")
    monkeypatch.setattr(load, "_PACKAGE", package)
    monkeypatch.setattr(load, "SHIPPED", package / "shipped")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return package / "shipped"


def test_without_one_of_its_own_a_folder_has_the_configuration_that_came_with_the_program(installed: Path) -> None:
    settings = load_settings({})
    assert settings.config_path == installed / "autopilot.yaml"
    assert settings.data_dir == Path.cwd() / "data" / "local"
    assert (
        settings.config_fingerprint == load_settings({}, path=PROJECT / "config" / "autopilot.yaml").config_fingerprint
    )


def test_a_configuration_in_the_working_folder_counts_before_it(installed: Path) -> None:
    own = Path.cwd() / "config" / "autopilot.yaml"
    own.parent.mkdir()
    shutil.copy(installed / "autopilot.yaml", own)
    assert load_settings({}).config_path == own
    assert load_settings({}).data_dir == Path.cwd() / "data" / "local"


def test_a_checkout_has_its_files_where_people_edit_them() -> None:
    assert not load.SHIPPED.exists()
    assert load.shipped(Path("config") / "dagster.yaml") == PROJECT / "config" / "dagster.yaml"
