"""`openclaw demo`, `web` and `ticker`: commands that run the autopilot."""

import contextlib
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING

import click

from openclaw_pipelines.commands.shared import (
    TIME_TYPE,
    chosen,
    console,
    json_option,
    minute,
    money,
    print_json,
    refuse_reversed,
    strategy_option,
    table,
)

if TYPE_CHECKING:
    from openclaw_pipelines.processes.demo import Result
    from openclaw_pipelines.processes.ticker import Ticked

PORT = 3000


@click.command()
@json_option
def demo(*, as_json: bool) -> None:
    """Backfill seven days of the embedded market for both strategies, and show what they did."""
    import logging
    from dataclasses import asdict

    from openclaw_pipelines.commands.instance import open_instance
    from openclaw_pipelines.processes.demo import report_path, run_demo
    from openclaw_pipelines.resources.world import open_world

    logging.getLogger("dagster").setLevel(logging.WARNING)
    started = time.monotonic()
    world = open_world()
    settings = world.settings()
    out = console(stderr=as_json)
    with open_instance(settings) as instance:
        out.print(
            f"Living through a week of the embedded market; everything goes to {settings.data_dir}", soft_wrap=True
        )
        results = run_demo(
            world, instance, lambda layer: out.print(f"{time.monotonic() - started:5.1f} s  {layer.says}")
        )
    seconds = round(time.monotonic() - started, 1)
    report = report_path(settings)
    if as_json:
        print_json({"seconds": seconds, "report": str(report), "strategies": [asdict(result) for result in results]})
        return
    show(results)
    click.echo(f"Done in {seconds} s. What to look at:")
    click.echo(f"  the report of the last day   {report}")
    click.echo(f"  runs, lineage and checks     `make up`, then http://127.0.0.1:{PORT}/asset-groups")
    click.echo("  where things stand           .venv/bin/openclaw status")
    click.echo("  check every recorded tick    .venv/bin/openclaw verify")


def show(results: "list[Result]") -> None:
    """What each strategy decided, filled, earned and was refused."""
    numbers = ("ticks", "decisions", "orders", "fills", "refused", "fees", "funding", "PnL", "open")
    made = table("The week", "strategy", *numbers, "refused because", right=numbers)
    for own in results:
        why = ", ".join(f"{code} {count}" for code, count in own.rejects.items()) or "-"
        counts: tuple[object, ...] = (own.ticks, own.decisions, own.orders, own.fills, sum(own.rejects.values()))
        amounts = (money(own.fees), money(own.funding), money(own.pnl))
        made.add_row(own.strategy, *(f"{count:,}" for count in counts), *amounts, str(own.open_positions), why)
    console().print(made)


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=PORT, envvar="OPENCLAW_PORT", show_default=True)
@click.option("--read-only", is_flag=True, help="For viewers: no page may start or change anything; no daemon.")
def web(port: int, *, read_only: bool) -> None:
    """The guarded web UI on 127.0.0.1, and the daemon that runs schedules and sensors, until interrupted."""
    from openclaw_pipelines.commands.instance import open_instance
    from openclaw_pipelines.processes.web import serve
    from openclaw_pipelines.settings import load_settings

    with _until_stopped(), open_instance(load_settings()) as instance:
        serve(instance, port, read_only=read_only)


@click.command()
@click.option("--clock", type=click.Choice(["real", "replayed"]), default="real", show_default=True)
@click.option("start", "--from", type=TIME_TYPE, help="Where a replayed clock starts.")
@click.option("end", "--to", type=TIME_TYPE, help="Where a replayed clock ends.")
@click.option(
    "--closing/--no-closing",
    "closes",
    default=True,
    show_default=True,
    help="Close days and hours too: checks, evaluation, report, review. Without it schedules must.",
)
@strategy_option
def ticker(
    clock: str, start: datetime | None, end: datetime | None, strategies: tuple[str, ...], *, closes: bool
) -> None:
    """Stay resident and take every tick as it falls due.

    Ctrl-C or SIGTERM: what is running is finished, then it leaves with 0. A second one leaves at once.
    """
    from openclaw_pipelines.commands.instance import prepare_home
    from openclaw_pipelines.settings import load_settings

    refuse_reversed(start, end)
    if clock == "replayed" and (start is None or end is None):
        raise click.UsageError("a replayed clock needs --from and --to")
    settings = load_settings()
    names = chosen(strategies, list(settings.strategies)) if strategies else None
    prepare_home(settings)
    from openclaw_pipelines.processes import resident
    from openclaw_pipelines.processes.stopping import stopped_by_signals

    with stopped_by_signals(lambda text: click.echo(text, err=True)) as stop:
        taken = resident.main(
            clock=clock, start=start, end=end, strategies=names, show=_show_ticked, closes=closes, stop=stop
        )
        click.echo(f"{taken} times had something due")


def _show_ticked(ticked: "Ticked") -> None:
    took = ", ".join(dict.fromkeys(ticked.strategies)) or "nothing taken"
    click.echo(f"{minute(ticked.at)}  {took}")
    for failure in ticked.failures:
        click.echo(f"{minute(ticked.at)}  {failure}", err=True)


@contextlib.contextmanager
def _until_stopped() -> Iterator[None]:
    """Ctrl-C and SIGTERM are how these commands end; both let them put their children away first."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the shape that signal asks for
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt):
        yield
