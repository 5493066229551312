"""Decision, outcome and execution quality of one strategy and day."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, localcontext
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.trading import DecisionStatus
from openclaw_pipelines.domain.evaluation import statistics as stats
from openclaw_pipelines.domain.evaluation.metrics.definitions import DATA_CODES, POLICY_CODES
from openclaw_pipelines.domain.evaluation.metrics.inputs import Inputs, Measure
from openclaw_pipelines.domain.evaluation.statistics import Statistic

ACCEPTED = (DecisionStatus.APPROVED, DecisionStatus.SHADOWED, DecisionStatus.AWAITING_APPROVAL)
JUDGED = (*ACCEPTED, DecisionStatus.REJECTED, DecisionStatus.ABSTAIN)
BPS = 10_000


def decision_quality(inputs: Inputs) -> Iterator[Measure]:
    """What the governor decided and why."""
    statuses, codes = _verdicts(inputs.decisions)
    judged = len(statuses)
    rejected = [
        RejectCode[code] for status, code in zip(statuses, codes, strict=True) if status == DecisionStatus.REJECTED
    ]
    yield Measure("day", "decisions", _count(judged))
    yield Measure("day", "acceptance_rate", _share(sum(status in ACCEPTED for status in statuses), judged))
    yield Measure("day", "policy_reject_ratio", _share(sum(code in POLICY_CODES for code in rejected), judged))
    skipped = sum(code in DATA_CODES for code in rejected) + statuses.count(DecisionStatus.ABSTAIN)
    yield Measure("day", "data_skip_ratio", _share(skipped, judged))
    yield Measure("day", "rejects", Statistic(float(len(rejected)), judged))
    for code in sorted(set(rejected)):
        yield Measure("day", f"rejects.{code.name}", Statistic(float(rejected.count(code)), judged))


def _verdicts(decisions: pl.DataFrame) -> tuple[list[str], list[str]]:
    if decisions.is_empty():
        return [], []
    judged = decisions.filter(pl.col("status").is_in(JUDGED))
    return judged["status"].to_list(), judged["reason_code"].to_list()


def outcome_quality(inputs: Inputs) -> Iterator[Measure]:
    """What the price did after the day's decisions, by horizon, and by symbol at the longest."""
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
    yield Measure(
        scope,
        "refused_average_return",
        _mean_return(scored.filter(pl.col("decision_status") == DecisionStatus.REJECTED)),
    )
    missing = outcomes.filter(pl.col("return_signed").is_null()).height
    yield Measure(scope, "outcome_missing", Statistic(float(missing), outcomes.height))


def _mean_return(outcomes: pl.DataFrame) -> Statistic:
    values: list[float] = outcomes["return_signed"].to_list()
    return stats.mean(values) if values else Statistic(None, 0, "no scored outcomes")


def _expectancy(results: Sequence[Decimal], none: str) -> Statistic:
    return stats.expectancy(results) if results else Statistic(None, 0, none)


def execution_quality(inputs: Inputs) -> Iterator[Measure]:
    """What fills cost against what was meant, and whether the books agree."""
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


def _funding_received(inputs: Inputs) -> Statistic:
    if inputs.equity.is_empty():
        return Statistic(None, 0, "no ticks")
    before = inputs.equity_to_date.filter(pl.col("tick_at") <= inputs.start)["funding"]
    start = before[-1] if before.len() else Decimal(0)
    return Statistic(float(inputs.equity["funding"][-1] - start), inputs.equity.height)


def _count(n: int) -> Statistic:
    return Statistic(float(n), n)


def _share(part: int, whole: int, none: str = "no decisions were judged") -> Statistic:
    return Statistic(part / whole, whole) if whole else Statistic(None, 0, none)


def _sum(values: Iterable[Decimal], none: str) -> Statistic:
    kept = list(values)
    return Statistic(float(sum(kept, Decimal(0))), len(kept)) if kept else Statistic(None, 0, none)


def _or_reason(statistic: Statistic, none: str) -> Statistic:
    return statistic if statistic.sample_size else Statistic(None, 0, none)
