"""Everything recorded of a strategy, taken again and compared: ticks, what they consumed, what rests on them, seals.

`openclaw verify` shows it; `processes.verifiers` does it for several strategies at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date

from openclaw_pipelines.contracts.enums import TickStatus
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.domain.governance.audit import verify_chain
from openclaw_pipelines.resources.store.comparison import Difference, ledger_hash, trades_hash
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.evaluation.recomputing import older_metrics, verify_evaluation
from openclaw_pipelines.services.evaluation.sealed import verify_seals
from openclaw_pipelines.services.trading.consumed import verify_consumed
from openclaw_pipelines.services.trading.integrity import verify_integrity
from openclaw_pipelines.services.trading.verification import Verification, spans, verify_day, verify_span

NO_VERSIONS: dict[str, object] = {"program_version": None, "recorded_by": None}
"""Of differences that no other version of the program explains."""


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


def recorded_days(world: World, strategy: str, first: date | None, last: date | None) -> list[str]:
    """Days of a strategy that hold recorded ticks, oldest first."""
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
    world: World, strategy: str, days: Sequence[str], done: Callable[[], object] = lambda: None, *, whole: bool = True
) -> Verified:  # fmt: skip
    """Verify `days` of one strategy and what rests on them, that all its rows belong together, and its audit trail.

    done: called after each day. whole: read every sealed day again, also one that has no ticks any more.

    Raises:
        BrokenChainError: the audit trail was tampered with.
    """
    ledger = world.ledger(strategy)
    trail = ledger.query("SELECT * FROM admin_actions").sort("sequence")
    own = (world.store, world.settings().config.account, strategy)
    result = Verified(strategy, ledger_hash(*own), trades_hash(*own), verify_chain(trail.iter_rows(named=True)))
    sealed = verify_seals(world, strategy, None if whole else days)
    beyond = [*verify_integrity(ledger), *sealed.differences]
    result.differences += [{"day": None, **asdict(found), **NO_VERSIONS} for found in beyond]
    result.sealed_until, result.seal = sealed.newest_day, next(iter(sealed.seals[::-1]), None)
    result.unknown += _unknown(world, strategy, days, sealed.unsealed_ticks)
    if not whole:
        result.unknown.append(f"{strategy}: rows of sealed days outside the range were not read again")
    for span in spans(ledger, days):
        _verify_span(world, result, span)
        for _ in span:
            done()
    return result


def _unknown(world: World, strategy: str, days: Sequence[str], unsealed_ticks: int) -> list[str]:
    """What is not compared, in words."""
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


def _verify_span(world: World, result: Verified, days: Sequence[str]) -> None:
    """Verify days that follow one another, at once where they are as recorded, each for itself where they are not."""
    ledger = world.ledger(result.strategy)
    together = verify_span(ledger, days)
    as_consumed = together is not None and len(days) > 1 and not verify_consumed(ledger, days[0], days[-1])
    for place, day in enumerate(days):
        try:
            _add(result, verify_day(ledger, day) if together is None else together[place])
            beside = [] if as_consumed else verify_consumed(ledger, day)
            result.differences += [{"day": day, **asdict(found), **NO_VERSIONS} for found in beside]
        except LedgerError as error:  # the day cannot be taken again; the others are
            unread = Difference(type(error).__name__, "missing", str(error), "", None, None)
            result.differences.append({"day": day, **asdict(unread), **NO_VERSIONS})
    try:
        beyond = verify_evaluation(world, result.strategy, days)
    except LedgerError as error:
        beyond = [Difference(type(error).__name__, "missing", str(error), "", None, None)]
    result.differences += [{"day": None, **asdict(found), **NO_VERSIONS} for found in beyond]


def _add(result: Verified, verification: Verification) -> None:
    rows = sum(verification.compared.values())
    result.ticks += verification.ticks
    result.rows += rows
    result.days.append(
        {"day": verification.day, "ticks": verification.ticks, "rows": rows, "equal": verification.passed}
    )
    for difference in verification.differences:
        shown = {"day": verification.day, **asdict(difference), "program_version": verification.program_version}
        result.differences.append({**shown, "recorded_by": ", ".join(verification.recorded_versions)})
