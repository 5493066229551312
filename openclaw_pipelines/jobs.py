"""Jobs: which assets run together. Market, autopilot, evaluation and report are layers of their own.

A self-dependent asset runs alone, and partitions of different kinds do not mix in one run.
"""

from functools import cache
from typing import Any

import dagster as dg

INSTRUMENTS = "instruments_refresh"
MARKET_LIVE = "market_live"
MARKET_DAY = "market_day"
MARKET_HISTORY = "market_history"
CYCLE = "autopilot_cycle_job"
CYCLE_LIVE = "autopilot_live"
EVALUATION = "evaluation"
REPORT = "report"
LIFECYCLE = "lifecycle"
FACTORY_SWEEP = "factory_sweep"
FACTORY = "factory_cycle"

CYCLE_ASSETS = ("universe_snapshots", "proposals", "decisions", "orders", "fills", "positions", "equity")
FACTORY_ASSETS = ("shortlist", "replays", "parity_reports", "gate_results", "deployments")
MAX_RUNTIME_SECONDS = "3600"
FACTORY_RUNTIME_SECONDS = "43200"

QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
"""Run configuration: every event is on the run's page; the terminal shows only what went wrong."""


@cache
def jobs() -> tuple[Any, ...]:
    """Jobs of the code location, the same objects for definitions and sensors."""
    cycle = dg.AssetSelection.assets(*CYCLE_ASSETS)
    return (
        _job(INSTRUMENTS, dg.AssetSelection.assets("instruments"), "Price units, lots and fees from the source."),
        _job(
            MARKET_LIVE,
            dg.AssetSelection.assets("candles", "funding_rates").without_checks(),
            "What the market source published since the last time.",
        ),
        _job(
            MARKET_DAY,
            dg.AssetSelection.assets("candles", "funding_rates", "features"),
            "A whole day of market data, with its data-quality checks and features.",
        ),
        _job(
            MARKET_HISTORY,
            dg.AssetSelection.assets("candles", "funding_rates"),
            "Days that only the factory reads: market data with its data-quality checks, without features.",
        ),
        _job(CYCLE_LIVE, cycle.without_checks(), "The ticks that are due now."),
        _job(CYCLE, cycle, "Every tick of the day, with the ledger checks."),
        _job(
            EVALUATION,
            dg.AssetSelection.assets("outcomes", "metrics", "seals"),
            "Outcomes that have matured, metrics, and the seal of a day that is over.",
        ),
        _job(REPORT, dg.AssetSelection.assets("daily_report"), "The page of the day."),
        _job(LIFECYCLE, dg.AssetSelection.assets("lifecycle_reviews"), "Gates and rotation of deployed strategies."),
        _job(
            FACTORY_SWEEP,
            dg.AssetSelection.assets("sweep_results"),
            "The shards of a cycle's sweep.",
            FACTORY_RUNTIME_SECONDS,
        ),
        _job(
            FACTORY,
            dg.AssetSelection.assets(*FACTORY_ASSETS),
            "From a finished sweep to a deployment on paper, or to the check that blocks it.",
            FACTORY_RUNTIME_SECONDS,
        ),
    )


def jobs_named(*names: str) -> list[Any]:
    """Some of the jobs, for a sensor that starts them."""
    return [job for job in jobs() if job.name in names]


def _job(
    name: str, selection: dg.AssetSelection, description: str, runtime_seconds: str = MAX_RUNTIME_SECONDS
) -> object:
    return dg.define_asset_job(
        name,
        selection,
        description=description,
        tags={"dagster/max_runtime": runtime_seconds},
        executor_def=dg.in_process_executor,
    )
