"""`openclaw changes`: who changed what, out of the account's chain."""

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from openclaw_pipelines.commands.shared import (
    console,
    json_option,
    minute,
    print_json,
    range_options,
    refuse_reversed,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from openclaw_pipelines.domain.governance.account import Change


@click.command()
@range_options
@json_option
def changes(first_day: date | None, last_day: date | None, *, as_json: bool) -> None:
    """Kill switches, configuration, pauses, approvals, deployments and corrected bars: who, when, why, before, after.

    A change of a file or variable is listed when it was first seen, under what says so. `--json` adds every setting
    with its value and layer before and after.
    """
    from openclaw_pipelines.contracts.time import DAY, day_start
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.governance import account

    refuse_reversed(first_day, last_day)
    start = None if first_day is None else day_start(first_day.isoformat())
    end = None if last_day is None else day_start(last_day.isoformat()) + DAY
    world = open_world()
    found = account.changes(world, start, end)
    braked = account.in_force(account.changes(world))
    if as_json:
        listed = [{**own.shown(), "details": own.details} for own in found]
        print_json({"changes": listed, "in_force": [own.shown() for own in braked]})
        return
    out = console()
    out.print(changes_table("Changes", found) if found else "no change is recorded")
    if braked:
        out.print(changes_table("In force now", braked))


def changes_table(title: str, found: "Sequence[Change]") -> "Table":
    """Changes for a person."""
    from rich.markup import escape

    made = table(title, "#", "at", "action", "subject", "before", "after", "by", "reason", right=("#",))
    for own in found:
        texts: list[Any] = [own.subject, own.before or "-", own.after or "-", own.actor, own.reason]
        made.add_row(str(own.sequence), minute(own.at), own.action.value, *(escape(text) for text in texts))
    return made
