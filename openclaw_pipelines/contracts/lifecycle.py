"""Words of a strategy's life that tables, commands and dashboards rely on. Legal moves are in `domain.lifecycle`.

Apart from `enums`, whose text is part of what the kernel was compiled from.
"""

from enum import StrEnum


class Stage(StrEnum):
    """Where a parameter set that a factory cycle found stands."""

    CANDIDATE = "candidate"
    VALIDATED = "validated"
    PAPER = "paper"
    PROMOTED = "promoted"
    PAUSED = "paused"
    RETIRED = "retired"


class Trigger(StrEnum):
    """What made a strategy move."""

    CYCLE = "cycle"
    SCHEDULE = "schedule"
    OPERATOR = "operator"
    KILL_SWITCH = "kill_switch"
    ROLLBACK = "rollback"
