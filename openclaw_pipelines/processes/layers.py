"""Jobs run one after another in this process, for commands that do a whole sequence."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.processes.stopping import stopped_by_signals, undisturbed

if TYPE_CHECKING:
    import dagster as dg


class LayerFailedError(OpenclawError):
    """A run of a layer failed."""

    template = "{job} failed in {step}: {reason}. See run {run_id} in the web UI (`make up`)."
    job: str
    step: str
    reason: str
    run_id: str


class StoppedError(OpenclawError):
    """A command was stopped by a signal."""

    template = "{job} was stopped. What is recorded stays; the same command goes on from there."
    job: str


@dataclass(frozen=True)
class Layer:
    """One run: a job over a range of partitions."""

    says: str
    job: str
    first: str | None
    last: str | None


def run_layer(
    defs: "dg.Definitions", instance: "dg.DagsterInstance", layer: Layer, run_config: Mapping[str, object] | None = None
) -> None:
    """Execute one layer in this process; only warnings are printed unless `run_config` says otherwise.

    Raises:
        LayerFailedError: a step of it failed. StoppedError: a signal asked for it.
    """
    from openclaw_pipelines.assets.run_tags import PROCESS_TAG, range_tags
    from openclaw_pipelines.jobs import QUIET
    from openclaw_pipelines.processes.instance import named_failures
    from openclaw_pipelines.processes.orphans import cancel_own, fail_orphans, process_tag

    tags = {} if layer.first is None else range_tags(layer.first, layer.last or layer.first)
    tags[PROCESS_TAG] = process_tag(os.getpid())
    job = defs.resolve_job_def(layer.job)
    with (
        named_failures(),
        stopped_by_signals(lambda text: print(text, file=sys.stderr), "and rolling back what is running") as stop,
    ):
        fail_orphans(instance)  # of a command that was killed
        try:
            result = undisturbed(
                lambda: job.execute_in_process(
                    instance=instance, tags=tags, raise_on_error=False, run_config=run_config or QUIET
                ),
                interrupted_by=stop,
            )
        except KeyboardInterrupt:
            raise StoppedError(layer.job) from None
        finally:
            if stop.asked:
                cancel_own(instance)
        if stop.asked:
            raise StoppedError(layer.job)
    if not result.success:
        step, reason = failure_of(result)
        raise LayerFailedError(layer.job, step, reason, result.run_id)


def failure_of(result: "dg.ExecuteInProcessResult") -> tuple[str, str]:
    """The first step of a run that failed, and why as its own error says it."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause or error if error else None
            return str(event.step_key), cause.message.strip() if cause else str(event.message)
    return "the run itself", "it failed before its first step"
