"""A walk in progress: the session, the rows of the ticks taken so far, and the universes it looked up or built."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.enums import TickStatus
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.governance.audit import source_taken_over
from openclaw_pipelines.domain.trading import tick_rows
from openclaw_pipelines.domain.trading.inception import WarmUp, inception
from openclaw_pipelines.domain.trading.records import Row
from openclaw_pipelines.domain.trading.session import Session, kernel_state_row
from openclaw_pipelines.domain.trading.tick import TickResult
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger, write_ticks


@dataclass
class Walk:
    """What a run of ticks has to commit.

    at: newest tick, recorded or taken.
    """

    ledger: StrategyLedger
    session: Session
    at: datetime
    rows: dict[str, list[Row]] = field(default_factory=dict)
    states: list[Row] = field(default_factory=list)
    """Kernel states to keep: inception, days' ends and the newest tick."""
    universes: dict[str, Row] = field(default_factory=dict)
    taken: int = 0
    settled_only: int = 0
    _requests: dict[str, str] | None = None
    _contexts: set[str] = field(default_factory=set)

    def begin(self, warm_up: WarmUp) -> None:
        """Record the inception."""
        self._append(inception(self.session, warm_up))

    def take_over(self, source: str) -> None:
        """Bind a deployment whose ledger did not record its market source to this one, with a row that says so."""
        session = self.session
        session.deployment = session.deployment.on(source)
        session.use_policy(session.policy)
        entries = session.chain.append([source_taken_over(session.deployment.deployment_id, source, self.at)])
        self._append_rows(tick_rows.stamped(session, self.at, {"admin_actions": entries}))

    def add(self, session: Session, result: TickResult) -> None:
        """Go on from `session`, which took the tick."""
        self.session, self.at = session, result.at
        self.taken += 1
        self.settled_only += result.rows["autopilot_ticks"][0]["status"] == TickStatus.SETTLED_ONLY.value
        self._append(result)

    def universe(self, day: str) -> Row | None:
        """Universe of a day, recorded or built in this walk."""
        if day not in self.universes:
            recorded = self.ledger.universe(day)
            if recorded is None:
                return None
            self.universes[day] = recorded
        return self.universes[day]

    def add_universe(self, day: str, columns: dict[str, str | None]) -> Row:
        """Record the universe built for a day."""
        deployment = self.session.deployment
        key = f"universe:{deployment.account_id}:{deployment.strategy_config_id}:{day}"
        row = {**columns, "universe_key": key, "as_of": day_start(day)}
        table = "autopilot_universe_snapshots"
        stamped = tick_rows.stamped(self.session, day_start(day), {table: [row]})[table][0]
        self.rows.setdefault(table, []).append(stamped)
        self.universes[day] = stamped
        return stamped

    def previous_universe(self, day: str) -> list[str] | None:
        """Selection of the universe before a day's."""
        built = [row for row in self.universes.values() if row["as_of"] < day_start(day)]
        if built:
            return list(json.loads(max(built, key=lambda row: row["as_of"])["selected"]))
        return self.ledger.previous_universe(day_start(day))

    def decisions(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Decisions with `since < tick_at <= until`, recorded or taken in this walk."""
        recorded = self.ledger.rows("autopilot_decisions", since, until)
        taken = [row for row in self.rows.get("autopilot_decisions", []) if since < row["tick_at"] <= until]
        if not taken:
            return recorded
        stamp = [{**row, "recorded_at": row["tick_at"]} for row in taken]
        return pl.concat([recorded, TABLES["autopilot_decisions"].frame(stamp)])

    def requests(self) -> dict[str, str]:
        """What operators said, read once per walk."""
        if self._requests is None:
            self._requests = self.ledger.operator_requests()
        return self._requests

    def _append(self, result: TickResult) -> None:
        """Keep the rows; contexts and policies once per walk; the state of the newest tick and of each day's end."""
        self._append_rows(result.rows)
        session = self.session
        if session.context_hash not in self._contexts:
            self._contexts.add(session.context_hash)
            self._add_context(session, result.at)
        if self.states and not _day_end(self.states[-1]["tick_at"]):
            self.states.pop()
        self.states += tick_rows.stamped(session, result.at, {"kernel_states": [kernel_state_row(session)]})[
            "kernel_states"
        ]

    def _append_rows(self, rows: dict[str, list[Row]]) -> None:
        for table, own in rows.items():
            self.rows.setdefault(table, []).extend(own)

    def _add_context(self, session: Session, at: datetime) -> None:
        context = {"context_hash": session.context_hash, "payload": canonical_json(session.payload)}
        self.rows.setdefault("tick_contexts", []).append(context)
        policy = {
            "policy_version_id": session.policy_version_id,
            "limits": canonical_json(session.policy.payload()),
            "first_tick_at": at,
        }
        versions = self.rows.setdefault("policy_versions", [])
        if all(row["policy_version_id"] != policy["policy_version_id"] for row in versions):
            versions += tick_rows.stamped(session, at, {"policy_versions": [policy]})["policy_versions"]


def commit(walks: Sequence[Walk], now: datetime) -> int:
    """Write the ticks of walks of one account in one transaction. Returns the number of rows.

    Raises:
        KeyExistsError: a tick is recorded already. StoreError: the store cannot be written. Nothing is written then.
    """
    rows: dict[str, list[Row]] = {}
    for walk in walks:
        for table, own in walk.rows.items():
            rows.setdefault(table, []).extend(own)
    states = {walk.ledger: walk.states for walk in walks}
    return write_ticks(walks[0].ledger.store, rows, states, now)


def _day_end(at: datetime) -> bool:
    return at == at.replace(hour=0, minute=0, second=0, microsecond=0)


def ticks_between(after: datetime, until: datetime, length: timedelta) -> list[datetime]:
    """Ticks with `after < tick <= until` on the grid of `length`.

    >>> from datetime import timedelta
    >>> len(ticks_between(day_start("2025-05-10"), day_start("2025-05-11"), timedelta(hours=1)))
    24
    """
    first = after - (after - day_start("1970-01-01")) % length + length
    count = max(0, (until - first) // length + 1)
    return [first + n * length for n in range(count)]
