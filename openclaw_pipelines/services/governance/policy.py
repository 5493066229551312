"""The policy of a strategy as configured now."""

from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.settings import StrategySettings


def policy_of(strategy: StrategySettings) -> Policy:
    """Limits, costs and controls as configured now."""
    own = strategy.own
    return Policy(
        risk=strategy.account_limits,
        symbol_risk=dict(strategy.symbol_limits),
        sources={symbol: dict(layers) for symbol, layers in strategy.limit_layers.items()},
        costs=strategy.costs,
        mode=own.mode,
        shadow=own.shadow,
        paused=own.paused,
        canary_bps=own.canary_bps,
        approval_ticks=own.approval_ticks,
    )
