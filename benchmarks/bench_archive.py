"""An archive of made-up perpetuals for measuring: hourly bars of seeded random walks, funding each eight hours."""

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from openclaw_pipelines.contracts.time import day_start

SEED = 20250510
START_PRICE, STEP = 100.0, 0.01
UNIT = 4
"""Decimals of prices."""
DEFAULTS = {
    "tick": "0.0001", "price_unit": "0.0001", "lot": "0.001", "min_notional": "5", "taker_fee_rate": "0.0005",
    "liquidation_fee_rate": "0.0125", "maintenance_margin_rate": "0.02", "max_leverage": 20,
    "listed_at": date(2020, 1, 1),
}  # fmt: skip


def write_archive(folder: Path, symbols: int, first: date, days: int) -> list[str]:
    """Write the files and `instruments.yaml`; returns the symbols."""
    folder.mkdir(parents=True)
    names = [f"M{n:02d}" for n in range(symbols)]
    start = day_start(first.isoformat())
    for n, name in enumerate(names):
        _candles(n, start, days * 24).with_columns(symbol=pl.lit(f"{name}/USDT")).write_parquet(
            folder / f"{name}-USDT_1h.parquet"
        )
        times = [start + timedelta(hours=8 * k) for k in range(days * 3)]
        rates = pl.DataFrame({"ts": times, "symbol": f"{name}/USDT", "funding_rate": 0.0001})
        rates.with_columns(pl.col("ts").cast(pl.Datetime("ms", "UTC"))).write_parquet(
            folder / f"{name}-USDT_funding.parquet"
        )
    known = {f"{name}/USDT:USDT": {} for name in names}
    text = yaml.safe_dump({"linear": {"defaults": DEFAULTS, "instruments": known}})
    (folder / "instruments.yaml").write_text(text, encoding="utf-8")
    return list(known)


def _candles(seed: int, start: datetime, bars: int) -> pl.DataFrame:
    random = np.random.default_rng([SEED, seed])
    close = np.round(START_PRICE * np.exp(np.cumsum(random.normal(0, STEP, bars))), UNIT)
    opened = np.concatenate([[START_PRICE], close[:-1]])
    spread = np.abs(random.normal(0, STEP / 2, (2, bars)))
    frame = pl.DataFrame(
        {
            "ts": [start + timedelta(hours=n) for n in range(bars)],
            "open": opened,
            "high": np.round(np.maximum(opened, close) * (1 + spread[0]), UNIT),
            "low": np.round(np.minimum(opened, close) * (1 - spread[1]), UNIT),
            "close": close,
            "volume": np.round(random.lognormal(8, 1, bars), 1),
        }
    )
    return frame.with_columns(pl.col("ts").cast(pl.Datetime("ms", "UTC")))
