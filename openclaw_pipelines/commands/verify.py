"""`openclaw verify`: replay what is recorded and compare, follow the audit trail, print the ledger's hashes."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
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
    from openclaw_pipelines.services.evaluation.verifying import Verified

DIFFERENCES_SHOWN = 50


class LedgerDiffersError(CommandError):
    """Recorded rows do not belong together, or taking recorded ticks again does not give them."""

    template = (
        "{differences} difference(s) between the ledger and its replay by version {version}, the first of {strategy} "
        "in {table}, {key}; no row was changed. Find what changed: the stored rows, or the program since they were "
        "written."
    )
    differences: int
    version: str
    strategy: str
    table: str
    key: str


class NothingRecordedError(CommandError):
    """A ledger that is empty verifies nothing."""

    template = (
        "nothing is recorded for {strategies}, so nothing was verified. If they have ticked, the ledger was lost: see "
        "that OPENCLAW_DATA_DIR is the right folder, or restore it from a copy."
    )
    strategies: str


class SealNotFoundError(CommandError):
    """A seal that was noted elsewhere and to which the ledger does not lead."""

    template = (
        "no seal of {strategies} is {seal}. If it was noted from this ledger, the ledger was changed, cut or replaced "
        "since then: compare it with a copy. `openclaw seals` lists the seals that are there."
    )
    strategies: str
    seal: str


@click.command()
@strategy_option
@range_options
@click.option("expected", "--expect", multiple=True, metavar="SEAL", help="A seal that was noted before; repeatable.")
@json_option
def verify(
    strategies: tuple[str, ...], first_day: date | None, last_day: date | None, expected: tuple[str, ...], *,
    as_json: bool,
) -> None:  # fmt: skip
    """Take recorded days again and compare every row; check that rows belong together, the audit trail and the seals.

    Prints each ledger's hashes and newest seal. Who can write the ledger can write its seals too: note the newest seal
    elsewhere, and give it as `--expect` later. Exit code 1 where something differs, a seal that was expected is not
    there, or nothing is recorded.
    """
    from openclaw_pipelines.contracts.program import program_version
    from openclaw_pipelines.processes.verifiers import verify_all
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.evaluation.verifying import NO_VERSIONS, recorded_days
    from openclaw_pipelines.services.governance.account import verify_account
    from openclaw_pipelines.services.market.features import verify_features

    refuse_reversed(first_day, last_day)
    world = open_world()
    names = chosen(strategies, list(world.settings().strategies))
    account_rows = verify_account(world)
    days = {name: recorded_days(world, name, first_day, last_day) for name in names}
    with _progress(sum(map(len, days.values())), quiet=as_json) as done:
        whole = first_day is None and last_day is None
        results = verify_all(world, days, done, whole=whole)
    for day in sorted({day for own in days.values() for day in own}):
        results[0].differences += [{"day": day, **asdict(one), **NO_VERSIONS} for one in verify_features(world, day)]
    if as_json:
        shown = {"program_version": program_version(), "account_rows": account_rows}
        print_json({**shown, "strategies": [asdict(result) for result in results]})
    else:
        _show(results)
        console().print(f"audit rows of the account: {account_rows:,}")
    _judge(world, results, expected)


def _judge(world: "World", results: "Sequence[Verified]", expected: Sequence[str]) -> None:
    """Raise what is wrong, the worst first."""
    from openclaw_pipelines.contracts.program import program_version
    from openclaw_pipelines.services.evaluation.sealing import seals_of

    names = [result.strategy for result in results]
    found = [(result.strategy, one) for result in results for one in result.differences]
    if found:
        strategy, first = found[0]
        raise LedgerDiffersError(len(found), program_version(), strategy, str(first["table"]), str(first["key"]))
    known = {row["seal"] for name in names for row in seals_of(world.ledger(name))} if expected else set()
    for seal in expected:
        if seal not in known:
            raise SealNotFoundError(", ".join(names), seal)
    if not any(world.ledger(name).newest_tick() for name in names):
        raise NothingRecordedError(", ".join(names))


@contextlib.contextmanager
def _progress(days: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on stderr while days are verified, where that is a terminal."""
    from rich.progress import Progress

    with Progress(console=console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("verifying days", total=days)
        yield lambda: progress.advance(task)


def _show(results: "list[Verified]") -> None:
    out = console()
    numbers = ("days", "ticks", "rows", "differences", "audit rows")
    made = table("Verified", "strategy", *numbers, "sealed until", right=numbers)
    hashes = table("Hashes", "strategy", "hash", "")
    for own in results:
        counts = (len(own.days), own.ticks, own.rows, len(own.differences), own.audit_rows)
        made.add_row(own.strategy, *(f"{count:,}" for count in counts), own.sealed_until or "-")
        hashes.add_row(own.strategy, own.ledger_hash, "ledger: everything recorded")
        hashes.add_row("", own.trades_hash, "trades: what was traded, across versions")
        hashes.add_row("", own.seal or "-", "newest seal: note it elsewhere, for --expect")
    out.print(made)
    out.print(hashes)
    for line in (line for own in results for line in own.unknown):
        out.print(f"Not known: {line}.", soft_wrap=True)
    differences = [row for own in results for row in own.differences]
    if differences:
        columns = ["day", "table", "kind", "key", "column", "stored", "given"]
        if any(row["recorded_by"] != row["program_version"] for row in differences):
            columns += ["recorded_by", "program_version"]
        wrong = table("Differences", *columns)
        for row in differences[:DIFFERENCES_SHOWN]:
            wrong.add_row(*("-" if row[column] is None else str(row[column]) for column in columns))
        out.print(wrong)
        if len(differences) > DIFFERENCES_SHOWN:
            out.print(f"{len(differences) - DIFFERENCES_SHOWN:,} more; `--json` lists all.")
