"""Schedules: the clock of the autopilot. They fire on the minute and only say which partitions to run."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from openclaw_pipelines.assets.run_tags import LIVE_TAG
from openclaw_pipelines.contracts.time import DAY
from openclaw_pipelines.jobs import CYCLE, EVALUATION, LIFECYCLE, MARKET_DAY, MARKET_LIVE, REPORT
from openclaw_pipelines.services.trading.timetable import evaluated_days, market_day, running_on
from openclaw_pipelines.settings import load_settings


def _time(context: dg.ScheduleEvaluationContext) -> datetime:
    return context.scheduled_execution_time.astimezone(UTC)


@dg.schedule(job_name=MARKET_LIVE, cron_schedule="* * * * *", execution_timezone="UTC")
def market_each_minute(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask the market source for what closed since the last minute."""
    at = _time(context)
    return dg.RunRequest(run_key=f"{at:%Y%m%dT%H%M}", partition_key=market_day(at), tags={LIVE_TAG: "true"})


@dg.schedule(job_name=MARKET_DAY, cron_schedule="2 0 * * *", execution_timezone="UTC")
def close_market_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Close yesterday: every bar once more, quality checks, and the features that today's universe reads."""
    day = f"{_time(context) - DAY:%Y-%m-%d}"
    return dg.RunRequest(run_key=day, partition_key=day)


@dg.schedule(job_name=CYCLE, cron_schedule="40 0 * * *", execution_timezone="UTC")
def check_ledger_day(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Verify yesterday's recorded ticks and show the day's tables and plots."""
    day = f"{_time(context) - DAY:%Y-%m-%d}"
    for strategy in running_on(load_settings(), day):
        yield _request(day, strategy, f"check:{day}")


@dg.schedule(job_name=EVALUATION, cron_schedule="7 * * * *", execution_timezone="UTC")
def evaluate_each_hour(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Score what has matured, of today and, in the first hours, of yesterday."""
    for day in evaluated_days(_time(context)):
        for strategy in running_on(load_settings(), day):
            yield _request(day, strategy, f"{_time(context):%Y%m%dT%H}:{day}")


@dg.schedule(job_name=REPORT, cron_schedule="12 * * * *", execution_timezone="UTC")
def report_each_hour(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Write the page of today and, in the first hours, of yesterday."""
    for day in evaluated_days(_time(context)):
        yield dg.RunRequest(run_key=f"{_time(context):%Y%m%dT%H}:{day}", partition_key=day)


@dg.schedule(job_name=LIFECYCLE, cron_schedule="50 0 * * *", execution_timezone="UTC")
def review_each_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Judge every deployed strategy as of the end of yesterday, once its recorded ticks were replayed."""
    day = f"{_time(context) - DAY:%Y-%m-%d}"
    return dg.RunRequest(run_key=day, partition_key=day)


def _request(day: str, strategy: str, run_key: str) -> dg.RunRequest:
    key = dg.MultiPartitionKey({"day": day, "strategy": strategy})
    return dg.RunRequest(run_key=f"{run_key}:{strategy}", partition_key=key)


SCHEDULES = [
    market_each_minute,
    close_market_day,
    check_ledger_day,
    evaluate_each_hour,
    report_each_hour,
    review_each_day,
]
