"""The log of what factory cycles stored and dropped: one chain over all cycles, and what it says of the rows now.

A log row stands for a piece of a cycle as it was written: a shard, a replay, a report, the gates of a candidate, a
look, a state. Rows that changed since, that nobody logged, or that are gone are findings. Content is hashed, rows are
read and written in `services.factory.recording`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from openclaw_pipelines.contracts.chain import GENESIS, chained_hash, first_broken
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.factory import Logged
from openclaw_pipelines.contracts.rows.factory import FactoryLogRow

CHAINED = ("cycle_id", "sequence", "action", "table_name", "subject", "row_count", "content_hash", "rests_on")
SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "sweep_shards": ("shard",),
    "trial_counts": ("shard",),
    "sweep_results": ("shard",),
    "shortlist": (),
    "replays": ("variant", "params_hash"),
    "parity_reports": ("comparison", "params_hash"),
    "gate_results": ("params_hash",),
    "holdout_looks": ("look_key",),
}
"""Table -> the columns that tell its pieces apart within a cycle. Of `factory_cycles` see `CYCLE_PIECES`."""
CYCLE_PIECES: Mapping[str, tuple[str, ...]] = {
    "contract": (
        "recipe", "account_id", "strategy_config_id", "contract", "contract_hash", "code_version", "bars_hash",
        "interval", "train_start", "train_end", "holdout_start", "holdout_end",
    ),
    "state": ("state", "blocked_by", "reason"),
}  # fmt: skip
"""A cycle's own row in two pieces, since its state moves and its contract does not: piece -> its columns."""
DEPLOYED = "deployments"
"""Table whose rows are chained themselves: the log holds the hash of the row that a cycle ended in."""


class BrokenFactoryLogError(LedgerError):
    """A row of the log does not follow from the one before it, or one that a deployment rests on is not there."""

    template = (
        "log of the factory: row {sequence} {what}. It was changed or removed; restore research.duckdb from a copy."
    )
    sequence: int
    what: str


class Anchor(NamedTuple):
    """The newest row of the log at a time."""

    sequence: int
    row_hash: str


NOTHING_LOGGED = Anchor(0, GENESIS)


class Piece(NamedTuple):
    """Which rows a log row is about."""

    cycle_id: str
    table: str
    subject: str


@dataclass(frozen=True)
class Content:
    """What a piece holds. rests_on: see `FactoryLog`."""

    piece: Piece
    rows: int
    sha256: str
    rests_on: int | None = None


def linked(last: Anchor, action: Logged, contents: Iterable[Content]) -> list[dict[str, object]]:
    """Log rows that follow `last`, without `recorded_at`."""
    made = []
    for content in contents:
        row: dict[str, object] = {
            "cycle_id": content.piece.cycle_id, "sequence": last.sequence + 1, "action": action.value,
            "table_name": content.piece.table, "subject": content.piece.subject, "row_count": content.rows,
            "content_hash": content.sha256, "rests_on": content.rests_on, "prev_hash": last.row_hash,
        }  # fmt: skip
        last = Anchor(last.sequence + 1, chained_hash(row, CHAINED))
        made.append({**row, "row_hash": last.row_hash})
    return made


def dropped(pieces: Iterable[Piece]) -> list[Content]:
    """What the log says of pieces that are no more."""
    return [Content(piece, 0, "") for piece in pieces]


def verify_factory_log(rows: Sequence[FactoryLogRow], anchors: Iterable[Anchor] = ()) -> Anchor:
    """The newest row of a whole log.

    anchors: rows that must be in it, since deployments rest on them.

    Raises:
        BrokenFactoryLogError: a row does not follow, or an anchor is not there.
    """
    broken = first_broken(rows, CHAINED)
    if broken is not None:
        raise BrokenFactoryLogError(broken["sequence"], "does not follow from the row before it")
    for anchor in anchors:
        found = rows[anchor.sequence - 1] if 0 < anchor.sequence <= len(rows) else None
        if found is None or found["row_hash"] != anchor.row_hash:
            raise BrokenFactoryLogError(anchor.sequence, "is not the one that a deployment rests on")
    return Anchor(rows[-1]["sequence"], rows[-1]["row_hash"]) if rows else NOTHING_LOGGED


def standing(rows: Iterable[FactoryLogRow]) -> dict[Piece, FactoryLogRow]:
    """The newest word of the log on each piece; pieces that were dropped are left out."""
    newest = {Piece(row["cycle_id"], row["table_name"], row["subject"]): row for row in rows}
    return {piece: row for piece, row in newest.items() if row["action"] == Logged.STORED}


def unlike_log(logged: Mapping[Piece, FactoryLogRow], found: Iterable[Content]) -> list[str]:
    """Where stored pieces are not what the log says of them, one sentence each; empty where they are."""
    held = {content.piece: content for content in found}
    said = []
    for piece in sorted({*logged, *held}):
        row, content = logged.get(piece), held.get(piece)
        what = f"{piece.table} {piece.subject}".rstrip() + f" of {piece.cycle_id}"
        if row is None:
            said.append(f"{what} is in no row of the log")
        elif content is None:
            said.append(f"{what} is gone: row {row['sequence']} of the log has it")
        elif (content.rows, content.sha256) != (row["row_count"], row["content_hash"]):
            said.append(f"{what} was changed since row {row['sequence']} of the log")
    return said
