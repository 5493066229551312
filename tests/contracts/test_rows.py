"""Types of rows are those of the tables' columns."""

import polars as pl
import pytest
import row_types

from openclaw_pipelines.contracts.rows import first_as, rows_as
from openclaw_pipelines.contracts.rows.factory import TrialCountRow
from openclaw_pipelines.contracts.tables import MODULES


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.split(".")[-1])
def test_types_are_those_that_the_tool_writes(module) -> None:
    assert row_types.file_of(module).read_text() == row_types.text(module), "run: python tools/row_types.py"


def test_rows_of_a_frame() -> None:
    frame = pl.DataFrame({"shard": ["a", "b"], "trials": [1, 2]})
    assert [row["trials"] for row in rows_as(TrialCountRow, frame)] == [1, 2]
    assert first_as(TrialCountRow, frame) == {"shard": "a", "trials": 1}
    assert first_as(TrialCountRow, frame.clear()) is None
