"""Market data: instruments, candles, funding rates and features."""

from typing import Any

import dagster as dg

from openclaw_pipelines.assets.metadata import markdown_table, spec_metadata, time_range
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.ingest import Ingest

GROUP = "market"
KINDS = {"duckdb", "polars"}
LIVE_TAG = "openclaw/live"
"""Tag of runs that follow the clock: they ask only for what is new and may wait for late bars."""


def is_live(context: dg.AssetExecutionContext) -> bool:
    """Whether the run follows the clock."""
    return context.run.tags.get(LIVE_TAG) == "true"


def market_assets(days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the market layer."""
    daily: dict[str, Any] = {
        "group_name": GROUP,
        "kinds": KINDS,
        "partitions_def": days,
        "backfill_policy": dg.BackfillPolicy.single_run(),
    }

    @dg.asset(group_name=GROUP, kinds=KINDS, metadata=spec_metadata("instruments"))
    def instruments(world: dg.ResourceParam[World]) -> dg.MaterializeResult[None]:
        """Price units, lots, least orders, fees and lifecycle of the configured symbols, from the market source."""
        result = Ingest.of(world).instruments(world.clock.now())
        rows = world.store.query("market", "SELECT * FROM instruments WHERE source = ?", [world.source])
        shown = rows.select("symbol", "market_type", "tick", "lot", "min_notional", "taker_fee_rate", "state")
        return dg.MaterializeResult(
            metadata={**vars(result), "dagster/row_count": rows.height, "instruments": markdown_table(shown)}
        )

    @dg.asset(metadata=spec_metadata("candles"), **daily)
    def candles(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Closed candles of every configured symbol and interval. The first value written for a bar stays."""
        ask = Ingest.of(world).candles_since if is_live(context) else Ingest.of(world).candles_day
        for n, day in enumerate(context.partition_keys, start=1):
            result = ask(day, world.clock.now())
            if not is_live(context):
                context.log.info(
                    "%s: %d new bars (%d of %d days)", day, result.inserted, n, len(context.partition_keys)
                )
            context.add_asset_metadata(
                {
                    "source": world.source,
                    "inserted": result.inserted,
                    "unchanged": result.unchanged,
                    "revised": result.revised,
                    "dagster/partition_row_count": result.rows,
                    "bars": dg.MetadataValue.json(result.series),
                    **time_range(result.first, result.last),
                },
                partition_key=day,
            )

    @dg.asset(metadata=spec_metadata("funding_rates"), **daily)
    def funding_rates(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Funding of perpetuals, on the venue's grid."""
        for day in context.partition_keys:
            result = Ingest.of(world).funding_day(day, world.clock.now())
            context.add_asset_metadata({"source": world.source, **vars(result)}, partition_key=day)

    # The same day only, though older days are read: a mapping of twelve days would make a backfill of three days of
    # candles compute features of eleven days more, which have no candles.
    @dg.asset(deps=[candles], metadata=spec_metadata("features"), **daily)
    def features(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Indicators and regime per symbol and bar, warmed on fixed days before, capped to stated ranges."""
        for day in context.partition_keys:
            result = compute_features(world, day)
            context.add_asset_metadata(
                {
                    "dagster/partition_row_count": result.rows.height,
                    "capped": result.capped,
                    "not_warm": result.not_warm,
                    "history_days_missing": ", ".join(result.history_missing) or "none",
                    "regimes": markdown_table(result.regimes),
                    "at_the_last_bar": markdown_table(result.latest),
                },
                partition_key=day,
            )

    return [instruments, candles, funding_rates, features]
