"""Killed at random moments, started twice at once: the ledger is that of an undisturbed run."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest
from scenes import Scene

DAYS = int(os.environ.get("ACCEPTANCE_DAYS", "1"))
KILLS = int(os.environ.get("ACCEPTANCE_KILLS", "8"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400 * DAYS)]


def test_killed_and_doubled_tickers_end_like_an_undisturbed_one(make_scene: Callable[[str, str, int], Scene]) -> None:
    undisturbed, disturbed = make_scene("simulated", "undisturbed", DAYS), make_scene("simulated", "disturbed", DAYS)
    undisturbed.tick_through()
    moments = random.Random(20250510)
    first = disturbed.ticker()
    time.sleep(60)  # the history is loaded once, so that the kills hit ticks
    _kill(first)
    for _ in range(KILLS - 1):
        process = disturbed.ticker()
        time.sleep(moments.uniform(4, 14))
        _kill(process)
    both = [disturbed.ticker(), disturbed.ticker()]
    assert [process.wait() for process in both] == [0, 0], (disturbed.folder / "ticker.log").read_text()[-3000:]
    assert disturbed.hashes() == undisturbed.hashes()
    orphans = [line for line in (disturbed.folder / "ticker.log").read_text().splitlines() if "Traceback" in line]
    assert not orphans


def _kill(process: object) -> None:
    process.send_signal(signal.SIGKILL)  # type: ignore[attr-defined]
    process.wait()  # type: ignore[attr-defined]
