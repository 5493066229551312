"""What the work around a tick costs as symbols, strategies and history grow: processor time, bytes written, memory.

    python benchmarks/growth.py [--quick] [--symbols 5,20] [--strategies 1,5,10] [--days 5,90,365] [--plots FOLDER]

A history of hourly bars is recorded by the runner, day by day, of the simulated market or, where symbols grow, of an
archive; at each length of it the figures are taken, on a copy where taking them would write. `exponents` are slopes
between the smallest and the largest size in logarithms: 0 is flat, 1 grows alike. The last line is JSON.
"""

import argparse
import json
import math
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import polars as pl
import yaml
from bench_archive import write_archive
from bench_project import INSTANCE, Project

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.processes.ticker import Ticker
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.market.instruments_file import venue_instruments
from openclaw_pipelines.resources.store import hold
from openclaw_pipelines.resources.store.hold import Hold, let_go
from openclaw_pipelines.resources.store.store import Store, insert
from openclaw_pipelines.resources.world import World, open_world
from openclaw_pipelines.services.evaluation.evaluator import Evaluator
from openclaw_pipelines.services.evaluation.verifying import recorded_days, verify_strategy
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.runner import Runner

FIRST, HISTORY = date(2024, 3, 1), 12
"""First day of trading, and days of market data before it."""
HOUR = timedelta(hours=1)
FAMILIES = ("momentum", "breakout", "reversion", "ema_trend")
COMMITTED = ("autopilot_ticks", "tick_inputs", "autopilot_equity", "autopilot_positions")
COMMITS, TICKS, REPEATS = 200, 6, 7


@dataclass
class Spent:
    """Processor seconds and bytes that this process wrote, in a block."""

    cpu: float = 0.0
    written: int = 0


@dataclass
class Figures:
    """By what was measured and its unit, and by size: `backfill_ms` of 5, 90 and 365 days."""

    by_size: dict[str, dict[int, float]] = field(default_factory=dict)

    def add(self, name: str, size: int, value: float) -> None:
        """Keep one value."""
        self.by_size.setdefault(name, {})[size] = round(value, 3)

    def exponents(self) -> dict[str, float]:
        """Slope from the smallest to the largest size."""
        found = {}
        for name, own in self.by_size.items():
            small, large = min(own), max(own)
            if small < large and own[small] > 0 and own[large] > 0:
                found[name] = round(math.log(own[large] / own[small]) / math.log(large / small), 2)
        return found


@contextmanager
def spending() -> Iterator[Spent]:
    """What a block costs."""
    spent, cpu, before = Spent(), time.process_time(), written()
    yield spent
    spent.cpu, spent.written = time.process_time() - cpu, written() - before


def written() -> int:
    """Bytes that this process has sent to disks so far."""
    with open("/proc/self/io", encoding="ascii") as counters:  # noqa: PTH123 - a kernel file
        return int(next(line for line in counters if line.startswith("write_bytes")).split()[1])


