"""The gates, one function each: what was measured against what is required.

A measure that is undefined fails its gate and says why; nothing passes by default and nothing raises over what it
measures. Which gates there are and in what order is in `gates`.
"""

import math
from collections.abc import Callable
from decimal import Decimal

import polars as pl

from openclaw_pipelines.contracts.requirements import Relation, Requirement
from openclaw_pipelines.domain.selection.baselines import (
    BuyAndHold,
    RandomEntries,
    is_inside_a_bar,
    share_not_below,
)
from openclaw_pipelines.domain.selection.bootstrap import mean_interval
from openclaw_pipelines.domain.selection.equity import Floats
from openclaw_pipelines.domain.selection.gate_limits import Gate, GateLimits
from openclaw_pipelines.domain.selection.lookahead import LookaheadReport
from openclaw_pipelines.domain.selection.looks import Look, earlier_look
from openclaw_pipelines.domain.selection.overfitting import overfitting
from openclaw_pipelines.domain.selection.sharpe import Moments, deflated_sharpe, moments
from openclaw_pipelines.domain.selection.trials import Trials, TrialsError, clustered_trials, raw_trials
from openclaw_pipelines.domain.selection.warmup import WarmupReport


def no_lookahead(report: LookaheadReport | None) -> Gate:
    """No value of the strategy may change when later bars are cut off."""
    name, required = "no_lookahead", Requirement(Relation.EQUAL, 0, "columns that depend on later bars")
    if report is None or report.cuts == 0:
        return _undefined(name, required, "the look-ahead analysis was not run")
    reason = str(report.biased[0]) if report.biased else f"{len(report.columns)} columns at {report.cuts} cuts"
    return Gate(name, float(len(report.biased)), required, report.passed, reason, report.cuts)


def settled_warmup(report: WarmupReport | None) -> Gate:
    """Every indicator must have settled when the strategy may first act."""
    name, required = "settled_warmup", Requirement(Relation.EQUAL, 0, "indicators unsettled after the warm-up")
    if report is None or not report.drifts:
        return _undefined(name, required, "the warm-up analysis was not run")
    reason = str((report.unsettled or report.drifts)[0])
    return Gate(name, float(len(report.unsettled)), required, report.passed, reason, report.starts)


def unseen_holdout(look: Look | None, looks: tuple[Look, ...]) -> Gate:
    """No other cycle of the family may have looked at a day of the holdout."""
    name, required = "unseen_holdout", Requirement(Relation.EQUAL, 0, "earlier looks")
    if look is None:
        return _undefined(name, required, "the look at the holdout was not recorded")
    past = earlier_look(looks, look)
    reason = "never looked at" if past is None else f"cycle {past.cycle_id} looked at {past.window} for {past.purpose}"
    return Gate(name, float(past is not None), required, past is None, reason, look.window.days)


def holdout_trades(trades: pl.DataFrame, limits: GateLimits) -> Gate:
    """Enough closed trades for any of the rest to mean something."""
    n, required = trades.height, Requirement(Relation.AT_LEAST, limits.least_trades)
    return Gate("holdout_trades", float(n), required, required.holds(n), f"{n} closed trades", n)


def holdout_daily_return(returns: Floats, limits: GateLimits) -> Gate:
    """Mean daily return of the holdout."""
    name, required = "holdout_daily_return", Requirement(Relation.ABOVE, limits.least_daily_return)
    reason = _too_few_days(returns, limits)
    if reason is not None:
        return _undefined(name, required, reason, len(returns))
    mean = float(returns.mean())
    return _finite(name, mean, required, f"mean of {len(returns)} days", len(returns))


def holdout_interval(returns: Floats, limits: GateLimits) -> Gate:
    """Lower end of the block-bootstrap confidence interval of the mean daily return."""
    name, required = "holdout_interval", Requirement(Relation.ABOVE, limits.least_daily_return)
    interval = mean_interval(
        returns, confidence=limits.confidence, resamples=limits.resamples, seed=limits.seed
    )  # fmt: skip
    reason = interval.reason or _too_few_days(returns, limits)
    if interval.lower is None or interval.block_days is None or reason is not None:
        return _undefined(name, required, reason or "undefined", len(returns))
    text = f"{limits.confidence:.0%} interval, blocks of {interval.block_days:.1f} days"
    return _finite(name, interval.lower, required, text, len(returns))


def stressed_net(net: Decimal | None, n_trades: int, limits: GateLimits) -> Gate:
    """Net result of the holdout replayed with the stressed slippage."""
    name = f"net_at_{limits.stressed_slippage_bps}_bps_slippage"
    required = Requirement(Relation.ABOVE, limits.least_stressed_net)
    if net is None:
        return _undefined(name, required, "the stressed replay was not run", n_trades)
    reason = f"{limits.stressed_slippage_bps} bps slippage on {n_trades} trades"
    return Gate(name, float(net), required, required.holds(net), reason, n_trades)


def top_symbol_share(trades: pl.DataFrame, limits: GateLimits) -> Gate:
    """Part of the whole net result that came from the symbol that earned most."""
    name, required = "top_symbol_share", Requirement(Relation.BELOW, limits.largest_symbol_share)
    by_symbol = {
        str(symbol): sum(rows["net"].to_list(), Decimal(0)) for (symbol,), rows in trades.group_by("symbol")
    }  # fmt: skip
    total = sum(by_symbol.values(), Decimal(0))
    if total <= 0:
        return _undefined(
            name, required, f"the closed trades made {total:.2f} in all, no profit to share", trades.height
        )
    top = min(by_symbol, key=lambda symbol: (-by_symbol[symbol], symbol))
    share = float(by_symbol[top] / total)
    return Gate(name, share, required, required.holds(share), f"{top} earned most", trades.height)


