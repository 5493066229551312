"""What the ledger knows of one strategy: its newest tick, the session to go on from, and the rows of recorded ticks.

Walking ticks is in `runner`, comparing rows in `comparison`, files and locks in `store`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.chain import GENESIS
from openclaw_pipelines.contracts.enums import ProposalState
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.governance.approvals import Awaiting
from openclaw_pipelines.domain.governance.audit import AuditChain
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.trading.books import Books
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.records import Row
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.kernel.base.state_bytes import load_state
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import Store, fetch, insert, insert_new

WAITING = (
    f"p.state = '{ProposalState.AWAITING_APPROVAL.value}' AND NOT EXISTS (SELECT 1 FROM admin_actions a WHERE "
    f"a.subject = p.decision_key AND a.from_state = '{ProposalState.AWAITING_APPROVAL.value}' "
    "AND a.tick_at <= coalesce(?, a.tick_at))"
)
"""Condition of a proposal `p` that waits for an operator after the tick that is bound; None for the newest."""
_CONTEXTS = "(SELECT DISTINCT context_hash, payload FROM tick_contexts)"
TICK_TABLES = (
    "autopilot_proposals",
    "autopilot_decisions",
    "autopilot_orders",
    "autopilot_fills",
    "autopilot_funding_payments",
    "autopilot_positions",
    "autopilot_equity",
    "reconcile_events",
    "autopilot_ticks",
    "tick_inputs",
)
"""Tables that a tick writes and verification compares."""


class MissingStateError(LedgerError):
    """A tick from which to go on has no recorded kernel state."""

    template = "{strategy} has no kernel state at {tick_at}. States are kept for each day's end and the latest tick."
    strategy: str
    tick_at: datetime


class StateChangedError(LedgerError):
    """The bytes of a recorded kernel state are not those that the hash beside them was made of."""

    template = (
        "the kernel state of {strategy} at {tick_at} is not the one that was recorded: its hash differs. No tick goes "
        "on from it. Restore the ledger from a copy."
    )
    strategy: str
    tick_at: datetime


class MissingRowError(LedgerError):
    """A row that belongs to a recorded tick is gone."""

    template = "{strategy} has no row of {table} for its tick at {tick_at}. It was removed; restore it from a copy."
    strategy: str
    table: str
    tick_at: datetime


@dataclass(frozen=True)
class Head:
    """Newest recorded tick of a strategy."""

    tick_at: datetime
    deployment_id: str
    deployment: Deployment


class StrategyLedger:
    """Reads and writes the rows of one strategy."""

    def __init__(self, store: Store, account_id: str, strategy: str) -> None:
        self.store, self.account_id, self.strategy = store, account_id, strategy
        self._open: Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One connection for all queries of the block; nothing may be written inside it."""
        with self.store.read("ledger") as connection:
            self._open = connection
            try:
                yield
            finally:
                self._open = None

    def query(
        self, select: str, where: str = "true", params: Iterable[object] = (), group_by: str = ""
    ) -> pl.DataFrame:  # fmt: skip
        """Rows of this strategy: `select` up to FROM, `where` beyond account and strategy."""
        grouped = f" GROUP BY {group_by}" if group_by else ""
        sql = f"{select} WHERE account_id = ? AND strategy_config_id = ? AND ({where}){grouped}"
        return self._fetch(sql, [self.account_id, self.strategy, *params])

    def _fetch(self, sql: str, bound: Sequence[object]) -> pl.DataFrame:
        return self.store.query("ledger", sql, bound) if self._open is None else fetch(self._open, sql, bound)

    def repeated(self, keys: Mapping[str, Sequence[str]], where: str, params: Iterable[object]) -> list[str]:
        """Tables of `keys` in which rows of this strategy have the same key."""
        own = f"account_id = ? AND strategy_config_id = ? AND ({where})"
        parts = [
            f"SELECT '{table}' AS name FROM {table} WHERE {own} GROUP BY {', '.join(key)} HAVING count(*) > 1"
            for table, key in keys.items()
        ]
        bound = [self.account_id, self.strategy, *params] * len(parts)
        sql = f"SELECT DISTINCT name FROM ({' UNION ALL '.join(parts)}) ORDER BY name"
        return self._fetch(sql, bound)["name"].to_list()

    def counts(self, tables: Sequence[str], after: datetime, until: datetime) -> dict[str, int]:
        """Rows of each table with `after < tick_at <= until`."""
        own = "account_id = ? AND strategy_config_id = ? AND tick_at > ? AND tick_at <= ?"
        parts = [f"SELECT '{table}' AS name, count(*) AS rows FROM {table} WHERE {own}" for table in tables]
        found = self._fetch(" UNION ALL ".join(parts), [self.account_id, self.strategy, after, until] * len(parts))
        return dict(found.iter_rows())

    def of_all(self, select: str, column: str, values: Sequence[object]) -> pl.DataFrame:
        """Rows that strategies share, by the values of a column."""
        return self._fetch(f"{select} WHERE list_contains(?, {column})", [list(values)])

    def rows(
        self, table: str, after: datetime | None, until: datetime, *, time: str = "tick_at"
    ) -> pl.DataFrame:  # fmt: skip
        """Rows of a table with `after < time <= until`; from the first one on where `after` is None."""
        since = "" if after is None else f"{time} > ? AND "
        bound = [until] if after is None else [after, until]
        return self.query(f"SELECT * FROM {table}", f"{since}{time} <= ?", bound)

    def equity_to_date(self, start: datetime, until: datetime, every: timedelta) -> pl.DataFrame:
        """Rows of `autopilot_equity` with `start < tick_at <= until`, and of those before the ones that draw a curve.

        These are the first of each deployment, and its last in each part of the length `every`.
        """
        part = f"time_bucket(to_microseconds({every // timedelta(microseconds=1)}), tick_at - INTERVAL 1 MICROSECOND)"
        own = [self.account_id, self.strategy, start]
        before = "FROM autopilot_equity WHERE account_id = ? AND strategy_config_id = ? AND tick_at <= ?"
        kept = (
            f"SELECT max(tick_at) AS tick_at {before} GROUP BY deployment_id, {part} "
            f"UNION SELECT min(tick_at) {before} GROUP BY deployment_id"
        )
        drawn = self._fetch(f"SELECT * {before} AND tick_at IN ({kept})", own * 3)
        return pl.concat([drawn, self.rows("autopilot_equity", start, until)]).sort("tick_at")

    def fills_to_date(self, start: datetime, until: datetime, columns: Sequence[str]) -> pl.DataFrame:
        """Rows of `autopilot_fills` with `start < tick_at <= until`; of before, those columns, the others empty."""
        before = self.query(f"SELECT {', '.join(columns)} FROM autopilot_fills", "tick_at <= ?", [start])
        return pl.concat([before, self.rows("autopilot_fills", start, until)], how="diagonal")

    def newest_tick(self) -> datetime | None:
        """Time of the newest recorded tick, None before the first."""
        newest: datetime | None = self.query("SELECT max(tick_at) AS tick_at FROM autopilot_ticks")["tick_at"][0]
        return newest

    def first_tick(self) -> datetime | None:
        """Time of the oldest recorded tick, None before it."""
        oldest: datetime | None = self.query("SELECT min(tick_at) AS tick_at FROM autopilot_ticks")["tick_at"][0]
        return oldest

    def head(self) -> Head | None:
        """Newest recorded tick with its deployment, None before the first."""
        newest = self.newest_tick()
        if newest is None:
            return None
        deployment = self.deployment_at(newest)
        return Head(newest, deployment.deployment_id, deployment)

    def context_at(self, tick_at: datetime) -> dict[str, Any]:
        """Deployment and policy recorded with a tick."""
        rows = self.query(
            f"SELECT payload FROM tick_inputs JOIN {_CONTEXTS} USING (context_hash)", "tick_at = ?", [tick_at]
        )
        if rows.is_empty():
            raise MissingRowError(self.strategy, "tick_inputs and tick_contexts", tick_at)
        return dict(json.loads(rows["payload"][0]))

    def deployment_at(self, tick_at: datetime) -> Deployment:
        """The deployment that a tick was recorded under."""
        return Deployment.from_payload(self.context_at(tick_at)["deployment"])

    def recorded_ticks(self, after: datetime, until: datetime) -> list[datetime]:
        """Recorded ticks with `after < tick_at <= until`."""
        return sorted(self.rows("autopilot_ticks", after, until)["tick_at"].to_list())

    def inputs(self, after: datetime, until: datetime) -> list[Row]:
        """Recorded inputs in the order of ticks, each with `policy`, `deployment` and `inception` of its context."""
        rows = self.query(
            f"SELECT tick_inputs.*, payload FROM tick_inputs JOIN {_CONTEXTS} USING (context_hash)",
            "tick_at > ? AND tick_at <= ?",
            [after, until],
        ).sort("tick_at")
        contexts = {text: json.loads(text) for text in rows["payload"].unique()}
        return [
            {
                **row,
                "policy": contexts[row["payload"]]["policy"],
                "deployment": contexts[row["payload"]]["deployment"],
                "inception": datetime.fromisoformat(contexts[row["payload"]]["deployment"]["inception"]),
            }
            for row in rows.iter_rows(named=True)
        ]

    def versions(self, after: datetime, until: datetime) -> tuple[str, ...]:
        """Versions of the program that took the recorded ticks with `after < tick_at <= until`."""
        return tuple(sorted(self.rows("autopilot_ticks", after, until)["program_version"].unique()))

    def previous_tick(self, before: datetime) -> datetime:
        """Newest recorded tick before a time, which every tick but an inception has."""
        rows = self.query("SELECT max(tick_at) AS at FROM autopilot_ticks", "tick_at < ?", [before])
        newest: datetime | None = rows["at"][0]
        if newest is None:
            raise MissingRowError(self.strategy, "autopilot_ticks before that", before)
        return newest

    def session_at(self, tick_at: datetime) -> Session:
        """The session as it was after a tick whose state is kept, rebuilt from the ledger alone."""
        kept = self.query("SELECT state, state_hash FROM kernel_states", "tick_at = ?", [tick_at])
        if kept.is_empty():
            raise MissingStateError(self.strategy, tick_at)
        if hashlib.sha256(kept["state"][0]).hexdigest() != kept["state_hash"][0]:
            raise StateChangedError(self.strategy, tick_at)
        payload = self.context_at(tick_at)
        deployment, policy = Deployment.from_payload(payload["deployment"]), Policy.from_payload(payload["policy"])
        session = Session(
            deployment,
            policy,
            load_state(kept["state"][0]),
            self._books(deployment, tick_at),
            self.chain(),
        )
        last = self.query("SELECT bars_hash, config_fingerprint FROM tick_inputs", "tick_at = ?", [tick_at])
        session.bars_hash, session.config_fingerprint = last["bars_hash"][0], last["config_fingerprint"][0]
        session.uncertain = bool(
            self.query("SELECT check_name FROM reconcile_events", "tick_at = ? AND NOT passed", [tick_at]).height
        )
        session.awaiting = self._awaiting(session, tick_at)
        session.reconciled_day = None if tick_at == deployment.inception else tick_at.strftime("%Y-%m-%d")
        return session

    def _books(self, deployment: Deployment, tick_at: datetime) -> Books:
        books = Books(deployment.capital)
        own = ("deployment_id = ? AND tick_at <= ?", [deployment.deployment_id, tick_at])
        sums = "sum(qty) AS qty, sum(cash_change) AS cash_change"
        fills = self.query(f"SELECT symbol, side, {sums} FROM autopilot_fills", *own, "symbol, side")
        funding = self.query("SELECT coalesce(sum(amount), 0) AS amount FROM autopilot_funding_payments", *own)
        books.book(fills.to_dicts(), funding.to_dicts())
        return books

    def chain(self) -> AuditChain:
        """The audit trail as it stands."""
        own = [self.account_id, self.strategy]
        newest = "sequence = (SELECT max(sequence) FROM admin_actions WHERE account_id = ? AND strategy_config_id = ?)"
        last = self.query("SELECT sequence, row_hash FROM admin_actions", newest, own)
        sequence, row_hash = last.row(0) if last.height else (0, GENESIS)
        return AuditChain(self.account_id, self.strategy, sequence, row_hash)

    def _awaiting(self, session: Session, tick_at: datetime) -> dict[str, Awaiting]:
        """Proposals of a deployment that still wait for an operator after a tick."""
        waiting = self.query(
            "SELECT p.* FROM autopilot_proposals p",
            f"{WAITING} AND p.deployment_id = ? AND p.tick_at <= ?",
            [tick_at, session.deployment.deployment_id, tick_at],
        )
        return {row["decision_key"]: _awaiting_of(session, row) for row in waiting.to_dicts()}

    def prune_states(self, con: Connection) -> None:
        """Remove the kernel states that are no day's end, before newer ones are written in the same transaction."""
        con.execute(
            "DELETE FROM kernel_states WHERE account_id = ? AND strategy_config_id = ? "
            "AND date_trunc('day', tick_at) <> tick_at",
            [self.account_id, self.strategy],
        )

    def waiting_keys(self) -> list[str]:
        """Decision keys of proposals that wait for an operator now."""
        waiting = self.query("SELECT p.decision_key FROM autopilot_proposals p", WAITING, [None])
        return sorted(waiting["decision_key"].to_list())

    def operator_requests(self) -> dict[str, str]:
        """What operators said, by decision key."""
        rows = self.query("SELECT decision_key, verdict FROM operator_requests")
        return dict(rows.iter_rows())

    def universe(self, day: str) -> Row | None:
        """Recorded universe of a day."""
        rows = self.query("SELECT * FROM autopilot_universe_snapshots", "universe_key LIKE ?", [f"%:{day}"])
        return rows.row(0, named=True) if rows.height else None

    def previous_universe(self, before: datetime) -> list[str] | None:
        """Selection of the newest universe before a time."""
        rows = self.query("SELECT as_of, selected FROM autopilot_universe_snapshots", "as_of < ?", [before])
        return list(json.loads(rows.sort("as_of")["selected"][-1])) if rows.height else None


