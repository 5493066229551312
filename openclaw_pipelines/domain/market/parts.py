"""Bars that were built of lower ones, some of which are absent.

A venue may be silent for the length of a part, and several publish no bar then, so an absent part is no proof of a
hole. What is there is counted; a bar with too small a share of its parts counts as absent.
"""

import polars as pl

from openclaw_pipelines.domain.market.quality.units import usable

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


def measured(bars: pl.DataFrame, min_parts_bps: int) -> pl.DataFrame:
    """The bars that outcomes and universes are measured on: whole enough, and none that cannot be.

    One off its price unit stays: a price between two steps tells the move all the same.
    """
    return usable(bars, {}).filter(enough_parts(min_parts_bps))
