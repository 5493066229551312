"""`autopilot_cycle`: one multi-asset that walks the ticks of its partitions in order.

Orders of one tick change the account that the next tick decides on, and the universe of a day reads what the days
before earned, so these tables cannot be computed one after another. The walk is in `services.trading.runner`.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from openclaw_pipelines.assets.attributes import HOUR, all_day, attributes, each_night
from openclaw_pipelines.assets.metadata import spec_metadata
from openclaw_pipelines.assets.partitions import day_and_strategy, day_by_strategy, last_days, previous_day, same_day
from openclaw_pipelines.assets.run_tags import is_live, is_tickers, unfinished_of_backfill
from openclaw_pipelines.assets.trading_metadata import day_metadata
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.notifications import notify
from openclaw_pipelines.services.governance.observing import DAGSTER, TICKER, observe
from openclaw_pipelines.services.trading.errors import HoleError
from openclaw_pipelines.services.trading.mismatches import mismatch_alerts
from openclaw_pipelines.services.trading.rounds import handed_over
from openclaw_pipelines.services.trading.runner import DayReport, Runner

GROUP = "trading"
WAIT_SECONDS, MOST_WAITS = 10, 360
"""How a day of a backfill waits for the day before it."""
TABLES_OF = {
    "universe_snapshots": "autopilot_universe_snapshots",
    "proposals": "autopilot_proposals",
    "decisions": "autopilot_decisions",
    "orders": "autopilot_orders",
    "fills": "autopilot_fills",
    "positions": "autopilot_positions",
    "equity": "autopilot_equity",
}
DESCRIPTIONS = {
    "universe_snapshots": "Candidates ranked as of 00:00Z, the selected symbols, scores and reasons.",
    "proposals": "What the planner asked for at each tick.",
    "decisions": "The governor's verdict on each proposal; refused ones are rows too.",
    "orders": "Orders that carry out approved decisions, and protective orders that filled.",
    "fills": "What the paper executor filled, at which price and cost, and what it could not fill.",
    "positions": "Open positions after each tick.",
    "equity": "The sub-account after each tick.",
}
UPSTREAM = {
    "universe_snapshots": [],
    "proposals": ["universe_snapshots"],
    "decisions": ["proposals"],
    "orders": ["decisions"],
    "fills": ["orders"],
    "positions": ["fills"],
    "equity": ["fills"],
}
INPUTS = {"universe_snapshots": ["candles", "features"], "proposals": ["candles", "funding_rates"]}


def trading_assets(days: dg.DailyPartitionsDefinition, shortest: timedelta) -> list[dg.AssetsDefinition]:
    """Assets of the trading layer. shortest: interval of the strategy that ticks most often."""
    partitions = day_by_strategy(days)
    # a quiet tick writes equity and nothing else, and a universe is made once a day
    freshness = {"equity": all_day(shortest), "universe_snapshots": each_night("0 2 * * *", begins_before=2 * HOUR)}

    @dg.multi_asset(
        name="autopilot_cycle",
        specs=[_spec(name, freshness.get(name)) for name in TABLES_OF],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=False,
    )
    def autopilot_cycle(
        context: dg.AssetExecutionContext, world: dg.ResourceParam[World]
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Walk the ticks of the partitions in time order; what is recorded already stays as it is.

        A live tick materializes only the tables it wrote rows to, so that a quiet minute leaves few events. Of a range
        the last day is shown with tables and pictures, the others with what they count.
        """
        taken, touched, told = 0, set[str](), dict[str, Any]()
        keys = sorted(day_and_strategy(key) for key in context.partition_keys)
        whole = last_days(context.partition_keys)
        for n, (day, strategy) in enumerate(keys, start=1):
            report = _run_day(context, world, strategy, day)
            taken += report.taken
            if not is_live(context):
                context.log.info("%s %s: %d ticks (%d of %d partitions)", day, strategy, report.taken, n, len(keys))
            written = [name for name, table in TABLES_OF.items() if report.rows.get(table)]
            touched |= set(written if is_live(context) else TABLES_OF)
            # tables and pictures cost as much as the ticks of the day: whoever wants another one's materializes it
            told = day_metadata(world, strategy, day, report, live=is_live(context), whole=f"{day}|{strategy}" in whole)
            for asset in sorted(touched & set(told)) if len(keys) > 1 else ():
                context.add_asset_metadata(told[asset], asset_key=asset, partition_key=f"{day}|{strategy}")
        for name in (name for name in TABLES_OF if name in touched):
            # a single partition's with the result: telling the context costs queries of the instance for each asset
            own = told.get(name, {}) if len(keys) == 1 else {}
            yield dg.MaterializeResult(
                asset_key=name, metadata={**own, "ticks_taken_in_run": taken, "partitions_in_run": len(keys)}
            )

    return [autopilot_cycle]


def _run_day(context: dg.AssetExecutionContext, world: World, strategy: str, day: str) -> DayReport:
    """Take the ticks of a day, unless a round of the ticker did; in a backfill wait for the runs of the days before it.

    A backfill of no more days than strategies is started as one run per day, all at once and in no order.
    """
    report = handed_over(world, strategy, day) if is_tickers(context) else None
    if report is None and is_live(context):
        observe(world, TICKER if is_tickers(context) else DAGSTER)
    try:
        report = report or Runner.of(world).run_day(strategy, day, live=is_live(context))
        notify(world, mismatch_alerts(world, strategy, report.mismatched))
        return report
    except HoleError as error:
        if not _earlier_day_runs(context, day):
            raise
        raise dg.RetryRequested(max_retries=MOST_WAITS, seconds_to_wait=WAIT_SECONDS) from error


def _earlier_day_runs(context: dg.AssetExecutionContext, day: str) -> bool:
    """Whether a run of the same backfill that begins with an earlier day has not finished."""
    return any(day_and_strategy(key)[0] < day for key in unfinished_of_backfill(context.instance, context.run))


def _spec(name: str, freshness: dg.FreshnessPolicy | None) -> dg.AssetSpec:
    own = dg.AssetDep(name, partition_mapping=previous_day())
    market = [dg.AssetDep(asset, partition_mapping=same_day()) for asset in INPUTS.get(name, [])]
    instruments = [dg.AssetDep("instruments")] if name == "universe_snapshots" else []
    return dg.AssetSpec(
        name,
        description=DESCRIPTIONS[name],
        deps=[own, *market, *instruments, *UPSTREAM[name]],
        skippable=True,
        metadata=spec_metadata(TABLES_OF[name]),
        freshness_policy=freshness,
        **attributes(GROUP, "duckdb", "numba", engine=True),
    )
