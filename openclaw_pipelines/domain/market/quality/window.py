"""What data-quality rules look at and what they return.

The rules are in `rows`, `series` and `coverage`; their names are in `checks`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

import polars as pl

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.schema import PolarsSchema
from openclaw_pipelines.contracts.tables.market import Candles
from openclaw_pipelines.contracts.time import floor_to, interval_length

Severity = Literal["error", "warning"]
Fact = int | float | str

MAX_CASES = 50
"""Rows that a result carries; `total_cases` says how many there were."""

SERIES = ["symbol", "interval"]
"""Columns that name one series of bars."""

BAR = [*SERIES, "ts", "open", "high", "low", "close", "volume"]
"""Columns of a bar that cases show."""


@dataclass(frozen=True)
class Window:
    """What the checks look at: candles of `start <= ts < end` as known at `as_of`, and what was expected of them.

    candles: rows of `contracts.tables.market.Candles`, one source, any order.
    revisions: rows of `contracts.tables.market.CandleRevisions`, later values of stored bars.
    listed_at: first trade of symbols, where known; a symbol is not expected before it.
    delisted_at: end of trading of symbols, where known; a symbol is not expected from then on.
    price_units: finest price step of symbols, where known.
    refused: rows of `contracts.tables.market.RefusedAnswers`, answers for the window that were not stored.
    before: the newest bar of each series before `start`, where one is stored; a window's first bar follows from it.
    elsewhere: symbol, interval, last_before and first_after of series that have bars outside the window.
    """

    candles: pl.DataFrame
    symbols: Sequence[str]
    intervals: Sequence[str]
    start: datetime
    end: datetime
    as_of: datetime
    quality: Quality = field(default_factory=Quality)
    revisions: pl.DataFrame | None = None
    listed_at: Mapping[str, datetime] = field(default_factory=dict)
    delisted_at: Mapping[str, datetime] = field(default_factory=dict)
    price_units: Mapping[str, Decimal] = field(default_factory=dict)
    refused: pl.DataFrame | None = None
    before: pl.DataFrame | None = None
    elsewhere: pl.DataFrame | None = None

    def along(self) -> pl.DataFrame:
        """The bars by series and time, each series led by its newest bar before the window."""
        frames = [self.candles] if self.before is None else [self.before.select(self.candles.columns), self.candles]
        return pl.concat(frames).sort(*SERIES, "ts")

    def expected_end(self, symbol: str, interval: str) -> datetime:
        """Close of the last bar expected of `symbol`: the end, the latest close at `as_of`, or delisting."""
        ends = [self.end, self.as_of, self.delisted_at.get(symbol, self.end)]
        return max(self.start, floor_to(min(ends), interval_length(interval)))

    def expected_start(self, symbol: str, interval: str) -> datetime:
        """Open of the first bar expected of `symbol`."""
        listed = self.listed_at.get(symbol)
        return self.start if listed is None else max(self.start, floor_to(listed, interval_length(interval)))


_SPANS: PolarsSchema = {
    "symbol": pl.String,
    "interval": pl.String,
    "start": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "expected_bars": pl.Int64,
}


def expected_spans(window: Window, symbols: Sequence[str], intervals: Sequence[str]) -> pl.DataFrame:
    """Every series with when its first bar opens, its last one ends, and how many those are."""
    rows = []
    for name in intervals:
        for symbol in symbols:
            start, end = window.expected_start(symbol, name), window.expected_end(symbol, name)
            rows.append((symbol, name, start, end, max(0, (end - start) // interval_length(name))))
    return pl.DataFrame(rows, schema=_SPANS, orient="row")


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    severity: of a failure; an error blocks what stands downstream, a warning does not.
    sentence: the finding as a person would say it, with what to do about it.
    facts: numbers behind it.
    cases: the rows to act on, at most `MAX_CASES` of `total_cases`.
    """

    name: str
    passed: bool
    severity: Severity
    description: str
    sentence: str
    facts: dict[str, Fact]
    cases: pl.DataFrame
    total_cases: int


@dataclass(frozen=True)
class Finding:
    """What a rule found, before it is put under the check's name."""

    cases: pl.DataFrame
    sentence: str
    facts: dict[str, Fact] = field(default_factory=dict)
    severity: Severity | None = None
    failed: bool | None = None


@dataclass(frozen=True)
class Check:
    """A named rule. `blocking`: its failure can be an error; `structural`: it can judge any columns."""

    name: str
    description: str
    rule: Callable[[Window], Finding]
    severity: Severity
    blocking: bool = True
    structural: bool = False

    def run(self, window: Window) -> CheckResult:
        """Judge a window. Where the columns themselves are broken nothing else can be judged, which is a failure."""
        if not self.structural and _misshapen(window.candles):
            finding = Finding(
                pl.DataFrame(), "Not judged: the columns are broken, see schema.", severity="error", failed=True
            )
        else:
            finding = self.rule(window)
        failed = finding.cases.height > 0 if finding.failed is None else finding.failed
        return CheckResult(
            name=self.name,
            passed=not failed,
            severity=finding.severity or self.severity,
            description=self.description,
            sentence=finding.sentence,
            facts={"rows": window.candles.height, **finding.facts},
            cases=finding.cases.head(MAX_CASES),
            total_cases=finding.cases.height,
        )


def _misshapen(candles: pl.DataFrame) -> bool:
    expected = {name: column.dtype.type for name, column in Candles.to_schema().columns.items()}
    return dict(candles.schema) != expected


def said(count: int, finding: str, ordinary: str) -> str:
    """The count and the finding, or what to say where there is none."""
    return f"{count:,} {finding}." if count else ordinary
