"""Runs in a process of ours, found again by a tag when that process was killed or stopped."""

import os

import dagster as dg

from openclaw_pipelines.assets.run_tags import PROCESS_TAG, TICKER_TAG

_UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]


def process_tag(pid: int) -> str:
    """Process id and when that process started, so that a reused id is not taken for the same process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - a kernel file, not a path of ours
            started = stat.read().rpartition(")")[2].split()[19]
    except OSError:
        started = "gone"
    return f"{pid}-{started}"


def fail_orphans(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed whose process, a ticker or a command, no longer lives; returns how many those were."""
    failed = 0
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        tag = run.tags.get(TICKER_TAG) or run.tags.get(PROCESS_TAG)
        if tag is not None and process_tag(int(tag.split("-")[0])) != tag:
            instance.report_run_failed(run, "The process that ran this was killed; what is due is taken up again.")
            failed += 1
    return failed


def cancel_own(instance: dg.DagsterInstance) -> None:
    """Mark the unfinished runs of this process as canceled: it was stopped and rolled them back."""
    for run in instance.get_runs(dg.RunsFilter(tags={PROCESS_TAG: process_tag(os.getpid())}, statuses=_UNFINISHED)):
        instance.report_run_canceled(run, "Stopped by a signal; what was not committed is rolled back.")
