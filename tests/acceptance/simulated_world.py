"""A world from one seed: clock, exchange and disk go wrong, the process is killed, and the ledger must be right.

The exchange is a local HTTP server that the real ccxt client asks; the store, the runner and the ticker's own loop are
the program's. Simulated are the time, which nobody waits for, and the moments at which something goes wrong: the local
clock steps and drifts, pages are refused, cut, short, late or contradict themselves, writes fail, and the process dies
between any two statements, from the first one on.
"""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import polars as pl
import yaml
from exchange_server import Bar, ExchangeServer, Fault, ms
from wire_markets import smallest_markets

from openclaw_pipelines.commands.verify import recorded_days, verify_strategy
from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.time import DAY, day_start, partition_of
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.jobs import CYCLE_LIVE, INSTRUMENTS, MARKET_DAY
from openclaw_pipelines.processes.ticker import Partition, Ticker, attempted
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.market.ccxt.client import Backoff
from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket
from openclaw_pipelines.resources.store.comparison import trades_hash
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.settings import Settings, load_settings

START = day_start("2025-05-10")
LENGTH = timedelta(hours=2)
END = START + 15 * LENGTH
"""The last tick that counts; midnight lies between."""
STRATEGY = "momentum_2h"
LOOKS = (0, 2, 9, 35, 64, 130, 260, 1_000, 4_000)
"""Seconds after the close of a bar at which the ticker looks what is due; it looks more often in earnest."""
CONFIG: dict[str, Any] = {
    "market": {
        "source": "ccxt",
        "exchange": "binance",
        "symbols": ["BTC/USDT:USDT", "BTC/USDT"],
        "intervals": ["2h"],
        "first_day": "2025-05-08",
        "max_retries": 1,
    },
    "universe": {"lookback_days": 1, "min_age_days": 0},
    "risk": {"max_daily_loss_bps": 5_000, "max_drawdown_bps": 9_000},
    "strategies": {
        STRATEGY: {
            "family": "momentum",
            "interval": "2h",
            "start_day": "2025-05-10",
            "params": {"momentum_lookback": 2, "ema_slow": 2, "atr_length": 2, "stop_atr": 1.0, "volatility_length": 2},
        }
    },
}


class KilledError(BaseException):
    """The process dies here; nothing of the program catches it."""


@dataclass
class Fates:
    """What goes wrong at one of the next steps of the process: statements, commits and requests are counted."""

    kill_in: int | None = None
    disk_error_in: int | None = None

    def step(self, *, writes: bool) -> None:
        """One step; raises what was due at it."""
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                self.kill_in = None
                raise KilledError
        if writes and self.disk_error_in is not None:
            self.disk_error_in -= 1
            if self.disk_error_in < 0:
                self.disk_error_in = None
                raise duckdb.IOException("IO Error: Could not write file: No space left on device")


class Writing:
    """A connection whose statements are steps."""

    def __init__(self, con: Any, fates: Fates) -> None:
        self._con, self._fates = con, fates

    def execute(self, *args: Any) -> Any:
        self._fates.step(writes=True)
        return self._con.execute(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)


@dataclass(frozen=True)
class FragileStore(Store):
    """The store on a disk that fills up, in a process that may die at every statement, before and after a commit."""

    fates: Fates = field(default_factory=Fates, kw_only=True)

    @contextmanager
    def write(self, database: str) -> Iterator[Any]:
        with super().write(database) as con:
            yield Writing(con, self.fates)
            self.fates.step(writes=True)
        self.fates.step(writes=False)


class SlowMarket(CcxtMarket):
    """The real client on a line that takes its time; each request is a step of the process."""

    world: "SimulatedWorld"

    def candles(self, *args: Any) -> pl.DataFrame:
        self.world.pass_seconds(self.world.seconds_there)
        self.world.fates.step(writes=False)
        rows = super().candles(*args)
        self.world.pass_seconds(self.world.seconds_back)
        return rows


