"""What a run produced: records as the kernel wrote them, and frames for people, in Decimals.

Metrics on these belong to `domain`. Frames are built when asked for; the hash covers the records.
"""

import hashlib
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.enums import Action, ExitReason, Leg, RejectCode, Side
from openclaw_pipelines.contracts.schema import PolarsSchema
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.account.valuation import net_equities
from openclaw_pipelines.kernel.base.layout import EventKind, Records, State
from openclaw_pipelines.kernel.base.money import from_atoms
from openclaw_pipelines.kernel.base.state_bytes import state_hash
from openclaw_pipelines.kernel.run.bars import Bars

MONEY = pl.Decimal(38, 18)
TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """A run over `bars`.

    events: EVENT[N] in the order they happened. proposals: PROPOSAL[M], `proposal_ticks` [M] says when.
    equity_rows: EQUITY_ROW[T], one per tick. state: after the last tick.
    """

    bars: Bars
    profile: str
    contract: str
    """Hash of parameters, costs, limits, capital and candle profile: what besides the bars decides the run."""
    slippage_rate: int
    instrument_records: Records
    """INSTRUMENT[S] with the run's fees."""
    events: Records
    proposals: Records
    proposal_ticks: NDArray[np.int64]
    equity_rows: Records
    state: State

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over the bars' hash, the contract and everything the run wrote."""
        digest = hashlib.sha256()
        for text in (self.bars.bars_hash, self.profile, self.contract, state_hash(self.state)):
            digest.update(text.encode())
        for array in (self.events, self.proposals, self.proposal_ticks, self.equity_rows):
            digest.update(array.tobytes())
        return digest.hexdigest()

    @cached_property
    def final_equity(self) -> Decimal:
        """Equity at the last tick, net of what closing the open positions would cost."""
        positions = self.state.positions.reshape(1, -1)
        net = net_equities(self.state.account, positions, self.instrument_records, self.slippage_rate)
        return from_atoms(int(net[0]))

    @cached_property
    def fills(self) -> pl.DataFrame:
        """Fills in order; the columns of `event_log`."""
        return self._events(self.events[self.events.kind == EventKind.FILL])

    @cached_property
    def event_log(self) -> pl.DataFrame:
        """All events, with their kind."""
        return self._events(self.events)

    @cached_property
    def trades(self) -> pl.DataFrame:
        """Closed round trips in order of their exits, net = gross - fees + funding. An open position is none yet."""
        return closed_trades(self.bars, self.events)

    @cached_property
    def equity(self) -> pl.DataFrame:
        """Account at each tick, in quote."""
        rows = self.equity_rows
        money = {
            name: _money(rows[name], from_atoms)
            for name in ("cash", "margin", "unrealized", "equity", "gross_exposure")
        }
        return pl.DataFrame({"tick_at": _times(rows.tick_at), **money, "open_positions": rows.open_positions})

    @cached_property
    def decisions(self) -> pl.DataFrame:
        """Every proposal with its code, the numbers that decided it and the approved quantity."""
        rows, specs = self.proposals, self.bars.instruments
        return pl.DataFrame(
            {
                "tick_at": _times(self.proposal_ticks),
                "symbol": [self.bars.symbols[int(s)] for s in rows.symbol],
                "action": _names(rows.action, Action),
                "side": _names(rows.side, Side),
                "qty": _money_by(rows.symbol, rows.qty, lambda s, v: specs[s].qty(v)),
                "price": _money_by(rows.symbol, rows.price, lambda s, v: specs[s].price(v)),
                "confidence": rows.confidence,
                "reason": _names(rows.reason, ExitReason),
                "code": _names(rows.code, RejectCode),
                "measured": rows.measured,
                "limit": rows.limit,
                "approved_qty": _money_by(rows.symbol, rows.approved_qty, lambda s, v: specs[s].qty(v)),
                "rank": rows["rank"],
            }
        )

    def _events(self, rows: Records) -> pl.DataFrame:
        specs = self.bars.instruments
        return pl.DataFrame(
            {
                "bar_at": _times(rows.at),
                "symbol": [self.bars.symbols[int(s)] for s in rows.symbol],
                "kind": _names(rows.kind, EventKind),
                "leg": [Leg(int(leg)).name.lower() if leg else None for leg in rows.leg],
                "side": _names(rows.side, Side),
                "qty": _money_by(rows.symbol, rows.qty, lambda s, v: specs[s].qty(v)),
                "price": _money_by(rows.symbol, rows.price, lambda s, v: specs[s].price(v)),
                "intended_price": _money_by(rows.symbol, rows.intended_price, lambda s, v: specs[s].price(v)),
                "fee": _money(rows.fee, from_atoms),
                "cash_change": _money(rows.cash_change, from_atoms),
                "realized": _money(rows.realized, from_atoms),
                "reason": [
                    _reason(int(kind), int(reason)) for kind, reason in zip(rows.kind, rows.reason, strict=True)
                ],
                "decided_at": _times(rows.decided_at),
            },
            schema_overrides={"leg": pl.String},
        )


