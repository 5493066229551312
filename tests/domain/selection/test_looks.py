"""Looks at a holdout: the same cycle may look again, nobody else may promote with days that were seen."""

from datetime import timedelta

import pytest
from domain.selection.controls import FIRST

from openclaw_pipelines.domain.selection.looks import (
    Look,
    Purpose,
    earlier_look,
)
from openclaw_pipelines.domain.selection.windows import Window

DAY = timedelta(days=1)


def look(family="breakout", first=10, days=5, purpose=Purpose.PROMOTION, cycle="one") -> Look:
    return Look(family, Window(FIRST + first * DAY, FIRST + (first + days) * DAY), purpose, cycle)


@pytest.mark.parametrize(("past", "allowed"), [
    pytest.param([], True, id="nobody looked"),
    pytest.param([look()], False, id="promoted from"),
    pytest.param([look(purpose=Purpose.REPORT)], False, id="seen in a report"),
    pytest.param([look(first=14, days=9)], False, id="one day in common"),
    pytest.param([look(first=15)], True, id="the days behind it"),
    pytest.param([look(first=5)], True, id="the days before it"),
    pytest.param([look(family="momentum")], True, id="another family"),
    pytest.param([look(cycle="two")], True, id="its own cycle, resumed"),
    pytest.param([look(cycle="two"), look(first=12, days=1)], False, id="its own and another"),
])  # fmt: skip
def test_a_window_that_was_looked_at_promotes_no_more(past, allowed) -> None:
    wanted = look(cycle="two")
    seen = earlier_look(past, wanted)
    assert (seen is None) is allowed
    assert seen is None or seen.cycle_id == "one"


def test_the_earliest_of_several_is_named_whatever_their_order() -> None:
    spoilt = [look(first=14), look(first=11), look(first=12)]
    assert earlier_look(spoilt, look(cycle="two")) == earlier_look(spoilt[::-1], look(cycle="two")) == look(first=11)


def test_key_says_what_it_is_about() -> None:
    assert look().key == "breakout:2025-05-15..2025-05-19:promotion:one"
