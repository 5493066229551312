"""`openclaw approve` and `decline`: an operator's answer to a proposal that waits in assist mode.

The answer enters a later tick as recorded input; the governor judges it again there.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from openclaw_pipelines.commands.shared import CommandError, json_option, print_json

if TYPE_CHECKING:
    from openclaw_pipelines.resources.world import World

WAITING = (
    "SELECT p.decision_key, p.strategy_config_id FROM autopilot_proposals p WHERE p.account_id = ? "
    "AND p.state = 'awaiting_approval' AND NOT EXISTS (SELECT 1 FROM admin_actions a "
    "WHERE a.subject = p.decision_key AND a.from_state = 'awaiting_approval')"
)


class NotAwaitingError(CommandError):
    """The proposal waits for nobody."""

    template = "{key} does not await approval: {reason}. `openclaw status` lists those that do."
    key: str
    reason: str


class AlreadyAnsweredError(CommandError):
    """An operator answered already, and the tick that takes the answer has not come yet."""

    template = "{key} was answered with {verdict} at {at}; the next tick takes that. Answers are not changed."
    key: str
    verdict: str
    at: datetime


def waiting_keys(world: "World", strategy: str) -> list[str]:
    """Decision keys of a strategy that wait for an operator."""
    account = world.settings().config.account
    sql = f"{WAITING} AND p.strategy_config_id = ? ORDER BY p.decision_key"
    return world.store.query("ledger", sql, [account, strategy])["decision_key"].to_list()


def answer(world: "World", key: str, verdict: str, now: datetime) -> str:
    """Write the answer; returns the strategy it is for.

    Raises:
        NotAwaitingError, AlreadyAnsweredError: nothing is written.
    """
    from openclaw_pipelines import __version__
    from openclaw_pipelines.contracts.canonical import sha256_of
    from openclaw_pipelines.contracts.tables import TABLES
    from openclaw_pipelines.resources.store.store import fetch, insert

    settings = world.settings()
    with world.store.write("ledger") as con:
        found = fetch(con, f"{WAITING} AND p.decision_key = ?", [settings.config.account, key])
        if found.is_empty():
            state = fetch(con, "SELECT state FROM autopilot_proposals WHERE decision_key = ?", [key])
            raise NotAwaitingError(key, _why_not(state["state"].to_list()))
        said = fetch(con, "SELECT verdict, requested_at FROM operator_requests WHERE decision_key = ?", [key])
        if said.height:
            raise AlreadyAnsweredError(key, said["verdict"][0], said["requested_at"][0])
        strategy: str = found["strategy_config_id"][0]
        row = {
            "account_id": settings.config.account,
            "strategy_config_id": strategy,
            "recorded_at": now,
            "run_fingerprint": sha256_of([__version__, settings.config_fingerprint]),
            "request_key": f"{key}:{verdict}",
            "decision_key": key,
            "verdict": verdict,
            "requested_at": now,
        }
        insert(con, "operator_requests", TABLES["operator_requests"].unchecked([row]))
    return strategy


def _why_not(states: list[str]) -> str:
    if not states:
        return "no such proposal is recorded"
    if states[0] == "awaiting_approval":
        return "its wait is over, it was answered or expired"
    return f"the governor left it {states[0]}"


def _command(key: str, verdict: str, *, as_json: bool) -> None:
    from openclaw_pipelines.resources.world import open_world

    world = open_world()
    strategy = answer(world, key, verdict, world.clock.now())
    if as_json:
        print_json({"decision_key": key, "verdict": verdict, "strategy": strategy})
    else:
        click.echo(f"{verdict} of {key} is recorded; the next tick of {strategy} takes it.")


@click.command()
@click.argument("decision_key")
@json_option
def approve(decision_key: str, *, as_json: bool) -> None:
    """Approve a proposal that awaits it; the next tick judges it again and may send it."""
    _command(decision_key, "approve", as_json=as_json)


@click.command()
@click.argument("decision_key")
@json_option
def decline(decision_key: str, *, as_json: bool) -> None:
    """Decline a proposal that awaits approval."""
    _command(decision_key, "decline", as_json=as_json)
