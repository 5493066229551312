"""`paper_replay_parity`: what paper recorded on a day, taken again from its recorded inputs, as a stored report.

The replay is that of `services.trading.verification`; here its result gets a class, and a hash by which it goes stale.
"""

from collections.abc import Sequence

from openclaw_pipelines.contracts.canonical import canonical_json, sha256_of
from openclaw_pipelines.contracts.factory import Comparison, ParityClass
from openclaw_pipelines.contracts.program import release_of
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import ParityReportRow
from openclaw_pipelines.contracts.symbols import normalize
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.lifecycle.evidence import ParityState
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.kernel.base.compile_cache import sources_hash
from openclaw_pipelines.resources.store.comparison import Difference, ledger_hash
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.trading.verification import Verification

CONTRACT_TABLES = frozenset({"tick_inputs"})
"""Tables of what the two sides were given; a difference there makes the comparison invalid."""
REPORTED = frozenset({"reports"})
"""Columns of them that say what was traded."""
TRADE_TABLES = frozenset(
    {"autopilot_proposals", "autopilot_decisions", "autopilot_orders", "autopilot_fills", "autopilot_positions"}
)
"""Tables of what was decided and traded; in the others are totals."""


def classify(verification: Verification) -> ParityClass:
    """Class of a replayed day.

    Ticks recorded by another release of the program are not comparable, whether or not they agree; between commits of
    one release nothing may change what is traded, so they are compared.
    """
    given = {one.table for one in verification.differences if one.column not in REPORTED}
    if recorded_releases(verification) != [release_of(verification.program_version)] or given & CONTRACT_TABLES:
        return ParityClass.INVALID_COMPARISON
    tables = {one.table for one in verification.differences}
    if tables & (TRADE_TABLES | CONTRACT_TABLES):
        return ParityClass.STATE_MACHINE
    return ParityClass.REDUCTION_ORDER if tables else ParityClass.EQUAL


def recorded_releases(verification: Verification) -> list[str]:
    """Releases of the program that took the recorded ticks."""
    return sorted({release_of(version) for version in verification.recorded_versions})


def record_paper_parity(world: World, verification: Verification) -> ParityReportRow | None:
    """Store the report of a replayed day in place of an earlier one; None where nothing is recorded."""
    if verification.ticks == 0:
        return None
    row = _report(world, verification.strategy, verification.day, verification)
    frame = TABLES["parity_reports"].frame([row])
    with world.store.write("research") as con:
        con.execute(
            "DELETE FROM parity_reports WHERE cycle_id = ? AND comparison = ?", [row["cycle_id"], row["comparison"]]
        )
        insert(con, "parity_reports", frame, validated=True)
    return row


def paper_parity(world: World, strategy: str, days: Sequence[str]) -> list[ParityState]:
    """The stored report of each day, and whether it is about today's program and the rows as they stand."""
    account = world.settings().config.account
    sql = "SELECT * FROM parity_reports WHERE comparison = ?"
    stored = rows_as(ParityReportRow, world.store.query("research", sql, [Comparison.PAPER_REPLAY.value]))
    by_key = {row["cycle_id"]: row for row in stored}
    return [_state(world, account, strategy, day, by_key.get(report_key(account, strategy, day))) for day in days]


def report_key(account: str, strategy: str, day: str) -> str:
    """What stands in place of a cycle's identifier.

    >>> report_key("paper", "swing", "2025-05-10")
    'paper:paper:swing:2025-05-10'
    """
    return f"paper:{account}:{strategy}:{day}"


def _state(world: World, account: str, strategy: str, day: str, row: ParityReportRow | None) -> ParityState:
    if row is None:
        return ParityState(day, None, fresh=False, reason="no report is stored; materialize the day's checks")
    kind = ParityClass(row["verdict"])
    if row["code_version"] != sources_hash():
        return ParityState(day, kind, fresh=False, reason="the report is about other sources of the kernel")
    if row["left_hash"] != day_hash(world, account, strategy, day):
        return ParityState(day, kind, fresh=False, reason="rows of the day changed since the report")
    reason = kind.value if row["first_difference"] is None else f"{kind.value}: {row['first_difference']}"
    return ParityState(day, kind, fresh=True, reason=reason)


def day_hash(world: World, account: str, strategy: str, day: str) -> str:
    """Ledger hash of a day of a strategy."""
    return ledger_hash(world.store, account, strategy, day_start(day), day_start(day) + DAY)


def _report(world: World, strategy: str, day: str, verification: Verification) -> ParityReportRow:
    account, ledger = world.settings().config.account, world.ledger(strategy)
    last = ledger.recorded_ticks(day_start(day), day_start(day) + DAY)[-1]
    inputs = ledger.query("SELECT bars_hash, context_hash FROM tick_inputs", "tick_at = ?", [last]).row(0, named=True)
    deployment = ledger.deployment_at(last)
    found, left = classify(verification), day_hash(world, account, strategy, day)
    shared = {"day": day, "ticks": verification.ticks, "context": inputs["context_hash"]}
    invalid = [one for one in verification.differences if one.table in CONTRACT_TABLES]
    release = release_of(verification.program_version)
    right_contract = {**shared, "versions": [release], "inputs": [vars(one) for one in invalid]}
    row: dict[str, str | None] = {
        "cycle_id": report_key(account, strategy, day),
        "comparison": Comparison.PAPER_REPLAY.value,
        "params_hash": _params_hash(deployment),
        "sample": "recorded",
        "verdict": found.value,
        "code_version": sources_hash(),
        "bars_hash": inputs["bars_hash"],
        "left_contract": sha256_of({**shared, "versions": recorded_releases(verification), "inputs": []}),
        "right_contract": sha256_of(right_contract),
        "left_hash": left,
        "right_hash": left if verification.passed else sha256_of([left, [vars(o) for o in verification.differences]]),
        "differing": canonical_json(sorted({f"{one.table}.{one.column}" for one in verification.differences})),
        "first_difference": _first(verification.differences),
        "symbols": canonical_json(_by_symbol(verification, deployment.symbols)),
    }
    stored = TABLES["parity_reports"].frame(
        [{**row, "recorded_at": world.clock.now(), "report_hash": sha256_of(row), "device": None}]
    )
    return rows_as(ParityReportRow, stored)[0]


def _params_hash(deployment: Deployment) -> str:
    from openclaw_pipelines.kernel.strategy.params import params_hash, params_record

    return params_hash(params_record(deployment.family, deployment.params, deployment.interval_seconds))


def _first(differences: Sequence[Difference]) -> str | None:
    """The first difference by importance: what was given, then trades, then totals."""
    if not differences:
        return None

    def order(one: Difference) -> tuple[bool, bool, str]:
        return (one.table not in CONTRACT_TABLES, one.table not in TRADE_TABLES, one.key)

    return canonical_json(vars(min(differences, key=order)))


def _by_symbol(verification: Verification, symbols: Sequence[str]) -> dict[str, str]:
    """Class per symbol, by the differences whose key names it."""
    found = {}
    for symbol in symbols:
        own = tuple(
            one for one in verification.differences if f":{normalize(symbol)}:" in one.key or f"={symbol}" in one.key
        )
        found[symbol] = classify(
            Verification(
                verification.strategy, verification.day, verification.ticks, {}, own, verification.recorded_versions
            )
        ).value
    return found
