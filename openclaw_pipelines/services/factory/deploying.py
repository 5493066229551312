"""The last step of a cycle: what is required today, and the hand-over to `services.lifecycle`, which looks again."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.factory import CycleState
from openclaw_pipelines.contracts.requirements import Requirement
from openclaw_pipelines.domain.lifecycle.hand_over import Today
from openclaw_pipelines.domain.lifecycle.log import Position
from openclaw_pipelines.domain.selection.gate_limits import GateLimits
from openclaw_pipelines.domain.selection.gates import Evidence, evaluate
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.factory.cycle import cycle_row, gate_limits, open_cycle, set_state
from openclaw_pipelines.services.factory.listing import shortlisted
from openclaw_pipelines.services.factory.parity_rows import REQUIRED


@dataclass(frozen=True)
class Deployed:
    """What a cycle ended with. rows: the strategies that stand on paper because of it."""

    state: str
    reason: str | None
    rows: list[dict[str, object]]


def deploy(world: World, cycle_id: str) -> Deployed:
    """Put a validated cycle's candidates on paper; doing it twice is doing it once.

    Raises:
        HandOverError: the cycle is blocked, or a piece of its evidence no longer holds.
        CycleContractError: code, bars or configuration are others than when the cycle was begun.
    """
    from openclaw_pipelines.services.lifecycle.deploy import deploy_cycle

    row = cycle_row(world, cycle_id)
    if row["state"] == CycleState.INCUMBENT_HOLDS:
        return Deployed(row["state"], row["reason"], [])
    placed = deploy_cycle(world, cycle_id, today_of(world, cycle_id), as_of=world.clock.now())
    if row["state"] != CycleState.DEPLOYED:
        set_state(world, cycle_id, CycleState.DEPLOYED, None, row["reason"])
    after = cycle_row(world, cycle_id)
    return Deployed(after["state"], after["reason"], [_shown(position) for position in placed])


def today_of(world: World, cycle_id: str) -> Today:
    """Code, bars and requirements of now, which the evidence of a cycle is held against."""
    cycle = open_cycle(world, cycle_id)
    run = cycle.contract.run
    limits = gate_limits(cycle.settings.config.gates, cycle.recipe.seed, len(shortlisted(cycle)))
    comparisons = tuple(kind.value for kind in REQUIRED)
    return Today(run.code_version, frozenset({run.bars_hash}), required(limits), comparisons)


def required(limits: GateLimits) -> dict[str, Requirement]:
    """Gate -> what it must show: what every gate says over no evidence at all."""
    nothing = Evidence(
        train_returns=np.zeros((1, 2)), row=0, holdout_returns=np.zeros(0), net=Decimal(0),
        trades=pl.DataFrame(schema={"symbol": pl.String, "reason": pl.String, "net": pl.Decimal(38, 18)}),
    )  # fmt: skip
    return {gate.name: gate.required for gate in evaluate(nothing, limits)}


def _shown(position: Position) -> dict[str, object]:
    return {
        "strategy": position.origin.strategy,
        "stage": position.stage.value,
        "ramp_bps": position.ramp_bps,
        "params": position.origin.params_hash[:12],
        "start_day": str(position.origin.start_day),
    }
