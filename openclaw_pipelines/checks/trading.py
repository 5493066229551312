"""Asset checks of the ledger: recorded ticks replay to themselves, books reconcile, days are complete."""

from collections.abc import Iterator

import dagster as dg

from openclaw_pipelines.assets.partitions import day_and_strategy, day_by_strategy
from openclaw_pipelines.checks.partition_results import evaluate_partitions
from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.examination import PAPER_REPLAY_PARITY, PAPER_TEXT, examine_paper
from openclaw_pipelines.services.trading.examination import LEDGER_CHECKS, examine_ledger
from openclaw_pipelines.services.trading.verification import verify_day


def trading_checks(days: dg.DailyPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the trading layer, on its last table. One replay of a day answers all of them."""
    partitions = day_by_strategy(days)

    @dg.multi_asset_check(
        name="ledger_checks",
        specs=[
            dg.AssetCheckSpec(name, asset="equity", description=text, blocking=True, partitions_def=partitions)
            for name, text in {**LEDGER_CHECKS, PAPER_REPLAY_PARITY: PAPER_TEXT}.items()
        ],
    )
    def ledger_checks(
        context: dg.AssetCheckExecutionContext, world: dg.ResourceParam[World]
    ) -> Iterator[dg.AssetCheckResult]:
        def examine(key: str) -> list[CheckResult]:
            day, strategy = day_and_strategy(key)
            replayed = verify_day(world.ledger(strategy), day)
            return [*examine_ledger(world, replayed), examine_paper(world, replayed)]

        yield from evaluate_partitions(context, world, "equity", examine)

    return [ledger_checks]
