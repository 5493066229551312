"""The append-only audit trail: rows chained by hash, one chain per strategy.

Moves are legal or not in `proposals`; the rows are stored by the ledger.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.chain import GENESIS, chained_hash, first_broken
from openclaw_pipelines.contracts.enums import ProposalState
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.domain.governance.proposal_states import move

PROPOSAL_MOVED = "PROPOSAL_MOVED"
CHAINED = (
    "account_id",
    "strategy_config_id",
    "sequence",
    "action",
    "subject",
    "from_state",
    "to_state",
    "tick_at",
    "actor",
    "details",
)


class BrokenChainError(LedgerError):
    """A row of the audit trail does not follow from the one before it."""

    template = (
        "audit trail of {strategy}: row {sequence} does not follow from the row before it. It was changed or removed."
    )
    strategy: str
    sequence: int


@dataclass(frozen=True)
class AuditEntry:
    """One thing that happened, before it has a place in the chain."""

    action: str
    subject: str
    from_state: str | None
    to_state: str | None
    tick_at: datetime | None
    actor: str
    details: str


def proposal_moved(
    key: str,
    from_state: ProposalState,
    to_state: ProposalState,
    tick_at: datetime | None,
    *,
    actor: str = "autopilot",
    **details: object,
) -> AuditEntry:
    """A legal move of a proposal; an illegal one is an error."""
    move(key, from_state, to_state)
    return AuditEntry(PROPOSAL_MOVED, key, from_state.value, to_state.value, tick_at, actor, canonical_json(details))


def source_taken_over(deployment_id: str, source: str, tick_at: datetime) -> AuditEntry:
    """A deployment of a ledger that did not record its market source is bound to one."""
    details = canonical_json(
        {"because": "its ledger did not record a market source; the configured one was taken over"}
    )
    return AuditEntry("SOURCE_TAKEN_OVER", deployment_id, None, source, tick_at, "autopilot", details)


@dataclass
class AuditChain:
    """Gives entries their place: sequence, hash of the row before and own hash."""

    account_id: str
    strategy_config_id: str
    sequence: int = 0
    last_hash: str = GENESIS

    def append(self, entries: Iterable[AuditEntry]) -> list[dict[str, object]]:
        """Rows of `admin_actions` without `recorded_at` and `run_fingerprint`."""
        return [self._link(entry) for entry in entries]

    def _link(self, entry: AuditEntry) -> dict[str, object]:
        self.sequence += 1
        row = {
            "account_id": self.account_id,
            "strategy_config_id": self.strategy_config_id,
            "sequence": self.sequence,
            **{name: getattr(entry, name) for name in CHAINED[3:]},
            "prev_hash": self.last_hash,
        }
        self.last_hash = row["row_hash"] = row_hash(row)
        return row


def row_hash(row: dict[str, Any]) -> str:
    """SHA-256 over `prev_hash` and the business columns of a row."""
    return chained_hash(row, CHAINED)


def verify_chain(rows: Iterable[dict[str, Any]]) -> int:
    """Number of rows of a whole chain in order. Raises BrokenChainError at the first row that does not follow."""
    count = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    broken = first_broken(counted(), CHAINED)
    if broken is not None:
        raise BrokenChainError(broken["strategy_config_id"], broken["sequence"])
    return count
