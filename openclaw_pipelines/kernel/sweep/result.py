"""What a sweep found: sums, moments, day-end equity and final account of every parameter row.

`Sweep.of_result` reads the same things off a replay, so that a parity check compares like with like. Ranking,
statistics and gates belong to `domain`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.kernel.account.valuation import net_equities
from openclaw_pipelines.kernel.base.layout import ACCOUNT, POSITION, Records, records
from openclaw_pipelines.kernel.base.money import from_atoms
from openclaw_pipelines.kernel.run.result import MONEY, Result
from openclaw_pipelines.kernel.strategy.params import PARAMS, params_hash
from openclaw_pipelines.kernel.sweep.tally import SYMBOL_TALLY, TALLY, tally_run

_DAY = 86_400
_MONEY_TALLIES = ("gross_profit", "gross_loss", "turnover")
_COUNTS = ("entries", "trades", "wins", "liquidations", "refused", "expired", "held_seconds", "longest_hold_seconds")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """R parameter rows over S symbols and D days. Money is in atoms of the quote currency.

    rows: PARAMS[R]. tallies: TALLY[R]. symbol_tallies: SYMBOL_TALLY[R, S]. accounts: ACCOUNT[R] after the last tick.
    positions: POSITION[R, S]. day_ends: [D] ticks, seconds: each 00:00Z, and the last tick. day_equity: [R, D], marked
    to market. net_equity: [R] at the last tick, net of what closing the open positions would cost.
    """

    symbols: tuple[str, ...]
    bars_hash: str
    profile: str
    contract: str
    """Hash of costs, limits, capital and window: what besides bars and parameters decides the runs."""
    capital: int
    rows: NDArray[np.void]
    tallies: Records
    symbol_tallies: Records
    accounts: Records
    positions: Records
    order_times: NDArray[np.int64]
    day_ends: NDArray[np.int64]
    day_equity: NDArray[np.int64]
    net_equity: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of_result(cls, result: Result, row: np.record, capital: int, contract: str) -> "Sweep":
        """The one-row sweep that a replay amounts to."""
        tallies, symbols = records(TALLY, 1), records(SYMBOL_TALLY, len(result.bars.symbols))
        equity, ticks = result.equity_rows.equity, result.equity_rows.tick_at
        tally_run(tallies[0], symbols, result.instrument_records, result.events, equity, capital)
        ends = np.flatnonzero(is_day_end(ticks))
        return cls(
            symbols=result.bars.symbols, bars_hash=result.bars.bars_hash, profile=result.profile, contract=contract,
            capital=capital, rows=np.array([row], PARAMS), tallies=tallies, symbol_tallies=symbols[None],
            accounts=result.state.account, positions=result.state.positions[None],
            order_times=result.state.order_times[None], day_ends=ticks[ends].copy(), day_equity=equity[ends][None],
            net_equity=net_equities(
                result.state.account, result.state.positions[None], result.instrument_records, result.slippage_rate
            ),
        )  # fmt: skip

    @cached_property
    def row_hashes(self) -> tuple[str, ...]:
        """Hash of each row's parameters, as `params.params_hash`."""
        return tuple(params_hash(row) for row in self.rows.view(np.recarray))

    def bits(self, row: int) -> bytes:
        """Everything that was found for one row; equal bytes are equal runs."""
        arrays = (
            self.tallies, self.symbol_tallies, self.accounts, self.positions, self.order_times, self.day_equity,
            self.net_equity,
        )  # fmt: skip
        return b"".join(np.ascontiguousarray(array[row]).tobytes() for array in arrays)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over bars, contract, parameters and everything found, in the order of the rows."""
        digest = hashlib.sha256("|".join((self.bars_hash, self.profile, self.contract)).encode())
        for row in range(len(self)):
            digest.update(self.row_hashes[row].encode())
            digest.update(self.bits(row))
        return digest.hexdigest()

    def take(self, chosen: NDArray[np.int64]) -> "Sweep":
        """The sweep of some of its rows."""
        return self._with(lambda array: array[chosen])

    @staticmethod
    def concatenate(parts: "list[Sweep]") -> "Sweep":
        """Shards of one sweep put together in the given order; they must share bars, contract and days."""
        first = parts[0]
        joined = [np.concatenate([np.asarray(getattr(part, name)) for part in parts]) for name in _PER_ROW]
        return first._replace(dict(zip(_PER_ROW, map(_as_records, joined), strict=True)))

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One line per row: parameter hash, money as Decimals, counts, returns. Undefined ratios are null."""
        tallies, nets = self.tallies, [from_atoms(net - self.capital) for net in self.net_equity.tolist()]
        columns = {"params_hash": pl.Series(self.row_hashes), "net": pl.Series(nets, dtype=MONEY)}
        columns |= {name: _money(tallies[name]) for name in _MONEY_TALLIES}
        columns |= {name: _money(self.accounts[name]) for name in ("fees", "funding")}
        columns |= {name: pl.Series(np.asarray(tallies[name])) for name in (*_COUNTS, "max_drawdown")}
        frame = pl.DataFrame(columns)
        ratio = pl.col("gross_profit").cast(pl.Float64) / pl.col("gross_loss").cast(pl.Float64)
        return frame.with_columns(
            profit_factor=pl.when(pl.col("gross_loss") > 0).then(ratio),
            return_total=pl.Series((self.net_equity - self.capital) / self.capital),
        )

    def _with(self, change: Callable[[Records], Records]) -> "Sweep":
        return self._replace({name: change(getattr(self, name)) for name in _PER_ROW})

    def _replace(self, changed: dict[str, Records]) -> "Sweep":
        return Sweep(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, **changed})


_PER_ROW = (
    "rows", "tallies", "symbol_tallies", "accounts", "positions", "order_times", "day_equity", "net_equity",
)  # fmt: skip


def is_day_end(ticks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which ticks close a day: those at 00:00Z, and the last."""
    ends: NDArray[np.bool_] = ticks % _DAY == 0
    ends[-1] = True
    return ends


def new_books(n_rows: int, n_symbols: int) -> tuple[Records, Records]:
    """ACCOUNT[R] and POSITION[R, S], zeroed."""
    return records(ACCOUNT, n_rows), np.zeros((n_rows, n_symbols), POSITION).view(np.recarray)


def _as_records(array: NDArray[np.void]) -> Records:
    return array.view(np.recarray) if array.dtype.names and array.dtype != PARAMS else array


def _money(atoms: NDArray[np.int64]) -> pl.Series:
    return pl.Series([from_atoms(value) for value in np.asarray(atoms).tolist()], dtype=MONEY)
