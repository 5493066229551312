"""Takes recorded ticks again from their recorded inputs and compares every row with what the ledger holds.

Nothing but the ledger is read: not the candles, not the configuration of today, and no executor is asked. What paper
reported is worked out again and compared; what another executor reported is read. A difference is a finding, never a
rewrite.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from openclaw_pipelines.contracts.program import program_version
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.governance.audit import AuditChain
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.records import Row
from openclaw_pipelines.domain.trading.tick import run_tick
from openclaw_pipelines.resources.store.comparison import Difference, verify_equal
from openclaw_pipelines.resources.store.strategy_ledger import TICK_TABLES, StrategyLedger


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
    start, end = day_start(day), day_start(day) + DAY
    with ledger.reading():
        inputs = [row for row in ledger.inputs(start, end) if row["tick_at"] != row["inception"]]
        if not inputs:
            return Verification(ledger.strategy, day, 0, {}, (), ())
        versions = ledger.versions(start, end)
        rows = replayed(ledger, inputs, ledger.previous_tick(inputs[0]["tick_at"]))
    first, last = inputs[0]["tick_at"], inputs[-1]["tick_at"]
    differences: list[Difference] = []
    compared: dict[str, int] = {}
    with ledger.store.read("ledger") as con:
        for table in TICK_TABLES:
            own = rows.get(table, [])
            frame = TABLES[table].unchecked([{**row, "recorded_at": row["tick_at"]} for row in own])
            within = "account_id = ? AND strategy_config_id = ? AND tick_at >= ? AND tick_at <= ?"
            params = [ledger.account_id, ledger.strategy, first, last]
            differences += verify_equal(con, table, frame, within=within, params=params)
            compared[table] = frame.height
    return Verification(ledger.strategy, day, len(inputs), compared, tuple(differences), versions)


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
