"""The daily review: who is paused, who is retired, who gets more size, who takes the champion's place.

A slot has at most one promoted strategy, the champion; those on paper are its challengers. They trade on paper in
sub-accounts of their own at the first ramp. (A `shadow` account executes nothing: it never holds a position, so it has
no exits, no costs and no trades to compare; a sub-account is filled by the same candle rules as the champion's.)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from openclaw_pipelines.contracts.config.lifecycle import Lifecycle
from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.domain.lifecycle.evidence import PaperEvidence
from openclaw_pipelines.domain.lifecycle.log import Position, Step, step_to
from openclaw_pipelines.domain.lifecycle.rules import Rule, first_blocking, first_firing, paper_gates, rotation
from openclaw_pipelines.domain.lifecycle.states import TRADING


@dataclass(frozen=True)
class Standing:
    """One deployed strategy with what it has shown."""

    position: Position
    evidence: PaperEvidence

    @property
    def name(self) -> str:
        """Name of the strategy."""
        return self.position.origin.strategy


@dataclass(frozen=True)
class Judged:
    """Every rule that was looked at for one strategy, for the record and for people."""

    strategy: str
    gates: tuple[Rule, ...]
    rotation: tuple[Rule, ...]


@dataclass(frozen=True)
class Move:
    """Steps that belong together, and what caused them."""

    trigger: Trigger
    steps: tuple[Step, ...]


def review(standings: Sequence[Standing], limits: Lifecycle) -> tuple[list[Move], list[Judged]]:
    """What happens to every deployed strategy, by name order; nothing here depends on the order given."""
    ordered = sorted(standings, key=lambda own: own.name)
    judged = [judge(own, ordered, limits) for own in ordered]
    rules = {own.strategy: own for own in judged}
    moves: list[Move] = []
    for own in ordered:
        moves += _taken_out(own, rules[own.name], limits)
    out = {step.origin.strategy for move in moves for step in move.steps}
    staying = [own for own in ordered if own.name not in out]
    for slot in sorted({own.position.origin.slot for own in staying}):
        moves += _grown([own for own in staying if own.position.origin.slot == slot], rules, limits)
    return moves, judged


def judge(own: Standing, others: Iterable[Standing], limits: Lifecycle) -> Judged:
    """Rotation rules, and the gates to more size; a challenger must also beat its slot's champion."""
    gates = paper_gates(own.evidence, limits)
    champion = champion_of(own.position.origin.slot, others)
    if own.position.stage is Stage.PAPER and champion is not None:
        gates = (*gates, beats_champion(own, champion))
    return Judged(own.name, gates, rotation(own.evidence, limits))


def champion_of(slot: str, standings: Iterable[Standing]) -> Standing | None:
    """The promoted strategy of a slot."""
    return next(
        (own for own in standings if own.position.origin.slot == slot and own.position.stage is Stage.PROMOTED), None
    )


def beats_champion(challenger: Standing, champion: Standing) -> Rule:
    """Return at full size over the time that both traded at their present size, in bps; a tie keeps the champion."""
    start = max(challenger.evidence.since, champion.evidence.since)
    own, other = (full_size_return_bps(one, start) for one in (challenger, champion))
    name, required = "beats_champion", f"> 0 bps more than {champion.name}"
    if own is None or other is None:
        return Rule(name, None, required, holds=False, reason="no common ticks yet", sample_size=0)
    reason = f"{own:.2f} against {other:.2f} bps at full size since {start:%Y-%m-%d %H:%M}Z"
    ticks = len(challenger.evidence.curve_from(start)) - 1
    return Rule(name, float(own - other), required, own > other, reason, ticks)


def full_size_return_bps(own: Standing, start: Any) -> Decimal | None:
    """Return of the marked equity since `start` divided by the share of full size that it was made with.

    Sizes are proportional to the ramp but for lots and least orders, so that a quarter of the size is compared with a
    whole one by what each made of a whole.
    """
    curve = own.evidence.curve_from(start)
    if len(curve) < 2 or curve[0] <= 0 or own.position.ramp_bps == 0:
        return None
    return (curve[-1] / curve[0] - 1) * 10_000 * 10_000 / own.position.ramp_bps


