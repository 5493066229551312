"""The one place where assets, checks, resources, schedules and sensors meet."""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg

from openclaw_pipelines.assets.evaluation import evaluation_assets
from openclaw_pipelines.assets.factory import factory_assets
from openclaw_pipelines.assets.lifecycle import lifecycle_assets
from openclaw_pipelines.assets.market import market_assets
from openclaw_pipelines.assets.partitions import daily
from openclaw_pipelines.assets.trading import trading_assets
from openclaw_pipelines.checks.factory import factory_checks
from openclaw_pipelines.checks.lifecycle import lifecycle_checks
from openclaw_pipelines.checks.market import market_checks
from openclaw_pipelines.checks.trading import trading_checks
from openclaw_pipelines.jobs import jobs
from openclaw_pipelines.resources.shells import resources
from openclaw_pipelines.sensors.schedules import SCHEDULES
from openclaw_pipelines.sensors.strategies import SENSORS
from openclaw_pipelines.settings import load_settings

# Partition mappings over two dimensions, single-run backfills and partitioned checks are beta or preview by name; the
# version is pinned and the tests hold what is used of them.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def build_defs(*, resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """All definitions. Tests, the ticker and the code location share this.

    resource_overrides: objects in place of the configured resources, by key.
    """
    settings = load_settings()
    days = daily(settings)
    return dg.Definitions(
        assets=[
            *market_assets(days, timedelta(seconds=settings.config.quality.max_staleness_seconds)),
            *trading_assets(days, min(strategy.interval for strategy in settings.strategies.values())),
            *evaluation_assets(days),
            *factory_assets(),
            *lifecycle_assets(days),
        ],
        asset_checks=[*market_checks(days), *trading_checks(days), *factory_checks(), *lifecycle_checks(days)],
        jobs=list(jobs()),
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources={**resources(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


def without_home(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What to say where Dagster's own command runs something without an instance that remembers it; None elsewhere.

    >>> without_home(["/bin/dagster", "asset", "materialize"], {"DAGSTER_HOME": "/srv/dagster"}) is None
    True
    >>> without_home(["/bin/dg", "check", "defs"], {}) is None
    True
    """
    started_by_dagster = Path(arguments[0]).name in ("dagster", "dg") or Path(arguments[0]).parent.name == "dagster"
    runs = {"materialize", "execute", "launch", "grpc"} & set(arguments[1:])
    if environ.get("DAGSTER_HOME") or not (started_by_dagster and runs):
        return None
    return (
        "DAGSTER_HOME is not set, so Dagster would forget its runs and knows no strategy. Run `openclaw init` once in "
        "the project's folder: it writes .env, which Dagster reads there. Or export DAGSTER_HOME, an absolute path."
    )


if (homeless := without_home(sys.argv, os.environ)) is not None:
    if "grpc" not in sys.argv:
        sys.exit(homeless)
    print(homeless, file=sys.stderr)  # a web UI without a memory is still one to look around in

defs = build_defs()
