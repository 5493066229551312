"""A deployed candidate runs through Dagster with no further hand, is replayed, reviewed and reported."""

import dagster as dg
import pytest
from dagster_scene import BREAKOUT, DAY_ONE, MOMENTUM, Scene, failure, materialized
from planted_cycle import CYCLE, EARNING, HOLDOUT_END, PLANTED, TODAY, candidate, plant

from openclaw_pipelines.assets.lifecycle import know_strategies
from openclaw_pipelines.assets.partitions import STRATEGIES
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.sensors.schedules import review_each_day
from openclaw_pipelines.sensors.strategies import strategy_ticks
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.services.lifecycle.deploy import deploy_cycle


@pytest.fixture
def scene(new_scene) -> tuple[Scene, str]:
    """A scene in which a cycle put one strategy on paper."""
    made: Scene = new_scene()
    plant(made.world, [("growth", candidate("breakout", **EARNING))])
    (own,) = deploy_cycle(made.world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END)
    return made, own.origin.strategy


def test_sensor_cycle_checks_and_review(scene: tuple[Scene, str]) -> None:
    made, name = scene
    made.clock.set(day_start(DAY_ONE).replace(hour=1))
    with dg.build_sensor_context(instance=made.instance, resources={"world": made.world}) as context:
        asked = strategy_ticks(context)
    assert asked.dynamic_partitions_requests[0].partition_keys == [name]
    assert f"{DAY_ONE}|{name}" in {str(one.partition_key) for one in asked.run_requests}
    assert know_strategies(made.instance, made.world) == [name]
    assert know_strategies(made.instance, made.world) == []
    assert set(made.instance.get_dynamic_partitions(STRATEGIES)) == {BREAKOUT, MOMENTUM, name}

    made.clock.set(day_start("2025-06-01"))
    day = made.run("autopilot_cycle_job", f"{DAY_ONE}|{name}")
    assert day.success, failure(day)
    found = {own.check_name: own for own in day.get_asset_check_evaluations()}
    assert found["paper_replay_parity"].passed
    assert found["paper_replay_parity"].metadata["verdict"].value == "EQUAL"
    assert len(made.ticks(name)) == 24
    for job, key in (("evaluation", f"{DAY_ONE}|{name}"), ("report", DAY_ONE)):
        done = made.run(job, key)
        assert done.success, failure(done)
    page = (made.world.settings().data_dir / "reports" / f"{DAY_ONE}.html").read_text(encoding="utf-8")
    assert name in page

    review = made.run("lifecycle", DAY_ONE)
    assert review.success, failure(review)
    shown = materialized(review)["lifecycle_reviews", DAY_ONE]
    assert (shown["judged"], shown["moves"]) == (1, "no rows")
    assert f"| {name} | paper_replay_parity | 0 |" in shown["rules"]
    assert {own.check_name: own.passed for own in review.get_asset_check_evaluations()} == {
        "deployment_log_whole": True,
        "deployments_configured": True,
    }


def test_a_day_that_does_not_replay_fails_its_run_and_pauses_its_strategy(scene: tuple[Scene, str]) -> None:
    made, name = scene
    know_strategies(made.instance, made.world)
    assert made.run("autopilot_cycle_job", f"{DAY_ONE}|{name}").success
    made.sql("ledger", "UPDATE autopilot_fills SET price = price + 1 WHERE strategy_config_id = ?", [name])
    again = made.run("autopilot_cycle_job", f"{DAY_ONE}|{name}")
    failed = {own.check_name: own for own in again.get_asset_check_evaluations() if not own.passed}
    assert not again.success
    assert failed["paper_replay_parity"].severity is dg.AssetCheckSeverity.ERROR
    assert failed["paper_replay_parity"].metadata["finding"].value.startswith("STATE_MACHINE: ")
    assert made.run("lifecycle", DAY_ONE).success
    assert DeploymentBook(made.world).position(name).stage.value == "paused"
    assert made.world.settings().strategy(name).own.paused


def test_a_changed_log_blocks_the_review(scene: tuple[Scene, str]) -> None:
    made, _ = scene
    made.sql("research", "UPDATE deployments SET reason = 'other'")
    assert not made.run("lifecycle", DAY_ONE).success


def test_the_review_is_asked_for_once_a_day() -> None:
    at = day_start("2025-05-11").replace(minute=50)
    context = dg.build_schedule_context(scheduled_execution_time=at)
    request = review_each_day(context)
    assert (request.partition_key, request.run_key) == (DAY_ONE, DAY_ONE)
