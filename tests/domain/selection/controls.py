"""Negative controls: strategies that are biased on purpose, their honest twins, and searches with and without an edge.

Each biased strategy has one column that must be named when it is caught.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from openclaw_pipelines.domain.selection.strategy_columns import bar_times
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params

FIRST = datetime(2025, 5, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOUR_SECONDS = 3_600
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT")


def walk_frame(n_bars: int, symbols: tuple[str, ...] = SYMBOLS, seed: int = 1) -> pl.DataFrame:
    """Hourly random walk with two decimals from 2025-05-05; some bars trade nothing."""
    rng = np.random.default_rng(seed)
    frames = []
    for symbol in symbols:
        close = np.round(1_000 * np.exp(np.cumsum(rng.normal(0, 0.01, n_bars))), 2)
        open_ = np.round(np.r_[1_000, close[:-1]] * np.exp(rng.normal(0, 0.001, n_bars)), 2)
        frames.append(pl.DataFrame({
            "ts": [FIRST + hour * HOUR for hour in range(n_bars)],
            "symbol": [symbol] * n_bars,
            "open": open_,
            "high": np.round(np.maximum(open_, close) * (1 + rng.uniform(0.001, 0.006, n_bars)), 2),
            "low": np.round(np.minimum(open_, close) * (1 - rng.uniform(0.001, 0.006, n_bars)), 2),
            "close": close,
            "volume": np.where(rng.uniform(size=n_bars) < 0.03, 0.0, 5.0),
        }))  # fmt: skip
    return pl.concat(frames)


def walk_bars(n_bars: int, symbols: tuple[str, ...] = SYMBOLS, seed: int = 1, **options) -> Bars:
    return Bars.from_frame(walk_frame(n_bars, symbols, seed), interval="1h", **options)


def flat_bars(*closes: float, symbol: str = "X/USDT:USDT", funding: pl.DataFrame | None = None) -> Bars:
    """Hourly bars that open at the close before and reach no further; unit 1, lot 1, no fee."""
    opens = [closes[0], *closes[:-1]]
    frame = pl.DataFrame({
        "ts": [FIRST + hour * HOUR for hour in range(len(closes))], "symbol": symbol, "open": opens,
        "high": np.maximum(opens, closes).astype(float), "low": np.minimum(opens, closes).astype(float),
        "close": [float(close) for close in closes], "volume": 1.0,
    }).with_columns(pl.col("open").cast(pl.Float64))  # fmt: skip
    spec = Instrument(symbol=symbol, price_unit=Decimal(1), lot=Decimal(1), taker_fee_rate=Decimal(0),
                      max_leverage=10 if ":" in symbol else 1)  # fmt: skip
    return Bars.from_frame(frame, interval="1h", instruments=[spec], funding=funding)


# --- strategies ---------------------------------------------------------------------------------------------------


def of_closes(**columns: Callable[[np.ndarray], np.ndarray]) -> Callable[[Bars], pl.DataFrame]:
    """A strategy whose columns are functions of each symbol's closes [T]."""

    def strategy(bars: Bars) -> pl.DataFrame:
        frames = []
        for number, symbol in enumerate(bars.symbols):
            close = bars.matrices.close[:, number].astype(np.float64)
            values = {name: column(close) for name, column in columns.items()}
            frames.append(pl.DataFrame({"bar_at": bar_times(bars), "symbol": [symbol] * len(close), **values}))
        return pl.concat(frames)

    return strategy


def momentum(close: np.ndarray) -> np.ndarray:
    return np.r_[np.full(3, np.nan), close[3:] / close[:-3] - 1]


def next_return(close: np.ndarray) -> np.ndarray:
    return np.r_[close[1:] / close[:-1] - 1, np.nan]


def centred_average(close: np.ndarray) -> np.ndarray:
    mean = np.full(len(close), np.nan)
    mean[2:-2] = np.convolve(close, np.ones(5) / 5, "valid")
    return mean


def over_sample_mean(close: np.ndarray) -> np.ndarray:
    return close / close.mean()


def forming_4h_close(close: np.ndarray) -> np.ndarray:
    """Close of the 4h bar that each hour belongs to, before it has closed."""
    bucket = np.arange(len(close)) // 4
    last = np.searchsorted(bucket, bucket, side="right") - 1
    return close[last]