def measures(rules: Iterable[Rule]) -> dict[str, object]:
    """Rules as the log keeps them."""
    return {
        rule.name: {
            "measured": rule.measured,
            "required": rule.required,
            "holds": rule.holds,
            "reason": rule.reason,
            "sample_size": rule.sample_size,
        }
        for rule in rules
    }


def next_ramp_bps(position: Position, limits: Lifecycle) -> int | None:
    """The ramp after the present one; None at the last."""
    return next((ramp for ramp in sorted(limits.ramps_bps) if ramp > position.ramp_bps), None)


def _taken_out(own: Standing, judged: Judged, limits: Lifecycle) -> list[Move]:
    if own.position.stage in TRADING:
        rule = first_firing(judged.rotation)
        return [_pause(own, rule, judged)] if rule is not None else []
    if own.position.stage is Stage.PAUSED and own.evidence.flat and _done_for(own, limits):
        reason = f"flat, paused by {own.position.trigger.value} as of {own.position.since:%Y-%m-%d %H:%M}Z"
        step = step_to(own.position, Stage.RETIRED, 0, reason, **measures(judged.rotation))
        return [Move(Trigger.SCHEDULE, (step,))]
    return []


def _done_for(own: Standing, limits: Lifecycle) -> bool:
    """An operator's pause, or a kill switch's, may end: what the schedule took out retires, and what is too old."""
    return own.position.trigger is Trigger.SCHEDULE or own.evidence.age_days > limits.rotation_age_days


def _pause(own: Standing, rule: Rule, judged: Judged) -> Move:
    trigger = Trigger.KILL_SWITCH if rule.name == "kill_switch" else Trigger.SCHEDULE
    measured = "" if rule.measured is None else f" {rule.measured:.4g}"
    reason = f"{rule.name}{measured}, required {rule.required}: {rule.reason}"
    ramp = own.position.ramp_bps
    return Move(trigger, (step_to(own.position, Stage.PAUSED, ramp, reason, **measures(judged.rotation)),))


def _grown(slot: Sequence[Standing], rules: Mapping[str, Judged], limits: Lifecycle) -> list[Move]:
    """Promotion of the best challenger that passed, or else the champion's next ramp."""
    passed = [own for own in slot if first_blocking(rules[own.name].gates) is None]
    challengers = [own for own in passed if own.position.stage is Stage.PAPER]
    if challengers:
        best = max(challengers, key=lambda own: (full_size_return_bps(own, own.evidence.since) or Decimal(0), own.name))
        return [Move(Trigger.SCHEDULE, promotion(best, champion_of_slot(slot), rules[best.name], limits))]
    champions = [own for own in passed if own.position.stage is Stage.PROMOTED]
    return [Move(Trigger.SCHEDULE, (step,)) for own in champions for step in ramp_step(own, rules[own.name], limits)]


def champion_of_slot(slot: Sequence[Standing]) -> Standing | None:
    """The promoted strategy among those of one slot."""
    return champion_of(slot[0].position.origin.slot, slot) if slot else None


def promotion(own: Standing, champion: Standing | None, judged: Judged, limits: Lifecycle) -> tuple[Step, ...]:
    """A challenger becomes the champion; the one it beat is paused in the same transition."""
    ramp = next_ramp_bps(own.position, limits) or own.position.ramp_bps
    metrics = measures(judged.gates)
    steps = [step_to(own.position, Stage.PROMOTED, ramp, f"all {len(judged.gates)} gates hold", **metrics)]
    if champion is not None:
        reason = f"{own.name} takes its place: {judged.gates[-1].reason}"
        steps.append(step_to(champion.position, Stage.PAUSED, champion.position.ramp_bps, reason, **metrics))
    return tuple(steps)


def ramp_step(own: Standing, judged: Judged, limits: Lifecycle) -> list[Step]:
    """The champion's next size; empty at full size."""
    ramp = next_ramp_bps(own.position, limits)
    if ramp is None:
        return []
    reason = f"all {len(judged.gates)} gates hold at {own.position.ramp_bps} bps of full size"
    return [step_to(own.position, Stage.PROMOTED, ramp, reason, **measures(judged.gates))]
