"""Asset checks of the lifecycle: the log of deployments and its file are whole."""

from collections.abc import Iterator

import dagster as dg

from openclaw_pipelines.checks.partition_results import evaluate_partitions
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.examination import LOG_CHECKS, examine_log


def lifecycle_checks(days: dg.DailyPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the lifecycle."""

    @dg.multi_asset_check(
        name="deployment_log",
        specs=[
            dg.AssetCheckSpec(name, asset="lifecycle_reviews", description=text, blocking=True, partitions_def=days)
            for name, text in LOG_CHECKS.items()
        ],
    )
    def deployment_log(
        context: dg.AssetCheckExecutionContext, world: dg.ResourceParam[World]
    ) -> Iterator[dg.AssetCheckResult]:
        yield from evaluate_partitions(context, world, "lifecycle_reviews", lambda _: examine_log(world))

    return [deployment_log]
