"""Asset checks of `candles` and `funding_rates`, one per rule of `domain.market.quality`."""

from collections.abc import Iterator

import dagster as dg

from openclaw_pipelines.checks.partition_results import evaluate_partitions
from openclaw_pipelines.domain.market.quality.checks import CHECKS
from openclaw_pipelines.domain.market.quality.funding import FUNDING_CHECKS
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.market.examination import examine_candles, examine_funding


def market_checks(days: dg.DailyPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """Data-quality checks."""

    @dg.multi_asset_check(
        name="candle_quality",
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset="candles",
                description=check.description,
                blocking=check.blocking,
                partitions_def=days,
            )
            for check in CHECKS
        ],
    )
    def candle_quality(
        context: dg.AssetCheckExecutionContext, world: dg.ResourceParam[World]
    ) -> Iterator[dg.AssetCheckResult]:
        yield from evaluate_partitions(context, world, "candles", lambda day: examine_candles(world, day))

    @dg.multi_asset_check(
        name="funding_quality",
        specs=[
            dg.AssetCheckSpec(name, asset="funding_rates", description=text, partitions_def=days)
            for name, text in FUNDING_CHECKS.items()
        ],
    )
    def funding_quality(
        context: dg.AssetCheckExecutionContext, world: dg.ResourceParam[World]
    ) -> Iterator[dg.AssetCheckResult]:
        yield from evaluate_partitions(context, world, "funding_rates", lambda day: examine_funding(world, day))

    return [candle_quality, funding_quality]
