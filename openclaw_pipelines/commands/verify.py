"""`openclaw verify`: replay what is recorded and compare, follow the audit trail, print the ledger's hashes."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import click

from openclaw_pipelines.commands.shared import (
    CommandError,
    chosen,
    console,
    json_option,
    print_json,
    range_options,
    refuse_reversed,
    strategy_option,
    table,
)

if TYPE_CHECKING:
    from openclaw_pipelines.resources.world import World
    from openclaw_pipelines.services.trading.verification import Verification

DIFFERENCES_SHOWN = 50


class LedgerDiffersError(CommandError):
    """The replay of recorded ticks does not give the recorded rows."""

    template = (
        "{differences} difference(s) between the ledger and its replay by version {version}; no row was changed. "
        "Find what changed: the stored rows, or the program since they were written."
    )
    differences: int
    version: str


@dataclass
class Verified:
    """One strategy's result. days: one entry per verified day with its differences; audit_rows: length of the chain.

    ledger_hash: of everything recorded, for ledgers of one version; trades_hash: of what was traded, across versions.
    """

    strategy: str
    ledger_hash: str
    trades_hash: str
    audit_rows: int
    ticks: int = 0
    rows: int = 0
    days: list[dict[str, object]] = field(default_factory=list)
    differences: list[dict[str, object]] = field(default_factory=list)


def recorded_days(world: "World", strategy: str, first: date | None, last: date | None) -> list[str]:
    """Days of a strategy that hold recorded ticks, oldest first."""
    from openclaw_pipelines.contracts.enums import TickStatus

    # the tick at 00:00 closes the day before
    rows = world.ledger(strategy).query(
        "SELECT DISTINCT strftime(tick_at - INTERVAL 1 MICROSECOND, '%Y-%m-%d') AS day FROM autopilot_ticks",
        "status <> ?",
        [TickStatus.INCEPTION.value],
    )
    days = sorted(rows["day"].to_list())
    low, high = first.isoformat() if first else "", last.isoformat() if last else "9999"
    return [day for day in days if low <= day <= high]


def verify_strategy(
    world: "World", strategy: str, days: Sequence[str], done: Callable[[], None] = lambda: None
) -> Verified:
    """Verify `days` of one strategy and its whole audit trail; `done` is called after each day.

    Raises:
        BrokenChainError: the audit trail was tampered with.
        MissingStateError: the state from which a day starts is not recorded.
    """
    from openclaw_pipelines.domain.governance.audit import verify_chain
    from openclaw_pipelines.resources.store.comparison import ledger_hash, trades_hash
    from openclaw_pipelines.services.trading.verification import verify_day

    ledger = world.ledger(strategy)
    trail = ledger.query("SELECT * FROM admin_actions").sort("sequence")
    own = (world.store, world.settings().config.account, strategy)
    result = Verified(strategy, ledger_hash(*own), trades_hash(*own), verify_chain(trail.iter_rows(named=True)))
    for day in days:
        verification = verify_day(ledger, day)
        _add(result, verification)
        done()
    return result


def _add(result: Verified, verification: "Verification") -> None:
    rows = sum(verification.compared.values())
    result.ticks += verification.ticks
    result.rows += rows
    result.days.append(
        {"day": verification.day, "ticks": verification.ticks, "rows": rows, "equal": verification.passed}
    )
    for difference in verification.differences:
        shown = {"day": verification.day, **asdict(difference), "program_version": verification.program_version}
        result.differences.append({**shown, "recorded_by": ", ".join(verification.recorded_versions)})


@click.command()
@strategy_option
@range_options
@json_option
def verify(strategies: tuple[str, ...], first_day: date | None, last_day: date | None, *, as_json: bool) -> None:
    """Replay recorded days and compare every row; check the audit trail; print each ledger's hashes."""
    from openclaw_pipelines.contracts.program import program_version
    from openclaw_pipelines.resources.world import open_world

    refuse_reversed(first_day, last_day)
    world = open_world()
    names = chosen(strategies, list(world.settings().strategies))
    days = {name: recorded_days(world, name, first_day, last_day) for name in names}
    with _progress(sum(map(len, days.values())), quiet=as_json) as done:
        results = [verify_strategy(world, name, days[name], done) for name in names]
    if as_json:
        print_json({"program_version": program_version(), "strategies": [asdict(result) for result in results]})
    else:
        _show(results)
    found = sum(len(result.differences) for result in results)
    if found:
        raise LedgerDiffersError(found, program_version())


@contextlib.contextmanager
def _progress(days: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on stderr while days are verified, where that is a terminal."""
    from rich.progress import Progress

    with Progress(console=console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("verifying days", total=days)
        yield lambda: progress.advance(task)


def _show(results: list[Verified]) -> None:
    out = console()
    numbers = ("days", "ticks", "rows", "differences", "audit rows")
    made = table("Verified", "strategy", *numbers, "ledger hash", "trades hash", right=numbers)
    for own in results:
        counts = (len(own.days), own.ticks, own.rows, len(own.differences), own.audit_rows)
        made.add_row(own.strategy, *(f"{count:,}" for count in counts), own.ledger_hash, own.trades_hash)
    out.print(made)
    differences = [row for own in results for row in own.differences]
    if differences:
        columns = ("day", "table", "kind", "key", "column", "stored", "given", "recorded_by", "program_version")
        wrong = table("Differences", *columns)
        for row in differences[:DIFFERENCES_SHOWN]:
            wrong.add_row(*("-" if row[column] is None else str(row[column]) for column in columns))
        out.print(wrong)
        if len(differences) > DIFFERENCES_SHOWN:
            out.print(f"{len(differences) - DIFFERENCES_SHOWN:,} more; `--json` lists all.")
