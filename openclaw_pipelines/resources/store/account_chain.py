"""The account's chain in `admin_actions`: reading it, and appending to it from several processes.

Whoever appends reads the newest row and writes the next one in one transaction under the ledger's exclusive lock, so
that no two rows follow the same one.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.chain import GENESIS
from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN, AccountAction
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.governance import AdminActionRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.governance.audit import AuditChain, AuditEntry
from openclaw_pipelines.domain.governance.observed import Recorded, Seen, Written
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import fetch, insert, insert_new

_OWN = f"account_id = ? AND strategy_config_id = '{ACCOUNT_CHAIN}'"
_NEWEST = (
    f"SELECT action, subject, to_state, details FROM admin_actions WHERE {_OWN} AND action IN (?, ?) "
    "QUALIFY row_number() OVER (PARTITION BY action, subject ORDER BY sequence DESC) = 1"
)


def append(
    con: Connection, account: str, entries: Iterable[AuditEntry], *, now: datetime, run_fingerprint: str
) -> list[dict[str, Any]]:
    """Rows of the entries at the end of the chain. con: of `Store.write`, held until the rows are committed."""
    sql = f"SELECT sequence, row_hash FROM admin_actions WHERE {_OWN} ORDER BY sequence DESC LIMIT 1"
    newest = fetch(con, sql, [account])
    sequence, row_hash = newest.row(0) if newest.height else (0, GENESIS)
    stamp = {"recorded_at": now, "run_fingerprint": run_fingerprint}
    rows: list[dict[str, Any]] = [
        {**row, **stamp} for row in AuditChain(account, ACCOUNT_CHAIN, sequence, row_hash).append(entries)
    ]
    if rows:
        insert(con, "admin_actions", TABLES["admin_actions"].unchecked(rows))
    return rows


def chain_rows(
    con: Connection, account: str, actions: Sequence[AccountAction] = tuple(AccountAction)
) -> list[AdminActionRow]:
    """Rows of the chain in order. actions: only these."""
    sql = f"SELECT * FROM admin_actions WHERE {_OWN} AND list_contains(?, action) ORDER BY sequence"
    return rows_as(AdminActionRow, fetch(con, sql, [account, [action.value for action in actions]]))


def recorded(con: Connection, account: str, file: str, configuration_hash: str) -> Recorded:
    """What the chain says of switches, configurations and environments last.

    file: configuration file that was looked at; its settings are read where their hash is another.
    """
    switch, configured = AccountAction.KILL_SWITCH_CHANGED, AccountAction.CONFIGURATION_CHANGED
    rows = fetch(con, _NEWEST, [account, switch.value, configured.value]).to_dicts()
    switches = {row["subject"]: row["to_state"] for row in rows if row["action"] == switch}
    details = {row["subject"]: json.loads(row["details"]) for row in rows if row["action"] == configured}
    configurations = {name: own["configuration"] for name, own in details.items() if "configuration" in own}
    environments = {name: own["variables"] for name, own in details.items() if "variables" in own}
    known = configurations.get(file)
    settings = None if known in (None, configuration_hash) else settings_of(con, account, str(known))
    return Recorded(configurations, switches, environments, settings)


def settings_of(con: Connection, account: str, configuration_hash: str) -> Written | None:
    """The settings that are kept under a hash."""
    sql = "SELECT payload FROM configurations WHERE account_id = ? AND configuration_hash = ?"
    kept = fetch(con, sql, [account, configuration_hash])
    found: Written | None = json.loads(kept["payload"][0]) if kept.height else None
    return found


def keep_settings(con: Connection, account: str, seen: Seen, fingerprint: str) -> None:
    """Keep the settings that rows of the chain name by hash, once. fingerprint: of the configuration as it decides."""
    row = {
        "account_id": account, "configuration_hash": seen.configuration_hash, "config_fingerprint": fingerprint,
        "payload": canonical_json(seen.settings), "recorded_at": seen.at,
    }  # fmt: skip
    insert_new(con, "configurations", TABLES["configurations"].unchecked([row]))
