"""Refused answers in a row: after how many of them a series of which an exchange says what cannot be counts as asked.

One garbled page says nothing about the bars that were asked for, so they stay unknown and are asked for again. An
exchange that goes on so is believed to have nothing else, so that other series do not wait for good.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.store.market_tables import refused_answers
from openclaw_pipelines.resources.store.store import Store

REFUSALS_IN_A_ROW = 5
"""Refused answers of an exchange after which what it was asked for counts as absent; files say the same at once."""


@dataclass(frozen=True)
class Refused:
    """An answer for one series that cannot be, or bars of it that no tick can take.

    series: interval of the bars, or `funding`. stored: whether its rows are kept all the same.
    """

    symbol: str
    series: str
    problem: OpenclawError
    stored: bool = False


class Refusals:
    """What a source's answers for one day were refused for, in a row with those before.

    Args:
        store: holds what was refused before.
        source: name of the market source.
        symbols: those that were asked for.
        day: that was asked for, YYYY-MM-DD.
        refused: what is refused of the answers now.
        patience: refusals in a row after which a series counts as asked.
    """

    def __init__(
        self, store: Store, source: str, symbols: Iterable[str], day: str, refused: Iterable[Refused], patience: int
    ) -> None:
        self.source, self.day, self.patience = source, day, patience
        self._now = {(own.symbol, own.series): own for own in refused}
        rows = refused_answers(store, source, list(symbols), day).to_dicts()
        self._before: dict[tuple[str, str], dict[str, Any]] = {(row["symbol"], row["series"]): row for row in rows}

    def awaited(self, symbol: str, series: str) -> bool:
        """Whether what is missing of a series may still be told, so that it is unknown and not absent."""
        refused = self._now.get((symbol, series))
        return refused is not None and not refused.stored and self._in_a_row(symbol, series) < self.patience

    def rows(self, as_of: datetime, answered: Iterable[tuple[str, str]]) -> pl.DataFrame:
        """Rows of `refused_answers`: what is refused now, and that nothing is of series that were refused before."""
        seen = {"source": self.source, "day": self.day, "first_seen_at": as_of, "last_seen_at": as_of}
        rows = [
            {**seen, "symbol": symbol, "series": series, "reason": str(own.problem),
             "refusals": self._in_a_row(symbol, series)}
            for (symbol, series), own in self._now.items()
        ]  # fmt: skip
        over = [self._before[own] for own in answered if own not in self._now and own in self._before]
        return TABLES["refused_answers"].frame([*rows, *(row | {"refusals": 0} for row in over if row["refusals"])])

    def _in_a_row(self, symbol: str, series: str) -> int:
        before = self._before.get((symbol, series), {}).get("refusals")
        return (before or 0) + 1
