"""Writing what a cycle found together with its rows in the log, and asking whether stored rows are what the log says.

Whoever stores or removes rows of a cycle does it here, in one transaction with the log. Forms and rules of the log are
in `domain.factory.log`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.factory import Logged
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import FactoryLogRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.factory.log import (
    CYCLE_PIECES,
    DEPLOYED,
    NOTHING_LOGGED,
    SUBJECTS,
    Anchor,
    Content,
    Piece,
    dropped,
    linked,
    standing,
    unlike_log,
    verify_factory_log,
)
from openclaw_pipelines.resources.store.comparison import canonical, frame_hash
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import Store, fetch, insert

Rows = Sequence[Mapping[str, object]]
OF_ALL_CYCLES = ("trial_counts", "holdout_looks")
"""Tables whose rows count for every cycle."""
ANCHOR = "factory_log"
"""Key in `deployments.metrics` of the newest row of the log that a deployment rests on."""


def store_logged(
    con: Connection,
    table: str,
    rows: Rows,
    at: datetime,
    *,
    replaces: Iterable[Piece] = (),
    rests_on: int | None = None,
) -> None:
    """Append rows of a cycle and what the log says of them; pieces of `replaces` that they hold no more are dropped."""
    frame = TABLES[table].unchecked(rows)
    if rows:
        insert(con, table, frame)
    found = contents(table, frame, rests_on)
    append(con, Logged.STORED, found, at)
    kept = {content.piece for content in found}
    append(con, Logged.DROPPED, dropped(sorted(set(replaces) - kept)), at)


def append(con: Connection, action: Logged, found: Sequence[Content], at: datetime) -> None:
    """Append to the log, in the transaction of `con`."""
    if not found:
        return
    rows = [{**row, "recorded_at": at} for row in linked(_newest(con), action, found)]
    insert(con, "factory_log", TABLES["factory_log"].unchecked(rows))


def log_cycle(con: Connection, cycle_id: str, piece: str, at: datetime) -> None:
    """Log the contract or the state of a cycle as it is in the transaction of `con`."""
    row = fetch(con, "SELECT * FROM factory_cycles WHERE cycle_id = ?", [cycle_id])
    append(con, Logged.STORED, [own for own in contents("factory_cycles", row) if own.piece.subject == piece], at)


def log_deployed(con: Connection, cycle_id: str, strategy: str, row_hash: str, at: datetime) -> None:
    """Log the newest row of `deployments` of a strategy that a cycle put on paper."""
    append(con, Logged.STORED, [Content(Piece(cycle_id, DEPLOYED, strategy), 1, row_hash)], at)


def contents(table: str, frame: pl.DataFrame, rests_on: int | None = None) -> list[Content]:
    """The pieces of rows, each with its hash."""
    if table == "factory_cycles":
        return [
            Content(
                Piece(row["cycle_id"], table, piece), 1, sha256_of({name: canonical(row[name]) for name in columns})
            )
            for row in frame.to_dicts()
            for piece, columns in CYCLE_PIECES.items()
        ]
    keys = ("cycle_id", *SUBJECTS[table])
    parts = frame.partition_by(keys, as_dict=True, maintain_order=True) if frame.height else {}
    return [
        Content(Piece(str(key[0]), table, ":".join(map(str, key[1:]))), part.height, frame_hash(table, part), rests_on)
        for key, part in parts.items()
    ]


def logged_pieces(con: Connection, cycle_id: str, table: str) -> set[Piece]:
    """Pieces of a cycle's table that the log holds, in the transaction of `con`."""
    return set(standing(_log(con, "cycle_id = ? AND table_name = ?", [cycle_id, table])))


def is_logged(store: Store, piece: Piece) -> bool:
    """Whether the log holds a piece; what was stored before there was a log is in none of its rows."""
    with store.read("research") as con:
        return piece in logged_pieces(con, piece.cycle_id, piece.table)


def newest_logged(store: Store) -> Anchor:
    """The newest row of the log."""
    with store.read("research") as con:
        return _newest(con)


def verified_log(store: Store) -> list[FactoryLogRow]:
    """The whole log, its chain verified, and what deployments rest on found in it. Raises BrokenFactoryLogError."""
    with store.read("research") as con:
        rows = _log(con, "true", [])
        found = fetch(con, "SELECT metrics FROM deployments ORDER BY account_id, sequence")["metrics"]
    metrics = [json.loads(own).get(ANCHOR) for own in found]
    verify_factory_log(rows, [Anchor(own["sequence"], own["row_hash"]) for own in metrics if own])
    return rows


def unlogged(store: Store, cycle_id: str, tables: Iterable[str]) -> list[str]:
    """Where a cycle's rows of some tables are not what the log says, one sentence each; empty where they are.

    Of trials and looks those of other cycles count too, except of cycles of before there was a log.

    Raises:
        BrokenFactoryLogError: the log itself is not whole.
    """
    wanted = tuple(tables)
    log = standing(verified_log(store))
    if not any(piece.cycle_id == cycle_id for piece in log):
        return [f"nothing of {cycle_id} is in the log"]
    said = []
    for table in wanted:
        if table == DEPLOYED:
            said += _deployed_unlike(store, {piece: row for piece, row in log.items() if piece.table == table})
            continue
        own = contents(table, store.query("research", f"SELECT * FROM {table} WHERE cycle_id = ?", [cycle_id]))
        said += unlike_log({piece: row for piece, row in log.items() if piece[:2] == (cycle_id, table)}, own)
        if table in OF_ALL_CYCLES:
            others = {piece: row for piece, row in log.items() if piece.table == table and piece.cycle_id != cycle_id}
            held = contents(table, store.query("research", f"SELECT * FROM {table} WHERE cycle_id <> ?", [cycle_id]))
            said += unlike_log(others, [content for content in held if content.piece in others])
    return said


def _deployed_unlike(store: Store, logged: Mapping[Piece, FactoryLogRow]) -> list[str]:
    held = set(store.query("research", "SELECT row_hash FROM deployments")["row_hash"])
    return [
        f"deployment of {piece.subject} by {piece.cycle_id} is gone: row {row['sequence']} of the log has it"
        for piece, row in logged.items()
        if row["content_hash"] not in held
    ]


def _newest(con: Connection) -> Anchor:
    row = con.execute("SELECT sequence, row_hash FROM factory_log ORDER BY sequence DESC LIMIT 1").fetchone()
    return Anchor(*row) if row else NOTHING_LOGGED


def _log(con: Connection, where: str, params: Sequence[object]) -> list[FactoryLogRow]:
    return rows_as(FactoryLogRow, fetch(con, f"SELECT * FROM factory_log WHERE {where} ORDER BY sequence", params))
