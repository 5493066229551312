"""A GPU may sweep after three cycles in a row that agreed, and never on old merit."""

import pytest

from openclaw_pipelines.domain.lifecycle.trust import Compared, GpuTrust, passing_in_a_row


def compared(
    cycle_id: str, differing: int = 0, device: str | None = "H200", code: str = "now", rows: int = 22
) -> Compared:
    return Compared(cycle_id, device, code, rows, differing)


@pytest.mark.parametrize(
    ("oldest_first", "count"),
    [
        pytest.param([], 0, id="never compared"),
        pytest.param([compared("a"), compared("b")], 2, id="two"),
        pytest.param([compared("a"), compared("b"), compared("c")], 3, id="three"),
        pytest.param([compared("a"), compared("a"), compared("a")], 1, id="one three times"),
        pytest.param([compared("z", 1), compared("a"), compared("b"), compared("c")], 3, id="a difference before"),
        pytest.param([compared("a"), compared("b"), compared("c"), compared("d", 1)], 0, id="a difference now"),
        pytest.param([compared("a"), compared("b", 1), compared("b")], 1, id="compared again"),
        pytest.param([compared("a"), compared("b", device=None, rows=0), compared("c")], 1, id="a cycle without a GPU"),
        pytest.param([compared("a"), compared("b", rows=0), compared("c")], 1, id="a cycle that compared nothing"),
        pytest.param([compared("a"), compared("b", device="H100"), compared("c")], 1, id="another GPU between"),
        pytest.param([compared("a", code="old"), compared("b")], 1, id="other sources before"),
    ],
)
def test_passing_in_a_row(oldest_first: list[Compared], count: int) -> None:
    passed = passing_in_a_row(reversed(oldest_first), "H200", "now")
    assert passed == count
    assert GpuTrust("H200", passed, 3).trusted == (count >= 3)
