"""The words of the kill switch and the one that the environment asks for."""

from collections.abc import Mapping

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.settings.environment import KILL_SWITCH_VARIABLE
from openclaw_pipelines.settings.errors import SettingValueError

STRICTEST_LAST = (KillSwitch.OFF, KillSwitch.CLOSE_ONLY, KillSwitch.HALT_ALL)
KNOWN = ", ".join(switch.value for switch in STRICTEST_LAST)


def environment_kill_switch(environ: Mapping[str, str]) -> KillSwitch:
    """The environment's kill switch. Raises SettingValueError for a word that is none."""
    word = environ.get(KILL_SWITCH_VARIABLE) or KillSwitch.OFF.value
    try:
        return KillSwitch(word.strip().lower())
    except ValueError:
        raise SettingValueError("environment", KILL_SWITCH_VARIABLE, word, f"must be one of {KNOWN}") from None
