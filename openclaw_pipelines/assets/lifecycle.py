"""`lifecycle_reviews`: once a day every deployed strategy is judged, and moves by what it showed on paper."""

import dagster as dg
import polars as pl

from openclaw_pipelines.assets.attributes import attributes, each_night
from openclaw_pipelines.assets.metadata import markdown_table, spec_metadata
from openclaw_pipelines.assets.partitions import STRATEGIES, add_partitions, same_day
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.services.lifecycle.operations import review_day

GROUP = "lifecycle"
RULE_COLUMNS = {
    "strategy": pl.String, "rule": pl.String, "measured": pl.Float64, "required": pl.String, "holds": pl.Boolean,
    "sample_size": pl.Int64, "reason": pl.String,
}  # fmt: skip


def lifecycle_assets(days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the lifecycle."""

    @dg.asset(
        deps=[dg.AssetDep("equity", partition_mapping=same_day())],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=each_night("30 1 * * *"),
        metadata=spec_metadata("deployments"),
        **attributes(GROUP, "python", "duckdb"),
    )
    def lifecycle_reviews(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Gates and rotation rules of every deployed strategy at the end of the day, and the moves that follow."""
        for day in sorted(context.partition_keys):
            know_strategies(context.instance, world)
            done = review_day(world, day)
            moves = [
                {name: row[name] for name in ("strategy_config_id", "from_state", "to_state", "ramp_bps", "reason")}
                for row in done.rows
            ]
            rules = [
                (own.strategy, rule.name, rule.measured, rule.required, rule.holds, rule.sample_size, rule.reason)
                for own in done.judged
                for rule in (*own.gates, *own.rotation)
            ]
            context.add_asset_metadata(
                {
                    "as_of": dg.MetadataValue.timestamp(done.as_of),
                    "judged": len(done.judged),
                    "moves": markdown_table(pl.DataFrame(moves, infer_schema_length=None)),
                    "rules": markdown_table(pl.DataFrame(rules, schema=RULE_COLUMNS, orient="row"), rows=200),
                },
                partition_key=day,
            )

    return [lifecycle_reviews]


def know_strategies(instance: dg.DagsterInstance, world: World) -> list[str]:
    """Make every deployed strategy a partition; returns the new ones."""
    found = set(DeploymentBook(world).positions()) & set(world.settings().strategies)
    return add_partitions(instance, STRATEGIES, found)
