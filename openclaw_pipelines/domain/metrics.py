"""Metrics of one strategy and day: decision, outcome and execution quality, risk and return.

Definitions are in `domain.metric_definitions`, formulas of statistics in `domain.statistics`. Money is divided here, in
Python, never in SQL.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.ledger import Metrics
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain import statistics as stats
from openclaw_pipelines.domain.metric_definitions import DATA_CODES, METRICS, POLICY_CODES
from openclaw_pipelines.domain.statistics import Statistic
from openclaw_pipelines.domain.trades import closed_trades

METRIC_SCHEMA: dict[str, Any] = {
    name: column.dtype.type
    for name, column in Metrics.to_schema().columns.items()
    if name not in ("recorded_at", "run_fingerprint")
}
ACCEPTED = ("approved", "shadowed", "awaiting_approval")
JUDGED = (*ACCEPTED, "rejected", "abstain")
BPS = 10_000


@dataclass(frozen=True)
class Measure:
    """One value of one metric in one scope."""

    scope: str
    name: str
    statistic: Statistic


@dataclass(frozen=True)
class _Inputs:
    """Rows of one sub-account: of the day, and of its deployment to date."""

    start: datetime
    end: datetime
    decisions: pl.DataFrame
    outcomes: pl.DataFrame
    fills: pl.DataFrame
    fills_to_date: pl.DataFrame
    equity: pl.DataFrame
    equity_to_date: pl.DataFrame
    positions: pl.DataFrame
    mismatches: pl.DataFrame
    benchmark: pl.DataFrame
    funding: pl.DataFrame | None
    max_leverage_bps: int | None


def compute_metrics(
    *,
    account: str,
    strategy: str,
    day: str,
    decisions: pl.DataFrame,
    fills: pl.DataFrame,
    equity: pl.DataFrame,
    outcomes: pl.DataFrame,
    benchmark: pl.DataFrame,
    minimum_sample: int,
    positions: pl.DataFrame | None = None,
    reconcile_events: pl.DataFrame | None = None,
    funding: pl.DataFrame | None = None,
    max_leverage_bps: int | None = None,
) -> pl.DataFrame:
    """Metrics of `day`, in the columns of `contracts.ledger.Metrics` without `recorded_at` and `run_fingerprint`.

    decisions, outcomes, positions, reconcile_events: rows of their ledger tables; rows of other strategies and days
        are passed over.
    fills, equity: the same, from the deployment's inception on: the `to_date` scope rests on them.
    benchmark: closes of the configured symbols as `symbol`, `closed_at` and `close` from inception on; only the last
        one of the 24 hours before each boundary counts, so daily closes are enough.
    funding: payments as in `trades.closed_trades`, where trades are to bear them.
    max_leverage_bps: the configured limit, 10,000 is once.

    A tick belongs to the day in which its bar opened, so the tick at 00:00 closes the day before. Scopes are `day`,
    `to_date`, `horizon:SECONDS` (the day's outcomes) and `symbol:NAME` (the day's outcomes at the longest horizon, and
    exposure). Rows below `minimum_sample` observations are marked. Rows are ordered by scope and name.
    """
    inputs = _inputs(
        day,
        {
            "decisions": _own(decisions, account, strategy),
            "outcomes": _own(outcomes, account, strategy),
            "fills": _own(fills, account, strategy),
            "equity": _own(equity, account, strategy),
            "positions": _own(positions, account, strategy),
            "reconcile_events": _own(reconcile_events, account, strategy),
        },
        benchmark,
        funding,
        max_leverage_bps,
    )
    groups = (_decision_quality, _outcome_quality, _execution_quality, _risk, _day_return, _to_date)
    measures = (measure for group in groups for measure in group(inputs))
    rows = [_row(account, strategy, day, measure, minimum_sample) for measure in measures]
    return pl.DataFrame(rows, schema=METRIC_SCHEMA, orient="row").sort("scope", "name")


def metric_key(account: str, strategy: str, day: str, scope: str, name: str) -> str:
    """Key of one value.

    >>> metric_key("paper", "trend_1h", "2025-05-10", "to_date", "sharpe")
    'metric:paper:trend_1h:2025-05-10:to_date:sharpe'
    """
    return f"metric:{account}:{strategy}:{day}:{scope}:{name}"


def _row(account: str, strategy: str, day: str, measure: Measure, minimum_sample: int) -> dict[str, Any]:
    definition, statistic = METRICS[measure.name], measure.statistic
    return {
        "account_id": account,
        "strategy_config_id": strategy,
        "metric_key": metric_key(account, strategy, day, measure.scope, measure.name),
        "day": day,
        "scope": measure.scope,
        "name": measure.name,
        "group_name": definition.group,
        "definition": definition.definition,
        "value": statistic.value,
        "unit": definition.unit,
        "sample_size": statistic.sample_size,
        "below_minimum_sample": statistic.sample_size < minimum_sample,
        "reason": statistic.reason,
    }


# ---- which rows


def _own(frame: pl.DataFrame | None, account: str, strategy: str) -> pl.DataFrame:
    if frame is None or frame.is_empty():
        return pl.DataFrame()
    return frame.filter(pl.col("account_id") == account, pl.col("strategy_config_id") == strategy)


def _inputs(
    day: str,
    own: dict[str, pl.DataFrame],
    benchmark: pl.DataFrame,
    funding: pl.DataFrame | None,
    max_leverage_bps: int | None,
) -> _Inputs:
    start = day_start(day)
    end = start + DAY
    equity_to_date = _of_last_deployment(_until(own["equity"], end))
    return _Inputs(
        start,
        end,
        decisions=_within(own["decisions"], start, end),
        outcomes=_within(own["outcomes"], start, end, "decided_at"),
        fills=_within(own["fills"], start, end),
        fills_to_date=_same_deployment(_until(own["fills"], end), equity_to_date),
        equity=_within(equity_to_date, start, end),
        equity_to_date=equity_to_date,
        positions=_within(own["positions"], start, end),
        mismatches=_failed(_within(own["reconcile_events"], start, end)),
        benchmark=benchmark,
        funding=funding,
        max_leverage_bps=max_leverage_bps,
    )


def _within(frame: pl.DataFrame, start: datetime, end: datetime, column: str = "tick_at") -> pl.DataFrame:
    return frame if frame.is_empty() else frame.filter(pl.col(column) > start, pl.col(column) <= end)


def _until(frame: pl.DataFrame, end: datetime) -> pl.DataFrame:
    return frame if frame.is_empty() else frame.filter(pl.col("tick_at") <= end).sort("tick_at")


def _of_last_deployment(equity: pl.DataFrame) -> pl.DataFrame:
    return equity if equity.is_empty() else equity.filter(pl.col("deployment_id") == equity["deployment_id"][-1])


def _same_deployment(frame: pl.DataFrame, equity: pl.DataFrame) -> pl.DataFrame:
    if frame.is_empty() or equity.is_empty():
        return frame
    return frame.filter(pl.col("deployment_id") == equity["deployment_id"][-1])


def _failed(events: pl.DataFrame) -> pl.DataFrame:
    return events if events.is_empty() else events.filter(~pl.col("passed"))


# ---- decision quality


def _decision_quality(inputs: _Inputs) -> Iterator[Measure]:
    statuses, codes = _verdicts(inputs.decisions)
    judged = len(statuses)
    rejected = [RejectCode[code] for status, code in zip(statuses, codes, strict=True) if status == "rejected"]
    yield Measure("day", "decisions", _count(judged))
    yield Measure("day", "acceptance_rate", _share(sum(status in ACCEPTED for status in statuses), judged))
    yield Measure("day", "policy_reject_ratio", _share(sum(code in POLICY_CODES for code in rejected), judged))
    skipped = sum(code in DATA_CODES for code in rejected) + statuses.count("abstain")
    yield Measure("day", "data_skip_ratio", _share(skipped, judged))
    yield Measure("day", "rejects", Statistic(float(len(rejected)), judged))
    for code in sorted(set(rejected)):
        yield Measure("day", f"rejects.{code.name}", Statistic(float(rejected.count(code)), judged))


def _verdicts(decisions: pl.DataFrame) -> tuple[list[str], list[str]]:
    if decisions.is_empty():
        return [], []
    judged = decisions.filter(pl.col("status").is_in(JUDGED))
    return judged["status"].to_list(), judged["reason_code"].to_list()


# ---- outcome quality


def _outcome_quality(inputs: _Inputs) -> Iterator[Measure]:
    if inputs.outcomes.is_empty():
        return
    horizons = sorted(inputs.outcomes["horizon_seconds"].unique().to_list())
    for horizon in horizons:
        rows = inputs.outcomes.filter(pl.col("horizon_seconds") == horizon)
        yield from _scored(f"horizon:{horizon}", rows)
    longest = inputs.outcomes.filter(pl.col("horizon_seconds") == horizons[-1])
    for symbol in sorted(longest["symbol"].unique().to_list()):
        yield from _scored(f"symbol:{symbol}", longest.filter(pl.col("symbol") == symbol))


def _scored(scope: str, outcomes: pl.DataFrame) -> Iterator[Measure]:
    scored = outcomes.filter(pl.col("win").is_not_null())
    pnl: list[Decimal] = scored["pnl_quote_est"].to_list()
    wins = int(scored["win"].sum())
    yield Measure(scope, "outcome_win_rate", _share(wins, scored.height, "no scored outcomes"))
    yield Measure(scope, "outcome_average_return", _mean_return(scored))
    yield Measure(scope, "outcome_expectancy", _expectancy(pnl, "no scored outcomes"))
    yield Measure(scope, "outcome_total_pnl", _sum(pnl, "no scored outcomes"))
    yield Measure(
        scope, "accepted_average_return", _mean_return(scored.filter(pl.col("decision_status").is_in(ACCEPTED)))
    )
    yield Measure(scope, "refused_average_return", _mean_return(scored.filter(pl.col("decision_status") == "rejected")))
    missing = outcomes.filter(pl.col("return_signed").is_null()).height
    yield Measure(scope, "outcome_missing", Statistic(float(missing), outcomes.height))


def _mean_return(outcomes: pl.DataFrame) -> Statistic:
    values: list[float] = outcomes["return_signed"].to_list()
    return stats.mean(values) if values else Statistic(None, 0, "no scored outcomes")


def _expectancy(results: Sequence[Decimal], none: str) -> Statistic:
    return stats.expectancy(results) if results else Statistic(None, 0, none)


# ---- execution quality


def _execution_quality(inputs: _Inputs) -> Iterator[Measure]:
    orders = inputs.fills.to_dicts()
    filled = [fill for fill in orders if fill["qty"] > 0]
    slippages = [fill["slippage_bps"] for fill in filled if fill["slippage_bps"] is not None]
    fees = sum((fill["fee"] for fill in filled), Decimal(0))
    yield Measure("day", "fills", _count(len(filled)))
    yield Measure("day", "unfilled_ratio", _share(len(orders) - len(filled), len(orders), "no orders"))
    yield Measure("day", "slippage_bps_mean", _or_reason(stats.mean(slippages), "no fills"))
    yield Measure("day", "slippage_bps_p95", _or_reason(stats.percentile(slippages, 0.95), "no fills"))
    yield Measure("day", "fees_paid", Statistic(float(fees), len(filled)))
    yield Measure("day", "fee_bps_of_notional", _fee_bps(fees, filled))
    yield Measure("day", "funding_received", _funding_received(inputs))
    ticks = inputs.equity.height
    mismatched = inputs.mismatches["tick_at"].n_unique() if inputs.mismatches.height else 0
    yield Measure("day", "reconcile_mismatch_frequency", _share(mismatched, ticks, "no ticks"))


def _fee_bps(fees: Decimal, filled: Sequence[dict[str, Any]]) -> Statistic:
    with localcontext(prec=76):  # DECIMAL(38,18) factors, so that only the division rounds
        notional = sum((fill["qty"] * fill["price"] for fill in filled), Decimal(0))
    if notional == 0:
        return Statistic(None, len(filled), "nothing was filled")
    return Statistic(float(fees / notional * BPS), len(filled))


def _funding_received(inputs: _Inputs) -> Statistic:
    if inputs.equity.is_empty():
        return Statistic(None, 0, "no ticks")
    before = inputs.equity_to_date.filter(pl.col("tick_at") <= inputs.start)["funding"]
    start = before[-1] if before.len() else Decimal(0)
    return Statistic(float(inputs.equity["funding"][-1] - start), inputs.equity.height)


# ---- risk


def _risk(inputs: _Inputs) -> Iterator[Measure]:
    yield Measure("day", "max_drawdown", stats.max_drawdown(_ticks_of_day(inputs)))
    leverages = [
        gross / equity for gross, equity in inputs.equity.select("gross_exposure", "equity").iter_rows() if equity > 0
    ] if inputs.equity.height else []  # fmt: skip
    highest = Statistic(float(max(leverages)), len(leverages)) if leverages else Statistic(None, 0, "no ticks")
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


# ---- return


def _day_return(inputs: _Inputs) -> Iterator[Measure]:
    ticks = _ticks_of_day(inputs)
    yield from _growth("day", ticks, inputs, inputs.start)
    trades = _trades(inputs)
    yield from _trade_statistics("day", trades.filter(pl.col("exit_tick_at") > inputs.start))


def _to_date(inputs: _Inputs) -> Iterator[Measure]:
    equity = daily_equity(inputs.equity_to_date, inputs.end)
    returns = stats.daily_returns(equity)
    since = _inception(inputs.equity_to_date) or inputs.start
    yield from _growth("to_date", equity, inputs, since)
    yield Measure("to_date", "max_drawdown", stats.max_drawdown(equity))
    yield Measure("to_date", "sharpe", stats.sharpe(returns))
    yield Measure("to_date", "sortino", stats.sortino(returns))
    yield Measure("to_date", "cagr", stats.cagr(equity))
    yield Measure("to_date", "calmar", stats.calmar(equity))
    yield from _trade_statistics("to_date", _trades(inputs))


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


def _ticks_of_day(inputs: _Inputs) -> list[Decimal]:
    if inputs.equity.is_empty():
        return []
    before = inputs.equity_to_date.filter(pl.col("tick_at") <= inputs.start)["equity"]
    opening = before[-1] if before.len() else inputs.equity["day_open_equity"][0]
    return [opening, *inputs.equity["equity"].to_list()]


def _growth(scope: str, balances: Sequence[Decimal], inputs: _Inputs, since: datetime) -> Iterator[Measure]:
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
    if benchmark.is_empty():
        return Statistic(None, 0, "no closes to compare with")
    first, last = _closes_at(benchmark, start), _closes_at(benchmark, end)
    changes = [last[symbol] / first[symbol] - 1 for symbol in sorted(first.keys() & last.keys())]
    if not changes:
        return Statistic(None, 0, "no symbol has a close at both the start and the end")
    return stats.mean(changes)


def _closes_at(benchmark: pl.DataFrame, boundary: datetime) -> dict[str, float]:
    near = benchmark.filter(pl.col("closed_at") <= boundary, pl.col("closed_at") > boundary - timedelta(hours=24))
    return dict(near.sort("closed_at").select("symbol", "close").iter_rows())


def _trades(inputs: _Inputs) -> pl.DataFrame:
    return closed_trades(inputs.fills_to_date, inputs.funding)


def _trade_statistics(scope: str, trades: pl.DataFrame) -> Iterator[Measure]:
    results: list[Decimal] = trades["net_pnl"].to_list()
    yield Measure(scope, "trades", _count(len(results)))
    yield Measure(scope, "profit_factor", stats.profit_factor(results))
    yield Measure(scope, "win_rate", stats.win_rate(results))
    yield Measure(scope, "expectancy", stats.expectancy(results))
    held = _or_reason(stats.mean([float(s) for s in trades["holding_seconds"].to_list()]), "no closed trades")
    yield Measure(scope, "average_holding_seconds", held)


# ---- small statistics


def _count(n: int) -> Statistic:
    return Statistic(float(n), n)


def _share(part: int, whole: int, none: str = "no decisions were judged") -> Statistic:
    return Statistic(part / whole, whole) if whole else Statistic(None, 0, none)


def _sum(values: Iterable[Decimal], none: str) -> Statistic:
    kept = list(values)
    return Statistic(float(sum(kept, Decimal(0))), len(kept)) if kept else Statistic(None, 0, none)


def _or_reason(statistic: Statistic, none: str) -> Statistic:
    return statistic if statistic.sample_size else Statistic(None, 0, none)
