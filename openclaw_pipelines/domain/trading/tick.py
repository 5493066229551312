"""One tick of one strategy, phase by phase, from a recorded input to ledger rows.

`SETTLE -> BUILD_UNIVERSE -> ANALYZE_MARKET -> PLAN_TRADE -> PREVIEW_POLICIES -> ACT -> RECONCILE`. The numbers come
from the kernel's phases; this module says what each of them means as rows. Reading inputs and storing rows is in
`services.trading.runner`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.enums import Action, ProposalState, RejectCode
from openclaw_pipelines.domain.execution.port import Report
from openclaw_pipelines.domain.governance.approvals import approved_proposals, verdict_moves, waiting_of
from openclaw_pipelines.domain.governance.audit import AuditEntry, proposal_moved
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.trading.books import reconcile
from openclaw_pipelines.domain.trading.decisions import decision_row, rationale
from openclaw_pipelines.domain.trading.inputs import TickInput, chained_hash
from openclaw_pipelines.domain.trading.planned import Planned
from openclaw_pipelines.domain.trading.records import UNFILLED_STATUSES, Row, order_row, position_rows, proposal_row
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.domain.trading.settlement import Closing
from openclaw_pipelines.domain.trading.tick_rows import equity_row, input_row, stamped, tick_row
from openclaw_pipelines.kernel.account import govern
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.base.state_bytes import state_hash
from openclaw_pipelines.kernel.run import step
from openclaw_pipelines.kernel.run.planned import plan_of, propose_planned
from openclaw_pipelines.kernel.strategy.indicator_rows import indicator_values

HEURISTIC, OPERATOR = "heuristic", "operator"
"""Planners of a proposal: a strategy's own family, and a person who approved an earlier one"""


@dataclass
class TickResult:
    """Rows of one tick by table, without `recorded_at`."""

    at: datetime
    rows: dict[str, list[Row]]
    state_hash: str


@dataclass
class _Tick:
    """Working values of the tick being taken."""

    input: TickInput
    kernel: layout.Tick
    account_limits: layout.Records
    reports: tuple[Report, ...] | None = None
    phases: dict[str, dict[str, object]] = field(default_factory=dict)
    moves: list[AuditEntry] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, table: str, rows: Iterable[Row]) -> None:
        self.rows.setdefault(table, []).extend(rows)


def run_tick(session: Session, tick_input: TickInput, closing: Closing | None = None) -> TickResult:
    """Take one tick. Changes `session`; the result depends on nothing but `session` and `tick_input`.

    closing: the tick's bars over the session, where an executor has asked what they fill.
    """
    closing = closing or Closing(session, tick_input)
    tick = _Tick(tick_input, closing.tick, closing.account_limits)
    _settle(session, tick, closing)
    _build_universe(tick)
    _analyze_market(session, tick)
    proposals = _plan_trade(session, tick)
    _preview_policies(session, tick, proposals)
    _act(session, tick, proposals)
    _reconcile(session, tick)
    return _finish(session, tick)


def _settle(session: Session, tick: _Tick, closing: Closing) -> None:
    settled = closing.settled(tick.input)
    rows, tick.reports = settled.rows, settled.reports
    for table, own in rows.items():
        tick.add(table, own)
    session.books.book(rows["autopilot_fills"], rows["autopilot_funding_payments"])
    for fill in rows["autopilot_fills"]:
        if fill["leg"] in ("entry", "exit"):
            tick.moves += _executed(fill, tick.input.at)
    tick.phases["SETTLE"] = {
        "bars": sum(state != 0 for state in tick.kernel.symbols["bar_state"].tolist()),
        **settled.kinds,
    }


def _executed(fill: Row, at: datetime) -> list[AuditEntry]:
    key, state = fill["decision_key"], ProposalState
    if fill["status"] == "partial":
        return []
    if fill["status"] in UNFILLED_STATUSES:
        return [proposal_moved(key, state.APPROVED, state.EXECUTION_FAILED, at, reason=fill["reason_code"])]
    return [proposal_moved(key, state.APPROVED, state.EXECUTED, at, fill_key=fill["fill_key"])]


def _build_universe(tick: _Tick) -> None:
    tick.phases["BUILD_UNIVERSE"] = {"symbols": len(tick.input.universe), "snapshot": tick.input.universe_key}


def _analyze_market(session: Session, tick: _Tick) -> None:
    step.observe_bars(session.state, tick.kernel, session.context)
    missing = [
        symbol
        for symbol, state in zip(session.deployment.symbols, tick.kernel.symbols["bar_state"].tolist(), strict=True)
        if state == layout.BarState.MISSING
    ]
    masked = {symbol: RejectCode(code).name for symbol, code in tick.input.controls.items() if code}
    tick.phases["ANALYZE_MARKET"] = {"missing": missing, "masked": masked}


def _plan_trade(session: Session, tick: _Tick) -> layout.Records:
    buffer = layout.records(layout.PROPOSAL, layout.PROPOSALS_PER_SYMBOL * len(session.deployment.symbols))
    external = approved_proposals(session.deployment.symbols, tick.kernel.symbols, tick.input.external, buffer)
    if tick.input.planned is None:
        n = step.propose(session.state, tick.kernel, session.context, buffer, external)
    else:
        plan = plan_of(tick.input.planned.records(session.deployment.symbols, tick.input.closed).reshape(1, -1))
        n = propose_planned(session.state, tick.kernel, plan, 0, session.context, buffer, external)
    tick.moves += verdict_moves(tick.input.external, session.awaiting, tick.input.at)
    tick.phases["PLAN_TRADE"] = {"proposals": n, "from_outside": external}
    return buffer[:n].view(layout.Records)


