"""Every metric by name: what it means, in which unit, in which group. The documentation's table is made from this.

How the values are computed is in `domain.evaluation.metrics.compute`.
"""

from dataclasses import dataclass

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.domain.governance.verdicts import CODES

GROUPS = ("decision", "outcome", "execution", "risk", "return")
UNITS = ("ratio", "quote", "bps", "count", "seconds")

# the data, or doubt, did not allow a judgement; every other code says that a limit or a control forbade the order
DATA_CODES = frozenset(code for code, spec in CODES.items() if spec.kind == "data") | {
    RejectCode.POLICY_UNRESOLVED,
    RejectCode.STATE_UNCERTAIN,
}
POLICY_CODES = frozenset(RejectCode) - DATA_CODES - {RejectCode.NONE}


@dataclass(frozen=True)
class MetricDefinition:
    """What a metric is. `name` is stable; rename only with a migration."""

    name: str
    group: str
    unit: str
    definition: str


_JUDGED = "judged decisions (approved, shadowed, awaiting approval, rejected or abstained; HOLD is left out)"
_SCORED = "scored entries and exits, accepted and refused alike"
_ROWS = (
    ("decisions", "decision", "count", f"Number of {_JUDGED}."),
    (
        "acceptance_rate",
        "decision",
        "ratio",
        f"Approved, shadowed and awaiting approval, as a share of {_JUDGED}.",
    ),
    (
        "policy_reject_ratio",
        "decision",
        "ratio",
        f"Rejected because a limit or a control forbade it, as a share of {_JUDGED}.",
    ),
    (
        "data_skip_ratio",
        "decision",
        "ratio",
        "Rejected or abstained because data or state did not allow a judgement "
        f"({', '.join(code.name for code in sorted(DATA_CODES))}), as a share of {_JUDGED}.",
    ),
    ("rejects", "decision", "count", "Number of rejected decisions."),
    *(
        (f"rejects.{code.name}", "decision", "count", f"Rejected decisions whose first failing check was {code.name}.")
        for code in RejectCode
        if code is not RejectCode.NONE
    ),
    ("outcome_win_rate", "outcome", "ratio", f"Share of {_SCORED} whose signed return is above zero; draws count."),
    ("outcome_average_return", "outcome", "ratio", f"Mean signed return of {_SCORED}, before costs."),
    (
        "outcome_expectancy",
        "outcome",
        "quote",
        f"Win rate times average win less loss rate times average loss of the estimated PnL of {_SCORED}.",
    ),
    ("outcome_total_pnl", "outcome", "quote", f"Sum of the estimated PnL of {_SCORED}, before costs."),
    (
        "accepted_average_return",
        "outcome",
        "ratio",
        "Mean signed return of decisions approved, shadowed or awaiting approval.",
    ),
    (
        "refused_average_return",
        "outcome",
        "ratio",
        "Mean signed return of rejected decisions: above zero, the refusals cost money.",
    ),
    ("outcome_missing", "outcome", "count", "Outcomes without a value because their bar or price is missing."),
    ("fills", "execution", "count", "Orders filled in full or in part."),
    ("unfilled_ratio", "execution", "ratio", "Orders that expired or found too little cash, as a share of all orders."),
    (
        "slippage_bps_mean",
        "execution",
        "bps",
        "Mean of fill against intended price per fill, signed so that positive costs money.",
    ),
    (
        "slippage_bps_p95",
        "execution",
        "bps",
        "95th percentile of slippage per fill, interpolated linearly; positive costs money.",
    ),
    ("fees_paid", "execution", "quote", "Sum of the fees of the day's fills."),
    ("fee_bps_of_notional", "execution", "bps", "Fees over filled notional (quantity times fill price)."),
    ("funding_received", "execution", "quote", "Funding of the day, negative when paid."),
    (
        "reconcile_mismatch_frequency",
        "execution",
        "ratio",
        "Ticks with at least one failed accounting check, as a share of the day's ticks.",
    ),
    (
        "max_drawdown",
        "risk",
        "ratio",
        "Deepest fall of equity from an earlier peak, as a share of it, starting balance included. "
        "Day: tick by tick from 00:00Z. To date: daily UTC equity since inception.",
    ),
    ("leverage_max", "risk", "ratio", "Highest gross exposure over equity of the day's ticks."),
    ("leverage_utilisation_max", "risk", "ratio", "Highest leverage of the day's ticks as a share of max_leverage."),
    (
        "exposure_share",
        "risk",
        "ratio",
        "Exposure of the symbol summed over the day's ticks, as a share of that of all symbols.",
    ),
    ("pnl", "return", "quote", "Equity at the end less equity at the start, fees and funding in."),
    ("return", "return", "ratio", "Equity at the end over equity at the start, less 1, fees and funding in."),
    (
        "buy_and_hold_return",
        "return",
        "ratio",
        "Mean over the configured symbols of last close over first close, less 1: equal weights, bought at the start "
        "and held, without costs. The sample is the number of symbols with both closes.",
    ),
    ("excess_return", "return", "ratio", "Return less buy-and-hold return."),
    ("sharpe", "return", "ratio", "Mean over standard deviation (ddof=1) of daily UTC returns, times sqrt(365)."),
    (
        "sortino",
        "return",
        "ratio",
        "Mean of daily UTC returns over sqrt(mean(min(return, 0)^2)) over all days, times sqrt(365).",
    ),
    ("cagr", "return", "ratio", "Growth per 365 days that leads from the first to the last daily balance."),
    ("calmar", "return", "ratio", "CAGR over the absolute maximum drawdown of daily equity."),
    ("trades", "return", "count", "Closed round trips."),
    ("profit_factor", "return", "ratio", "Sum of winning over absolute sum of losing closed trades, after costs."),
    ("win_rate", "return", "ratio", "Share of closed trades that earned money after costs; draws count."),
    (
        "expectancy",
        "return",
        "quote",
        "Win rate times average win less loss rate times average loss of closed trades after costs; draws count.",
    ),
    ("average_holding_seconds", "return", "seconds", "Mean time from a trade's entry bar to its exit bar."),
)

METRICS: dict[str, MetricDefinition] = {row[0]: MetricDefinition(*row) for row in _ROWS}
