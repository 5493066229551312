"""Errors that more than one market source raises."""

from openclaw_pipelines.contracts.errors import ConfigError


class MissingSourceSettingError(ConfigError):
    """A market source lacks a setting it needs."""

    template = "the {source} market needs {setting}. Set it in the configuration or by {variable}."
    source: str
    setting: str
    variable: str
