"""The kill switch: configuration, environment and a file; the strictest counts, and doubt halts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.layers import Layer, LayerKind
from openclaw_pipelines.settings.environment import KILL_SWITCH_VARIABLE
from openclaw_pipelines.settings.errors import SettingValueError

if TYPE_CHECKING:
    from openclaw_pipelines.settings.load import Settings
from openclaw_pipelines.settings.kill_switch import KNOWN, STRICTEST_LAST, environment_kill_switch


def effective_kill_switch(
    settings: "Settings", environ: Mapping[str, str] | None = None, data_dir: Path | None = None
) -> tuple[KillSwitch, str]:
    """The strictest kill switch and who asked for it; checked at every tick and just before an order.

    environ: the process environment unless given. data_dir: folder of the kill-switch file, the settings' unless given.
    A variable or file whose content is not known, or a file that cannot be read, halts everything.
    """
    asked = [
        (settings.config.kill_switch, settings.provenance["kill_switch"].text),
        _of_environment(os.environ if environ is None else environ),
        _of_file((settings.data_dir if data_dir is None else data_dir) / settings.config.kill_switch_file),
    ]
    switch, reason = max(asked, key=lambda one: STRICTEST_LAST.index(one[0]))
    return switch, reason if switch is not KillSwitch.OFF else "no kill switch is set"


def _of_environment(environ: Mapping[str, str]) -> tuple[KillSwitch, str]:
    try:
        return environment_kill_switch(environ), Layer(LayerKind.ENVIRONMENT, KILL_SWITCH_VARIABLE).text
    except SettingValueError as error:
        return KillSwitch.HALT_ALL, str(error)


def _of_file(path: Path) -> tuple[KillSwitch, str]:
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return KillSwitch.OFF, f"no file {path.name}"
    except (OSError, UnicodeDecodeError) as error:
        return KillSwitch.HALT_ALL, f"file {path.name} cannot be read: {type(error).__name__}"
    word = content.strip().lower()
    if word not in {switch.value for switch in STRICTEST_LAST}:
        return KillSwitch.HALT_ALL, f"file {path.name} holds {word[:40]!r}, which is none of {KNOWN}"
    return KillSwitch(word), f"file {path.name}"
