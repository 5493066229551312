"""A small scene in Dagster: two perpetuals of the simulated market, two strategies, four days, all of it in memory.

Loaded as a plugin by `conftest.py`. The market is asked for once per session; scenes are copies of it with an instance
of their own and a clock that stands where the test puts it.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from stores import copy_store

from openclaw_pipelines.assets.partitions import STRATEGIES
from openclaw_pipelines.assets.run_tags import range_tags
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.store.comparison import ledger_hash
from openclaw_pipelines.resources.store.hold import let_go
from openclaw_pipelines.resources.world import World, open_market, open_store
from openclaw_pipelines.settings import Settings, load_settings

FIRST_DAY, BEFORE, DAY_ONE, DAY_TWO = "2025-05-08", "2025-05-09", "2025-05-10", "2025-05-11"
LONG_AFTER = day_start("2025-06-01")
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
BREAKOUT, MOMENTUM = "breakout_15m", "momentum_1h"
CYCLE_ASSETS = ("universe_snapshots", "proposals", "decisions", "orders", "fills", "positions", "equity")
CONFIG: dict[str, Any] = {
    "account": "paper",
    "data_dir": "data",
    "market": {"source": "simulated", "symbols": [BTC, ETH], "intervals": ["15m"], "first_day": FIRST_DAY},
    "universe": {"lookback_days": 1, "min_age_days": 0},
    "strategies": {
        BREAKOUT: {
            "family": "breakout",
            "interval": "15m",
            "start_day": DAY_ONE,
            "params": {
                "channel_entry": 8,
                "channel_exit": 4,
                "atr_length": 6,
                "stop_atr": 1.5,
                "volume_length": 8,
                "volume_ratio": 0.5,
            },
        },
        MOMENTUM: {
            "family": "momentum",
            "interval": "1h",
            "start_day": DAY_ONE,
            "params": {"momentum_lookback": 4, "ema_slow": 4, "atr_length": 4, "stop_atr": 1.0, "volatility_length": 6},
        },
    },
}


@dataclass
class Scene:
    """An autopilot, its definitions and an instance."""

    folder: Path
    instance: dg.DagsterInstance
    clock: ReplayedClock
    world: World
    defs: dg.Definitions

    def run(
        self,
        job: str,
        partition: str | None = None,
        *,
        last: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job over one partition, or over all from `partition` to `last` in one run."""
        wanted = {**(tags or {}), **(range_tags(partition, last) if partition and last else {})}
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=None if last else partition, tags=wanted, raise_on_error=False
        )

    def configure(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change the configuration; it is read again at every tick."""
        path = self.folder / "autopilot.yaml"
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(tree)
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")

    def sql(self, database: str, statement: str, params: Any = ()) -> None:
        """Change the store behind the program's back."""
        with self.world.store.write(database) as con:
            con.execute(statement, list(params))
        let_go()  # as another program would have

    def rows(self, table: str, strategy: str | None = None) -> pl.DataFrame:
        """Rows of a table."""
        frame = self.world.store.table(table)
        return frame if strategy is None else frame.filter(pl.col("strategy_config_id") == strategy)

    def hash(self, strategy: str, end: datetime | None = None) -> str:
        """Of everything that the strategy's ticks wrote."""
        return ledger_hash(self.world.store, "paper", strategy, end=end)

    def ticks(self, strategy: str) -> list[datetime]:
        """Recorded ticks, without the inception."""
        rows = self.rows("autopilot_ticks", strategy).filter(pl.col("status") != "inception")
        return sorted(rows["tick_at"].to_list())

    def environ(self) -> dict[str, str]:
        """Variables for a process of its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_"))}
        return kept | {
            "OPENCLAW_CONFIG": str(self.folder / "autopilot.yaml"),
            "DAGSTER_HOME": str(self.folder / "dagster"),
        }


def materialized(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str | None], dict[str, Any]]:
    """Metadata values of every materialization, by asset and partition."""
    found = {}
    for event in result.get_asset_materialization_events():
        own = event.step_materialization_data.materialization
        found[own.asset_key.to_user_string(), own.partition] = {k: v.value for k, v in own.metadata.items()}
    return found


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the first failed step says, with its causes."""
    for event in result.all_events:
        if event.is_step_failure:
            return event.step_failure_data.error.to_string()
    return ""


@contextmanager
def environment(folder: Path) -> Iterator[None]:
    """What a code location started in `folder` would see."""
    saved = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("OPENCLAW_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ["OPENCLAW_CONFIG"] = str(folder / "autopilot.yaml")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def open_scene(folder: Path, instance: dg.DagsterInstance) -> Scene:
    """The scene whose configuration lies in `folder`, seen long after its days."""
    from openclaw_pipelines.definitions import build_defs

    def settings() -> Settings:
        return load_settings({}, path=folder / "autopilot.yaml")

    clock, now = ReplayedClock(LONG_AFTER), settings()
    world = World(settings, open_store(now), open_market(now), clock, PaperExecutor())
    with environment(folder):
        defs = build_defs(resource_overrides={"world": world})
    instance.add_dynamic_partitions(STRATEGIES, [BREAKOUT, MOMENTUM])
    return Scene(folder, instance, clock, world, defs)


def write_config(folder: Path) -> Path:
    """The configuration in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = {**CONFIG, "data_dir": str(folder / "data")}
    (folder / "autopilot.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return folder


def environ_of_its_own(folder: Path) -> dict[str, str]:
    """Variables of a process over a configuration and an instance in `folder`, which are made."""
    write_config(folder)
    (folder / "dagster").mkdir()
    shutil.copy(Path(__file__).parents[1] / "config" / "dagster.yaml", folder / "dagster")
    own = {k: v for k, v in os.environ.items() if not k.startswith(("OPENCLAW_", "DAGSTER_"))}
    return own | {"OPENCLAW_CONFIG": str(folder / "autopilot.yaml"), "DAGSTER_HOME": str(folder / "dagster")}


@dataclass
class Lived:
    """A scene in which the layers ran once, in order, each over its days in one run."""

    scene: Scene
    instruments: dg.ExecuteInProcessResult
    market: dg.ExecuteInProcessResult
    cycle: dg.ExecuteInProcessResult
    evaluation: dg.ExecuteInProcessResult
    report: dg.ExecuteInProcessResult


@pytest.fixture(scope="session")
def asked_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Any, Any]]:
    """Instruments and market days, and the results of the two runs that brought them. Nobody may write to it."""
    with dg.DagsterInstance.ephemeral() as instance:
        scene = open_scene(write_config(tmp_path_factory.mktemp("market")), instance)
        instruments = scene.run("instruments_refresh")
        assert instruments.success, failure(instruments)
        market = scene.run("market_day", FIRST_DAY, last=DAY_TWO)
        assert market.success, failure(market)
        yield scene, instruments, market


@pytest.fixture(scope="session")
def lived(asked_market: tuple[Scene, Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Two days of both strategies. Nobody may write to it."""
    before, instruments, market = asked_market
    folder = tmp_path_factory.mktemp("lived")
    copy_store(before.folder / "data", folder / "data")
    scene = open_scene(write_config(folder), before.instance)
    over = {"partition": f"{DAY_ONE}|{BREAKOUT}", "last": f"{DAY_TWO}|{MOMENTUM}"}
    results = [scene.run("autopilot_cycle_job", **over), scene.run("evaluation", **over)]
    results.append(scene.run("report", DAY_ONE, last=DAY_TWO))
    assert all(result.success for result in results), [failure(result) for result in results]
    return Lived(scene, instruments, market, *results)


@pytest.fixture
def new_scene(asked_market: tuple[Scene, Any, Any], tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """Builder of scenes of their own: `market=False` for one that asked for nothing yet."""
    opened: list[dg.DagsterInstance] = []

    def build(*, market: bool = True) -> Scene:
        folder = tmp_path / f"scene{len(opened)}"
        if market:
            copy_store(asked_market[0].folder / "data", folder / "data")
        opened.append(dg.DagsterInstance.ephemeral())
        return open_scene(write_config(folder), opened[-1])

    yield build
    for instance in opened:
        instance.dispose()
