"""The shards of one sweep as the steps of one run, which any Dagster executor spreads over processes or machines.

The same shards are partitions of `sweep_results`; a step runs one and reports its partition, exactly as the asset does.
Who runs which shard, where and in what order changes no result. What is stored is not run again, so a run that lost a
worker is started again and goes on. Kubernetes and others: docs/factory.md.
"""

import os

import dagster as dg

from openclaw_pipelines.assets.factory import cycles, shard_metadata
from openclaw_pipelines.domain.factory.search import SHARD_KEYS
from openclaw_pipelines.resources.shells import resources
from openclaw_pipelines.resources.world import World

SPREAD = "factory_sweep_spread"
WAIT_SECONDS, MOST_WAITS = 2, 3_600
"""How a shard of an adaptive search waits for those that it learns from."""


def spread_job(executor: dg.ExecutorDefinition, name: str = SPREAD) -> dg.JobDefinition:
    """A job of one step per shard, partitioned by cycle, under an executor."""
    steps = [_step(shard) for shard in SHARD_KEYS]

    @dg.job(
        name=name,
        description="Every shard of a cycle's sweep as a step of its own.",
        partitions_def=cycles,
        resource_defs=resources(),
        executor_def=executor,
    )
    def spread() -> None:
        for step in steps:
            step()

    return spread


def on_processes() -> dg.JobDefinition:
    """Two processes of this machine."""
    return spread_job(dg.multiprocess_executor.configured({"max_concurrent": 2}))


def on_dask() -> dg.JobDefinition:
    """A Dask cluster; which one is run configuration, see docs/factory.md. Needs the package dagster-dask."""
    from dagster_dask import dask_executor

    return spread_job(dask_executor, "factory_sweep_dask")


def _step(shard: str) -> dg.OpDefinition:
    @dg.op(name=f"shard_{shard.replace('-', '_')}", description=f"Shard {shard} of the sweep.", out=dg.Out(dg.Nothing))
    def run(context: dg.OpExecutionContext, world: dg.ResourceParam[World]) -> None:
        from openclaw_pipelines.services.factory.cycle import open_cycle
        from openclaw_pipelines.services.factory.sweeping import EarlierShardsError

        cycle = open_cycle(world, context.partition_key)
        try:
            metadata = shard_metadata(cycle, shard, lambda text: context.log.info(text))  # noqa: PLW0108 - typed Any
        except EarlierShardsError as error:
            raise dg.RetryRequested(MOST_WAITS, WAIT_SECONDS) from error
        context.log_event(
            dg.AssetMaterialization(
                "sweep_results", partition=f"{cycle.cycle_id}|{shard}", metadata={**metadata, "process": os.getpid()}
            )
        )

    return run
