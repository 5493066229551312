"""Settings: what the operator wants, where each value came from, and hashes that tell whether it changed.

Shape, bounds and defaults are in `contracts.config`; what limits do in a tick is decided in `domain` and `kernel`.
"""

from openclaw_pipelines.settings.controls import effective_kill_switch
from openclaw_pipelines.settings.environment import exchange_credentials
from openclaw_pipelines.settings.load import Settings, load_settings
from openclaw_pipelines.settings.redaction import RedactingFilter, redact
from openclaw_pipelines.settings.resolution import StrategySettings

__all__ = [
    "RedactingFilter",
    "Settings",
    "StrategySettings",
    "effective_kill_switch",
    "exchange_credentials",
    "load_settings",
    "redact",
]
