"""Measure the GPU sweep and compare it with the CPU's replay bit by bit; without a GPU say so.

    python tools/gpu_check.py [--rows 5000] [--bars 20000] [--symbols 5] [--compared 40]

The last line is JSON: `{"gpu": null, "reason": ...}` without a GPU (exit 0), else the figures; exit 1 if a bit differs.
The market is made up and nasty: missing and empty bars, funding, jumps that liquidate, perpetuals and one spot.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.base.layout import Records, new_account_limits, new_limits
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import Costs, replay
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.sweep.result import Sweep

CAPITAL = Decimal(10_000)
COSTS = Costs(fee_bps=Decimal("4.5"), slippage_bps=Decimal(2), liquidation_fee_bps=Decimal(50))
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "XRP/USDT", "SOL/USDT:USDT", "DOGE/USDT:USDT")


def market(n_bars: int, n_symbols: int, seed: int = 1) -> Bars:
    """Random walks of 1h bars with two decimals; about 3 % of the bars missing, 3 % without volume, 4 % with a jump.

    Half of the jumps lie between a close and the next open, so that bars open beyond stops.
    """
    rng = np.random.default_rng(seed)
    symbols = SYMBOLS[:n_symbols]
    frame = pl.concat([_walk(symbol, n_bars, rng) for symbol in symbols])
    stamps = range(0, n_bars, 8)
    funding = pl.DataFrame({
        "ts": [FIRST + timedelta(hours=hour) for _ in symbols for hour in stamps],
        "symbol": [symbol for symbol in symbols for _ in stamps],
        "funding_rate": np.round(rng.normal(0, 0.0003, len(symbols) * len(stamps)), 6),
    })  # fmt: skip
    return Bars.from_frame(frame, interval="1h", instruments=[_instrument(s) for s in symbols], funding=funding)


def _instrument(symbol: str) -> Instrument:
    unit, lot = Decimal("0.01"), Decimal("0.0001")
    if ":" not in symbol:
        return Instrument(symbol=symbol, price_unit=unit, lot=lot)
    # five significant digits: the tick follows the price, as on Hyperliquid
    return Instrument(
        symbol=symbol, price_unit=unit, lot=lot, significant_digits=5, max_leverage=20,
        maintenance_margin_rate=Decimal("0.01"),
    )  # fmt: skip


def _walk(symbol: str, n_bars: int, rng: np.random.Generator) -> pl.DataFrame:
    jumps = np.where(rng.uniform(size=n_bars) < 0.04, rng.normal(0, 0.08, n_bars), 0.0)
    gaps = np.where(rng.uniform(size=n_bars) < 0.5, jumps, 0.0)
    pulled = np.zeros(n_bars)  # back to the start, so that a long walk stays in a price range
    steps = rng.normal(0, 0.01, n_bars) + jumps
    for t in range(1, n_bars):
        pulled[t] = 0.995 * pulled[t - 1] + steps[t]
    close = np.round(1_000 * np.exp(pulled), 2)
    open_ = np.round(np.r_[1_000, close[:-1]] * np.exp(gaps + rng.normal(0, 0.002, n_bars)), 2)
    frame = pl.DataFrame({
        "ts": [FIRST + timedelta(hours=hour) for hour in range(n_bars)],
        "symbol": [symbol] * n_bars,
        "open": open_,
        "high": np.round(np.maximum(open_, close) * (1 + rng.uniform(0.001, 0.008, n_bars)), 2),
        "low": np.round(np.minimum(open_, close) * (1 - rng.uniform(0.001, 0.008, n_bars)), 2),
        "close": close,
        "volume": np.where(rng.uniform(size=n_bars) < 0.03, 0.0, rng.uniform(1, 9, n_bars)),
    })  # fmt: skip
    kept = rng.uniform(size=n_bars) >= 0.03
    kept[[0, -1]] = True
    return frame.filter(kept)


def parameter_rows(n_rows: int, seed: int = 2) -> NDArray[Any]:
    """Rows of all four families in turn, with short look-backs, some with volatility targets and volume filters."""
    rng = np.random.default_rng(seed)
    return stack_params([_parameters(index % 4, rng) for index in range(n_rows)])


def _parameters(family: int, rng: np.random.Generator) -> np.record:
    short, long = int(rng.integers(3, 8)), int(rng.integers(8, 20))
    common = {
        "atr_length": int(rng.integers(3, 10)),
        "stop_atr": float(rng.choice([0.0, 1.5, 4.0])),
        "target_atr": float(rng.choice([0.0, 2.0])),
        "trail_atr": float(rng.choice([0.0, 2.5])),
        "max_hold_bars": int(rng.choice([0, 12])),
        "volatility_length": 10,
        "volatility_target": float(rng.choice([0.0, 0.6])),
        "volume_length": 8,
        "volume_ratio": float(rng.choice([0.0, 0.5])),
        "position_bps": int(rng.integers(2_000, 20_000)),
    }
    own: tuple[tuple[str, dict[str, float]], ...] = (
        ("momentum", {"momentum_lookback": long, "ema_slow": short}),
        ("breakout", {"channel_entry": long, "channel_exit": short}),
        ("reversion", {"rsi_length": short, "rsi_low": 45.0, "rsi_high": 55.0, "bollinger_length": long,
                       "bollinger_width": 0.8, "adx_length": short, "adx_threshold": 60.0}),
        ("ema_trend", {"ema_fast": short, "ema_slow": long, "adx_length": short, "adx_threshold": 15.0}),
    )  # fmt: skip
    name, values = own[family]
    return params_record(name, common | values, 3_600)


def loose_limits(n_symbols: int) -> tuple[Records, Records]:
    """Fifteen times leverage on perpetuals, so that jumps liquidate, and account limits that bind now and then."""
    limits, account_limits = new_limits(n_symbols), new_account_limits()
    limits.leverage_bps = [150_000 if ":" in symbol else 10_000 for symbol in SYMBOLS[:n_symbols]]
    limits.max_order_notional = limits.max_position_notional = 10**14
    account_limits.max_open_positions = max(n_symbols - 1, 1)
    account_limits.cooldown_seconds = 7_200
    return limits, account_limits


PARTS = ("tallies", "symbol_tallies", "accounts", "positions", "order_times", "day_equity", "net_equity")


def differences(swept: Sweep, row: int, result: Result) -> tuple[str, ...]:
    """Names of the parts in which row `row` is not to the bit what its replay gives; empty is equal."""
    replayed = Sweep.of_result(result, swept.rows[row], swept.capital, swept.contract)
    pairs = {part: (getattr(swept, part)[row], getattr(replayed, part)[0]) for part in PARTS}
    different = [part for part, (got, expected) in pairs.items() if got.tobytes() != expected.tobytes()]
    if swept.day_ends.tolist() != replayed.day_ends.tolist():
        different.append("day_ends")
    return tuple(different)


def check(n_rows: int, n_bars: int, n_symbols: int, n_compared: int) -> dict[str, Any]:
    """Figures of one run; `different` maps rows to the parts in which they differ from their replay."""
    name = cuda.device_name()
    bars, rows, (limits, account_limits) = market(n_bars, n_symbols), parameter_rows(n_rows), loose_limits(n_symbols)
    given: dict[str, Any] = {"capital": CAPITAL, "limits": limits, "account_limits": account_limits}
    cold, swept = _timed(lambda: cuda.sweep(bars, rows, COSTS, **given))
    warm, again = _timed(lambda: cuda.sweep(bars, rows, COSTS, **given))
    compared = np.linspace(0, n_rows - 1, min(n_compared, n_rows)).astype(int).tolist()
    replay(bars, rows[0], COSTS, **given)  # compiles
    cpu, results = _timed(lambda: [replay(bars, rows[row], COSTS, **given) for row in compared])
    different = {
        row: parts for row, result in zip(compared, results, strict=True) if (parts := differences(swept, row, result))
    }
    if again.content_hash != swept.content_hash:
        different["second run"] = ("content_hash",)
    return {
        "gpu": name, "rows": n_rows, "bars": n_bars, "symbols": n_symbols, "trades": int(swept.tallies.trades.sum()),
        "first_run_s": round(cold, 2), "second_run_s": round(warm, 2), "rows_bars_per_s": round(n_rows * n_bars / warm),
        "cpu_replay_rows_bars_per_s": round(len(compared) * n_bars / cpu), "compared": len(compared),
        "different": different,
    }  # fmt: skip


def _timed(work: Any) -> tuple[float, Any]:
    begun = time.perf_counter()
    done = work()
    return time.perf_counter() - begun, done


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("rows", 5_000), ("bars", 20_000), ("symbols", 5), ("compared", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    try:
        report = check(asked.rows, asked.bars, asked.symbols, asked.compared)
    except (cuda.CudaMissingError, cuda.CudaDeviceError) as missing:
        print(f"No GPU was measured: {missing}")
        print(json.dumps({"gpu": None, "reason": str(missing)}))
        return 0
    verdict = "equal to the bit" if not report["different"] else "DIFFERENT"
    print(f"{report['gpu']}: {report['rows_bars_per_s']:,} rows x bars per second; {report['compared']} rows {verdict}")
    print(json.dumps(report))
    return 1 if report["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
