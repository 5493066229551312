"""Words of approvals that ticks, tables and commands rely on."""

from enum import StrEnum


class Answer(StrEnum):
    """What ends the wait of a proposal: an operator's word, or the wait itself."""

    APPROVE = "approve"
    DECLINE = "decline"
    EXPIRE = "expire"
