"""Rows of other logs in the account's chain: deployments of the research database, corrections of the market's.

No transaction writes two databases, so a process that is killed in between leaves a row of the log that the chain
lacks. Whoever looks next appends it, with the time that the log says.
"""

from typing import Any

from openclaw_pipelines.contracts.governance import AccountAction
from openclaw_pipelines.domain.governance.account import Change, deployment_changed
from openclaw_pipelines.domain.governance.audit import AuditEntry
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.account import append_missing
from openclaw_pipelines.services.trading.correcting import trace_corrections


def trace_logs(world: World) -> list[Change]:
    """Append every row of the other logs that the chain lacks; returns the appended ones."""
    return [*trace_deployments(world), *trace_corrections(world)]


def trace_deployments(world: World) -> list[Change]:
    """Append the rows of `deployments` that the chain lacks."""
    sql = "SELECT * FROM deployments WHERE account_id = ? ORDER BY sequence"
    logged = world.store.query("research", sql, [world.settings().config.account]).to_dicts()

    def missing(known: list[Change]) -> list[AuditEntry]:
        return _after(logged, max((own.details["log_sequence"] for own in known), default=0))

    return append_missing(world, [AccountAction.DEPLOYMENT_CHANGED], missing) if logged else []


def _after(logged: list[dict[str, Any]], sequence: int) -> list[AuditEntry]:
    return [deployment_changed(row) for row in logged if row["sequence"] > sequence]
