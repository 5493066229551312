"""Dagster's own commands in the project's folder: `dg` and the older `dagster`, with and without DAGSTER_HOME."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CYCLE = "universe_snapshots,proposals,decisions,orders,fills,positions,equity"
MODULE = ("-m", "openclaw_pipelines.definitions")
SAYS = "Run `openclaw init` once in the project's folder"


@dataclass(frozen=True)
class Folder:
    """A project as a user has it: configuration, pyproject and the package."""

    path: Path

    def environ(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_"))}
        return {**kept, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}", "NO_COLOR": "1", **more}

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.path, env=self.environ(**more), capture_output=True, text=True, timeout=200, check=False
        )

    def recorded(self) -> list[tuple[str, str]]:
        """Job and status of each run in Dagster's instance, oldest first."""
        history = self.path / "data" / "local" / "dagster" / "history" / "runs.db"
        with contextlib.closing(sqlite3.connect(history)) as runs:
            return runs.execute("SELECT pipeline_name, status FROM runs ORDER BY id").fetchall()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A project in which nothing was started yet."""
    for name in ("config", "pyproject.toml", "workspace.yaml"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, tmp_path / name)
    (tmp_path / "openclaw_pipelines").symlink_to(PROJECT / "openclaw_pipelines")
    return Folder(tmp_path)


@pytest.fixture
def project(folder: Folder) -> Folder:
    """A project after `openclaw init`, which make runs first."""
    done = folder.run("openclaw", "init", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["env_file"] == "written"
    return folder


def test_dg_checks_and_lists_the_definitions(project: Folder) -> None:
    checked = project.run("dg", "check", "defs")
    assert (checked.returncode, "All definitions loaded successfully" in checked.stdout) == (0, True), checked.stderr
    listed = project.run("dg", "list", "defs", "--json")
    found = json.loads(listed.stdout[listed.stdout.index("{") :])
    assert {own["asset_key"] for own in found["assets"]} >= {
        "candles",
        *CYCLE.split(","),
        "sweep_results",
        "daily_report",
    }
    assert {own["name"] for own in found["sensors"]} == {
        "declared_automation", "failed_runs", "operator_alerts", "strategy_ticks",
    }  # fmt: skip


def test_dg_launches_assets_on_the_projects_instance(project: Folder) -> None:
    done = project.run("dg", "launch", "--assets", "instruments")
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert project.recorded() == [("__ASSET_JOB", "SUCCESS")]


def test_dagster_materializes_by_day_and_by_strategy(project: Folder) -> None:
    day = project.run("dagster", "asset", "materialize", *MODULE, "--select", "instruments,candles", "--partition",
                      "2025-05-10")  # fmt: skip
    assert day.returncode == 0, day.stderr[-2_000:]
    # the strategy is known as a partition; what it needs is not stored, and that is said by name
    cycle = project.run("dagster", "asset", "materialize", *MODULE, "--select", CYCLE, "--partition",
                        "2025-05-10|momentum_1h")  # fmt: skip
    assert (cycle.returncode, "WarmUpError" in cycle.stderr + cycle.stdout) == (1, True)
    assert [status for _, status in project.recorded()] == ["SUCCESS", "FAILURE"]


def test_a_home_of_the_environment_counts_before_the_file(project: Folder, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    home.mkdir()
    shutil.copy(PROJECT / "config" / "dagster.yaml", home)
    assert project.run("dg", "launch", "--assets", "instruments", DAGSTER_HOME=str(home)).returncode == 0
    assert project.recorded() == []
    assert (home / "event_log.db").exists()


MATERIALIZE = ("dagster", "asset", "materialize", *MODULE, "--select", CYCLE, "--partition", "2025-05-10|momentum_1h")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(MATERIALIZE, id="dagster asset materialize"),
        pytest.param(("dg", "launch", "--assets", "instruments"), id="dg launch"),
    ],
)
def test_without_a_home_one_line_says_what_to_do(folder: Folder, command: tuple[str, ...]) -> None:
    done = folder.run(*command)
    assert done.returncode == 1
    assert SAYS in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert len((done.stderr + done.stdout).strip().splitlines()) <= 3  # Dagster says of its older command that it is
    assert not list(folder.path.glob(".tmp_dagster_home_*"))


def test_init_keeps_what_env_holds(folder: Folder) -> None:
    file = folder.path / ".env"
    file.write_text("OPENCLAW_LOG_LEVEL=DEBUG")
    assert json.loads(folder.run("openclaw", "init", "--json").stdout)["env_file"] == "written"
    first, line = file.read_text().splitlines()
    assert first == "OPENCLAW_LOG_LEVEL=DEBUG"
    assert line == f"DAGSTER_HOME=${{DAGSTER_HOME:-{folder.path / 'data' / 'local' / 'dagster'}}}"
    assert json.loads(folder.run("openclaw", "init", "--json").stdout)["env_file"] == "kept"
    file.write_text("DAGSTER_HOME=/somewhere\n")
    assert json.loads(folder.run("openclaw", "init", "--json").stdout)["env_file"] == "kept, differs"
    assert file.read_text() == "DAGSTER_HOME=/somewhere\n"


@pytest.fixture
def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "prepared"),
    [
        pytest.param(("dg", "dev", "--port"), True, id="dg dev"),
        pytest.param(("dagster", "dev", "--port"), True, id="dagster dev"),
        pytest.param(("dagster", "dev", "--port"), False, id="dagster dev without a home"),
    ],
)
def test_dev_serves_the_web_ui(folder: Folder, free_port: int, command: tuple[str, ...], prepared: bool) -> None:
    if prepared:
        assert folder.run("openclaw", "init").returncode == 0
    log = folder.path / "dev.log"
    server = subprocess.Popen(
        [*command, str(free_port), "--host", "127.0.0.1"], cwd=folder.path, env=folder.environ(),
        stdout=log.open("w"), stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        assert "dagster_version" in asked(f"http://127.0.0.1:{free_port}/server_info", server)
        said = log.read_text()
        assert (SAYS in said) == (not prepared)
        assert "Traceback" not in said
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(10)


def asked(url: str, server: "subprocess.Popen[bytes]") -> str:
    """What the server answers once it is there."""
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"no answer, exit code {server.poll()}")
