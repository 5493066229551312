"""Words of the ledger's rows that tables, metrics and pages rely on.

Apart from `enums`, whose text is part of what the kernel was compiled from.
"""

from enum import StrEnum


class DecisionStatus(StrEnum):
    """What the governor made of a proposal."""

    APPROVED = "approved"
    REJECTED = "rejected"
    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    SHADOWED = "shadowed"
    ABSTAIN = "abstain"
