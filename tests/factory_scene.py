"""A small scene for the factory: four perpetuals whose candles the test makes, with an edge or without one.

The edge is drift that lasts for days and changes its sign: momentum finds it, before and in the holdout. Without it the
same noise is a random walk. Half-hours are made and put together to hours, so that finer candles are there.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from stores import copy_store

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.market.base import published
from openclaw_pipelines.resources.store import market_appends, market_tables
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.resources.world import World, open_market, open_store
from openclaw_pipelines.services.factory.comparing import compare_cycle
from openclaw_pipelines.services.factory.cycle import Cycle, reopen_cycle
from openclaw_pipelines.services.factory.listing import list_rows
from openclaw_pipelines.services.factory.replaying import replay_candidates
from openclaw_pipelines.services.factory.sweeping import SHARD_KEYS, run_shard
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.settings import Settings, load_settings

FIRST, LAST = "2025-03-11", "2025-05-09"
NOW = day_start("2025-05-10")
SYMBOLS = ["BNB/USDT:USDT", "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
HALF_HOURS = 48
RECIPE, STRATEGY = "swing", "momentum_1h"
CONFIG: dict[str, Any] = {
    "account": "paper",
    "data_dir": "data",
    "market": {"source": "simulated", "symbols": SYMBOLS, "intervals": ["30m"], "first_day": FIRST},
    "universe": {"lookback_days": 1, "min_age_days": 0},
    "gates": {"random_sets": 100, "resamples": 200},
    "risk": {"max_daily_loss_bps": 1000, "max_drawdown_bps": 5000},
    "strategies": {
        STRATEGY: {
            "family": "momentum",
            "interval": "1h",
            "start_day": "2025-05-10",
            "params": {"momentum_lookback": 4, "ema_slow": 4, "stop_atr": 1.0, "volatility_target": 0.0},
        }
    },
    "factory": {
        RECIPE: {
            "strategy": STRATEGY,
            "first_day": "2025-03-14",
            "last_day": LAST,
            "holdout_days": 24,
            "longest_hold_hours": 48,
            "rows": 32,
            "seed": 5,
            "spaces": {
                "momentum": {
                    "momentum_lookback": {"low": 4, "high": 24},
                    "ema_slow": {"low": 4, "high": 24},
                    "stop_atr": [3.0, 5.0],
                    "max_hold_bars": [12, 24],
                }
            },
            "per_channel": 1,
            "least_trades": 20,
            "parity_rows": 3,
        }
    },
}


@dataclass
class FactoryScene:
    """An autopilot in a folder of its own."""

    folder: Path
    world: World

    @property
    def store(self) -> Any:
        return self.world.store

    def configure(self, change: Any) -> None:
        """Change the configuration."""
        path = self.folder / "autopilot.yaml"
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(tree)
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")

    def sql(self, database: str, statement: str, params: Any = ()) -> None:
        """Change the store behind the program's back."""
        with self.store.write(database) as con:
            con.execute(statement, list(params))

    def rows(self, table: str) -> pl.DataFrame:
        return self.store.table(table)

    def begun(self) -> Cycle:
        """The recipe's cycle, stored."""
        cycle = Cycle(self.world, RECIPE)
        cycle.begin()
        return cycle

    def swept(self, *shards: str) -> Cycle:
        """A cycle after some of its shards, all of them unless named."""
        cycle = self.begun()
        for shard in shards or SHARD_KEYS:
            run_shard(cycle, shard)
        return cycle

    def listed(self) -> Cycle:
        cycle = self.swept()
        list_rows(cycle)
        return cycle

    def replayed(self, cycle: Cycle | None = None) -> Cycle:
        cycle = reopen_cycle(self.world, (cycle or self.listed()).cycle_id)[0]
        replay_candidates(cycle)
        return cycle

    def compared(self, cycle: Cycle | None = None) -> Cycle:
        opened, changed = reopen_cycle(self.world, (cycle or self.replayed()).cycle_id)
        compare_cycle(opened, changed)
        return opened


