"""Runs of a process that is gone are failed, those of one that was stopped canceled, and those of others left alone."""

import os

import dagster as dg

from openclaw_pipelines.assets.run_tags import PROCESS_TAG, TICKER_TAG
from openclaw_pipelines.processes.orphans import cancel_own, fail_orphans, process_tag

GONE = "4194304-1"
"""Beyond the largest process id."""


@dg.op
def nothing() -> None: ...


@dg.job
def a_job() -> None:
    nothing()


def begun(instance: dg.DagsterInstance, **tags: str) -> str:
    run = instance.create_run_for_job(a_job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status.value


def test_each_by_whose_it_is() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        own = begun(instance, **{PROCESS_TAG: process_tag(os.getpid())})
        command, ticker = begun(instance, **{PROCESS_TAG: GONE}), begun(instance, **{TICKER_TAG: GONE})
        another = begun(instance)
        assert fail_orphans(instance) == 2
        assert [status(instance, one) for one in (own, command, ticker, another)] == [
            "STARTED", "FAILURE", "FAILURE", "STARTED",
        ]  # fmt: skip
        cancel_own(instance)
        assert [status(instance, one) for one in (own, another)] == ["CANCELED", "STARTED"]