def closed_4h_close(close: np.ndarray) -> np.ndarray:
    """Close of the newest 4h bar that has closed with the hour."""
    last = (np.arange(len(close)) + 1) // 4 * 4 - 1
    return np.where(last >= 0, close[last], np.nan)


def buys_before_rises(close: np.ndarray) -> np.ndarray:
    return np.r_[close[1:] > close[:-1], False]


def seeded_average(span: int) -> Callable[[np.ndarray], np.ndarray]:
    """Exponential average that starts from the first close."""

    def column(close: np.ndarray) -> np.ndarray:
        alpha, mean, means = 2 / (span + 1), close[0], []
        for value in close:
            mean += alpha * (value - mean)
            means.append(mean)
        return np.array(means)

    return column


BIASED = {
    "next_return": of_closes(momentum=momentum, next_return=next_return),
    "centred_average": of_closes(momentum=momentum, centred_average=centred_average),
    "over_sample_mean": of_closes(momentum=momentum, over_sample_mean=over_sample_mean),
    "forming_4h_close": of_closes(closed=closed_4h_close, forming_4h_close=forming_4h_close),
    "buys_before_rises": of_closes(momentum=momentum, buys_before_rises=buys_before_rises),
}
"""Biased column -> a strategy that has it beside an honest one."""


# --- searches -----------------------------------------------------------------------------------------------------


def noise(rows: int, days: int, seed: int) -> np.ndarray:
    """Daily returns [R, D] of a search among strategies without an edge."""
    return np.random.default_rng(seed).normal(0.0, 0.01, (rows, days))


def planted(rows: int, days: int, seed: int, *, skilled: int = 20, daily_sharpe: float = 0.8) -> np.ndarray:
    """The same, where the first `skilled` rows trade one true edge, each in its own way."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0, 0.01, (rows, days))
    shared = rng.normal(0.0, 0.01, days)
    returns[:skilled] = 0.6 * returns[:skilled] + 0.8 * shared + daily_sharpe * 0.01
    return returns


# --- markets ------------------------------------------------------------------------------------------------------


def trending_bars(n_bars: int, seed: int, *, symbols: tuple[str, ...] = SYMBOLS, drift: float = 0.4) -> Bars:
    """A walk whose every step leans one way for three days, then perhaps the other: an edge for whoever follows it."""
    rng = np.random.default_rng(seed)
    frames = []
    for symbol in symbols:
        lean = np.repeat(rng.choice([-1.0, 1.0], n_bars // 72 + 1), 72)[:n_bars]
        close = np.round(1_000 * np.exp(np.cumsum(rng.normal(0, 0.005, n_bars) + 0.005 * drift * lean)), 2)
        open_ = np.r_[1_000, close[:-1]]
        frames.append(pl.DataFrame({
            "ts": [FIRST + hour * HOUR for hour in range(n_bars)], "symbol": [symbol] * n_bars, "open": open_,
            "high": np.round(np.maximum(open_, close) * 1.001, 2), "low": np.round(np.minimum(open_, close) * 0.999, 2),
            "close": close, "volume": 5.0,
        }))  # fmt: skip
    return Bars.from_frame(pl.concat(frames), interval="1h")


def parameter_rows() -> np.ndarray:
    """75 parameter rows of all four families."""
    wanted = [
        ("breakout", {"channel_entry": e, "channel_exit": x, "stop_atr": s, "trail_atr": t, "volume_ratio": 0.0})
        for e in (6, 12, 24, 48, 72) for x in (3, 6) for s in (1.5, 3.0) for t in (2.0, 4.0)
    ]  # fmt: skip
    wanted += [
        ("ema_trend", {"ema_fast": f, "ema_slow": s, "adx_threshold": a})
        for f in (3, 6, 12) for s in (24, 48, 96) for a in (10.0, 20.0)
    ]  # fmt: skip
    wanted += [
        ("reversion", {"rsi_low": r, "rsi_high": 100.0 - r, "bollinger_width": w})
        for r in (25.0, 35.0, 45.0) for w in (1.0, 1.5, 2.0)
    ]  # fmt: skip
    wanted += [("momentum", {"momentum_lookback": m, "ema_slow": s}) for m in (12, 24, 48, 96) for s in (12, 48)]
    return stack_params([params_record(family, values, HOUR_SECONDS) for family, values in wanted])
