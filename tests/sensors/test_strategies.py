"""The sensors against a real store: what they start, in which order after an outage, and which alerts they raise."""

import json
from datetime import timedelta

import dagster as dg
from dagster_scene import BREAKOUT, DAY_ONE, DAY_TWO, LONG_AFTER, MOMENTUM, Scene, failure

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.sensors.strategies import failed_runs, operator_alerts, strategy_ticks

ONE_AM = day_start(DAY_ONE) + timedelta(hours=1)


def evaluate(scene: Scene, cursor: str | None = None, instance: dg.DagsterInstance | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(
        instance=instance or scene.instance, cursor=cursor, resources={"world": scene.world}
    ) as context:
        return strategy_ticks(context)


def started(result: dg.SensorResult) -> list[tuple[str, str]]:
    return [
        (
            one.job_name,
            str(
                one.partition_key
                or f"{one.tags['dagster/asset_partition_range_start']}..{one.tags['dagster/asset_partition_range_end']}"
            ),
        )
        for one in result.run_requests
    ]


def perform(scene: Scene, result: dg.SensorResult) -> None:
    """What the daemon does with the requests."""
    for one in result.run_requests:
        first, last = (one.tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
        done = scene.run(one.job_name, first or str(one.partition_key), last=last, tags=one.tags)
        assert done.success, failure(done)


def test_unknown_strategies_become_partitions(new_scene) -> None:
    scene: Scene = new_scene()
    scene.clock.set(day_start(DAY_ONE))
    with dg.DagsterInstance.ephemeral() as empty:
        (request,) = evaluate(scene, instance=empty).dynamic_partitions_requests
        assert set(request.partition_keys) == {BREAKOUT, MOMENTUM}
    assert evaluate(scene).dynamic_partitions_requests == []


def test_a_due_strategy_is_asked_for_once_until_it_may_be_repeated(new_scene) -> None:
    scene: Scene = new_scene()
    scene.clock.set(ONE_AM)
    first = evaluate(scene)
    assert started(first) == [("autopilot_live", f"{DAY_ONE}|{BREAKOUT}"), ("autopilot_live", f"{DAY_ONE}|{MOMENTUM}")]
    assert [one.run_key for one in first.run_requests] == [
        f"{BREAKOUT}:20250510T0015Z:1",
        f"{MOMENTUM}:20250510T0100Z:1",
    ]
    scene.clock.set(ONE_AM + timedelta(seconds=5))
    second = evaluate(scene, first.cursor)
    assert second.run_requests == []
    scene.clock.set(ONE_AM + timedelta(seconds=125))
    assert [one.run_key for one in evaluate(scene, second.cursor).run_requests][1] == f"{MOMENTUM}:20250510T0100Z:2"


def test_a_strategy_waits_for_bars_that_nobody_asked_for_and_then_asks_itself(new_scene) -> None:
    scene: Scene = new_scene()
    day = "2025-05-12"
    done = scene.run("autopilot_cycle_job", f"{DAY_ONE}|{MOMENTUM}", last=f"{DAY_TWO}|{MOMENTUM}")
    assert done.success, failure(done)
    scene.configure(lambda tree: tree["strategies"].pop(BREAKOUT))
    closed = day_start(day) + timedelta(hours=1)
    scene.clock.set(closed + timedelta(seconds=1))
    assert evaluate(scene).run_requests == []  # the deadline for its bar has not passed
    scene.clock.set(closed + timedelta(seconds=61))
    asked = evaluate(scene)
    assert started(asked) == [("market_live", day)]
    perform(scene, asked)
    assert started(evaluate(scene, asked.cursor)) == [("autopilot_live", f"{day}|{MOMENTUM}")]


def test_after_an_outage_over_midnight_days_are_caught_up_in_order_and_equal_a_backfill(new_scene) -> None:
    backfilled: Scene = new_scene()
    scene: Scene = new_scene(market=False)
    for one in (scene, backfilled):
        one.configure(lambda tree: tree["strategies"].pop(BREAKOUT))
    done = backfilled.run("autopilot_cycle_job", f"{DAY_ONE}|{MOMENTUM}", last=f"{DAY_TWO}|{MOMENTUM}")
    assert done.success, failure(done)
    assert scene.run("instruments_refresh").success
    scene.clock.set(day_start(DAY_TWO) + timedelta(hours=5))
    cursor, seen = None, []
    for _ in range(6):
        result = evaluate(scene, cursor)
        cursor = result.cursor
        seen += started(result)
        perform(scene, result)
        scene.clock.set(scene.clock.now() + timedelta(seconds=5))
    assert seen == [
        ("market_day", "2025-05-08..2025-05-09"),
        ("market_day", DAY_ONE),
        ("autopilot_live", f"{DAY_ONE}|{MOMENTUM}"),
        ("market_live", DAY_TWO),
        ("autopilot_live", f"{DAY_TWO}|{MOMENTUM}"),
    ]
    end = day_start(DAY_TWO) + timedelta(hours=5)
    assert scene.ticks(MOMENTUM)[-1] == end
    assert scene.hash(MOMENTUM, end) == backfilled.hash(MOMENTUM, end)


def test_the_sensors_look_each_time_and_record_a_change_once(new_scene) -> None:
    scene: Scene = new_scene()
    scene.clock.set(ONE_AM)
    evaluate(scene)
    scene.configure(lambda tree: tree["strategies"][MOMENTUM].update(paused=True))
    for _ in range(2):
        evaluate(scene)
    rows = scene.rows("admin_actions", "@account").sort("sequence")
    assert list(rows.select("action", "subject", "from_state", "to_state", "actor").iter_rows())[1:] == [
        (
            "CONFIGURATION_CHANGED",
            "autopilot.yaml",
            f"strategies.{MOMENTUM}.paused false (default)",
            f"strategies.{MOMENTUM}.paused true (strategy:{MOMENTUM})",
            "autopilot.yaml",
        ),
        ("STRATEGY_PAUSED", MOMENTUM, "running", "paused", "autopilot.yaml"),
    ]


def test_alerts_are_raised_once_an_hour(new_scene) -> None:
    scene: Scene = new_scene()
    scene.clock.set(LONG_AFTER)

    def watch() -> str:
        with dg.build_sensor_context(instance=scene.instance, resources={"world": scene.world}) as context:
            return str(next(iter(operator_alerts(context))).skip_message)

    assert watch() == "3 new alert(s)"  # two strategies that stand still, and the market
    assert watch() == "0 new alert(s)"
    scene.clock.set(LONG_AFTER + timedelta(hours=1))
    assert watch() == "3 new alert(s)"
    kinds = scene.rows("notifications_outbox")["kind"].to_list()
    assert sorted(set(kinds)) == ["stale_market", "stalled_strategy"]
    assert len(kinds) == 6


def test_failed_runs_of_one_partition_are_one_alert_of_their_own(new_scene) -> None:
    scene: Scene = new_scene()
    for strategy in (MOMENTUM, MOMENTUM, BREAKOUT):
        done = scene.run("autopilot_cycle_job", f"{DAY_TWO}|{strategy}")  # before its predecessor
        assert not done.success
        with dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_event=done.get_run_failure_event(),
            dagster_instance=scene.instance,
            dagster_run=done.dagster_run,
            resources={"world": scene.world},
        ) as context:
            failed_runs(context.for_run_failure())
    rows = scene.rows("notifications_outbox").sort("subject").to_dicts()
    subjects = [f"autopilot_cycle_job for {DAY_TWO}|{strategy}" for strategy in sorted((MOMENTUM, BREAKOUT))]
    assert [(row["kind"], row["severity"], row["subject"]) for row in rows] == [
        ("failed_run", "error", subject) for subject in subjects
    ]
    assert all("autopilot_cycle_job" in row["message"] for row in rows)


def test_the_cursor_is_readable_by_the_next_evaluation(new_scene) -> None:
    scene: Scene = new_scene()
    scene.clock.set(ONE_AM)
    subjects = json.loads(evaluate(scene).cursor)
    assert set(subjects) == {BREAKOUT, MOMENTUM}
