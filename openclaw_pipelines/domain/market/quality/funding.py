"""Whether the funding that was due is stored. A rate that is absent charges nothing, so somebody must be told.

Charging is the kernel's; reading rates is in `resources.market`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import polars as pl

from openclaw_pipelines.contracts.time import floor_to
from openclaw_pipelines.domain.market.quality.window import MAX_CASES, CheckResult, said

FUNDING_COVERAGE = "funding_coverage"
FUNDING_CHECKS = {FUNDING_COVERAGE: "Every perpetual has the rates that were due, by its funding interval."}
LATE = timedelta(hours=1)
"""Venues stamp funding up to an hour late; until then a rate is not missed."""

_CASES = pl.Schema({"symbol": pl.String(), "due_at": pl.Datetime("us", "UTC"), "interval_hours": pl.Int64()})


def funding_coverage(
    rates: pl.DataFrame,
    interval_hours: dict[str, int],
    *,
    start: datetime,
    end: datetime,
    as_of: datetime,
    listed_at: Mapping[str, datetime],
    delisted_at: Mapping[str, datetime] | None = None,
) -> CheckResult:
    """Rates that were due in `start <= time < end` and are not stored.

    Args:
        rates: rows of `contracts.tables.market.FundingRates`, of days before the window too.
        interval_hours: hours between two rates of every perpetual, as its instrument says; spot has none and is left
            out. What the source says with its newest rates counts before it: venues change the interval of a symbol.
        start: of the window, in UTC.
        end: of the window, itself excluded.
        as_of: time of the judgement.
        listed_at: first trade of symbols, where known; nothing is due before it.
        delisted_at: end of trading of symbols, where known; nothing is due from then on.
    """
    last, gone = min(end, as_of - LATE), delisted_at or {}
    due = [
        (symbol, at, hours)
        for symbol, hours in sorted((interval_hours | _stated(rates, interval_hours)).items())
        for at in _due_times(hours, max(start, listed_at.get(symbol, start)), min(last, gone.get(symbol, last)))
    ]
    expected = pl.DataFrame(due, schema=_CASES, orient="row")
    stored = rates.select("symbol", pl.col("ts").alias("due_at"))
    cases = expected.join(stored, on=["symbol", "due_at"], how="anti", maintain_order="left")
    finding = (
        f"of {expected.height} funding rates that were due are absent, so positions paid and earned none. "
        "Materialize `funding_rates` again, or add the funding file to the archive"
    )
    ordinary = f"All {expected.height} rates that were due are stored." if due else "No funding was due."
    return CheckResult(
        name=FUNDING_COVERAGE,
        passed=cases.is_empty(),
        severity="warning",
        description=FUNDING_CHECKS[FUNDING_COVERAGE],
        sentence=said(cases.height, finding, ordinary),
        facts={"due": expected.height, "absent": cases.height, "symbols": ", ".join(sorted(set(cases["symbol"])))},
        cases=cases.head(MAX_CASES),
        total_cases=cases.height,
    )


def _stated(rates: pl.DataFrame, perpetuals: Iterable[str]) -> dict[str, int]:
    """Hours that the newest rates of each symbol say."""
    said_so = rates.filter(pl.col("interval_hours").is_not_null() & pl.col("symbol").is_in(list(perpetuals))).sort("ts")
    return dict(said_so.group_by("symbol").agg(pl.last("interval_hours")).iter_rows())


def _due_times(hours: int, start: datetime, end: datetime) -> list[datetime]:
    """Multiples of `hours` since the epoch with `start <= time < end`."""
    length = timedelta(hours=hours)
    first = floor_to(start, length)
    first = first if first == start else first + length
    return [first + n * length for n in range(max(0, -((first - end) // length)))]
