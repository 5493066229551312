"""`openclaw deployments`, `promote`, `demote` and `rollback`: the lifecycle of what the factory deployed, by hand.

Nothing here goes round a gate: an operator gives more size only where the gates hold.
"""

import json
from typing import TYPE_CHECKING

import click

from openclaw_pipelines.commands.shared import (
    console,
    json_option,
    minute,
    money,
    open_changing,
    operator,
    print_json,
    table,
)

if TYPE_CHECKING:
    from openclaw_pipelines.contracts.rows.lifecycle import DeploymentRow
    from openclaw_pipelines.domain.lifecycle.log import Position
    from openclaw_pipelines.domain.lifecycle.review import Judged, Standing
    from openclaw_pipelines.resources.world import World

LOG_COLUMNS = (
    "sequence", "transition", "strategy_config_id", "from_state", "to_state", "from_ramp_bps", "ramp_bps", "trigger",
    "actor", "at", "reason", "undoes", "params_hash", "cycle_id", "gate_hash", "parity_hash", "row_hash",
)  # fmt: skip


@click.command()
@click.option("--history", is_flag=True, help="Every transition instead of where each strategy stands.")
@click.option("--restore", is_flag=True, help="Write the file of deployed strategies again, as the log says.")
@json_option
def deployments(*, history: bool, restore: bool, as_json: bool) -> None:
    """Where every deployed strategy stands, and what its gates and rotation rules measure now."""
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.lifecycle.book import DeploymentBook
    from openclaw_pipelines.services.lifecycle.standing import standings

    world = open_world()
    if restore:
        _restored(world, as_json=as_json)
        return
    book, now = DeploymentBook(world), world.clock.now()
    if history:
        _show_history(book.rows(), as_json=as_json)
        return
    found = standings(world, now)
    judged = _judged(world, found)
    if as_json:
        print_json({"as_of": now, "deployments": [_plain(own, judged) for own in book.positions().values()]})
        return
    _show(list(book.positions().values()), found, judged)


@click.command()
@click.argument("strategy")
@click.option("--reason", default="", help="Why, for the log.")
@json_option
def promote(strategy: str, reason: str, *, as_json: bool) -> None:
    """Give a strategy the next size, where its gates hold; a paused one goes back to paper."""
    from openclaw_pipelines.services.lifecycle.operations import promote as promote_strategy

    world, actor = open_changing(), operator()
    _moved([promote_strategy(world, strategy, as_of=world.clock.now(), reason=reason, actor=actor)], as_json=as_json)


@click.command()
@click.argument("strategy")
@click.option("--reason", required=True, help="Why, for the log.")
@click.option("--retire", is_flag=True, help="Retire it for good; it must be paused and flat, or never have traded.")
@json_option
def demote(strategy: str, reason: str, *, retire: bool, as_json: bool) -> None:
    """Pause a strategy: no entries, exits go on."""
    from openclaw_pipelines.services.lifecycle.operations import demote as demote_strategy

    world, actor = open_changing(), operator()
    now = world.clock.now()
    moved = demote_strategy(world, strategy, as_of=now, reason=reason, retire=retire, actor=actor)
    _moved([moved], as_json=as_json)


@click.command()
@click.argument("strategy")
@click.option("--reason", required=True, help="Why, for the log.")
@json_option
def rollback(strategy: str, reason: str, *, as_json: bool) -> None:
    """Undo a strategy's newest transition, and of everything that moved with it."""
    from openclaw_pipelines.services.lifecycle.operations import rollback as roll_back

    world, actor = open_changing(), operator()
    _moved(roll_back(world, strategy, as_of=world.clock.now(), reason=reason, actor=actor), as_json=as_json)


def _restored(world: "World", *, as_json: bool) -> None:
    layer = world.layer
    written = layer.restore()
    if as_json:
        print_json({"file": str(layer.file), "written": written})
        return
    said = "is written again from the log" if written else "says what the log says"
    click.echo(f"{layer.file} {said}.")


def _judged(world: "World", found: "list[Standing]") -> "dict[str, Judged]":
    from openclaw_pipelines.domain.lifecycle.review import judge

    limits = world.settings().config.lifecycle
    return {own.name: judge(own, found, limits) for own in found}


def _plain(position: "Position", judged: "dict[str, Judged]") -> dict[str, object]:
    from openclaw_pipelines.domain.lifecycle.review import measures

    origin, own = position.origin, judged.get(position.origin.strategy)
    return {
        "strategy": origin.strategy,
        "slot": origin.slot,
        "stage": position.stage.value,
        "ramp_bps": position.ramp_bps,
        "since": position.since,
        "family": origin.family,
        "interval": origin.interval,
        "symbols": list(origin.symbols),
        "params": json.loads(origin.params),
        "params_hash": origin.params_hash,
        "capital": origin.capital,
        "start_day": origin.start_day,
        "cycle_id": origin.cycle_id,
        "gates": measures(own.gates) if own else {},
        "rotation": measures(own.rotation) if own else {},
    }


def _show(positions: "list[Position]", found: "list[Standing]", judged: "dict[str, Judged]") -> None:
    from openclaw_pipelines.domain.lifecycle.rules import first_blocking

    shown = table("Deployed strategies", "strategy", "stage", "size", "since", "trades", "equity", "waits for",
                  right=("size", "trades", "equity"))  # fmt: skip
    evidence = {own.name: own.evidence for own in found}
    for own in positions:
        name = own.origin.strategy
        blocking = first_blocking(judged[name].gates) if name in judged else None
        seen = evidence.get(name)
        shown.add_row(
            name, own.stage.value, f"{own.ramp_bps / 100:g} %", minute(own.since),
            "-" if seen is None else str(len(seen.trades)), "-" if seen is None else money(seen.equity[-1][1]),
            "-" if blocking is None else f"{blocking.name} {blocking.required}: {blocking.reason}",
        )  # fmt: skip
    console().print(shown if positions else "No factory cycle has deployed a strategy.")


def _show_history(rows: "list[DeploymentRow]", *, as_json: bool) -> None:
    if as_json:
        shown_rows: list[dict[str, object]] = [{**row} for row in rows]
        wanted = [
            {name: row[name] for name in LOG_COLUMNS} | {"metrics": json.loads(str(row["metrics"]))}
            for row in shown_rows
        ]
        print_json({"transitions": wanted})
        return
    shown = table("Transitions", "#", "as of", "strategy", "move", "size", "trigger", "reason", right=("#", "size"))
    for row in rows:
        shown.add_row(
            str(row["sequence"]), minute(row["at"]), row["strategy_config_id"],
            f"{row['from_state']} -> {row['to_state']}", f"{row['ramp_bps'] / 100:g} %", row["trigger"], row["reason"],
        )  # fmt: skip
    console().print(shown if rows else "No factory cycle has deployed a strategy.")


def _moved(positions: "list[Position]", *, as_json: bool) -> None:
    if as_json:
        print_json({"moved": [_plain(own, {}) for own in positions]})
        return
    for own in positions:
        click.echo(f"{own.origin.strategy} is {own.stage.value} at {own.ramp_bps / 100:g} % as of {minute(own.since)}.")
