"""Dagster's instance folder: where it is, what its dagster.yaml says, and which strategies it knows.

Dagster's own commands find it by DAGSTER_HOME, which they also read from `.env` in the folder they are started in.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw_pipelines.commands.shared import CommandError
from openclaw_pipelines.resources.files import replace_file
from openclaw_pipelines.settings import Settings
from openclaw_pipelines.settings.load import project_home, shipped

if TYPE_CHECKING:
    import dagster as dg

HOME_VARIABLE = "DAGSTER_HOME"
TEMPLATE = "dagster.yaml"
ENV_FILE = ".env"
SUPERSEDED = ("8ec7d1456bead0bf865d0337ad39c8b60c64880b41d942223589a8aea87de6d3",)
"""SHA-256 of the dagster.yaml of earlier releases: a copy that nobody changed is replaced by today's."""


class HomeNotAbsoluteError(CommandError):
    """Dagster takes only an absolute folder."""

    template = "DAGSTER_HOME is {folder!r}; Dagster takes only an absolute path. Unset it or give it in full."
    folder: str


class TemplateMissingError(CommandError):
    """The project's dagster.yaml is not where it should be."""

    template = (
        "no {file}, which says how Dagster keeps its runs. Put the project's config/dagster.yaml back, or run from it."
    )
    file: Path


class FolderError(CommandError):
    """Dagster's folder, or the file that names it, cannot be written."""

    template = "cannot write {file}: {reason}. Give the folder room and rights, or set DAGSTER_HOME to another one."
    file: Path
    reason: str


@dataclass(frozen=True)
class Prepared:
    """An instance folder that can be used.

    config_state: `written` (new, or an earlier release's that nobody changed), `kept` (as in the project) or
        `kept, differs` (an operator changed one of them).
    """

    home: Path
    config_state: str


def dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME, or `dagster` in the data folder when it is not set."""
    given = os.environ.get(HOME_VARIABLE)
    if not given:
        return settings.data_dir / "dagster"
    home = Path(given).expanduser()
    if not home.is_absolute():
        raise HomeNotAbsoluteError(given)
    return home


def prepare_home(settings: Settings) -> Prepared:
    """Make the folder with its dagster.yaml and export DAGSTER_HOME to this process and its children."""
    home = dagster_home(settings)
    template = settings.config_path.parent / TEMPLATE
    if not template.is_file():
        template = shipped(Path("config") / TEMPLATE)
    if not template.is_file():
        raise TemplateMissingError(template)
    os.environ[HOME_VARIABLE] = str(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        return Prepared(home, _place(template, home / TEMPLATE))
    except OSError as error:
        raise FolderError(home, error.strerror or type(error).__name__) from error


def _place(template: Path, target: Path) -> str:
    text = template.read_text(encoding="utf-8")
    if target.exists():
        found = target.read_text(encoding="utf-8")
        if found == text:
            return "kept"
        if hashlib.sha256(found.encode()).hexdigest() not in SUPERSEDED:
            return "kept, differs"
    replace_file(target, text)
    return "written"


def write_env(settings: Settings, home: Path) -> str:
    """Let Dagster's commands, started in the project's folder, find `home`: a line in its `.env`, unless one is there.

    A DAGSTER_HOME of the environment still counts first. Returns `written`, `kept` or `kept, differs`.
    """
    file = project_home(settings.config_path) / ENV_FILE
    line = f"{HOME_VARIABLE}=${{{HOME_VARIABLE}:-{home}}}"
    try:
        known = file.read_text(encoding="utf-8") if file.exists() else ""
        own = [one for one in known.splitlines() if one.partition("=")[0].strip() == HOME_VARIABLE]
        if own:
            return "kept" if own == [line] else "kept, differs"
        replace_file(file, f"{known}{'' if known.endswith(chr(10)) or not known else chr(10)}{line}\n")
    except OSError as error:
        raise FolderError(file, error.strerror or type(error).__name__) from error
    return "written"


@contextmanager
def open_instance(settings: Settings) -> Iterator["dg.DagsterInstance"]:
    """The instance with every configured strategy as a partition; made when it does not exist yet."""
    import dagster as dg

    from openclaw_pipelines.processes.instance import named_failures, opened_alone

    prepared = prepare_home(settings)
    instance = opened_alone(prepared.home, lambda: dg.DagsterInstance.from_config(str(prepared.home)))
    with named_failures(prepared.home), instance:
        add_strategies(instance, settings)
        yield instance


def add_strategies(instance: "dg.DagsterInstance", settings: Settings) -> list[str]:
    """Add the configured strategies that the instance does not know; returns those. None is ever removed."""
    from openclaw_pipelines.assets.partitions import STRATEGIES, add_partitions

    return add_partitions(instance, STRATEGIES, settings.strategies)