def most_memory() -> int:
    """Most bytes that this process has held; what getrusage says begins with its parent's."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - a kernel file
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024


def grown_project(folder: Path, symbols: int, strategies: int, archived_days: int | None) -> Project:
    """Configuration of hourly strategies over perpetuals, with an instance of its own.

    archived_days: trade on an archive of so many days, which has as many symbols as are asked for; else simulated.
    """
    chosen = tuple(name for name in venue_instruments("simulated") if name.endswith(":USDT"))[:symbols]
    market: dict[str, object] = {"source": "simulated"}
    if archived_days is not None:
        archive = folder / "growth_usdm"
        chosen = tuple(write_archive(archive, symbols, FIRST - HISTORY * DAY, HISTORY + archived_days))
        market = {"source": "archive", "archive_dir": str(archive)}
    config = {
        "data_dir": str(folder / "data"),
        "market": {**market, "symbols": list(chosen), "intervals": ["1h"], "first_day": FIRST - HISTORY * DAY},
        "universe": {"max_symbols": symbols, "min_age_days": 0, "lookback_days": 1},
        "risk": {"max_open_positions": 5, "max_orders_per_window": 60},
        "strategies": {
            f"{FAMILIES[n % len(FAMILIES)]}_{n}": {
                "family": FAMILIES[n % len(FAMILIES)], "interval": "1h", "start_day": FIRST, "capital": 100_000,
                "max_catch_up_ticks": 10_000,
            }
            for n in range(strategies)
        },
    }  # fmt: skip
    project = Project(folder, chosen)
    file = Path(project.environment["OPENCLAW_CONFIG"])
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (folder / "dagster").mkdir()
    shutil.copy(INSTANCE, folder / "dagster" / "dagster.yaml")
    os.environ.update(project.environment)
    return project


class History:
    """A ledger that grows by days."""

    def __init__(self, folder: Path, symbols: int, strategies: int, archived_days: int | None = None) -> None:
        folder.mkdir(parents=True)
        self.project = grown_project(folder, symbols, strategies, archived_days)
        self.clock = ReplayedClock(day_start(FIRST.isoformat()))
        self.world = open_world(self.clock)
        self.days = 0
        Ingest.of(self.world).instruments(self.clock.now())
        for n in range(HISTORY):
            self._market(f"{FIRST - (HISTORY - n) * DAY}")

    @property
    def strategies(self) -> list[str]:
        """Names."""
        return list(self.world.settings().strategies)

    def day(self, n: int) -> str:
        """The n-th day of trading, from 0."""
        return f"{FIRST + n * DAY}"

    def _market(self, day: str) -> None:
        end = day_start(day) + DAY
        Ingest.of(self.world).candles_day(day, end)
        Ingest.of(self.world).funding_day(day, end)
        compute_features(self.world, day)

    def grow(self, days: int) -> list[tuple[Spent, Spent]]:
        """Record further days; what the market and the strategies of each cost."""
        costs = []
        for n in range(self.days, days):
            day = self.day(n)
            self.clock.set(day_start(day) + DAY)
            with spending() as market:
                self._market(day)
            with spending() as trading:
                for name in self.strategies:
                    Runner.of(self.world).run_day(name, day, live=False)
                    Evaluator.of(self.world).outcomes(name, day)
            costs.append((market, trading))
            if n % 30 == 29:
                print(f"  {n + 1} days", file=sys.stderr)
        self.days = days
        return costs

    @contextmanager
    def copied(self) -> Iterator[World]:
        """The same store once more, for what would change it."""
        own = dict(os.environ)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "copy"
            let_go()  # at rest: a log may move while it is copied
            shutil.copytree(self.project.folder, folder)
            config = folder / "config" / "autopilot.yaml"
            config.write_text(config.read_text().replace(str(self.project.folder), str(folder)))
            os.environ.update(Project(folder, self.project.symbols).environment)
            os.sync()
            yield open_world(ReplayedClock(self.clock.now()))
            os.environ.update(own)


def committed(world: World, strategy: str) -> tuple[float, float]:
    """Milliseconds and bytes of a commit of one more row in four tables, over as many as make their log move once."""
    newest = world.ledger(strategy).newest_tick()
    rows = {name: world.ledger(strategy).rows(name, newest - HOUR, newest).head(1) for name in COMMITTED}  # type: ignore[operator]
    later = [
        {name: own.with_columns(pl.col("tick_at") + n * HOUR) for name, own in rows.items() if own.height}
        for n in range(1, COMMITS + 2)
    ]
    with patch.object(hold, "LOG_BYTES", 0):
        with world.store.write("ledger"):
            pass
        let_go()  # what was recorded before is in the file, and the log is empty
    with world.store.write("ledger") as con:  # the first opens what the others keep
        for name, own in later[0].items():
            insert(con, name, own, validated=True)
    with spending() as spent:
        for one in later[1:]:
            with world.store.write("ledger") as con:
                for name, own in one.items():
                    insert(con, name, own, validated=True)
        let_go()
    return spent.cpu / COMMITS * 1e3, spent.written / COMMITS


@contextmanager
def store_writing() -> Iterator[Spent]:
    """Bytes that the store writes in a block: in its transactions, and when it lets go of a file."""
    spent, busy = Spent(), threading.Lock()

    @contextmanager
    def counted() -> Iterator[None]:
        if not busy.acquire(blocking=False):
            yield  # inside another one
            return
        try:
            with spending() as own:
                yield
            spent.written += own.written
        finally:
            busy.release()

    write, close = Store.write, Hold._let_go

    @contextmanager
    def counted_write(self: Store, database: str) -> Iterator[Any]:
        with counted(), write(self, database) as con:
            yield con

    def counted_close(self: Hold, **how: bool) -> None:
        with counted():
            close(self, **how)

    with patch.object(Store, "write", counted_write), patch.object(Hold, "_let_go", counted_close):
        yield spent


def ticked(history: History) -> dict[str, float]:
    """Milliseconds and kilobytes of a resident tick of all strategies, Dagster's among them and without."""
    costs, stored = [], []
    with history.copied() as world, dg.DagsterInstance.get() as instance:
        ticker = Ticker(world, instance)
        ticker.start()
        at = world.clock.now()
        for _ in range(TICKS + 1):
            at += HOUR
            world.clock.set(at)  # type: ignore[attr-defined]
            with store_writing() as own, spending() as spent:
                done = ticker.tick(at)
                let_go()
            if done.failures or sorted(done.strategies) != sorted(history.strategies):
                raise SystemExit(f"the tick of {at.isoformat()} was not taken: {done.failures}")
            costs.append(spent)
            stored.append(own.written)
    return {
        "tick_ms": statistics.median(one.cpu for one in costs[1:]) * 1e3,
        "tick_kb": statistics.median(one.written for one in costs[1:]) / 1e3,
        "tick_store_kb": statistics.median(stored[1:]) / 1e3,
    }