def _preview_policies(session: Session, tick: _Tick, proposals: layout.Records) -> None:
    n = len(proposals)
    if n:
        govern.rank(proposals, n)
        govern.govern(session.state, tick.kernel, session.limits, tick.account_limits, session.context, proposals, n)
    codes = Counter(RejectCode(code).name for code in proposals["code"].tolist() if code)
    tick.phases["PREVIEW_POLICIES"] = {"approved": int((proposals.approved_qty > 0).sum()), **codes}


def _act(session: Session, tick: _Tick, proposals: layout.Records) -> None:
    """Record every verdict, then make the approved ones pending orders."""
    for proposal in _one_per_symbol(proposals):
        _record_verdict(session, tick, proposal)
    if len(proposals):
        govern.order(session.state, tick.kernel, session.limits, tick.account_limits, proposals, len(proposals))
    tick.phases["ACT"] = {
        "orders": sum(row["leg"] in ("entry", "exit") for row in tick.rows.get("autopilot_orders", [])),
        "mode": session.policy.mode.value,
        "shadow": session.policy.shadow,
    }


def _one_per_symbol(proposals: layout.Records) -> list[layout.Record]:
    """The proposals that are recorded, by rank: the approved one of each symbol, else its first.

    A second proposal on a symbol has the same key, and at most one of them is approved.
    """
    by_symbol: dict[int, layout.Record] = {}
    for proposal in sorted(layout.plain(proposals), key=lambda item: item.rank):
        known = by_symbol.get(proposal.symbol)
        if known is None or (proposal.approved_qty and not known.approved_qty):
            by_symbol[proposal.symbol] = proposal
    return sorted(by_symbol.values(), key=lambda item: item.rank)


def _record_verdict(session: Session, tick: _Tick, proposal: layout.Record) -> None:
    row = session.state.indicators[proposal.symbol]
    features = canonical_json(indicator_values(row, session.context.params[0]))
    planner, because = _planner(session, tick.input.planned, proposal)
    proposed = proposal_row(session.scale, proposal, tick.kernel.at, planner, because, features)
    state = _verdict(session.policy, proposal)
    data_hash = chained_hash(session.bars_hash, tick.input.bars_json())
    tick.add("autopilot_proposals", [{**proposed, "state": state.value}])
    tick.add("autopilot_decisions", [decision_row(session, tick.input, proposal, proposed, state, data_hash)])
    tick.moves += _verdict_moves(proposed["decision_key"], state, tick.input.at, RejectCode(int(proposal.code)))
    if state is ProposalState.APPROVED:
        tick.add("autopilot_orders", [order_row(session.scale, proposal, tick.kernel.at, int(proposal.approved_qty))])
    if state is ProposalState.AWAITING_APPROVAL:
        session.awaiting[proposed["decision_key"]] = waiting_of(proposed, proposal, tick.kernel.at)


def _planner(session: Session, planned: Planned | None, proposal: layout.Record) -> tuple[str, str]:
    """Who asked, and why in a sentence."""
    name = session.deployment.family if planned is None else planned.planner
    if proposal.external:
        return OPERATOR, rationale(name, proposal)
    if planned is None:
        return HEURISTIC, rationale(name, proposal)
    return name, rationale(name, proposal, planned.signals[session.deployment.symbols[proposal.symbol]].tag)


def _verdict(policy: Policy, proposal: layout.Record) -> ProposalState:
    if proposal.action == Action.HOLD:
        return ProposalState.HELD
    if not proposal.approved_qty:
        return ProposalState.PREVIEW_REJECTED
    if proposal.action == Action.EXIT or policy.executes == 2 or (policy.executes == 1 and proposal.external):
        return ProposalState.APPROVED
    return ProposalState.SHADOWED if policy.shadow else ProposalState.AWAITING_APPROVAL


def _verdict_moves(key: str, state: ProposalState, at: datetime, code: RejectCode) -> list[AuditEntry]:
    if state in (ProposalState.PREVIEW_REJECTED, ProposalState.HELD):
        return [proposal_moved(key, ProposalState.PROPOSED, state, at, code=code.name)]
    moves = [proposal_moved(key, ProposalState.PROPOSED, ProposalState.APPROVED, at)]
    if state is not ProposalState.APPROVED:
        moves.append(proposal_moved(key, ProposalState.APPROVED, state, at))
    return moves


def _reconcile(session: Session, tick: _Tick) -> None:
    """Compare the kernel's account with the recorded rows; keep every mismatch and the first pass of each day."""
    results = reconcile(session.books, session.deployment, session.state)
    failed = [result for result in results if not result["passed"]]
    session.uncertain = bool(failed)
    day = tick.input.at.strftime("%Y-%m-%d")
    if day != session.reconciled_day:
        session.reconciled_day = day
        failed = results
    tick.add("reconcile_events", failed)
    if not session.uncertain:
        tick.moves += [
            proposal_moved(entry.subject, ProposalState.EXECUTED, ProposalState.RECONCILED, tick.input.at)
            for entry in tick.moves
            if entry.to_state == ProposalState.EXECUTED.value
        ]
    tick.phases["RECONCILE"] = {"checks": len(results), "mismatches": sum(not result["passed"] for result in results)}


def _finish(session: Session, tick: _Tick) -> TickResult:
    session.bars_hash = chained_hash(session.bars_hash, tick.input.bars_json())
    after = state_hash(session.state)
    tick.add("autopilot_positions", position_rows(session.scale, session.state))
    tick.add("autopilot_equity", [equity_row(session)])
    tick.add("admin_actions", session.chain.append(tick.moves))
    tick.add("tick_inputs", [input_row(session, tick.input, tick.reports)])
    tick.add("autopilot_ticks", [tick_row(session, tick.input, tick.phases, after)])
    return TickResult(tick.input.at, stamped(session, tick.input.at, tick.rows), after)
