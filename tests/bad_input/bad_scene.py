"""A small scene to break: two perpetuals in an archive of hourly bars, one strategy, days recorded up to `RECORDED`.

`Scenes` lives through it once and hands out copies. A scene runs what a user runs, either in a process of its own or,
through the same job and the same command function, in this one.
"""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import yaml
from click.testing import CliRunner
from dagster._core.errors import DagsterUnknownPartitionError

from openclaw_pipelines.contracts.errors import StoreError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket
from openclaw_pipelines.resources.store.comparison import frame_hash
from openclaw_pipelines.resources.store.hold import let_go
from openclaw_pipelines.resources.store.migrations import DATABASES
from openclaw_pipelines.resources.store.store import Store, fetch

PROJECT = Path(__file__).resolve().parents[2]
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
STRATEGY = "breakout"
FIRST, RECORDED, NEXT = "2025-05-08", "2025-05-10", "2025-05-11"
START = datetime(2025, 5, 8, tzinfo=UTC)
DAYS = 5
NOON = datetime(2025, 5, 11, 12, tzinfo=UTC)
"""A bar of the day after the recorded ones, which most cases spoil."""

Tree = dict[str, Any]
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@dataclass(frozen=True)
class Outcome:
    """How a command ended. failed: check -> severity of every check that did not pass; ran: assets materialized."""

    exit_code: int
    error: str
    message: str
    failed: dict[str, str] = field(default_factory=dict)
    ran: frozenset[str] = frozenset()


