"""Seals each day of a ledger once nothing of it is to come: in the table `seals` and in a file outside the store.

A seal covers every column of what is only ever appended: the day's ticks and their rows, the day's universe, policies
that began, outcomes that matured, and the audit trails as far as they had come. What is written again when it is
computed again (metrics, features, the states of ticks within a day) and what waits to be sent (alerts) is not sealed;
`verify` computes the former anew. A null is no part of a row's hash, so that a later version may add a column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN
from openclaw_pipelines.contracts.program import program_version
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.governance import SealRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.governance.alerts import unsealed_alert
from openclaw_pipelines.domain.governance.seals import sealed
from openclaw_pipelines.resources.store.comparison import content_hash
from openclaw_pipelines.resources.store.seal_files import SealFile, lines_of
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.resources.store.strategy_ledger import TICK_TABLES, StrategyLedger
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.evaluation.evaluator import Evaluator
from openclaw_pipelines.services.governance.notifications import notify
from openclaw_pipelines.services.trading.strategy_lock import strategy_lock

_MOMENT = timedelta(microseconds=1)


MOST_AT_ONCE = 31
"""Days that one call seals: a ledger of before is sealed in parts, so that no tick waits for all of them."""

LATE = 3 * DAY
"""So long after a day's begin it is told that it is not sealed."""


class SealsDifferError(LedgerError):
    """The file of seals is not what the ledger's table says, by more than a seal that a killed process left out."""

    template = (
        "{file} holds {lines} seals and the ledger {rows}, and they are not the same. No day is sealed. If the file "
        "was moved or lost, copy it back; where it is gone, `openclaw seals --write` writes it from the ledger. If it "
        "holds seals that the ledger has not, the ledger was cut or put back: restore the ledger."
    )
    file: Path
    lines: int
    rows: int


class TableSeal(NamedTuple):
    """What a seal says of one table's rows of a day."""

    rows: int
    sha256: str


@dataclass(frozen=True)
class Sealing:
    """What a call sealed. waiting: why a day that was asked for is not sealed yet; None where it is."""

    sealed: tuple[SealRow, ...]
    newest: SealRow | None
    waiting: str | None


def seal_days(world: World, strategy: str, day: str) -> Sealing:
    """Seal every recorded day up to `day` of which nothing is to come, oldest first.

    Outcomes that mature within a day are scored before it is sealed, as far as candles are known.

    Raises:
        SealsDifferError: the file was changed; nothing is sealed.
    """
    made: list[SealRow] = []
    known = seals_of(world.ledger(strategy))
    waiting = None
    for one in _unsealed(world.ledger(strategy), known[-1]["day"] if known else "", day):
        if len(made) == MOST_AT_ONCE:
            waiting = f"the next call, which goes on with {one}"
            break
        waiting = _waits_for(world, strategy, one)
        if waiting:
            if world.clock.now() - day_start(one) > LATE:
                notify(world, [unsealed_alert(strategy, one, waiting)])
            break
        made += _seal(world, strategy, one)
    newest = (*known, *made)[-1:] or (None,)
    return Sealing(tuple(made), newest[0], waiting)


def seals_of(ledger: StrategyLedger) -> list[SealRow]:
    """Seals of a strategy by day."""
    return rows_as(SealRow, ledger.query("SELECT * FROM seals").sort("day"))


def seal_file(world: World, strategy: str) -> SealFile:
    """The strategy's file of seals."""
    settings = world.settings()
    return SealFile(settings.seals_dir, settings.config.account, strategy)


def write_file(world: World, strategy: str) -> int:
    """Write what a strategy's file of seals lacks, from the ledger; returns the number of seals.

    Raises:
        SealsDifferError: the file holds what the ledger does not, and is the only witness of it. It stays.
    """
    with strategy_lock(world.settings(), strategy):
        lines, file = lines_of(seals_of(world.ledger(strategy))), seal_file(world, strategy)
        text, right = file.text(), "".join(lines)
        if not right.startswith(text):
            raise SealsDifferError(file.path, len(text.splitlines()), len(lines))
        file.append(right[len(text) :])
    return len(lines)


