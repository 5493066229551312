"""Random signal sets over bars with planted gaps, what another engine is given for them, and how its trades compare.

`agreement.py` drives the other engines with these sets and stores their trades; `tests/kernel/test_agreement.py` builds
the same sets again and compares `simulate_signals` with what was stored. All prices are whole price units.

Every rule in which an engine differs is either kept out of its input or recognised in its trades, and counted by name:
see `Differences` and `explained`. The names are those of the table in `docs/candle-rules.md`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.enums import ExitReason, Leg
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.account.risk import distance_units
from openclaw_pipelines.kernel.base.layout import EventKind
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import Costs
from openclaw_pipelines.kernel.run.simulate import simulate_signals
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket

SEED = 20_250_504
BARS_PER_SET = 600
REAL_SETS, EMBEDDED_SETS = 200, 40
REAL = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "BNB-USDT")
EMBEDDED = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
EMBEDDED_START = datetime(2025, 6, 1, tzinfo=UTC)
EXITS_OF = {
    "vectorbt": (("stop",), ("trail",), ("stop", "target"), ("trail", "target")),
    "backtesting": (("stop",), ("target",), ("stop", "target")),
}
"""Which distances the sets of an engine have, in turns."""
CAPITAL = Decimal(10_000_000)
_SIMULATED_NAMES = {"stop": "stop_loss", "target": "take_profit", "trail": "trailing_stop"}


class Trade(NamedTuple):
    """A closed round trip: bars of the set's grid, prices in units, side 1 long and -1 short."""

    entry_bar: int
    side: int
    entry_price: int
    exit_bar: int
    exit_price: int


@dataclass(frozen=True)
class SignalSet:
    """One set. Prices [T, 4] open, high, low, close in units; `missing` and `silent` (no volume) [T] booleans."""

    engine: str
    number: int
    symbol: str
    prices: np.ndarray
    missing: np.ndarray
    silent: np.ndarray
    longs: np.ndarray
    shorts: np.ndarray
    leave: np.ndarray
    fractions: dict[str, float]
    counts: Counter[str]

    @property
    def fillable(self) -> np.ndarray:
        """[T] bars that fill orders."""
        return ~(self.missing | self.silent)

    def distance(self, name: str, row: int) -> int:
        """Units of a distance decided at the close of bar `row`; 0 for none."""
        return distance_units(self.fractions.get(name, 0.0) * float(self.prices[row, 3]))


# ---- the bars


def real_files(shared: Path) -> list[Path]:
    """One-minute and five-minute bars of the five symbols."""
    folder = shared / "binance_usdm"
    return [path for name in REAL for width in ("1m", "5m") for path in folder.glob(f"{name}_{width}_*.parquet")]


@cache
def real_prices(path: Path) -> np.ndarray:
    """[T, 4] in units of the finest decimal of the file."""
    return in_units(pl.read_parquet(path))


@cache
def embedded_prices(symbol: str) -> np.ndarray:
    """Five days of the embedded market, its absent minutes closed up."""
    end = EMBEDDED_START + timedelta(days=5)
    return in_units(SimulatedMarket(seed=1).candles(symbol, "1m", EMBEDDED_START, end, end))


def in_units(frame: pl.DataFrame) -> np.ndarray:
    """Open, high, low, close as whole units of the finest decimal."""
    values = frame.select("open", "high", "low", "close").to_numpy()
    digits = next(d for d in range(9) if np.abs(np.rint(values * 10**d) - values * 10**d).max() < 1e-4)
    return np.asarray(np.rint(values * 10**digits), np.int64)


def sources(market: str, shared: Path | None) -> list[tuple[str, Any]]:
    """Names and price loaders of a market, `real` or `embedded`."""
    if market == "embedded":
        return [(symbol, lambda symbol=symbol: embedded_prices(symbol)) for symbol in EMBEDDED]
    assert shared is not None
    return [(path.stem.split("_")[0], lambda path=path: real_prices(path)) for path in real_files(shared)]


# ---- the sets


def signal_sets(engine: str, market: str, shared: Path | None = None) -> Iterator[SignalSet]:
    """All sets of an engine over a market, the same in every process."""
    choice = sources(market, shared)
    for number in range(REAL_SETS if market == "real" else EMBEDDED_SETS):
        rng = np.random.default_rng([SEED, len(engine), number])
        symbol, load = choice[number % len(choice)]
        whole = load()
        start = int(rng.integers(0, len(whole) - BARS_PER_SET))
        yield make_set(engine, number, symbol, whole[start : start + BARS_PER_SET], rng)


def make_set(engine: str, number: int, symbol: str, prices: np.ndarray, rng: np.random.Generator) -> SignalSet:
    """Plant gaps into the bars, draw signals and distances, and keep out what the engine cannot be told."""
    n = len(prices)
    missing, silent = plant_holes(n, rng)
    prices = plant_jumps(prices, rng)
    longs, shorts, leave = (rng.random(n) < share for share in (0.05, 0.05, 0.04))
    names = EXITS_OF[engine][number % len(EXITS_OF[engine])]
    fractions = {name: float(rng.choice((0.0015, 0.003, 0.006, 0.012))) for name in names}
    made = SignalSet(engine, number, symbol, prices, missing, silent, longs, shorts, leave, fractions, Counter())
    keep_out(made)
    return made


