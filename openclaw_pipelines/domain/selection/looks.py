"""Every look at a holdout, and whether a window may still promote a strategy family.

A holdout measures honestly once. Whoever has seen its result, for a promotion or only for a report, may have chosen the
next candidates by it. So a window with a day that an earlier cycle looked at promotes the same family no more; the
same cycle may look again, since resuming it chooses nothing new. Storing looks belongs elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from openclaw_pipelines.domain.selection.windows import Window


class Purpose(StrEnum):
    """Why somebody looked."""

    PROMOTION = "promotion"
    REPORT = "report"


@dataclass(frozen=True)
class Look:
    """One look at a window by one cycle."""

    family: str
    window: Window
    purpose: Purpose
    cycle_id: str

    @property
    def key(self) -> str:
        """Made only from what the look is about, so that recording it twice is recording it once."""
        return f"{self.family}:{self.window}:{self.purpose}:{self.cycle_id}"


def earlier_look(looks: Iterable[Look], look: Look) -> Look | None:
    """The first recorded look of another cycle at a day of this look's window, for the same family."""
    spoilt = (
        past
        for past in looks
        if past.family == look.family and past.cycle_id != look.cycle_id and past.window.overlaps(look.window)
    )
    return min(spoilt, key=lambda past: past.key, default=None)
