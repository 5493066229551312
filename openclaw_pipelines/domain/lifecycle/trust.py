"""When results of a GPU may stand without a CPU beside them."""

from collections.abc import Sequence

from openclaw_pipelines.contracts.research import ParityClass


def passing_in_a_row(cycles: Sequence[Sequence[ParityClass]]) -> int:
    """How many of the newest cycles passed one after another; a cycle that compared nothing breaks the row.

    cycles: verdicts of each cycle's comparisons of CPU with GPU, oldest cycle first.

    >>> equal, differs = ParityClass.EQUAL, ParityClass.STATE_MACHINE
    >>> passing_in_a_row([[equal], [equal, differs], [equal, equal], [equal]])
    2
    """
    count = 0
    for verdicts in reversed(cycles):
        if not verdicts or any(verdict is not ParityClass.EQUAL for verdict in verdicts):
            break
        count += 1
    return count


def gpu_trusted(cycles: Sequence[Sequence[ParityClass]], least_cycles: int) -> bool:
    """Whether the GPU agreed with the CPU in the last `least_cycles` cycles, without exception."""
    return passing_in_a_row(cycles) >= least_cycles
