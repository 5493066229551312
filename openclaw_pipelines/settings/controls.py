"""The kill switch: configuration, environment and a file; the strictest counts, and doubt halts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.layers import Layer, LayerKind
from openclaw_pipelines.settings.environment import KILL_SWITCH_VARIABLE
from openclaw_pipelines.settings.errors import SettingValueError

if TYPE_CHECKING:
    from openclaw_pipelines.settings.load import Settings
from openclaw_pipelines.settings.kill_switch import KNOWN, STRICTEST_LAST, environment_kill_switch
from openclaw_pipelines.settings.text_files import reason_of, text_of

MOST_BYTES = 64 << 10
"""Of a kill-switch file: a word, and why."""


class SwitchPlace(StrEnum):
    """Where a kill switch can be set."""

    CONFIGURATION = "configuration"
    ENVIRONMENT = "environment"
    FILE = "file"


@dataclass(frozen=True)
class Asked:
    """What one place asks for.

    by: the file, layer or variable. doubt: why it halts without having said so. note: the comment of who set it.
    """

    switch: KillSwitch
    by: str
    doubt: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """Who asks, or what is wrong with what they say."""
        return self.doubt or self.by


def effective_kill_switch(
    settings: "Settings", environ: Mapping[str, str] | None = None, data_dir: Path | None = None
) -> tuple[KillSwitch, str]:
    """The strictest kill switch and who asked for it; checked at every tick and just before an order.

    environ: the process environment unless given. data_dir: folder of the kill-switch file, the settings' unless given.
    A variable or file whose content is not known, or a file that cannot be read, halts everything.
    """
    configured = Asked(settings.config.kill_switch, settings.provenance["kill_switch"].text)
    asked = {**switches(settings, environ, data_dir), SwitchPlace.CONFIGURATION: configured}
    strictest = max(asked.values(), key=lambda one: STRICTEST_LAST.index(one.switch))
    return strictest.switch, strictest.text if strictest.switch is not KillSwitch.OFF else "no kill switch is set"


def switches(
    settings: "Settings", environ: Mapping[str, str] | None = None, data_dir: Path | None = None
) -> dict[SwitchPlace, Asked]:
    """What each place asks for by itself; `configuration` is what files say. Arguments as above."""
    own = settings.beneath.get("kill_switch") or (settings.config.kill_switch, settings.provenance["kill_switch"])
    folder = settings.data_dir if data_dir is None else data_dir
    return {
        SwitchPlace.CONFIGURATION: Asked(KillSwitch(str(own[0])), own[1].text),
        SwitchPlace.ENVIRONMENT: _of_environment(os.environ if environ is None else environ),
        SwitchPlace.FILE: _of_file(folder / settings.config.kill_switch_file),
    }


def _of_environment(environ: Mapping[str, str]) -> Asked:
    by = Layer(LayerKind.ENVIRONMENT, KILL_SWITCH_VARIABLE).text
    try:
        return Asked(environment_kill_switch(environ), by)
    except SettingValueError as error:
        return Asked(KillSwitch.HALT_ALL, by, str(error))


def _of_file(path: Path) -> Asked:
    by = f"file {path.name}"
    try:
        content = text_of(path, MOST_BYTES)
    except FileNotFoundError:
        return Asked(KillSwitch.OFF, by)
    except (OSError, UnicodeDecodeError) as error:
        return Asked(KillSwitch.HALT_ALL, by, f"{by} cannot be read: {reason_of(error)}")
    word, _, note = content.partition("#")
    word = word.strip().lower()
    if word not in {switch.value for switch in STRICTEST_LAST}:
        return Asked(KillSwitch.HALT_ALL, by, f"{by} holds {word[:40]!r}, which is none of {KNOWN}", note.strip())
    return Asked(KillSwitch(word), by, note=note.strip())
