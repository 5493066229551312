"""The port through which whatever plans outside the kernel is asked; what it answers is in `planned`."""

from typing import Protocol

from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.planned import Planned
from openclaw_pipelines.domain.trading.session import Session


class Planner(Protocol):
    """Plans the ticks of a strategy in place of its family."""

    def plan(self, session: Session, tick_input: TickInput) -> Planned | None:
        """What it wants after the bars of `tick_input`; None leaves the tick to the family. It changes neither."""
        ...