def measure(history: History, figures: Figures, size: int, costs: list[tuple[Spent, Spent]]) -> None:
    """All figures of a history as it stands."""
    symbols, strategies = len(history.project.symbols), len(history.strategies)
    last = costs[-min(5, len(costs)) :]
    figures.add("market_ms_per_symbol_day", size, statistics.median(m.cpu for m, _ in last) * 1e3 / symbols)
    figures.add("backfill_ms_per_strategy_day", size, statistics.median(t.cpu for _, t in last) * 1e3 / strategies)
    day, first = history.day(history.days - 1), history.strategies[0]
    evaluator = Evaluator.of(history.world)
    figures.add("metrics_ms_per_strategy_day", size, _median_ms(lambda: evaluator.metrics(first, day)))
    figures.add("report_ms", size, _median_ms(lambda: evaluator.report(day)))
    days = recorded_days(history.world, first, None, None)
    with spending() as spent:
        if verify_strategy(history.world, first, days).differences:
            raise SystemExit("the recorded history does not verify")
    figures.add("verify_ms_per_strategy_day", size, spent.cpu * 1e3 / len(days))
    with history.copied() as world:
        cpu, bytes_ = committed(world, first)
    figures.add("commit_ms", size, cpu)
    figures.add("commit_kb", size, bytes_ / 1e3)
    for name, value in ticked(history).items():
        figures.add(name, size, value)
    files = sum(path.stat().st_size for path in (history.project.folder / "data").glob("*.duckdb*"))
    figures.add("store_mb", size, files / 1e6)
    figures.add("peak_mb", size, most_memory() / 1e6)


def _median_ms(call: Callable[[], object]) -> float:
    costs = []
    for _ in range(REPEATS):
        with spending() as spent:
            call()
        costs.append(spent.cpu)
    return statistics.median(costs) * 1e3


def grown(folder: Path, days: list[int], symbols: int, strategies: int) -> Figures:
    """Figures of one ledger at several lengths."""
    figures, history = Figures(), History(folder, symbols, strategies)
    for size in days:
        print(f"{size} days, {symbols} symbols, {strategies} strategies", file=sys.stderr)
        measure(history, figures, size, history.grow(size))
    return figures


