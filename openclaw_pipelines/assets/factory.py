"""The strategy factory: sweep by shard, shortlist, replays, parity, gates and deployment of one cycle.

A cycle is a partition; its key is made from its contract. A blocked cycle materializes what it found and stops at the
blocking check of the asset that found it. The rules are in `domain.factory` and `domain.selection`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from openclaw_pipelines.assets.attributes import attributes
from openclaw_pipelines.assets.factory_pictures import pictures
from openclaw_pipelines.assets.metadata import markdown_table, spec_metadata
from openclaw_pipelines.assets.partitions import day_and_strategy
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.factory.search import SHARD_KEYS
from openclaw_pipelines.resources.world import World

if TYPE_CHECKING:
    from openclaw_pipelines.services.factory.cycle import Cycle

GROUP = "factory"
CYCLES = "factory_cycles"
cycles = dg.DynamicPartitionsDefinition(name=CYCLES)
"""Identifiers of cycles. Keys are added and never deleted."""
shards = dg.StaticPartitionsDefinition(list(SHARD_KEYS))
"""Every sweep has the same shards, so that its page reads as done or not."""
cycle_by_shard = dg.MultiPartitionsDefinition({"cycle": cycles, "shard": shards})
_REPORT = ("comparison", "sample", "verdict", "params", "finding", "report_hash")
TABLES_OF = {
    "sweep_results": "sweep_results",
    "shortlist": "shortlist",
    "replays": "replays",
    "parity_reports": "parity_reports",
    "gate_results": "gate_results",
    "deployments": "deployments",
}


def factory_assets() -> list[dg.AssetsDefinition]:
    """Assets of the factory layer."""
    return [*finding_assets(), *proving_assets(), *judging_assets()]


def finding_assets() -> list[dg.AssetsDefinition]:
    """What finds candidates on the train days."""
    # which days a cycle reads stands in its contract, which Dagster cannot read: it is told that all may be
    days_of_the_market = [
        dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping()) for name in ("candles", "funding_rates")
    ]
    every_shard = dg.AssetDep("sweep_results", partition_mapping=dg.MultiToSingleDimensionPartitionMapping("cycle"))

    @dg.asset(
        partitions_def=cycle_by_shard,
        deps=[*days_of_the_market, "instruments"],
        **_common("sweep_results", "numba"),
    )
    def sweep_results(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Every parameter row of a shard over the train days; a shard that is stored is not run again."""
        from openclaw_pipelines.services.factory.cycle import open_cycle

        opened: dict[str, Cycle] = {}
        for key in sorted(context.partition_keys):
            cycle_id, shard = day_and_strategy(key)
            cycle = opened.get(cycle_id) or open_cycle(world, cycle_id)
            opened[cycle_id] = cycle
            context.add_asset_metadata(shard_metadata(cycle, shard, _say(context)), partition_key=key)
        shown = {cycle_id: pictures(world, cycle_id, "sweep_results") for cycle_id in opened}
        for key in context.partition_keys:
            context.add_asset_metadata(shown[day_and_strategy(key)[0]], partition_key=key)

    @dg.asset(partitions_def=cycles, deps=[every_shard], **_common("shortlist", "python"))
    def shortlist(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """The best rows per channel, and the incumbent they must beat by a written floor."""
        from openclaw_pipelines.services.factory.cycle import open_cycle
        from openclaw_pipelines.services.factory.listing import list_rows, shortlist_frame

        for cycle_id in context.partition_keys:
            listed = list_rows(open_cycle(world, cycle_id))
            frame = shortlist_frame(world, cycle_id).drop("measures")
            _add(
                context, cycle_id, frame, candidates=len(listed.chosen), state=listed.state.value, reason=listed.reason,
                **pictures(world, cycle_id, "shortlist"),
            )  # fmt: skip

    return [sweep_results, shortlist]


def proving_assets() -> list[dg.AssetsDefinition]:
    """What runs candidates again and compares the runs."""
    every_shard = dg.AssetDep("sweep_results", partition_mapping=dg.MultiToSingleDimensionPartitionMapping("cycle"))

    @dg.asset(partitions_def=cycles, deps=["shortlist"], **_common("replays", "numba"))
    def replays(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Candidates replayed with full events on train, holdout, stressed costs and finer candles; a random sample."""
        from openclaw_pipelines.services.factory.cycle import reopen_cycle
        from openclaw_pipelines.services.factory.replaying import replay_candidates

        for cycle_id in context.partition_keys:
            cycle, changed = reopen_cycle(world, cycle_id)
            rows = replay_candidates(cycle, _say(context))
            shown = ("variant", "family", "interval", "net", "trades", "max_drawdown", "params_hash", "content_hash")
            frame = TABLES["replays"].unchecked(rows).select(shown)
            _add(context, cycle_id, frame, contract_changed=", ".join(changed) or "no",
                 **pictures(world, cycle_id, "replays"))  # fmt: skip

    @dg.asset(partitions_def=cycles, deps=["replays", every_shard], **_common("parity_reports", "numba"))
    def parity_reports(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """Sweep, replay, single steps and GPU, if there is one: equal to the last bit, or where they first differ."""
        from openclaw_pipelines.services.factory.comparing import compare_cycle
        from openclaw_pipelines.services.factory.cycle import reopen_cycle
        from openclaw_pipelines.services.factory.examining import parity_equal
        from openclaw_pipelines.services.factory.gpu import gpu_sentence

        for cycle_id in context.partition_keys:
            reports = compare_cycle(*reopen_cycle(world, cycle_id), _say(context))
            frame = pl.DataFrame(
                [
                    {
                        "comparison": own.comparison.value, "sample": own.sample, "verdict": own.found.verdict.value,
                        "params": own.params_hash[:12], "finding": own.sentence, "report_hash": own.hash[:12],
                    }
                    for own in reports
                ],
                schema=dict.fromkeys(_REPORT, pl.String),
            )  # fmt: skip
            _add(context, cycle_id, frame, differing=parity_equal(world, cycle_id).cases.height,
                 gpu=gpu_sentence(world, cycle_id),
                 **pictures(world, cycle_id, "parity_reports"))  # fmt: skip

    return [replays, parity_reports]


def judging_assets() -> list[dg.AssetsDefinition]:
    """What judges candidates, and deploys those that hold."""

    @dg.asset(partitions_def=cycles, deps=["parity_reports", "replays"], **_common("gate_results", "python"))
    def gate_results(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """What each candidate showed against what is required, on days it was not chosen on."""
        from openclaw_pipelines.services.factory.cycle import open_cycle
        from openclaw_pipelines.services.factory.judging import judge_cycle

        for cycle_id in context.partition_keys:
            judged = judge_cycle(open_cycle(world, cycle_id), _say(context))
            rows = [
                {"params": own.candidate.params_hash[:12], **vars(gate)} for own in judged for gate in own.gates
            ]  # fmt: skip
            frame = pl.DataFrame(rows, infer_schema_length=None)
            _add(context, cycle_id, frame, passed=sum(own.verdict.passed for own in judged),
                 **pictures(world, cycle_id, "gate_results"))  # fmt: skip

    @dg.asset(partitions_def=cycles, deps=["gate_results"], **_common("deployments", "python"))
    def deployments(context: dg.AssetExecutionContext, world: dg.ResourceParam[World]) -> None:
        """The validated candidates on paper, after every piece of evidence was looked at again; or nothing, and why."""
        from openclaw_pipelines.services.factory.deploying import deploy

        for cycle_id in context.partition_keys:
            done = deploy(world, cycle_id, _say(context))
            frame = pl.DataFrame(done.rows, infer_schema_length=None)
            _add(context, cycle_id, frame, state=done.state, reason=done.reason,
                 **pictures(world, cycle_id, "deployments"))  # fmt: skip

    return [gate_results, deployments]


def shard_metadata(cycle: "Cycle", shard: str, say: Callable[[str], object]) -> dict[str, Any]:
    """Run a shard, or find it stored, and describe it."""
    from openclaw_pipelines.services.factory.sweeping import best_rows, run_shard

    report = run_shard(cycle, shard, say)
    rate = {} if report.rate is None else {"rows_x_bars_x_symbols_per_second": report.rate}
    return {
        "dagster/partition_row_count": report.rows,
        "skipped_combinations": report.skipped,
        "content_hash": report.content_hash,
        "swept_on": report.device or "CPU",
        "seconds": report.seconds,
        "resumed": report.resumed,
        **rate,
        "best_rows": markdown_table(best_rows(cycle.cycle_id, cycle, shard)),
    }


def _common(asset: str, kind: str) -> dict[str, Any]:
    return {
        **attributes(GROUP, kind, "duckdb", engine=True),
        "metadata": spec_metadata(TABLES_OF[asset]),
        "backfill_policy": dg.BackfillPolicy.single_run(),
    }


def _say(context: dg.AssetExecutionContext) -> Callable[[str], None]:
    def say(text: str) -> None:
        context.log.info(text)

    return say


def _add(context: dg.AssetExecutionContext, key: str, frame: pl.DataFrame, **facts: object) -> None:
    kept = {name: value for name, value in facts.items() if value is not None}
    context.add_asset_metadata(
        {"dagster/partition_row_count": frame.height, "rows": markdown_table(frame, rows=60), **kept},
        partition_key=key,
    )
