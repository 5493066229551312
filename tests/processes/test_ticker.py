"""The resident ticker: lives like a backfill, outlives errors, and cleans up after one that was killed."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from clocks import Present
from dagster_scene import BREAKOUT, DAY_ONE, DAY_TWO, MOMENTUM, Scene, environ_of_its_own, failure

from openclaw_pipelines.assets.run_tags import TICKER_TAG
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.processes.orphans import fail_orphans, process_tag
from openclaw_pipelines.processes.resident import attempted, replay, replayed_times, watch
from openclaw_pipelines.processes.ticker import Ticker

START = day_start(DAY_ONE)


def lived(scene: Scene, hours: float, *, ticker: Ticker | None = None) -> Ticker:
    """Live from the start of the first day for some hours."""
    own = ticker or Ticker(scene.world, scene.instance)
    scene.clock.set(START)
    own.start()
    replay(own, scene.clock, START, START + timedelta(hours=hours), lambda ticked: None)
    return own


@pytest.mark.slow
def test_lived_bar_by_bar_equals_one_backfill(new_scene) -> None:
    backfilled: Scene = new_scene()
    done = backfilled.run("autopilot_cycle_job", f"{DAY_ONE}|{BREAKOUT}", last=f"{DAY_ONE}|{MOMENTUM}")
    assert done.success, failure(done)
    scene: Scene = new_scene(market=False)
    lived(scene, 3)
    end = START + timedelta(hours=3)
    for strategy, ticks in ((BREAKOUT, 12), (MOMENTUM, 3)):
        assert len(scene.ticks(strategy)) == ticks
        assert scene.hash(strategy) == backfilled.hash(strategy, end)
    assert scene.hash(BREAKOUT) != backfilled.hash(BREAKOUT, end - timedelta(minutes=15))  # the hash tells


def test_ticks_after_midnight_go_to_the_next_day(new_scene) -> None:
    scene: Scene = new_scene()
    ticker = Ticker(scene.world, scene.instance, [MOMENTUM])
    night = day_start(DAY_TWO)
    scene.clock.set(night + timedelta(hours=1))
    ticked = ticker.tick(scene.clock.now())
    assert not ticked.failures
    assert ticked.strategies == [MOMENTUM, MOMENTUM]  # one run per day
    assert scene.ticks(MOMENTUM)[-1] == night + timedelta(hours=1)
    assert ticker.tick(scene.clock.now()).strategies == []


def test_a_ticker_alone_records_and_tells_what_is_changed_between_its_rounds(new_scene) -> None:
    scene: Scene = new_scene()
    ticker = Ticker(scene.world, scene.instance, [MOMENTUM])
    switch = scene.folder / "data" / "KILL_SWITCH"
    for minute, text in ((60, None), (61, "halt_all # an outage"), (62, "halt_all # an outage"), (63, None)):
        if text:
            switch.write_text(text)
        else:
            switch.unlink(missing_ok=True)
        scene.clock.set(START + timedelta(minutes=minute))
        assert not ticker.tick(scene.clock.now()).failures
    rows = scene.rows("admin_actions", "@account").sort("sequence")
    assert list(rows.select("subject", "from_state", "to_state", "recorded_at").iter_rows())[1:] == [
        ("kill-switch file", "off", "halt_all", START + timedelta(minutes=61)),
        ("kill-switch file", "halt_all", "off", START + timedelta(minutes=63)),
    ]
    told = scene.rows("notifications_outbox").sort("raised_at")
    assert list(told.select("kind", "severity", "dispatched").iter_rows()) == [
        ("kill_switch", "error", True),
        ("kill_switch", "info", True),
    ]
    assert len(scene.ticks(MOMENTUM)) == 1


def test_times_of_a_replay_are_the_closes_of_all_strategies(new_scene) -> None:
    scene: Scene = new_scene(market=False)
    times = list(replayed_times(scene.world, [BREAKOUT, MOMENTUM], START, START + timedelta(hours=1)))
    assert [f"{at:%H:%M}" for at in times] == ["00:15", "00:30", "00:45", "01:00"]
    only = list(replayed_times(scene.world, [MOMENTUM], START, START + timedelta(hours=2)))
    assert [f"{at:%H:%M}" for at in only] == ["01:00", "02:00"]
    assert list(replayed_times(scene.world, [], START, START + timedelta(hours=2))) == []


def test_jitter_spares_nobody_on_a_replayed_clock(new_scene) -> None:
    scene: Scene = new_scene()
    scene.configure(lambda tree: tree["strategies"][MOMENTUM].update(jitter_seconds=600))
    ticker = Ticker(scene.world, scene.instance, [MOMENTUM])
    lived(scene, 1, ticker=ticker)
    assert len(scene.ticks(MOMENTUM)) == 1


def test_strategies_switched_off_are_left_alone_and_new_ones_become_partitions(new_scene) -> None:
    scene: Scene = new_scene()
    scene.configure(lambda tree: tree["strategies"][BREAKOUT].update(enabled=False))
    ticker = Ticker(scene.world, scene.instance)
    assert ticker.strategies == (MOMENTUM,)

    def add(tree) -> None:
        tree["strategies"]["young"] = {**tree["strategies"][MOMENTUM]}

    scene.configure(add)
    scene.clock.set(START + timedelta(hours=1))
    ticked = ticker.tick(scene.clock.now())
    assert not ticked.failures
    assert set(ticked.strategies) == {MOMENTUM, "young"}
    assert "young" in scene.instance.get_dynamic_partitions("strategies")


def test_a_failing_run_is_tried_again_only_after_a_while(new_scene) -> None:
    scene: Scene = new_scene()
    scene.sql("market", "DELETE FROM instruments")
    ticker = Ticker(scene.world, scene.instance, [MOMENTUM])
    counts = []
    for second in (0, 1, 2, 121):
        now = START + timedelta(hours=1, seconds=second)
        scene.clock.set(now)
        counts.append(len(ticker.tick(now).failures))
    assert counts == [1, 0, 0, 1]


def test_an_unreadable_configuration_is_a_failure_and_an_alert_and_ends_nothing(new_scene) -> None:
    scene: Scene = new_scene()
    ticker = Ticker(scene.world, scene.instance)
    now = START + timedelta(hours=1)
    scene.clock.set(now)
    scene.configure(lambda tree: tree.update(kil_switch="off"))
    ticked = attempted(ticker, now)
    assert [failed.job for failed in ticked.failures] == ["ticker"]
    assert "kil_switch" in ticked.failures[0].cause
    assert [failed.job for failed in watch(ticker, ticked, now)] == ["alerts"]  # no settings, no account to alert
    scene.configure(lambda tree: tree.pop("kil_switch"))
    assert watch(ticker, ticked, now) == []
    kinds = scene.rows("notifications_outbox")["kind"].to_list()
    assert "failed_run" in kinds
    assert attempted(ticker, now).strategies == [BREAKOUT, MOMENTUM]


def test_a_wrong_clock_is_a_failure_by_name_until_it_is_set(new_scene) -> None:
    """Each time the source is asked again, so that ticks go on by themselves."""
    scene: Scene = new_scene()
    now = START + timedelta(hours=1)
    scene.world.clock = Present(now)
    ahead, asked = 21_600, []

    class Telling(type(scene.world.market)):
        def served_at(self) -> datetime:
            asked.append(ahead)
            return now - timedelta(seconds=ahead)

    scene.world.market.__class__ = Telling
    scene.sql("market", "DELETE FROM candle_coverage WHERE day = ?", [DAY_ONE])
    ticker = Ticker(scene.world, scene.instance, [MOMENTUM])
    ticked = attempted(ticker, now)
    assert (ticked.strategies, [failed.job for failed in ticked.failures]) == ([], ["ticker"])
    assert ticked.failures[0].cause.startswith("ClockSkewError: the local clock is 21,599 s ahead of simulated")
    assert watch(ticker, ticked, now) == []
    assert "clock_skew" in scene.rows("notifications_outbox")["kind"].to_list()
    ahead = 0
    scene.world.clock.at = now + timedelta(seconds=6)
    assert attempted(ticker, now + timedelta(seconds=6)).strategies == [MOMENTUM]
    assert scene.ticks(MOMENTUM) == [now]
    assert set(asked) == {21_600, 0}


def test_process_tags_tell_processes_apart() -> None:
    own = process_tag(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        living = process_tag(child.pid)
        assert living not in (own, process_tag(os.getpid() + 10_000_000))
    finally:
        child.communicate(b"\n")
    assert process_tag(child.pid) != living
    assert process_tag(os.getpid()) == own


KILLED = """
import os, sys, dagster as dg
from openclaw_pipelines.processes import resident, ticker
ticker.Ticker.tick = lambda self, now: (
    self.instance.create_run_for_job(
        self._jobs["autopilot_live"], tags=self._tags, status=dg.DagsterRunStatus.STARTED
    ),
    print("ticking", flush=True),
    __import__("time").sleep(600),
)
from datetime import datetime, UTC
resident.main(clock="replayed", start=datetime(2025, 5, 10, tzinfo=UTC), end=datetime(2025, 5, 10, 1, tzinfo=UTC))
"""


def test_runs_of_a_killed_ticker_are_failed_and_those_of_a_living_one_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = environ_of_its_own(tmp_path / "own")
    monkeypatch.setenv("DAGSTER_HOME", environ["DAGSTER_HOME"])
    child = subprocess.Popen([sys.executable, "-c", KILLED], env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert any(line.strip() == "ticking" for line in child.stdout)
        with dg.DagsterInstance.get() as instance:
            (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
            assert run.tags[TICKER_TAG] == process_tag(child.pid)
            assert fail_orphans(instance) == 0  # its ticker lives
            child.send_signal(signal.SIGKILL)
            child.wait(10)
            assert fail_orphans(instance) == 1
            known = instance.get_run_by_id(run.run_id)
            assert known is not None
            assert known.status is dg.DagsterRunStatus.FAILURE
            assert fail_orphans(instance) == 0
    finally:
        child.kill()
        child.wait(10)


@pytest.mark.slow
def test_two_tickers_at_once_write_what_one_writes(tmp_path: Path, new_scene, monkeypatch: pytest.MonkeyPatch) -> None:
    one: Scene = new_scene()
    lived(one, 2)
    folder = tmp_path / "two"
    environ = environ_of_its_own(folder)
    program = [str(Path(sys.executable).with_name("openclaw")), "ticker", "--clock", "replayed"]
    program += ["--from", f"{DAY_ONE}T00:00:00Z", "--to", f"{DAY_ONE}T02:00:00Z"]
    monkeypatch.setenv("DAGSTER_HOME", environ["DAGSTER_HOME"])
    with dg.DagsterInstance.get():
        pass  # the instance's tables are made once, before two processes meet
    both = [subprocess.Popen(program, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    deadline = time.monotonic() + 240
    ends = [process.communicate(timeout=max(1, deadline - time.monotonic())) for process in both]
    assert [process.returncode for process in both] == [0, 0], [end[1][-2000:] for end in ends]
    from dagster_scene import open_scene

    with dg.DagsterInstance.ephemeral() as instance:
        two = open_scene(folder, instance)
        assert [two.hash(name) for name in (BREAKOUT, MOMENTUM)] == [one.hash(name) for name in (BREAKOUT, MOMENTUM)]
