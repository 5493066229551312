"""The one place where assets, checks, resources, schedules and sensors meet."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from openclaw_pipelines.assets.autopilot import autopilot_assets
from openclaw_pipelines.assets.evaluation import evaluation_assets
from openclaw_pipelines.assets.factory import factory_assets
from openclaw_pipelines.assets.lifecycle import lifecycle_assets
from openclaw_pipelines.assets.market import market_assets
from openclaw_pipelines.assets.partitions import daily
from openclaw_pipelines.checks.autopilot import autopilot_checks
from openclaw_pipelines.checks.factory import factory_checks
from openclaw_pipelines.checks.lifecycle import lifecycle_checks
from openclaw_pipelines.checks.market import market_checks
from openclaw_pipelines.jobs import jobs
from openclaw_pipelines.resources.shells import resources
from openclaw_pipelines.sensors.schedules import SCHEDULES
from openclaw_pipelines.sensors.strategies import SENSORS
from openclaw_pipelines.settings import load_settings

# Partition mappings over two dimensions, single-run backfills and partitioned checks are beta or preview by name; the
# version is pinned and the tests hold what is used of them.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """All definitions. Tests, the ticker and the code location share this.

    resource_overrides: objects in place of the configured resources, by key.
    """
    days = daily(load_settings())
    return dg.Definitions(
        assets=[
            *market_assets(days),
            *autopilot_assets(days),
            *evaluation_assets(days),
            *factory_assets(),
            *lifecycle_assets(days),
        ],
        asset_checks=[*market_checks(days), *autopilot_checks(days), *factory_checks(), *lifecycle_checks(days)],
        jobs=list(jobs()),
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources={**resources(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs()