def factory_scene(folder: Path, *, drift: float, seed: int = 1, **recipe: Any) -> FactoryScene:
    """A scene whose market has `drift` per half hour, in units of its noise."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = {**CONFIG, "data_dir": str(folder / "data")}
    tree["factory"] = {RECIPE: {**CONFIG["factory"][RECIPE], **recipe}}
    (folder / "autopilot.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")

    scene = open_scene(folder)
    Ingest.of(scene.world).instruments(NOW)
    _fill(scene.world, drift, seed)
    return scene


def open_scene(folder: Path) -> FactoryScene:
    """The scene that lies in a folder."""

    def settings() -> Settings:
        return load_settings({}, path=folder / "autopilot.yaml")

    now = settings()
    return FactoryScene(folder, World(settings, open_store(now), open_market(now), ReplayedClock(NOW), PaperExecutor()))


def copied(scene: FactoryScene, folder: Path) -> FactoryScene:
    """A scene of its own with the same market and research."""
    copy_store(scene.folder, folder)
    text = (folder / "autopilot.yaml").read_text(encoding="utf-8")
    (folder / "autopilot.yaml").write_text(text.replace(str(scene.folder), str(folder)), encoding="utf-8")
    return open_scene(folder)


def _fill(world: World, drift: float, seed: int) -> None:
    units = dict(market_tables.instruments(world.store, world.source).select("symbol", "price_unit").iter_rows())
    days = (day_start(LAST) - day_start(FIRST)) // DAY + 1
    half = [
        _half_hours(symbol, float(units[symbol]), days * HALF_HOURS, drift, np.random.default_rng([seed, n]))
        for n, symbol in enumerate(SYMBOLS)
    ]
    frame = pl.concat(half).with_columns(source=pl.lit(world.source), is_synthetic=pl.lit(value=False))
    hours = frame.group_by_dynamic("ts", every="1h", group_by=["symbol", "source", "is_synthetic"]).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    for interval, bars in (("30m", frame), ("1h", hours)):
        market_appends.append_candles(world.store, published(bars.with_columns(interval=pl.lit(interval))), NOW)
    funded = [
        {
            "source": world.source, "symbol": symbol, "day": f"{day_start(FIRST) + n * DAY:%Y-%m-%d}",
            "covered_until": day_start(FIRST) + (n + 1) * DAY,
        }
        for symbol in SYMBOLS for n in range(days)
    ]  # fmt: skip
    covered = [{**row, "interval": interval} for row in funded for interval in ("30m", "1h")]
    with world.store.write("market") as con:
        insert(con, "candle_coverage", TABLES["candle_coverage"].unchecked(covered))
        insert(con, "funding_coverage", TABLES["funding_coverage"].unchecked(funded))


def _half_hours(symbol: str, unit: float, n: int, drift: float, rng: np.random.Generator) -> pl.DataFrame:
    """A walk whose drift keeps its sign for one to four days."""
    sides = np.repeat(rng.choice([-1.0, 1.0], n), rng.integers(HALF_HOURS, 4 * HALF_HOURS, n))[:n]
    sigma = 0.004
    close = 1_000 * np.exp(np.cumsum(sigma * (rng.normal(0, 1, n) + drift * sides)))
    open_ = np.r_[1_000, close[:-1]]
    high = np.maximum(open_, close) * (1 + rng.uniform(0, 0.001, n))
    low = np.minimum(open_, close) * (1 - rng.uniform(0, 0.001, n))
    first: datetime = day_start(FIRST)
    prices = {"open": open_, "close": close, "high": high, "low": low}
    units = {name: np.round(value / unit).astype(np.int64) for name, value in prices.items()}
    units["high"] = np.maximum(units["high"], np.maximum(units["open"], units["close"]))
    units["low"] = np.minimum(units["low"], np.minimum(units["open"], units["close"]))
    decimals = max(0, round(-np.log10(unit)) + 1)
    return pl.DataFrame(
        {
            "ts": pl.Series([first + i * timedelta(minutes=30) for i in range(n)]).cast(pl.Datetime("us", "UTC")),
            "symbol": [symbol] * n,
            **{name: np.round(units[name] * unit, decimals) for name in ("open", "high", "low", "close")},
            "volume": rng.uniform(5_000, 9_000, n),
        }
    )
