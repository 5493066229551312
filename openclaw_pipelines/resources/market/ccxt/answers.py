"""From what ccxt made of an answer to rows that can be believed. What cannot be is an error that names the row.

The rules are those of `domain.market.quality.bounds`, which archive files keep as well.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from openclaw_pipelines.domain.market.quality.bounds import BROKEN_BAR, BROKEN_RATE, broken, off_grid, time_range
from openclaw_pipelines.resources.market.ccxt.errors import (
    BrokenBarError,
    BrokenRateError,
    ConflictingRowsError,
    MalformedResponseError,
    OffGridStampError,
    OtherSymbolError,
    TimeOutOfRangeError,
)

MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Belief:
    """What is believed of the answers to one question.

    what: the question, for errors. names: what the exchange calls the symbol that it was asked for.
    now: the latest time that any clock says; what lies after the day after it is no stamp.
    """

    exchange: str
    what: str
    symbol: str
    names: frozenset[str]
    now: datetime

    def refuse_other_symbols(self, told: Iterable[str]) -> None:
        """Raise OtherSymbolError where the answer names another symbol."""
        others = sorted(set(told) - self.names)
        if others:
            raise OtherSymbolError(self.exchange, self.what, ", ".join(others[:3]))

    def bar(self, row: Any) -> tuple[int, tuple[float, ...]]:
        """Stamp in ms, and open, high, low, close and volume."""
        stamp, *values = row[:6]
        return self._stamp(stamp, row), tuple(self._number(value, row) for value in values)

    def rate(self, row: Mapping[str, object]) -> tuple[int, float]:
        """Stamp in ms, and the funding rate."""
        self.refuse_other_symbols([str(row["symbol"])] if row.get("symbol") not in (None, self.symbol) else [])
        shown = row.get("info", row)
        return self._stamp(row.get("timestamp"), shown), self._number(row.get("fundingRate"), shown)

    def _stamp(self, value: object, row: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise MalformedResponseError(self.exchange, self.what, 1, f"no time in {row!s:.120}")
        first, last = time_range(self.now)
        if not ms(first) <= value < ms(last):
            raise TimeOutOfRangeError(self.exchange, self.what, value, f"{row!s:.120}", first, last)
        return value

    def _number(self, value: object, row: object) -> float:
        # a finite decimal may be an endless float
        if not isinstance(value, Decimal) or not math.isfinite(number := float(value)):
            raise MalformedResponseError(self.exchange, self.what, 1, f"no number where one belongs in {row!s:.120}")
        return number

    def distinct(self, rows: Iterable[tuple[int, object]]) -> list[tuple[int, Any]]:
        """Rows ascending, each stamp once; two values for one stamp are an error."""
        kept: dict[int, object] = {}
        for stamp, value in rows:
            if kept.setdefault(stamp, value) != value:
                raise ConflictingRowsError(self.exchange, self.what, time_of(stamp), kept[stamp], value)
        return sorted(kept.items())

    def believed_bars(self, bars: pl.DataFrame, interval: str) -> pl.DataFrame:
        """The bars, or an error naming the first that is off the grid or cannot be."""
        off = off_grid(bars["ts"], interval)
        if off is not None:
            raise OffGridStampError(self.exchange, self.what, bars["ts"][off], interval)
        wrong = broken(bars, BROKEN_BAR)
        if wrong is not None:
            bar = bars.select("open", "high", "low", "close", "volume").row(wrong.row)
            raise BrokenBarError(self.exchange, self.what, bars["ts"][wrong.row], str(bar), wrong.what)
        return bars

    def believed_rates(self, rates: pl.DataFrame) -> pl.DataFrame:
        """The funding rates, or an error naming the first that cannot be."""
        wrong = broken(rates, BROKEN_RATE)
        if wrong is not None:
            at = rates.row(wrong.row, named=True)
            raise BrokenRateError(self.exchange, self.what, at["ts"], at["funding_rate"], wrong.what)
        return rates


def names_in(answer: object, fields: Iterable[str]) -> set[str]:
    """Names of symbols that stand in an answer, at any depth, under one of the fields.

    >>> sorted(names_in({"data": [{"s": "ETH"}, {"s": "BTC"}]}, ["s"]))
    ['BTC', 'ETH']
    """
    if isinstance(answer, list):
        return set().union(*(names_in(row, fields) for row in answer if isinstance(row, dict)))
    if not isinstance(answer, dict):
        return set()
    own = {str(answer[name]) for name in fields if isinstance(answer.get(name), str)}
    return own.union(*(names_in(value, fields) for value in answer.values()))


def ms(value: datetime | timedelta) -> int:
    """Milliseconds, since 1970 for a time."""
    return (value - EPOCH if isinstance(value, datetime) else value) // MILLISECOND


def time_of(stamp: int) -> datetime:
    """Time of a stamp in milliseconds."""
    return EPOCH + stamp * MILLISECOND
