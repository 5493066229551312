"""The factory's assets in Dagster: partitions, blocking checks, the command's runner, and shards on two processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster_scene import environment
from factory_scene import RECIPE, FactoryScene, factory_scene

from openclaw_pipelines import jobs
from openclaw_pipelines.assets.factory import CYCLES
from openclaw_pipelines.domain.factory.search import SHARD_KEYS
from openclaw_pipelines.processes.factory_run import CycleBlockedError, Outcome, outcome, run_cycle

CHECKS = (
    "parameters_unchanged", "candidates_found", "shards_logged", "replays_logged", "parity_equal", "parity_fresh",
    "reports_logged", "gates_passed", "gates_logged",
)  # fmt: skip
"""Checks of all that stands before a deployment."""


@pytest.fixture(scope="module")
def edge(tmp_path_factory) -> tuple[FactoryScene, dg.DagsterInstance, Outcome]:
    """A cycle that ran to its end on a market with an edge."""
    scene = factory_scene(tmp_path_factory.mktemp("assets") / "edge", drift=0.2)
    return scene, *_ran(scene)


def _ran(scene: FactoryScene) -> tuple[dg.DagsterInstance, Outcome]:
    instance = dg.DagsterInstance.ephemeral()
    with environment(scene.folder):
        return instance, run_cycle(scene.world, instance)


def _checks(instance: dg.DagsterInstance, cycle_id: str) -> dict[str, bool]:
    """The newest evaluation of every check of a cycle."""
    found: dict[str, bool] = {}
    for record in instance.get_event_records(dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION)):
        event = record.event_log_entry.dagster_event
        own = event.event_specific_data
        if own.partition in (None, cycle_id):
            found.setdefault(own.check_name, own.passed)
    return found


def test_a_cycle_with_an_edge_materializes_everything_and_deploys(edge) -> None:
    _, instance, done = edge
    assert (done.state, done.blocked_by) == ("deployed", None)
    done.require_selection()
    assert instance.get_dynamic_partitions(CYCLES) == [done.cycle_id]
    for asset in jobs.FACTORY_ASSETS:
        assert instance.get_materialized_partitions(dg.AssetKey(asset)) == {done.cycle_id}, asset
    assert instance.get_materialized_partitions(dg.AssetKey("sweep_results")) == {
        f"{done.cycle_id}|{shard}" for shard in SHARD_KEYS
    }
    assert [row["to_state"] for row in done.deployed][-1] == "paper"


def test_every_check_ran_and_passed(edge) -> None:
    _, instance, done = edge
    assert _checks(instance, done.cycle_id) == dict.fromkeys((*CHECKS, "deployment_logged"), True)


def test_a_shard_shows_its_rate_its_hash_and_its_best_rows(edge) -> None:
    scene, instance, done = edge
    records = instance.get_event_records(
        dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION, asset_key=dg.AssetKey("sweep_results"))
    )
    own = records[0].event_log_entry.dagster_event.step_materialization_data.materialization
    shard = scene.rows("sweep_shards").filter(scene.rows("sweep_shards")["shard"] == own.partition.split("|")[1])
    assert own.metadata["content_hash"].value == shard["content_hash"][0]
    assert own.metadata["rows_x_bars_x_symbols_per_second"].value == shard["rate"][0]
    assert own.metadata["dagster/partition_row_count"].value == shard["row_count"][0]
    assert "sharpe_day" in own.metadata["best_rows"].value
    assert done.rows == sum(scene.rows("trial_counts")["trials"])


@pytest.mark.slow
def test_doing_it_again_is_the_same_cycle_and_deploys_nothing_new(edge) -> None:
    scene, instance, done = edge
    before = scene.rows("deployments").height
    with environment(scene.folder):
        again = run_cycle(scene.world, instance, cycle_id=done.cycle_id)
    assert (again.cycle_id, again.sweep_hash, again.state) == (done.cycle_id, done.sweep_hash, "deployed")
    assert scene.rows("deployments").height == before


@pytest.mark.slow
def test_a_blocked_cycle_stops_at_its_check_and_deploys_nothing(tmp_path) -> None:
    scene = factory_scene(tmp_path / "walk", drift=0.2, rows=8)
    scene.configure(lambda tree: tree["gates"].update(least_trades=5_000))
    instance, done = _ran(scene)
    assert (done.state, done.blocked_by) == ("blocked", "holdout_trades")
    with pytest.raises(CycleBlockedError, match=r"blocked by holdout_trades.*Nothing was deployed"):
        done.require_selection()
    assert _checks(instance, done.cycle_id) == {**dict.fromkeys(CHECKS, True), "gates_passed": False}
    assert instance.get_materialized_partitions(dg.AssetKey("deployments")) == set()
    assert scene.rows("deployments").is_empty()
    assert outcome(scene.world, done.cycle_id).blocked


_ON_TWO_PROCESSES = """
import sys
import dagster as dg
from openclaw_pipelines.processes import spread_shards as spread
if __name__ == "__main__":
    cluster = {"local": {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}}
    config = {"execution": {"config": {"cluster": cluster}}} if sys.argv[1] == "on_dask" else None
    instance = dg.DagsterInstance.from_config(sys.argv[2])
    job = dg.reconstructable(getattr(spread, sys.argv[1]))
    done = dg.execute_job(job, instance=instance, tags={"dagster/partition": sys.argv[3]}, run_config=config)
    sys.exit(0 if done.success else 1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["on_dask", "on_processes"])
def test_shards_on_two_processes_find_what_one_process_finds(edge, tmp_path, monkeypatch, executor) -> None:
    if executor == "on_dask":
        pytest.importorskip("dagster_dask")
    _, _, done = edge
    scene = factory_scene(tmp_path / "spread", drift=0.2)
    home = tmp_path / "dagster"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))  # its dagster.yaml asks for it
    shutil.copy(Path(__file__).parents[2] / "config" / "dagster.yaml", home / "dagster.yaml")
    cycle_id = scene.begun().cycle_id
    assert cycle_id == done.cycle_id
    script = tmp_path / "spread.py"
    script.write_text(_ON_TWO_PROCESSES, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_"))}
    environ |= {"OPENCLAW_CONFIG": str(scene.folder / "autopilot.yaml"), "DAGSTER_HOME": str(home)}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions(CYCLES, [cycle_id])
        command = [sys.executable, str(script), executor, str(home), cycle_id]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=280, check=False)
        assert ran.returncode == 0, ran.stderr[-3000:]
        records = instance.get_event_records(
            dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION, asset_key=dg.AssetKey("sweep_results"))
        )
    made = [own.event_log_entry.dagster_event.step_materialization_data.materialization for own in records]
    assert {own.partition for own in made} == {f"{cycle_id}|{shard}" for shard in SHARD_KEYS}
    assert len({own.metadata["process"].value for own in made}) >= 2
    assert outcome(scene.world, cycle_id).sweep_hash == done.sweep_hash


def test_the_recipe_of_the_scene_is_the_first(edge) -> None:
    assert edge[2].recipe == RECIPE
