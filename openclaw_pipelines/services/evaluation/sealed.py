"""Whether a ledger is still what its seals say: sealed days, the chain of seals, their file, and the audit trails."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN
from openclaw_pipelines.contracts.rows.governance import SealRow
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.governance.seals import first_broken_seal
from openclaw_pipelines.resources.store.comparison import Difference
from openclaw_pipelines.resources.store.seal_files import lines_of
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.evaluation.sealing import TableSeal, seal_file, seals_of, tables_of


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
    ledger, file = world.ledger(strategy), seal_file(world, strategy)
    text = file.text()  # before the table: a seal that comes in between is then the newest, which the file may lack
    rows = seals_of(ledger)
    trails = [(row["audit_rows"], row["audit_hash"], row["day"]) for row in rows]
    account = [(row["account_rows"], row["account_hash"], row["day"]) for row in rows]
    found = [
        *_chain(rows),
        *_file(rows, text, file.path.name),
        *_trail(trails, ledger),
        *_trail(account, world.ledger(ACCOUNT_CHAIN)),
    ]
    before = None
    for row in rows:
        if days is None or row["day"] in days or before in days:  # outcomes of a day mature on the next one too
            found += _content(ledger, row, before)
        before = row["day"]
    newest = rows[-1]["day"] if rows else None
    since = day_start(newest) + DAY if newest else day_start("1970-01-01")
    ticks = ledger.query("SELECT count(*) AS n FROM autopilot_ticks", "tick_at > ?", [since])["n"][0]
    return Sealed(tuple(found), tuple(row["seal"] for row in rows), newest, int(ticks))


def _chain(rows: Sequence[SealRow]) -> Iterator[Difference]:
    broken = first_broken_seal(rows)
    if broken is not None:
        day, recorded, right = broken
        yield Difference("seals", "changed", f"day={day}", "seal", recorded, right)


def _file(rows: Sequence[SealRow], text: str, name: str) -> Iterator[Difference]:
    """Where file and table differ. A seal that a killed process has not written yet is completed by the next one."""
    written, right = text.splitlines(keepends=True), lines_of(rows)
    for number in range(max(len(written), len(right))):
        key = f"{name} line {number + 1}"
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


def _trail(heads: Iterable[tuple[int, str, str]], ledger: StrategyLedger) -> Iterator[Difference]:
    """The newest audit row that each seal names is still there, with its hash. heads: sequence, hash and day."""
    stored = dict(ledger.query("SELECT sequence, row_hash FROM admin_actions").iter_rows())
    for sequence, right, day in heads:
        if sequence == 0:
            continue
        key = f"{ledger.strategy} sequence={sequence}, sealed on {day}"
        if sequence not in stored:
            yield Difference("admin_actions", "missing", key, "", None, None)
            return
        if stored[sequence] != right:
            yield Difference("admin_actions", "changed", key, "row_hash", stored[sequence], right)
            return


def _content(ledger: StrategyLedger, row: SealRow, before: str | None) -> Iterator[Difference]:
    """Tables whose rows of a day are not those that were sealed."""
    key, now = f"sealed day={row['day']}", tables_of(ledger, row["day"], before)
    try:
        sealed = {table: TableSeal(*own) for table, own in json.loads(row["tables"]).items()}
    except (ValueError, TypeError, AttributeError):
        yield Difference("seals", "changed", key, "tables", row["tables"][:200], str(now)[:200])
        return
    nothing = TableSeal(0, "none")
    for table in sorted({*sealed, *now}):
        own, right = now.get(table, nothing), sealed.get(table, nothing)
        if own.rows != right.rows:
            yield Difference(table, "changed", key, "rows", str(own.rows), str(right.rows))
        elif own.sha256 != right.sha256:
            yield Difference(table, "changed", key, "sha256", own.sha256, right.sha256)
