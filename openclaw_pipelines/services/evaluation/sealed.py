"""Whether a ledger is still what its seals say: sealed days, the chain of seals, their file, and the audit trails."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN
from openclaw_pipelines.contracts.rows.governance import SealRow
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.governance.seals import first_broken_seal
from openclaw_pipelines.resources.store.comparison import Difference
from openclaw_pipelines.resources.store.seal_files import SealFile, lines_of
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.evaluation.sealing import seal_file, seals_of, tables_of


@dataclass(frozen=True)
class Sealed:
    """What the seals of a strategy say. differences: where the ledger or the file says otherwise.

    seals: all of them, oldest first. unsealed_ticks: recorded ticks after the newest sealed day.
    """

    differences: tuple[Difference, ...]
    seals: tuple[str, ...]
    newest_day: str | None
    unsealed_ticks: int


def verify_seals(world: World, strategy: str, days: Collection[str] | None = None) -> Sealed:
    """Compare a strategy's ledger with its seals. days: whose rows are read again; None for all that are sealed."""
    ledger = world.ledger(strategy)
    rows, file = seals_of(ledger), seal_file(world, strategy)
    found = [
        *_chain(rows),
        *_file(rows, file),
        *_trails(rows, ledger, "audit"),
        *_trails(rows, world.ledger(ACCOUNT_CHAIN), "account"),
        *(one for row in rows if days is None or row["day"] in days for one in _content(ledger, row)),
    ]
    newest = rows[-1]["day"] if rows else None
    since = day_start(newest) + DAY if newest else day_start("1970-01-01")
    ticks = ledger.query("SELECT count(*) AS n FROM autopilot_ticks", "tick_at > ?", [since])["n"][0]
    return Sealed(tuple(found), tuple(row["seal"] for row in rows), newest, int(ticks))


def _chain(rows: Sequence[SealRow]) -> Iterator[Difference]:
    broken = first_broken_seal(rows)
    if broken is not None:
        day, recorded, right = broken
        yield Difference("seals", "changed", f"day={day}", "seal", recorded, right)


def _file(rows: Sequence[SealRow], file: SealFile) -> Iterator[Difference]:
    """Where file and table differ. A seal that a killed process has not written yet is completed by the next one."""
    written, right = file.text().splitlines(keepends=True), lines_of(rows)
    for number in range(max(len(written), len(right))):
        key = f"{file.path.name} line {number + 1}"
        if number >= len(right):
            yield Difference("seals", "missing", f"{key}: {_day_of(written[number])}", "", None, None)
        elif (number < len(written) and written[number] == right[number]) or (
            number == len(right) - 1 and right[number].startswith("".join(written[number:]))
        ):
            continue
        elif number >= len(written):
            yield Difference("seal file", "missing", f"{key}: day={rows[number]['day']}", "", None, None)
        else:
            yield Difference("seal file", "changed", key, "seal", written[number].strip()[:200], rows[number]["seal"])


def _day_of(line: str) -> str:
    try:
        return f"day={json.loads(line)['day']}"
    except (ValueError, KeyError, TypeError):
        return "no seal"


def _trails(rows: Sequence[SealRow], ledger: StrategyLedger, trail: str) -> Iterator[Difference]:
    """The newest audit row that each seal names is still there, with its hash."""
    stored = dict(ledger.query("SELECT sequence, row_hash FROM admin_actions").iter_rows())
    for row in rows:
        sequence, right = (row["audit_rows"], row["audit_hash"]) if trail == "audit" else (
            row["account_rows"], row["account_hash"])  # fmt: skip
        if sequence == 0:
            continue
        key = f"{ledger.strategy} sequence={sequence}, sealed on {row['day']}"
        if sequence not in stored:
            yield Difference("admin_actions", "missing", key, "", None, None)
            return
        if stored[sequence] != right:
            yield Difference("admin_actions", "changed", key, "row_hash", stored[sequence], right)
            return


def _content(ledger: StrategyLedger, row: SealRow) -> Iterator[Difference]:
    """Tables whose rows of a day are not those that were sealed."""
    sealed: dict[str, list[object]] = json.loads(row["tables"])
    now = tables_of(ledger, row["day"])
    for table in sorted({*sealed, *now}):
        (rows, content), (own_rows, own) = sealed.get(table, [0, "none"]), now.get(table, [0, "none"])
        key = f"sealed day={row['day']}"
        if rows != own_rows:
            yield Difference(table, "changed", key, "rows", str(own_rows), str(rows))
        elif content != own:
            yield Difference(table, "changed", key, "sha256", str(own), str(content))