_TRADE_SCHEMA: PolarsSchema = {
    "symbol": pl.String,
    "side": pl.String,
    "qty": MONEY,
    "entry_at": TIME,
    "exit_at": TIME,
    "entry_price": MONEY,
    "exit_price": MONEY,
    "reason": pl.String,
    "gross": MONEY,
    "fees": MONEY,
    "funding": MONEY,
    "net": MONEY,
}


def closed_trades(bars: Bars, events: Records) -> pl.DataFrame:
    """Closed round trips in order of their exits, net = gross - fees + funding."""
    rows, entries, funding = [], {}, dict.fromkeys(range(len(bars.symbols)), 0)
    for event in _named(events):
        symbol = event.symbol
        if event.kind == EventKind.FUNDING:
            funding[symbol] += event.cash_change
        elif event.kind == EventKind.FILL and event.leg == Leg.ENTRY:
            entries[symbol], funding[symbol] = event, 0
        elif event.kind == EventKind.FILL:
            rows.append(_trade(bars.instruments[symbol], entries.pop(symbol), event, funding[symbol]))
    return pl.DataFrame(rows, schema=_TRADE_SCHEMA, orient="row")


def _trade(spec: Instrument, entry: np.record, leave: np.record, funding: int) -> tuple[object, ...]:
    fees, gross = int(entry.fee) + int(leave.fee), int(leave.realized)
    return (
        spec.symbol,
        Side(int(entry.side)).name.lower(),
        spec.qty(entry.qty),
        _time(entry.at),
        _time(leave.at),
        spec.price(entry.price),
        spec.price(leave.price),
        ExitReason(int(leave.reason)).name.lower(),
        from_atoms(gross),
        from_atoms(fees),
        from_atoms(funding),
        from_atoms(gross - fees + funding),
    )


def _named(rows: Records) -> Iterator[Records]:
    """Records as tuples of plain numbers with names; reading fields off records takes three times as long."""
    row = namedtuple("row", rows.dtype.names or ())  # type: ignore[misc]
    return map(row._make, rows.tolist())


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _times(seconds: NDArray[np.int64]) -> pl.Series:
    return pl.Series(np.asarray(seconds, np.int64) * 1_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _reason(kind: int, reason: int) -> str:
    """Why a position was closed, or which check did not let an entry fill in full."""
    return (ExitReason(reason) if kind in (EventKind.FILL, EventKind.FUNDING) else RejectCode(reason)).name.lower()


def _names(values: Iterable[int], enum: type[IntEnum]) -> list[str]:
    names = {int(member): member.name if enum is RejectCode else member.name.lower() for member in enum}
    return [names[int(value)] for value in values]


def _money(values: Iterable[int], convert: Callable[[int], Decimal]) -> pl.Series:
    return pl.Series([convert(int(value)) for value in values], dtype=MONEY)


def _money_by(symbols: Iterable[int], values: Iterable[int], convert: Callable[[int, int], Decimal]) -> pl.Series:
    return pl.Series([convert(int(s), int(v)) for s, v in zip(symbols, values, strict=True)], dtype=MONEY)
