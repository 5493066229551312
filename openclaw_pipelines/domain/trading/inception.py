"""The first row of a deployment: flat, with its capital, on indicators that were warmed on the bars before it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.enums import TickStatus
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.inputs import NO_BAR, TickInput, chained_hash
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.domain.trading.tick import TickResult
from openclaw_pipelines.domain.trading.tick_rows import equity_row, input_row, stamped, tick_row
from openclaw_pipelines.kernel.base import layout, money
from openclaw_pipelines.kernel.base.state_bytes import state_hash
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators, observe

WarmUp = Mapping[datetime, Mapping[str, tuple[Any, ...]]]
"""Bars before inception by close time and symbol, as in a tick's input."""


def inception(session: Session, warm_up: WarmUp) -> TickResult:
    """Rows of the inception: the capital, and the bars on which the indicators were warmed. Changes `session`."""
    bars = canonical_json({at.isoformat(): own for at, own in warm_up.items()})
    session.bars_hash = chained_hash(session.bars_hash, bars)
    deployment = session.deployment
    recorded = TickInput(deployment.inception, {}, {}, (), None, sources=deployment.sources)
    after = state_hash(session.state)
    tick = tick_row(session, recorded, {"WARM_UP": {"bars": len(warm_up)}}, after)
    rows = {
        "autopilot_ticks": [{**tick, "status": TickStatus.INCEPTION.value}],
        "tick_inputs": [{**input_row(session, recorded), "bars": bars}],
        "autopilot_equity": [equity_row(session)],
    }
    return TickResult(recorded.at, stamped(session, recorded.at, rows), after)


def opening_state(deployment: Deployment, policy: Policy, warm_up: WarmUp) -> layout.State:
    """Flat state at inception, its indicators folded over the warm-up bars in order."""
    params = deployment.context(policy).params[0]
    indicators = new_indicators(len(deployment.symbols), params)
    for _, bars in sorted(warm_up.items()):
        for column, symbol in enumerate(deployment.symbols):
            opened, high, low, close, bar_state, _, volume = bars.get(symbol, NO_BAR)[:7]
            if bar_state != layout.BarState.MISSING:
                observe(indicators[column], params, float(opened), float(high), float(low), float(close), volume)
    return layout.new_state(indicators, money.to_atoms(deployment.capital), int(deployment.inception.timestamp()))