def write_ticks(
    store: Store, rows: Mapping[str, list[Row]], states: Mapping[StrategyLedger, list[Row]], now: datetime
) -> int:
    """Write whole ticks, of one strategy or of several, in one transaction. Returns the number of rows.

    Contexts and policies that are stored already stay; of the kernel states, days' ends and the newest are kept.

    Args:
        store: where the ledger is.
        rows: by table, without `recorded_at`.
        states: kernel states by the ledger of their strategy.
        now: when they are recorded.
    """
    written = 0
    with store.write("ledger") as con:
        for table, own in rows.items():
            shared = table in ("tick_contexts", "policy_versions")
            written += (insert_new if shared else insert)(con, table, _frame(table, own, now))
        kept = [row for own in states.values() for row in own]
        if kept:
            for ledger in (ledger for ledger, own in states.items() if own):
                ledger.prune_states(con)
            written += insert(con, "kernel_states", _frame("kernel_states", kept, now))
    return written


def _frame(table: str, rows: Iterable[Row], now: datetime) -> pl.DataFrame:
    return TABLES[table].unchecked([{**row, "recorded_at": now} for row in rows])


def _awaiting_of(session: Session, row: Row) -> Awaiting:
    column = session.deployment.symbols.index(row["symbol"])
    item, lot = session.deployment.instruments[column], session.deployment.lots[column]

    def units(distance: Decimal | None) -> int:
        return int(distance / item.price_unit) if distance else 0

    return Awaiting(
        row["decision_key"],
        row["symbol"],
        int(row["tick_at"].timestamp()),
        {"hold": 0, "enter": 1, "exit": 2}[row["action"]],
        1 if row["side"] == "buy" else -1,
        int(row["proposed_qty"] / lot),
        row["confidence"],
        units(row["stop_distance"]),
        units(row["target_distance"]),
        units(row["trail_distance"]),
    )
