"""Asset checks of `candles`, one per rule of `domain.quality`."""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg
import polars as pl

from openclaw_pipelines.assets.metadata import markdown_table
from openclaw_pipelines.checks.reporting import Evaluated, evaluate_partitions
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.quality import CHECKS, CheckResult, Window, run_all
from openclaw_pipelines.resources import candle_store
from openclaw_pipelines.resources.autopilot import Autopilot


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
        context: dg.AssetCheckExecutionContext, autopilot: dg.ResourceParam[Autopilot]
    ) -> Iterator[dg.AssetCheckResult]:
        def evaluate(day: str) -> list[Evaluated]:
            return [evaluated(result) for result in check_day(autopilot, day)]

        yield from evaluate_partitions(context, "candles", evaluate)

    return [candle_quality]


def check_day(autopilot: Autopilot, day: str) -> list[CheckResult]:
    """Every rule on the stored candles of a day, with its revisions."""
    settings, start = autopilot.settings(), day_start(day)
    args = (autopilot.store, autopilot.source, settings.market.symbols)
    frames = [candle_store.candles(*args, interval, start, start + DAY) for interval in settings.intervals]
    revisions = [candle_store.revisions(*args, interval, start, start + DAY) for interval in settings.intervals]
    listed = autopilot.store.query(
        "market", "SELECT symbol, listed_at FROM instruments WHERE source = ? AND listed_at IS NOT NULL", [args[1]]
    )
    listed_at: dict[str, datetime] = dict(listed.iter_rows())
    return run_all(
        Window(
            candles=pl.concat(frames),
            symbols=settings.market.symbols,
            intervals=settings.intervals,
            start=start,
            end=start + DAY,
            as_of=autopilot.clock.now(),
            quality=settings.config.quality,
            revisions=pl.concat(revisions),
            listed_at=listed_at,
        )
    )


def evaluated(result: CheckResult) -> Evaluated:
    """The result as Dagster shows it: the sentence, the numbers and the rows to act on."""
    metadata = {"finding": result.sentence, **result.facts}
    if result.total_cases:
        metadata["cases"] = markdown_table(result.cases, rows=50)
        metadata["total_cases"] = result.total_cases
    severity = dg.AssetCheckSeverity.ERROR if result.severity == "error" else dg.AssetCheckSeverity.WARN
    return Evaluated(result.name, result.passed, severity, metadata)
