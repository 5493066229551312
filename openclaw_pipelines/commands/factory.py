"""`openclaw factory`: run a cycle of the strategy factory, and show where cycles stand."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from openclaw_pipelines.commands.shared import console, json_option, minute, print_json, table

if TYPE_CHECKING:
    from rich.table import Table

    from openclaw_pipelines.contracts.rows.factory import GateResultRow
    from openclaw_pipelines.processes.factory_run import Outcome

PORT = 3000


@click.group()
def factory() -> None:
    """Search parameters, prove what was found, and put it on paper or name the gate that blocked it."""


@factory.command()
@click.option("--recipe", help="Recipe of the configuration; the first one unless given.")
@click.option("--cycle", "cycle_id", help="Go on with this stored cycle.")
@click.option("--allow-blocked", is_flag=True, help="Exit code 0 for a blocked cycle too: it came to its verdict.")
@json_option
def run(recipe: str | None, cycle_id: str | None, *, allow_blocked: bool, as_json: bool) -> None:
    """Run a whole cycle. Exit code 1 and the gate's name where it is blocked."""
    import logging
    from dataclasses import asdict

    from openclaw_pipelines.commands.instance import open_instance
    from openclaw_pipelines.processes.factory_run import run_cycle
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.factory.cycle_report import write_cycle_report

    if recipe is not None and cycle_id is not None:
        raise click.UsageError("a stored cycle has its recipe; give --recipe or --cycle")
    logging.getLogger("dagster").setLevel(logging.WARNING)
    started = time.monotonic()
    world = open_world()
    out = console(stderr=as_json)
    with open_instance(world.settings()) as instance:
        done = run_cycle(
            world, instance, recipe, cycle_id,
            lambda says: out.print(f"{time.monotonic() - started:5.1f} s  {says}", soft_wrap=True),
        )  # fmt: skip
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        print_json({"seconds": seconds, **asdict(done)})
    else:
        show(done)
        click.echo(f"Done in {seconds} s. What to look at:")
        click.echo(f"  the cycle's report           {write_cycle_report(world, done.cycle_id)}")
        click.echo(f"  the cycle's assets           `make up`, then http://127.0.0.1:{PORT}/asset-groups (factory)")
        click.echo("  how to read the gates        docs/factory.md")
        click.echo("  every cycle                  .venv/bin/openclaw factory status")
    if not allow_blocked:
        done.require_selection()


@factory.command()
@click.option("--cycle", "cycle_id", help="One cycle with its shortlist, parity and gates.")
@json_option
def status(cycle_id: str | None, *, as_json: bool) -> None:
    """Every cycle and how far it came, or one in full."""
    from dataclasses import asdict

    from openclaw_pipelines.processes.factory_run import cycles, outcome
    from openclaw_pipelines.resources.world import open_world

    world = open_world()
    if cycle_id is not None:
        done = outcome(world, cycle_id)
        print_json(asdict(done)) if as_json else show(done)
        return
    rows = cycles(world)
    if as_json:
        print_json({"cycles": rows})
        return
    made = table("Factory cycles", "cycle", "strategy", "state", "blocked by", "trials", "reason", right=("trials",))
    for row in rows:
        made.add_row(
            row["cycle_id"], row["strategy"], row["state"], row["blocked_by"] or "-", f"{row['trials']:,}",
            row["reason"] or "-",
        )  # fmt: skip
    console().print(made)


@factory.command()
@click.option("--cycle", "cycle_id", help="Cycle of the report; the one that moved last unless given.")
@json_option
def report(cycle_id: str | None, *, as_json: bool) -> None:
    """Write a cycle's report as one HTML file and print its path."""
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.factory.cycle_report import newest_cycle, write_cycle_report

    world = open_world()
    own = cycle_id or newest_cycle(world)
    if own is None:
        raise click.UsageError("no factory cycle is stored yet; run one with `openclaw factory run`")
    path = str(write_cycle_report(world, own))
    print_json({"cycle_id": own, "path": path}) if as_json else click.echo(path)


def show(done: "Outcome") -> None:
    """Sweep, shortlist, parity, gates and verdict of a cycle."""
    out = console()
    rate = "" if done.rate is None else f", {done.rate / 1e6:.1f} million rows x bars x symbols per second at best"
    out.print(f"Cycle   {done.cycle_id}", soft_wrap=True)
    out.print(f"Days    train {_days(done.train)}, holdout {_days(done.holdout)}")
    out.print(
        f"Sweep   {done.rows:,} rows, {done.skipped:,} contradictory combinations skipped{rate}; "
        f"{done.trials_ever:,} trials of these families ever run",
        soft_wrap=True,
    )
    out.print(_shortlist(done))
    if done.parity:
        out.print(_parity(done), soft_wrap=True)
    out.print(f"GPU     {done.gpu}", soft_wrap=True)
    for params in dict.fromkeys(row["params_hash"] for row in done.gates):
        out.print(_gates(params, [row for row in done.gates if row["params_hash"] == params]))
    out.print(f"Verdict {_verdict(done)}", soft_wrap=True)


def _verdict(done: "Outcome") -> str:
    if done.blocked:
        return f"BLOCKED by {done.blocked_by}: {done.reason}. Nothing was deployed."
    if done.deployed:
        names = ", ".join(dict.fromkeys(row["strategy_config_id"] for row in done.deployed))
        return f"DEPLOYED on paper: {names}"
    return f"{done.state.upper().replace('_', ' ')}: {done.reason or 'the cycle has not ended'}"


def _shortlist(done: "Outcome") -> "Table":
    made = table("Shortlist", "channel", "rank", "family", "score", "status", "why", "parameters", right=("score",))
    for row in done.shortlist:
        score = "-" if row["score"] is None else f"{row['score']:.5f}"
        named = (row["channel"], str(row["rank"]), row["family"], score, row["status"], row["reason"])
        made.add_row(*named, row["params_hash"][:12])
    return made


def _parity(done: "Outcome") -> str:
    from openclaw_pipelines.contracts.factory import ParityClass
    from openclaw_pipelines.domain.lifecycle.hand_over import parity_class

    bad = [row for row in done.parity if parity_class(row) is not ParityClass.EQUAL]
    kinds: dict[str, int] = {}
    for row in done.parity:
        name = f"{row['comparison']} ({row['sample']})"
        kinds[name] = kinds.get(name, 0) + 1
    counts = ", ".join(f"{count} {name}" for name, count in kinds.items())
    if not bad:
        return f"Parity  {counts}: 0 differing bits"
    first = bad[0]
    where = first["first_difference"] or first["differing"]
    return f"Parity  {counts}: {len(bad)} not equal, first {first['comparison']} {first['verdict']} {where}"


def _gates(params: str, rows: "list[GateResultRow]") -> "Table":
    made = table(
        f"Gates of {params[:12]}", "gate", "measured", "required", "passed", "n", "why", right=("measured", "n")
    )
    for row in rows:
        measured = "undefined" if row["measured"] is None else f"{row['measured']:.6g}"
        passed = "yes" if row["passed"] else "NO"
        made.add_row(row["gate"], measured, row["required"], passed, str(row["sample_size"]), row["reason"])
    return made


def _days(window: tuple[datetime, datetime]) -> str:
    return f"{minute(window[0])[:10]} to {minute(window[1])[:10]}, exclusive"
