"""What changed between two looks at what brakes and configures the account, as entries of its chain.

A look compares what is now with what the chain recorded last, so a change is recorded once, whoever sees it first. What
was changed and changed back between two looks leaves no row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from openclaw_pipelines.contracts.canonical import canonical_json, sha256_of
from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.governance import AccountAction
from openclaw_pipelines.contracts.layers import Layer, LayerKind
from openclaw_pipelines.domain.governance.account import NO_REASON, account_entry
from openclaw_pipelines.domain.governance.audit import AuditEntry

Written = Mapping[str, Mapping[str, object]]
"""Dotted key -> its `value` and the layer that it comes `from`."""
SHOWN = 3
"""Settings that are named in short; the details have all."""
AUTOPILOT = "autopilot"


@dataclass(frozen=True)
class SwitchSeen:
    """A kill switch in one place. by: file, layer or variable; reason: its author's words, or why doubt halts."""

    word: KillSwitch
    by: str
    reason: str = ""


@dataclass(frozen=True)
class Seen:
    """One look.

    file: name of the configuration file. switches: subject -> what it says. environments: subject -> variables of one
    process that override settings. overlay_note: the comment that the overlay begins with.
    """

    at: datetime
    file: str
    settings: Written
    switches: Mapping[str, SwitchSeen]
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    overlay_note: str = ""

    @cached_property
    def configuration_hash(self) -> str:
        """Hash by which the settings are kept."""
        return sha256_of(self.settings)


@dataclass(frozen=True)
class Recorded:
    """What the chain recorded last.

    configurations: file -> hash of its settings. switches: subject -> word. settings: those of the file that is looked
    at, needed only where they differ; None before the first look.
    """

    configurations: Mapping[str, str] = field(default_factory=dict)
    switches: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    settings: Written | None = None

    @property
    def begun(self) -> bool:
        """Whether anybody ever looked, so that what has no row was off."""
        return bool(self.configurations)


def differs(recorded: Recorded, seen: Seen) -> bool:
    """Whether the look has anything to record."""
    return (
        recorded.configurations.get(seen.file) != seen.configuration_hash
        or any(recorded.environments.get(name, {}) != own for name, own in seen.environments.items())
        or any(recorded.switches.get(name, KillSwitch.OFF) != own.word for name, own in seen.switches.items())
    )


def changes(recorded: Recorded, seen: Seen) -> list[AuditEntry]:
    """Entries for everything that is other than recorded, switches first."""
    return [*_switches(recorded, seen), *_configuration(recorded, seen), *_environments(recorded, seen)]


def _switches(recorded: Recorded, seen: Seen) -> Iterator[AuditEntry]:
    unknown = KillSwitch.OFF.value if recorded.begun else None
    for subject, own in seen.switches.items():
        before = recorded.switches.get(subject, unknown)
        if (before or KillSwitch.OFF) != own.word:
            by = _configured_by(recorded, seen) if subject == seen.file else own.by
            yield account_entry(
                AccountAction.KILL_SWITCH_CHANGED, subject, before, own.word.value, actor=by,
                reason=own.reason or _note(by, seen), at=seen.at,
            )  # fmt: skip


def _configured_by(recorded: Recorded, seen: Seen) -> str:
    """What released a configured switch is the document that no longer asks for it, not the default beneath."""
    key = "kill_switch"
    return _changed_by((recorded.settings or {}).get(key), seen.settings.get(key), seen.file)


def _note(by: str, seen: Seen) -> str:
    return seen.overlay_note if _is_overlay(by) else ""


def _is_overlay(layer: str) -> bool:
    own = Layer.recorded(layer)
    return (own.within or own).kind is LayerKind.OVERLAY


def _document(layer: str, file: str) -> str:
    """The file that a layer is part of: sections of the main file go by their own name."""
    own = Layer.recorded(layer)
    outer = own.within or own
    return file if outer.kind in (LayerKind.STRATEGY, LayerKind.SYMBOLS) else outer.text


