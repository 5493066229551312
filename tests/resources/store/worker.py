"""Real processes for the store's tests: run as a script, it imports once and forks what each scenario needs.

The parent itself never touches the store or a frame, since their thread pools do not survive a fork. Children report
lines of JSON on the standard output, one write each, so that lines never mix.
"""

import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.store import files
from openclaw_pipelines.resources.store import hold as hold_module
from openclaw_pipelines.resources.store.export import export_table
from openclaw_pipelines.resources.store.store import Store, insert

START = datetime(2025, 5, 10, tzinfo=UTC)
SAMPLES = {
    pl.Boolean: (False, True),
    pl.Int64: (3, 4),
    pl.Float64: (0.0625, 0.03125),
    pl.String: ("text", "other text"),
    pl.Binary: (b"\x00\x01", b"\x00\x02"),
    pl.Decimal: (Decimal("0.125"), Decimal("0.126")),
    pl.Datetime: (START, START + timedelta(seconds=1)),
    pl.Date: (START.date(), START.date() + timedelta(days=1)),
}


def samples(table: Table, column: str) -> tuple[Any, Any]:
    """Two different legal values of a column, as its model says."""
    schema = table.model.to_schema().columns[column]
    allowed = [list(c.statistics["allowed_values"]) for c in schema.checks if "allowed_values" in (c.statistics or {})]
    if allowed:
        return allowed[0][0], allowed[0][-1]
    return SAMPLES[schema.dtype.type.base_type()]


def sample_row(name: str, **values: Any) -> dict[str, Any]:
    """A legal row of a table; `values` replace some of it."""
    table = TABLES[name]
    return {column: samples(table, column)[0] for column in table.names} | values


def tick_frames(strategy: str, number: int) -> dict[str, pl.DataFrame]:
    """Rows of one tick in three tables: a marker, equity and two positions. Legal, so not validated again."""
    about = {"strategy_config_id": strategy, "tick_at": START + timedelta(minutes=number)}
    rows = {
        "autopilot_positions": [sample_row("autopilot_positions", **about, symbol=s) for s in ("A/USDT", "B/USDT")],
        "autopilot_equity": [sample_row("autopilot_equity", **about)],
        "autopilot_ticks": [sample_row("autopilot_ticks", **about)],
    }
    return {name: pl.DataFrame(of_table, schema=TABLES[name].polars_schema) for name, of_table in rows.items()}


def write_tick(store: Store, strategy: str, number: int) -> None:
    frames = tick_frames(strategy, number)
    with store.write("ledger") as con:
        for name, frame in frames.items():
            insert(con, name, frame, validated=True)


def broken_ticks(store: Store) -> int:
    """Ticks of which only a part is visible."""
    frame = store.query(
        "ledger",
        """
        WITH parts AS (
            SELECT strategy_config_id, tick_at, 1 AS ticks, 0 AS equity, 0 AS positions FROM autopilot_ticks
            UNION ALL SELECT strategy_config_id, tick_at, 0, 1, 0 FROM autopilot_equity
            UNION ALL SELECT strategy_config_id, tick_at, 0, 0, 1 FROM autopilot_positions)
        SELECT count(*) AS n FROM (
            SELECT sum(ticks) AS t, sum(equity) AS e, sum(positions) AS p FROM parts
            GROUP BY strategy_config_id, tick_at)
        WHERE (t, e, p) <> (1, 1, 2)
        """,
    )
    return int(frame["n"][0])


def report(**facts: Any) -> None:
    os.write(1, json.dumps(facts).encode() + b"\n")


