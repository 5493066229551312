"""`openclaw candles correct`: another value for a stored bar that no recorded tick consumed."""

from datetime import datetime

import click

from openclaw_pipelines.commands.shared import TIME_TYPE, json_option, open_changing, operator, print_json


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
    from openclaw_pipelines.services.trading.correcting import correct_candle

    world = open_changing()
    done = correct_candle(world, symbol, interval, ts, actor=operator(), reason=reason, revised=revised)
    if as_json:
        print_json({"correction": done.trace, "features_of": done.features_of})
        return
    for name in ("open", "high", "low", "close", "volume"):
        click.echo(f"{name}: {done.trace[f'old_{name}']} -> {done.trace[name]}")
    again = ", ".join(done.features_of) or "no day"
    click.echo(f"{symbol} {interval} of {ts:%Y-%m-%dT%H:%MZ} is corrected. Features computed again: {again}.")
