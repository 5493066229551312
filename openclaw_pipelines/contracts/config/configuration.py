"""The whole configuration.

Layers, provenance, fingerprints and environment variables are in `settings`.
"""

from typing import Annotated

from pydantic import Field

from openclaw_pipelines.contracts.config.factory import Gates, Recipe
from openclaw_pipelines.contracts.config.governance import Risk
from openclaw_pipelines.contracts.config.lifecycle import Lifecycle
from openclaw_pipelines.contracts.config.market import Market, Quality
from openclaw_pipelines.contracts.config.trading import Costs, Strategy, SymbolOverride, Universe
from openclaw_pipelines.contracts.config.values import Section
from openclaw_pipelines.contracts.enums import KillSwitch


class Configuration(Section):
    """The whole configuration."""

    account: str = Field("paper", pattern=r"^[a-z0-9_-]+$", description="account that all strategies trade for")
    kill_switch: KillSwitch = Field(KillSwitch.OFF, strict=False, description="off, close_only or halt_all")
    kill_switch_file: str = Field("KILL_SWITCH", description="file in the data folder whose content is a kill switch")
    overlay_file: str | None = Field(
        None, description="live overlay in the data folder, read after this file; empty to disable"
    )
    market: Market
    risk: Risk = Risk()
    costs: Costs = Costs()
    universe: Universe = Universe()
    quality: Quality = Quality()
    gates: Gates = Gates()
    factory: dict[str, Recipe] = Field(default_factory=dict, description="recipes of factory cycles by name")
    lifecycle: Lifecycle = Lifecycle()
    symbols: dict[str, SymbolOverride] = Field(default_factory=dict, description="overrides per symbol")
    strategies: dict[str, Strategy] = Field(min_length=1, description="strategies by name")
    outcome_horizons_seconds: list[Annotated[int, Field(ge=1, le=86_400)]] = Field(
        [300, 900, 3600], min_length=1, description="horizons of outcomes"
    )
    minimum_sample: int = Field(20, ge=1, description="metrics on fewer observations are marked")
    data_dir: str = Field("data/local", description="where the store lives")
    seals_dir: str = Field(
        "seals", description="folder of the daily seals, in the data folder; an absolute path keeps them elsewhere"
    )
    lock_timeout_seconds: float = Field(30.0, gt=0, description="how long to wait for the store's lock")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="log level")