class PlainTicker(Ticker):
    """The ticker without Dagster's book-keeping: its jobs call what their assets call, in the same order."""

    def __init__(self, world: World) -> None:
        self.world, self._chosen, self._asked, self.jittered = world, None, {}, world.clock.real

    def _know(self, strategy: str) -> None:
        """No partitions without an instance."""

    def _run(self, job: str, partition: Partition) -> str | None:
        try:
            self._perform(job, partition)
        except OpenclawError as error:
            return f"{type(error).__name__}: {error}"
        return None

    def _perform(self, job: str, partition: Partition) -> None:
        ingest, clock = Ingest.of(self.world), self.world.clock
        if job == INSTRUMENTS:
            ingest.instruments(clock.now())
        elif job == CYCLE_LIVE:
            day, strategy = str(partition).split("|")
            Runner.of(self.world).run_day(strategy, day, live=True)
        else:
            first, last = partition if isinstance(partition, tuple) else (str(partition), str(partition))
            count = (day_start(last) - day_start(first)) // DAY + 1
            days = [f"{day_start(first) + n * DAY:%Y-%m-%d}" for n in range(count)]
            for day in days:
                (ingest.candles_day if job == MARKET_DAY else ingest.candles_since)(day, clock.now())
            for day in days:
                ingest.funding_day(day, clock.now())
            for day in days if job == MARKET_DAY else ():
                compute_features(self.world, day)


@dataclass
class LocalClock:
    """This machine's clock: wrong by an offset and by a drift since it was set."""

    world: "SimulatedWorld"
    offset: timedelta = timedelta(0)
    drift: float = 0.0
    set_at: datetime = START
    real: ClassVar[bool] = True

    def now(self) -> datetime:
        return self.world.now + self.offset + self.drift * (self.world.now - self.set_at)

    def turn(self, offset: timedelta, drift: float) -> None:
        self.offset, self.drift, self.set_at = offset, drift, self.world.now


@dataclass(frozen=True)
class Outcome:
    """How a world ended. kind: `equal`, `named` or `stopped`, else `wrong`. why: what is different."""

    kind: str
    why: str = ""


