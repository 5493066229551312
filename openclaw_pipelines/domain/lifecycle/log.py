"""The log of transitions: what a strategy is now follows from its rows alone, and each row follows from the one before.

All strategies of an account share one chain, since one transition may move two of them: a challenger takes the place of
the champion. Rows are never changed; a rollback appends the opposite moves. Storing rows is in `services.lifecycle`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.chain import GENESIS, chained_hash, first_broken
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.contracts.rows.lifecycle import DeploymentRow
from openclaw_pipelines.domain.lifecycle.states import move, undo

CHAINED = (
    "account_id", "sequence", "transition", "strategy_config_id", "slot", "from_state", "to_state", "from_ramp_bps",
    "ramp_bps", "family", "params", "params_hash", "interval", "symbols", "capital", "section", "start_day",
    "cycle_id", "gate_hash", "parity_hash", "trigger", "actor", "metrics", "reason", "at", "undoes",
)  # fmt: skip


class BrokenDeploymentLogError(LedgerError):
    """A row of the log does not follow from the one before it."""

    template = (
        "deployments of {account}: row {sequence} does not follow from the row before it. It was changed or removed."
    )
    account: str
    sequence: int


class UnknownDeploymentError(LedgerError):
    """No factory cycle deployed a strategy of this name."""

    template = "no factory cycle deployed {strategy!r}. Deployed: {known}."
    strategy: str
    known: str


class NothingToUndoError(LedgerError):
    """Every transition of the strategy is undone already."""

    template = "{strategy} has no transition left to roll back."
    strategy: str


class LateTransitionError(LedgerError):
    """A transition as of a time before the newest one of its strategy."""

    template = "{strategy} moved last as of {newest}; a transition as of {at} would change the past."
    strategy: str
    newest: datetime
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What travels unmutated from the sweep into paper.

    slot: strategy whose place it may take; at most one strategy of a slot is promoted. params: canonical JSON of every
    parameter. capital: quote currency. section: see `document.section_of`. start_day: inception at its 00:00Z.
    gate_hash and parity_hash: SHA-256 of the evidence it was deployed on.
    """

    strategy: str
    slot: str
    cycle_id: str
    family: str
    params: str
    params_hash: str
    interval: str
    symbols: tuple[str, ...]
    capital: Decimal
    section: str
    start_day: date
    gate_hash: str
    parity_hash: str


@dataclass(frozen=True)
class Position:
    """What a strategy is now. since: as-of time of the move that led here; trigger: what caused that."""

    origin: Origin
    stage: Stage
    ramp_bps: int
    since: datetime
    sequence: int
    trigger: Trigger


@dataclass(frozen=True)
class Step:
    """One wanted move of one strategy."""

    origin: Origin
    from_stage: Stage
    to_stage: Stage
    from_ramp_bps: int
    ramp_bps: int
    reason: str
    metrics: Mapping[str, object] = field(default_factory=dict)


def strategy_name(slot: str, params_hash: str, start_day: date) -> str:
    """Name of a deployed strategy: the same parameters found again later are another sub-account.

    >>> strategy_name("swing", "ab12" * 16, date(2025, 6, 3))
    'swing_ab12ab12_20250603'
    """
    return f"{slot}_{params_hash[:8]}_{start_day:%Y%m%d}"


def step_to(position: Position, to_stage: Stage, ramp_bps: int, reason: str, **metrics: object) -> Step:
    """A legal step from where a strategy stands."""
    move(position.origin.strategy, position.stage, to_stage)
    return Step(position.origin, position.stage, to_stage, position.ramp_bps, ramp_bps, reason, metrics)


def append(
    rows: Sequence[DeploymentRow],
    steps: Iterable[Step],
    *,
    account: str,
    trigger: Trigger,
    actor: str,
    at: datetime,
    undoes: int | None = None,
) -> list[dict[str, object]]:
    """Rows of one transition, chained to `rows`, without `recorded_at`.

    at: as-of time; no row of a strategy may lie before its newest one.

    Raises:
        LateTransitionError, IllegalTransitionError: nothing is returned.
    """
    newest = {row["strategy_config_id"]: row["at"] for row in rows}
    sequence = rows[-1]["sequence"] if rows else 0
    last_hash = rows[-1]["row_hash"] if rows else GENESIS
    transition, made = sequence + 1, []
    for step in steps:
        name = step.origin.strategy
        if name in newest and at < newest[name]:
            raise LateTransitionError(name, newest[name], at)
        if undoes is None:
            move(name, step.from_stage, step.to_stage)
        sequence += 1
        row: dict[str, object] = {
            **_columns(step),
            "account_id": account,
            "sequence": sequence,
            "transition": transition,
            "trigger": trigger.value,
            "actor": actor,
            "at": at,
            "undoes": undoes,
            "prev_hash": last_hash,
        }
        last_hash = row_hash(row)
        made.append({**row, "row_hash": last_hash})
    return made


