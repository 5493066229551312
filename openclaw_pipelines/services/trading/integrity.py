"""Whether the rows of a strategy belong together: what taking ticks again cannot see, since it begins at their inputs.

Every tick has its input, every input its tick, every row its tick, every deployment its grid without a hole; what is
stored under a hash has it; universes, states and approvals are those that the ticks used. Taking recorded ticks again
is in `verification`.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from openclaw_pipelines.contracts.canonical import canonical_json, sha256_of
from openclaw_pipelines.contracts.enums import ProposalState, TickStatus
from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN, Answer
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.resources.store.comparison import Difference, repeated
from openclaw_pipelines.resources.store.strategy_ledger import TICK_TABLES, StrategyLedger
from openclaw_pipelines.services.trading.walk import ticks_between


def verify_integrity(ledger: StrategyLedger) -> list[Difference]:
    """Every row of a strategy that does not belong to the others, by table and key; empty where all do.

    kind of a difference: `missing` where another row needs it, `extra` where none does, `changed` where two disagree.
    """
    with ledger.reading():
        own = _Rows(ledger)
        rules = (own.pairs, own.homeless, own.holes, own.hashed, own.policies, own.states, own.universes, own.answers)
        return repeated_keys(ledger) + [found for rule in rules for found in rule()]


def repeated_keys(
    ledger: StrategyLedger, after: datetime | None = None, until: datetime | None = None
) -> list[Difference]:  # fmt: skip
    """Keys that several rows of a strategy have, in tables of ticks with `after < tick <= until`, or in all tables."""
    own = [table for table in TABLES.values() if table.database == "ledger" and "strategy_config_id" in table.names]
    if after is not None:
        own = [table for table in own if "tick_at" in table.names]
    where, bound = ("true", []) if after is None else ("tick_at > ? AND tick_at <= ?", [after, until])
    found = []
    for name in ledger.repeated({table.name: table.key for table in own}, where, bound):
        table = TABLES[name]
        found += repeated(table, ledger.query(f"SELECT {', '.join(table.key)} FROM {name}", where, bound))
    return found


class _Rows:
    """The rows that the rules look at, without bars and texts of inputs."""

    def __init__(self, ledger: StrategyLedger) -> None:
        self.ledger = ledger
        ticks = ledger.query("SELECT tick_at, status, deployment_id, state_hash FROM autopilot_ticks")
        self.ticks = {row["tick_at"]: row for row in ticks.sort("tick_at").iter_rows(named=True)}
        inputs = ledger.query("SELECT tick_at, context_hash, universe_key, masks, external FROM tick_inputs")
        self.inputs = {row["tick_at"]: row for row in inputs.sort("tick_at").iter_rows(named=True)}
        hashes = sorted({row["context_hash"] for row in self.inputs.values()})
        self.stored = ledger.of_all("SELECT context_hash, payload FROM tick_contexts", "context_hash", hashes)
        self.contexts: dict[str, str] = dict(self.stored.iter_rows())

    def pairs(self) -> Iterator[Difference]:
        """Every tick has its input, and every input its tick."""
        yield from (_missing("tick_inputs", at) for at in self.ticks if at not in self.inputs)
        yield from (_extra("tick_inputs", at) for at in self.inputs if at not in self.ticks)

    def homeless(self) -> Iterator[Difference]:
        """No row lies at a time that is no tick."""
        for table in (*TICK_TABLES, "kernel_states"):
            found = self.ledger.query(f"SELECT DISTINCT tick_at FROM {table}")["tick_at"].sort()
            if table != "tick_inputs":
                yield from (_extra(table, at) for at in found if at not in self.ticks)

    def holes(self) -> Iterator[Difference]:
        """A deployment's ticks lie on its grid from its inception on, and none is absent before its newest."""
        recorded: dict[str, list[datetime]] = {}
        for at, row in self.ticks.items():
            recorded.setdefault(row["deployment_id"], []).append(at)
        for own in recorded.values():
            payload = self._payload(own[0])
            if payload is None:
                continue
            inception = datetime.fromisoformat(payload["deployment"]["inception"])
            length: timedelta = interval_length(payload["deployment"]["interval"])
            expected = [inception, *ticks_between(inception, own[-1], length)]
            yield from (_missing("autopilot_ticks", at) for at in expected if at not in self.ticks)
            yield from (_extra("autopilot_ticks", at) for at in sorted(set(own) - set(expected)))
            status = self.ticks.get(inception, {}).get("status", TickStatus.INCEPTION.value)
            if status != TickStatus.INCEPTION.value:
                yield _changed("autopilot_ticks", _at(inception), "status", status, TickStatus.INCEPTION.value)

    def _payload(self, at: datetime) -> dict[str, Any] | None:
        own = self.inputs.get(at)
        text = None if own is None else self.contexts.get(own["context_hash"])
        return None if text is None else dict(json.loads(text))

    def hashed(self) -> Iterator[Difference]:
        """A context has the hash under which it is stored, and each that a tick names is there, once."""
        yield from repeated(TABLES["tick_contexts"], self.stored)
        for key in sorted({row["context_hash"] for row in self.inputs.values()}):
            if key not in self.contexts:
                yield Difference("tick_contexts", "missing", f"context_hash={key}", "", None, None)
            elif _sha256(self.contexts[key]) != key:
                yield _changed("tick_contexts", f"context_hash={key}", "payload", _sha256(self.contexts[key]), key)

    def policies(self) -> Iterator[Difference]:
        """The policy of each context is stored under its hash, and from the first tick under it on."""
        stored = self.ledger.query("SELECT policy_version_id, limits, first_tick_at FROM policy_versions")
        rows = {row["policy_version_id"]: row for row in stored.iter_rows(named=True)}
        first: dict[str, datetime] = {}
        ids = {key: sha256_of(json.loads(text)["policy"]) for key, text in self.contexts.items()}
        for at, row in self.inputs.items():
            if row["context_hash"] in ids:
                first.setdefault(ids[row["context_hash"]], at)
        for key, at in first.items():
            name = f"policy_version_id={key}"
            if key not in rows:
                yield Difference("policy_versions", "missing", name, "", None, None)
                continue
            if _sha256(rows[key]["limits"]) != key:
                yield _changed("policy_versions", name, "limits", _sha256(rows[key]["limits"]), key)
            if rows[key]["first_tick_at"] != at:
                yield _changed("policy_versions", name, "first_tick_at", _at(rows[key]["first_tick_at"]), _at(at))
        for key in sorted(set(rows) - set(first)):
            yield Difference("policy_versions", "extra", f"policy_version_id={key}", "", None, None)

    def states(self) -> Iterator[Difference]:
        """A kept state has the hash beside it, which is that of its tick; each day's end and the newest are kept."""
        stored = self.ledger.query("SELECT tick_at, state, state_hash FROM kernel_states")
        kept = {row["tick_at"]: row for row in stored.sort("tick_at").iter_rows(named=True)}
        for at, row in kept.items():
            found = hashlib.sha256(row["state"]).hexdigest()
            if found != row["state_hash"]:
                yield _changed("kernel_states", _at(at), "state", found, row["state_hash"])
            if at in self.ticks and row["state_hash"] != self.ticks[at]["state_hash"]:
                yield _changed("kernel_states", _at(at), "state_hash", row["state_hash"], self.ticks[at]["state_hash"])
        needed = [at for at in self.ticks if at.hour == at.minute == at.second == 0]
        for at in sorted({*needed, *list(self.ticks)[-1:]} - set(kept)):
            yield _missing("kernel_states", at)

    def universes(self) -> Iterator[Difference]:
        """The universe that a tick was taken under is the snapshot it names, and each snapshot is one that was used."""
        stored = self.ledger.query("SELECT universe_key, selected FROM autopilot_universe_snapshots")
        snapshots = dict(stored.iter_rows())
        used: dict[str, str] = {}
        for row in self.inputs.values():
            if row["universe_key"] is not None:
                used.setdefault(row["universe_key"], canonical_json(json.loads(row["masks"])["universe"]))
        for key, universe in used.items():
            name = f"universe_key={key}"
            if key not in snapshots:
                yield Difference("autopilot_universe_snapshots", "missing", name, "", None, None)
            elif canonical_json(json.loads(snapshots[key])) != universe:
                yield _changed("autopilot_universe_snapshots", name, "selected", snapshots[key], universe)
        for key in sorted(set(snapshots) - set(used)):
            yield Difference("autopilot_universe_snapshots", "extra", f"universe_key={key}", "", None, None)

    def answers(self) -> Iterator[Difference]:
        """An operator's answer that entered a tick was given, and each that was given is to a proposal that waited."""
        stored = self.ledger.query("SELECT decision_key, verdict FROM operator_requests")
        given = dict(stored.iter_rows())
        for row in self.inputs.values():
            for item in json.loads(row["external"]):
                key, verdict = f"decision_key={item['decision_key']}", item["verdict"]
                if verdict == Answer.EXPIRE.value:
                    continue
                if item["decision_key"] not in given:
                    yield Difference("operator_requests", "missing", key, "", None, None)
                elif given[item["decision_key"]] != verdict:
                    yield _changed("operator_requests", key, "verdict", given[item["decision_key"]], verdict)
        waited = self.ledger.query(
            "SELECT decision_key FROM autopilot_proposals", "state = ?", [ProposalState.AWAITING_APPROVAL.value]
        )["decision_key"]
        for key in sorted({*set(given) - set(waited), *self._unsaid()}):
            yield Difference("operator_requests", "extra", f"decision_key={key}", "", None, None)

    def _unsaid(self) -> list[str]:
        """Answers that the account's chain does not know, since it began."""
        chain = self.ledger.of_all(
            "SELECT account_id, sequence, subject, to_state, recorded_at FROM admin_actions",
            "strategy_config_id", [ACCOUNT_CHAIN],
        ).filter(account_id=self.ledger.account_id)  # fmt: skip
        if chain.is_empty():
            return []
        began = chain.sort("sequence")["recorded_at"][0]
        asked = self.ledger.query("SELECT decision_key, verdict FROM operator_requests", "requested_at >= ?", [began])
        said = set(chain.select("subject", "to_state").iter_rows())
        return [key for key, verdict in asked.iter_rows() if (key, verdict) not in said]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _at(at: datetime) -> str:
    return f"tick_at={at:%Y-%m-%dT%H:%M:%SZ}"


def _missing(table: str, at: datetime) -> Difference:
    return Difference(table, "missing", _at(at), "", None, None)


def _extra(table: str, at: datetime) -> Difference:
    return Difference(table, "extra", _at(at), "", None, None)


def _changed(table: str, key: str, column: str, stored: str, given: str) -> Difference:
    return Difference(table, "changed", key, column, stored, given)