class SimulatedWorld:
    """One life from one seed; None for one in which nothing goes wrong."""

    def __init__(self, folder: Path, seed: int | None) -> None:
        self.folder, self.chance, self.seed = folder, random.Random(seed), seed
        self.server = ExchangeServer(START, smallest_markets())
        self.server.funding_hours = 1
        self.fates, self.clock = Fates(), LocalClock(self)
        self.seconds_there = self.seconds_back = 0.0
        self.late: dict[int, datetime] = {}
        self.failures: list[str] = []
        self.told: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    # ---- time

    @property
    def now(self) -> datetime:
        """The true time, which is the exchange's."""
        return self.server.now

    def pass_seconds(self, seconds: float) -> None:
        """Time goes on, and bars that were held back until now come out."""
        self.server.now += timedelta(seconds=seconds)
        for ts in [ts for ts, until in self.late.items() if until <= self.now]:
            self.server.absent.discard(ts)
            del self.late[ts]

    # ---- the process

    def open(self) -> PlainTicker:
        """A new process on the same folder."""
        path = self.folder / "autopilot.yaml"
        options = self.server.options("binance")
        tree = {**CONFIG, "data_dir": str(self.folder / "data")}
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")

        def settings() -> Settings:
            return load_settings({}, path=path)

        market = SlowMarket("binance", options=options, max_retries=1, backoff=Backoff(sleep=self.pass_seconds))
        market.world = self
        store = FragileStore(self.folder / "data", fates=self.fates)
        return PlainTicker(World(settings, store, market, self.clock, PaperExecutor()))

    def live(self) -> "SimulatedWorld":
        """From the first second to the last tick, then on until nothing is due or nothing moves."""
        with self.server:
            ticker: PlainTicker | None = None
            for closed in (START + n * LENGTH for n in range(16)):
                for seconds in LOOKS:
                    self.pass_seconds(max(0.0, (closed - self.now).total_seconds() + seconds))
                    if self.seed is not None:
                        self._tempt(closed)
                    ticker = self._look(ticker)
            self._heal()
            for _ in range(30):
                self.pass_seconds(125)
                ticker = self._look(ticker)
        return self

    def _look(self, ticker: PlainTicker | None) -> PlainTicker | None:
        """What the process does at one time; None when it was killed."""
        try:
            if ticker is None:
                ticker = self.open()
                unknown = Ingest.of(ticker.world).unknown_instruments()
                failure = ticker._run(INSTRUMENTS, None) if unknown else None
                self.failures = [failure] if failure else []
                if failure:
                    return None
            found = attempted(ticker, self.clock.now())
        except KilledError:
            self.told.append(f"{self.now:%d %H:%M:%S} killed")
            return None
        except OpenclawError as error:
            self.failures = [f"{type(error).__name__}: {error}"]
            return None
        if found.failures:
            self.failures = [str(failure) for failure in found.failures]
            self.told += [f"{self.now:%d %H:%M:%S} {failure!s:.150}" for failure in found.failures]
        return ticker

    # ---- what goes wrong

    def _tempt(self, closed: datetime) -> None:
        """Something may go wrong before the next look, and what went wrong may be over."""
        self.server.change, self.seconds_there, self.seconds_back = list, 0.0, 0.0
        if self.chance.random() < 0.3:
            self.server.faults.clear()
            self.server.page_cap = None
        if self.chance.random() < 0.4:
            evil = self.chance.choice(self._evils())
            self.told.append(f"{self.now:%d %H:%M:%S} {evil.__name__}")
            evil(closed)

    def _evils(self) -> list[Callable[[datetime], None]]:
        exchange = [self._refuse, self._garble, self._shorten, self._slow, self._contradict, self._hold_back]
        return [*exchange, self._fill_disk, self._kill, self._kill, self._step, self._step, self._drift, self._set]

    def _refuse(self, closed: datetime) -> None:
        status = self.chance.choice([500, 502, 429, 403, None])
        kind = self.chance.choice(["candles", "funding", "markets"])
        self.server.fail(*[Fault(status=status)] * self.chance.randint(1, 6), kind=kind)

    def _garble(self, closed: datetime) -> None:
        fault = self.chance.choice([Fault(body=b"<html>soon</html>"), Fault(body=b"{}"), Fault(cut_to=30)])
        self.server.fail(*[fault] * self.chance.randint(1, 4), kind=self.chance.choice(["candles", "funding"]))

    def _shorten(self, closed: datetime) -> None:
        self.server.page_cap = self.chance.randint(1, 7)

    def _slow(self, closed: datetime) -> None:
        self.seconds_there, self.seconds_back = self.chance.uniform(0, 40), self.chance.uniform(0, 40)

    def _contradict(self, closed: datetime) -> None:
        other = self.chance.choice([{"close": "20000.5", "volume": "1"}, {"ts": 60_000}, {"open": "nothing"}])

        def lie(bars: list[Bar]) -> list[Bar]:
            told = {name: bars[-1].ts + value if name == "ts" else value for name, value in other.items()} if bars else {}
            return [*bars, bars[-1]._replace(**told)] if bars else bars

        self.server.change = lie

    def _hold_back(self, closed: datetime) -> None:
        """The bar that closes next comes late: before its deadline, or after."""
        ts = ms(closed)
        self.late[ts] = closed + LENGTH + timedelta(seconds=self.chance.choice([20, 45, 100, 600, 5_000]))
        self.server.absent.add(ts)

    def _fill_disk(self, closed: datetime) -> None:
        self.fates.disk_error_in = self.chance.randint(0, 40)

    def _kill(self, closed: datetime) -> None:
        self.fates.kill_in = self.chance.randint(0, 60)

    def _step(self, closed: datetime) -> None:
        hours = self.chance.choice([-26, -6, -0.1, -0.005, 0.002, 0.008, 0.1, 2, 6, 26])
        self.clock.turn(timedelta(hours=hours), 0.0)

    def _drift(self, closed: datetime) -> None:
        self.clock.turn(self.clock.offset, self.chance.uniform(-2e-3, 2e-3))

    def _set(self, closed: datetime) -> None:
        self.clock.turn(timedelta(0), 0.0)

    def _heal(self) -> None:
        self.server.faults.clear()
        self.server.page_cap, self.server.change = None, list
        self.seconds_there = self.seconds_back = 0.0
        self.fates.kill_in = self.fates.disk_error_in = None
        self.clock.turn(timedelta(0), 0.0)
        self.failures = []

    # ---- what came of it

    @property
    def store(self) -> Store:
        return Store(self.folder / "data")

    def inputs(self) -> dict[datetime, dict[str, Any]]:
        """Recorded bars and masks of each tick that counts; the inception has the bars of the warm-up."""
        rows = self.store.query(
            "ledger", "SELECT tick_at, bars, masks FROM tick_inputs WHERE tick_at <= ? ORDER BY tick_at", [END]
        )
        return {at: {"bars": _flat(json.loads(bars)), "masks": json.loads(masks)} for at, bars, masks in rows.iter_rows()}

    def universes(self) -> list[tuple[Any, ...]]:
        """What the universes were ranked on, regimes out of the features included."""
        columns = "as_of, selected, candidates"
        return self.store.query("ledger", f"SELECT {columns} FROM autopilot_universe_snapshots ORDER BY 1").rows()

    def traded(self, end: datetime) -> str:
        """Hash of what was traded up to a tick."""
        return trades_hash(self.store, "paper", STRATEGY, end=end)

    def differences(self) -> int:
        """What `openclaw verify` finds."""
        with self.server_free_world() as world:
            days = recorded_days(world, STRATEGY, None, None)
            return len(verify_strategy(world, STRATEGY, days).differences)

    @contextmanager
    def server_free_world(self) -> Iterator[World]:
        """The world for a command that asks nothing of the exchange."""
        yield self.open().world


