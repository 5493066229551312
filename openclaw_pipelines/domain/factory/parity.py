"""Whether two runs of one candidate agree to the last bit, and where they first differ if not.

A comparison is valid only under one contract. Trades that differ are a difference of the state machine; trades that
agree with totals that do not are one of the order of sums. Zero of both is the pass mark: a tolerance here is a defect.
Running both sides and storing the reports is in `services.factory`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.factory import Comparison, ParityClass
from openclaw_pipelines.domain.factory.contract import differing
from openclaw_pipelines.kernel.base.state_bytes import state_hash
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.sweep.result import Sweep

TRADE_FIELDS = ("side", "entry_at", "entry_price", "qty", "exit_at", "exit_price", "reason", "gross", "fees", "funding")
"""Compared in this order, trade by trade."""


@dataclass(frozen=True)
class Difference:
    """The first place where two runs differ. at: entry of the trade, or the end of the day, UTC."""

    symbol: str
    at: str
    field: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.symbol} at {self.at}: {self.field} is {self.left} on one side and {self.right} on the other"


@dataclass(frozen=True)
class Found:
    """What a comparison of two runs found, per symbol and in all."""

    verdict: ParityClass
    symbols: Mapping[str, ParityClass]
    differing: tuple[str, ...]
    first: Difference | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """One comparison, with the hashes of what it rests on."""

    comparison: Comparison
    params_hash: str
    sample: str
    code_version: str
    bars_hash: str
    left_contract: str
    right_contract: str
    left_hash: str
    right_hash: str
    found: Found
    device: str | None = None
    """GPU that swept one of the sides; None for the CPU."""

    @property
    def passed(self) -> bool:
        """Whether the comparison was valid and nothing differed."""
        return self.found.verdict is ParityClass.EQUAL

    @property
    def hash(self) -> str:
        """SHA-256 of the report, whichever GPU it was made on."""
        return sha256_of({name: value for name, value in asdict(self).items() if name != "device"})

    @property
    def sentence(self) -> str:
        """The report for people."""
        name = f"{self.comparison.value} of {self.params_hash[:12]}"
        if self.passed:
            return f"{name}: equal to the last bit"
        if self.found.verdict is ParityClass.INVALID_COMPARISON:
            return f"{name}: not comparable, {', '.join(self.found.differing)} differ"
        where = str(self.found.first) if self.found.first else ", ".join(self.found.differing)
        return f"{name}: {self.found.verdict.value}, {where}"


@dataclass(frozen=True)
class RowSide:
    """One row of a sweep as it was stored. symbols: symbol -> closed trades and their net in atoms."""

    bits_hash: str
    events_digest: int
    symbols: Mapping[str, Sequence[int]]
    day_equity: NDArray[np.int64]


def invalid(left: str, right: str) -> Found | None:
    """The finding where two contracts, as canonical JSON, are not the same; None where they are."""
    names = differing(left, right)
    return Found(ParityClass.INVALID_COMPARISON, {}, names, None) if names else None


def row_side(sweep: Sweep, row: int) -> RowSide:
    """What a sweep keeps of one row, for storing and comparing."""
    tallies = sweep.symbol_tallies[row]
    symbols = {name: (int(own["trades"]), int(own["net"])) for name, own in zip(sweep.symbols, tallies, strict=True)}
    digest = hashlib.sha256(sweep.bits(row)).hexdigest()
    return RowSide(digest, int(sweep.tallies[row]["digest"]), symbols, np.asarray(sweep.day_equity[row], np.int64))


def equal_row(side: RowSide) -> Found:
    """The finding where two sides of a row have the same bits."""
    return Found(ParityClass.EQUAL, dict.fromkeys(side.symbols, ParityClass.EQUAL), (), None)


def compare_row(left: RowSide, right: RowSide, result: Result) -> Found:
    """Two rows of sweeps, or one and what a replay amounts to. result: the row's replay, which knows its trades.

    A sweep keeps no trades. Where the digests of events differ, the day at which equity parts names the replay's
    trade.
    """
    if left.bits_hash == right.bits_hash:
        return equal_row(right)
    symbols = {name: _symbol_class(left, right, name) for name in sorted({*left.symbols, *right.symbols})}
    if left.events_digest == right.events_digest:
        totals = ("day_equity",) if not _same(left.day_equity, right.day_equity) else ("moments or final state",)
        return Found(ParityClass.REDUCTION_ORDER, symbols, totals, _first_day(left, right, symbols, result))
    return Found(ParityClass.STATE_MACHINE, symbols, ("events_digest",), _first_day(left, right, symbols, result))


def compare_runs(left: Result, right: Result) -> Found:
    """Two runs with full events, trade by trade and symbol by symbol, then their totals."""
    symbols = dict.fromkeys(right.bars.symbols, ParityClass.EQUAL)
    first: list[Difference] = []
    for name in symbols:
        difference = first_trade(_of(left.trades, name), _of(right.trades, name), name)
        if difference is not None:
            symbols[name] = ParityClass.STATE_MACHINE
            first.append(difference)
    if first:
        return Found(ParityClass.STATE_MACHINE, symbols, ("trades",), min(first, key=lambda own: (own.at, own.symbol)))
    totals = differing_totals(left, right)
    if totals:
        return Found(ParityClass.REDUCTION_ORDER, symbols, totals, _first_tick(left, right))
    return Found(ParityClass.EQUAL, symbols, (), None)


def first_trade(left: pl.DataFrame, right: pl.DataFrame, symbol: str) -> Difference | None:
    """The first trade of a symbol in which two lists differ, with the field and both values."""
    for mine, other in zip(left.iter_rows(named=True), right.iter_rows(named=True), strict=False):
        for field in TRADE_FIELDS:
            if mine[field] != other[field]:
                return Difference(symbol, _text(mine["entry_at"]), field, _text(mine[field]), _text(other[field]))
    if left.height == right.height:
        return None
    longer = left if left.height > right.height else right
    trade = longer.row(min(left.height, right.height), named=True)
    shown = f"{trade['side']} {_text(trade['qty'])} at {_text(trade['entry_price'])}"
    sides = (shown, "no trade") if longer is left else ("no trade", shown)
    return Difference(symbol, _text(trade["entry_at"]), "trade", *sides)


def differing_totals(left: Result, right: Result) -> tuple[str, ...]:
    """Which parts of two runs with equal trades are not the same bytes."""
    parts = {
        "events": (left.events.tobytes(), right.events.tobytes()),
        "proposals": (left.proposals.tobytes(), right.proposals.tobytes()),
        "equity": (left.equity_rows.tobytes(), right.equity_rows.tobytes()),
        "final_state": (state_hash(left.state), state_hash(right.state)),
    }
    return tuple(name for name, (mine, other) in parts.items() if mine != other)


def stale(report_code: str, report_bars: str, code_version: str, bars_hash: str) -> str | None:
    """Why a stored report no longer holds; None where it does."""
    if report_code != code_version:
        return f"the kernel was {report_code[:12]} and is {code_version[:12]} now"
    if report_bars != bars_hash:
        return f"the bars were {report_bars[:12]} and are {bars_hash[:12]} now"
    return None


def _symbol_class(left: RowSide, right: RowSide, symbol: str) -> ParityClass:
    mine, other = left.symbols.get(symbol), right.symbols.get(symbol)
    same = mine is not None and other is not None and tuple(mine) == tuple(other)
    return ParityClass.EQUAL if same else ParityClass.STATE_MACHINE


def _first_day(left: RowSide, right: RowSide, symbols: Mapping[str, ParityClass], result: Result) -> Difference | None:
    """The first day whose equity parts, and the replay's trade of a differing symbol that touches it."""
    ends = _day_ends(result)
    n = min(len(left.day_equity), len(right.day_equity), len(ends))
    parted = np.flatnonzero(left.day_equity[:n] != right.day_equity[:n])
    if not parted.size:
        return None
    day = int(parted[0])
    begins, ended = (datetime.fromtimestamp(int(ends[day]) - back, UTC) for back in (86_400, 0))
    names = [name for name, kind in symbols.items() if kind is not ParityClass.EQUAL] or list(symbols)
    touching = result.trades.filter(
        pl.col("symbol").is_in(names) & (pl.col("exit_at") >= begins) & (pl.col("entry_at") < ended)
    ).sort("entry_at", "symbol")
    values = (str(int(left.day_equity[day])), str(int(right.day_equity[day])))
    if touching.is_empty():
        return Difference(names[0], _text(ended), "day_equity", *values)
    trade = touching.row(0, named=True)
    return Difference(trade["symbol"], _text(trade["entry_at"]), f"equity at {_text(ended)}", *values)


def _day_ends(result: Result) -> NDArray[np.int64]:
    ticks = np.asarray(result.equity_rows.tick_at, np.int64)
    ends = ticks % 86_400 == 0
    ends[-1] = True
    kept: NDArray[np.int64] = ticks[ends]
    return kept


def _first_tick(left: Result, right: Result) -> Difference | None:
    mine, other = left.equity_rows, right.equity_rows
    for name in mine.dtype.names or ():
        apart = np.flatnonzero(mine[name][: len(other)] != other[name][: len(mine)])
        if apart.size:
            at = datetime.fromtimestamp(int(other.tick_at[apart[0]]), UTC)
            return Difference("*", _text(at), name, str(int(mine[name][apart[0]])), str(int(other[name][apart[0]])))
    return None


def _same(left: NDArray[np.int64], right: NDArray[np.int64]) -> bool:
    return left.shape == right.shape and bool((left == right).all())


def _of(trades: pl.DataFrame, symbol: str) -> pl.DataFrame:
    return trades.filter(pl.col("symbol") == symbol)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