def deflated_raw(returns: Floats, row: int, ever_run: int | None, limits: GateLimits) -> Gate:
    """Deflated Sharpe ratio of row `row` of [R, D], every trial counted."""
    return _deflated("deflated_sharpe_raw", returns[row], lambda: raw_trials(returns, ever_run), limits)


def deflated_clustered(returns: Floats, row: int, ever_run: int | None, limits: GateLimits) -> Gate:
    """Deflated Sharpe ratio of row `row` of [R, D], trials that move together counted once."""

    def trials() -> Trials:
        return clustered_trials(returns, ever_run, least_correlation=limits.least_correlation)

    return _deflated("deflated_sharpe_clustered", returns[row], trials, limits)


def _deflated(name: str, returns: Floats, count: Callable[[], Trials], limits: GateLimits) -> Gate:
    """Probability that a Sharpe ratio on the days it was chosen on is above the luck of the search."""
    required = Requirement(Relation.AT_LEAST, limits.least_deflated_probability)
    measured = moments(returns)
    if not isinstance(measured, Moments):
        return _undefined(name, required, measured.reason or "undefined", measured.sample_size)
    try:
        trials = count()
    except TrialsError as refused:
        return _undefined(name, required, str(refused), measured.n)
    result = deflated_sharpe(measured, trials.count, trials.sharpe_variance)
    if result.value is None:
        return _undefined(name, required, result.reason or "undefined", result.sample_size)
    reason = f"Sharpe {measured.sharpe:.3f} a day, best of {trials.count} trials, spread {trials.sharpe_variance:.4f}"
    return Gate(name, result.value, required, required.holds(result.value), reason, result.sample_size)


def backtest_overfitting(returns: Floats, limits: GateLimits) -> Gate:
    """Probability of backtest overfitting of the search."""
    name, required = "backtest_overfitting", Requirement(Relation.AT_MOST, limits.largest_overfitting_probability)
    result = overfitting(returns, splits=limits.overfitting_splits)
    if result.probability is None:
        return _undefined(name, required, result.reason or "undefined", result.days)
    reason = f"{result.rows} rows, {result.combinations} halvings of {result.days} days"
    return Gate(name, result.probability, required, required.holds(result.probability), reason, result.days)


def better_than_holding(net: Decimal, hold: BuyAndHold | None) -> Gate:
    """Net result less that of buying and holding with the candidate's exposure."""
    name, required = "better_than_holding", Requirement(Relation.ABOVE, 0)
    if hold is None:
        return _undefined(name, required, "buying and holding was not run")
    reason = f"{net:.2f} against {hold.net:.2f} from holding {hold.invested_bps} bps of the capital"
    return Gate(name, float(net - hold.net), required, required.holds(net - hold.net), reason, len(hold.day_equity))


def better_than_random(net: Decimal, random: RandomEntries | None, limits: GateLimits) -> Gate:
    """Share of random entries of equal exposure that did as well."""
    name = "better_than_random"
    required = Requirement(Relation.AT_MOST, round(1.0 - limits.random_quantile, 12))
    if random is None or not random.nets:
        return _undefined(name, required, "random entries were not run" if random is None else str(random.reason))
    share = share_not_below(random.nets, net)
    reason = f"{net:.2f} against a median of {random.nets[len(random.nets) // 2]:.2f}, {random.trades} trades each"
    return Gate(name, share, required, required.holds(share), reason, len(random.nets))


def finer_candles(trades: pl.DataFrame, net: Decimal, fine_net: Decimal | None, limits: GateLimits) -> Gate:
    """Part of the net result that is left when exits inside a bar are settled on finer candles.

    A bar does not tell whether its high or its low came first. Without an exit inside a bar there is nothing to ask.
    """
    name = "finer_candles"
    required = Requirement(Relation.AT_LEAST, limits.least_finer_share, "of the net result, above 0")
    inside = sum(is_inside_a_bar(reason) for reason in trades["reason"])
    if trades.is_empty():
        return _undefined(name, required, "0 closed trades")
    if inside == 0:
        return Gate(name, 1.0, required, passed=True, reason="no exit sits inside a bar", sample_size=0)
    if fine_net is None:
        return _undefined(name, required, f"{inside} exits sit inside a bar, and finer candles were not run", inside)
    if net <= 0:
        return _undefined(name, required, f"the candidate made {net:.2f}, no profit to keep", inside)
    share = float(fine_net / net)
    passed = required.holds(share) and fine_net > 0
    return Gate(name, share, required, passed, f"{fine_net:.2f} of {net:.2f}, {inside} exits inside a bar", inside)


def _undefined(name: str, required: Requirement, reason: str, sample_size: int = 0) -> Gate:
    return Gate(name, None, required, passed=False, reason=reason, sample_size=sample_size)


def _finite(name: str, value: float, required: Requirement, reason: str, sample_size: int) -> Gate:
    if not math.isfinite(value):
        return _undefined(name, required, "the result is not a finite number", sample_size)
    return Gate(name, value, required, required.holds(value), reason, sample_size)


def _too_few_days(returns: Floats, limits: GateLimits) -> str | None:
    n = len(returns)
    return f"{n} days are fewer than {limits.least_holdout_days}" if n < limits.least_holdout_days else None