@dataclass
class Scene:
    """One copy: `autopilot.yaml`, the archive folder and the store, all under `root`."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def archive(self) -> Path:
        return self.root / "binance_usdm"

    @property
    def data_dir(self) -> Path:
        return self.root / "store"

    @property
    def config(self) -> Path:
        return self.root / "autopilot.yaml"

    @property
    def store(self) -> Store:
        return Store(self.data_dir, lock_timeout_seconds=5)

    def variables(self) -> dict[str, str]:
        folders = {
            "OPENCLAW_CONFIG": self.config,
            "OPENCLAW_DATA_DIR": self.data_dir,
            "DAGSTER_HOME": self.root / "home",
        }
        return {**{name: str(path) for name, path in folders.items()}, **self.environ}

    # ---- breaking it

    def configure(self, change: Callable[[Tree], Any]) -> None:
        tree = yaml.safe_load(self.config.read_text())
        change(tree)
        self.config.write_text(yaml.safe_dump(tree, sort_keys=False))

    def bars(self, symbol: str = BTC) -> pl.DataFrame:
        return pl.read_parquet(self.archive / _file(symbol))

    def put_bars(self, frame: pl.DataFrame, symbol: str = BTC) -> None:
        frame.write_parquet(self.archive / _file(symbol))

    def sql(self, database: str, statement: str, params: Sequence[Any] = ()) -> None:
        """Change the store behind the program's back."""
        with self.store.write(database) as con:
            con.execute(statement, list(params))
        let_go()  # as another program would have

    def query(self, database: str, statement: str, params: Sequence[Any] = ()) -> pl.DataFrame:
        return self.store.query(database, statement, params)

    # ---- using it

    def materialize(
        self, *assets: str, partition: str | None = None, last: str | None = None, instance: Any = None
    ) -> Outcome:
        """What `dagster asset materialize --select a,b --partition p` executes, in this process.

        last: of a range of partitions that begins with `partition`.
        """
        days: dict[str, Any] = (
            {"partition_key": partition}
            if last is None
            else {"tags": dict(zip(_RANGE, (partition, last), strict=True))}
        )
        with self._environment():
            job = _definitions().resolve_implicit_global_asset_job_def()
            days["asset_selection"] = [dg.AssetKey(name) for name in assets]
            try:
                result = job.execute_in_process(instance=instance or _instance(), raise_on_error=False, **days)
            except DagsterUnknownPartitionError as error:
                return Outcome(1, type(error).__name__, str(error))
        return _outcome(result)

    def openclaw(self, *arguments: str) -> Outcome:
        """`openclaw ...` in this process."""
        from openclaw_pipelines.cli import main

        with self._environment():
            result = CliRunner().invoke(main, list(arguments))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        error = result.stderr.strip()
        return Outcome(result.exit_code, error.split(":", 1)[0], error + "\n" + result.stdout)

    def process(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """A command of the virtual environment in a process of its own."""
        program = Path(sys.executable).with_name(command[0])
        given = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_"))}
        return subprocess.run(
            [str(program), *command[1:]],
            env={**given, **self.variables(), "NO_COLOR": "1"},
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **options,
        )

    def keep(self) -> "Kept":
        """What the store holds now, to be compared later."""
        copy = self.root / "kept"
        self.data_dir.mkdir(exist_ok=True)
        let_go()
        shutil.copytree(self.data_dir, copy, ignore=shutil.ignore_patterns("*.lock", "*.gate"))
        return Kept(copy)

    def changed(self, kept: "Kept") -> list[str]:
        """Tables whose `table_hash` is another than before. Files of the very same bytes hold the same tables."""
        found = []
        for database in DATABASES:
            before, now = Store(kept.folder, lock_timeout_seconds=5), self.store
            if _bytes(before.file(database)) != _bytes(now.file(database)):
                left, right = _hashes(before, database), _hashes(now, database)
                found += [name for name in left.keys() | right.keys() if left.get(name) != right.get(name)]
        return sorted(found)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        saved = dict(os.environ)
        logging.disable(logging.CRITICAL)  # what a run logs is asserted on by its events
        for name in [name for name in os.environ if name.startswith(("OPENCLAW_", "DAGSTER_"))]:
            del os.environ[name]
        os.environ |= self.variables()
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            os.environ.clear()
            os.environ.update(saved)


@dataclass(frozen=True)
class Kept:
    """A copy of the store's files."""

    folder: Path


class Scenes:
    """The scene as it is before anything is broken, made once, and copies of it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._whole = _built(folder / "whole")
        self._empty_store = _written(folder / "young")

    def copy(self, *, recorded: bool = True) -> Scene:
        """A scene of its own. recorded: with its days in the store, else with files and configuration only."""
        self._count += 1
        source = self._whole if recorded else self._empty_store
        root = self._folder / str(self._count)
        let_go()
        shutil.copytree(source.root, root)
        scene = Scene(root)
        scene.configure(lambda tree: tree["market"].update(archive_dir=str(scene.archive)))
        return scene


def configuration(archive: Path) -> Tree:
    return {
        "account": "paper",
        "data_dir": "store",
        "overlay_file": "overlay.yaml",
        "lock_timeout_seconds": 5.0,
        "market": {
            "source": "archive",
            "archive_dir": str(archive),
            "symbols": [BTC, ETH],
            "intervals": ["1h"],
            "first_day": FIRST,
        },
        "risk": {"max_order_notional": 2500},
        "universe": {"min_age_days": 1, "lookback_days": 1},
        "strategies": {
            STRATEGY: {
                "family": "breakout",
                "interval": "1h",
                "start_day": RECORDED,
                "params": {"channel_entry": 4, "channel_exit": 2, "stop_atr": 2.5, "volume_ratio": 0.0},
            }
        },
    }


def _written(root: Path) -> Scene:
    """Configuration and archive files."""
    scene = Scene(root)
    scene.archive.mkdir(parents=True)
    scene.config.write_text(yaml.safe_dump(configuration(scene.archive), sort_keys=False))
    market, end = SimulatedMarket(7, (BTC, ETH)), START + timedelta(days=DAYS)
    for symbol in (BTC, ETH):
        base = symbol.split("/", maxsplit=1)[0]
        bars = _whole_bars(market.candles(symbol, "1h", START, end, end), symbol)
        bars.write_parquet(scene.archive / _file(symbol))
        rates = market.funding_rates(symbol, START, end, end)
        rates.select(
            pl.col("stamped_at").alias("ts"), pl.lit(f"{base}/USDT").alias("symbol"), "funding_rate"
        ).write_parquet(scene.archive / f"{base}-USDT_funding.parquet")
    return scene


def _whole_bars(bars: pl.DataFrame, symbol: str) -> pl.DataFrame:
    pair = symbol.split(":", maxsplit=1)[0]
    return bars.with_columns(symbol=pl.lit(pair)).select("ts", "symbol", "open", "high", "low", "close", "volume")


def _built(root: Path) -> Scene:
    scene = _written(root)
    steps = [scene.materialize("instruments")]
    steps.append(scene.materialize("candles", "funding_rates", "features", partition=FIRST, last=RECORDED))
    steps.append(scene.materialize(*CYCLE, partition=f"{RECORDED}|{STRATEGY}"))
    steps.append(scene.materialize("outcomes", "metrics", partition=f"{RECORDED}|{STRATEGY}"))
    bad = [step for step in steps if step.exit_code]
    assert not bad, bad
    return scene


CYCLE = ("universe_snapshots", "proposals", "decisions", "orders", "fills", "positions", "equity")


def _file(symbol: str) -> str:
    return f"{symbol.split('/', maxsplit=1)[0]}-USDT_1h.parquet"


@cache
def _definitions() -> dg.Definitions:
    from openclaw_pipelines.definitions import build_defs

    return build_defs()


@cache
def _instance() -> dg.DagsterInstance:
    """One instance in memory for all scenes: making it costs more than most runs."""
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("strategies", [STRATEGY])
    return instance


def _outcome(result: dg.ExecuteInProcessResult) -> Outcome:
    checks = result.get_asset_check_evaluations()
    failed = {check.check_name: check.severity.value for check in checks if not check.passed}
    findings = "\n".join(f"{check.check_name}: {_finding(check)}" for check in checks if not check.passed)
    error, message = _cause(result)
    ran = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    return Outcome(0 if result.success else 1, error, f"{message}\n{findings}", failed, frozenset(ran))


def _finding(check: dg.AssetCheckEvaluation) -> str:
    return json.dumps({name: str(value.value) for name, value in check.metadata.items()}, default=str)


def _cause(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    """Innermost error of the first failure, as the run's page shows it."""
    for event in result.all_events:
        error = getattr(event.event_specific_data, "error", None)
        if error is not None:
            while error.cause is not None and error.cls_name not in _OWN:
                error = error.cause
            return str(error.cls_name), error.message
    return "", ""


def _own_errors() -> set[str]:
    from openclaw_pipelines.contracts.errors import OpenclawError

    found, rest = set(), [OpenclawError]
    while rest:
        found.add(rest[-1].__name__)
        rest += rest.pop().__subclasses__()
    return found


class _Own:
    """Names of this project's errors, as far as their modules are loaded."""

    def __contains__(self, name: object) -> bool:
        return name in _own_errors()


_OWN = _Own()


def _bytes(file: Path) -> bytes:
    """The file with what was committed beside it."""
    log = file.with_name(file.name + ".wal")
    return b"".join(path.read_bytes() for path in (file, log) if path.exists())


def _hashes(store: Store, database: str) -> dict[str, str]:
    file = store.file(database)
    own = [name for name, table in TABLES.items() if table.database == database]
    if not file.exists():  # reading makes an empty file
        return {name: frame_hash(name, TABLES[name].unchecked([])) for name in own}
    try:
        with store.read(database) as con:
            return {name: frame_hash(name, fetch(con, f"SELECT * FROM {name}")) for name in own}
    except (StoreError, duckdb.Error):
        return {database: hashlib.sha256(file.read_bytes()).hexdigest()}
