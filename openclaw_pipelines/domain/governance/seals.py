"""Seals: what a strategy's ledger held at the end of each day, each chained to the one before.

A chain that its owner can write again proves nothing by itself. A seal that somebody noted elsewhere does: the ledger
either still leads to it, or it was changed, cut or replaced.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from openclaw_pipelines.contracts.chain import GENESIS, chained_hash

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
    return {**row, "seal": _seal_of(row, row["prev_seal"])}


def first_broken_seal(rows: Iterable[Mapping[str, Any]]) -> tuple[str, str, str] | None:
    """Day, recorded seal and right seal of the first row that does not follow from the one before; None where all do.

    rows: of one strategy, by day.
    """
    before = GENESIS
    for row in rows:
        right = _seal_of(row, before)
        if row["seal"] != right or row["prev_seal"] != before:
            return row["day"], row["seal"], right
        before = row["seal"]
    return None


def _seal_of(row: Mapping[str, Any], before: object) -> str:
    return chained_hash({**row, "prev_hash": before}, SEALED_COLUMNS)