def row_hash(row: Mapping[str, object]) -> str:
    """SHA-256 over `prev_hash` and the business columns of a row."""
    return chained_hash(row, CHAINED)


def verify_log(rows: Iterable[DeploymentRow]) -> int:
    """Number of rows of a whole log in order. Raises BrokenDeploymentLogError at the first that does not follow."""
    log = list(rows)
    broken = first_broken(log, CHAINED)
    if broken is not None:
        raise BrokenDeploymentLogError(broken["account_id"], broken["sequence"])
    return len(log)


def positions(rows: Iterable[DeploymentRow]) -> dict[str, Position]:
    """Where every strategy stands after the rows, by name."""
    found: dict[str, Position] = {}
    for row in rows:
        origin = _origin(row)
        found[origin.strategy] = Position(
            origin,
            Stage(row["to_state"]),
            row["ramp_bps"],
            row["at"],
            row["sequence"],
            Trigger(row["trigger"]),
        )  # fmt: skip
    return dict(sorted(found.items()))


def position_of(rows: Iterable[DeploymentRow], strategy: str) -> Position:
    """Where one strategy stands. Raises UnknownDeploymentError."""
    found = positions(rows)
    if strategy not in found:
        raise UnknownDeploymentError(strategy, ", ".join(found) or "none")
    return found[strategy]


def undoing(rows: Sequence[DeploymentRow], strategy: str, reason: str) -> tuple[int, list[Step]]:
    """The newest transition of a strategy that is not undone yet, and the steps that lead back before it.

    Every strategy that it moved goes back to where it stood, also one that has moved on since: the champion that was
    paused for a challenger, and retired when flat, is the champion again.

    Raises:
        UnknownDeploymentError, NothingToUndoError.
    """
    now = positions(rows)
    position_of(rows, strategy)
    undone = {row["undoes"] for row in rows if row["undoes"] is not None}
    open_ones = [
        row["transition"]
        for row in rows
        if row["strategy_config_id"] == strategy and row["undoes"] is None and row["transition"] not in undone
    ]
    if not open_ones:
        raise NothingToUndoError(strategy)
    transition = open_ones[-1]
    first: dict[str, DeploymentRow] = {}
    for row in rows:
        if row["transition"] == transition:
            first.setdefault(row["strategy_config_id"], row)
    steps = []
    for name, row in first.items():
        before = undo(name, Stage(row["from_state"]), Stage(row["from_state"]))
        back = Step(now[name].origin, now[name].stage, before, now[name].ramp_bps, row["from_ramp_bps"], reason)
        steps.append(replace(back, metrics={"undoes_row_hash": row["row_hash"]}))
    return transition, steps


def _columns(step: Step) -> dict[str, object]:
    origin = step.origin
    return {
        "strategy_config_id": origin.strategy,
        "slot": origin.slot,
        "from_state": step.from_stage.value,
        "to_state": step.to_stage.value,
        "from_ramp_bps": step.from_ramp_bps,
        "ramp_bps": step.ramp_bps,
        "family": origin.family,
        "params": origin.params,
        "params_hash": origin.params_hash,
        "interval": origin.interval,
        "symbols": canonical_json(list(origin.symbols)),
        "capital": origin.capital,
        "section": origin.section,
        "start_day": origin.start_day,
        "cycle_id": origin.cycle_id,
        "gate_hash": origin.gate_hash,
        "parity_hash": origin.parity_hash,
        "metrics": canonical_json(step.metrics),
        "reason": step.reason,
    }


def _origin(row: DeploymentRow) -> Origin:
    return Origin(
        strategy=row["strategy_config_id"], slot=row["slot"], cycle_id=row["cycle_id"], family=row["family"],
        params=row["params"], params_hash=row["params_hash"], interval=row["interval"],
        symbols=tuple(json.loads(row["symbols"])), capital=row["capital"], section=row["section"],
        start_day=row["start_day"], gate_hash=row["gate_hash"], parity_hash=row["parity_hash"],
    )  # fmt: skip
