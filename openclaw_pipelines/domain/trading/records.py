"""From kernel events, proposals and state to ledger rows: integers become Decimals, columns become symbols, ticks keys.

Rows carry the business columns only; `cycle` adds those that every row of a tick shares.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from openclaw_pipelines.contracts import keys
from openclaw_pipelines.contracts.enums import Action, ExitReason, Leg, RejectCode, Side
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.kernel.base import layout, money
from openclaw_pipelines.kernel.base.layout import EventKind

Row = dict[str, Any]
UNFILLED_STATUSES = frozenset({"expired", "insufficient", "cancelled", "rejected"})
"""Of fills: the order ended with nothing filled"""
PROTECTIVE = {Leg.STOP, Leg.TARGET, Leg.LIQUIDATION}
UNFILLED = {
    EventKind.ENTRY_EXPIRED: ("expired", RejectCode.NO_PRICE, "no bar with volume, so the entry expired"),
    EventKind.INSUFFICIENT: ("insufficient", RejectCode.INSUFFICIENT_AT_FILL, "cash did not cover the least order"),
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Converts one deployment's integers to Decimals and its ticks to keys."""

    deployment: Deployment

    @cached_property
    def lots(self) -> list[Decimal]:
        """Kernel lot per column, in base currency."""
        return self.deployment.lots

    def symbol(self, column: int) -> str:
        """Symbol of a column."""
        return self.deployment.instruments[column].symbol

    def price(self, column: int, units: int) -> Decimal:
        """Price in quote currency."""
        return int(units) * self.deployment.instruments[column].price_unit

    def price_or_none(self, column: int, units: int) -> Decimal | None:
        """Price in quote currency; 0 units mean there is none."""
        return self.price(column, units) if units else None

    def qty(self, column: int, lots: int) -> Decimal:
        """Quantity in base currency."""
        return int(lots) * self.lots[column]

    def key(self, column: int, tick_seconds: int) -> str:
        """Decision key of a column at a tick."""
        deployment = self.deployment
        tick_at = datetime.fromtimestamp(int(tick_seconds), UTC)
        return keys.decision_key(deployment.account_id, deployment.strategy_config_id, self.symbol(column), tick_at)


def event_rows(scale: Scale, events: layout.Records) -> dict[str, list[Row]]:
    """Rows of protective orders, fills and funding payments out of the events of one settled bar."""
    rows: dict[str, list[Row]] = {"autopilot_orders": [], "autopilot_fills": [], "autopilot_funding_payments": []}
    happened = layout.plain(events)
    reduced = {event.symbol for event in happened if event.kind == EventKind.REDUCED}
    for event in happened:
        if event.kind == EventKind.FUNDING:
            rows["autopilot_funding_payments"].append(funding_row(scale, event))
        elif event.kind == EventKind.FILL:
            if event.leg in PROTECTIVE:
                rows["autopilot_orders"].append(protective_order(scale, event))
            partly = event.leg == Leg.ENTRY and event.symbol in reduced
            rows["autopilot_fills"].append(fill_row(scale, event, "reduced" if partly else "filled"))
        elif event.kind in UNFILLED:
            rows["autopilot_fills"].append(_unfilled_row(scale, event))
    return rows


def owner_of(scale: Scale, event: layout.Record) -> str:
    """Decision key of the order: protective legs carry that of the entry they protect."""
    at = event.entry_decided_at if event.leg in PROTECTIVE else event.decided_at
    return scale.key(event.symbol, at)


def fill_row(scale: Scale, event: layout.Record, status: str) -> Row:
    """The row of a FILL event; `status` says how the order ended, or `partial`."""
    column, leg = int(event.symbol), Leg(int(event.leg))
    decision = owner_of(scale, event)
    order = keys.order_key(decision, leg)
    price, intended = scale.price(column, event.price), scale.price(column, event.intended_price)
    return {
        "fill_key": keys.fill_key(order, 1),
        "order_key": order,
        "decision_key": decision,
        "symbol": scale.symbol(column),
        "leg": leg.name.lower(),
        "side": Side(int(event.side)).name.lower(),
        "status": status,
        "reason_code": RejectCode.NONE.name,
        "reason": _fill_reason(leg, event, status),
        "bar_at": datetime.fromtimestamp(int(event.at), UTC),
        "qty": scale.qty(column, event.qty),
        "price": price,
        "intended_price": intended,
        "fee": money.from_atoms(event.fee),
        "slippage_bps": _slippage_bps(price, intended, int(event.side)),
        "cash_change": money.from_atoms(event.cash_change),
        "realized_pnl": money.from_atoms(event.realized),
    }