def widened(folder: Path, sizes: list[int], days: int, *, of: str, others: int) -> Figures:
    """Figures of ledgers that differ in the number of symbols, or of strategies, each in a process of its own."""
    figures = Figures()
    context = multiprocessing.get_context("spawn")
    for size in sizes:
        symbols, strategies = (size, others) if of == "symbols" else (others, size)
        print(f"{days} days, {symbols} symbols, {strategies} strategies", file=sys.stderr)
        with ProcessPoolExecutor(1, context) as pool:  # its most memory is that of this size alone
            found = pool.submit(measured_once, folder / f"{of}_{size}", days, symbols, strategies, of).result()
        for name, value in found.items():
            figures.add(name, size, value)
    return figures


def measured_once(folder: Path, days: int, symbols: int, strategies: int, of: str) -> dict[str, float]:
    """Figures of one ledger at one length, by name."""
    warnings.filterwarnings("ignore")
    figures = Figures()
    history = History(folder, symbols, strategies, days + 1 if of == "symbols" else None)
    measure(history, figures, days, history.grow(days))
    return {name: own[days] for name, own in figures.by_size.items()}


def plotted(found: dict[str, Figures], folder: Path) -> None:
    """A picture per axis: processor time, and bytes and memory, each figure over its value at the smallest size."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    folder.mkdir(parents=True, exist_ok=True)
    for axis, figures in found.items():
        drawing = Figure(figsize=(12, 4.5), layout="constrained")
        for panel, title in zip(drawing.subplots(1, 2), ("processor time", "bytes and memory"), strict=True):
            shown = {
                name: own
                for name, own in figures.by_size.items()
                if ("_ms" in name) == (title == "processor time") and own[min(own)] > 0
            }
            for n, (name, own) in enumerate(shown.items()):
                times = [value / own[min(own)] for value in own.values()]
                panel.plot(list(own), times, marker="osD^vP*"[n % 7], label=name)
            panel.set(
                xscale="log", yscale="log", xlabel=axis, title=title, ylabel="times the value at the smallest size"
            )
            panel.set_xticks(list(next(iter(shown.values()))))
            for one in (panel.xaxis, panel.yaxis):
                one.set_major_formatter(ScalarFormatter())
            panel.xaxis.set_minor_formatter(NullFormatter())
            panel.yaxis.set_minor_formatter(ScalarFormatter())
            panel.legend(fontsize=8)
            panel.grid(alpha=0.3, which="both")
        drawing.savefig(folder / f"growth_{axis}.png", dpi=90)


def main() -> None:
    """Measure and print."""

    def sizes(text: str) -> list[int]:
        return sorted(int(one) for one in text.split(","))

    parser = argparse.ArgumentParser(description="What the work around a tick costs as everything grows.")
    parser.add_argument("--quick", action="store_true", help="two and three days, one and two strategies and symbols")
    parser.add_argument("--symbols", type=sizes, default=[5, 20, 60])
    parser.add_argument("--strategies", type=sizes, default=[1, 5, 10])
    parser.add_argument("--days", type=sizes, default=[5, 90, 365])
    parser.add_argument("--only", choices=("days", "symbols", "strategies"), help="one of the axes")
    parser.add_argument("--plots", type=Path, help="folder for a picture per axis")
    options = parser.parse_args()
    if options.quick:
        options.symbols, options.strategies, options.days = [2, 3], [1, 2], [2, 3]
    warnings.filterwarnings("ignore")
    middle = {"symbols": options.symbols[0], "strategies": options.strategies[len(options.strategies) // 2]}
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only in (None, "days"):
            found["days"] = grown(folder / "days", options.days, middle["symbols"], middle["strategies"])
        if options.only in (None, "symbols"):
            found["symbols"] = widened(folder, options.symbols, options.days[0], of="symbols", others=1)
        if options.only in (None, "strategies"):
            found["strategies"] = widened(
                folder, options.strategies, options.days[0], of="strategies", others=middle["symbols"]
            )
    if options.plots:
        plotted(found, options.plots)
    taken_at = datetime.now(UTC)
    print(f"measured on {taken_at:%Y-%m-%d}: {middle}", file=sys.stderr)
    print(json.dumps({axis: {**own.by_size, "exponents": own.exponents()} for axis, own in found.items()}))


if __name__ == "__main__":
    main()
