"""`openclaw tables`, `export`, `report` and `market inventory`: files in and out."""

from dataclasses import asdict
from datetime import date
from pathlib import Path

import click

from openclaw_pipelines.commands.shared import (
    DAY_TYPE,
    CommandError,
    console,
    json_option,
    minute,
    print_json,
    range_options,
    refuse_reversed,
    table,
)
from openclaw_pipelines.services.evaluation.evaluator import Evaluator


class UnusableFilesError(CommandError):
    """Files of the archive folder cannot be used."""

    template = "{bad} of {files} file(s) in {folder} cannot be used; the list above says why. Mend or remove them."
    bad: int
    files: int
    folder: Path


@click.command()
@json_option
def tables(*, as_json: bool) -> None:
    """The tables of the store."""
    from openclaw_pipelines.resources.store.export import tables as described

    infos = described()
    if as_json:
        print_json([asdict(info) for info in infos])
        return
    made = table("Tables", "database", "table", "key", "meaning")
    for info in infos:
        made.add_row(info.database, info.name, ", ".join(info.key), info.description)
    console().print(made)


@click.command()
@click.argument("table_name", metavar="TABLE")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@range_options
@click.option("--strategy", help="Only rows of this strategy.")
@json_option
def export(
    table_name: str, path: Path, first_day: date | None, last_day: date | None, strategy: str | None, *, as_json: bool
) -> None:
    """Write TABLE to PATH, as Parquet or CSV by its ending."""
    from openclaw_pipelines.resources.store.export import export_table
    from openclaw_pipelines.resources.world import open_store
    from openclaw_pipelines.settings import load_settings

    refuse_reversed(first_day, last_day)
    store = open_store(load_settings())
    written = export_table(store, table_name, path, first_day=first_day, last_day=last_day, strategy=strategy)
    if as_json:
        print_json({"table": table_name, "path": str(written.path), "rows": written.rows})
    else:
        click.echo(f"{written.rows:,} rows of {table_name} in {written.path}")


@click.command()
@click.argument("day", type=DAY_TYPE)
@click.option("--again", is_flag=True, help="Render it anew even if it exists.")
@json_option
def report(day: date, *, again: bool, as_json: bool) -> None:
    """Path of the daily report of DAY; renders it when it does not exist yet."""
    from openclaw_pipelines.resources.world import open_world
    from openclaw_pipelines.settings import load_settings

    path = load_settings().data_dir / "reports" / f"{day.isoformat()}.html"
    rendered = again or not path.exists()
    if rendered:
        path, _ = Evaluator.of(open_world()).report(day.isoformat())
    if as_json:
        print_json({"day": day, "path": str(path), "rendered": rendered})
    else:
        click.echo(str(path))


@click.group()
def market() -> None:
    """Market data in files."""


@market.command()
@json_option
def inventory(*, as_json: bool) -> None:
    """What the archive folder holds, and what is wrong with it."""
    from openclaw_pipelines.resources.market.archive.source import ArchiveMarket
    from openclaw_pipelines.resources.world import market_settings
    from openclaw_pipelines.settings import load_settings

    market = market_settings(load_settings())
    rows = ArchiveMarket.of(market).inventory().to_dicts()
    if as_json:
        print_json(rows)
    else:
        made = table(
            str(market.archive_dir), "file", "kind", "symbol", "bars", "rows", "first", "last", "problem or note"
        )
        for row in rows:
            cells = (row["file"], row["kind"], row["symbol"], row["interval"], row["rows"])
            shown = ["-" if cell is None else str(cell) for cell in cells]
            said = row["problem"] or row["note"] or ""
            made.add_row(*shown, minute(row["first"]), minute(row["last"]), said)
        console().print(made)
    bad = sum(row["problem"] is not None for row in rows)
    if bad:
        raise UnusableFilesError(bad, len(rows), Path(str(market.archive_dir)))
