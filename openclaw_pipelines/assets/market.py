"""Market data: instruments, candles, funding rates and features."""

from datetime import timedelta
from typing import Any

import dagster as dg

from openclaw_pipelines.assets.attributes import all_day, attributes, each_night
from openclaw_pipelines.assets.metadata import markdown_table, spec_metadata, time_range
from openclaw_pipelines.assets.run_tags import is_live
from openclaw_pipelines.domain.governance.alerts import refused_answer_alert
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.notifications import notify
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.market.refusals import Refused

GROUP = "market"
EACH_DAY = "5 0 * * *"
"""When instruments are asked for."""


def market_assets(days: dg.DailyPartitionsDefinition, stale_after: timedelta) -> list[dg.AssetsDefinition]:
    """Assets of the market layer. stale_after: age of candles that is no longer fresh."""
    daily = {"partitions_def": days, "backfill_policy": dg.BackfillPolicy.single_run()}
    asked = {**daily, **attributes(GROUP, "duckdb", "polars"), "freshness_policy": all_day(stale_after)}
    return [*_instruments(), *_candles(asked), *_funding_rates(asked), *_features(daily)]


def _instruments() -> list[dg.AssetsDefinition]:
    @dg.asset(
        automation_condition=dg.AutomationCondition.on_cron(EACH_DAY, "UTC"),
        freshness_policy=each_night("35 0 * * *"),
        metadata=spec_metadata("instruments"),
        **attributes(GROUP, "duckdb", "polars"),
    )
    def instruments(world: dg.ResourceParam[World]) -> dg.MaterializeResult[None]:
        """Price units, lots, least orders, fees and lifecycle of the configured symbols, from the market source."""
        result = Ingest.of(world).instruments(world.clock.now())
        rows = market_tables.instruments(world.store, world.source)
        shown = rows.select("symbol", "market_type", "tick", "lot", "min_notional", "taker_fee_rate", "state")
        return dg.MaterializeResult(
            metadata={**vars(result), "dagster/row_count": rows.height, "instruments": markdown_table(shown)}
        )

    return [instruments]


def _candles(asked: dict[str, Any]) -> list[dg.AssetsDefinition]:
    @dg.asset(metadata=spec_metadata("candles"), **asked)
    def candles(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Closed candles of every configured symbol and interval. The first value written for a bar stays."""
        ask = Ingest.of(world).candles_since if is_live(context) else Ingest.of(world).candles_day
        for n, day in enumerate(context.partition_keys, start=1):
            result = ask(day, world.clock.now())
            _warn(context, world, result.refused)
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
                    "followed": result.followed,
                    "dagster/partition_row_count": result.rows,
                    "refused": _refused(result.refused),
                    "bars": dg.MetadataValue.json(result.series),
                    **time_range(result.first, result.last),
                },
                partition_key=day,
            )

    return [candles]


def _funding_rates(asked: dict[str, Any]) -> list[dg.AssetsDefinition]:
    @dg.asset(metadata=spec_metadata("funding_rates"), **asked)
    def funding_rates(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Funding of perpetuals, on the venue's grid."""
        for day in context.partition_keys:
            result = Ingest.of(world).funding_day(day, world.clock.now())
            _warn(context, world, result.refused)
            context.add_asset_metadata(
                {"source": world.source, **vars(result), "refused": _refused(result.refused)}, partition_key=day
            )

    return [funding_rates]


def _refused(refused: tuple[Refused, ...]) -> str:
    return ", ".join(f"{own.symbol} {own.series}" for own in refused) or "none"


def _warn(context: dg.AssetExecutionContext, world: World, refused: tuple[Refused, ...]) -> None:
    """What a source answered and cannot be is said in the run and as an alert; the other symbols go on."""
    for own in refused:
        context.log.warning("%s %s: %s", own.symbol, own.series, own.problem)
    now = world.clock.now()
    notify(
        world, [refused_answer_alert(world.source, own.symbol, own.series, str(own.problem), now) for own in refused]
    )


def _features(daily: dict[str, Any]) -> list[dg.AssetsDefinition]:
    # The same day only, though older days are read: a mapping of twelve days would make a backfill of three days of
    # candles compute features of eleven days more, which have no candles.
    @dg.asset(
        deps=["candles"],
        freshness_policy=each_night("40 0 * * *"),
        metadata=spec_metadata("features"),
        **attributes(GROUP, "duckdb", "polars", engine=True),
        **daily,
    )
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

    return [features]
