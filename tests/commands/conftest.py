"""A small recorded ledger, lived once, and the command line pointed at a copy of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from planted_cycle import CYCLE, HOLDOUT_END, PLANTED, TODAY, plant
from stores import copy_store

from openclaw_pipelines.cli import main
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.world import World, open_world
from openclaw_pipelines.services.evaluation.evaluator import Evaluator
from openclaw_pipelines.services.lifecycle.deploy import deploy_cycle
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.history import history_days
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.settings import load_settings

DAYS = ("2025-05-10", "2025-05-11")
AFTER = datetime(2025, 5, 12, 3, tzinfo=UTC)
CONFIG = {
    "market": {"symbols": ["BTC/USDT:USDT", "ETH/USDT:USDT"], "intervals": ["15m"], "first_day": "2025-04-20"},
    "overlay_file": None,
    "universe": {"lookback_days": 1, "min_age_days": 0},  # little history to bring in
    "strategies": {
        name: {
            "family": "breakout",
            "interval": "15m",
            "start_day": DAYS[0],
            "mode": mode,
            "approval_ticks": 400,
            "risk": {"max_open_positions": 1},
            "params": {"channel_entry": 12, "channel_exit": 6, "stop_atr": 1.5, "trail_atr": 2.0, "volume_ratio": 0.5},
        }
        for name, mode in (("fast", "auto"), ("asked", "assist"))
    },
}


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Home:
    """A project folder of its own. `openclaw` runs a command in it; `autopilot` opens its store."""

    folder: Path
    environ: dict[str, str]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def openclaw(self, *arguments: str, **environ: str) -> Answer:
        result = CliRunner().invoke(main, arguments, env={**self.environ, **environ}, catch_exceptions=False)
        return Answer(result.exit_code, result.stdout, result.stderr)

    def world(self) -> World:
        return open_world(ReplayedClock(AFTER), lambda: load_settings(self.environ))


def home_at(folder: Path) -> Home:
    return Home(
        folder,
        {
            "OPENCLAW_CONFIG": str(folder / "autopilot.yaml"),
            "OPENCLAW_DATA_DIR": str(folder / "data"),
            "DAGSTER_HOME": str(folder / "data" / "dagster"),
            "COLUMNS": "200",
        },
    )


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two days of one strategy and one of another, scored."""
    home = home_at(tmp_path_factory.mktemp("lived"))
    (home.folder / "autopilot.yaml").write_text(yaml.safe_dump(CONFIG))
    world = home.world()
    settings = world.settings()
    market_days = history_days(settings, settings.strategy("fast"))
    Ingest.of(world).instruments(AFTER)
    for day in [*market_days, *DAYS, f"{day_start(DAYS[-1]) + DAY:%Y-%m-%d}"]:
        Ingest.of(world).candles_day(day, AFTER)
        Ingest.of(world).funding_day(day, AFTER)
    for day in (*market_days, *DAYS):
        compute_features(world, day)
        for strategy in {DAYS[0]: ("asked", "fast"), DAYS[1]: ("fast",)}.get(day, ()):
            Runner.of(world).run_day(strategy, day, live=False)
            Evaluator.of(world).outcomes(strategy, day)
            Evaluator.of(world).metrics(strategy, day)
    return home


@pytest.fixture
def home(lived: Home, tmp_path: Path) -> Home:
    """A copy of the recorded project that a test may change."""
    copy_store(lived.folder, tmp_path / "home")
    return home_at(tmp_path / "home")


@pytest.fixture
def deployed(home: Home) -> tuple[Home, str]:
    """A project in which a cycle put one strategy on paper, and the strategy's name."""
    world = home.world()
    plant(world, strategy_config_id="fast")
    (own,) = deploy_cycle(world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END)
    return home, own.origin.strategy


@pytest.fixture
def empty(tmp_path: Path) -> Home:
    """The same configuration before anything was recorded."""
    made = home_at(tmp_path)
    (tmp_path / "autopilot.yaml").write_text(yaml.safe_dump(CONFIG))
    return made


@pytest.fixture
def ledger(home: Home) -> Callable[..., Any]:
    """Query the ledger's rows as dictionaries."""
    return lambda sql, *params: home.world().store.query("ledger", sql, list(params)).to_dicts()
