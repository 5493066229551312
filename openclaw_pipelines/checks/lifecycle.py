"""Asset checks of the lifecycle: what paper recorded replays to itself, and the log and its file are whole."""

from collections.abc import Iterator

import dagster as dg

from openclaw_pipelines.assets.partitions import day_and_strategy, day_by_strategy
from openclaw_pipelines.checks.partition_results import evaluate_partitions
from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.examination import (
    LOG_CHECKS,
    PAPER_REPLAY_PARITY,
    examine_log,
    examine_paper,
)


def lifecycle_checks(days: dg.DailyPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the lifecycle."""

    @dg.multi_asset_check(
        name="paper_parity",
        specs=[
            dg.AssetCheckSpec(
                "paper_replay_parity",
                asset="equity",
                description=PAPER_REPLAY_PARITY,
                blocking=True,
                partitions_def=day_by_strategy(days),
            )
        ],
    )
    def paper_parity(
        context: dg.AssetCheckExecutionContext, world: dg.ResourceParam[World]
    ) -> Iterator[dg.AssetCheckResult]:
        def examine(key: str) -> list[CheckResult]:
            day, strategy = day_and_strategy(key)
            return [examine_paper(world, strategy, day)]

        yield from evaluate_partitions(context, world, "equity", examine)

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

    return [paper_parity, deployment_log]
