"""From a due tick to its committed ledger rows: two strategies of one-minute bars over twenty simulated perpetuals.

    python benchmarks/tick.py [--quick] [--ticks N] [--no-schedule]

Resident: `Ticker.tick`, what `openclaw ticker` does, on a replayed clock, against a persistent instance with this
project's dagster.yaml. It is compared with bare `execute_in_process` runs of empty assets on the same instance, in
turns, as many jobs as the tick had. `same_steps` is the tick without our code: the same steps, a cycle of one step
with seven assets, as many of them materialized. `own_steps` has only the assets that were materialized, each a step.

Scheduled: `dagster-daemon`, from the close of the bar to the commit, on the real clock; it takes some four minutes.
The last line is JSON.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from bench_project import STRATEGIES, SYMBOLS, Project, write_project
from bench_scheduled import scheduled

from openclaw_pipelines.jobs import CYCLE_ASSETS, CYCLE_LIVE, MARKET_LIVE, QUIET
from openclaw_pipelines.processes.ticker import Ticker
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.world import open_world

START = datetime(2025, 5, 10, 6, 0, tzinfo=UTC)
"""First tick: the six hours before it are caught up, so that the ledger is not an empty one."""
MINUTE = timedelta(minutes=1)
MATERIALIZED = dg.DagsterEventType.ASSET_MATERIALIZATION


@dataclass
class Resident:
    """Seconds per tick and of the empty runs after it, and what the ticks were made of."""

    ticks: list[float] = field(default_factory=list)
    same_steps: list[float] = field(default_factory=list)
    own_steps: list[float] = field(default_factory=list)
    market: list[float] = field(default_factory=list)
    cycles: list[float] = field(default_factory=list)
    assets: list[int] = field(default_factory=list)


class EmptyJobs:
    """Jobs whose assets do nothing."""

    def __init__(self, largest: int) -> None:
        names = [f"empty_{n}" for n in range(largest)]
        specs = [dg.AssetSpec(f"part_{n}", skippable=True) for n in range(largest)]

        @dg.multi_asset(specs=specs, name="empty_parts")
        def parts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
            for n in range(int(context.run_tags["assets"])):
                yield dg.MaterializeResult(asset_key=f"part_{n}")

        jobs = [dg.define_asset_job(f"own_{n}", names[:n]) for n in range(1, largest + 1)]
        jobs.append(dg.define_asset_job("same", [parts]))
        assets = [parts, *(_empty(name) for name in names)]
        definitions = dg.Definitions(assets=assets, jobs=jobs, executor=dg.in_process_executor)
        repository = definitions.get_repository_def()
        self._own = {n: repository.get_job(f"own_{n}") for n in range(1, largest + 1)}
        self._same = repository.get_job("same")

    def own_step(self, assets: int, instance: dg.DagsterInstance) -> None:
        """A job of that many assets, each a step."""
        _succeeded(self._own[assets].execute_in_process(instance=instance, run_config=QUIET))

    def one_step(self, assets: int, instance: dg.DagsterInstance) -> None:
        """A job of one step that materializes that many assets."""
        _succeeded(self._same.execute_in_process(instance=instance, run_config=QUIET, tags={"assets": str(assets)}))


def _empty(name: str) -> dg.AssetsDefinition:
    @dg.asset(name=name)
    def empty() -> None: ...

    return empty


def _succeeded(result: dg.ExecuteInProcessResult) -> None:
    if not result.success:
        raise SystemExit("an empty job failed")


def resident(ticks: int, symbols: int) -> Resident:
    """Take `ticks` ticks one minute apart, each followed by the empty runs."""
    measured, clock = Resident(), ReplayedClock(START)
    with dg.DagsterInstance.get() as instance:
        ticker = Ticker(open_world(clock), instance)
        ticker.start()
        take(ticker, clock, START)
        empty = EmptyJobs(largest=len(CYCLE_ASSETS))
        for n in range(-1, ticks):  # the first round warms up and is not counted
            at = clock.now() + MINUTE
            seconds = timed(lambda at=at: take(ticker, clock, at))
            runs = runs_of_tick(instance)
            one = timed(lambda runs=runs: repeat(empty, runs, instance, own_steps=False))
            own = timed(lambda runs=runs: repeat(empty, runs, instance, own_steps=True))
            if n >= 0:
                keep(measured, seconds, one, own, runs)
    print(f"resident: {ticks} ticks, {len(STRATEGIES)} strategies x {symbols} symbols")
    return measured


def take(ticker: Ticker, clock: ReplayedClock, at: datetime) -> None:
    """One time of the ticker, with its ledger rows committed."""
    clock.set(at)
    ticked = ticker.tick(at)
    recorded = {ticker.world.ledger(name).newest_tick() for name in STRATEGIES}
    if ticked.failures or recorded != {at}:
        raise SystemExit(f"the tick of {at.isoformat()} was not recorded: {ticked.failures}")


def runs_of_tick(instance: dg.DagsterInstance) -> list[tuple[str, int, float]]:
    """Job, materialized assets and seconds of the newest tick's runs, the market first."""
    runs = []
    for record in instance.get_run_records(limit=1 + len(STRATEGIES)):
        found = instance.get_records_for_run(record.dagster_run.run_id, of_type=MATERIALIZED).records
        seconds = (record.end_time or 0.0) - (record.start_time or 0.0)
        runs.append((record.dagster_run.job_name, len(found), seconds))
    if sorted(name for name, _, _ in runs) != sorted([MARKET_LIVE, *[CYCLE_LIVE] * len(STRATEGIES)]):
        raise SystemExit(f"a tick is one market run and one run per strategy, found {runs}")
    return runs[::-1]


