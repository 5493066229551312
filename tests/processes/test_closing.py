"""A ticker that lives alone closes what it lived: checks, outcomes, metrics, report, review."""

from datetime import timedelta

import dagster as dg
import polars as pl
import pytest
from clocks import Present
from dagster_scene import DAY_ONE, DAY_TWO, MOMENTUM, Scene, failure

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.processes.closing import Closing
from openclaw_pipelines.processes.resident import ClosingFailedError, attempted, replay
from openclaw_pipelines.processes.ticker import Ticked, Ticker

MIDNIGHT = day_start(DAY_TWO)


@pytest.fixture
def eve(new_scene) -> Scene:
    """The first day, lived to its last hour by one strategy."""
    scene: Scene = new_scene()
    scene.configure(lambda tree: tree["strategies"].pop("breakout_15m"))
    scene.clock.set(MIDNIGHT - timedelta(hours=1))
    done = scene.run("autopilot_live", f"{DAY_ONE}|{MOMENTUM}")
    assert done.success, failure(done)
    assert len(scene.ticks(MOMENTUM)) == 23
    return scene


def ran(scene: Scene) -> list[tuple[str, str | None]]:
    """Jobs and partitions of the ticker's runs, oldest first."""
    runs = scene.instance.get_runs(dg.RunsFilter(tags={"openclaw/ticker": ticker_tag(scene)}))
    return [(run.job_name, run.tags.get("dagster/partition")) for run in reversed(runs)]


def ticker_tag(scene: Scene) -> str:
    return Ticker(scene.world, scene.instance)._tags["openclaw/ticker"]


def test_a_day_lived_on_a_replayed_clock_is_closed(eve: Scene) -> None:
    ticker = Ticker(eve.world, eve.instance)
    replay(ticker, eve.clock, eve.clock.now(), MIDNIGHT, lambda ticked: None, Closing(ticker, hourly=False))
    closed = [step for step in ran(eve) if step[0] != "market_live"]
    assert closed == [
        ("autopilot_live", f"{DAY_ONE}|{MOMENTUM}"),
        ("market_day", DAY_ONE),
        ("autopilot_cycle_job", f"{DAY_ONE}|{MOMENTUM}"),
        ("evaluation", f"{DAY_ONE}|{MOMENTUM}"),
        ("report", DAY_ONE),
        ("lifecycle", DAY_ONE),
    ]
    metrics = eve.rows("autopilot_metrics", MOMENTUM).filter(pl.col("day") == DAY_ONE)
    named = dict(metrics.filter(pl.col("scope") == "to_date").select("name", "value").iter_rows())
    equity = eve.rows("autopilot_equity", MOMENTUM).sort("tick_at")
    assert named["pnl"] == pytest.approx(float(equity["equity"][-1] - equity["equity"][0]))
    assert named["max_drawdown"] is not None
    assert eve.rows("autopilot_outcomes", MOMENTUM).height > 0
    assert (eve.folder / "data" / "reports" / f"{DAY_ONE}.html").is_file()


def test_checks_of_the_closed_day_are_on_its_page(eve: Scene) -> None:
    ticker = Ticker(eve.world, eve.instance)
    replay(ticker, eve.clock, eve.clock.now(), MIDNIGHT, lambda ticked: None, Closing(ticker, hourly=False))
    key = dg.AssetCheckKey(dg.AssetKey("equity"), "risk_limits_held")
    [summary] = eve.instance.event_log_storage.get_asset_check_summary_records([key]).values()
    assert summary.last_check_execution_record is not None
    assert summary.last_check_execution_record.event.dagster_event.asset_check_evaluation_data.passed


