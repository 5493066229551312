"""Rows of tables as dictionaries. Their types are generated from `contracts.tables`, one module per capability."""

from typing import TypeVar, cast

import polars as pl

RowT = TypeVar("RowT")


def rows_as(kind: type[RowT], frame: pl.DataFrame) -> list[RowT]:  # noqa: ARG001  it is what mypy reads
    """Rows of a frame that was read from the table of that kind; columns that were left out are absent."""
    return cast("list[RowT]", frame.to_dicts())


def first_as(kind: type[RowT], frame: pl.DataFrame) -> RowT | None:
    """The first of them; None where there is none."""
    return rows_as(kind, frame.head(1))[0] if frame.height else None
