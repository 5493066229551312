"""Given signals and whole sweeps against vectorbt and raptorbt: bars per second and core, after the trades are equal.

    python benchmarks/sweep.py [--quick]

PEERS_PYTHON names the interpreter of the peers' environment (`make bench` sets it); without it the ratios are null. The
last line is JSON.

Task A, signals given: one symbol of one-minute bars; entries and exits from two averages, fixed quantity, a stop of
one percent, fees, slippage. Out come equity at every bar, drawdown and trades. Task B, bars to scalars: rows of two
averages each, on an account with every limit checked; out come return, drawdown and trades of every row. All on one
core. In both a decision on a close fills at the next open. Then the size that a factory asks for: 5,000 rows over
500,000 bars, for the memory it takes beyond the bars.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from replay import LATER, Peer, timed

from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.base.layout import SIGNAL, WHOLE, new_account_limits
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.planned import plan_of
from openclaw_pipelines.kernel.run.replay import Costs, replay
from openclaw_pipelines.kernel.run.result import closed_trades
from openclaw_pipelines.kernel.strategy.batches import ema
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.sweep.given_signals import SignalRun, score_planned, score_signals
from openclaw_pipelines.kernel.sweep.sweep import sweep
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket

PEERS = {"vectorbt": "peer_sweep_vectorbt.py", "raptorbt": "peer_sweep_raptorbt.py"}
SYMBOL = "BTC/USDT:USDT"
START = datetime(2024, 1, 1, tzinfo=UTC)
SIGNAL_SPANS = (60, 240)
FASTS, SLOWS = (20, 25, 30, 40, 50, 60, 80, 100), (120, 150, 180, 210, 240, 300, 360, 480)
WARM_UP = 2_000
ROUNDS, TURN_SECONDS, TURN_RUNS = 5, 1.0, 3
"""Every engine takes its turn in each round, equally long and with so many runs at least, of which the median counts.

What another engine left in the caches is nobody's speed, and a processor that has slept while another engine had its
turn takes some 0.1 s to its full pace.
"""
COSTS = Costs(fee_bps=Decimal(4), slippage_bps=Decimal(1))
TASK = {"capital": 1_000_000.0, "fees": 0.0004, "slippage": 0.0001}
STOP, SHARE_BPS = 0.01, 500
NEAR = 2e-4
"""Prices may differ by this part: a stop hangs on the close at the decision here, on the fill in the peers."""

Fill = tuple[int, str, float]


def minutes(count: int) -> pl.DataFrame:
    """Bars of the embedded market, its few missing minutes closed up: the peers know no holes."""
    market = SimulatedMarket(seed=7)
    parts, at = [], START
    end = START + timedelta(minutes=count + count // 100)
    while at < end:
        until = min(at + timedelta(days=30), end)
        parts.append(market.candles(SYMBOL, "1m", at, until, LATER))
        at = until
    frame = pl.concat(parts).select("ts", "symbol", "open", "high", "low", "close", "volume").head(count)
    stamps = pl.datetime_range(START, START + timedelta(minutes=count - 1), "1m", time_unit="us", eager=True)
    # nor do they know bars without trades
    return frame.with_columns(stamps.alias("ts"), pl.col("volume").clip(lower_bound=1e-6))


def as_bars(frame: pl.DataFrame) -> Bars:
    """The project's bars, one cent the price unit."""
    spec = Instrument(symbol=SYMBOL, price_unit=Decimal("0.01"), lot=Decimal("0.001"), max_leverage=10)
    return Bars.from_frame(frame, interval="1m", instruments=[spec])


def crosses(frame: pl.DataFrame) -> pl.DataFrame:
    """The bars with signals of task A."""
    closes = frame["close"].to_numpy()
    above = ema(closes, SIGNAL_SPANS[0]) > ema(closes, SIGNAL_SPANS[1])
    changed = np.zeros(closes.size, np.bool_)
    changed[WARM_UP:] = above[WARM_UP:] != above[WARM_UP - 1 : -1]
    return frame.with_columns(entry=pl.Series(changed & above), exit=pl.Series(changed & ~above))


def fills_of(trades: pl.DataFrame) -> list[Fill]:
    """Fills of closed trades, entry and exit in turns."""
    fills: list[Fill] = []
    for trade in trades.sort("entry_at").iter_rows(named=True):
        fills.append((int(trade["entry_at"].timestamp()), "buy", float(trade["entry_price"])))
        fills.append((int(trade["exit_at"].timestamp()), "sell", float(trade["exit_price"])))
    return fills


