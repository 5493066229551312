"""Scenes of the factory, made once per session and copied."""

from collections.abc import Callable

import pytest
from factory_scene import RECIPE, FactoryScene, copied, factory_scene

EDGE = 0.2


@pytest.fixture(scope="session")
def edge_market(tmp_path_factory) -> FactoryScene:
    """A market with an edge, nothing searched yet. Nobody may write to it."""
    return factory_scene(tmp_path_factory.mktemp("factory") / "edge", drift=EDGE)


@pytest.fixture(scope="session")
def edge_swept(edge_market, tmp_path_factory) -> FactoryScene:
    """The same after sweep and shortlist. Nobody may write to it."""
    scene = copied(edge_market, tmp_path_factory.mktemp("factory") / "swept")
    scene.listed()
    return scene


@pytest.fixture(scope="session")
def edge_proven(edge_swept, tmp_path_factory) -> FactoryScene:
    """The same after replays and parity. Nobody may write to it."""
    scene = copied(edge_swept, tmp_path_factory.mktemp("factory") / "proven")
    scene.compared(scene.replayed(scene.begun()))
    return scene


@pytest.fixture
def copy(tmp_path) -> Callable[[FactoryScene], FactoryScene]:
    """Builder of a scene of one's own."""
    return lambda scene: copied(scene, tmp_path / "scene")


@pytest.fixture
def recipe() -> str:
    return RECIPE
