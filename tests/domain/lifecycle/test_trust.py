"""A GPU may sweep after three cycles in a row that agreed, and never on old merit."""

import pytest

from openclaw_pipelines.contracts.research import ParityClass
from openclaw_pipelines.domain.lifecycle.trust import GpuTrust, passing_in_a_row

E, S, V = [ParityClass.EQUAL], [ParityClass.STATE_MACHINE], [ParityClass.INVALID_COMPARISON]


@pytest.mark.parametrize(
    ("cycles", "count"),
    [
        pytest.param([], 0, id="never compared"),
        pytest.param([E, E], 2, id="two"),
        pytest.param([E, E, E], 3, id="three"),
        pytest.param([S, E, E, E], 3, id="a failure before"),
        pytest.param([E, E, E, S], 0, id="a failure now"),
        pytest.param([E, E, V, E], 1, id="an invalid comparison is no pass"),
        pytest.param([E, E, [], E], 1, id="a cycle that compared nothing"),
        pytest.param([E, E, [*E, *E, *S]], 0, id="one row of many differs"),
    ],
)
def test_passing_in_a_row(cycles: list[list[ParityClass]], count: int) -> None:
    assert passing_in_a_row(cycles) == count
    assert GpuTrust("a GPU", passing_in_a_row(cycles), 3).trusted == (count >= 3)
