"""Configurations of the acceptance tests' scenes."""

import copy
from datetime import date
from pathlib import Path
from typing import Any

from scenes import Scene, scene

PERPS = [f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "XRP", "BNB")]
SPOT = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
BUSY = {
    "market": {"source": "simulated", "symbols": PERPS, "intervals": ["1m"], "first_day": "2025-01-01"},
    "risk": {"max_order_notional": 2500, "max_position_notional": 4000, "max_daily_loss_bps": 500},
    "strategies": {
        "momentum_1h": {
            "family": "momentum",
            "interval": "1h",
            "start_day": "2025-05-10",
            "params": {"momentum_lookback": 24, "ema_slow": 24, "position_bps": 1500},
        },
        "breakout_15m": {
            "family": "breakout",
            "interval": "15m",
            "start_day": "2025-05-10",
            "params": {"channel_entry": 24, "channel_exit": 12, "position_bps": 1500},
        },
    },
}


def busy(market: dict[str, Any], start: date, intervals: tuple[str, str] = ("1h", "15m")) -> dict[str, Any]:
    """The busy configuration on another market and start."""
    config = copy.deepcopy(BUSY)
    config["market"] |= market
    for own in config["strategies"].values():
        own["start_day"] = start.isoformat()
    return config


STORM = {
    "market": {
        "source": "simulated",
        "symbols": ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT"],
        "intervals": ["15m"],
        "first_day": "2025-05-08",
    },
    "universe": {"lookback_days": 1, "min_age_days": 1},
}


def storm_scene(folder: Path, name: str) -> Scene:
    """A scene with a short history and few bars, quick enough to be lived often."""
    start = date(2025, 5, 10)
    return scene(folder, name, busy({}, start) | STORM, {}, start, 1)
