"""Comparing and hashing ledger rows by their business columns.

The hash does not depend on the order of insertion, on ingest times or on run ids, so a lived, a backfilled and a
replayed ledger have the same one exactly when their rows agree. Writing rows is in `store`.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

import polars as pl

from openclaw_pipelines.contracts.errors import ContractError
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.time import utc
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import Store, checked, fetch, key_text, registered, table_named

HASHED_TABLES = (
    "autopilot_ticks",
    "tick_inputs",
    "autopilot_proposals",
    "autopilot_decisions",
    "autopilot_orders",
    "autopilot_fills",
    "autopilot_funding_payments",
    "autopilot_positions",
    "autopilot_equity",
    "reconcile_events",
)
TRADED: dict[str, tuple[str, ...]] = {
    "autopilot_ticks": ("tick_at", "status"),
    "autopilot_proposals": (
        "tick_at", "symbol", "action", "side", "proposed_qty", "intended_price", "stop_distance", "target_distance",
        "trail_distance", "state",
    ),
    "autopilot_decisions": (
        "tick_at", "symbol", "action", "side", "proposed_qty", "approved_qty", "intended_price", "status",
        "reason_code",
    ),
    "autopilot_orders": ("tick_at", "symbol", "leg", "side", "qty", "intended_price", "reason"),
    "autopilot_fills": (
        "tick_at", "bar_at", "symbol", "leg", "side", "status", "reason_code", "qty", "price", "intended_price", "fee",
        "cash_change", "realized_pnl",
    ),
    "autopilot_funding_payments": ("tick_at", "bar_at", "symbol", "qty", "price", "amount"),
    "autopilot_positions": (
        "tick_at", "symbol", "side", "qty", "entry_price", "mark_price", "unrealized_pnl", "margin", "stop_price",
        "trailing_stop_price", "target_price", "liquidation_price",
    ),
    "autopilot_equity": (
        "tick_at", "cash", "margin", "reserved", "position_value", "equity", "realized_pnl", "fees", "funding",
        "open_positions",
    ),
}  # fmt: skip
"""What was traded, by table: times, symbols, sides, quantities, prices, fees, funding, cash, equity, codes and states.

