"""What moves deployed strategies: the daily review, an operator's promotion, demotion and rollback.

Each decides under the lock on evidence as of the given time, writes its transition and the configuration layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.lifecycle.log import Position, Step, step_to, undoing
from openclaw_pipelines.domain.lifecycle.review import (
    Judged,
    Standing,
    champion_of,
    judge,
    promotion,
    ramp_step,
    review,
)
from openclaw_pipelines.domain.lifecycle.rules import first_blocking
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.services.lifecycle.standing import standings

OPERATOR = "operator"


class PaperGateError(LedgerError):
    """A gate between paper and more size does not hold."""

    template = "{strategy} gets no more size: {gate} is {measured}, required {required}. {reason}."
    strategy: str
    gate: str
    measured: str
    required: str
    reason: str


class NotFlatError(LedgerError):
    """A strategy with open positions or orders cannot be retired: nobody would close them."""

    template = "{strategy} still holds positions or orders. Retire it when its own rules have closed them."
    strategy: str


class FullSizeError(LedgerError):
    """The champion trades at full size already."""

    template = "{strategy} is promoted at full size; there is nothing to promote it to."
    strategy: str


@dataclass(frozen=True)
class Reviewed:
    """What a review did. rows: transitions written. judged: every rule of every strategy."""

    as_of: datetime
    rows: Sequence[dict[str, object]]
    judged: Sequence[Judged]


def review_day(world: World, day: str) -> Reviewed:
    """The review at the end of a UTC day, as of the next 00:00Z or of now where that is earlier.

    A strategy that moved later than that was reviewed already: it is judged for the record and left where it is.
    """
    as_of = min(day_start(day) + DAY, world.clock.now())
    book = DeploymentBook(world)
    with book.changing():
        found = [own for own in standings(world, as_of) if own.position.since <= as_of]
        moves, judged = review(found, world.settings().config.lifecycle)
        rows: list[dict[str, object]] = []
        for move in moves:
            rows += book.commit(move.steps, trigger=move.trigger, actor="lifecycle", at=as_of)
    return Reviewed(as_of, rows, judged)


def promote(world: World, strategy: str, *, as_of: datetime, reason: str = "", actor: str = OPERATOR) -> Position:
    """Give a strategy the next size, where its gates hold; a paused one goes back to paper, at the first ramp.

    actor: who asks, for the log.

    Raises:
        UnknownDeploymentError, IllegalTransitionError, PaperGateError, FullSizeError: nothing is written.
    """
    book = DeploymentBook(world)
    with book.changing():
        steps = _promotion(world, book.position(strategy), as_of, reason)
        book.commit(steps, trigger=Trigger.OPERATOR, actor=actor, at=as_of)
    return book.position(strategy)


def demote(
    world: World, strategy: str, *, as_of: datetime, reason: str, retire: bool = False, actor: str = OPERATOR
) -> Position:
    """Pause a strategy; with `retire`, retire one that is paused and flat, or that never traded.

    actor: who asks, for the log.

    Raises:
        UnknownDeploymentError, IllegalTransitionError, NotFlatError: nothing is written.
    """
    book = DeploymentBook(world)
    with book.changing():
        position = book.position(strategy)
        if retire and position.stage is Stage.PAUSED and not _standing(world, strategy, as_of).evidence.flat:
            raise NotFlatError(strategy)
        to_stage = Stage.RETIRED if retire else Stage.PAUSED
        step = step_to(position, to_stage, 0 if retire else position.ramp_bps, reason)
        book.commit([step], trigger=Trigger.OPERATOR, actor=actor, at=as_of)
    return book.position(strategy)


def rollback(world: World, strategy: str, *, as_of: datetime, reason: str, actor: str = OPERATOR) -> list[Position]:
    """Undo the newest transition of a strategy, and of all that moved with it; returns where they stand now.

    actor: who asks, for the log.

    Raises:
        UnknownDeploymentError, NothingToUndoError: nothing is written.
    """
    book = DeploymentBook(world)
    with book.changing():
        transition, steps = undoing(book.rows(), strategy, reason)
        book.commit(steps, trigger=Trigger.ROLLBACK, actor=actor, at=as_of, undoes=transition)
    found = book.positions()
    return [found[step.origin.strategy] for step in steps]


def _promotion(world: World, position: Position, as_of: datetime, reason: str) -> Sequence[Step]:
    strategy, limits = position.origin.strategy, world.settings().config.lifecycle
    if position.stage not in (Stage.PAPER, Stage.PROMOTED):
        # of the other stages only `paused` leads to paper by an operator's word; deploying takes a cycle's evidence
        to_stage = Stage.PAPER if position.stage is Stage.PAUSED else Stage.PROMOTED
        return [step_to(position, to_stage, min(limits.ramps_bps), reason or "resumed by the operator")]
    found = standings(world, as_of)
    own = next(one for one in found if one.name == strategy)
    judged = judge(own, found, limits)
    blocking = first_blocking(judged.gates)
    if blocking is not None:
        measured = "undefined" if blocking.measured is None else f"{blocking.measured:.6g}"
        raise PaperGateError(strategy, blocking.name, measured, blocking.required, blocking.reason.capitalize())
    if position.stage is Stage.PAPER:
        return promotion(own, champion_of(position.origin.slot, found), judged, limits)
    steps = ramp_step(own, judged, limits)
    if not steps:
        raise FullSizeError(strategy)
    return steps


def _standing(world: World, strategy: str, as_of: datetime) -> Standing:
    return next(own for own in standings(world, as_of) if own.name == strategy)
