"""The one place where assets, checks, resources, schedules and sensors meet."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from openclaw_pipelines.assets.autopilot import autopilot_assets
from openclaw_pipelines.assets.evaluation import evaluation_assets
from openclaw_pipelines.assets.market import market_assets
from openclaw_pipelines.assets.partitions import daily
from openclaw_pipelines.resources.shells import resources
from openclaw_pipelines.settings import load_settings

# Multi-dimensional partition mappings and single-run backfills are beta by name; both are pinned and tested here.
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """All definitions. Tests, the ticker and the code location share this.

    resource_overrides: objects in place of the configured resources, by key.
    """
    days = daily(load_settings())
    return dg.Definitions(
        assets=[*market_assets(days), *autopilot_assets(days), *evaluation_assets(days)],
        resources={**resources(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs()