def plant_holes(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Six runs of one to five missing bars and six single bars without volume, apart from each other."""
    missing, silent = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for slot, row in enumerate(np.linspace(20, n - 40, 12).astype(int) + rng.integers(0, 20, 12)):
        if slot % 2:
            silent[row] = True
        else:
            missing[row : row + int(rng.integers(1, 6))] = True
    return missing, silent


def plant_jumps(prices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At twelve bars all later prices move by 0.1 to 1.5 % at once, so that bars open beyond stops and targets."""
    factor = np.ones(len(prices))
    for row in rng.integers(10, len(prices), 12):
        factor[row:] *= 1 + float(rng.choice((-1, 1)) * rng.uniform(0.001, 0.015))
    moved = np.asarray(np.rint(prices * factor[:, None]), np.int64)
    moved[:, 1], moved[:, 2] = moved.max(axis=1), moved.min(axis=1)
    return moved


def keep_out(made: SignalSet) -> None:
    """Clear the signals that an engine would read by other rules, and count them by the name of the difference."""
    both = made.leave & (made.longs | made.shorts)
    made.counts["entry and exit signal on one bar"] += int(both.sum())
    made.leave[both] = False
    for row in np.flatnonzero(made.silent):
        if made.longs[row - 1] or made.shorts[row - 1] or made.leave[row - 1]:
            made.counts["signal while an exit may be carried"] += int(made.longs[row] or made.shorts[row])
            made.longs[row] = made.shorts[row] = False
    if made.engine == "backtesting":
        made.counts["signal on the first bar"] += int(made.longs[0] or made.shorts[0])
        made.longs[0] = made.shorts[0] = False
        keep_out_unaskable(made)


def keep_out_unaskable(made: SignalSet) -> None:
    """Entries that backtesting.py refuses: their stop or target, from the next open, is beyond the last close."""
    rows = np.flatnonzero(made.fillable)
    for last, row in pairwise(rows):
        decided = row - 1
        side = int(made.longs[decided]) - int(made.shorts[decided])
        if side == 0 or made.missing[decided]:
            continue
        price, close = int(made.prices[row, 0]), int(made.prices[last, 3])
        stop, target = made.distance("stop", decided), made.distance("target", decided)
        if (stop and side * (price - side * stop) >= side * close) or (
            target and side * (price + side * target) <= side * close
        ):
            made.counts["order refused: its stop or target is beyond the last close"] += 1
            made.longs[decided] = made.shorts[decided] = False


# ---- what the other engine is given


def acting_rows(made: SignalSet) -> pl.DataFrame:
    """The bars that fill, each with the orders that fill at its open.

    Columns: set, bar, open, high, low, close; long, short: enter; exit_long, exit_short: leave what is held; stop,
    target, trail: distances of an entry here, 0 for none. An entry waits for no bar but the next; an exit does.
    """
    n = len(made.prices)
    columns = {name: np.zeros(n, np.bool_) for name in ("long", "short", "exit_long", "exit_short")}
    distances = {name: np.zeros(n, np.int64) for name in ("stop", "target", "trail")}
    fillable = np.flatnonzero(made.fillable)
    for row in np.flatnonzero(made.longs | made.shorts | made.leave):
        at = int(fillable[np.searchsorted(fillable, row + 1)]) if row < fillable[-1] else n
        if made.missing[row]:
            made.counts["signal on a missing bar"] += 1
        elif made.longs[row] and made.shorts[row]:
            made.counts["long and short signal on one bar"] += 1
        elif at < n:
            act(made, row, at, columns, distances)
    rows = pl.DataFrame({
        "set": np.full(n, made.number), "bar": np.arange(n),
        **{name: made.prices[:, i] for i, name in enumerate(("open", "high", "low", "close"))}, **columns, **distances,
    })  # fmt: skip
    return rows.filter(pl.Series(made.fillable))


def act(made: SignalSet, row: int, at: int, columns: dict[str, np.ndarray], distances: dict[str, np.ndarray]) -> None:
    """Write the signals of bar `row` to the bar whose open they act at."""
    side = int(made.longs[row]) - int(made.shorts[row])
    columns["exit_long"][at] |= made.leave[row] or side < 0
    columns["exit_short"][at] |= made.leave[row] or side > 0
    if side != 0 and at == row + 1:
        columns["long" if side > 0 else "short"][at] = True
        for name in distances:
            distances[name][at] = made.distance(name, row)
    elif at > row + 1:
        made.counts["order at a bar that fills nothing"] += 1


def digest(frames: list[pl.DataFrame]) -> str:
    """Sha256 of what an engine was given, so that stored trades are compared with the sets that they came from."""
    content = hashlib.sha256()
    for frame in frames:
        content.update(np.ascontiguousarray(frame.cast(pl.Int64).to_numpy()).astype("<i8").tobytes("C"))
    return content.hexdigest()


# ---- our trades


def our_trades(made: SignalSet) -> list[Trade]:
    """Trades of `simulate_signals` at unit size; a position that is open at the end is none."""
    first = EMBEDDED_START
    stamps = [first + timedelta(minutes=int(row)) for row in range(len(made.prices))]
    prices = {name: made.prices[:, i].astype(float) for i, name in enumerate(("open", "high", "low", "close"))}
    frame = pl.DataFrame({"ts": stamps, "symbol": "X/USDT:USDT", **prices, "volume": np.where(made.silent, 0.0, 1.0)})
    spec = Instrument(symbol="X/USDT:USDT", price_unit=Decimal(1), lot=Decimal("0.001"))
    bars = Bars.from_frame(frame.filter(pl.Series(~made.missing)), interval="1m", instruments=[spec])
    result = simulate_signals(
        bars, made.longs, made.leave, short_entries=made.shorts, costs=Costs(fee_bps=Decimal(0)), capital=CAPITAL,
        qty=Decimal("0.001"), **{_SIMULATED_NAMES[name]: value for name, value in made.fractions.items()},
    )  # fmt: skip
    return round_trips(result.events, int(first.timestamp()))


def round_trips(events: Any, first: int) -> list[Trade]:
    """Pair entry and exit fills of one symbol."""
    fills = events[events.kind == EventKind.FILL]
    return [
        Trade(
            int(enter.at - first) // 60,
            int(enter.side),
            int(enter.price),
            int(leave.at - first) // 60,
            int(leave.price),
        )
        for enter, leave in pairwise(fills)
        if enter.leg == Leg.ENTRY and ExitReason(int(leave.reason)) is not ExitReason.NONE
    ]


# ---- comparing


class Differences(NamedTuple):
    """Outcome for one set: trades equal in bar and price, named differences, trades that followed one, and the rest."""

    agreed: int
    named: Counter[str]
    unexplained: list[tuple[Trade | None, Trade | None]]


def compare(made: SignalSet, ours: list[Trade], theirs: list[Trade]) -> Differences:
    """Walk both lists in order of entry. After a named difference the engines hold different positions for a while."""
    outcome = Differences(0, Counter(), [])
    agreed, apart = 0, False
    mine, other = {t.entry_bar: t for t in ours}, {t.entry_bar: t for t in theirs}
    for bar in sorted(mine.keys() | other.keys()):
        a, b = mine.get(bar), other.get(bar)
        if a == b:
            agreed, apart = agreed + 1, False
            continue
        name = explained(made, a, b) if a and b else ""
        if name:
            outcome.named[name] += 1
        elif apart:
            outcome.named["trades that follow from another exit"] += 1
        else:
            outcome.unexplained.append((a, b))
        apart = apart or bool(name)
    return outcome._replace(agreed=agreed)


def explained(made: SignalSet, ours: Trade, theirs: Trade) -> str:
    """Name of the rule by which two trades of one entry differ, told from the bars alone; empty for none.

    An engine that is given the open as a row of its own has seen it before the bar's extremes.
    """
    if made.engine != "vectorbt" or ours[:3] != theirs[:3] or theirs.exit_bar > ours.exit_bar:
        return ""
    side, row = ours.side, theirs.exit_bar
    opened = int(made.prices[row, 0])
    held = np.flatnonzero(made.fillable[ours.entry_bar : row]) + ours.entry_bar
    trail, target = (made.distance(name, ours.entry_bar - 1) for name in ("trail", "target"))
    if trail and len(held):
        peak = max(side * int(made.prices[r, 1 if side > 0 else 2]) for r in held)
        if side * opened > peak and theirs.exit_price == opened - side * trail:
            return "trailing stop raised by the open"
    if target and theirs.exit_price == opened and side * opened >= side * (ours.entry_price + side * target):
        return "target beyond the open, stop in the same bar"
    return ""


# ---- what is stored


def load_facts(folder: Path) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Stored trades and what they came from."""
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return pl.read_parquet(folder / "trades.parquet"), facts


def rows_of(made: SignalSet, trades: list[Trade]) -> list[dict[str, int]]:
    """Trades to store: prices as distances from the open of their bar, so that no market data is stored."""
    opens = made.prices[:, 0]
    return [
        {
            "set": made.number,
            **trade._replace(
                entry_price=trade.entry_price - int(opens[trade.entry_bar]),
                exit_price=trade.exit_price - int(opens[trade.exit_bar]),
            )._asdict(),
        }
        for trade in trades
    ]


def stored_trades(stored: pl.DataFrame, made: SignalSet, market: str) -> list[Trade]:
    """The engine's trades of one set, as `rows_of` stored them."""
    chosen = stored.filter(pl.col("engine") == made.engine, pl.col("market") == market, pl.col("set") == made.number)
    opens = made.prices[:, 0]
    trades = [Trade(*(int(value) for value in row)) for row in chosen.select(Trade._fields).iter_rows()]
    return [
        trade._replace(
            entry_price=trade.entry_price + int(opens[trade.entry_bar]),
            exit_price=trade.exit_price + int(opens[trade.exit_bar]),
        )
        for trade in trades
    ]
