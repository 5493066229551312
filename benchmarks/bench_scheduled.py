"""Scheduled ticks: a real `dagster-daemon` with its code server, schedules and sensor, measured from outside.

The daemon runs in a process group of its own, which is ended when the measurement ends.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from bench_project import STRATEGIES, Project

from openclaw_pipelines.jobs import CYCLE_LIVE
from openclaw_pipelines.processes.ticker import Ticker
from openclaw_pipelines.resources.world import open_world

DEFINITIONS = ("-m", "openclaw_pipelines.definitions")
PATIENCE_SECONDS = 150.0
POLL_SECONDS = 1.0
END_SECONDS = 15.0
RUN_KEY = "dagster/run_key"


def scheduled(project: Project, ticks: int) -> dict[str, float]:
    """Seconds from the close of a bar to its committed rows, by strategy and tick.

    Everything that closed before is caught up first, so that the daemon starts on a strategy that follows the clock.
    A run's first materialization is logged after its transaction, so its time is an upper bound of the commit's.
    """
    with dg.DagsterInstance.get() as instance:
        ticker = Ticker(open_world(), instance)
        ticker.start()
        ticked = ticker.tick(datetime.now(UTC))
        if ticked.failures:
            raise SystemExit(f"catching up failed: {ticked.failures}")
        dagster("schedule", "start", "market_each_minute", *DEFINITIONS)
        dagster("sensor", "start", "strategy_ticks", *DEFINITIONS)
        with daemon(project.folder / "daemon.log"):
            began, wanted = datetime.now(UTC), ticks * len(STRATEGIES)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < deadline:
                delays = committed(instance, began)
                if len(delays) >= wanted:
                    return delays
                time.sleep(POLL_SECONDS)
    return delays


def committed(instance: dg.DagsterInstance, began: datetime) -> dict[str, float]:
    """Delay per tick of the runs that the sensor started, of bars that closed after `began`."""
    delays = {}
    for record in instance.get_run_records(dg.RunsFilter(job_name=CYCLE_LIVE)):
        key = record.dagster_run.tags.get(RUN_KEY)
        if key is None:
            continue
        closed_at = datetime.strptime(key.split(":")[1], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        events = instance.get_records_for_run(record.dagster_run.run_id, of_type=kind, limit=1).records
        if closed_at > began and events:
            delays[key] = events[0].timestamp - closed_at.timestamp()
    return delays


def dagster(*arguments: str) -> None:
    """One command of Dagster's own."""
    command = [str(Path(sys.executable).with_name("dagster")), *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)


@contextmanager
def daemon(log: Path) -> Iterator[None]:
    """`dagster-daemon run`, ended with all that it started."""
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", *DEFINITIONS]
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield
        finally:
            end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the daemon to end, then make its whole group end."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