def same_fills(ours: list[Fill], theirs: list[Fill], opens: dict[int, float]) -> tuple[int, int, int]:
    """How many fills agree in bar, side and price, how many differ by the one rule that is known, of how many.

    Where a bar brings both an exit decided at the close before it and the stop, the exit fills at the open here, before
    the stop can be reached; vectorbt, given one row per bar, takes the stop. Prices inside that bar then differ.
    """
    agreed = stop_first = 0
    for own, other in zip(ours, theirs, strict=False):
        if own[:2] == other[:2]:
            at_open = abs(own[2] - opens[own[0]] * (1 - TASK["slippage"])) <= NEAR * own[2]
            equal = abs(own[2] - other[2]) <= NEAR * own[2]
            agreed += equal
            stop_first += not equal and own[1] == "sell" and at_open and other[2] < own[2]
    return agreed, stop_first, max(len(ours), len(theirs))


def turn(run: Callable[[], tuple[float, Any]]) -> tuple[float, Any]:
    """Median seconds of the runs of one turn, and what the last of them found."""
    seconds: list[float] = []
    while len(seconds) < TURN_RUNS or sum(seconds) < TURN_SECONDS:
        spent, found = run()
        seconds.append(spent)
    return statistics.median(seconds), found


def against_peers(name: str, work: int, frame: pl.DataFrame, task: dict[str, Any], ours: Any, rounds: int) -> Any:
    """Every engine once cold, then in turns; prints a table and returns the ratios of the medians."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bars, given = Path(folder) / "bars.parquet", Path(folder) / "task.json"
        frame.with_columns(ts=pl.col("ts").dt.epoch("s")).write_parquet(bars)
        given.write_text(json.dumps({**TASK, **task, "bars": str(bars)}), encoding="utf-8")
        python, running = os.environ.get("PEERS_PYTHON"), {}
        for peer_name, script in PEERS.items() if python else ():
            running[peer_name] = peer = Peer(str(python), script, given)
            stack.enter_context(peer.process)
            stack.callback(peer.process.terminate)
        seconds: dict[str, list[float]] = {"openclaw": [], **{peer: [] for peer in running}}
        fills: dict[str, list[Fill]] = {}
        for n in range(rounds + 1):
            measured = turn if n else lambda run: run()  # the first run of all is the cold one
            spent, found = measured(lambda: timed(ours))
            seconds["openclaw"].append(spent)
            for peer_name, peer in running.items():
                spent, fills[peer_name] = measured(peer.run)
                seconds[peer_name].append(spent)
    own = fills_of(found())
    opens = dict(zip(frame["ts"].dt.epoch("s").to_list(), frame["open"].to_list(), strict=True))
    print(f"\n{name}: {len(own)} fills compared")
    ratios = {}
    mine = statistics.median(seconds["openclaw"][1:])
    for engine, spent in seconds.items():
        middle = statistics.median(spent[1:])
        agreed, stop_first, of = same_fills(own, fills.get(engine, own), opens)
        print(f"  {engine:10} {work / middle / 1e6:10.1f} M/s warm  {work / spent[0] / 1e6:10.1f} M/s cold"
              f"   fills equal {agreed} of {of}, {stop_first} take the stop before an exit at the open")  # fmt: skip
        ratios[engine] = (round(middle / mine, 1), agreed + stop_first == of)
    return ratios, work / mine


def task_signals(frame: pl.DataFrame, bars: Bars, rounds: int) -> Any:
    """Task A."""
    given = crosses(frame)
    entries, exits = given["entry"].to_numpy().copy(), given["exit"].to_numpy().copy()

    def ours() -> Any:
        run = score_signals(
            bars, entries, exits, stop_loss=STOP, costs=COSTS, qty=Decimal(1), capital=Decimal(1_000_000)
        )
        return lambda: run.trades

    task = {"kind": "signals", "stop": STOP}
    return against_peers("Task A, signals given", len(bars.times), given, task, ours, rounds)


def planned_vs_signals(frame: pl.DataFrame, bars: Bars, rounds: int) -> float:
    """Task A once more, as masks and as a plan of records, each with a stop of its own: masks' median over plan's."""
    given, terms = crosses(frame), {"costs": COSTS, "capital": Decimal(1_000_000)}
    entries, exits = given["entry"].to_numpy().copy(), given["exit"].to_numpy().copy()
    signals = np.zeros((len(bars.times), 1), SIGNAL).view(np.recarray)
    signals.side[:, 0], signals.leave_long[:, 0] = entries, exits
    signals.stop[:, 0] = np.where(entries, np.ceil(bars.matrices.close[:, 0] * STOP), 0)
    signals.size_bps, signals.part, signals.confidence = SHARE_BPS, WHOLE, WHOLE
    plan = plan_of(signals)
    engines: dict[str, Callable[[], SignalRun]] = {
        "masks": lambda: score_signals(bars, entries, exits, stop_loss=STOP, position_bps=SHARE_BPS, **terms),
        "plan": lambda: score_planned(bars, plan, **terms),
    }
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    fills: dict[str, list[tuple[int, int]]] = {}
    for _ in range(rounds):
        for name, engine in engines.items():
            spent, run = turn(lambda engine=engine: timed(engine))
            seconds[name].append(spent)
            fills[name] = [(int(event.at), int(event.price)) for event in run.events]
    assert fills["masks"] == fills["plan"]
    masks, planned = (statistics.median(spent) for spent in seconds.values())
    print(f"\nTask A as a plan of records: {len(fills['plan'])} fills equal, {masks / planned:.2f} of the masks' pace")
    return round(masks / planned, 2)


def rows_of(pairs: list[tuple[int, int]], **more: Any) -> Any:
    """Parameter rows of two averages."""
    own = {"adx_threshold": 0.0, "stop_atr": 0.0, "target_atr": 0.0, "trail_atr": 0.0, "allow_short": False,
           "entry_window_bars": 1, "position_bps": 2_000, **more}  # fmt: skip
    return stack_params([params_record("ema_trend", {"ema_fast": f, "ema_slow": s, **own}, 60) for f, s in pairs])


def all_limits() -> dict[str, Any]:
    """Every limit of the account looked at, none so tight that it changes a trade."""
    account = new_account_limits()
    account.max_daily_loss_bps, account.max_drawdown_bps, account.max_leverage_bps = 9_000, 9_900, 50_000
    account.max_open_positions, account.price_buffer_bps = 5, 50
    return {"account_limits": account, "capital": Decimal(1_000_000), "start": WARM_UP}


def task_sweep(frame: pl.DataFrame, bars: Bars, rounds: int) -> Any:
    """Task B."""
    pairs = [(fast, slow) for fast in FASTS for slow in SLOWS]
    rows = rows_of(pairs)

    def ours() -> Any:
        found = sweep(bars, rows, COSTS, threads=1, **all_limits())
        assert found.tallies.trades.min() > 0

        def trades() -> pl.DataFrame:
            return closed_trades(bars, replay(bars, rows.view(np.recarray)[0], COSTS, **all_limits()).events)

        return trades

    task = {"kind": "sweep", "rows": pairs, "warm_up": WARM_UP, "shown": 0}
    return against_peers("Task B, bars to scalars", len(bars.times) * len(pairs), frame, task, ours, rounds)


def peak_mb(*, afresh: bool = False) -> float:
    """The process's peak of resident memory, or, afresh, what is resident now, from where the peak is counted again."""
    if afresh:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # see proc(5)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1_024


