"""A small autopilot over the simulated market: two perpetuals and a spot pair, 15-minute and 1-hour strategies.

The history is asked for once per session and copied; days are lived by a clock that tests move.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from stores import copy_store

from openclaw_pipelines.contracts.time import DAY, day_start, interval_length
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.store.comparison import ledger_hash
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.resources.world import World, open_market, open_store
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.runner import DayReport, Runner
from openclaw_pipelines.settings import Settings, load_settings

FIRST_DAY, DAY_ONE, DAY_TWO = "2025-05-08", "2025-05-10", "2025-05-11"
HISTORY = ("2025-05-08", "2025-05-09")
SYMBOLS = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT"]
BREAKOUT, MOMENTUM = "breakout_15m", "momentum_1h"
BASE: dict[str, Any] = {
    "account": "paper",
    "overlay_file": "overlay.yaml",
    "market": {"source": "simulated", "symbols": SYMBOLS, "intervals": ["15m"], "first_day": FIRST_DAY},
    "universe": {"lookback_days": 1, "min_age_days": 0, "max_symbols": 3},
    "risk": {"max_daily_loss_bps": 1000},
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
                "trail_atr": 2.0,
                "volume_length": 8,
                "volume_ratio": 0.5,
            },
        },
        MOMENTUM: {
            "family": "momentum",
            "interval": "1h",
            "start_day": DAY_ONE,
            "params": {
                "momentum_lookback": 4,
                "ema_slow": 4,
                "atr_length": 4,
                "stop_atr": 1.0,
                "target_atr": 2.0,
                "volatility_length": 6,
            },
        },
    },
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with nested changes; None removes a key."""
    tree = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping):
            tree[key] = merged(tree.get(key) or {}, value)
        elif value is None:
            tree.pop(key, None)
        else:
            tree[key] = value
    return tree


@dataclass
class Desk:
    """An autopilot in a folder of its own. `clock` stands where the test puts it."""

    folder: Path
    clock: ReplayedClock
    world: World
    tree: dict[str, Any]

    def configure(self, **changes: Any) -> None:
        """Change the configuration; it is read again at the next tick."""
        self.tree = merged(self.tree, changes)
        (self.folder / "autopilot.yaml").write_text(yaml.safe_dump(self.tree), encoding="utf-8")

    def strategy(self, name: str, **changes: Any) -> None:
        """Change one strategy's section."""
        self.configure(strategies={name: changes})

    @property
    def store(self) -> Any:
        return self.world.store

    def ledger(self, strategy: str = BREAKOUT) -> StrategyLedger:
        return self.world.ledger(strategy)

    def ask(self, day: str, until: datetime | None = None) -> None:
        """Bring in a whole day, or what had closed by a time of it."""
        as_of = until or day_start(day) + DAY
        Ingest.of(self.world).candles_day(day, as_of)
        Ingest.of(self.world).funding_day(day, as_of)

    def run(
        self, strategy: str = BREAKOUT, day: str = DAY_ONE, until: datetime | None = None, planner: Any = None
    ) -> DayReport:
        """Take what has closed of a day as a backfill does, at `until` or long after."""
        self.clock.set(until or day_start("2025-06-01"))
        return Runner.of(self.world, planner).run_day(strategy, day, live=False)

    def live(self, strategy: str, times: Iterable[datetime], planner: Any = None) -> list[DayReport]:
        """Live through times in order; at each the market is refreshed and what is due is taken."""
        reports = []
        for now in times:
            self.clock.set(now)
            day = f"{now - timedelta(microseconds=1):%Y-%m-%d}"
            Ingest.of(self.world).candles_since(day, now)
            Ingest.of(self.world).funding_day(day, now)
            reports.append(Runner.of(self.world, planner).run_day(strategy, day, live=True))
        return reports

    def ticks(self, strategy: str = BREAKOUT, day: str = DAY_ONE) -> list[datetime]:
        """Ticks of a day."""
        length = interval_length(self.tree["strategies"][strategy]["interval"])
        return [day_start(day) + n * length for n in range(1, int(DAY / length) + 1)]

    def hash(self, strategy: str = BREAKOUT) -> str:
        return ledger_hash(self.store, "paper", strategy)

    def rows(self, table: str, strategy: str = BREAKOUT) -> pl.DataFrame:
        """Rows of a strategy, without what lies outside the ledger hash."""
        keys = self.store.table(table).filter(pl.col("strategy_config_id") == strategy)
        return keys.drop("recorded_at", "run_fingerprint", "phases", strict=False)

    def counts(self) -> dict[str, int]:
        """Rows per table of the ledger."""
        from openclaw_pipelines.contracts.tables import TABLES

        tables = [name for name, table in TABLES.items() if table.database == "ledger"]
        return {name: self.store.table(name).height for name in tables}


def open_desk(folder: Path, environ: Mapping[str, str], **changes: Any) -> Desk:
    """An autopilot over the files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = merged({**BASE, "data_dir": str(folder / "data")}, changes)
    path = folder / "autopilot.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")

    def settings() -> Settings:
        return load_settings(environ, path=path)

    clock, now = ReplayedClock(day_start(DAY_ONE)), settings()
    world = World(settings, open_store(now), open_market(now), clock, PaperExecutor())
    return Desk(folder, clock, world, tree)


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The days before inception: candles, funding, instruments, features."""
    desk = open_desk(tmp_path_factory.mktemp("history"), {})
    Ingest.of(desk.world).instruments(desk.clock.now())
    for day in HISTORY:
        desk.ask(day)
        compute_features(desk.world, day)
    return desk.folder / "data"


@pytest.fixture(scope="session")
def asked(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history and the market of two days more, with features; nothing is recorded yet."""
    folder = tmp_path_factory.mktemp("asked")
    copy_store(history, folder / "data")
    desk = open_desk(folder, {})
    for day in (DAY_ONE, DAY_TWO):
        desk.ask(day)
        compute_features(desk.world, day)
    return folder / "data"


@pytest.fixture(scope="session")
def recorded(asked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first day of both strategies by one backfill each."""
    folder = tmp_path_factory.mktemp("recorded")
    copy_store(asked, folder / "data")
    desk = open_desk(folder, {})
    desk.clock.set(day_start("2025-06-01"))
    for strategy in (BREAKOUT, MOMENTUM):
        Runner.of(desk.world).run_day(strategy, DAY_ONE, live=False)
    return folder / "data"


@pytest.fixture
def desk(tmp_path: Path, history: Path, asked: Path, recorded: Path) -> Callable[..., Desk]:
    """Builder of autopilots; changes to the configuration as keywords.

    of: `history` (before inception only), `asked` (market of two days more) or `recorded` (first day of both too).
    """
    folders = {"history": history, "asked": asked, "recorded": recorded}
    opened: list[Path] = []

    def build(of: str = "asked", environ: Mapping[str, str] | None = None, **changes: Any) -> Desk:
        folder = tmp_path / f"desk{len(opened)}-{id(opened)}"
        copy_store(folders[of], folder / "data")
        opened.append(folder)
        built = open_desk(folder, environ if environ is not None else {}, **changes)
        if of != "history":
            built.clock.set(day_start("2025-06-01"))
        return built

    return build
