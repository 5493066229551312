"""Whole scenes for the acceptance tests: a configuration, a data folder and a Dagster instance, driven by processes."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import yaml

from openclaw_pipelines.assets.run_tags import range_tags
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.definitions import build_defs
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.trading import records
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.domain.trading.tick_rows import equity_row
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.run.ticks import TickInput as KernelInput
from openclaw_pipelines.kernel.run.ticks import step_once
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.store.comparison import ledger_hash
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.resources.world import World, open_world
from openclaw_pipelines.services.market.history import history_days
from openclaw_pipelines.settings import load_settings

COMPARED = ("autopilot_orders", "autopilot_fills", "autopilot_positions", "autopilot_equity")
INSTANCE = Path(__file__).parents[2] / "config" / "dagster.yaml"


@dataclass(frozen=True)
class Scene:
    """One data folder with its configuration and Dagster instance."""

    folder: Path
    environ: dict[str, str]
    start: date
    days: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def partitions(self) -> list[str]:
        """Days that are traded."""
        return [(self.start + timedelta(days=n)).isoformat() for n in range(self.days)]

    @property
    def begin(self) -> datetime:
        """00:00Z of the first day."""
        return day_start(self.start.isoformat())

    @property
    def end(self) -> datetime:
        """00:00Z after the last day."""
        return self.begin + self.days * DAY

    def world(self) -> World:
        """The autopilot of this scene, at its end."""
        return open_world(ReplayedClock(self.end), lambda: load_settings(self.environ))

    @property
    def strategies(self) -> list[str]:
        """Names of its strategies."""
        return list(load_settings(self.environ).strategies)

    def hashes(self) -> dict[str, str]:
        """Ledger hash per strategy."""
        world = self.world()
        account = world.settings().config.account
        return {name: ledger_hash(world.store, account, name) for name in self.strategies}

    def rows(self, strategy: str, table: str) -> pl.DataFrame:
        """Business columns of one table, without those that name a run."""
        frame = self.ledger(strategy).query(f"SELECT * FROM {table}")
        return frame.drop("recorded_at", "run_fingerprint").sort(pl.all().exclude("deployment_id"))

    def ledger(self, strategy: str) -> StrategyLedger:
        """Rows of one strategy."""
        return self.world().ledger(strategy)

    def ticker(self, until: datetime | None = None) -> subprocess.Popen[bytes]:
        """`openclaw ticker` on a replayed clock over the whole range, as a process of its own."""
        span = ["--from", self.begin.isoformat(), "--to", (until or self.end).isoformat()]
        process = subprocess.Popen(
            [sys.executable, "-m", "openclaw_pipelines.cli", "ticker", "--clock", "replayed", *span],
            env={**os.environ, **self.environ},
            stdout=(self.folder / "ticker.log").open("ab"),
            stderr=subprocess.STDOUT,
        )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End the tickers that still run, as after a test that failed or took too long."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def tick_through(self) -> None:
        """Live through the range tick by tick."""
        process = self.ticker()
        assert process.wait() == 0, (self.folder / "ticker.log").read_text()[-3000:]


def scene(folder: Path, name: str, config: dict[str, object], environ: dict[str, str], start: date, days: int) -> Scene:
    """A new scene under `folder`."""
    home = folder / name
    (home / "dagster").mkdir(parents=True)
    (home / "autopilot.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config, default=str))))
    shutil.copy(INSTANCE, home / "dagster")
    own = {
        "OPENCLAW_CONFIG": str(home / "autopilot.yaml"),
        "OPENCLAW_DATA_DIR": str(home / "data"),
        "DAGSTER_HOME": str(home / "dagster"),
        **environ,
    }
    return Scene(home, own, start, days)


def backfill(subject: Scene) -> None:
    """The whole range through the real assets: market days in one run, each strategy in one run."""
    saved = dict(os.environ)
    os.environ.update(subject.environ)
    try:
        world = subject.world()
        settings = world.settings()
        repository = build_defs(resource_overrides={"world": world}).get_repository_def()
        history = sorted({day for one in settings.strategies.values() for day in history_days(settings, one)})
        with dg.DagsterInstance.from_config(str(subject.folder / "dagster")) as instance:
            instance.add_dynamic_partitions("strategies", subject.strategies)
            _run(repository, instance, "instruments_refresh", None, None)
            _run(repository, instance, "market_day", history[0], subject.partitions[-1])
            for name in subject.strategies:
                first, last = (f"{subject.partitions[n]}|{name}" for n in (0, -1))
                _run(repository, instance, "autopilot_cycle_job", first, last)
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _run(
    repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, job: str, first: str | None, last: str | None
) -> None:
    tags = range_tags(first, last) if first and last else {}
    assert repository.get_job(job).execute_in_process(instance=instance, tags=tags).success


def kernel_replay(subject: Scene, strategy: str) -> dict[str, pl.DataFrame]:
    """Rows that the kernel's own step gives over the recorded inputs; of the cycle only the row makers are used."""
    ledger = subject.ledger(strategy)
    session = ledger.session_at(subject.begin)
    rows: dict[str, list[records.Row]] = {table: [] for table in COMPARED}
    rows["autopilot_equity"].append({**equity_row(session), "tick_at": subject.begin})  # the inception itself
    for recorded in ledger.inputs(subject.begin, subject.end):
        policy = Policy.from_payload(recorded["policy"])
        if policy != session.policy:
            session.use_policy(policy)
        given = TickInput.from_row(recorded)
        output = step_once(session.state, _kernel_input(session, given), session.context)
        own = {
            **records.event_rows(session.scale, output.events),
            "autopilot_positions": records.position_rows(session.scale, session.state),
            "autopilot_equity": [equity_row(session)],
        }
        own["autopilot_orders"] += [
            records.order_row(session.scale, one, output.tick_at, int(one.approved_qty))
            for one in output.proposals
            if one.approved_qty
        ]
        for table in COMPARED:
            rows[table] += [{**row, "tick_at": given.at} for row in own[table]]
    return {table: _framed(subject, strategy, table, own) for table, own in rows.items()}


def _kernel_input(session: Session, given: TickInput) -> KernelInput:
    account_limits = session.deployment.account_limits(session.policy, given.halt)
    symbols, no_external = session.deployment.symbols, layout.records(layout.PROPOSAL, 0)
    signals = given.planned.records(symbols, given.closed) if given.planned else None
    return KernelInput(given.kernel_tick(symbols), session.limits, account_limits, no_external, signals)


def _framed(subject: Scene, strategy: str, table: str, rows: list[records.Row]) -> pl.DataFrame:
    stored = subject.rows(strategy, table)
    wanted = [{**row, "account_id": "paper", "strategy_config_id": strategy} for row in rows]
    ids = stored["deployment_id"].unique().to_list() or [""]
    frame = pl.DataFrame([{**row, "deployment_id": ids[0]} for row in wanted], schema=dict(stored.schema), orient="row")
    return frame.sort(pl.all().exclude("deployment_id"))
