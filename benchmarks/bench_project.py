"""A throw-away project for measuring ticks: twenty simulated perpetuals, two strategies, an instance of its own."""

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from openclaw_pipelines.resources.market.instruments_file import venue_instruments

STRATEGIES = ("momentum_1m", "breakout_1m")
SYMBOLS = 20
INSTANCE = Path(__file__).resolve().parents[1] / "config" / "dagster.yaml"


@dataclass(frozen=True)
class Project:
    """Folder of one measurement. The variables point the product and Dagster at it."""

    folder: Path
    symbols: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Variables for this process and the ones it starts."""
        return {
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "OPENCLAW_CONFIG": str(self.folder / "config" / "autopilot.yaml"),
        }


def write_project(folder: Path, start_day: date, *, symbols: int = SYMBOLS) -> Project:
    """Write configuration and instance settings; both strategies begin at 00:00Z of `start_day`."""
    chosen = tuple(sorted(name for name in venue_instruments("simulated") if name.endswith(":USDT"))[:symbols])
    common = {"interval": "1m", "start_day": start_day, "capital": 100_000, "max_catch_up_ticks": 10_000}
    config = {
        "data_dir": str(folder / "data"),
        "market": {"source": "simulated", "symbols": list(chosen), "intervals": ["1m"], "first_day": date(2025, 1, 1)},
        "universe": {"max_symbols": symbols, "min_age_days": 0, "lookback_days": 1},
        "risk": {"max_open_positions": 10, "max_orders_per_window": 60},
        "strategies": {
            "momentum_1m": {"family": "momentum", **common},
            "breakout_1m": {"family": "breakout", **common},
        },
    }
    project = Project(folder, chosen)
    file = Path(project.environment["OPENCLAW_CONFIG"])
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    home = Path(project.environment["DAGSTER_HOME"])
    home.mkdir()
    shutil.copy(INSTANCE, home / "dagster.yaml")
    return project