def tables_of(ledger: StrategyLedger, day: str, before: str | None) -> dict[str, TableSeal]:
    """Number and hash of the rows of a day that a seal covers, by table.

    before: the day sealed before it, None for the first. Outcomes that mature between them belong to `day`.
    """
    start, end = day_start(day), day_start(day) + DAY
    matured = day_start(before) + DAY if before else start
    with ledger.reading():
        frames = {table: ledger.rows(table, start, end) for table in TICK_TABLES}
        frames["policy_versions"] = ledger.rows("policy_versions", start, end, time="first_tick_at")
        frames["autopilot_outcomes"] = ledger.rows("autopilot_outcomes", matured, end, time="matured_at")
        universe = ledger.rows("autopilot_universe_snapshots", start - _MOMENT, end - _MOMENT, time="as_of")
        frames["autopilot_universe_snapshots"] = universe
    return {
        table: TableSeal(frame.height, content_hash(frame)) for table, frame in sorted(frames.items()) if frame.height
    }


def _unsealed(ledger: StrategyLedger, after: str, until: str) -> list[str]:
    """Days with ticks, the inception's own too: the tick at 00:00 closes the day before."""
    day = "strftime(tick_at - INTERVAL 1 MICROSECOND, '%Y-%m-%d')"
    rows = ledger.query(
        f"SELECT DISTINCT {day} AS day FROM autopilot_ticks", f"{day} > ? AND {day} <= ?", [after, until]
    )
    return sorted(rows["day"].to_list())


def _waits_for(world: World, strategy: str, day: str) -> str | None:
    """What of a day is still to come; None where nothing is. Scores what has matured."""
    newest, end = world.ledger(strategy).newest_tick(), day_start(day) + DAY
    if newest is None or newest < end:
        return f"the last tick of {day}"
    evaluator = Evaluator.of(world)
    for decided in evaluator.unscored(strategy, day):
        evaluator.outcomes(strategy, decided)
        evaluator.metrics(strategy, decided)
    left = evaluator.unscored(strategy, day)
    return f"candles of outcomes that mature by the end of {day}, of decisions of {', '.join(left)}" if left else None


def _seal(world: World, strategy: str, day: str) -> list[SealRow]:
    """Seal one day, unless another process did meanwhile: the row first, then the line."""
    ledger, file = world.ledger(strategy), seal_file(world, strategy)
    with strategy_lock(world.settings(), strategy):
        known = seals_of(ledger)
        _complete(file, lines_of(known))
        if known and known[-1]["day"] >= day:
            return []
        before = known[-1] if known else None
        content = _content(world, ledger, day, before["day"] if before else None)
        row = sealed(before["seal"] if before else None, content)
        frame = TABLES["seals"].frame([row])
        with ledger.store.write("ledger") as con:
            insert(con, "seals", frame, validated=True)
        made = rows_as(SealRow, frame)
        file.append("".join(lines_of(made)))
    return made


def _content(world: World, ledger: StrategyLedger, day: str, before: str | None) -> dict[str, object]:
    tables = tables_of(ledger, day, before)
    trail, account = ledger.chain(), world.ledger(ACCOUNT_CHAIN).chain()
    return {
        "account_id": ledger.account_id,
        "strategy_config_id": ledger.strategy,
        "day": day,
        "row_count": sum(own.rows for own in tables.values()),
        "tables": canonical_json(tables),
        "audit_rows": trail.sequence,
        "audit_hash": trail.last_hash,
        "account_rows": account.sequence,
        "account_hash": account.last_hash,
        "program_version": program_version(),
        "sealed_at": world.clock.now(),
    }


def _complete(file: SealFile, lines: Sequence[str]) -> None:
    """Write what a killed process left out, at most the newest line or its end; anything else is not ours to mend."""
    text, right = file.text(), "".join(lines)
    if text == right:
        return
    rest = right[len(text) :]
    if not right.startswith(text) or rest.count("\n") > 1:
        raise SealsDifferError(file.path, len(text.splitlines()), len(lines))
    file.append(rest)
