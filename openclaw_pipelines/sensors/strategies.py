"""The strategy sensor: starts a strategy's ticks when the bars they wait for are in the store. And the alerts.

What is due is decided by `domain.timing`. A run advances its strategy to the latest closed bar of its day, so a missed
or failed start is caught up by the next; the ledger's primary key, not the run key, keeps ticks from being taken twice.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

import dagster as dg

from openclaw_pipelines.assets.market import LIVE_TAG
from openclaw_pipelines.assets.partitions import STRATEGIES, strategies
from openclaw_pipelines.domain.timing import Alert, Due
from openclaw_pipelines.jobs import CYCLE_LIVE
from openclaw_pipelines.resources.autopilot import Autopilot
from openclaw_pipelines.resources.notifier import notify
from openclaw_pipelines.resources.timetable import alerts_now, bars_ready, due_of

RETRY_SECONDS = 120
"""A tick that was asked for and is still due after this time is asked for again."""

Asked = dict[str, tuple[str, int, float]]
"""Per strategy: the tick asked for last, which attempt that was, and when."""


@dg.sensor(job_name=CYCLE_LIVE, minimum_interval_seconds=5)
def strategy_ticks(context: dg.SensorEvaluationContext, autopilot: dg.ResourceParam[Autopilot]) -> dg.SensorResult:
    """One run per strategy that is due, for the oldest day that is not recorded in full."""
    now, settings = autopilot.clock.now(), autopilot.settings()
    asked: Asked = {name: tuple(last) for name, last in json.loads(context.cursor or "{}").items()}
    due = [due_of(autopilot, name, now) for name in settings.strategies]
    ready = [item for item in due if item is not None and bars_ready(autopilot, item, now)]
    chosen, asked = choose(ready, asked, now)
    known = set(context.instance.get_dynamic_partitions(STRATEGIES))
    missing = [name for name in settings.strategies if name not in known]
    return dg.SensorResult(
        run_requests=[_request(item, attempt) for item, attempt in chosen],
        dynamic_partitions_requests=[strategies.build_add_request(missing)] if missing else [],
        cursor=json.dumps(asked),
    )


def choose(due: Iterable[Due], asked: Asked, now: datetime) -> tuple[list[tuple[Due, int]], Asked]:
    """Which due ticks to ask for now, with the number of the attempt, and what has been asked for then."""
    chosen, remembered = [], dict(asked)
    for item in due:
        tick = item.last.isoformat()
        last, attempt, at = asked.get(item.strategy, ("", 0, 0.0))
        if last == tick and now.timestamp() - at < RETRY_SECONDS:
            continue
        attempt = attempt + 1 if last == tick else 1
        remembered[item.strategy] = (tick, attempt, now.timestamp())
        chosen.append((item, attempt))
    return chosen, remembered


def _request(due: Due, attempt: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{due.strategy}:{due.last:%Y%m%dT%H%MZ}:{attempt}",
        partition_key=dg.MultiPartitionKey({"day": due.day, "strategy": due.strategy}),
        tags={LIVE_TAG: "true", "openclaw/strategy": due.strategy},
    )


@dg.sensor(minimum_interval_seconds=60, asset_selection=None, job_name=CYCLE_LIVE)
def operator_alerts(
    context: dg.SensorEvaluationContext, autopilot: dg.ResourceParam[Autopilot]
) -> Iterator[dg.SkipReason]:
    """Raise alerts for stalled strategies and market data that stands still."""
    fresh = notify(autopilot, alerts_now(autopilot, autopilot.clock.now()))
    for alert in fresh:
        context.log.warning(alert.message)
    yield dg.SkipReason(f"{len(fresh)} new alert(s)")


@dg.run_failure_sensor
def failed_run_alert(context: dg.RunFailureSensorContext, autopilot: dg.ResourceParam[Autopilot]) -> None:
    """Raise an alert for a failed run, once per job and hour."""
    run, now = context.dagster_run, autopilot.clock.now()
    message = f"run {run.run_id} of {run.job_name} failed: {context.failure_event.message}. Open it in the web UI."
    key = f"failed_run:{run.job_name}:{now:%Y%m%dT%H}"
    notify(autopilot, [Alert(key, "failed_run", "error", run.job_name, message)])


SENSORS = [strategy_ticks, operator_alerts, failed_run_alert]