def factory_size(bars: Bars, n_rows: int) -> dict[str, Any]:
    """Many rows over all bars: rows x bars per second and core, and memory beyond the bars."""
    rng = np.random.default_rng(1)
    fast, slow = rng.choice(FASTS, n_rows).tolist(), rng.choice(SLOWS, n_rows).tolist()
    rows = np.concatenate([
        rows_of([pair], stop_atr=float(rng.uniform(4, 12)), trail_atr=float(rng.choice([0.0, 15.0])),
                adx_threshold=float(rng.uniform(0, 15)), allow_short=True)
        for pair in zip(fast, slow, strict=True)
    ])  # fmt: skip
    before = peak_mb(afresh=True)
    seconds, found = timed(lambda: sweep(bars, rows, COSTS, threads=1, **all_limits()))
    grown_mb = peak_mb() - before
    rate = n_rows * len(bars.times) / seconds
    trades = int(found.tallies.trades.sum())
    print(f"\n{n_rows:,} rows x {len(bars.times):,} bars: {rate / 1e6:.1f} M/s, {trades:,} trades, {grown_mb:.0f} MB")
    return {"rows_bars_per_s_core": round(rate), "peak_mb_beyond_bars": round(grown_mb), "hash": found.content_hash}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Given signals and sweeps, compared with peers.")
    parser.add_argument("--quick", action="store_true", help="few bars and rows, to see that it works")
    quick = parser.parse_args().quick
    frame = minutes(30_000 if quick else 500_000)
    bars = as_bars(frame)
    part = frame.head(60_000)
    signals, signal_rate = task_signals(frame, bars, 2 if quick else ROUNDS)
    swept, sweep_rate = task_sweep(part, as_bars(part), 2 if quick else ROUNDS)
    figures: dict[str, Any] = {}
    for name, ratios in (("signals", signals), ("sweep", swept)):
        figures |= {f"{name}_vs_{peer}": ratios.get(peer, (None,))[0] for peer in PEERS}
    equal = [same for ratios in (signals, swept) for _, same in ratios.values()]
    figures |= {"signals_bars_per_s": round(signal_rate), "sweep_rows_bars_per_s": round(sweep_rate)}
    figures["planned_vs_signals"] = planned_vs_signals(frame, bars, 2 if quick else ROUNDS)
    figures |= factory_size(bars, 50 if quick else 5_000)
    figures["trades_equal"] = all(equal) if os.environ.get("PEERS_PYTHON") else None
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