def _fill_reason(leg: Leg, event: layout.Record, status: str) -> str:
    if leg is Leg.ENTRY:
        return "entry reduced to what the cash affords" if status == "reduced" else "entry"
    return ExitReason(int(event.reason)).name.lower()


def _unfilled_row(scale: Scale, event: layout.Record) -> Row:
    status, code, reason = UNFILLED[EventKind(int(event.kind))]
    row = fill_row(scale, event, status)
    zero = Decimal(0)
    nothing = {"qty": zero, "price": zero, "fee": zero, "slippage_bps": None, "cash_change": zero, "realized_pnl": zero}
    return {**row, **nothing, "reason_code": code.name, "reason": reason}


def _slippage_bps(price: Decimal, intended: Decimal, side: int) -> float | None:
    return float((price - intended) / intended * 10_000 * side) if intended and price else None


def protective_order(scale: Scale, event: layout.Record) -> Row:
    """The order behind the fill of a protective leg."""
    return _order_row(scale, event, owner_of(scale, event), int(event.qty), int(event.intended_price))


def _order_row(
    scale: Scale, record: layout.Record, decision: str, lots: int, price_units: int, leg: Leg | None = None
) -> Row:
    column, leg = int(record.symbol), leg or Leg(int(record.leg))
    return {
        "order_key": keys.order_key(decision, leg),
        "decision_key": decision,
        "symbol": scale.symbol(column),
        "leg": leg.name.lower(),
        "side": Side(int(record.side)).name.lower(),
        "qty": scale.qty(column, lots),
        "intended_price": scale.price(column, price_units),
        "reason": ExitReason(int(record.reason)).name.lower(),
    }


def funding_row(scale: Scale, event: layout.Record) -> Row:
    """The row of a FUNDING event."""
    column = int(event.symbol)
    return {
        "symbol": scale.symbol(column),
        "bar_at": datetime.fromtimestamp(int(event.at), UTC),
        "entry_decision_key": scale.key(column, event.entry_decided_at),
        "qty": scale.qty(column, event.qty) * int(event.side),
        "price": scale.price(column, event.price),
        "amount": money.from_atoms(event.cash_change),
    }


def order_row(scale: Scale, proposal: layout.Record, tick_seconds: int, qty_lots: int) -> Row:
    """The order that carries out an approved proposal."""
    leg = Leg.ENTRY if proposal.action == Action.ENTER else Leg.EXIT
    decision = scale.key(proposal.symbol, tick_seconds)
    return _order_row(scale, proposal, decision, qty_lots, int(proposal.price), leg)


def proposal_row(
    scale: Scale, proposal: layout.Record, tick_seconds: int, planner: str, rationale: str, features: str
) -> Row:
    """What the planner asked for; the state is added by the cycle."""
    column = int(proposal.symbol)
    return {
        "decision_key": scale.key(column, tick_seconds),
        "symbol": scale.symbol(column),
        "planner": planner,
        "action": Action(int(proposal.action)).name.lower(),
        "side": Side(int(proposal.side)).name.lower(),
        "proposed_qty": scale.qty(column, proposal.qty),
        "intended_price": scale.price(column, proposal.price),
        "stop_distance": scale.price_or_none(column, proposal.stop_distance),
        "target_distance": scale.price_or_none(column, proposal.target_distance),
        "trail_distance": scale.price_or_none(column, proposal.trail_distance),
        "confidence": float(proposal.confidence),
        "rank": int(proposal.rank),
        "rationale": rationale,
        "features": features,
    }


def position_rows(scale: Scale, state: layout.State) -> list[Row]:
    """Open positions after a tick."""
    return [_position_row(scale, column, p) for column, p in enumerate(layout.plain(state.positions)) if p.qty != 0]


def _position_row(scale: Scale, column: int, position: layout.Record) -> Row:
    price: Callable[[int], Decimal | None] = lambda units: scale.price_or_none(column, int(units))  # noqa: E731
    mult = scale.lots[column] * scale.deployment.instruments[column].price_unit
    moved = int(position.last_price) - int(position.entry_price)
    return {
        "symbol": scale.symbol(column),
        "side": (Side.BUY if position.qty > 0 else Side.SELL).name.lower(),
        "qty": scale.qty(column, abs(int(position.qty))),
        "entry_price": scale.price(column, position.entry_price),
        "mark_price": scale.price(column, position.last_price),
        "stale": bool(position.stale),
        "unrealized_pnl": int(position.qty) * moved * mult,
        "margin": money.from_atoms(position.margin),
        "stop_price": price(position.stop),
        "trailing_stop_price": price(position.trail_stop),
        "target_price": price(position.target),
        "liquidation_price": price(position.liquidation),
        "entry_decision_key": scale.key(column, position.decided_at),
        "bars_held": int(position.bars_held),
    }
