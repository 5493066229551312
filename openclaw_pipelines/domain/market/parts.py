"""Bars that were built of lower ones, some of which are absent.

A venue may be silent for the length of a part, and several publish no bar then, so an absent part is no proof of a
hole. What is there is counted; a bar with too small a share of its parts counts as absent.
"""

import polars as pl

FULL_BPS = 10_000


def enough_parts(min_parts_bps: int) -> pl.Expr:
    """Whether a bar was published, or built of at least this share of its parts.

    >>> bars = pl.DataFrame({"parts": [None, 11, 10], "parts_expected": [None, 12, 12]})
    >>> bars.select(enough_parts(9_000)).to_series().to_list()
    [True, True, False]
    """
    return (pl.col("parts") * FULL_BPS >= pl.col("parts_expected") * min_parts_bps).fill_null(value=True)


def incomplete() -> pl.Expr:
    """Whether a bar was built and lacks a part."""
    return (pl.col("parts") < pl.col("parts_expected")).fill_null(value=False)
