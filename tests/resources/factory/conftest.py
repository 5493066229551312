"""Worlds of the factory, made once per session and copied."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from factory_world import RECIPE, FactoryWorld, factory_world

from openclaw_pipelines.resources.autopilot import Autopilot, open_market, open_store
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.paper import PaperExecutor
from openclaw_pipelines.settings import load_settings

EDGE = 0.2


def copied(world: FactoryWorld, folder: Path) -> FactoryWorld:
    """A world of its own with the same market and research."""
    shutil.copytree(world.folder, folder)
    text = (folder / "autopilot.yaml").read_text(encoding="utf-8")
    (folder / "autopilot.yaml").write_text(text.replace(str(world.folder), str(folder)), encoding="utf-8")

    def settings():
        return load_settings({}, path=folder / "autopilot.yaml")

    now = settings()
    clock = ReplayedClock(world.autopilot.clock.now())
    return FactoryWorld(folder, Autopilot(settings, open_store(now), open_market(now), clock, PaperExecutor()))


@pytest.fixture(scope="session")
def edge_market(tmp_path_factory) -> FactoryWorld:
    """A market with an edge, nothing searched yet. Nobody may write to it."""
    return factory_world(tmp_path_factory.mktemp("factory") / "edge", drift=EDGE)


@pytest.fixture(scope="session")
def edge_swept(edge_market, tmp_path_factory) -> FactoryWorld:
    """The same after sweep and shortlist. Nobody may write to it."""
    world = copied(edge_market, tmp_path_factory.mktemp("factory") / "swept")
    world.listed()
    return world


@pytest.fixture(scope="session")
def edge_proven(edge_swept, tmp_path_factory) -> FactoryWorld:
    """The same after replays and parity. Nobody may write to it."""
    world = copied(edge_swept, tmp_path_factory.mktemp("factory") / "proven")
    world.compared(world.replayed(world.begun()))
    return world


@pytest.fixture
def copy(tmp_path) -> Callable[[FactoryWorld], FactoryWorld]:
    """Builder of a world of one's own."""
    return lambda world: copied(world, tmp_path / "world")


@pytest.fixture
def recipe() -> str:
    return RECIPE
