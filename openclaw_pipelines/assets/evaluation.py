"""Evaluation: outcomes of decisions, metrics, and the report a person reads."""

from typing import Any

import dagster as dg

from openclaw_pipelines.assets.attributes import EACH_HOUR, attributes
from openclaw_pipelines.assets.metadata import markdown_table, spec_metadata
from openclaw_pipelines.assets.partitions import day_and_strategy, day_by_strategy, last_days, same_day
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.evaluation.evaluator import Evaluator
from openclaw_pipelines.services.evaluation.examination import examine_day
from openclaw_pipelines.services.evaluation.sealing import seal_days

GROUP = "evaluation"


def evaluation_assets(days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the evaluation layer."""
    each_hour = {"backfill_policy": dg.BackfillPolicy.single_run(), "freshness_policy": EACH_HOUR}
    by_strategy = {**each_hour, **attributes(GROUP, "duckdb", "polars"), "partitions_def": day_by_strategy(days)}
    return [
        *_outcomes(by_strategy),
        *_metrics(by_strategy),
        *_seals(by_strategy),
        *_daily_report({**each_hour, **attributes(GROUP, "html", "matplotlib"), "partitions_def": days}),
    ]


def _outcomes(by_strategy: dict[str, Any]) -> list[dg.AssetsDefinition]:
    candles = dg.AssetDep("candles", partition_mapping=same_day())

    @dg.asset(deps=["decisions", candles], metadata=spec_metadata("autopilot_outcomes"), **by_strategy)
    def outcomes(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Each decision, accepted or refused, scored at every horizon once it has matured."""
        from openclaw_pipelines.report.day.plots import outcomes_png
        from openclaw_pipelines.report.page.plots import png_markdown

        whole = last_days(context.partition_keys)
        for key in context.partition_keys:
            day, strategy = day_and_strategy(key)
            rows = Evaluator.of(world).outcomes(strategy, day)
            shown = ["decided_at", "symbol", "decision_status", "horizon_seconds", "return_signed", "win", "reason"]
            metadata = {
                "dagster/partition_row_count": rows.height,
                "scored": rows["return_signed"].count(),
                "wins": int(rows["win"].sum() or 0),
                "outcomes": markdown_table(rows.select(shown)),
            }
            if rows["win"].count() and key in whole:
                metadata["by_horizon_and_symbol"] = dg.MetadataValue.md(
                    png_markdown(outcomes_png(rows), "Mean signed return by symbol and horizon")
                )
            context.add_asset_metadata(metadata, partition_key=key)

    return [outcomes]


def _metrics(by_strategy: dict[str, Any]) -> list[dg.AssetsDefinition]:
    upstream = ["outcomes", "fills", "positions", "equity"]

    @dg.asset(deps=upstream, metadata=spec_metadata("autopilot_metrics"), **by_strategy)
    def metrics(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Decision, outcome, execution, risk and return quality, each with its definition and sample size."""
        for key in context.partition_keys:
            day, strategy = day_and_strategy(key)
            rows = Evaluator.of(world).metrics(strategy, day)
            shown = rows.select("scope", "name", "value", "unit", "sample_size", "below_minimum_sample", "reason")
            context.add_asset_metadata(
                {"dagster/partition_row_count": rows.height, "metrics": markdown_table(shown, rows=200)},
                partition_key=key,
            )

    return [metrics]


def _seals(by_strategy: dict[str, Any]) -> list[dg.AssetsDefinition]:
    @dg.asset(deps=["outcomes", "equity"], metadata=spec_metadata("seals"), **by_strategy)
    def seals(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """What the ledger held at the end of the day, chained to the day before. Note the newest seal elsewhere."""
        for key in context.partition_keys:
            day, strategy = day_and_strategy(key)
            sealing = seal_days(world, strategy, day)
            metadata: dict[str, Any] = {"sealed_days": len(sealing.sealed)}
            if sealing.waiting:
                metadata["waits_for"] = sealing.waiting
            if sealing.newest:
                metadata |= {f"newest_{name}": sealing.newest[name] for name in ("day", "seal")}
            own = next((row for row in sealing.sealed if row["day"] == day), None)
            if own:
                metadata |= {"seal": own["seal"], "prev_seal": own["prev_seal"], "rows": own["row_count"]}
            context.add_asset_metadata(metadata, partition_key=key)

    return [seals]


def _daily_report(by_day: dict[str, Any]) -> list[dg.AssetsDefinition]:
    @dg.asset(deps=[dg.AssetDep("metrics", partition_mapping=same_day())], **by_day)
    def daily_report(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """One self-contained HTML page per day: exceptions first, then equity, trades, rejects, outcomes and costs."""
        for day in context.partition_keys:
            path, html = Evaluator.of(world).report(day, examine_day(world, day))
            context.add_asset_metadata(
                {"report": dg.MetadataValue.path(str(path)), "size_bytes": len(html.encode())}, partition_key=day
            )

    return [daily_report]
