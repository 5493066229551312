"""Metrics of one strategy and day: decision, outcome and execution quality, risk and return.

Definitions are in `definitions`, the groups in `decision_quality` and `returns`, formulas in
`domain.evaluation.statistics`. Money is divided there, in Python, never in SQL.
"""

from typing import Any

import polars as pl

from openclaw_pipelines.contracts.schema import PolarsSchema
from openclaw_pipelines.contracts.tables.evaluation import Metrics
from openclaw_pipelines.domain.evaluation.metrics.decision_quality import (
    decision_quality,
    execution_quality,
    outcome_quality,
)
from openclaw_pipelines.domain.evaluation.metrics.definitions import METRICS
from openclaw_pipelines.domain.evaluation.metrics.inputs import Measure, inputs_of, own_rows
from openclaw_pipelines.domain.evaluation.metrics.returns import day_return, risk, to_date

METRIC_SCHEMA: PolarsSchema = {
    name: column.dtype.type
    for name, column in Metrics.to_schema().columns.items()
    if name not in ("recorded_at", "run_fingerprint")
}


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
    """Metrics of `day`, in the columns of `autopilot_metrics` without `recorded_at` and `run_fingerprint`.

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
    inputs = inputs_of(
        day,
        {
            "decisions": own_rows(decisions, account, strategy),
            "outcomes": own_rows(outcomes, account, strategy),
            "fills": own_rows(fills, account, strategy),
            "equity": own_rows(equity, account, strategy),
            "positions": own_rows(positions, account, strategy),
            "reconcile_events": own_rows(reconcile_events, account, strategy),
        },
        benchmark,
        funding,
        max_leverage_bps,
    )
    groups = (decision_quality, outcome_quality, execution_quality, risk, day_return, to_date)
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
