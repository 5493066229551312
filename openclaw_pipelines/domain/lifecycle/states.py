"""The life of a strategy: which moves between stages are legal.

`candidate -> validated -> paper -> promoted -> paused -> retired`. A promoted strategy moves to itself when its size is
raised by a ramp. What ever traded is paused before it is retired, so that its positions are closed by its own rules;
a paused one may go back to paper, at the first ramp. Retired is final: the same parameters found again are another
candidate. Undoing a recorded move is a move of its own kind, see `undo`.
"""

from openclaw_pipelines.contracts.errors import ContractError
from openclaw_pipelines.contracts.lifecycle import Stage

S = Stage
MOVES: dict[S, frozenset[S]] = {
    S.CANDIDATE: frozenset({S.VALIDATED, S.RETIRED}),
    S.VALIDATED: frozenset({S.PAPER, S.RETIRED}),
    S.PAPER: frozenset({S.PROMOTED, S.PAUSED}),
    S.PROMOTED: frozenset({S.PROMOTED, S.PAUSED}),
    S.PAUSED: frozenset({S.PAPER, S.RETIRED}),
}
TERMINAL = frozenset(stage for stage in S if stage not in MOVES)
TRADING = frozenset({S.PAPER, S.PROMOTED})
"""Stages in which a strategy may enter positions."""
CONFIGURED = frozenset({S.PAPER, S.PROMOTED, S.PAUSED, S.RETIRED})
"""Stages in which a strategy is part of the configuration; a retired one is switched off and keeps its history."""


class IllegalTransitionError(ContractError):
    """A strategy cannot go from one stage to the other."""

    template = "{strategy} cannot move from {from_stage} to {to_stage}. Legal: {legal}."
    strategy: str
    from_stage: Stage
    to_stage: Stage
    legal: str


class NotTheStageBeforeError(ContractError):
    """A rollback must lead to the stage from which the move that it undoes started."""

    template = "{strategy} cannot be rolled back to {to_stage}: the move that is undone started from {recorded}."
    strategy: str
    to_stage: Stage
    recorded: Stage


def move(strategy: str, from_stage: S, to_stage: S) -> S:
    """`to_stage`, or an error when the move is illegal.

    >>> move("trend", S.CANDIDATE, S.VALIDATED).value
    'validated'
    >>> move("trend", S.CANDIDATE, S.PROMOTED)
    Traceback (most recent call last):
    openclaw_pipelines.domain.lifecycle.states.IllegalTransitionError: trend cannot move from candidate to promoted. \
Legal: retired, validated.
    """
    legal = MOVES.get(from_stage, frozenset())
    if to_stage not in legal:
        names = ", ".join(sorted(stage.value for stage in legal)) or "none, it is final"
        raise IllegalTransitionError(strategy, from_stage, to_stage, names)
    return to_stage


def undo(strategy: str, recorded: S, to_stage: S) -> S:
    """`to_stage` where the undone move started from it, whatever the moves of the table.

    >>> undo("trend", S.PROMOTED, S.PROMOTED).value
    'promoted'
    """
    if to_stage is not recorded:
        raise NotTheStageBeforeError(strategy, to_stage, recorded)
    return to_stage
