"""Whatever an exchange cuts off its pages, the walk finds every row."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.resources.market.ccxt.pages import Page, read_once, walk

STEP = 10


@settings(max_examples=150, deadline=None)
@given(
    present=st.sets(st.integers(0, 80)),
    bounds=st.tuples(st.integers(0, 80), st.integers(0, 80)).map(sorted),
    page=st.integers(1, 30),
    cap=st.integers(1, 30),
    newest=st.booleans(),
    spill=st.integers(0, 3),
)
def test_finds_every_row_once_it_is_there(
    present: set[int], bounds: list[int], page: int, cap: int, newest: bool, spill: int
) -> None:
    """Unless rows at both a page's ends are absent and it is cut as well, which leaves a hole that looks like one."""
    start, end = bounds[0] * STEP, bounds[1] * STEP
    rows = [(place * STEP, place) for place in sorted(present)]
    asked = []

    def fetch(low: int, high: int) -> Page:
        asked.append((low, high))
        found = [row for row in rows if low <= row[0] < high + spill * STEP]
        return Page(found[-cap:] if newest else found[:cap], None)

    found = walk(fetch, start, end, step=STEP, grain=STEP, page=page, least=STEP, endless=ValueError).rows
    wanted = [row for row in rows if start <= row[0] < end]
    if newest and spill:
        assert set(found) <= set(wanted)
    else:
        assert sorted(found) == wanted
    assert len(asked) <= 2 * len(wanted) + (end - start) // (page * STEP) + 1


def test_rates_closer_than_usual_are_not_skipped() -> None:
    """Funding turned hourly while eight hours are expected, with pages of three."""
    rows = [(stamp, stamp) for stamp in range(0, 480, 10)]

    def fetch(low: int, high: int) -> Page:
        return Page([row for row in rows if low <= row[0] < high][:3], None)

    assert sorted(walk(fetch, 0, 480, step=80, grain=1, page=3, least=10, endless=ValueError).rows) == rows


def test_one_answer_is_cut_to_the_window() -> None:
    found = read_once(lambda low, high: Page([(stamp, stamp) for stamp in range(0, 100, 10)], None), 20, 50)
    assert [stamp for stamp, _ in found.rows] == [20, 30, 40]
    assert found.largest_page == 10


@pytest.mark.parametrize(("start", "end"), [(0, 0), (50, 20)])
def test_an_empty_window_asks_nothing(start: int, end: int) -> None:
    def fetch(low: int, high: int) -> Page:
        raise AssertionError

    assert walk(fetch, start, end, step=STEP, grain=STEP, page=5, least=STEP, endless=ValueError).rows == []


def test_answers_that_never_end_are_counted_out() -> None:
    asked: list[tuple[int, int]] = []

    def echo(low: int, high: int) -> Page:
        asked.append((low, high))
        return Page([(low, "again")], None)

    with pytest.raises(ValueError, match="42"):
        walk(echo, 0, 180, step=80, grain=1, page=3, least=10, endless=ValueError)
    assert len(asked) == 42  # two for each of 18 + 2 rows that fit, and for the one window
