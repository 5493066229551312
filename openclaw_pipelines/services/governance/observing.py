"""Looks at kill switches and configuration, and records what changed since anybody looked last.

A person edits a file or sets a variable, and no part of the program is asked. So every live tick, every round of the
ticker and of the sensors, and every command that changes something looks first. Nothing of it enters a tick: what a
tick depends on is in its recorded input.
"""

from collections.abc import Mapping

from openclaw_pipelines.contracts.governance import AccountAction
from openclaw_pipelines.domain.governance.account import Change
from openclaw_pipelines.domain.governance.alerts import kill_switch_alert
from openclaw_pipelines.domain.governance.observed import Seen, SwitchSeen, changes, differs
from openclaw_pipelines.resources.store.account_chain import keep_settings, recorded
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.account import append_in
from openclaw_pipelines.services.governance.notifications import dispatch, put
from openclaw_pipelines.settings.controls import Asked, SwitchPlace, switches
from openclaw_pipelines.settings.redaction import redact

SWITCH_FILE = "kill-switch file"
"""Subject of the switch in the data folder, whatever the file is called now."""
TICKER, DAGSTER = "ticker", "Dagster"
"""Processes whose environment is followed, each by itself: how one was started says nothing of another."""


def observe(world: World, environment_of: str | None = None) -> list[Change]:
    """Record what changed since the last look, with an alert for each kill switch; returns the rows.

    Where nothing changed it is one query and no write.

    environment_of: `TICKER` or `DAGSTER`, whose environment this is; None for a command, whose shell brakes nothing.

    Raises:
        OpenclawError: the configuration or the ledger cannot be read, or the ledger cannot be written.
    """
    seen = look(world, environment_of)
    settings, hashed = world.settings(), seen.configuration_hash
    account = settings.config.account
    with world.store.read("ledger") as con:
        if not differs(recorded(con, account, seen.file, hashed), seen):
            return []
    with world.store.write("ledger") as con:
        seen = look(world, environment_of)  # again: it was a while until the ledger was ours, and others looked
        hashed = seen.configuration_hash
        rows = append_in(con, world, changes(recorded(con, account, seen.file, hashed), seen))
        keep_settings(con, account, seen, settings.config_fingerprint)
        switched = [own for own in rows if own.action is AccountAction.KILL_SWITCH_CHANGED]
        put(con, world, [kill_switch_alert(account, own) for own in switched])
    if switched:
        dispatch(world)
    return rows


def look(world: World, environment_of: str | None = None) -> Seen:
    """What brakes and configures the account now."""
    settings = world.settings()
    asked = switches(settings)
    file = settings.config_path.name
    subjects = {
        SWITCH_FILE: asked[SwitchPlace.FILE],
        file: asked[SwitchPlace.CONFIGURATION],
    }
    environments = {}
    if environment_of is not None:
        subject = f"environment of {environment_of}"
        subjects[subject] = asked[SwitchPlace.ENVIRONMENT]
        environments[subject] = _masked(settings.variables)
    return Seen(
        at=world.clock.now(),
        file=file,
        settings=settings.written,
        switches={subject: _seen(own) for subject, own in subjects.items()},
        environments=environments,
        overlay_note=str(redact(settings.overlay_note)),
    )


def _seen(asked: Asked) -> SwitchSeen:
    return SwitchSeen(asked.switch, asked.by, str(redact(asked.doubt or asked.note)))


def _masked(variables: Mapping[str, str]) -> dict[str, str]:
    masked: dict[str, str] = dict(redact(variables))  # type: ignore[call-overload]  # mappings stay mappings
    return masked
