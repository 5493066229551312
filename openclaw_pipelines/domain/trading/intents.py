"""Orders that are out, as an executor takes them."""

from datetime import UTC, datetime
from decimal import Decimal

from openclaw_pipelines.contracts import keys
from openclaw_pipelines.contracts.enums import Action, Leg, Side
from openclaw_pipelines.domain.execution.port import Intent
from openclaw_pipelines.domain.trading.records import Scale
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.kernel.base import layout


def pending_intents(session: Session) -> list[Intent]:
    """The session's orders that have not ended, exits first, then entries in their rank."""
    pending = [
        (int(position.pending_rank), column, position)
        for column, position in enumerate(layout.plain(session.state.positions))
        if position.pending_action
    ]
    pending.sort(key=lambda item: (item[2].pending_action != Action.EXIT, *item[:2]))
    return [_intent(session.scale, column, position) for _, column, position in pending]


def _intent(scale: Scale, column: int, position: layout.Record) -> Intent:
    leg = Leg.EXIT if position.pending_action == Action.EXIT else Leg.ENTRY
    return Intent(
        order_key=keys.order_key(scale.key(column, position.pending_decided_at), leg),
        symbol=scale.symbol(column),
        leg=leg,
        side=Side(int(position.pending_side)),
        qty=scale.qty(column, position.pending_qty),
        price=scale.price(column, position.pending_price),
        stop_distance=scale.price_or_none(column, position.pending_stop),
        target_distance=scale.price_or_none(column, position.pending_target),
        trail_distance=scale.price_or_none(column, position.pending_trail),
        leverage=Decimal(int(position.pending_leverage_bps)) / 10_000,
        decided_at=datetime.fromtimestamp(int(position.pending_decided_at), UTC),
    )
