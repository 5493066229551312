"""Killed at random moments from the first one on, started twice at once: the ledger is that of an undisturbed run.

The store is empty at first, and so is Dagster's instance.

`ACCEPTANCE_STORMS=60 pytest tests/acceptance/test_exactly_once.py` runs sixty; a few run each time.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from markets import storm_scene
from scenes import Scene

from openclaw_pipelines.services.evaluation.verifying import recorded_days, verify_strategy

DAYS = int(os.environ.get("ACCEPTANCE_DAYS", "1"))
KILLS = int(os.environ.get("ACCEPTANCE_KILLS", "8"))
STORMS = int(os.environ.get("ACCEPTANCE_STORMS", "3"))
HOURS = timedelta(hours=1)
LOCKS = ("market.duckdb.lock", "ledger.duckdb.lock", "locks/paper.momentum_1h.lock", "locks/paper.breakout_15m.lock")
Process = subprocess.Popen[bytes]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400 * DAYS)]


def test_killed_and_doubled_tickers_end_like_an_undisturbed_one(make_scene: Callable[[str, str, int], Scene]) -> None:
    undisturbed, disturbed = make_scene("simulated", "undisturbed", DAYS), make_scene("simulated", "disturbed", DAYS)
    undisturbed.tick_through()
    moments = random.Random(20250510)
    for _ in range(KILLS):
        process = disturbed.ticker()
        time.sleep(moments.uniform(4, 14))  # at first while the history loads
        _kill(process)
    both = [disturbed.ticker(), disturbed.ticker()]
    assert [process.wait() for process in both] == [0, 0], _log(disturbed)
    assert disturbed.hashes() == undisturbed.hashes()
    assert "Traceback" not in _log(disturbed)


@pytest.fixture(scope="module")
def calm_hashes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the few hours in which nothing happens."""
    scene = storm_scene(tmp_path_factory.mktemp("calm"), "calm")
    assert scene.ticker(scene.begin + HOURS).wait() == 0, _log(scene)
    return scene.hashes()


@pytest.mark.parametrize("storm", range(STORMS))
def test_storms(storm: int, make_scene: Callable[[str, str, int], Scene], calm_hashes: dict[str, str]) -> None:
    """From an empty store: one or two tickers, of which one or both die at a moment or while they hold a lock."""
    scene, chance = make_scene("storm", f"storm{storm}", 1), random.Random(storm)
    until = scene.begin + HOURS
    for _ in range(chance.randint(2, 3)):
        running = [scene.ticker(until) for _ in range(chance.randint(1, 2))]
        if chance.random() < 0.5:
            _wait_for_a_lock(scene, running[0], chance.randint(1, 12))
        else:
            time.sleep(chance.uniform(2, 14))
        for process in running if chance.random() < 0.7 else running[:1]:
            _kill(process)
    last = [scene.ticker(until), scene.ticker(until)]
    ended = [process.wait() for process in scene.processes][-len(last) :]
    assert ended == [0, 0], _log(scene)
    assert scene.hashes() == calm_hashes
    world = scene.world()
    for name in scene.strategies:
        assert verify_strategy(world, name, recorded_days(world, name, None, None)).differences == []


def _wait_for_a_lock(scene: Scene, process: Process, times: int) -> None:
    """Until the process has been seen to take locks so often and holds one, has ended, or a minute has passed."""
    held: str | None = None
    deadline = time.monotonic() + 60
    while times and process.poll() is None and time.monotonic() < deadline:
        before, held = held, _lock_of(scene, process.pid)
        times -= held is not None and held != before
        time.sleep(0.001)


def _lock_of(scene: Scene, pid: int) -> str | None:
    """The first lock that names the process as its holder."""
    for name in LOCKS:
        file = scene.folder / "data" / name
        if file.exists() and file.read_text() == str(pid):
            return name
    return None


def _kill(process: Process) -> None:
    process.kill()
    process.wait()


def _log(scene: Scene) -> str:
    return (scene.folder / "ticker.log").read_text()[-3000:]
