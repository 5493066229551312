"""Words of factory cycles that tables, reports and programs rely on."""

from enum import StrEnum


class CycleState(StrEnum):
    """How far a cycle came. Only `validated` and `deployed` are a selection."""

    PLANNED = "planned"
    SWEPT = "swept"
    SHORTLISTED = "shortlisted"
    INCUMBENT_HOLDS = "incumbent_holds"
    REPLAYED = "replayed"
    COMPARED = "compared"
    BLOCKED = "blocked"
    VALIDATED = "validated"
    DEPLOYED = "deployed"


INCUMBENT_ROW = 0
"""Row of a sweep that is the incumbent; row n + 1 is what stands at position n of the search."""


class Channel(StrEnum):
    """What a shortlist orders its candidates by; of several, the first listed may be deployed first."""

    EFFICIENT = "efficient"
    GROWTH = "growth"
    CONSERVATIVE = "conservative"


class Listing(StrEnum):
    """What a line of a shortlist is: a candidate, one below the materiality floor, or the incumbent."""

    CANDIDATE = "candidate"
    BELOW_FLOOR = "below_floor"
    INCUMBENT = "incumbent"
    INCUMBENT_HOLDS = "incumbent_holds"


class Variant(StrEnum):
    """Window and costs of a replay."""

    TRAIN = "train"
    HOLDOUT = "holdout"
    STRESSED = "stressed"
    FINER = "finer"
    SAMPLE = "sample"


class Comparison(StrEnum):
    """The two sides of a parity report."""

    SWEEP_REPLAY = "sweep_replay"
    REPLAY_STEPPING = "replay_stepping"
    CPU_GPU = "cpu_gpu"
    PAPER_REPLAY = "paper_replay"


class ParityClass(StrEnum):
    """What a comparison found. Only `equal` passes; `INVALID_COMPARISON` is neither pass nor fail, and blocks."""

    EQUAL = "EQUAL"
    STATE_MACHINE = "STATE_MACHINE"
    REDUCTION_ORDER = "REDUCTION_ORDER"
    INVALID_COMPARISON = "INVALID_COMPARISON"


class Logged(StrEnum):
    """What the log of the factory says of rows: that they were stored, or dropped."""

    STORED = "stored"
    DROPPED = "dropped"
