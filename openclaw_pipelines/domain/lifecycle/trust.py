"""When a GPU may sweep in place of the CPU."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Compared:
    """One time that rows of a cycle were run on CPU and GPU. device: None where a cycle was compared without a GPU."""

    cycle_id: str
    device: str | None
    code_version: str
    compared: int
    differing: int


@dataclass(frozen=True)
class GpuTrust:
    """How often a GPU agreed with the CPU. passed: newest cycles in a row, without exception."""

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


def passing_in_a_row(newest_first: Iterable[Compared], device: str, code_version: str) -> int:
    """In how many cycles a GPU agreed, back to where it did not, or something else was compared, or nothing.

    >>> log = [Compared(cycle, "H200", "v2", 22, bad) for cycle, bad in (("c", 0), ("b", 0), ("b", 1), ("a", 0))]
    >>> passing_in_a_row(log, "H200", "v2"), passing_in_a_row(log, "H200", "v3")
    (2, 0)
    """
    cycles = set()
    for own in newest_first:
        if (own.device, own.code_version) != (device, code_version) or own.differing or not own.compared:
            break
        cycles.add(own.cycle_id)
    return len(cycles)
