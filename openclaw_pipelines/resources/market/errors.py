"""Errors that more than one market source raises, and their kinds."""

from openclaw_pipelines.contracts.errors import ConfigError, MarketError


class UntrueAnswerError(MarketError):
    """A source answered for a series what cannot be. That series is refused; the others go on."""


class MissingSourceSettingError(ConfigError):
    """A market source lacks a setting it needs."""

    template = "the {source} market needs {setting}. Set it in the configuration or by {variable}."
    source: str
    setting: str
    variable: str
