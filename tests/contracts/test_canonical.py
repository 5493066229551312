"""One text per value."""

import json
from datetime import UTC, datetime
from decimal import Decimal as Dec
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_pipelines.contracts.canonical import NotCanonicalError, canonical_json, decimal_text, sha256_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
)


class Colour(StrEnum):
    RED = "red"


@given(value=JSON)
def test_text_is_read_back_and_written_alike(value: Any) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(tree=st.dictionaries(st.text(), st.integers(), min_size=2))
def test_order_does_not_matter(tree: dict[str, int]) -> None:
    assert sha256_of(tree) == sha256_of(dict(reversed(tree.items())))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Dec("1.50"), "1.5"),
        (Dec("1E+2"), "100"),
        (Dec("0.00"), "0"),
        (Dec("-0.00"), "0"),
        (Dec("-1.10"), "-1.1"),
        (Dec("0.000000000000000001"), "0.000000000000000001"),
        (Dec(100), "100"),
    ],
)
def test_decimals(value: Dec, text: str) -> None:
    assert decimal_text(value) == text


@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_equal_decimals_have_equal_text(value: Dec) -> None:
    assert decimal_text(value) == decimal_text(value.normalize()) == decimal_text(value * Dec("1.000"))
    assert Dec(decimal_text(value)) == value


def test_times_and_enums() -> None:
    assert canonical_json([datetime(2025, 5, 10, tzinfo=UTC), Colour.RED]) == '["2025-05-10T00:00:00+00:00","red"]'


@pytest.mark.parametrize("value", [{1, 2}, b"x", object()], ids=["set", "bytes", "object"])
def test_what_has_no_text(value: Any) -> None:
    with pytest.raises(NotCanonicalError, match=f"a {type(value).__name__} has no canonical text"):
        canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_numbers_that_are_none(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)