def judge(own: SimulatedWorld, truth: SimulatedWorld) -> Outcome:
    """How a life ended, held against the undisturbed one."""
    if own.differences():
        return Outcome("wrong", "verify finds differences")
    mine, theirs = own.inputs(), truth.inputs()
    first = next((at for at in theirs if mine.get(at) != theirs[at]), None)
    if first is None:
        same = own.traded(END) == truth.traded(END) and own.universes() == truth.universes()
        return Outcome("equal") if same else Outcome("wrong", "equal inputs, other trades or universes")
    before = first - timedelta(microseconds=1)
    if own.traded(before) != truth.traded(before):
        return Outcome("wrong", f"other trades before {first:%d %H:%M}, the first other input")
    if first not in mine:
        after = [at for at in mine if at > first]
        named = bool(own.failures) and not after
        return Outcome("stopped" if named else "wrong", f"no tick at {first:%d %H:%M}: {own.failures}")
    return _named(mine[first], theirs[first], first)


def _flat(bars: dict[str, Any]) -> dict[str, list[Any]]:
    """Bars by symbol, or by close time and symbol."""
    nested = {f"{at} {symbol}": bar for at, own in bars.items() if isinstance(own, dict) for symbol, bar in own.items()}
    return nested or bars


def _named(mine: dict[str, Any], theirs: dict[str, Any], at: datetime) -> Outcome:
    """Whether the input itself says which bar was late or which control was set; every other value must be the same."""
    held = {symbol for symbol, bar in mine["bars"].items() if bar[4] != BarState.MISSING}
    absent = [symbol for symbol in theirs["bars"] if symbol not in held]
    others = [symbol for symbol, bar in mine["bars"].items() if symbol not in absent and bar != theirs["bars"].get(symbol)]
    if others:
        return Outcome("wrong", f"other bars of {others} at {at:%d %H:%M}")
    controls = mine["masks"] != theirs["masks"]
    if absent or controls:
        return Outcome("named", f"{absent or mine['masks']} at {at:%d %H:%M}")
    return Outcome("wrong", f"unexplained input at {at:%d %H:%M}")


__all__ = ["END", "START", "STRATEGY", "Outcome", "SimulatedWorld", "judge", "partition_of"]
