"""The strategy sensor: starts a strategy's ticks when the bars they wait for are in the store. And the alerts.

What is due is decided by `domain.trading.timing`. A run advances its strategy to the latest closed bar of its day, so a
missed or failed start is caught up by the next; the ledger's primary key, not the run key, keeps ticks from being taken
twice.
"""

import json
from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from openclaw_pipelines.assets.partitions import STRATEGIES, strategies
from openclaw_pipelines.assets.run_tags import LIVE_TAG, partitions_of, range_tags
from openclaw_pipelines.domain.governance.alerts import failed_run_alert
from openclaw_pipelines.domain.trading.timing import Asked, Due, Need, choose
from openclaw_pipelines.jobs import CYCLE_LIVE, MARKET_DAY, MARKET_LIVE, jobs_named
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.notifications import dispatch, notify
from openclaw_pipelines.services.governance.observing import DAGSTER, observe
from openclaw_pipelines.services.lifecycle.tracing import trace_logs
from openclaw_pipelines.services.trading.timetable import alerts_now, due_of, waiting_of


@dg.sensor(jobs=jobs_named(CYCLE_LIVE, MARKET_DAY, MARKET_LIVE), minimum_interval_seconds=5)
def strategy_ticks(context: dg.SensorEvaluationContext, world: dg.ResourceParam[World]) -> dg.SensorResult:
    """One run per strategy that is due, for the oldest day that is not recorded in full.

    After an outage the market days that its ticks need and nobody asked for are asked for first.
    """
    observe(world, DAGSTER)
    now, settings = world.clock.now(), world.settings()
    asked: Asked = {name: tuple(last) for name, last in json.loads(context.cursor or "{}").items()}
    due = [due_of(world, name, now) for name in settings.strategies]
    waiting = [waiting_of(world, item, now) for item in due if item is not None]
    starts, asked = choose(waiting, asked, now)
    known = set(context.instance.get_dynamic_partitions(STRATEGIES))
    missing = [name for name in settings.strategies if name not in known]
    return dg.SensorResult(
        run_requests=[_request(item, attempt, now) for item, attempt in starts],
        dynamic_partitions_requests=[strategies.build_add_request(missing)] if missing else [],
        cursor=json.dumps(asked),
    )


def _request(item: Due | Need, attempt: int, now: datetime) -> dg.RunRequest:
    if isinstance(item, Need):
        return _market_request(item, now)
    return dg.RunRequest(
        run_key=f"{item.strategy}:{item.first:%Y%m%dT%H%MZ}:{attempt}",
        job_name=CYCLE_LIVE,
        partition_key=dg.MultiPartitionKey({"day": item.day, "strategy": item.strategy}),
        tags={LIVE_TAG: "true", "openclaw/strategy": item.strategy},
    )


def _market_request(need: Need, now: datetime) -> dg.RunRequest:
    # the time is in the key: the same day may be needed again later, after another outage
    key = f"market:{need.first}:{now:%Y%m%dT%H%M%S}"
    if not need.whole:
        return dg.RunRequest(run_key=key, job_name=MARKET_LIVE, partition_key=need.last, tags={LIVE_TAG: "true"})
    if need.first == need.last:
        return dg.RunRequest(run_key=key, job_name=MARKET_DAY, partition_key=need.last)
    return dg.RunRequest(run_key=key, job_name=MARKET_DAY, tags=range_tags(need.first, need.last))


@dg.sensor(minimum_interval_seconds=60)
def operator_alerts(context: dg.SensorEvaluationContext, world: dg.ResourceParam[World]) -> Iterator[dg.SkipReason]:
    """Raise alerts for what stands still and does not agree; record what a killed process left untold."""
    observe(world, DAGSTER)
    trace_logs(world)
    dispatch(world)
    fresh = notify(world, alerts_now(world, world.clock.now()))
    for alert in fresh:
        context.log.warning(alert.message)
    yield dg.SkipReason(f"{len(fresh)} new alert(s)")


@dg.run_failure_sensor(monitor_all_code_locations=True)
def failed_runs(context: dg.RunFailureSensorContext, world: dg.ResourceParam[World]) -> None:
    """Raise an alert for a failed run, once per job, partition and hour.

    Runs of the ticker and of the command line belong to no code location, so all of the instance are looked at.
    """
    run = context.dagster_run
    message = f"run {run.run_id} of {run.job_name} failed: {context.failure_event.message}. Open it in the web UI."
    notify(world, [failed_run_alert(run.job_name, partitions_of(run.tags), message, world.clock.now())])


declared_automation = dg.AutomationConditionSensorDefinition(
    "declared_automation",
    target=dg.AssetSelection.assets("instruments"),
    minimum_interval_seconds=60,
    description="Materializes what says for itself when: the instruments, once a day.",
)
"""Of the schedules only the one of the instruments could be said as a condition: the others name yesterday's partition,
or today's and in the first hours yesterday's, for enabled strategies."""

SENSORS = [strategy_ticks, operator_alerts, failed_runs, declared_automation]
