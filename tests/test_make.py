"""The doors that people use: Makefile, lock, licence, Dagster's files. Read and asked, not executed."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[1]


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def dry_run(target: str, *arguments: str) -> str:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_", "MAKE"))
    }
    command = ["make", "--dry-run", "--always-make", target, *arguments]
    return subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", ["demo", "test", "up", "lint", "bench", "clean", "setup", "lock", "wheel"])
def test_target_is_there_and_explained(target):
    assert dry_run(target)
    assert re.search(
        rf"^  make {target}\s+\w", subprocess.check_output(["make", "-s", "help"], cwd=PROJECT, text=True), re.MULTILINE
    )


def test_every_command_that_make_starts_installs_first():
    for target in ("demo", "test", "up", "lint", "bench"):
        assert "--require-hashes -r requirements.lock" in dry_run(target)


OTHERS = [(3, 9, 1), (3, 10, 13), (3, 14, 0)]


def as_text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


@pytest.mark.parametrize("version", OTHERS, ids=as_text)
def test_another_python_is_refused_with_a_message(tmp_path, version):
    """By a Python that says it is another one."""
    other = tmp_path / f"python{version[0]}.{version[1]}"
    told = f'[ "$1" = --version ] && echo "Python {as_text(version)}" && exit 0'
    other.write_text(f'#!/bin/sh\n{told}\nexec {sys.executable} -c "import sys; sys.version_info = {version}; $2"\n')
    other.chmod(0o755)
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (copy / name).write_text(read(name))
    result = subprocess.run(["make", "setup", f"PYTHON={other}"], cwd=copy, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "needs Python 3.11 to 3.13" in result.stderr
    assert f"Python {as_text(version)}" in result.stderr


@pytest.mark.parametrize("version", OTHERS, ids=as_text)
def test_the_package_refuses_another_python(version):
    code = f"import sys; sys.version_info = {version}; import openclaw_pipelines"
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    said = f"ImportError: openclaw_pipelines needs Python 3.11 to 3.13, this is {as_text(version)}."
    assert result.stderr.splitlines()[-1] == said


def test_pip_is_told_the_same():
    import openclaw_pipelines as own

    (first, last), newest = (own._OLDEST, own._NEWEST), (own._NEWEST[0], own._NEWEST[1] + 1)
    assert (as_text(first), as_text(last)) == ("3.11", "3.13")
    asked = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    assert asked == f">={as_text(first)},<{as_text(newest)}"


def test_dagster_home_is_one_absolute_folder():
    shown = dry_run("up", "--eval=show: ; @echo $(DAGSTER_HOME)", "-s")
    assert shown
    home = subprocess.check_output(
        ["make", "-s", "--eval=show: ; @echo $(DAGSTER_HOME)", "show", "OPENCLAW_DATA_DIR=some/where"],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"},
        text=True,
    ).strip()
    assert home == str(PROJECT / "some/where/dagster")


def test_the_lock_names_no_host_and_hashes_every_package():
    lock = read("requirements.lock")
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host|@ file", lock) == []
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_lock_holds_what_the_project_declares():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=~!; ]", item)[0].lower().replace("_", "-") for item in declared}
    locked = {
        line.split("==")[0].split("[")[0].lower() for line in read("requirements.lock").splitlines() if "==" in line
    }
    assert names - locked == set()


def test_dagster_takes_the_instance_file(tmp_path, monkeypatch):
    import dagster as dg
    from dagster._core.run_coordinator import DefaultRunCoordinator

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(read("config/dagster.yaml"))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        parts = (
            instance.run_storage,
            instance.event_log_storage,
            instance.schedule_storage,
            instance.compute_log_manager,
        )
        assert {type(one).__module__ for one in parts} == {"openclaw_pipelines.processes.storages"}
        assert isinstance(instance.run_coordinator, DefaultRunCoordinator)
        assert (instance.telemetry_enabled, instance.run_monitoring_enabled) == (False, True)
        assert instance.run_retries_enabled
        assert instance.get_settings("run_retries")["retry_on_asset_or_op_failure"] is False


def test_a_misspelt_instance_key_would_be_noticed(tmp_path, monkeypatch):
    import dagster as dg

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(read("config/dagster.yaml").replace("purge_after_days", "purge_after_dayz"))
    with pytest.raises(dg.DagsterInvalidConfigError), dg.DagsterInstance.from_config(str(tmp_path)):
        pass


def test_the_workspace_loads_the_one_module():
    assert yaml.safe_load(read("workspace.yaml")) == {
        "load_from": [{"python_module": "openclaw_pipelines.definitions"}]
    }
    assert tomllib.loads(read("pyproject.toml"))["tool"]["dagster"]["module_name"] == "openclaw_pipelines.definitions"


def test_definitions_load_without_exchanges_plots_and_pandas():
    heavy = ("ccxt", "matplotlib", "pandas", "jinja2.environment")
    code = f"import sys, openclaw_pipelines.definitions; print([name for name in {heavy[:3]} if name in sys.modules])"
    shown = subprocess.check_output([sys.executable, "-c", code], cwd=PROJECT, text=True)
    assert shown.strip().splitlines()[-1] == "[]"


def test_the_licence_is_whole():
    text = read("LICENSE")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_ci_fails_when_no_test_ran(tmp_path):
    report = tmp_path / "report.xml"
    tool = [sys.executable, str(PROJECT / "tools" / "tests_ran.py"), str(report)]
    suite = '<testsuites><testsuite tests="{}" skipped="{}" failures="0" errors="0"/></testsuites>'
    report.write_text(suite.format(3, 2))
    assert subprocess.run(tool, check=False, capture_output=True).returncode == 0
    report.write_text(suite.format(3, 3))
    assert subprocess.run(tool, check=False, capture_output=True).returncode == 1


def test_no_function_is_longer_than_a_screen():
    tool = [sys.executable, str(PROJECT / "tools" / "longest_functions.py")]
    result = subprocess.run(tool, check=False, capture_output=True, text=True)
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 10
