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
_NO_VERSIONS: dict[str, object] = {"program_version": None, "recorded_by": None}
"""Of differences that no other version of the program explains."""


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


@dataclass
class Verified:
    """One strategy's result. days: one entry per verified day with its differences; audit_rows: length of the chain.

    ledger_hash: of everything recorded, for ledgers of one version; trades_hash: of what was traded, across versions.
    sealed_until: newest sealed day, with its seal. unknown: what was not compared, in words.
    """

    strategy: str
    ledger_hash: str
    trades_hash: str
    audit_rows: int
    ticks: int = 0
    rows: int = 0
    days: list[dict[str, object]] = field(default_factory=list)
    differences: list[dict[str, object]] = field(default_factory=list)
    sealed_until: str | None = None
    seal: str | None = None
    unknown: list[str] = field(default_factory=list)


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
    world: "World", strategy: str, days: Sequence[str], done: Callable[[], None] = lambda: None, *, whole: bool = True
) -> Verified:  # fmt: skip
    """Verify `days` of one strategy and what rests on them, that all its rows belong together, and its audit trail.

    done: called after each day. whole: read every sealed day again, also one that has no ticks any more.

    Raises:
        BrokenChainError: the audit trail was tampered with.
    """
    from openclaw_pipelines.domain.governance.audit import verify_chain
    from openclaw_pipelines.resources.store.comparison import ledger_hash, trades_hash
    from openclaw_pipelines.services.evaluation.sealed import verify_seals
    from openclaw_pipelines.services.trading.integrity import verify_integrity
    from openclaw_pipelines.services.trading.verification import spans

    ledger = world.ledger(strategy)
    trail = ledger.query("SELECT * FROM admin_actions").sort("sequence")
    own = (world.store, world.settings().config.account, strategy)
    result = Verified(strategy, ledger_hash(*own), trades_hash(*own), verify_chain(trail.iter_rows(named=True)))
    sealed = verify_seals(world, strategy, None if whole else days)
    beyond = [*verify_integrity(ledger), *sealed.differences]
    result.differences += [{"day": None, **asdict(found), **_NO_VERSIONS} for found in beyond]
    result.sealed_until, result.seal = sealed.newest_day, next(iter(sealed.seals[::-1]), None)
    result.unknown += _unknown(world, strategy, days, sealed.unsealed_ticks)
    if not whole:
        result.unknown.append(f"{strategy}: rows of sealed days outside the range were not read again")
    for span in spans(ledger, days):
        _verify_span(world, result, span)
        for _ in span:
            done()
    return result


def _unknown(world: "World", strategy: str, days: Sequence[str], unsealed_ticks: int) -> list[str]:
    """What is not compared, in words."""
    from openclaw_pipelines.services.evaluation.recomputing import older_metrics

    found = []
    if unsealed_ticks:
        found.append(
            f"{strategy}: {unsealed_ticks:,} tick(s) are not sealed yet; that their program version is the one "
            "that took them, and that none was taken away at the end, is known from a seal only"
        )
    older = older_metrics(world, strategy, days)
    if older:
        found.append(
            f"{strategy}: metrics of {len(older):,} day(s), from {older[0]} on, were computed under other settings or "
            "definitions or before the rows they rest on; materialize `metrics` to have them compared"
        )
    return found


def _verify_span(world: "World", result: Verified, days: Sequence[str]) -> None:
    """Verify days that follow one another, at once where they are as recorded, each for itself where they are not."""
    from openclaw_pipelines.contracts.errors import LedgerError
    from openclaw_pipelines.resources.store.comparison import Difference
    from openclaw_pipelines.services.evaluation.recomputing import verify_evaluation
    from openclaw_pipelines.services.trading.consumed import verify_consumed
    from openclaw_pipelines.services.trading.verification import verify_day, verify_span

    ledger = world.ledger(result.strategy)
    together = verify_span(ledger, days)
    as_consumed = together is not None and len(days) > 1 and not verify_consumed(ledger, days[0], days[-1])
    for place, day in enumerate(days):
        try:
            _add(result, verify_day(ledger, day) if together is None else together[place])
            beside = [] if as_consumed else verify_consumed(ledger, day)
            result.differences += [{"day": day, **asdict(found), **_NO_VERSIONS} for found in beside]
        except LedgerError as error:  # the day cannot be taken again; the others are
            unread = Difference(type(error).__name__, "missing", str(error), "", None, None)
            result.differences.append({"day": day, **asdict(unread), **_NO_VERSIONS})
    try:
        beyond = verify_evaluation(world, result.strategy, days)
    except LedgerError as error:
        beyond = [Difference(type(error).__name__, "missing", str(error), "", None, None)]
    result.differences += [{"day": None, **asdict(found), **_NO_VERSIONS} for found in beyond]


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
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.governance.account import verify_account
    from openclaw_pipelines.services.market.features import verify_features

    refuse_reversed(first_day, last_day)
    world = open_world()
    names = chosen(strategies, list(world.settings().strategies))
    account_rows = verify_account(world)
    days = {name: recorded_days(world, name, first_day, last_day) for name in names}
    with _progress(sum(map(len, days.values())), quiet=as_json) as done:
        whole = first_day is None and last_day is None
        results = [verify_strategy(world, name, days[name], done, whole=whole) for name in names]
    for day in sorted({day for own in days.values() for day in own}):
        results[0].differences += [{"day": day, **asdict(one), **_NO_VERSIONS} for one in verify_features(world, day)]
    if as_json:
        shown = {"program_version": program_version(), "account_rows": account_rows}
        print_json({**shown, "strategies": [asdict(result) for result in results]})
    else:
        _show(results)
        console().print(f"audit rows of the account: {account_rows:,}")
    _judge(world, results, expected)


def _judge(world: "World", results: Sequence[Verified], expected: Sequence[str]) -> None:
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


def _show(results: list[Verified]) -> None:
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
