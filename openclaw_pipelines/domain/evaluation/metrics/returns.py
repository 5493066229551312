"""Risk and return of one strategy: of the day, and of its deployment to date."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

import polars as pl

from openclaw_pipelines.contracts.time import DAY
from openclaw_pipelines.domain.evaluation import statistics as stats
from openclaw_pipelines.domain.evaluation.metrics.inputs import Inputs, Measure
from openclaw_pipelines.domain.evaluation.statistics import Statistic

BPS = 10_000

BOUGHT_WITHIN = timedelta(hours=24)
"""How old a close may be to buy at; who has none so near is not bought by the benchmark."""


def risk(inputs: Inputs) -> Iterator[Measure]:
    """Drawdown, leverage and concentration of the day."""
    yield Measure("day", "max_drawdown", stats.max_drawdown(_ticks_of_day(inputs)))
    leverages = [
        gross / equity for gross, equity in inputs.equity.select("gross_exposure", "equity").iter_rows() if equity > 0
    ] if inputs.equity.height else []  # fmt: skip
    highest = (
        Statistic(float(max(leverages)), len(leverages))
        if leverages
        else Statistic(None, 0, "no tick with equity above zero")
    )
    yield Measure("day", "leverage_max", highest)
    if inputs.max_leverage_bps:
        limit = Decimal(inputs.max_leverage_bps) / BPS
        used = Statistic(float(max(leverages) / limit), len(leverages)) if leverages else highest
        yield Measure("day", "leverage_utilisation_max", used)
    yield from _exposure_shares(inputs.positions)


def _exposure_shares(positions: pl.DataFrame) -> Iterator[Measure]:
    by_symbol: dict[str, Decimal] = {}
    ticks: dict[str, int] = {}
    for position in positions.to_dicts():
        with localcontext(prec=76):
            notional = position["qty"] * position["mark_price"]
            by_symbol[position["symbol"]] = by_symbol.get(position["symbol"], Decimal(0)) + notional
        ticks[position["symbol"]] = ticks.get(position["symbol"], 0) + 1
    total = sum(by_symbol.values(), Decimal(0))
    for symbol in sorted(by_symbol):
        yield Measure(f"symbol:{symbol}", "exposure_share", Statistic(float(by_symbol[symbol] / total), ticks[symbol]))


def day_return(inputs: Inputs) -> Iterator[Measure]:
    """Return of the day and the trades that closed in it."""
    ticks = _ticks_of_day(inputs)
    yield from _growth("day", ticks, inputs, inputs.start)
    yield from _trade_statistics("day", inputs.trades.filter(pl.col("exit_tick_at") > inputs.start))


def to_date(inputs: Inputs) -> Iterator[Measure]:
    """Return, risk-adjusted ratios and trades since the inception of the deployment."""
    equity = daily_equity(inputs.equity_to_date, inputs.end)
    returns = stats.daily_returns(equity)
    since = _inception(inputs.equity_to_date) or inputs.start
    yield from _growth("to_date", equity, inputs, since)
    yield Measure("to_date", "max_drawdown", stats.max_drawdown(equity))
    yield Measure("to_date", "sharpe", stats.sharpe(returns))
    yield Measure("to_date", "sortino", stats.sortino(returns))
    yield Measure("to_date", "cagr", stats.cagr(equity))
    yield Measure("to_date", "calmar", stats.calmar(equity))
    yield from _trade_statistics("to_date", inputs.trades)


def daily_equity(equity: pl.DataFrame, end: datetime) -> list[Decimal]:
    """Balance at inception and at each 00:00Z after it up to `end`; a day without ticks keeps the balance before it.

    equity: rows of `autopilot_equity` of one deployment.
    """
    inception = _inception(equity)
    if inception is None:
        return []
    at, values = equity["tick_at"].to_list(), equity["equity"].to_list()
    balances, place = [_opening(equity)], 0
    balance, boundary = balances[0], inception + DAY
    while boundary <= end:
        while place < len(at) and at[place] <= boundary:
            balance = values[place]
            place += 1
        balances.append(balance)
        boundary += DAY
    return balances


def _inception(equity: pl.DataFrame) -> datetime | None:
    if equity.is_empty():
        return None
    first: datetime = equity["tick_at"][0]
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def _opening(equity: pl.DataFrame) -> Decimal:
    """Balance at 00:00Z of the first day: of the inception tick, or what the first tick compared itself with."""
    first = equity.row(0, named=True)
    at_midnight = first["tick_at"] == _inception(equity)
    balance: Decimal = first["equity"] if at_midnight else first["day_open_equity"]
    return balance


def _ticks_of_day(inputs: Inputs) -> list[Decimal]:
    if inputs.equity.is_empty():
        return []
    before = inputs.equity_to_date.filter(pl.col("tick_at") <= inputs.start)["equity"]
    opening = before[-1] if before.len() else inputs.equity["day_open_equity"][0]
    return [opening, *inputs.equity["equity"].to_list()]


def _growth(scope: str, balances: Sequence[Decimal], inputs: Inputs, since: datetime) -> Iterator[Measure]:
    pnl, own = _pnl_and_return(balances)
    held = _buy_and_hold(inputs.benchmark, since, inputs.end)
    yield Measure(scope, "pnl", pnl)
    yield Measure(scope, "return", own)
    yield Measure(scope, "buy_and_hold_return", held)
    yield Measure(scope, "excess_return", _difference(own, held))


def _pnl_and_return(balances: Sequence[Decimal]) -> tuple[Statistic, Statistic]:
    steps = len(balances) - 1
    if steps < 1:
        return Statistic(None, 0, "no ticks"), Statistic(None, 0, "no ticks")
    first, last = balances[0], balances[-1]
    pnl = Statistic(float(last - first), steps)
    if first <= 0:
        return pnl, Statistic(None, steps, "equity was at or below zero at the start")
    return pnl, Statistic(float(last / first - 1), steps)


def _difference(own: Statistic, held: Statistic) -> Statistic:
    if own.value is None or held.value is None:
        return Statistic(None, min(own.sample_size, held.sample_size), own.reason or held.reason)
    return Statistic(own.value - held.value, min(own.sample_size, held.sample_size))


def _buy_and_hold(benchmark: pl.DataFrame, start: datetime, end: datetime) -> Statistic:
    """Mean change of the symbols that had a price at the start. Who was bought stays, at its last close."""
    if benchmark.is_empty():
        return Statistic(None, 0, "no closes to compare with")
    first, last = _last_closes(benchmark, start - BOUGHT_WITHIN, start), _last_closes(benchmark, start, end)
    if not first:
        return Statistic(None, 0, "no symbol has a close at the start")
    return stats.mean([last.get(symbol, close) / close - 1 for symbol, close in sorted(first.items())])


def _last_closes(benchmark: pl.DataFrame, after: datetime, until: datetime) -> dict[str, float]:
    """Newest close with `after < closed_at <= until`, by symbol."""
    closes = benchmark.filter(pl.col("closed_at") > after, pl.col("closed_at") <= until)
    return dict(closes.sort("closed_at").select("symbol", "close").iter_rows())


def _trade_statistics(scope: str, trades: pl.DataFrame) -> Iterator[Measure]:
    results: list[Decimal] = trades["net_pnl"].to_list()
    yield Measure(scope, "trades", Statistic(float(len(results)), len(results)))
    yield Measure(scope, "profit_factor", stats.profit_factor(results))
    yield Measure(scope, "win_rate", stats.win_rate(results))
    yield Measure(scope, "expectancy", stats.expectancy(results))
    held = [float(seconds) for seconds in trades["holding_seconds"].to_list()]
    average = stats.mean(held) if held else Statistic(None, 0, "no closed trades")
    yield Measure(scope, "average_holding_seconds", average)
