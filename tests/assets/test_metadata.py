"""Metadata: tables a person can read, whatever stands in the cells."""

from datetime import UTC, datetime

import polars as pl
import pytest

from openclaw_pipelines.assets.metadata import markdown_table, time_range


def test_a_table_tells_how_many_rows_it_left_out() -> None:
    lines = markdown_table(pl.DataFrame({"n": list(range(1003))}), rows=2).value.splitlines()
    assert lines == ["| n |", "|---|", "| 0 |", "| 1 |", "", "1,001 more row(s)."]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        pytest.param("a|b", "a\\|b", id="bar"),
        pytest.param("a\nb", "a b", id="line"),
        pytest.param("<script>", "&lt;script>", id="markup"),
        pytest.param(0.1 + 0.2, "0.3", id="float"),
        pytest.param(datetime(2025, 5, 10, 7, 30, 59, tzinfo=UTC), "2025-05-10 07:30", id="time"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_cells_cannot_break_the_table(value: object, cell: str) -> None:
    assert markdown_table(pl.DataFrame({"x": [value]})).value.splitlines()[2] == f"| {cell} |"


def test_no_rows_say_so() -> None:
    assert markdown_table(pl.DataFrame({"x": []})).value == "no rows"


def test_a_range_needs_both_ends() -> None:
    at = datetime(2025, 5, 10, tzinfo=UTC)
    assert time_range(at, None) == {}
    assert {name: value.value for name, value in time_range(at, at).items()} == dict.fromkeys(
        ("first", "last"), at.timestamp()
    )