def repeat(
    empty: EmptyJobs, runs: list[tuple[str, int, float]], instance: dg.DagsterInstance, *, own_steps: bool
) -> None:
    """As many empty jobs, with as many assets; the market's two assets are steps of their own in the tick too."""
    for job, assets, _ in runs:
        if own_steps or job == MARKET_LIVE:
            empty.own_step(assets, instance)
        else:
            empty.one_step(assets, instance)


def keep(measured: Resident, tick: float, one: float, own: float, runs: list[tuple[str, int, float]]) -> None:
    """Add one round."""
    measured.ticks.append(tick)
    measured.same_steps.append(one)
    measured.own_steps.append(own)
    measured.market.append(sum(seconds for job, _, seconds in runs if job == MARKET_LIVE))
    measured.cycles.append(sum(seconds for job, _, seconds in runs if job == CYCLE_LIVE))
    measured.assets.append(sum(assets for _, assets, _ in runs))


def timed(run: Callable[[], None]) -> float:
    """Seconds of a call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def figures_of(measured: Resident) -> dict[str, Any]:
    """Medians and ratios; a ratio is the median over rounds, so that load which comes and goes falls on both sides."""
    median = statistics.median(measured.ticks)
    same, own = statistics.median(measured.same_steps), statistics.median(measured.own_steps)
    ordered = sorted(measured.ticks)
    return {
        "resident_median_s": round(median, 3),
        "resident_p95_s": round(ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))], 3),
        "resident_vs_empty": ratio(measured.ticks, measured.same_steps),
        "resident_vs_empty_own_steps": ratio(measured.ticks, measured.own_steps),
        "empty_median_s": round(same, 3),
        "empty_own_steps_median_s": round(own, 3),
        "market_run_s": round(statistics.median(measured.market), 3),
        "cycle_runs_s": round(statistics.median(measured.cycles), 3),
        "assets_per_tick": statistics.median(measured.assets),
        "ticks": len(measured.ticks),
    }


def ratio(ticks: list[float], empty: list[float]) -> float:
    """Median over rounds of a tick over the empty runs that followed it."""
    return round(statistics.median(tick / other for tick, other in zip(ticks, empty, strict=True)), 2)


def scheduled_figures(delays: dict[str, float]) -> dict[str, Any]:
    """Median and range of the delays."""
    if not delays:
        return {"scheduled_median_s": None, "scheduled_ticks": 0}
    for key, seconds in sorted(delays.items()):
        print(f"scheduled: {key} committed {seconds:.2f} s after the close")
    values = list(delays.values())
    return {
        "scheduled_median_s": round(statistics.median(values), 2),
        "scheduled_min_s": round(min(values), 2),
        "scheduled_max_s": round(max(values), 2),
        "scheduled_ticks": len(values),
    }


def prepared(folder: Path, start: datetime, symbols: int) -> Project:
    """A project that this process and its children use from now on."""
    folder.mkdir()
    project = write_project(folder, start.date(), symbols=symbols)
    os.environ.update(project.environment)
    return project


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="From a due tick to its committed ledger rows.")
    parser.add_argument("--quick", action="store_true", help="two resident ticks over three symbols, nothing scheduled")
    parser.add_argument("--ticks", type=int, default=15, help="resident ticks")
    parser.add_argument("--no-schedule", action="store_true", help="resident ticks only")
    options = parser.parse_args()
    ticks, symbols = (2, 3) if options.quick else (options.ticks, SYMBOLS)
    warnings.filterwarnings("ignore")
    figures: dict[str, Any] = {"scheduled_median_s": None}
    with tempfile.TemporaryDirectory() as name:
        prepared(Path(name) / "resident", START, symbols)
        figures |= figures_of(resident(ticks, symbols))
        if not (options.quick or options.no_schedule):
            project = prepared(Path(name) / "scheduled", datetime.now(UTC), symbols)
            figures |= scheduled_figures(scheduled(project, ticks=3))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
