"""Rows that every tick writes whatever it decided: its marker, its input and the sub-account after it."""

from datetime import datetime

from openclaw_pipelines import __version__
from openclaw_pipelines.contracts.canonical import canonical_json, sha256_of
from openclaw_pipelines.contracts.enums import TickStatus
from openclaw_pipelines.contracts.program import program_version
from openclaw_pipelines.domain.execution.port import Report, reports_json
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.records import Row
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.kernel.account import valuation
from openclaw_pipelines.kernel.base import layout, money

KILL_SWITCH_NAMES = {0: "off", 1: "close_only", 2: "halt_all"}


def tick_row(session: Session, tick_input: TickInput, phases: dict[str, dict[str, object]], state_hash: str) -> Row:
    """The marker that makes a tick recorded."""
    status = TickStatus.SETTLED_ONLY if tick_input.settle_only else TickStatus.DONE
    return {
        "status": status.value,
        "reason": tick_input.settle_only,
        "mode": session.policy.mode.value,
        "shadow": session.policy.shadow,
        "kill_switch": KILL_SWITCH_NAMES[int(tick_input.halt)],
        "phases": canonical_json(phases),
        "state_hash": state_hash,
        "program_version": program_version(),
    }


def input_row(session: Session, tick_input: TickInput, reports: tuple[Report, ...] | None = None) -> Row:
    """What the tick depended on. reports: as settled, which for an executor inside the kernel is worked out anew."""
    return {
        "config_fingerprint": session.config_fingerprint,
        "context_hash": session.context_hash,
        "bars": tick_input.bars_json(),
        "masks": tick_input.masks_json(),
        "external": tick_input.external_json(),
        "bars_hash": session.bars_hash,
        "universe_key": tick_input.universe_key,
        "executor": tick_input.executor,
        "reports": None if reports is None else reports_json(reports),
        "signals": None if tick_input.planned is None else tick_input.planned.json(),
        "sources": None if tick_input.sources is None else canonical_json(dict(tick_input.sources)),
    }


def equity_row(session: Session) -> Row:
    """The sub-account after the tick."""
    account, marked = layout.plain(session.state.account)[0], valuation.mark(session.state, session.context)
    pending = sum(session.state.positions["pending_reserved"].tolist())
    atoms = money.from_atoms
    return {
        "cash": atoms(marked.cash),
        "margin": atoms(marked.margin),
        "reserved": atoms(pending),
        "position_value": atoms(marked.position_value),
        "unrealized_pnl": atoms(marked.unrealized),
        "equity": atoms(marked.equity),
        "gross_exposure": atoms(marked.gross_exposure),
        "realized_pnl": atoms(account.realized),
        "fees": atoms(account.fees),
        "funding": atoms(account.funding),
        "day_open_equity": atoms(account.day_open_equity),
        "peak_equity": atoms(account.peak_equity),
        "open_positions": sum(qty != 0 for qty in session.state.positions["qty"].tolist()),
    }


UNTICKED = ("admin_actions", "autopilot_universe_snapshots", "policy_versions")
"""Tables whose rows belong to the strategy and not to one tick of its deployment."""


def stamped(session: Session, at: datetime, rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Add the columns that every row of a strategy, or of one tick of it, shares."""
    run = {
        "account_id": session.deployment.account_id,
        "strategy_config_id": session.deployment.strategy_config_id,
        "run_fingerprint": sha256_of(
            [__version__, session.config_fingerprint, session.policy_version_id, session.bars_hash]
        ),
    }
    tick = {"deployment_id": session.deployment.deployment_id, "tick_at": at}
    return {
        table: [{**row, **run, **(tick if table not in UNTICKED else {})} for row in own]
        for table, own in rows.items()
        if own
    }
