"""Real signals to a real ticker: one ends it after what is running, with 0; a second one at once. Nothing is lost."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster_scene import BREAKOUT, DAY_ONE, MOMENTUM, environ_of_its_own, open_scene

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.processes.stopping import Stop, undisturbed
from openclaw_pipelines.services.trading.verification import verify_day

TICKER = [
    str(Path(sys.executable).with_name("openclaw")), "ticker", "--clock", "replayed",
    "--from", f"{DAY_ONE}T00:00:00Z", "--to", "2025-05-14T00:00:00Z",
]  # fmt: skip
SECONDS = 120.0


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Of a ticker with a folder of its own."""
    return environ_of_its_own(tmp_path / "own") | {"PYTHONUNBUFFERED": "1"}


def lines(out: Iterator[str], wanted: str) -> list[str]:
    """Lines up to the one that holds the word."""
    read = []
    for line in out:
        read.append(line)
        if wanted in line:
            return read
    raise AssertionError(f"no {wanted!r} in {read[-5:]}")


def left_whole(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, strategies: Sequence[str] = (BREAKOUT, MOMENTUM)
) -> int:
    """Number of ticks of a ledger that verifies, beside an instance without failed or unfinished runs."""
    monkeypatch.setenv("DAGSTER_HOME", environ["DAGSTER_HOME"])
    with dg.DagsterInstance.get() as instance:
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
        scene = open_scene(Path(environ["OPENCLAW_CONFIG"]).parent, instance)
        ticks = 0
        for name in strategies:
            newest = scene.world.ledger(name).newest_tick()
            assert newest is not None
            days = int((newest - timedelta(microseconds=1) - day_start(DAY_ONE)) / timedelta(days=1)) + 1
            for n in range(days):
                verified = verify_day(scene.world.ledger(name), f"{day_start(DAY_ONE) + timedelta(days=n):%Y-%m-%d}")
                assert verified.differences == ()
                ticks += verified.ticks
    return ticks


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "supervisor"])
def test_one_signal_finishes_what_runs(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    with subprocess.Popen(TICKER, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ticker:
        assert ticker.stdout is not None
        lines(iter(ticker.stdout), "01:30")
        ticker.send_signal(number)
        out, err = ticker.communicate(timeout=SECONDS)
    assert ticker.returncode == 0, err
    assert "stopping after what is running" in err
    assert "Traceback" not in err
    assert "had something due" in out
    assert 6 < left_whole(environ, monkeypatch) < 400


WITHIN_A_RUN = """
import sys, time
from datetime import UTC, datetime
from openclaw_pipelines.assets import trading
from openclaw_pipelines.processes import resident, ticker
from openclaw_pipelines.processes.stopping import stopped_by_signals
taken = trading.handed_over
def slow(*args):
    print("within", flush=True)
    time.sleep(1)
    return taken(*args)
trading.handed_over = slow
if "twin" in sys.argv:
    ticker.undisturbed = lambda call: call()
with stopped_by_signals(print) as stop:
    start = datetime(2025, 5, 10, tzinfo=UTC)
    resident.main(clock="replayed", start=start, end=start.replace(hour=1), stop=stop)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "supervisor"])
def test_within_a_run(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    command = [sys.executable, "-c", WITHIN_A_RUN]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines(iter(child.stdout), "within")
        child.send_signal(number)
        rest = child.communicate(timeout=SECONDS)[0]
    assert child.returncode == 0
    assert rest.count("within") == 0  # the first tick of one strategy, and nothing after it
    assert left_whole(environ, monkeypatch, [BREAKOUT]) == 1


@pytest.mark.slow
def test_the_twin_in_the_main_thread_does_not_stop_or_fails_its_run(environ: dict[str, str]) -> None:
    command = [sys.executable, "-c", WITHIN_A_RUN, "twin"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines(iter(child.stdout), "within")
        child.send_signal(signal.SIGINT)
        rest, err = child.communicate(timeout=SECONDS)
    assert child.returncode != 0 or rest.count("within") > 0 or "Interrupted" in err


@pytest.mark.slow
def test_ctrl_c_at_a_terminal(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal sends it to the whole group in the foreground."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(TICKER[0], TICKER, environ)
    with os.fdopen(terminal, "r+b", buffering=0) as own:
        seen = b""
        while b"01:30" not in seen:
            seen += own.read(4_096)
        own.write(b"\x03")
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                seen += own.read(4_096)
        except OSError:  # the terminal's other side is closed
            pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, seen[-2_000:]
    assert b"Traceback" not in seen
    assert left_whole(environ, monkeypatch) > 6


@pytest.mark.slow
def test_in_the_background_of_a_script(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell without job control starts it with SIGINT ignored; SIGTERM ends it none the less."""
    script = f"trap '' INT; {' '.join(TICKER)} & echo $!; wait $!; echo ended $?"
    with subprocess.Popen(["sh", "-c", script], env=environ, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        read = lines(iter(shell.stdout), "01:30")
        os.kill(int(read[0]), signal.SIGTERM)
        rest = shell.communicate(timeout=SECONDS)[0]
    assert rest.rstrip().endswith("ended 0")
    assert left_whole(environ, monkeypatch) > 6


def test_a_second_signal_leaves_at_once(environ: dict[str, str]) -> None:
    program = (
        "import sys, time, os, signal\n"
        "from openclaw_pipelines.processes.stopping import stopped_by_signals, undisturbed\n"
        "with stopped_by_signals(print) as stop:\n"
        "    print('working', flush=True)\n"
        "    undisturbed(lambda: time.sleep(600))\n"
    )
    command = [sys.executable, "-uc", program]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines(iter(child.stdout), "working")
        child.send_signal(signal.SIGTERM)
        lines(iter(child.stdout), "once more leaves at once")
        child.send_signal(signal.SIGTERM)
        child.wait(20)
    assert child.returncode == 128 + signal.SIGTERM


TRADES = {
    "momentum_1h": "e18401a4a5cb56ca85f270d0898a19c6e0986504a292df0838cfa18364e0ed94",
    "breakout_15m": "fe11716bac97a2e3b596604c4e76d0b0b90d0135738beaac2f696e8ef0632553",
}
"""Of the demonstration's week, pinned."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_demonstration_stopped_again_and_again_ends_like_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("OPENCLAW_", "DAGSTER_"))}
    own |= {"OPENCLAW_DATA_DIR": str(tmp_path / "data"), "DAGSTER_HOME": str(tmp_path / "data" / "dagster")}
    command = [str(Path(sys.executable).with_name("openclaw")), "demo"]
    for layer in ("candles", "autopilot cycle", "outcomes"):
        with subprocess.Popen(
            command, env=own, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as demo:
            assert demo.stdout is not None
            lines(iter(demo.stdout), layer)
            time.sleep(1)
            demo.send_signal(signal.SIGINT)
            err = demo.communicate(timeout=SECONDS)[1]
        assert demo.returncode == 1
        assert "rolling back what is running" in err
        assert err.rstrip().splitlines()[-1].startswith("StoppedError: ")
        assert "Traceback" not in err
        monkeypatch.setenv("DAGSTER_HOME", own["DAGSTER_HOME"])
        with dg.DagsterInstance.get() as instance:
            ended = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
            assert {run.status for run in instance.get_runs()} <= ended
    done = subprocess.run([*command, "--json"], env=own, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {one["strategy"]: one["trades_hash"] for one in json.loads(done.stdout)["strategies"]} == TRADES


def test_a_pause_ends_when_asked() -> None:
    stop = Stop()
    stop.asked = True
    began = time.monotonic()
    stop.pause(60)
    assert time.monotonic() - began < 10


def test_what_a_call_raises_is_raised() -> None:
    assert undisturbed(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        undisturbed(lambda: 1 // 0)
