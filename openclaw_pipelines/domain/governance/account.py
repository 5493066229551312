"""The account's own trail: what people changed, as entries of a chain beside those of the strategies.

What is compared with what to find a change is in `observed`; the chain itself is in `audit`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.enums import KillSwitch, ProposalState
from openclaw_pipelines.contracts.governance import AccountAction, Answer
from openclaw_pipelines.domain.governance.audit import AuditEntry

NO_REASON = "no reason given"
PRICES = ("open", "high", "low", "close", "volume")
_ANSWERS = {Answer.APPROVE: AccountAction.APPROVAL_GIVEN, Answer.DECLINE: AccountAction.APPROVAL_DECLINED}


@dataclass(frozen=True)
class Change:
    """A row of the account's chain as people read it. at: when it happened, or was first seen."""

    sequence: int
    at: datetime
    action: AccountAction
    subject: str
    before: str | None
    after: str | None
    actor: str
    reason: str
    details: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Change":
        """Of a row of `admin_actions`."""
        details = json.loads(row["details"])
        return cls(
            row["sequence"], datetime.fromisoformat(details["at"]), AccountAction(row["action"]), row["subject"],
            row["from_state"], row["to_state"], row["actor"], details["reason"], details,
        )  # fmt: skip

    @property
    def brakes(self) -> bool:
        """Whether it leaves something braked: a kill switch that is not off, a paused strategy."""
        if self.action is AccountAction.KILL_SWITCH_CHANGED:
            return self.after != KillSwitch.OFF
        return self.action is AccountAction.STRATEGY_PAUSED

    def shown(self) -> dict[str, object]:
        """Its columns for tables and JSON."""
        own = vars(self)
        return {name: own[name] for name in COLUMNS}


COLUMNS = ("sequence", "at", "action", "subject", "before", "after", "actor", "reason")


def account_entry(
    action: AccountAction, subject: str, before: str | None, after: str | None, *,
    actor: str, reason: str, at: datetime, **details: object,
) -> AuditEntry:  # fmt: skip
    """One change. at: when it happened, or was first seen. details: what else is known, as plain values."""
    body = canonical_json({**details, "reason": reason.strip() or NO_REASON, "at": at})
    return AuditEntry(action.value, subject, before, after, None, actor, body)


def answered(decision_key: str, answer: Answer, strategy: str, *, actor: str, reason: str, at: datetime) -> AuditEntry:
    """An operator's word on a proposal that waits; the tick that takes it moves the proposal."""
    return account_entry(
        _ANSWERS[answer], decision_key, ProposalState.AWAITING_APPROVAL.value, answer.value,
        actor=actor, reason=reason, at=at, strategy=strategy,
    )  # fmt: skip


def deployment_changed(row: Mapping[str, Any]) -> AuditEntry:
    """A row of the log of deployed strategies, which has a chain of its own in another database."""
    return account_entry(
        AccountAction.DEPLOYMENT_CHANGED, row["strategy_config_id"], _stage(row["from_state"], row["from_ramp_bps"]),
        _stage(row["to_state"], row["ramp_bps"]), actor=row["actor"], reason=row["reason"], at=row["recorded_at"],
        as_of=row["at"], trigger=row["trigger"], cycle_id=row["cycle_id"], log_sequence=row["sequence"],
        log_row_hash=row["row_hash"],
    )  # fmt: skip


def candle_corrected(trace: Mapping[str, Any]) -> AuditEntry:
    """A row of `candle_corrections`."""
    before = {name: trace[f"old_{name}"] for name in PRICES}
    after = {name: trace[name] for name in PRICES}
    changed = [name for name in PRICES if before[name] != after[name]]
    return account_entry(
        AccountAction.CANDLE_CORRECTED, f"{trace['symbol']} {trace['interval']} of {trace['ts']:%Y-%m-%dT%H:%MZ}",
        _values(before, changed), _values(after, changed), actor=trace["actor"], reason=trace["reason"],
        at=trace["corrected_at"], source=trace["source"], taken_from=trace["taken_from"],
        bar_before=before, bar_after=after,
    )  # fmt: skip


def _stage(state: str, ramp_bps: int) -> str:
    return f"{state} at {ramp_bps / 100:g} %"


def _values(bar: Mapping[str, float | None], names: list[str]) -> str | None:
    """Values that changed, as `high 1e+300, low 1`; None where there was no bar."""
    known = [f"{name} {bar[name]!r}" for name in names if bar[name] is not None]
    return ", ".join(known) or None
