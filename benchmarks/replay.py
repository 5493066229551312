"""Candle import against polars, and replay against backtesting.py and nautilus_trader, on the same bars.

    python benchmarks/replay.py [--quick]

PEERS_PYTHON names the interpreter of the peers' environment (`make bench` sets it); without it only our own figures
are measured and the ratios to the peers are null. The last line is JSON.

The replay task: one symbol of one-minute bars, two exponential averages of the close, spans 20 and 50. The fast one
crossing above the slow one on a closed bar buys at the next open, crossing below sells at the next open; long or flat,
no costs, first decision after 1,000 bars, by when the engines' ways to start an average no longer differ. Timed is from
bars in the engine's own memory to the list of trades: averages, signals, simulation.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import Costs
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.run.simulate import simulate_signals
from openclaw_pipelines.kernel.strategy.batches import ema
from openclaw_pipelines.resources.market.archive.source import ArchiveMarket
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket
from openclaw_pipelines.resources.store import market_appends
from openclaw_pipelines.resources.store.store import Store

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared" / "data" / "binance_spot" / "BTC-USDT_1m_20250601_20250701.parquet"
PEERS = {"backtesting": "peer_backtesting.py", "nautilus": "peer_nautilus.py"}
SYMBOL = "BTC/USDT"
SIMULATED_START = datetime(2025, 6, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
FAST, SLOW, WARM_UP = 20, 50, 1_000
ROUNDS = 5

Fill = tuple[int, str, float]
"""Open of the bar in seconds since the epoch, buy or sell, price."""


@dataclass
class Timings:
    """Seconds of one engine: the first run of its process, and the interleaved ones after it."""

    cold: float = 0.0
    warm: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Middle of the warm runs."""
        return statistics.median(self.warm)


# ---- the bars


def month_of_minutes(folder: Path, *, days: int | None) -> Path:
    """A month of one-minute bars as the archive reads them: the shared recording, else the simulated market.

    days: only that many, for a quick run.
    """
    target = folder / "binance_spot" / "BTC-USDT_1m.parquet"
    target.parent.mkdir()
    if SHARED.exists():
        frame = pl.read_parquet(SHARED)
    else:
        end = SIMULATED_START + timedelta(days=days or 30)
        bars = SimulatedMarket(seed=1).candles(SYMBOL, "1m", SIMULATED_START, end, LATER)
        frame = bars.select("ts", "symbol", "open", "high", "low", "close", "volume")
    if days is not None:
        frame = frame.head(days * 1_440)
    frame.write_parquet(target)
    return target


# ---- import


def import_candles(source: Path, folder: Path) -> int:
    """Archive to a new store: read, check, validate, write first-write-wins; returns the rows written."""
    market = ArchiveMarket(source.parent)
    bars = market.candles(SYMBOL, "1m", datetime(2000, 1, 1, tzinfo=UTC), LATER, LATER)
    return market_appends.append_candles(Store(folder), bars, LATER).inserted


def read_with_polars(source: Path) -> int:
    """Read the whole file; returns its rows."""
    return pl.read_parquet(source).height


def time_import(source: Path, folder: Path, rounds: int) -> tuple[Timings, Timings]:
    """Import and plain reading, in turns; each import goes into a store that exists and is empty."""
    ours, polars = Timings(), Timings()
    for n in range(rounds + 1):
        store = folder / f"store_{n}"
        Store(store).query("market", "SELECT 1")
        for timings, run in (
            (ours, lambda store=store: import_candles(source, store)),
            (polars, lambda: read_with_polars(source)),
        ):
            keep(timings, n, timed(run)[0])
    return ours, polars


# ---- replay


def ema_cross(bars: Bars, closes: np.ndarray) -> Result:
    """The task by the public API: averages by `batches.ema`, fills by `simulate_signals`."""
    above = ema(closes, FAST) > ema(closes, SLOW)
    crossed = np.zeros(closes.size, np.bool_)
    crossed[WARM_UP:] = above[WARM_UP:] != above[WARM_UP - 1 : -1]
    result = simulate_signals(bars, crossed & above, crossed & ~above, costs=Costs(fee_bps=Decimal(0)))
    _ = result.trades
    return result


def fills_of(result: Result) -> list[Fill]:
    """Fills of the closed round trips."""
    fills: list[Fill] = []
    for trade in result.trades.iter_rows(named=True):
        fills.append((int(trade["entry_at"].timestamp()), "buy", float(trade["entry_price"])))
        exit_bar = int(trade["exit_at"].timestamp())
        fills.append((exit_bar, "sell", float(trade["exit_price"])))
    return fills


