"""`openclaw candles correct`: another value for a stored bar that no recorded tick consumed."""

import getpass
import os
from datetime import datetime

import click

from openclaw_pipelines.commands.shared import TIME_TYPE, json_option, print_json


@click.group()
def candles() -> None:
    """Stored bars."""


@candles.command()
@click.argument("symbol")
@click.argument("interval")
@click.argument("ts", type=TIME_TYPE, metavar="OPEN")
@click.option("--reason", required=True, help="Why, for the trace.")
@click.option("--revised", is_flag=True, help="Take the newest row of candle_revisions instead of asking the source.")
@json_option
def correct(symbol: str, interval: str, ts: datetime, reason: str, *, revised: bool, as_json: bool) -> None:
    """Replace the bar of SYMBOL and INTERVAL that opens at OPEN by what the source says now.

    Refused where a recorded tick consumed the bar. A bar whose scale was refused is stored so. The features that read
    the bar are computed again; what stood there before stays in candle_corrections.
    """
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.trading.correcting import correct_candle

    done = correct_candle(open_world(), symbol, interval, ts, actor=_user(), reason=reason, revised=revised)
    if as_json:
        print_json({"correction": done.trace, "features_of": done.features_of})
        return
    for name in ("open", "high", "low", "close", "volume"):
        click.echo(f"{name}: {done.trace[f'old_{name}']} -> {done.trace[name]}")
    again = ", ".join(done.features_of) or "no day"
    click.echo(f"{symbol} {interval} of {ts:%Y-%m-%dT%H:%MZ} is corrected. Features computed again: {again}.")


def _user() -> str:
    """Who runs the command, as the operating system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return f"user {os.getuid()}"
