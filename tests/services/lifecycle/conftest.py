"""Desks on whose market a planted cycle deployed its candidates."""

from collections.abc import Callable
from typing import Any

import pytest
from planted_cycle import CYCLE, HOLDOUT_END, PLANTED, TODAY, plant

from openclaw_pipelines.services.lifecycle.deploy import deploy_cycle


@pytest.fixture
def deployed(desk: Callable[..., Any]) -> Callable[..., Any]:
    """Builder of a desk on whose market a cycle deployed its candidates; returns it with their names."""

    def build(found: list[tuple[str, dict[str, Any]]] | None = None, **changes: Any) -> tuple[Any, list[str]]:
        trading = desk("asked", **changes)
        plant(trading, found)
        made = deploy_cycle(trading.world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END)
        return trading, [own.origin.strategy for own in made]

    return build
