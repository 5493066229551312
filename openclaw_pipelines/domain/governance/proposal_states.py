"""The life of a proposal: which moves between states are legal.

`proposed -> preview_rejected | approved`, `approved -> executed | execution_failed | shadowed | awaiting_approval`,
`awaiting_approval -> approved | expired | declined`, `executed -> reconciled -> outcome_evaluated`. Refused, held and
failed proposals are scored like the others, but their state stays final: `outcome_evaluated` follows execution only.
A component that could not judge abstains, which never reads as a hold.
"""

from openclaw_pipelines.contracts.enums import ProposalState
from openclaw_pipelines.contracts.enums import ProposalState as S
from openclaw_pipelines.contracts.errors import ContractError

MOVES: dict[S, frozenset[S]] = {
    S.PROPOSED: frozenset({S.PREVIEW_REJECTED, S.APPROVED, S.HELD, S.ABSTAIN}),
    S.APPROVED: frozenset({S.EXECUTED, S.EXECUTION_FAILED, S.SHADOWED, S.AWAITING_APPROVAL}),
    S.AWAITING_APPROVAL: frozenset({S.APPROVED, S.EXPIRED, S.DECLINED}),
    S.EXECUTED: frozenset({S.RECONCILED}),
    S.RECONCILED: frozenset({S.OUTCOME_EVALUATED}),
}
TERMINAL = frozenset(state for state in S if state not in MOVES)


class IllegalMoveError(ContractError):
    """A proposal cannot go from one state to the other."""

    template = "{key} cannot move from {from_state} to {to_state}. Legal: {legal}."
    key: str
    from_state: ProposalState
    to_state: ProposalState
    legal: str


def move(key: str, from_state: S, to_state: S) -> S:
    """`to_state`, or an error when the move is illegal.

    >>> move("k", S.PROPOSED, S.APPROVED).value
    'approved'
    """
    legal = MOVES.get(from_state, frozenset())
    if to_state not in legal:
        names = ", ".join(sorted(state.value for state in legal)) or "none, it is final"
        raise IllegalMoveError(key, from_state, to_state, names)
    return to_state
