"""Tables of the `ledger` database that score what was decided."""

import pandera.polars as pa

from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables.rows import Money, StrategyRow, Time


class Outcomes(StrategyRow):
    """A decision, accepted or refused, scored at one horizon. Written once, when matured."""

    outcome_key: str = pa.Field(description="decision key and horizon")
    decision_key: str = pa.Field(description="decision that is scored")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    decided_at: Time = pa.Field(description="tick of the decision")
    decision_status: str = pa.Field(description="status of the decision")
    horizon_seconds: int = pa.Field(gt=0, description="horizon")
    matured_at: Time = pa.Field(description="decided_at + horizon")
    interval_used: str = pa.Field(nullable=True, description="finest stored interval that had the close")
    intended_price: Money = pa.Field(ge=0, description="close at the decision")
    horizon_price: float = pa.Field(nullable=True, description="close at the horizon")
    return_signed: float = pa.Field(nullable=True, description="return in the direction of the decision")
    pnl_quote_est: Money = pa.Field(nullable=True, description="return times proposed notional, before costs")
    win: bool = pa.Field(nullable=True, description="positive signed return; empty for HOLD")
    buy_and_hold_return: float = pa.Field(nullable=True, description="unsigned return over the same horizon")
    reason: str = pa.Field(nullable=True, description="why a value is empty")


class Metrics(StrategyRow):
    """One value of one metric for one strategy and day. Undefined is empty with a reason."""

    metric_key: str = pa.Field(description="metric:{account}:{strategy}:{day}:{scope}:{name}")
    day: str = pa.Field(description="partition, YYYY-MM-DD")
    scope: str = pa.Field(description="day, to_date, symbol:NAME or horizon:SECONDS")
    name: str = pa.Field(description="name of the metric")
    group_name: str = pa.Field(
        isin=["decision", "outcome", "execution", "risk", "return"], description="quality it measures"
    )
    definition: str = pa.Field(description="how it is computed")
    value: float = pa.Field(nullable=True, description="value; empty when undefined")
    unit: str = pa.Field(description="ratio, quote, bps, count or seconds")
    sample_size: int = pa.Field(ge=0, description="observations it rests on")
    below_minimum_sample: bool = pa.Field(description="marked, not hidden, below the minimum sample")
    reason: str = pa.Field(nullable=True, description="why it is undefined")


TABLES = (
    Table("autopilot_outcomes", "ledger", Outcomes, key=("outcome_key",), since="decided_at"),
    Table("autopilot_metrics", "ledger", Metrics, key=("metric_key",)),
)
