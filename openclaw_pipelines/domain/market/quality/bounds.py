"""What no bar and no funding rate can be, whoever tells of it.

Files, exchanges and the checks of the store ask the same rules here, and each names the offender in its own words.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.bounds import (
    DAYS_AHEAD,
    FIRST_TIME,
    LEAST_PRICE,
    MOST_FUNDING_RATE,
    MOST_PRICE,
    MOST_VOLUME,
)
from openclaw_pipelines.contracts.time import DAY, floor_to, interval_length

PRICES = ("open", "high", "low", "close")

BROKEN_BAR: Mapping[str, pl.Expr] = {
    "a price or the volume is no finite number": ~pl.all_horizontal(pl.col(*PRICES, "volume").is_finite()),
    "a price is not above 0": pl.min_horizontal(*PRICES) <= 0,
    f"a price is outside {LEAST_PRICE:g} to {MOST_PRICE:g}": (pl.min_horizontal(*PRICES) < LEAST_PRICE)
    | (pl.max_horizontal(*PRICES) > MOST_PRICE),
    "volume is negative": pl.col("volume") < 0,
    f"volume is above {MOST_VOLUME:g}": pl.col("volume") > MOST_VOLUME,
    "high is not the highest price": pl.col("high") < pl.max_horizontal("open", "low", "close"),
    "low is not the lowest price": pl.col("low") > pl.min_horizontal("open", "high", "close"),
}
"""What is wrong with a bar -> whether it holds."""

BROKEN_RATE: Mapping[str, pl.Expr] = {
    "the rate is no finite number": ~pl.col("funding_rate").is_finite(),
    f"the rate is beyond {MOST_FUNDING_RATE:g} either way": pl.col("funding_rate").abs() > MOST_FUNDING_RATE,
}
"""What is wrong with a funding rate -> whether it holds."""


class Broken(NamedTuple):
    """The first row that breaks a rule, from 0, and what is wrong with it."""

    row: int
    what: str


def broken(rows: pl.DataFrame, rules: Mapping[str, pl.Expr]) -> Broken | None:
    """The first row that breaks the first broken rule; None where all hold.

    >>> broken(pl.DataFrame({"funding_rate": [0.0001, 0.12]}), BROKEN_RATE)
    Broken(row=1, what='the rate is beyond 0.09 either way')
    """
    for what, rule in rules.items():
        found = rows.select(rule.arg_true().first().alias("row")).item()
        if found is not None:
            return Broken(int(found), what)
    return None


def off_grid(stamps: pl.Series, interval: str) -> int | None:
    """The first row whose time is no open of a bar; None where all are."""
    microseconds = np.int64(interval_length(interval).total_seconds() * 1_000_000)
    return _first(stamps.dt.epoch("us") % microseconds != 0)


def time_range(now: datetime) -> tuple[datetime, datetime]:
    """First time that a source may speak of, and the first after those."""
    return FIRST_TIME, floor_to(now, DAY) + DAYS_AHEAD * DAY


def out_of_time(stamps: pl.Series, now: datetime) -> int | None:
    """The first row whose time no source can speak of at `now`; None where there is none."""
    first, last = time_range(now)
    return _first((stamps < first) | (stamps >= last))


def _first(wrong: pl.Series) -> int | None:
    at = wrong.arg_true()
    return int(at[0]) if len(at) else None
