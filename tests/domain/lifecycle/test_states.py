"""Every pair of stages, legal or not."""

import itertools

import pytest

from openclaw_pipelines.contracts.lifecycle import Stage
from openclaw_pipelines.domain.lifecycle.states import (
    CONFIGURED,
    TERMINAL,
    TRADING,
    IllegalTransitionError,
    NotTheStageBeforeError,
    move,
    undo,
)

LEGAL = {
    ("candidate", "validated"),
    ("candidate", "retired"),
    ("validated", "paper"),
    ("validated", "retired"),
    ("paper", "promoted"),
    ("paper", "paused"),
    ("promoted", "promoted"),
    ("promoted", "paused"),
    ("paused", "paper"),
    ("paused", "retired"),
}
PAIRS = list(itertools.product(Stage, Stage))


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_move(one: Stage, other: Stage) -> None:
    if (one.value, other.value) in LEGAL:
        assert move("swing", one, other) is other
        return
    with pytest.raises(IllegalTransitionError) as caught:
        move("swing", one, other)
    legal = ", ".join(sorted(to for start, to in LEGAL if start == one)) or "none, it is final"
    assert str(caught.value) == f"swing cannot move from {one} to {other}. Legal: {legal}."


def test_retired_is_final() -> None:
    assert {Stage.RETIRED} == TERMINAL
    assert {Stage.PAPER, Stage.PROMOTED} == TRADING
    assert set(Stage) - {Stage.CANDIDATE, Stage.VALIDATED} == CONFIGURED


@pytest.mark.parametrize(("recorded", "to_stage"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_undo_leads_only_to_where_the_move_started(recorded: Stage, to_stage: Stage) -> None:
    if recorded is to_stage:
        assert undo("swing", recorded, to_stage) is to_stage
    else:
        with pytest.raises(NotTheStageBeforeError, match="cannot be rolled back"):
            undo("swing", recorded, to_stage)
