"""Checks of the ledger: they pass on what was recorded, and each fails on the defect it is there for."""

import dagster as dg
import pytest
from dagster_scene import DAY_ONE, DAY_TWO, MOMENTUM, Lived, Scene, failure

from openclaw_pipelines.services.trading.examination import LEDGER_CHECKS

KEY = f"{DAY_ONE}|{MOMENTUM}"


def test_every_check_has_a_result_for_every_day_and_strategy(lived: Lived) -> None:
    found = {(own.check_name, own.partition) for own in lived.cycle.get_asset_check_evaluations()}
    days = {f"{day}|{strategy}" for day in (DAY_ONE, DAY_TWO) for strategy in ("breakout_15m", MOMENTUM)}
    checks = [*LEDGER_CHECKS, "paper_replay_parity"]
    assert found == {(name, key) for name in checks for key in [*days, None]}
    assert all(own.passed for own in lived.cycle.get_asset_check_evaluations())


@pytest.mark.parametrize(
    ("statement", "check", "severity"),
    [
        pytest.param(None, None, None, id="twin"),
        pytest.param(
            "UPDATE autopilot_equity SET cash = cash + 1 WHERE hour(tick_at) = 7",
            "recorded_ticks_replay",
            dg.AssetCheckSeverity.ERROR,
            id="a-row-was-changed",
        ),
        pytest.param(
            "UPDATE reconcile_events SET passed = false",
            "books_reconcile",
            dg.AssetCheckSeverity.ERROR,
            id="books-do-not-agree",
        ),
        pytest.param(
            "INSERT INTO autopilot_orders SELECT * FROM autopilot_orders LIMIT 1",
            "keys_unique",
            dg.AssetCheckSeverity.ERROR,
            id="an-order-is-stored-twice",
        ),
        pytest.param(
            "UPDATE autopilot_universe_snapshots SET selected = '[]'",
            "entries_possible",
            dg.AssetCheckSeverity.WARN,
            id="nothing-may-be-entered",
        ),
    ],
)
def test_each_check_fails_on_its_own_defect(new_scene, statement, check, severity) -> None:
    scene: Scene = new_scene()
    first = scene.run("autopilot_cycle_job", KEY)
    assert first.success, failure(first)
    if statement is not None:
        scene.sql("ledger", statement)
    again = scene.run("autopilot_cycle_job", KEY)
    failed = {own.check_name: own for own in again.get_asset_check_evaluations() if not own.passed}
    assert again.success is (severity is not dg.AssetCheckSeverity.ERROR)
    if check is None:
        assert failed == {}
        return
    assert failed[check].severity is severity
    assert failed[check].partition == KEY
    assert str(failed[check].metadata["finding"].value)


def test_a_day_that_goes_on_is_incomplete_and_says_how_far_it_is(new_scene) -> None:
    from datetime import timedelta

    from openclaw_pipelines.contracts.time import day_start

    scene: Scene = new_scene()
    scene.clock.set(day_start(DAY_ONE) + timedelta(hours=6))
    assert scene.run("autopilot_live", KEY, tags={"openclaw/live": "true"}).success
    scene.clock.set(day_start(DAY_ONE) + timedelta(hours=8))
    from openclaw_pipelines.services.trading.examination import examine_ledger
    from openclaw_pipelines.services.trading.verification import verify_day

    complete = next(
        r
        for r in examine_ledger(scene.world, verify_day(scene.world.ledger(MOMENTUM), DAY_ONE))
        if r.name == "day_complete"
    )
    assert not complete.passed
    assert complete.severity == "warning"
    assert complete.facts == {"recorded": 6, "expected": 8}
