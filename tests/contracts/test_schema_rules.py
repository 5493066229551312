"""Asking all rules of a table in one query gives the verdict that pandera gives rule by rule."""

import runpy
from pathlib import Path

import polars as pl
import pytest
from pandera.errors import SchemaErrors

from openclaw_pipelines.contracts.schema import SchemaError
from openclaw_pipelines.contracts.tables import TABLES

SAMPLES = runpy.run_path(str(Path(__file__).parents[1] / "resources" / "store" / "worker.py"))
ODD = (None, -1, 0, "zzz", float("nan"), 10**12)


def pandera_passes(table, frame):
    try:
        table.model.validate(frame, lazy=True)
    except SchemaErrors:
        return False
    return True


def passes(table, frame):
    try:
        table.validate(frame)
    except SchemaError:
        return False
    return True


def variants(table):
    """A legal row, the same with one odd value per column beside it, and frames of another shape."""
    legal = table.unchecked([SAMPLES["sample_row"](table.name)])
    yield "legal", legal
    yield "no rows", legal.clear()
    yield "a column less", legal.drop(legal.columns[-1])
    yield "a column more", legal.with_columns(extra=pl.lit(1))
    for column, dtype in table.polars_schema.items():
        for value in ODD:
            try:
                odd = legal.with_columns(pl.Series(column, [value], dtype=dtype, strict=True))
            except (TypeError, pl.exceptions.PolarsError, OverflowError):
                continue  # the value cannot stand in a column of this type
            yield f"{column} {value!r}", pl.concat([legal, odd])


@pytest.mark.parametrize("name", ["candles", "funding_rates", "features", "autopilot_decisions", "autopilot_equity"])
def test_verdicts_agree(name):
    table, seen = TABLES[name], set()
    for what, frame in variants(table):
        expected = pandera_passes(table, frame)
        seen.add(expected)
        assert table._obeys(frame) is (expected and what != "a column less"), what
        assert passes(table, frame) is expected, what
    assert seen == {True, False}
