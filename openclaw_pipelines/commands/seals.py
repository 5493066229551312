"""`openclaw seals`: what was sealed, and the files written anew from the ledger."""

import click

from openclaw_pipelines.commands.shared import chosen, console, json_option, print_json, strategy_option, table


@click.command()
@strategy_option
@click.option("--write", is_flag=True, help="Write the files of seals anew from the ledger, where one was lost.")
@json_option
def seals(strategies: tuple[str, ...], *, write: bool, as_json: bool) -> None:
    """The seal of each day: what the ledger held when the day was over, chained to the day before.

    One that is noted elsewhere shows later, by `openclaw verify --expect SEAL`, whether the ledger still leads to it.
    """
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.services.evaluation.sealing import seal_file, seals_of, write_file

    world = open_world()
    names = chosen(strategies, list(world.settings().strategies))
    if write:
        for name in names:
            click.echo(f"{seal_file(world, name).path}: {write_file(world, name):,} seal(s)", err=True)
    found = {name: seals_of(world.ledger(name)) for name in names}
    if as_json:
        print_json({name: [dict(row) for row in rows] for name, rows in found.items()})
        return
    made = table("Seals", "strategy", "day", "rows", "audit rows", "seal", right=("rows", "audit rows"))
    for name, rows in found.items():
        for row in rows:
            made.add_row(name, row["day"], f"{row['row_count']:,}", f"{row['audit_rows']:,}", row["seal"])
    console().print(made)
