"""What commands share: exit codes, named errors on stderr, JSON answers, options."""

import getpass
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openclaw_pipelines.contracts.errors import OpenclawError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from openclaw_pipelines.resources.world import World

FAILED = 1
"""Exit code of a named failure; 0 is fine and 2 is wrong usage."""

Command = TypeVar("Command", bound=Callable[..., object])


class CommandError(OpenclawError):
    """A command was understood but cannot be done as things stand."""


class LazyGroup(click.Group):
    """Loads a command's module when the command is called, and prints this project's errors without a traceback.

    commands_at: command -> `module:function`.
    """

    def __init__(self, *args: Any, commands_at: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = dict(commands_at or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which they are declared."""
        return [*self.commands_at, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.commands_at:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.commands_at[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a named error becomes one message on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except OpenclawError as error:
            from openclaw_pipelines.settings.redaction import redact

            click.echo(f"{type(error).__name__}: {redact(str(error))}", err=True)
            ctx.exit(FAILED)


class Day(click.ParamType[date]):
    """A UTC day as partition keys write it."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day, or wrong usage."""
        if isinstance(value, date):
            return value
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            self.fail(f"{value!r} is not a day as 2025-05-10", param, ctx)
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Time(click.ParamType[datetime]):
    """A time in UTC, or a day for its 00:00."""

    name = "YYYY-MM-DD[THH:MM]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time, or wrong usage; a time without a zone is UTC."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time as 2025-05-10 or 2025-05-10T06:00", param, ctx)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


DAY_TYPE = Day()
TIME_TYPE = Time()


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("as_json", "--json", is_flag=True, help="Print one JSON document.")(command)


def version_option(command: Command) -> Command:
    """`--version`; the commit is asked for only then."""

    def show(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click calls it so
        if wanted and not ctx.resilient_parsing:
            from openclaw_pipelines.contracts.program import program_version

            click.echo(f"openclaw, version {program_version()}")
            ctx.exit()

    return click.option(
        "--version", is_flag=True, expose_value=False, is_eager=True, callback=show, help="Show the version and exit."
    )(command)


def operator() -> str:
    """Who runs the command, as the operating system knows them: the actor of what it changes."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):  # a container may run as a number that has no name
        return f"operator:user {os.getuid()}"


def open_changing() -> "World":
    """The world for a command that changes something: what was changed before it is recorded before it."""
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.governance.observing import observe

    world = open_world()
    observe(world)
    return world


def strategy_option(command: Command) -> Command:
    """`--strategy`, repeatable."""
    return click.option("strategies", "--strategy", multiple=True, help="Only this strategy; may be repeated.")(command)


def range_options(command: Command) -> Command:
    """`--from` and `--to`, whole days."""
    last = click.option("last_day", "--to", type=DAY_TYPE, help="Last UTC day, itself included.")
    first = click.option("first_day", "--from", type=DAY_TYPE, help="First UTC day.")
    return first(last(command))


def refuse_reversed(first: object, last: Any) -> None:
    """Wrong usage when a range ends before it begins."""
    if first is not None and last is not None and last < first:
        raise click.BadParameter(f"{last} is before --from {first}", param_hint="--to")


def chosen(wanted: Sequence[str], strategies: Sequence[str]) -> list[str]:
    """The wanted strategies, all of them when none is named.

    Raises:
        UnknownStrategyError: one of them is not configured.
    """
    from openclaw_pipelines.settings.errors import UnknownStrategyError, nearest

    for name in wanted:
        if name not in strategies:
            raise UnknownStrategyError(name, nearest(name, strategies), ", ".join(strategies))
    return list(wanted) or list(strategies)


def print_json(answer: object) -> None:
    """One JSON document on stdout, secrets masked; decimals as text, times in ISO form."""
    from openclaw_pipelines.settings.redaction import redact

    click.echo(json.dumps(redact(plain(answer)), indent=2, ensure_ascii=False))


def plain(value: object) -> object:
    """`value` in JSON types.

    >>> plain({"cash": Decimal("1.50"), "at": datetime(2025, 5, 10, tzinfo=UTC)})
    {'cash': '1.5', 'at': '2025-05-10T00:00:00Z'}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return digits(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def digits(value: Decimal) -> str:
    """Digits of a decimal without trailing zeros.

    >>> digits(Decimal("1200.500")), digits(Decimal("1E+3")), digits(Decimal("0E-18"))
    ('1200.5', '1000', '0')
    """
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def money(value: Decimal | None) -> str:
    """An amount for people: two places, thousands apart.

    >>> money(Decimal("-1234.567")), money(None)
    ('-1,234.57', '-')
    """
    return "-" if value is None else f"{value:,.2f}"


def minute(at: datetime | None) -> str:
    """A time for people, in UTC."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def console(*, stderr: bool = False) -> "Console":
    """Where tables go. Without a terminal they are as wide as they need, so that nothing is cut from a log."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 200, highlight=False, soft_wrap=False)


def table(title: str, *columns: str, right: Sequence[str] = ()) -> "Table":
    """An empty table; the columns named in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE, title_justify="left", title_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made
