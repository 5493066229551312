"""What can be wrong with a configuration. Every error names the key, the place and what to do."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from openclaw_pipelines.contracts.errors import ConfigError


class MissingConfigError(ConfigError):
    """The configuration file is not there or cannot be read."""

    template = "cannot read the configuration {path}: {why}. Set OPENCLAW_CONFIG to the path of an autopilot.yaml."
    path: Path
    why: str


class OverlayUnreadableError(ConfigError):
    """The live overlay is there but cannot be read; going on without it might loosen limits."""

    template = "cannot read the overlay {path}: {why}. Correct it, or remove it."
    path: Path
    why: str


class ConfigSyntaxError(ConfigError):
    """A configuration file is not YAML, is empty, or holds no mapping."""

    template = "{where}: {problem}. Compare with the documented example in config/autopilot.yaml."
    where: str
    problem: str


class DuplicateSettingError(ConfigError):
    """A key stands twice in one mapping, so that one of its values would silently be lost."""

    template = "{where}: {key} is already set in line {first_line}. Keep one of the two."
    where: str
    key: str
    first_line: int


class UnknownSettingError(ConfigError):
    """A key that no setting has."""

    template = "{where}: unknown setting {key}. Nearest known: {nearest}. Rename or remove it."
    where: str
    key: str
    nearest: str


class SettingValueError(ConfigError):
    """A value of the wrong type or outside its bounds."""

    template = "{where}: {key} is {value!r}: {problem}. Correct the value."
    where: str
    key: str
    value: object
    problem: str


class MissingSettingError(ConfigError):
    """A setting without a default was not given."""

    template = "{where}: {key} is not set. Add it: {meaning}."
    where: str
    key: str
    meaning: str


class SettingConflictError(ConfigError):
    """A setting that contradicts another one."""

    template = "{where}: {key} is {value!r}, but {problem}. Change one of the two."
    where: str
    key: str
    value: object
    problem: str


class AccountWideLimitError(ConfigError):
    """A limit of the whole sub-account was set for one symbol."""

    template = (
        "{where}: {key} cannot be set per symbol, it holds for the whole sub-account. "
        "Move it to risk or strategies.<name>.risk; limits per symbol are: {per_symbol}."
    )
    where: str
    key: str
    per_symbol: str


class SecretInFileError(ConfigError):
    """A secret stands in a file."""

    template = "{where}: {key} looks like a secret. Remove it and use the environment: {variables}."
    where: str
    key: str
    variables: str


class UnknownVariableError(ConfigError):
    """An environment variable of ours that nothing reads."""

    template = "environment: unknown variable {name}. Nearest known: {nearest}. Rename or unset it."
    name: str
    nearest: str


class UnknownStrategyError(ConfigError):
    """A strategy that the configuration does not have."""

    template = "no strategy is called {name!r}. Nearest known: {nearest}. Configured: {known}."
    name: str
    nearest: str
    known: str


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that resembles `name` most, or `none`.

    >>> nearest("max_order_notionl", ["min_order_notional", "max_order_notional"])
    'max_order_notional'
    """
    names = sorted(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    ranked = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.0)
    return by_lower[ranked[0]] if ranked else "none"
