"""A tick's input: everything it may depend on, as kernel arrays and as the JSON that the ledger keeps.

What is recorded here is what verification and replay read; nothing else may influence a tick.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.execution.port import Report, reports_of
from openclaw_pipelines.domain.governance.approvals import External
from openclaw_pipelines.domain.market.quality.units import usable
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.planned import Planned
from openclaw_pipelines.kernel.base import layout, money

BAR_FIELDS = ("open", "high", "low", "close", "bar_state", "funding_rate", "volume", "funding_inside")
"""Of a recorded bar, in this order. The first ledgers have no `funding_inside`: all was charged at the open."""
_BAR_STATE = BAR_FIELDS.index("bar_state")
NO_BAR = (0, 0, 0, 0, int(layout.BarState.MISSING), 0, 0.0, 0)


@dataclass(frozen=True)
class TickInput:
    """One tick's input.

    at: close time of the bars.
    bars: per symbol open, high, low, close (price units), bar state, funding (1e-10) due at the open, volume, funding
        due inside the bar.
    controls: per symbol the code that refuses entries, 0 for none.
    universe: symbols that may be entered; the others are close-only.
    executor: name of what filled the orders, None in ticks of a version that did not record it.
    reports: what the executor told since the tick before.
    planned: what a planner outside the kernel wants, None where the strategy's family plans.
    sources: per symbol the market source that gave its bar, None in ticks of a version that did not record it.
    """

    at: datetime
    bars: Mapping[str, tuple[object, ...]]
    controls: Mapping[str, int]
    universe: tuple[str, ...]
    universe_key: str | None
    halt: layout.Halt = layout.Halt.OFF
    settle_only: str | None = None
    external: tuple[External, ...] = field(default=())
    executor: str | None = None
    reports: tuple[Report, ...] | None = None
    planned: Planned | None = None
    sources: Mapping[str, str] | None = None

    def kernel_tick(self, symbols: list[str]) -> layout.Tick:
        """The kernel's view, in the columns of `symbols`."""
        records = layout.records(layout.SYMBOL_TICK, len(symbols))
        bars = [self.bars.get(symbol, NO_BAR) for symbol in symbols]
        for n, name in enumerate(BAR_FIELDS):
            records[name] = [bar[n] if n < len(bar) else 0 for bar in bars]
        records["in_universe"] = [symbol in self.universe for symbol in symbols]
        records["control"] = [self.controls.get(symbol, int(RejectCode.NONE)) for symbol in symbols]
        return layout.Tick(int(self.at.timestamp()), records)

    def bars_json(self) -> str:
        """Recorded form of the bars."""
        return self._bars_json

    @cached_property
    def _bars_json(self) -> str:
        return canonical_json({symbol: list(bar) for symbol, bar in self.bars.items()})

    def masks_json(self) -> str:
        """Recorded form of everything that is neither bar nor proposal."""
        return canonical_json(
            {
                "controls": dict(self.controls),
                "universe": list(self.universe),
                "halt": int(self.halt),
                "settle_only": self.settle_only,
            }
        )

    def external_json(self) -> str:
        """Recorded form of proposals and verdicts from outside."""
        return canonical_json([vars(item) for item in self.external])

    @property
    def closed(self) -> list[str]:
        """Symbols whose bar is not missing."""
        missing = int(layout.BarState.MISSING)
        return [symbol for symbol, bar in self.bars.items() if bar[_BAR_STATE] != missing]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "TickInput":
        """The input that a `tick_inputs` row recorded."""
        masks = json.loads(row["masks"])
        return cls(
            at=row["tick_at"],
            bars={symbol: tuple(bar) for symbol, bar in json.loads(row["bars"]).items()},
            controls=masks["controls"],
            universe=tuple(masks["universe"]),
            universe_key=row["universe_key"],
            halt=layout.Halt(masks["halt"]),
            settle_only=masks["settle_only"],
            external=tuple(External(**item) for item in json.loads(row["external"])),
            executor=row["executor"],
            reports=None if row["reports"] is None else reports_of(row["reports"]),
            planned=None if row["signals"] is None else Planned.of(row["signals"]),
            sources=None if row["sources"] is None else json.loads(row["sources"]),
        )


def chained_hash(previous: str, bars_json: str) -> str:
    """Hash of the bars consumed up to a tick: that of the tick before and this tick's bars."""
    return hashlib.sha256((previous + bars_json).encode()).hexdigest()


def bars_by_tick(
    candles: pl.DataFrame, funding: pl.DataFrame, deployment: Deployment
) -> dict[datetime, dict[str, tuple[object, ...]]]:
    """Integer bars per tick and symbol out of stored candles of the deployment's interval.

    Synthetic bars and bars that are not `usable` count as missing; zero-volume bars fill nothing; bars built without
    their first part have no open to fill at. Funding is due at a bar's open or inside it, where several are added up.
    """
    length = interval_length(deployment.interval)
    due = _funding_due(funding, length)
    bars: dict[datetime, dict[str, tuple[object, ...]]] = {}
    traded = usable(candles, deployment.price_units).filter(~pl.col("is_synthetic"))
    for item in deployment.instruments:
        own = traded.filter(pl.col("symbol") == item.symbol).sort("ts")
        units = [money.to_units(own[name].to_numpy(), item.price_unit, item.symbol) for name in BAR_FIELDS[:4]]
        volume = own["volume"].to_numpy()
        fillable = np.where(own["has_open"].to_numpy(), layout.BarState.TRADABLE, layout.BarState.NO_OPEN)
        states = np.where(volume > 0, fillable, layout.BarState.UNFILLABLE)
        for row, opened_at in enumerate(own["ts"].to_list()):
            at_open, inside = due.get((item.symbol, opened_at), (0, 0)) if item.is_perp else (0, 0)
            bar = (*(int(column[row]) for column in units), int(states[row]), at_open, float(volume[row]), inside)
            bars.setdefault(opened_at + length, {})[item.symbol] = bar
    _add_funding_without_bar(bars, due, deployment, length)
    return bars


def _add_funding_without_bar(
    bars: dict[datetime, dict[str, tuple[object, ...]]],
    due: dict[tuple[str, datetime], tuple[int, int]],
    deployment: Deployment,
    length: timedelta,
) -> None:
    """A missing bar does not excuse from funding; it is charged at the last price."""
    perps = {item.symbol for item in deployment.instruments if item.is_perp}
    for (symbol, opened_at), (at_open, inside) in due.items():
        own = bars.setdefault(opened_at + length, {})
        if symbol in perps and symbol not in own:
            own[symbol] = (*NO_BAR[:5], at_open, 0.0, inside)


def _funding_due(funding: pl.DataFrame, length: timedelta) -> dict[tuple[str, datetime], tuple[int, int]]:
    """Rates by symbol and the open of the bar: of the stamp at its open, and of those inside it together."""
    due: dict[tuple[str, datetime], tuple[int, int]] = {}
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for row in funding.select("symbol", "ts", "funding_rate").iter_rows(named=True):
        stamp = row["ts"].replace(microsecond=0)
        after_open = (stamp - epoch) % length
        key = (row["symbol"], stamp - after_open)
        rate = int((Decimal(repr(row["funding_rate"])) / money.RATE_UNIT).to_integral_value())
        at_open, inside = due.get(key, (0, 0))
        due[key] = (at_open, inside + rate) if after_open else (at_open + rate, inside)
    return due