def _configuration(recorded: Recorded, seen: Seen) -> Iterator[AuditEntry]:
    known = recorded.configurations.get(seen.file)
    if known == seen.configuration_hash:
        return
    hashes = {"configuration": seen.configuration_hash, "configuration_before": known}
    if recorded.settings is None:
        yield account_entry(
            AccountAction.CONFIGURATION_CHANGED, seen.file, None, f"{len(seen.settings)} settings", actor=AUTOPILOT,
            reason="seen for the first time; what was before is not known", at=seen.at, **hashes,
        )  # fmt: skip
    else:
        yield _changed_settings(recorded.settings, seen, hashes)
    yield from _pauses(recorded.settings or {}, seen)


def _changed_settings(before: Written, seen: Seen, hashes: Mapping[str, object]) -> AuditEntry:
    keys = sorted(key for key in {*before, *seen.settings} if before.get(key) != seen.settings.get(key))
    by = sorted({_changed_by(before.get(key), seen.settings.get(key), seen.file) for key in keys})
    reason = seen.overlay_note if any(_is_overlay(name) for name in by) else ""
    return account_entry(
        AccountAction.CONFIGURATION_CHANGED, seen.file, _in_short(before, keys), _in_short(seen.settings, keys),
        actor=", ".join(by), reason=reason, at=seen.at, **hashes,
        changed={key: {"before": before.get(key), "after": seen.settings.get(key)} for key in keys},
    )  # fmt: skip


_LATER_WINS = (LayerKind.DEFAULT, LayerKind.FILE, LayerKind.DEPLOYMENT, LayerKind.OVERLAY, LayerKind.ENVIRONMENT)


def _changed_by(before: Mapping[str, object] | None, after: Mapping[str, object] | None, file: str) -> str:
    """The document whose words changed: of two layers the one that overrides the other was added or taken away."""

    def rank(layer: str) -> int:
        own = Layer.recorded(layer)
        kind = (own.within or own).kind
        return _LATER_WINS.index(LayerKind.FILE if kind in (LayerKind.STRATEGY, LayerKind.SYMBOLS) else kind)

    layers = [str(own["from"]) for own in (before, after) if own is not None]
    return _document(max(layers, key=rank), file)


def _in_short(settings: Written, keys: list[str]) -> str:
    """`risk.max_order_notional 500 (overlay live.yaml), 2 more`; a value that is not set is a dash."""
    named = [f"{key} {_value(settings.get(key))}" for key in keys[:SHOWN]]
    return ", ".join([*named, *([f"{len(keys) - SHOWN} more"] if len(keys) > SHOWN else [])])


def _value(own: Mapping[str, object] | None) -> str:
    if own is None:
        return "-"
    value = own["value"]
    return f"{value if isinstance(value, str) else canonical_json(value)} ({own['from']})"


def _pauses(before: Written, seen: Seen) -> Iterator[AuditEntry]:
    """A row of its own per strategy whose pause changed; one that is new and not paused has none."""
    for key, own in sorted(seen.settings.items()):
        parts = key.split(".")
        if len(parts) != 3 or parts[0] != "strategies" or parts[2] != "paused":
            continue
        was = before.get(key)
        paused, paused_before = bool(own["value"]), None if was is None else bool(was["value"])
        if paused == bool(paused_before):
            continue
        action = AccountAction.STRATEGY_PAUSED if paused else AccountAction.STRATEGY_RESUMED
        by = _changed_by(was, own, seen.file)
        yield account_entry(
            action, parts[1], None if was is None else _running(paused=not paused), _running(paused=paused), actor=by,
            reason=_note(by, seen), at=seen.at,
        )  # fmt: skip


def _running(*, paused: bool) -> str:
    return "paused" if paused else "running"


def _environments(recorded: Recorded, seen: Seen) -> Iterator[AuditEntry]:
    for subject, own in seen.environments.items():
        known = recorded.environments.get(subject)
        if own == (known or {}):
            continue
        names = sorted(name for name in {*own, *(known or {})} if own.get(name) != (known or {}).get(name))
        before = None if known is None else _variables(known, names)
        yield account_entry(
            AccountAction.CONFIGURATION_CHANGED, subject, before, _variables(own, names),
            actor=", ".join(f"environment {name}" for name in names), reason=NO_REASON, at=seen.at, variables=dict(own),
        )  # fmt: skip


def _variables(own: Mapping[str, str], names: list[str]) -> str:
    return ", ".join(f"{name} {own.get(name, '-')}" for name in names)
