"""`openclaw init`: the store, Dagster's folder and the strategies' partitions. Doing it again changes nothing."""

import click

from openclaw_pipelines.commands.shared import json_option, print_json


@click.command()
@json_option
def init(*, as_json: bool) -> None:
    """Make the data folder, the store and Dagster's instance; safe to repeat."""
    from openclaw_pipelines.commands.instance import dagster_home, open_instance, prepare_home, write_env
    from openclaw_pipelines.resources.store.migrations import DATABASES
    from openclaw_pipelines.resources.world import open_store
    from openclaw_pipelines.settings import load_settings

    settings = load_settings()
    store = open_store(settings)
    for database in DATABASES:
        with store.read(database):
            pass  # makes or migrates the file
    prepared = prepare_home(settings)
    with open_instance(settings):
        pass  # adds the strategies' partitions
    answer = {
        "config": str(settings.config_path),
        "data_dir": str(settings.data_dir),
        "dagster_home": str(dagster_home(settings)),
        "dagster_yaml": prepared.config_state,
        "env_file": write_env(settings, prepared.home),
        "market": settings.market.source.value,
        "strategies": sorted(settings.strategies),
    }
    if as_json:
        print_json(answer)
    else:
        for name, value in answer.items():
            click.echo(f"{name:>13}: {', '.join(value) if isinstance(value, list) else value}")
