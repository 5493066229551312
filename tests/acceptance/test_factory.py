"""A whole cycle through the stored steps: an edge is deployed, chance is not, over twenty markets."""

import os
from pathlib import Path

import polars as pl
import pytest
from factory_scene import STRATEGY, FactoryScene, factory_scene

from openclaw_pipelines.contracts.factory import CycleState
from openclaw_pipelines.domain.lifecycle.hand_over import HandOverError
from openclaw_pipelines.services.factory.cycle import open_cycle
from openclaw_pipelines.services.factory.deploying import deploy
from openclaw_pipelines.services.factory.judging import judge_cycle

SEEDS = int(os.environ.get("ACCEPTANCE_SEEDS", "20"))
EDGE = 0.2
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def concluded(scene: FactoryScene) -> tuple[str, str | None]:
    """State of the cycle after every step, and what blocked it."""
    cycle = scene.listed()
    listed = scene.rows("factory_cycles").row(0, named=True)
    if listed["state"] == CycleState.INCUMBENT_HOLDS:
        return listed["state"], None
    cycle = scene.compared(scene.replayed(cycle))
    judge_cycle(open_cycle(scene.world, cycle.cycle_id))
    row = scene.rows("factory_cycles").row(0, named=True)
    if row["state"] != CycleState.BLOCKED:
        deploy(scene.world, cycle.cycle_id)
        row = scene.rows("factory_cycles").row(0, named=True)
    return row["state"], row["blocked_by"]


def test_a_planted_edge_is_deployed(tmp_path: Path) -> None:
    scene = factory_scene(tmp_path / "edge", drift=EDGE)
    assert concluded(scene) == (CycleState.DEPLOYED, None)
    assert scene.rows("gate_results").filter(~pl.col("passed")).is_empty()
    strategies = scene.world.settings().strategies
    assert len(strategies) == 2
    placed = next(name for name in strategies if name != STRATEGY)
    assert strategies[placed].own.canary_bps == 2_500
    assert (scene.rows("parity_reports")["verdict"] == "EQUAL").all()


def test_on_random_walks_nothing_is_deployed(tmp_path: Path) -> None:
    blocked: dict[int, str | None] = {}
    for seed in range(1, SEEDS + 1):
        scene = factory_scene(tmp_path / str(seed), drift=0.0, seed=seed)
        state, by = concluded(scene)
        assert state in {CycleState.BLOCKED, CycleState.INCUMBENT_HOLDS}, (seed, state)
        assert scene.rows("deployments").is_empty(), seed
        assert set(scene.world.settings().strategies) == {STRATEGY}, seed
        blocked[seed] = by if state == CycleState.BLOCKED else state
    assert len(blocked) == SEEDS
    assert None not in blocked.values()


def test_a_blocked_cycle_cannot_be_deployed_by_hand(tmp_path: Path) -> None:
    scene = factory_scene(tmp_path / "walk", drift=0.0, seed=2)
    state, _ = concluded(scene)
    cycle_id = scene.rows("factory_cycles")["cycle_id"][0]
    if state == CycleState.INCUMBENT_HOLDS:
        assert deploy(scene.world, cycle_id).rows == []
        return
    with pytest.raises(HandOverError, match="It is not deployed"):
        deploy(scene.world, cycle_id)