Named one by one and outside it: keys, fingerprints, hashes, configuration ids, texts and JSON. A new column of a table
changes nothing here, so the hash over these compares ledgers across versions of the program.
"""
_TIME_COLUMNS = ("tick_at", "decided_at", "as_of", "first_tick_at", "requested_at", "raised_at")


class NotPerStrategyError(ContractError):
    """A table that cannot be cut to one strategy or to a range of ticks."""

    template = "{table} has no column {column}, so it cannot be cut to one strategy or range. Hash all of it instead."
    table: str
    column: str


@dataclass(frozen=True)
class Difference:
    """One disagreement between stored and given rows.

    kind: `missing` (given, not stored), `extra` (stored, not given) or `changed`.
    column: what changed; empty for whole rows.
    stored, given: both values in canonical text; None for NULL and for whole rows.
    """

    table: str
    kind: Literal["missing", "extra", "changed"]
    key: str
    column: str
    stored: str | None
    given: str | None


def verify_equal(
    con: Connection, table_name: str, frame: pl.DataFrame, *, within: str = "", params: Sequence[object] = (),
    also: Sequence[str] = (),
) -> list[Difference]:  # fmt: skip
    """Compare stored rows with `frame` over the hashed columns; empty when they agree.

    Args:
        con: open connection to the table's database.
        table_name: table.
        frame: all columns of the model.
        within: SQL condition with `params`; stored rows in it that `frame` lacks are `extra`. Without it only the keys
            of `frame` are looked up.
        params: values bound to `within`.
        also: columns outside the hash to compare too, where the table has them.
    """
    table = table_named(table_name)
    given, columns = checked(table, frame), (*table.hashed, *(name for name in also if name in table.names))
    others = fetch(con, f"SELECT * FROM {table.name} WHERE {within}", params) if within else None
    if others is not None and _same(others, given, columns, table.key):
        return []
    with registered(con, given.select(table.key), "given_keys") as keys:
        stored = fetch(con, f"SELECT * FROM {table.name} SEMI JOIN {keys} USING ({', '.join(table.key)})")
    twice = repeated(table, stored if others is None else others)
    if others is not None:
        stored = pl.concat([stored, others])
    return twice + _differences(table, columns, stored.unique(subset=table.key, keep="first"), given)


def repeated(table: Table, stored: pl.DataFrame) -> list[Difference]:
    """Keys that several of the stored rows have, each an `extra` row; the store writes a key once."""
    twice = stored.group_by(table.key).len().filter(pl.col("len") > 1).sort(table.key)
    return [
        Difference(table.name, "extra", key_text(row), "", None, None)
        for row in twice.select(table.key).iter_rows(named=True)
    ]


def ledger_hash(
    store: Store,
    account_id: str,
    strategy_config_id: str,
    start: datetime | None = None,
    end: datetime | None = None,
    tables: Iterable[str] = HASHED_TABLES,
) -> str:
    """SHA-256 over the business columns of one strategy's rows with `start < tick <= end`.

    The half-open range is that of partitions: the tick at 00:00 closes yesterday. All tables are read in one snapshot.
    """
    chosen = [table_named(name) for name in tables]
    with store.read("ledger") as con:
        frames = [_strategy_rows(con, table, account_id, strategy_config_id, start, end) for table in chosen]
    digest = hashlib.sha256()
    for table, frame in zip(chosen, frames, strict=True):
        _fold(digest, table.name, sorted(table.hashed), frame)
    return digest.hexdigest()


def trades_hash(
    store: Store,
    account_id: str,
    strategy_config_id: str,
    start: datetime | None = None,
    end: datetime | None = None,
) -> str:
    """SHA-256 over what one strategy traded (`TRADED`) with `start < tick <= end`.

    `ledger_hash` also covers what a tick was based on, so it moves with every new setting or column; this one only when
    something was traded, refused or valued otherwise.
    """
    digest = hashlib.sha256()
    with store.read("ledger") as con:
        for name, columns in TRADED.items():
            frame = _strategy_rows(con, table_named(name), account_id, strategy_config_id, start, end)
            _fold(digest, name, columns, frame)
    return digest.hexdigest()


def table_hash(store: Store, table_name: str, where: str = "true", params: Sequence[object] = ()) -> str:
    """SHA-256 over the business columns of the rows of one table for which the SQL condition `where` holds."""
    table = table_named(table_name)
    frame = store.query(table.database, f"SELECT * FROM {table.name} WHERE {where}", params)
    return frame_hash(table_name, frame)


def frame_hash(table_name: str, frame: pl.DataFrame) -> str:
    """The hash that `table_hash` would give if `frame` were stored."""
    digest, table = hashlib.sha256(), table_named(table_name)
    _fold(digest, table.name, sorted(table.hashed), frame)
    return digest.hexdigest()


def content_hash(frame: pl.DataFrame) -> str:
    """SHA-256 over every column of rows, in no order of theirs; an empty cell is no part of its row."""
    names = sorted(frame.columns)
    rows = (
        {name: cell for name, cell in zip(names, row, strict=True) if cell is not None} for row in _cells(frame, names)
    )
    lines = sorted(json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in rows)
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def time_column(table: Table) -> str | None:
    """Column that places a ledger row in time, None where there is none."""
    return next((name for name in _TIME_COLUMNS if name in table.names), None)


def canonical(value: object) -> object:
    """A cell as JSON can hold it, the same for equal values whatever their scale or zone.

    >>> canonical(Decimal("1.500")), canonical(Decimal("-0.00")), canonical(None)
    ('1.5', '0', None)
    >>> canonical(0.1), canonical(-0.0), canonical(b"ab")
    ('0.1', '0.0', '6162')
    """
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return utc(value, "ledger row").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, float):
        return repr(value + 0.0)
    if isinstance(value, bytes):
        return value.hex()
    return value


def plain(value: Decimal) -> str:
    """Digits of a decimal without exponent, trailing zeros or negative zero.

    >>> plain(Decimal("1E+3")), plain(Decimal("0.000000000000000001"))
    ('1000', '0.000000000000000001')
    """
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _strategy_rows(
    con: Connection, table: Table, account: str, strategy: str, start: datetime | None, end: datetime | None
) -> pl.DataFrame:
    conditions, params = ["account_id = ?", "strategy_config_id = ?"], [account, strategy]
    at = time_column(table)
    for column in ("account_id", "strategy_config_id"):
        if column not in table.names:
            raise NotPerStrategyError(table.name, column)
    bounds: list[object] = []
    for bound, sign in ((start, ">"), (end, "<=")):
        if bound is not None:
            if at is None:
                raise NotPerStrategyError(table.name, " or ".join(_TIME_COLUMNS))
            conditions.append(f"{at} {sign} ?")
            bounds.append(bound)
    return fetch(con, f"SELECT * FROM {table.name} WHERE {' AND '.join(conditions)}", [*params, *bounds])


def _fold(digest: "hashlib._Hash", table_name: str, columns: Sequence[str], frame: pl.DataFrame) -> None:
    """Add name, columns and sorted rows of one table, one JSON array per line."""
    rows = sorted(json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in _cells(frame, columns))
    for line in (json.dumps([table_name, list(columns)]), *rows):
        digest.update(line.encode() + b"\n")


def _cells(frame: pl.DataFrame, names: Sequence[str]) -> list[tuple[object, ...]]:
    columns = [[canonical(value) for value in frame[name].to_list()] for name in names]
    return list(zip(*columns, strict=True))


def _same(stored: pl.DataFrame, given: pl.DataFrame, columns: Sequence[str], key: Sequence[str]) -> bool:
    """Whether two frames have equal rows, asked without looking at each cell."""
    own, other = (frame.select(columns).sort(key) for frame in (stored, given))
    return own.schema == other.schema and own.equals(other)


def _differences(
    table: Table, columns: Sequence[str], stored: pl.DataFrame, given: pl.DataFrame
) -> list[Difference]:  # fmt: skip
    left, right = _by_key(table, columns, stored), _by_key(table, columns, given)
    found = [Difference(table.name, "missing", key, "", None, None) for key in right.keys() - left.keys()]
    found += [Difference(table.name, "extra", key, "", None, None) for key in left.keys() - right.keys()]
    for key in left.keys() & right.keys():
        found += [
            Difference(table.name, "changed", key, name, _text(old), _text(new))
            for name, old, new in zip(columns, left[key], right[key], strict=True)
            if old != new
        ]
    order = {name: place for place, name in enumerate(["", *columns])}
    return sorted(found, key=lambda difference: (difference.key, order[difference.column]))


def _by_key(table: Table, columns: Sequence[str], frame: pl.DataFrame) -> dict[str, tuple[object, ...]]:
    keys = [key_text(row) for row in frame.select(table.key).iter_rows(named=True)]
    return dict(zip(keys, _cells(frame, columns), strict=True))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
