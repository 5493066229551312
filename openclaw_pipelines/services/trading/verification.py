"""Takes recorded ticks again from their recorded inputs and compares every row with what the ledger holds.

Nothing but the ledger is read: not the candles, not the configuration of today, and no executor is asked. What paper
reported is worked out again and compared; what another executor reported is read. A difference is a finding, never a
rewrite.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from openclaw_pipelines.contracts.enums import TickStatus
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.program import program_version, release_of
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.governance.audit import PROPOSAL_MOVED, AuditChain
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.inception import inception, opening_state
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.records import Row
from openclaw_pipelines.domain.trading.session import new_session
from openclaw_pipelines.domain.trading.tick import run_tick
from openclaw_pipelines.resources.store.comparison import Difference, verify_equal
from openclaw_pipelines.resources.store.store import key_text
from openclaw_pipelines.resources.store.strategy_ledger import TICK_TABLES, StrategyLedger

MOMENT = timedelta(microseconds=1)
SPAN_TICKS, SPAN_DAYS = 800, 8
"""So many are taken again at once, while nobody writes to the ledger: a few seconds."""
_MOVE = ("subject", "from_state", "to_state", "tick_at", "actor", "details")
_OF_TICKS = "tick_at >= ? AND tick_at <= ?"


@dataclass(frozen=True)
class Verification:
    """Result for one day of one strategy.

    compared: rows by table. differences: empty when the replay agrees with the ledger in every business column.
    recorded_versions: versions of the program that took the recorded ticks; program_version: the one that replays them.
    """

    strategy: str
    day: str
    ticks: int
    compared: dict[str, int]
    differences: tuple[Difference, ...]
    recorded_versions: tuple[str, ...]
    program_version: str = field(default_factory=program_version)

    @property
    def passed(self) -> bool:
        """Whether the replay agrees."""
        return not self.differences


def verify_day(ledger: StrategyLedger, day: str) -> Verification:
    """Replay the recorded ticks of a day and compare.

    Raises:
        MissingStateError: the state from which the day starts is not recorded.
    """
    return _verified(ledger, day, day)[1]


def verify_span(ledger: StrategyLedger, days: Sequence[str]) -> list[Verification] | None:
    """As `verify_day` for each day of one of the `spans`, replayed in one go; None where they differ.

    A difference goes on to the days after it, so that each day is then to be asked for itself.
    """
    try:
        rows, whole = _verified(ledger, days[0], days[-1])
    except LedgerError:
        return None
    if not whole.passed:
        return None
    counts = {day: Counter[str]() for day in days}
    for table in TICK_TABLES:
        for row in rows.get(table, []):
            day = f"{row['tick_at'] - MOMENT:%Y-%m-%d}"
            counts[max(day, days[0])][table] += 1  # an inception opens the first
    inputs = Counter(f"{row['tick_at'] - MOMENT:%Y-%m-%d}" for row in rows.get("tick_inputs", []))
    return [
        Verification(ledger.strategy, day, inputs[day], dict(counts[day]), (), whole.recorded_versions) for day in days
    ]


def _verified(ledger: StrategyLedger, day: str, last: str) -> tuple[dict[str, list[Row]], Verification]:
    """Rows of days that follow one another, taken again in one go, and what was found."""
    start, end = day_start(day), day_start(last) + DAY
    with ledger.reading():
        inputs = [row for row in ledger.inputs(start, end) if row["tick_at"] != row["inception"]]
        if not inputs:
            return {}, Verification(ledger.strategy, day, 0, {}, (), ())
        versions = ledger.versions(start, end)
        rows = replayed(ledger, inputs, ledger.previous_tick(inputs[0]["tick_at"]))
        moves = ledger.query(
            f"SELECT {', '.join(_MOVE)} FROM admin_actions", f"{_OF_TICKS} AND action = ?",
            [inputs[0]["tick_at"], inputs[-1]["tick_at"], PROPOSAL_MOVED],
        )  # fmt: skip
        begun = [row for row in ledger.inputs(start - MOMENT, start) if row["tick_at"] == row["inception"]]
        for row in begun:
            for table, own in begun_again(row).items():
                rows[table] = own + rows.get(table, [])
    first = start if begun else inputs[0]["tick_at"]
    differences, compared = _compared(ledger, rows, first, inputs[-1]["tick_at"], versions)
    differences += _moves_compared(rows.get("admin_actions", []), moves.to_dicts())
    return rows, Verification(ledger.strategy, day, len(inputs), compared, tuple(differences), versions)


def spans(ledger: StrategyLedger, days: Sequence[str]) -> list[list[str]]:
    """Days in groups that follow one another under one deployment and are taken again at once.

    days: with recorded ticks, in order. A group is a day, or at most `SPAN_DAYS` with at most `SPAN_TICKS` ticks.
    """
    ticks = ledger.query("SELECT tick_at, status FROM autopilot_ticks").rows()
    counts = Counter(f"{at - MOMENT:%Y-%m-%d}" for at, _ in ticks)
    first = {f"{at:%Y-%m-%d}" for at, status in ticks if status == TickStatus.INCEPTION.value}
    groups: list[list[str]] = []
    for one in days:
        follows = groups and day_start(groups[-1][-1]) + DAY == day_start(one) and one not in first
        if follows and len(groups[-1]) < SPAN_DAYS and sum(counts[own] for own in (*groups[-1], one)) <= SPAN_TICKS:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _compared(
    ledger: StrategyLedger, rows: dict[str, list[Row]], first: datetime, last: datetime, versions: Sequence[str]
) -> tuple[list[Difference], dict[str, int]]:
    """Differences and rows by table. What versions may say otherwise is compared where this one recorded it."""
    same_release = {release_of(version) for version in versions} == {release_of(program_version())}
    alike = {"run_fingerprint": same_release, "phases": set(versions) == {program_version()}}
    also = [column for column, comparable in alike.items() if comparable]
    differences: list[Difference] = []
    compared: dict[str, int] = {}
    params = [ledger.account_id, ledger.strategy, first, last]
    with ledger.store.read("ledger") as con:
        for table in TICK_TABLES:
            own = rows.get(table, [])
            frame = TABLES[table].unchecked([{**row, "recorded_at": row["tick_at"]} for row in own])
            within = f"account_id = ? AND strategy_config_id = ? AND {_OF_TICKS}"
            differences += verify_equal(con, table, frame, within=within, params=params, also=also)
            compared[table] = frame.height
    return differences, compared


def _moves_compared(given: list[Row], stored: list[Row]) -> list[Difference]:
    """Moves of proposals by what they are about: their places in the chain hang on what came between."""
    counts = [Counter(tuple(row[name] for name in _MOVE) for row in own) for own in (given, stored)]
    kinds: tuple[tuple[Literal["missing", "extra"], Counter[tuple[object, ...]]], ...] = (
        ("missing", counts[0] - counts[1]),
        ("extra", counts[1] - counts[0]),
    )
    return [
        Difference("admin_actions", kind, key_text(dict(zip(_MOVE, move, strict=True))), "", None, None)
        for kind, moves in kinds
        for move in sorted(moves.elements(), key=str)
    ]


def begun_again(recorded: Row) -> dict[str, list[Row]]:
    """Rows of a recorded inception, from its warm-up bars, deployment and policy."""
    deployment, policy = Deployment.from_payload(recorded["deployment"]), Policy.from_payload(recorded["policy"])
    warm_up = {
        datetime.fromisoformat(at): {symbol: tuple(bar) for symbol, bar in own.items()}
        for at, own in json.loads(recorded["bars"]).items()
    }
    chain = AuditChain(deployment.account_id, deployment.strategy_config_id)
    state = opening_state(deployment, policy, warm_up)
    session = new_session(deployment, policy, state, chain, recorded["config_fingerprint"])
    return inception(session, warm_up).rows


def replayed(
    ledger: StrategyLedger,
    inputs: list[Row],
    since: datetime,
    change: Callable[[Policy], Policy] = lambda recorded: recorded,
) -> dict[str, list[Row]]:
    """Rows of the recorded ticks, taken again one by one from the state after the tick `since`.

    change: what to take them under instead of each recorded policy, as with more slippage.
    """
    session = ledger.session_at(since)
    session.chain = AuditChain(ledger.account_id, ledger.strategy)
    rows: dict[str, list[Row]] = {}
    context_hash = None
    for row in inputs:
        session.config_fingerprint = row["config_fingerprint"]
        if row["context_hash"] != context_hash:
            session.deployment = Deployment.from_payload(row["deployment"])
            session.use_policy(change(Policy.from_payload(row["policy"])))
            context_hash = row["context_hash"]
        result = run_tick(session, TickInput.from_row(row))
        for table, own in result.rows.items():
            rows.setdefault(table, []).extend(own)
    return rows