def fork(work: Callable[[], None]) -> int:
    """Run `work` in a process of its own; an error of it is reported by name."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except OpenclawError as error:
        report(error=type(error).__name__, message=str(error))
    except BaseException as error:  # noqa: BLE001  whatever it is, the test shall see it
        report(crash=repr(error), where=traceback.format_exc())
    finally:
        os._exit(0)


def wait(pids: list[int]) -> None:
    for pid in pids:
        os.waitpid(pid, 0)


def crowd(folder: str, writers: str, ticks: str, readers: str) -> None:
    """Writers and readers at once on one store that does not exist yet.

    Before its last tick a writer waits until every reader has read three times, however slowly those were started.
    """
    store = Store(Path(folder))
    done = Path(folder).parent / "done"
    have_read = [Path(folder).parent / f"read_{n}" for n in range(int(readers))]

    def write(strategy: str) -> None:
        for number in range(int(ticks)):
            while number == int(ticks) - 1 and not all(mark.exists() for mark in have_read):
                time.sleep(0.01)
            write_tick(store, strategy, number)
        report(wrote=int(ticks))

    def read(mark: Path) -> None:
        reads = broken = 0
        while not done.exists():
            broken += broken_ticks(store)
            reads += 1
            if reads == 3:
                mark.touch()
        report(reads=reads, broken=broken)

    reading = [fork(lambda mark=mark: read(mark)) for mark in have_read]
    wait([fork(lambda n=n: write(f"s{n}")) for n in range(int(writers))])
    done.touch()
    wait(reading)


def killed(folder: str, rounds: str, seed: str, upkeep: str = "") -> None:
    """A writer that is killed at a random moment after its first commit of each round and goes on in the next one.

    With `upkeep` the log is moved into the file, and the file written again, after nearly every commit.
    """
    if upkeep:
        hold_module.KEPT_SECONDS, hold_module.LOG_BYTES = 0.0, 1
        files.HOLES, files.HOLES_BYTES = 0.0, -1
    store = Store(Path(folder))
    moments = random.Random(int(seed))
    ready, started = os.pipe()

    def write() -> None:
        stored = store.query("ledger", "SELECT count(*) AS n FROM autopilot_ticks")["n"][0]
        for number in range(stored, stored + 10_000):
            write_tick(store, "s", number)
            report(committed=number)
            os.write(started, b"1" if number == stored else b"")
            time.sleep(0.015 if upkeep else 0.0)

    for _ in range(int(rounds)):
        pid = fork(write)
        os.read(ready, 1)
        time.sleep(moments.uniform(0.0, 0.3))
        os.kill(pid, signal.SIGKILL)
        wait([pid])


def open_at_once(folder: str, openers: str) -> None:
    """Several processes that open a store which does not exist yet."""

    def look() -> None:
        report(migrations=Store(Path(folder)).query("ledger", "SELECT count(*) AS n FROM schema_migrations")["n"][0])

    wait([fork(look) for _ in range(int(openers))])


def hold(folder: str) -> None:
    """Keep the ledger's lock in a transaction until the standard input closes."""
    with Store(Path(folder)).write("ledger"):
        report(holding=os.getpid())
        sys.stdin.read()


def keep(folder: str) -> None:
    """Commit, then say so and sit there with the file still attached, until the standard input closes."""
    hold_module.KEPT_SECONDS = 60.0
    write_tick(Store(Path(folder)), "s", 1)
    report(kept=os.getpid())
    sys.stdin.read()


def full(folder: str, kilobytes: str) -> None:
    """Write more than the file system takes: to the store, again with room, then to an export."""
    store = Store(Path(folder))
    target = Path(folder).parent / "export.csv"
    target.write_text("before")

    def to_store() -> None:
        rows = [
            sample_row("tick_contexts", context_hash=str(n), payload=random.Random(n).randbytes(4_000).hex())
            for n in range(300)
        ]
        with store.write("ledger") as con:
            insert(con, "tick_contexts", TABLES["tick_contexts"].frame(rows))
        report(wrote=len(rows))

    def limited(write: Callable[[], None]) -> None:
        limit = int(kilobytes) * 1024
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        write()

    wait([fork(lambda: report(rows=store.table("tick_contexts").height))])
    wait([fork(lambda: limited(to_store))])
    wait([fork(lambda: report(rows=store.table("tick_contexts").height))])
    wait([fork(to_store)])
    wait([fork(lambda: limited(lambda: report(exported=export_table(store, "tick_contexts", target).rows)))])


def forbidden(folder: str) -> None:
    """Read and write as a user who may not write the folder, nor perhaps read the interpreter's own."""
    import pyarrow  # noqa: F401 - what the store imports late

    store = Store(Path(folder))

    def attempt(act: Callable[[], None]) -> None:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        act()
        report(passed=True)

    wait([fork(lambda: attempt(lambda: write_tick(store, "s", 99)))])
    wait([fork(lambda: attempt(lambda: report(broken=broken_ticks(store))))])
    wait([fork(lambda: attempt(lambda: store.query("market", "SELECT 1")))])


if __name__ == "__main__":
    {f.__name__: f for f in (crowd, killed, open_at_once, hold, keep, full, forbidden)}[sys.argv[1]](*sys.argv[2:])
