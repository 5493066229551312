"""What the project uses of Dagster and pandera though they keep it private, each with what breaks when it moves.

Read this before an upgrade of either. No other module may import such parts: `make lint` refuses them by name.
"""

import ast
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import openclaw_pipelines

PACKAGE = Path(openclaw_pipelines.__file__).parent
ALLOWED = {"assets/run_tags.py", "processes/storages.py", "processes/web.py", "contracts/schema.py"}
PRIVATE = ("dagster._", "dagster_shared", "dagster_webserver", "pandera.api", "pandera.backends")
_TAGS = "dagster._core.storage.tags"
_CHECKS = "dagster._core.definitions.asset_checks.asset_check_evaluation"


def member(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    ("path", "value", "breaks"),
    [
        (f"{_TAGS}.PARTITION_NAME_TAG", "dagster/partition", "a day of a backfill does not wait for the day before it"),
        (f"{_TAGS}.BACKFILL_ID_TAG", "dagster/backfill", "a day of a backfill does not wait for the day before it"),
        (f"{_TAGS}.ASSET_PARTITION_RANGE_START_TAG", "dagster/asset_partition_range_start", "runs over a range"),
        (f"{_TAGS}.ASSET_PARTITION_RANGE_END_TAG", "dagster/asset_partition_range_end", "runs over a range"),
    ],
)
def test_tags_are_as_stored_runs_have_them(path: str, value: str, breaks: str) -> None:
    assert member(path) == value, f"breaks: {breaks}"


@pytest.mark.parametrize(
    ("path", "parameters", "breaks"),
    [
        pytest.param(
            f"{_CHECKS}.AssetCheckEvaluationTargetMaterializationData",
            {"storage_id", "run_id", "timestamp"},
            "results of checks in runs over a range do not say which materialization they looked at",
            id="check target",
        ),
        pytest.param(
            "dagster._core.workspace.context.WorkspaceProcessContext",
            {"instance", "workspace_load_target", "read_only"},
            "openclaw web has no application to guard",
            id="web: workspace",
        ),
        pytest.param(
            "dagster._core.workspace.load_target.ModuleTarget",
            {"module_name", "attribute", "working_directory", "location_name"},
            "openclaw web does not find the definitions",
            id="web: code location",
        ),
        pytest.param(
            "dagster_webserver.app.create_app_from_workspace_process_context",
            {"workspace_process_context"},
            "openclaw web has no application to guard",
            id="web: application",
        ),
    ],
)
def test_shapes_are_as_the_project_calls_them(path: str, parameters: set[str], breaks: str) -> None:
    called = member(path)
    known = {*inspect.signature(called).parameters, *getattr(called, "__annotations__", {})}
    assert parameters <= known, f"breaks: {breaks}"


_EVENTS = "dagster._core.storage.event_log.ConsolidatedSqliteEventLogStorage"
_RUNS = "dagster._core.storage.runs.SqliteRunStorage"


@pytest.mark.parametrize(
    "path",
    [
        *(
            f"{_EVENTS}.{name}"
            for name in (
                "_connect",
                "_get_event_records",
                "store_event",
                "has_table",
                "has_asset_key_col",
                "on_modified",
            )
        ),
        *(f"{_EVENTS}.{name}" for name in ("_has_asset_key_col_on_connection", "watch", "index_connection")),
        *(
            f"{_RUNS}.{name}"
            for name in ("from_local", "connect", "has_run_stats_index_cols", "has_backfill_id_column")
        ),
        *(f"{_RUNS}.{name}" for name in ("has_bulk_actions_selector_cols", "has_bulk_action_job_name_column")),
        "dagster._core.storage.schedules.SqliteScheduleStorage.connect",
        "dagster._core.storage.local_compute_log_manager.LocalComputeLogManager.capture_logs",
    ],
)
def test_storages_replace_what_dagster_calls(path: str) -> None:
    """Breaks: the storages of processes/storages.py replace what nobody calls, and a tick costs three times as much."""
    owner, _, name = path.rpartition(".")
    assert callable(getattr(member(owner), name))


def test_storages_know_the_files_of_dagster(tmp_path: Path) -> None:
    """Breaks: a folder of before is opened as an empty one."""
    runs, schedules = member(_RUNS), member("dagster._core.storage.schedules.SqliteScheduleStorage")
    assert runs.from_local(str(tmp_path / "history"))._conn_string == f"sqlite:///{tmp_path}/history/runs.db"
    made = schedules.from_local(str(tmp_path / "schedules"))
    assert made._conn_string == f"sqlite:///{tmp_path}/schedules/schedules.db"
    assert member(_EVENTS)(str(tmp_path)).get_db_path() == str(tmp_path / "event_log.db")


def test_unfinished_runs_are_those_that_may_still_write() -> None:
    """Breaks: a day of a backfill takes its ticks while the day before it still runs."""
    import dagster as dg

    states = {state.name for state in member("dagster._core.storage.dagster_run.NOT_FINISHED_STATUSES")}
    assert states >= {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}
    assert not states & {dg.DagsterRunStatus.SUCCESS.name, dg.DagsterRunStatus.FAILURE.name, "CANCELED"}


def test_the_daemon_is_started_as_a_module() -> None:
    """Breaks: `openclaw web` has no schedules and sensors."""
    assert importlib.util.find_spec("dagster._daemon.__main__") is not None


def test_pandera_lets_a_check_be_asked_without_its_backend() -> None:
    """Breaks: `Table.validate` asks each rule by itself, a millisecond or more per rule and column."""
    import pandera.backends.polars.builtin_checks  # noqa: F401
    import pandera.polars as pa
    import polars as pl

    check = pa.Check.ge(2)
    function = pa.Check.get_builtin_check_fn(check._check_fn.__name__)
    data = pa.PolarsData(pl.LazyFrame({"n": [1, 2, 3]}), "n")
    assert function(data, **check._check_kwargs).collect().to_series().to_list() == [False, True, True]


def imported(path: Path) -> set[str]:
    """Private modules of others that a file imports, at its top or inside a function."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name for name in names if name.startswith(PRIVATE)}


def test_no_other_module_imports_private_parts() -> None:
    users = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if imported(path)}
    assert users == ALLOWED


def test_an_import_of_private_parts_is_refused_by_name() -> None:
    """The twin: `make lint` closes for a module that is not one of those."""
    file = PACKAGE / "assets" / "market.py"
    text = "from dagster._core.storage.tags import BACKFILL_ID_TAG\n\nprint(BACKFILL_ID_TAG)\n"
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", str(file), "-"]
    done = subprocess.run(command, cwd=PACKAGE.parent, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "private to Dagster; only assets/run_tags.py" in done.stdout
