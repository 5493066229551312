"""Worlds of the factory, made once per session and copied."""

from collections.abc import Callable

import pytest
from factory_world import RECIPE, FactoryWorld, copied, factory_world

EDGE = 0.2


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
