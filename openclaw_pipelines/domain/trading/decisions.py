"""The governor's verdict as a row a person can read: code, numbers with units, limits and their layers."""

from decimal import Decimal

from openclaw_pipelines.contracts.enums import Action, ExitReason, ProposalState, RejectCode, Side
from openclaw_pipelines.contracts.trading import DecisionStatus
from openclaw_pipelines.domain.governance.controls import base_limits, effective_limits
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.governance.verdicts import CODES, Unit, sentence
from openclaw_pipelines.domain.market.instruments import Instrument
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.kernel.base import layout, money

STATUS = {
    ProposalState.APPROVED: DecisionStatus.APPROVED,
    ProposalState.PREVIEW_REJECTED: DecisionStatus.REJECTED,
    ProposalState.HELD: DecisionStatus.HELD,
    ProposalState.SHADOWED: DecisionStatus.SHADOWED,
    ProposalState.AWAITING_APPROVAL: DecisionStatus.AWAITING_APPROVAL,
}
SAID = {
    ProposalState.APPROVED: "every check passed",
    ProposalState.HELD: "the position is already held in this direction",
    ProposalState.SHADOWED: "every check passed; the strategy is in shadow and sends nothing",
    ProposalState.AWAITING_APPROVAL: "every check passed; an operator must approve it",
}


def rationale(planner: str, proposal: layout.Record, tag: int = 0) -> str:
    """Why a planner, or a family, asked, in a sentence. tag: the planner's own number for what it saw, 0 none."""
    side = "long" if proposal.side == Side.BUY else "short"
    seen = f", tag {tag}" if tag else ""
    if proposal.external:
        return f"an operator approved the earlier {planner} proposal to go {side}"
    if proposal.action == Action.EXIT:
        reason = ExitReason(int(proposal.reason)).name.lower().replace("_", " ")
        return f"{planner}: leave the position by {reason}{seen}"
    if proposal.action == Action.HOLD:
        return f"{planner}: a fresh {side} signal while already {side}{seen}"
    return f"{planner}: fresh {side} signal, confidence {float(proposal.confidence):.2f}{seen}"


def decision_row(
    session: Session,
    tick_input: TickInput,
    proposal: layout.Record,
    proposed: dict[str, object],
    state: ProposalState,
    data_hash: str,
) -> dict[str, object]:
    """Row of `autopilot_decisions` without the columns that every row of a tick shares."""
    policy, column = session.policy, int(proposal.symbol)
    instrument, code = session.deployment.instruments[column], RejectCode(int(proposal.code))
    measured, limit = numbers(session, proposal, code)
    source = limit_source(policy, instrument, code)
    refused = state is ProposalState.PREVIEW_REJECTED
    said = sentence(code, instrument.symbol, measured, limit, instrument.quote, source) if refused else SAID[state]
    shared = ("decision_key", "symbol", "action", "side", "proposed_qty", "intended_price", "confidence")
    return {
        **{name: proposed[name] for name in (*shared, "planner", "features", "rationale")},
        "status": STATUS[state],
        "reason_code": code.name if refused else RejectCode.NONE.name,
        "reason": said,
        "approved_qty": session.scale.qty(column, proposal.approved_qty),
        "measured": measured if refused else None,
        "limit_value": limit if refused else None,
        "policy_source": policy.source(instrument.symbol).value,
        "policy_version_id": session.policy_version_id,
        "base_limits": base_limits(policy, instrument.symbol),
        "effective_limits": effective_limits(policy, instrument),
        "data_hash": data_hash,
        "model_calls": "[]",
        "universe_key": tick_input.universe_key,
    }


def limit_source(policy: Policy, instrument: Instrument, code: RejectCode) -> str | None:
    """Where the limit that a code speaks of came from; None where no limit decides it."""
    resolved = policy.symbol_risk.get(instrument.symbol)
    if code is RejectCode.MIN_ORDER_NOTIONAL and resolved and instrument.min_notional > resolved.min_order_notional:
        return "the exchange"
    layer = policy.sources.get(instrument.symbol, {}).get(CODES[code].setting)
    return None if layer is None else layer.text


def numbers(session: Session, proposal: layout.Record, code: RejectCode) -> tuple[Decimal | None, Decimal | None]:
    """What the failing check measured and allows, in the unit of its code."""
    unit, column = CODES[code].unit, int(proposal.symbol)
    if unit is Unit.NONE:
        return None, None
    if unit is Unit.QTY:
        return session.scale.qty(column, proposal.measured), session.scale.qty(column, proposal.limit)
    if unit is Unit.QUOTE:
        return money.from_atoms(proposal.measured), money.from_atoms(proposal.limit)
    return Decimal(int(proposal.measured)), Decimal(int(proposal.limit))
