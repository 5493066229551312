"""Whether bars of two intervals say the same: a bar all of whose parts are there must be what they make."""

from datetime import datetime
from typing import NamedTuple

import polars as pl

from openclaw_pipelines.contracts.time import interval_length

PRICES_WITHIN = 1e-9
"""Share of a price within which it agrees: tools that convert leave 1.0789600000000001 for 1.07896."""

VOLUME_WITHIN = 1e-6
"""Share of a volume within which it agrees: sums of many parts are rounded more often."""

_VALUES = ("open", "high", "low", "close", "volume")


class Difference(NamedTuple):
    """A value of a bar that its parts do not make."""

    ts: datetime
    name: str
    stored: float
    made: float

    def __str__(self) -> str:
        """For a sentence."""
        return f"{self.name} is {self.stored:.12g}, the parts make {self.made:.12g}"


def differing_bars(higher: pl.DataFrame, lower: pl.DataFrame, interval: str, part: str) -> pl.DataFrame:
    """Bars of which a value is not what their parts make, with the made values as `made_open` and so on.

    higher, lower: `ts open high low close volume` of one symbol; bars that lack a part are not judged.
    """
    length = interval_length(interval)
    made = (
        lower.sort("ts")
        .group_by_dynamic("ts", every=f"{int(length.total_seconds())}s")
        .agg(
            pl.col("open").first().alias("made_open"),
            pl.col("high").max().alias("made_high"),
            pl.col("low").min().alias("made_low"),
            pl.col("close").last().alias("made_close"),
            pl.col("volume").sum().alias("made_volume"),
            pl.len().alias("count"),
        )
        .filter(pl.col("count") == length // interval_length(part))
        .drop("count")
    )
    return higher.join(made, on="ts").filter(pl.any_horizontal(_apart(name) for name in _VALUES)).sort("ts")


def first_difference(bars: pl.DataFrame) -> Difference:
    """The first value of the first of `differing_bars`."""
    row = bars.row(0, named=True)
    apart = bars.head(1).select(_apart(name).alias(name) for name in _VALUES).row(0, named=True)
    name = next(name for name in _VALUES if apart[name])
    return Difference(row["ts"], name, row[name], row[f"made_{name}"])


def _apart(name: str) -> pl.Expr:
    within = VOLUME_WITHIN if name == "volume" else PRICES_WITHIN
    stored, made = pl.col(name), pl.col(f"made_{name}")
    return (stored - made).abs() > within * pl.max_horizontal(stored.abs(), made.abs())
