"""The audit chain: an independent computation of its hashes, and what a break is."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from openclaw_pipelines.contracts.chain import GENESIS
from openclaw_pipelines.contracts.enums import ProposalState as State
from openclaw_pipelines.domain.governance.audit import (
    AuditChain,
    BrokenChainError,
    proposal_moved,
    verify_chain,
)
from openclaw_pipelines.domain.governance.proposal_states import IllegalMoveError

AT = datetime(2025, 5, 10, 6, tzinfo=UTC)


def rows() -> list[dict[str, Any]]:
    chain = AuditChain("paper", "desk")
    first = chain.append([proposal_moved("k", State.PROPOSED, State.APPROVED, AT)])
    return first + chain.append(
        [proposal_moved("k", State.APPROVED, State.EXECUTED, AT, fill_key="f"), *_outcome()],
    )


def _outcome() -> list[Any]:
    return [proposal_moved("k", State.EXECUTED, State.RECONCILED, None, actor="operator")]


def test_each_row_carries_the_hash_of_the_one_before() -> None:
    previous = GENESIS
    for n, row in enumerate(rows(), start=1):
        body = {
            "account_id": "paper",
            "strategy_config_id": "desk",
            "sequence": n,
            "action": "PROPOSAL_MOVED",
            "subject": "k",
            "from_state": row["from_state"],
            "to_state": row["to_state"],
            "tick_at": None if row["tick_at"] is None else "2025-05-10T06:00:00+00:00",
            "actor": row["actor"],
            "details": row["details"],
        }
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        assert row["prev_hash"] == previous
        previous = hashlib.sha256((previous + text).encode()).hexdigest()
        assert row["row_hash"] == previous
    assert rows()[1]["details"] == '{"fill_key":"f"}'


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param("actor", "operator", id="actor"),
        pytest.param("to_state", "expired", id="state"),
        pytest.param("subject", "other", id="subject"),
        pytest.param("tick_at", None, id="time"),
        pytest.param("sequence", 7, id="sequence"),
        pytest.param("row_hash", "0" * 64, id="its own hash"),
        pytest.param("prev_hash", "0" * 64, id="the hash before"),
    ],
)
def test_a_changed_row_is_caught(column: str, value: Any) -> None:
    changed = rows()
    changed[1] = {**changed[1], column: value}
    with pytest.raises(BrokenChainError):
        verify_chain(changed)


def test_an_unchanged_chain_passes() -> None:
    assert verify_chain(rows()) == 3
    assert verify_chain([]) == 0


def test_a_row_removed_from_the_middle_is_caught() -> None:
    with pytest.raises(BrokenChainError, match="row 3 does not follow"):
        verify_chain([rows()[0], rows()[2]])


def test_an_illegal_move_never_becomes_a_row() -> None:
    with pytest.raises(IllegalMoveError):
        proposal_moved("k", State.PROPOSED, State.EXECUTED, AT)
