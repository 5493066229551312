"""Rows chained by hash: each carries the hash of the row before, so that one that was changed or removed shows.

A chain proves order and wholeness to whoever knows its newest hash from elsewhere; who can write it anew from the first
row on is not stopped by it. What the rows are about, and the errors of a broken chain, are their owners'.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from openclaw_pipelines.contracts.canonical import canonical_json

GENESIS = "0" * 64
"""Hash before the first row."""
RowT = TypeVar("RowT", bound=Mapping[str, object])


def chained_hash(row: Mapping[str, object], columns: Sequence[str]) -> str:
    """SHA-256 over `prev_hash` and the columns of a row that the chain covers.

    >>> chained_hash({"prev_hash": GENESIS, "n": 1}, ("n",))[:12]
    'd72c261cbe53'
    """
    body = canonical_json({name: row[name] for name in columns})
    return hashlib.sha256(f"{row['prev_hash']}{body}".encode()).hexdigest()


def first_broken(rows: Iterable[RowT], columns: Sequence[str]) -> RowT | None:
    """The first row of a chain, numbered from 1 in `sequence`, that does not follow; None where all do."""
    last_hash = GENESIS
    for count, row in enumerate(rows, start=1):
        found = chained_hash(row, columns)
        if row["sequence"] != count or row["prev_hash"] != last_hash or found != row["row_hash"]:
            return row
        last_hash = found
    return None
