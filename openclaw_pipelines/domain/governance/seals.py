"""Seals: what a strategy's ledger held at the end of each day, each chained to the one before.

A chain that its owner can write again proves nothing by itself. A seal that somebody noted elsewhere does: the ledger
either still leads to it, or it was changed, cut or replaced.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.domain.governance.audit import GENESIS

SEALED_COLUMNS = (
    "account_id",
    "strategy_config_id",
    "day",
    "row_count",
    "tables",
    "audit_rows",
    "audit_hash",
    "account_rows",
    "account_hash",
    "program_version",
    "sealed_at",
)
"""What a seal covers besides the seal before it."""


def sealed(before: str | None, content: Mapping[str, object]) -> dict[str, object]:
    """A row of `seals`. before: the seal of the day before it, None for the first."""
    row = {**content, "prev_seal": before or GENESIS}
    return {**row, "seal": seal_of(row)}


def seal_of(row: Mapping[str, Any]) -> str:
    """SHA-256 over `prev_seal` and what the seal covers."""
    body = canonical_json({name: row[name] for name in SEALED_COLUMNS})
    return hashlib.sha256((row["prev_seal"] + body).encode()).hexdigest()


def first_broken(rows: Iterable[Mapping[str, Any]]) -> tuple[str, str, str] | None:
    """Day, recorded seal and right seal of the first row that does not follow from the one before; None where all do.

    rows: of one strategy, by day.
    """
    before = GENESIS
    for row in rows:
        right = seal_of({**row, "prev_seal": before})
        if row["seal"] != right or row["prev_seal"] != before:
            return row["day"], row["seal"], right
        before = row["seal"]
    return None
