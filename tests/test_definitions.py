"""The definitions as a whole: a snapshot a person can read, and what every asset must say about itself.

After a wanted change: `UPDATE_SNAPSHOTS=1 pytest tests/test_definitions.py`, and read the difference.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_scene import Lived, Scene

from openclaw_pipelines import __version__
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.kernel.base.compile_cache import sources_hash

SNAPSHOT = Path(__file__).parent / "snapshots" / "definitions.json"
NEVER_AT_IMPORT = ("ccxt", "matplotlib", "pandas", "jinja2", "openai", "instructor")
TABLE_ASSETS = {
    "instruments": "instruments",
    "candles": "candles",
    "funding_rates": "funding_rates",
    "features": "features",
    **{name: f"autopilot_{name}" for name in ("universe_snapshots", "proposals", "decisions", "orders", "fills")},
    **{name: f"autopilot_{name}" for name in ("positions", "equity", "outcomes", "metrics")},
}


def test_every_spec_job_schedule_and_sensor_is_as_in_the_snapshot(lived: Lived) -> None:
    found = json.dumps(_described(lived.scene.defs), indent=1) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(found, encoding="utf-8")
    assert json.loads(found) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_importing_the_definitions_loads_nothing_heavy() -> None:
    code = f"import sys, openclaw_pipelines.definitions; print([m for m in {NEVER_AT_IMPORT} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr[-2000:]


def test_every_asset_says_what_it_is(lived: Lived) -> None:
    graph = lived.scene.defs.resolve_asset_graph()
    for node in graph.asset_nodes:
        assert node.group_name in ("market", "trading", "evaluation", "lifecycle", "factory"), node.key
        assert node.owners == [f"team:{node.group_name}"], node.key
        assert node.code_version in (__version__, f"{__version__}+kernel.{sources_hash()[:12]}"), node.key
        assert node.kinds, node.key
        assert len(node.description or "") > 20, node.key
        if node.partitions_def is not None:
            assert node.backfill_policy == dg.BackfillPolicy.single_run(), node.key


def test_instruments_are_asked_for_once_a_day_by_their_own_condition(new_scene: Callable[..., Scene]) -> None:
    """What the schedule at 00:05Z said before: at the first look after it, and not again until the next day."""
    scene = new_scene(market=False)
    day = datetime(2025, 5, 10, tzinfo=UTC)
    looks = [timedelta(minutes=n) for n in (1, 4, 6, 7, 600)] + [timedelta(days=1, minutes=n) for n in (4, 6, 7)]
    requested, cursor = [], None
    for look in looks:
        result = dg.evaluate_automation_conditions(
            defs=scene.defs,
            instance=scene.instance,
            asset_selection=dg.AssetSelection.assets("instruments"),
            evaluation_time=day + look,
            cursor=cursor,
        )
        cursor = result.cursor
        requested += [look] * result.total_requested
    assert requested == [timedelta(minutes=6), timedelta(days=1, minutes=6)]


def test_freshness_is_evaluated_where_it_is_enabled() -> None:
    text = (Path(__file__).parents[1] / "config" / "dagster.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["freshness"] == {"enabled": True}


@pytest.mark.parametrize(("asset", "table"), TABLE_ASSETS.items(), ids=str)
def test_every_table_asset_shows_its_columns(lived: Lived, asset: str, table: str) -> None:
    node = lived.scene.defs.resolve_asset_graph().get(dg.AssetKey(asset))
    columns = node.metadata["dagster/column_schema"].columns
    assert [(c.name, c.constraints.nullable) for c in columns] == [(c.name, c.nullable) for c in TABLES[table].columns]
    assert all(column.description for column in columns)
    assert node.metadata["dagster/table_name"] == f"{TABLES[table].database}.{table}"


def _described(defs: dg.Definitions) -> dict[str, Any]:
    graph, repository = defs.resolve_asset_graph(), defs.get_repository_def()
    return {
        "assets": {node.key.to_user_string(): _asset(graph, node) for node in sorted(graph.asset_nodes, key=str_key)},
        "jobs": {job.name: _job(job) for job in repository.get_all_jobs() if not job.name.startswith("__")},
        "schedules": {s.name: f"{s.cron_schedule} {s.job_name}" for s in repository.schedule_defs},
        "sensors": {s.name: _sensor(s) for s in repository.sensor_defs},
    }


def str_key(node: Any) -> str:
    return str(node.key.to_user_string())


def _asset(graph: Any, node: Any) -> dict[str, Any]:
    checks = {spec.name: spec for spec in map(graph.get_check_spec, graph.get_check_keys_for_assets({node.key}))}
    return {
        "group": node.group_name,
        "kinds": sorted(node.kinds),
        "engine": node.code_version != __version__,
        "fresh": _freshness(node.freshness_policy),
        "condition": None if node.automation_condition is None else node.automation_condition.get_label(),
        "partitions": None if node.partitions_def is None else str(node.partitions_def),
        "deps": {
            parent.to_user_string(): _mapping(node.partition_mappings.get(parent))
            for parent in sorted(node.parent_keys, key=lambda key: key.to_user_string())
        },
        "checks": {name: "blocking" if spec.blocking else "warning" for name, spec in sorted(checks.items())},
    }


def _freshness(policy: Any) -> str | None:
    if policy is None:
        return None
    if hasattr(policy, "deadline_cron"):
        return f"by {policy.deadline_cron}, not before {policy.lower_bound_delta} of it"
    return f"warns after {policy.warn_window.to_timedelta()}, fails after {policy.fail_window.to_timedelta()}"


def _mapping(mapping: Any) -> str:
    """The mapping in words that do not depend on how Dagster prints it."""
    if mapping is None:
        return "same partition"
    if isinstance(mapping, dg.TimeWindowPartitionMapping):
        return f"days {mapping.start_offset}..{mapping.end_offset}, none before the first"
    if isinstance(mapping, dg.MultiPartitionMapping):
        own = mapping.downstream_mappings_by_upstream_dimension
        return ", ".join(f"{name}: {_mapping(own[name].partition_mapping)}" for name in sorted(own))
    if isinstance(mapping, dg.AllPartitionMapping):
        return "every partition"
    return "same day" if isinstance(mapping, dg.MultiToSingleDimensionPartitionMapping) else "same partition"


def _job(job: dg.JobDefinition) -> dict[str, Any]:
    assets = job.asset_layer.executable_asset_keys
    return {
        "assets": sorted(key.to_user_string() for key in assets),
        "checks": len(job.asset_layer.asset_graph.asset_check_keys),
        "max_runtime_seconds": job.run_tags.get("dagster/max_runtime") or job.tags.get("dagster/max_runtime"),
    }


def _sensor(sensor: Any) -> dict[str, Any]:
    return {
        "jobs": sorted(target.job_name for target in sensor.targets),
        "minimum_interval_seconds": sensor.minimum_interval_seconds,
        "default": sensor.default_status.value,
    }