class Peer:
    """A peer's process, which prepares the bars once and then runs when told to."""

    def __init__(self, python: str, script: str, task: Path) -> None:
        command = [python, "-W", "ignore", str(HERE / "peers" / script), str(task)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.prepare_s = self._answer()["prepare_s"]

    def run(self) -> tuple[float, list[Fill]]:
        """Seconds as the peer measured them, and its fills."""
        assert self.process.stdin is not None
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        answer = self._answer()
        return answer["seconds"], [(at, side, price) for at, side, price in answer["trades"]]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended without an answer; its error is above.")
        return dict(json.loads(line))


@contextmanager
def peers(task: Path) -> Iterator[dict[str, Peer]]:
    """The peers' processes, ended afterwards."""
    python = os.environ.get("PEERS_PYTHON")
    with ExitStack() as stack:
        running = {}
        for name, script in PEERS.items() if python else ():
            running[name] = peer = Peer(python, script, task)
            stack.enter_context(peer.process)
            stack.callback(peer.process.terminate)
        yield running


def digits_of(bars: Bars) -> int:
    """Decimals of the prices."""
    exponent = bars.instruments[0].price_unit.as_tuple().exponent
    return max(0, -int(exponent))


def time_replay(source: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Every engine once cold, then `rounds` times in turns; compares the fills."""
    frame = pl.read_parquet(source)
    frame = frame.with_columns(pl.lit(SYMBOL).alias("symbol"))
    prepare_s, bars = timed(lambda: Bars.from_frame(frame, interval="1m"))
    closes = frame["close"].to_numpy()
    if closes.size != len(bars.times):
        raise SystemExit("The bars have holes, which the engines treat differently. Choose another month.")
    task = folder / "task.json"
    given = {"bars": str(source), "fast": FAST, "slow": SLOW, "warm_up": WARM_UP, "price_digits": digits_of(bars)}
    task.write_text(json.dumps(given), encoding="utf-8")
    ours, fills = Timings(), {}
    with peers(task) as others:
        theirs = {name: Timings() for name in others}
        for n in range(rounds + 1):
            seconds, result = timed(lambda: ema_cross(bars, closes))
            keep(ours, n, seconds)
            for name, peer in others.items():
                seconds, fills[name] = peer.run()
                keep(theirs[name], n, seconds)
        prepared = {"openclaw": prepare_s, **{name: peer.prepare_s for name, peer in others.items()}}
    compared = {name: compare(fills_of(result), own, digits_of(bars)) for name, own in fills.items()}
    return {
        "bars": len(bars.times), "timings": {"openclaw": ours, **theirs}, "compared": compared, "prepared": prepared,
        "fills": len(fills_of(result)), "hash": result.content_hash,
    }  # fmt: skip


def compare(ours: list[Fill], theirs: list[Fill], digits: int) -> tuple[int, int]:
    """How many of the fills agree in bar, side and price, and how many there are; an open position counts for none."""
    rounded = [(at, side, round(price, digits)) for at, side, price in theirs]
    rounded = rounded[: len(rounded) // 2 * 2]
    own = [(at, side, round(price, digits)) for at, side, price in ours]
    return len(set(own) & set(rounded)), max(len(own), len(rounded))


# ---- measuring and showing


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and what it returned."""
    started = time.perf_counter()
    result = run()
    return time.perf_counter() - started, result


def keep(timings: Timings, round_number: int, seconds: float) -> None:
    """The first round is the cold one."""
    if round_number == 0:
        timings.cold = seconds
    else:
        timings.warm.append(seconds)


def show_replay(replayed: dict[str, Any]) -> dict[str, Any]:
    """Print a table; returns the figures of the last line."""
    timings, bars = replayed["timings"], replayed["bars"]
    print(f"\nEMA cross {FAST}/{SLOW} over {bars:,} bars, {replayed['fills']} fills. Bars per second:")
    for name, own in timings.items():
        agreed, of = replayed["compared"].get(name, (replayed["fills"], replayed["fills"]))
        print(
            f"  {name:12} {bars / own.median:>14,.0f} warm {bars / own.cold:>14,.0f} cold "
            f"   fills equal: {agreed} of {of}   preparing the bars: {replayed['prepared'][name]:.3f} s"
        )
    ours = timings["openclaw"]
    ratios = {
        f"replay_vs_{name}": round(timings[name].median / ours.median, 1) if name in timings else None for name in PEERS
    }
    equal = [agreed == of for agreed, of in replayed["compared"].values()]
    return {
        "replay_bars_per_s": round(bars / ours.median), "replay_cold_bars_per_s": round(bars / ours.cold), **ratios,
        "trades_equal": all(equal) if equal else None,
        "fills": replayed["fills"], "bars": bars, "hash": replayed["hash"],
    }  # fmt: skip


def show_import(rows: int, ours: Timings, polars: Timings) -> dict[str, Any]:
    """Print both; returns the figures of the last line."""
    print(f"Import of {rows:,} candles, archive Parquet to store, median of {len(ours.warm)}:")
    for name, own in (("openclaw", ours), ("polars", polars)):
        print(f"  {name:12} {own.median * 1_000:9.1f} ms warm {own.cold * 1_000:9.1f} ms cold")
    return {
        "import_vs_polars": round(ours.median / polars.median, 1),
        "import_rows_per_s": round(rows / ours.median),
        "import_s": round(ours.median, 4),
        "polars_read_s": round(polars.median, 5),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Candle import and replay, compared with peers.")
    parser.add_argument("--quick", action="store_true", help="two days and two rounds, to see that it works")
    quick = parser.parse_args().quick
    rounds, days = (2, 2) if quick else (ROUNDS, None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = month_of_minutes(folder, days=days)
        rows = read_with_polars(source)
        print(f"bars: {'../shared/data' if SHARED.exists() else 'simulated market'}, {rows:,} minutes of {SYMBOL}")
        figures = show_import(rows, *time_import(source, folder, rounds))
        figures |= show_replay(time_replay(source, folder, rounds))
    if figures["trades_equal"] is None:
        print("No peers were compared: PEERS_PYTHON is not set.")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
