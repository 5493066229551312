"""A world from one seed: clock, exchange and disk go wrong, the process is killed, and the ledger must be right.

The exchange is a local HTTP server that the real ccxt client asks; the store, the runner and the ticker's own loop are
the program's. Simulated are the time, which nobody waits for, and the moments at which something goes wrong: the local
clock steps and drifts, pages are refused, cut, short, late or contradict themselves, writes fail, and the process dies
between any two statements, from the first one on.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import yaml
from exchange_server import ExchangeServer, ms
from misfortunes import Fates, FragileStore, KilledError, Misfortunes
from wire_markets import smallest_markets

from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.jobs import CYCLE_LIVE, INSTRUMENTS, MARKET_DAY
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.processes.resident import attempted
from openclaw_pipelines.processes.ticker import Partition, Ticker
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.market.ccxt.client import Backoff
from openclaw_pipelines.resources.market.ccxt.source import CcxtMarket
from openclaw_pipelines.resources.store.comparison import trades_hash
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.evaluation.verifying import recorded_days, verify_strategy
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.settings import Settings, load_settings

START = day_start("2025-05-10")
LENGTH = timedelta(hours=4)
BARS = 8
END = START + BARS * LENGTH
"""The last tick that counts; midnight lies between."""
STRATEGY = "momentum_4h"
LOOKS = (1, 9, 40, 70, 200, 2_000)
"""Seconds after the close of a bar at which the ticker looks what is due; it looks more often in earnest."""
CONFIG: dict[str, Any] = {
    "market": {
        "source": "ccxt",
        "exchange": "binance",
        "symbols": ["BTC/USDT:USDT", "BTC/USDT"],
        "intervals": ["4h"],
        "first_day": "2025-05-08",
        "max_retries": 1,
    },
    "universe": {"lookback_days": 1, "min_age_days": 0},
    "risk": {"max_daily_loss_bps": 5_000, "max_drawdown_bps": 9_000},
    "strategies": {
        STRATEGY: {
            "family": "momentum",
            "interval": "4h",
            "start_day": "2025-05-10",
            "params": {"momentum_lookback": 2, "ema_slow": 2, "atr_length": 2, "stop_atr": 1.0, "volatility_length": 2},
        }
    },
}


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
        self._follow(world, None)

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


Plan = Mapping[int, Callable[["SimulatedWorld"], None]]


@dataclass(frozen=True)
class Outcome:
    """How a world ended. kind: `equal`, `named` or `stopped`, else `wrong`. why: what is different."""

    kind: str
    why: str = ""


class SimulatedWorld:
    """One life from one seed; None for one in which nothing goes wrong but what is planned.

    plan: what happens before the ticker looks, by the number of the bar.
    """

    begin, length = START, LENGTH

    def __init__(self, folder: Path, seed: int | None, plan: Plan | None = None) -> None:
        self.folder, self.chance, self.seed, self.plan = folder, random.Random(seed), seed, plan or {}
        self.server = ExchangeServer(START, smallest_markets())
        self.server.funding_hours = 8
        self.fates, self.clock = Fates(), LocalClock(self)
        self.seconds_there = self.seconds_back = 0.0
        self.forsaken = seed is not None and random.Random(f"forsaken {seed}").random() < 0.1
        self.late: dict[int, datetime] = {}
        self.held_back: set[int] = set()
        self.failures: list[str] = []
        self.told: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def tell(self, what: str) -> None:
        """Keep what happened when, for whoever looks at a seed."""
        self.told.append(f"{self.now:%d %H:%M:%S} {what}")

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
        misfortunes = Misfortunes(self)
        with self.server:
            ticker: PlainTicker | None = None
            for bar, closed in enumerate(START + n * LENGTH for n in range(BARS + 1)):
                self.plan.get(bar, lambda world: None)(self)
                for seconds in LOOKS:
                    self.pass_seconds(max(0.0, (closed - self.now).total_seconds() + seconds))
                    if self.seed is not None:
                        misfortunes.tempt(closed)
                    ticker = self._look(ticker)
            misfortunes.heal()
            for _ in range(30):
                self.pass_seconds(125)
                ticker = self._look(ticker)
                if END in self.inputs():
                    break
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
            self.tell("killed")
            return None
        except OpenclawError as error:
            self.failures = [f"{type(error).__name__}: {error}"]
            return None
        if found.failures:
            self.failures = [str(failure) for failure in found.failures]
            for failure in found.failures:
                self.tell(f"{failure!s:.150}")
        return ticker

    # ---- what came of it

    @property
    def store(self) -> Store:
        return Store(self.folder / "data")

    def inputs(self) -> dict[datetime, dict[str, Any]]:
        """Recorded bars and masks of each tick that counts; the inception has the bars of the warm-up."""
        rows = self.store.query(
            "ledger", "SELECT tick_at, bars, masks FROM tick_inputs WHERE tick_at <= ? ORDER BY tick_at", [END]
        )
        read = ((at, json.loads(bars), json.loads(masks)) for at, bars, masks in rows.iter_rows())
        return {at: {"bars": _flat(bars), "masks": masks} for at, bars, masks in read}

    def universes(self) -> list[tuple[Any, ...]]:
        """What the universes were ranked on, regimes out of the features included."""
        columns = "as_of, selected, candidates"
        return self.store.query("ledger", f"SELECT {columns} FROM autopilot_universe_snapshots ORDER BY 1").rows()

    def featured_days(self) -> list[str]:
        """Days that have features, the last one of the life aside."""
        days = "SELECT DISTINCT strftime(ts, '%Y-%m-%d') AS day FROM features ORDER BY day"
        return self.store.query("market", days)["day"].to_list()

    def traded(self, end: datetime) -> str:
        """Hash of what was traded up to a tick."""
        return trades_hash(self.store, "paper", STRATEGY, end=end)

    def differences(self) -> int:
        """What `openclaw verify` finds."""
        world = self.open().world
        return len(verify_strategy(world, STRATEGY, recorded_days(world, STRATEGY, None, None)).differences)


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
    return _named(own, mine[first], theirs[first], first)


def _flat(bars: dict[str, Any]) -> dict[str, list[Any]]:
    """Bars by symbol, or by close time and symbol."""
    nested = {f"{at} {symbol}": bar for at, own in bars.items() if isinstance(own, dict) for symbol, bar in own.items()}
    return nested or bars


def _named(own: SimulatedWorld, mine: dict[str, Any], theirs: dict[str, Any], at: datetime) -> Outcome:
    """Whether the input itself says what is other: bars that the exchange gave late are absent, or a control is set."""
    held = {symbol for symbol, bar in mine["bars"].items() if bar[4] != BarState.MISSING}
    absent = [symbol for symbol in theirs["bars"] if symbol not in held]
    changed = [symbol for symbol in held if mine["bars"][symbol] != theirs["bars"].get(symbol)]
    if changed:
        return Outcome("wrong", f"other bars of {changed} at {at:%d %H:%M}")
    closed = [datetime.fromisoformat(key.split()[0]) if " " in key else at for key in absent]
    if any(ms(close - LENGTH) not in own.held_back for close in closed):
        return Outcome("wrong", f"bars of {absent} are missing at {at:%d %H:%M} that the exchange had in time")
    if absent or mine["masks"] != theirs["masks"]:
        return Outcome("named", f"{absent or mine['masks']} at {at:%d %H:%M}")
    return Outcome("wrong", f"unexplained input at {at:%d %H:%M}")
