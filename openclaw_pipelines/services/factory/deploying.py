"""The last step of a cycle: what is required today, and the hand-over to `services.lifecycle`, which looks again."""

from collections.abc import Callable, Mapping, Sequence
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
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.factory.cycle import Cycle, cycle_row, gate_limits, open_cycle, set_state
from openclaw_pipelines.services.factory.listing import shortlisted
from openclaw_pipelines.services.factory.parity_rows import REQUIRED
from openclaw_pipelines.services.factory.proving import prove
from openclaw_pipelines.services.factory.recording import ANCHOR, log_deployed


@dataclass(frozen=True)
class Deployed:
    """What a cycle ended with. rows: the strategies that stand on paper because of it."""

    state: str
    reason: str | None
    rows: list[dict[str, object]]


def deploy(world: World, cycle_id: str, say: Callable[[str], object] = lambda _: None) -> Deployed:
    """Put a validated cycle's candidates on paper; doing it twice is doing it once.

    What would be deployed is proven first: all that the cycle left is computed again (`proving`).

    Raises:
        HandOverError: the cycle is blocked, or a piece of its evidence no longer holds or is not what it must be.
        BrokenFactoryLogError: the log that evidence is held to is not whole.
        CycleContractError: code, bars or configuration are others than when the cycle was begun.
    """
    from openclaw_pipelines.services.lifecycle.deploy import Proof, deploy_cycle

    row = cycle_row(world, cycle_id)
    if row["state"] == CycleState.INCUMBENT_HOLDS:
        return Deployed(row["state"], row["reason"], [])
    cycle, now = open_cycle(world, cycle_id), world.clock.now()

    def proven() -> dict[str, object]:
        return {ANCHOR: prove(cycle, say)._asdict()}

    def logged(con: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        newest = {str(own["strategy_config_id"]): str(own["row_hash"]) for own in rows}
        for strategy, row_hash in newest.items():
            log_deployed(con, cycle_id, strategy, row_hash, now)

    placed = deploy_cycle(world, cycle_id, today_of(cycle), Proof(proven, logged), as_of=now)
    if row["state"] != CycleState.DEPLOYED:
        set_state(world, cycle_id, CycleState.DEPLOYED, None, row["reason"])
    after = cycle_row(world, cycle_id)
    return Deployed(after["state"], after["reason"], [_shown(position) for position in placed])


def today_of(cycle: Cycle) -> Today:
    """Code, bars and requirements of now, which the evidence of a cycle is held against."""
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