def test_on_the_real_clock_a_step_at_a_time_and_each_once(eve: Scene) -> None:
    world = eve.world.__class__(
        eve.world.settings, eve.world.store, eve.world.market, Present(MIDNIGHT), eve.world.executor
    )
    ticker = Ticker(world, eve.instance)
    closing = Closing(ticker, hourly=True)
    seen = []
    for second in range(12):
        world.clock.at = MIDNIGHT + timedelta(seconds=5 + second)
        before = len(ran(eve))
        ticked = attempted(ticker, world.clock.now(), closing)
        assert not ticked.failures
        seen.append([job for job, _ in ran(eve)[before:] if job != "market_live"])
    assert seen[0] == ["autopilot_live"]  # the tick goes first
    assert [job for own in seen[1:] for job in own] == [
        "market_day", "autopilot_cycle_job", "evaluation", "report", "lifecycle",
        "evaluation", "evaluation", "report", "report",
    ]  # fmt: skip
    assert all(len(own) <= 1 for own in seen)
    world.clock.at = MIDNIGHT + timedelta(minutes=59)
    assert not attempted(ticker, world.clock.now(), closing).failures
    assert ran(eve)[-1][0] in ("market_live", "report")


def test_a_day_is_not_closed_before_its_last_tick(eve: Scene) -> None:
    ticker, ticked = Ticker(eve.world, eve.instance), Ticked(MIDNIGHT)
    ticker.lived.add(DAY_ONE)
    eve.clock.set(MIDNIGHT)
    Closing(ticker, hourly=False).close(MIDNIGHT, ticked)
    assert ran(eve) == []


def test_nor_while_a_strategy_spares_the_others(eve: Scene) -> None:
    """Within its jitter the last tick is not due, and not taken either."""
    eve.configure(lambda tree: tree["strategies"][MOMENTUM].update(jitter_seconds=600))
    ticker, now = Ticker(eve.world, eve.instance), MIDNIGHT + timedelta(seconds=1)
    eve.clock.set(now)
    ticker.jittered = True
    assert ticker._due([MOMENTUM], now) == []
    assert not ticker.taken_until(MOMENTUM, MIDNIGHT, now)


def test_days_that_were_caught_up_with_are_closed_too(eve: Scene) -> None:
    """After an outage: the first day is two midnights back."""
    ticker, now = Ticker(eve.world, eve.instance), MIDNIGHT + DAY + timedelta(hours=1)
    eve.clock.set(now)
    assert ticker.tick(now).failures == []
    assert ticker.lived >= {DAY_ONE, DAY_TWO}
    wanted = [(step.job, step.partition) for step in Closing(ticker, hourly=True)._wanted(now)]
    for day in (DAY_ONE, DAY_TWO):
        assert ("autopilot_cycle_job", f"{day}|{MOMENTUM}") in wanted
        assert ("report", day) in wanted


def planted(scene: Scene) -> None:
    scene.sql("ledger", "UPDATE autopilot_equity SET cash = cash + 1 WHERE tick_at = '2025-05-10 12:00:00Z'")


def test_a_step_that_fails_is_tried_again_after_a_while(eve: Scene) -> None:
    ticker = Ticker(eve.world, eve.instance)
    replay(ticker, eve.clock, eve.clock.now(), MIDNIGHT, lambda ticked: None)
    planted(eve)
    closing, counts = Closing(ticker, hourly=True), []
    for second in (0, 1, 2, 3, 3_602):
        ticked = Ticked(MIDNIGHT + timedelta(seconds=second))
        closing.close(ticked.at, ticked)
        counts.append([failed.job for failed in ticked.failures])
    assert counts == [[], ["autopilot_cycle_job"], [], [], ["autopilot_cycle_job"]]


def test_a_red_check_ends_a_replay_after_its_last_tick(eve: Scene) -> None:
    planted(eve)
    ticker, until = Ticker(eve.world, eve.instance), MIDNIGHT + timedelta(hours=2)
    closing = Closing(ticker, hourly=False)
    with pytest.raises(ClosingFailedError, match=r"every tick is taken, but autopilot_cycle_job for 2025-05-10\|mom"):
        replay(ticker, eve.clock, eve.clock.now(), until, lambda ticked: None, closing)
    assert eve.ticks(MOMENTUM)[-1] == until
    assert ("report", DAY_ONE) in ran(eve)
