"""A market that is unkind in every way, with limits that bind: what tests of agreement between engines trade on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.kernel.base.layout import new_account_limits, new_limits
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import Costs

SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT")
FIRST = datetime(2025, 5, 9, 22, 13, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COSTS = Costs(fee_bps=Decimal(3), slippage_bps=Decimal(2), liquidation_fee_bps=Decimal(10))


def rough_bars(n_bars: int = 2_000, seed: int = 3, *, late: int = 0) -> Bars:
    """Two perpetuals and a spot market with holes, bars without volume or beginning, funding and violent moves.

    Some are funded at opens and inside bars; for stretches a symbol is outside the universe or refused by a code.
    late: bars by which each symbol is listed later than the one before it.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for number, symbol in enumerate(SYMBOLS):
        moves = rng.normal(0, 0.003, n_bars) + rng.choice([0, 0.08, -0.08], n_bars, p=[0.994, 0.003, 0.003])
        close = 1_000 * np.exp(np.cumsum(moves))
        open_ = np.r_[1_000, close[:-1]] * (1 + rng.normal(0, 0.0005, n_bars))
        frame = pl.DataFrame({
            "ts": [FIRST + i * MINUTE for i in range(n_bars)],
            "symbol": [symbol] * n_bars,
            "open": open_.round(2),
            "high": (np.maximum(open_, close) * (1 + rng.uniform(0, 0.002, n_bars))).round(2) + 0.01,
            "low": (np.minimum(open_, close) * (1 - rng.uniform(0, 0.002, n_bars))).round(2) - 0.01,
            "close": close.round(2),
            "volume": np.where(rng.random(n_bars) < 0.01, 0.0, rng.exponential(10, n_bars)),
            "has_open": rng.random(n_bars) > 0.02,
        })  # fmt: skip
        present = rng.random(n_bars) > 0.01
        present[[0, -1]] = True
        present[1 : late * number] = False
        frames.append(frame.filter(pl.Series(present)))
    inside = timedelta(seconds=20)
    stamps = [(FIRST + i * MINUTE + i % 3 * inside, name) for i in range(0, n_bars, 49) for name in SYMBOLS[:2]]
    funding = pl.DataFrame(
        {"ts": [ts for ts, _ in stamps], "symbol": [name for _, name in stamps],
         "funding_rate": rng.normal(0, 3e-4, len(stamps))}
    )  # fmt: skip
    stretches = np.arange(n_bars) // 60
    universe = {name: rng.random(stretches[-1] + 1)[stretches] > 0.1 for name in SYMBOLS}
    controls = {
        name: np.where(rng.random(stretches[-1] + 1)[stretches] < 0.1, RejectCode.GAP, 0).astype(np.int8)
        for name in SYMBOLS
    }
    return Bars.from_frame(pl.concat(frames), interval="1m", funding=funding, universe=universe, controls=controls)


def rough_limits(max_position_bps: int) -> dict:
    """Every limit that the kernel knows at work on the three symbols."""
    per_symbol, account = new_limits(3), new_account_limits()
    per_symbol.leverage_bps, per_symbol.max_position_bps = np.array([200_000, 150_000, 10_000]), max_position_bps
    account.max_daily_loss_bps, account.max_drawdown_bps, account.cooldown_seconds = 2_000, 9_000, 120
    account.max_leverage_bps, account.max_orders_per_window, account.window_seconds = 80_000, 10, 3_600
    account.price_buffer_bps = 20
    return {"limits": per_symbol, "account_limits": account}
