"""What people had changed when a tick was taken: the part of a decision's story that lies in the account's chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from openclaw_pipelines.domain.governance.account import Change
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.account import changes, in_force


@dataclass(frozen=True)
class Changed:
    """in_force: switches and pauses that held. since: what changed after the tick before was taken, and answers."""

    in_force: Sequence[Change]
    since: Sequence[Change]


def changed_before(world: World, strategy: str, tick_at: datetime, decision_key: str) -> Changed:
    """What held and what was new at a recorded tick.

    Times are those at which ticks were written, not those that they are of: a day that is backfilled was decided under
    what held on the day of the backfill. Answers to the decision come after it and are told too.
    """
    ledger = world.ledger(strategy)
    written = ledger.query("SELECT max(recorded_at) AS at FROM autopilot_ticks", "tick_at = ?", [tick_at])["at"][0]
    before = ledger.query("SELECT max(recorded_at) AS at FROM autopilot_ticks", "tick_at < ?", [tick_at])["at"][0]
    found = changes(world)
    known = [own for own in found if written is not None and own.at <= written]
    since = [own for own in found if own.subject == decision_key or (own in known and (not before or own.at > before))]
    return Changed(in_force(known), since)
