"""`openclaw approve` and `decline`: an operator's answer to a proposal that waits in assist mode.

The answer enters a later tick as recorded input; the governor judges it again there.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from openclaw_pipelines.commands.shared import CommandError, json_option, open_changing, operator, print_json
from openclaw_pipelines.contracts.enums import ProposalState
from openclaw_pipelines.contracts.governance import Answer

if TYPE_CHECKING:
    from openclaw_pipelines.resources.world import World


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


def answer(world: "World", key: str, verdict: Answer, now: datetime, *, actor: str, reason: str = "") -> str:
    """Write the answer, and its row in the account's chain; returns the strategy it is for.

    Raises:
        NotAwaitingError, AlreadyAnsweredError: nothing is written.
    """
    from openclaw_pipelines import __version__
    from openclaw_pipelines.contracts.canonical import sha256_of
    from openclaw_pipelines.contracts.tables import TABLES
    from openclaw_pipelines.domain.governance.account import answered
    from openclaw_pipelines.resources.store.store import fetch, insert
    from openclaw_pipelines.resources.store.strategy_ledger import WAITING
    from openclaw_pipelines.services.governance.account import append_in

    settings = world.settings()
    with world.store.write("ledger") as con:
        proposal = "SELECT strategy_config_id FROM autopilot_proposals p WHERE account_id = ? AND decision_key = ?"
        found = fetch(con, f"{proposal} AND {WAITING}", [settings.config.account, key, None])
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
            "request_key": f"{key}:{verdict.value}",
            "decision_key": key,
            "verdict": verdict.value,
            "requested_at": now,
        }
        insert(con, "operator_requests", TABLES["operator_requests"].unchecked([row]))
        append_in(con, world, [answered(key, verdict, strategy, actor=actor, reason=reason, at=now)])
    return strategy


def _why_not(states: list[str]) -> str:
    if not states:
        return "no such proposal is recorded"
    if states[0] == ProposalState.AWAITING_APPROVAL:
        return "its wait is over, it was answered or expired"
    return f"the governor left it {states[0]}"


def _command(key: str, verdict: Answer, reason: str, *, as_json: bool) -> None:
    world = open_changing()
    strategy = answer(world, key, verdict, world.clock.now(), actor=operator(), reason=reason)
    if as_json:
        print_json({"decision_key": key, "verdict": verdict, "strategy": strategy})
    else:
        click.echo(f"{verdict} of {key} is recorded; the next tick of {strategy} takes it.")


_reason_option = click.option("--reason", default="", help="Why, for the trace.")


@click.command()
@click.argument("decision_key")
@_reason_option
@json_option
def approve(decision_key: str, reason: str, *, as_json: bool) -> None:
    """Approve a proposal that awaits it; the next tick judges it again and may send it."""
    _command(decision_key, Answer.APPROVE, reason, as_json=as_json)


@click.command()
@click.argument("decision_key")
@_reason_option
@json_option
def decline(decision_key: str, reason: str, *, as_json: bool) -> None:
    """Decline a proposal that awaits approval."""
    _command(decision_key, Answer.DECLINE, reason, as_json=as_json)
