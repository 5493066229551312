"""Proposals that wait for an operator in assist mode, and what becomes of them.

An approval enters a later tick as a recorded proposal from outside, is judged again there at that tick's price, and is
a decision of its own; a decline or too long a wait ends the proposal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openclaw_pipelines.contracts.enums import ProposalState
from openclaw_pipelines.contracts.governance import Answer
from openclaw_pipelines.domain.governance.audit import AuditEntry, proposal_moved
from openclaw_pipelines.kernel.base import layout

MOVES = {
    Answer.APPROVE: ProposalState.APPROVED,
    Answer.DECLINE: ProposalState.DECLINED,
    Answer.EXPIRE: ProposalState.EXPIRED,
}


@dataclass(frozen=True)
class Awaiting:
    """An approved entry that was not sent."""

    decision_key: str
    symbol: str
    decided_at: int
    action: int
    side: int
    qty: int
    confidence: float
    stop_distance: int
    target_distance: int
    trail_distance: int


@dataclass(frozen=True)
class External:
    """A proposal that came from outside the kernel: an operator's approval of one that was waiting, or a decline."""

    decision_key: str
    symbol: str
    verdict: str
    decided_at: int
    action: int
    side: int
    qty: int
    confidence: float
    stop_distance: int
    target_distance: int
    trail_distance: int


def waiting_of(row: Mapping[str, Any], proposal: layout.Record, tick_seconds: int) -> Awaiting:
    """What must be kept of a proposal until an operator answers."""
    return Awaiting(
        row["decision_key"],
        row["symbol"],
        tick_seconds,
        int(proposal.action),
        int(proposal.side),
        int(proposal.qty),
        float(proposal.confidence),
        int(proposal.stop_distance),
        int(proposal.target_distance),
        int(proposal.trail_distance),
    )


def verdicts(
    awaiting: Mapping[str, Awaiting], requests: Mapping[str, str], tick_seconds: int, wait_seconds: int
) -> tuple[External, ...]:
    """What enters a tick from outside: the operator's answers, and the end of waits that took too long.

    Args:
        awaiting: waiting proposals by decision key.
        requests: `approve` or `decline` by decision key.
        tick_seconds: the tick.
        wait_seconds: longest wait.
    """
    found = []
    for key, waiting in sorted(awaiting.items()):
        verdict = requests.get(key)
        if verdict is None and tick_seconds - waiting.decided_at >= wait_seconds:
            verdict = Answer.EXPIRE.value
        if verdict is not None:
            found.append(External(verdict=verdict, **vars(waiting)))
    return tuple(found)


def approved_proposals(
    symbols: Sequence[str], bars: layout.Records, external: Sequence[External], buffer: layout.Records
) -> int:
    """Write approved proposals to the front of `buffer` at this tick's closes. Returns how many.

    Of several on one symbol only the latest is taken: the others would be its duplicates.
    """
    approved = {item.symbol: item for item in external if item.verdict == Answer.APPROVE}
    for record, item in zip(buffer, approved.values(), strict=False):
        record.symbol = symbols.index(item.symbol)
        record.price = bars[record.symbol].close
        record.external = 1
        for name in ("action", "side", "qty", "stop_distance", "target_distance", "trail_distance"):
            record[name] = getattr(item, name)
        record.confidence = 1.0  # ranks before the strategy's own fresh entry, of which it would else be the duplicate
    return len(approved)


def verdict_moves(external: Iterable[External], awaiting: dict[str, Awaiting], at: datetime) -> list[AuditEntry]:
    """Moves of the proposals that were answered at the tick `at`; they stop waiting."""
    moves = []
    for item in external:
        awaiting.pop(item.decision_key, None)
        actor = "autopilot" if item.verdict == Answer.EXPIRE else "operator"
        waited = ProposalState.AWAITING_APPROVAL
        moves.append(proposal_moved(item.decision_key, waited, MOVES[Answer(item.verdict)], at, actor=actor))
    return moves
