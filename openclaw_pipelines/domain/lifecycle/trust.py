"""When a GPU may sweep in place of the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass

from openclaw_pipelines.contracts.research import ParityClass


@dataclass(frozen=True)
class GpuTrust:
    """How often a GPU agreed with the CPU. passed: newest compared cycles in a row, without exception."""

    device: str
    passed: int
    required: int

    @property
    def trusted(self) -> bool:
        """Whether it may sweep in place of the CPU.

        >>> GpuTrust("H200", 3, 3).trusted, GpuTrust("H200", 2, 3).trusted
        (True, False)
        """
        return self.passed >= self.required

    @property
    def sentence(self) -> str:
        """The trust for people.

        >>> GpuTrust("H200", 2, 3).sentence
        'H200 is not trusted: it agreed in 2 of the 3 cycles in a row that are required'
        """
        if self.trusted:
            return f"{self.device} is trusted: it agreed in {self.passed} cycles in a row, {self.required} are required"
        return (
            f"{self.device} is not trusted: it agreed in {self.passed} of the {self.required} cycles in a row that are "
            "required"
        )


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
