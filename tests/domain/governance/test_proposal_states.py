"""Legal moves of a proposal, against the table of CONTRACTS."""

import pickle

import pytest

from openclaw_pipelines.contracts.enums import ProposalState as State
from openclaw_pipelines.domain.governance.proposal_states import TERMINAL, IllegalMoveError, move

LEGAL = {
    ("proposed", "preview_rejected"),
    ("proposed", "approved"),
    ("proposed", "held"),
    ("proposed", "abstain"),
    ("approved", "executed"),
    ("approved", "execution_failed"),
    ("approved", "shadowed"),
    ("approved", "awaiting_approval"),
    ("awaiting_approval", "approved"),
    ("awaiting_approval", "expired"),
    ("awaiting_approval", "declined"),
    ("executed", "reconciled"),
    ("reconciled", "outcome_evaluated"),
}


@pytest.mark.parametrize("start", State, ids=lambda state: state.value)
def test_every_pair_of_states(start: State) -> None:
    for end in State:
        if (start.value, end.value) in LEGAL:
            assert move("k", start, end) is end
        else:
            with pytest.raises(IllegalMoveError):
                move("k", start, end)


def test_the_error_names_what_would_be_legal() -> None:
    with pytest.raises(IllegalMoveError) as error:
        move("k", State.AWAITING_APPROVAL, State.EXECUTED)
    message = "k cannot move from awaiting_approval to executed. Legal: approved, declined, expired."
    assert str(error.value) == str(pickle.loads(pickle.dumps(error.value))) == message


def test_final_states() -> None:
    assert {state.value for state in TERMINAL} == {
        "preview_rejected", "execution_failed", "shadowed", "expired", "declined", "outcome_evaluated", "abstain",
        "held",
    }  # fmt: skip
