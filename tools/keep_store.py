"""Keep a store of this version, with open positions, for the test that later versions still open it.

    python tools/keep_store.py [--to tests/data/stores]

Lives two days of the embedded market with two strategies, keeps the store, lives four hours more, and keeps what was
traded then: a later version that opens the kept store must trade the same. Run it at a release, once; a kept store is
never made again.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
KEPT_UNTIL, LIVED_UNTIL = "2025-05-12T00:00", "2025-05-12T04:00"
CONFIG: dict[str, Any] = {
    "data_dir": "data",
    "market": {
        "source": "simulated",
        "symbols": ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT"],
        "intervals": ["15m"],
        "first_day": "2025-05-08",
    },
    "universe": {"lookback_days": 1, "min_age_days": 0, "max_symbols": 3},
    "risk": {"max_daily_loss_bps": 1000},
    "symbols": {"SOL/USDT": {"risk": {"max_order_notional": 500}}},
    "strategies": {
        "breakout_15m": {
            "family": "breakout",
            "interval": "15m",
            "start_day": "2025-05-10",
            "params": {
                "channel_entry": 24, "channel_exit": 24, "atr_length": 6, "stop_atr": 9.0, "trail_atr": 0.0,
                "volume_length": 8, "volume_ratio": 0.0,
            },
        },
        "momentum_1h": {
            "family": "momentum",
            "interval": "1h",
            "start_day": "2025-05-10",
            "params": {"momentum_lookback": 4, "ema_slow": 4, "atr_length": 4, "stop_atr": 4.0, "volatility_length": 6},
        },
    },
}  # fmt: skip
FILES = ("market.duckdb", "ledger.duckdb", "research.duckdb")


def openclaw(folder: Path, *arguments: str) -> None:
    """A command of the product, in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_"))}
    environ = {**kept, "OPENCLAW_CONFIG": str(folder / "config" / "autopilot.yaml")}
    subprocess.run([sys.executable, "-m", "openclaw_pipelines.cli", *arguments], env=environ, cwd=folder, check=True)


def live(folder: Path, start: str, end: str) -> None:
    """Live through a range on a replayed clock."""
    openclaw(folder, "ticker", "--clock", "replayed", "--from", start, "--to", end)


def pack(folder: Path, target: Path) -> None:
    """The configuration and the three files, with nothing that names this machine or this time."""

    def anonymous(item: tarfile.TarInfo) -> tarfile.TarInfo:
        item.uid = item.gid = item.mtime = 0
        item.uname = item.gname = ""
        return item

    with tarfile.open(target, "w:xz", preset=9) as archive:
        for name in ("config/autopilot.yaml", *(f"data/{name}" for name in FILES)):
            archive.add(folder / name, arcname=name, filter=anonymous)


def traded(folder: Path) -> dict[str, str]:
    """What each strategy traded, by hash."""
    from openclaw_pipelines.resources.store.comparison import trades_hash
    from openclaw_pipelines.resources.store.store import Store

    return {name: trades_hash(Store(folder / "data"), "paper", name) for name in CONFIG["strategies"]}


def main() -> None:
    """Make, keep and say where."""
    from openclaw_pipelines import __version__

    parser = argparse.ArgumentParser(description="Keep a store of this version.")
    parser.add_argument("--to", type=Path, default=ROOT / "tests" / "data" / "stores")
    parser.add_argument("--version", default=__version__)
    options = parser.parse_args()
    target = options.to / f"{options.version}.tar.xz"
    if target.exists():
        raise SystemExit(f"{target} is there already; a kept store is never made again")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config").mkdir()
        (folder / "config" / "autopilot.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False), encoding="utf-8")
        (folder / "config" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        openclaw(folder, "init")
        live(folder, "2025-05-10", KEPT_UNTIL)
        pack(folder, target)
        live(folder, KEPT_UNTIL, LIVED_UNTIL)
        (options.to / f"{options.version}.json").write_text(json.dumps(traded(folder), indent=1) + "\n")
    print(f"{target}, {target.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
