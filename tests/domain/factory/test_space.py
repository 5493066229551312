"""Spaces: lists, ranges, steps and logs; and every way in which one can be wrong."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.domain.factory.space import Choices, Range, SpaceError, plain, rounded, space_of
from openclaw_pipelines.kernel.strategy.params import UnknownFamilyError, UnknownParameterError

HALF = Decimal("0.5")


@pytest.mark.parametrize(
    ("dim", "shares", "values"),
    [
        pytest.param(Choices("x", (1, 2, 4)), (0.0, 0.34, 0.99), (1, 2, 4), id="list in equal parts"),
        pytest.param(Range("x", int, Decimal(3), Decimal(5)), (0.0, 0.5, 0.999), (3, 4, 5), id="whole numbers"),
        pytest.param(Range("x", int, Decimal(2), Decimal(9), Decimal(3)), (0.0, 0.5, 0.99), (2, 5, 8), id="step"),
        pytest.param(Range("x", float, Decimal(1), Decimal(2), HALF), (0.1, 0.5, 0.99), (1.0, 1.5, 2.0), id="half"),
        pytest.param(Range("x", float, Decimal(1), Decimal(3)), (0.0, 0.25, 0.5), (1.0, 1.5, 2.0), id="continuous"),
        pytest.param(
            Range("x", float, Decimal(1), Decimal(100), log=True), (0.0, 0.5, 0.25), (1.0, 10.0, 3.16228), id="log"
        ),
    ],
)
def test_a_share_becomes_a_value(dim: Any, shares: tuple[float, ...], values: tuple[float, ...]) -> None:
    assert tuple(dim.at(share) for share in shares) == values


@given(low=st.integers(1, 500), width=st.integers(0, 500), log=st.booleans(), share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, deadline=None)
def test_a_value_never_leaves_its_range(low: int, width: int, log: bool, share: float) -> None:
    value = Range("x", int, Decimal(low), Decimal(low + width), log=log).at(share)
    assert low <= value <= low + width


def test_a_grid_is_every_combination_with_the_last_fastest() -> None:
    space = space_of("breakout", {"channel_exit": [6, 12], "channel_entry": {"low": 12, "high": 24, "step": 12}}, {})
    points = [(point["channel_entry"], point["channel_exit"]) for point in space.grid()]
    assert points == [(12, 6), (12, 12), (24, 6), (24, 12)]
    assert space.grid_size == 4


def test_what_is_not_searched_is_the_incumbents_or_the_default() -> None:
    space = space_of("breakout", {"channel_entry": [12]}, {"channel_exit": 7, "rsi_low": 20.0, "channel_entry": 99})
    point = next(space.grid())
    assert (point["channel_entry"], point["channel_exit"], point["stop_atr"]) == (12, 7, 2.5)
    assert "rsi_low" not in point


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"channel_entry": []}, "the list is empty", id="empty list"),
        pytest.param({"channel_entry": [12.5]}, "12.5 is no int", id="half a bar"),
        pytest.param({"channel_entry": [True]}, "True is no int", id="yes is no length"),
        pytest.param({"allow_short": [1]}, "1 is no bool", id="one is no yes"),
        pytest.param({"stop_atr": [200]}, "200 is outside 0.0 .. 100.0", id="outside"),
        pytest.param({"stop_atr": {"low": 1}}, "low and high are needed", id="no high"),
        pytest.param({"stop_atr": {"low": 1, "high": 2, "setp": 1}}, "unknown key 'setp'", id="misspelt"),
        pytest.param({"stop_atr": {"low": 2, "high": 1}}, "high 1.0 is below low 2.0", id="reversed"),
        pytest.param({"stop_atr": {"low": 0, "high": 1, "log": True}}, "log needs low above 0", id="log of 0"),
        pytest.param({"stop_atr": {"low": 1, "high": 2, "step": 0}}, "step is 0", id="step 0"),
        pytest.param({"stop_atr": {"low": 1, "high": 2, "log": "x"}}, "log is 'x'", id="log is text"),
        pytest.param({"allow_short": {"low": 0, "high": 1}}, "yes or no is no range", id="range of yes and no"),
        pytest.param({}, "nothing is searched", id="nothing"),
    ],
)
def test_a_wrong_space_is_named(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpaceError) as caught:
        space_of("breakout", given, {})
    assert problem in caught.value.problem
    assert caught.value.family == "breakout"


@pytest.mark.parametrize(
    ("family", "given", "error"),
    [
        pytest.param("breakouts", {"stop_atr": [1]}, UnknownFamilyError, id="family"),
        pytest.param("breakout", {"rsi_low": [1]}, UnknownParameterError, id="parameter of another family"),
    ],
)
def test_an_unknown_name_is_named(family: str, given: dict[str, Any], error: type[OpenclawError]) -> None:
    with pytest.raises(error):
        space_of(family, given, {})


def test_a_grid_of_a_range_without_step_is_refused() -> None:
    space = space_of("breakout", {"stop_atr": {"low": 1, "high": 2}}, {})
    with pytest.raises(SpaceError, match="a grid needs a step"):
        list(space.grid())


@given(st.floats(1e-6, 1e6))
@settings(max_examples=40)
def test_rounding_twice_is_rounding_once(value: float) -> None:
    assert rounded(rounded(value)) == rounded(value)
    assert abs(rounded(value) - value) <= 1e-5 * value


def test_what_is_hashed_tells_every_bit_of_a_float_and_nothing_of_the_rest() -> None:
    """0.1 + 0.2 prints as 0.3 to many digits; as hashed text they are two numbers."""
    given = {"floats": [0.1, 0.1 + 0.2], "below": {"whole": 3, "flag": True, "word": "x"}}
    assert plain(given) == {
        "floats": ["0x1.999999999999ap-4", "0x1.3333333333334p-2"],
        "below": {"whole": 3, "flag": True, "word": "x"},
    }
