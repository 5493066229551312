"""What runs are told and asked by their tags, and the only assets module that touches what Dagster keeps private.

Names of Dagster's own tags have no public place; `tests/test_private_parts.py` says what breaks when they move.
"""

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    BACKFILL_ID_TAG,
    PARTITION_NAME_TAG,
)

CheckTarget = AssetCheckEvaluationTargetMaterializationData
LIVE_TAG = "openclaw/live"
"""Tag of runs that follow the clock: they ask only for what is new and may wait for late bars."""
TICKER_TAG = "openclaw/ticker"
"""Tag of the ticker's runs: process id and start of the process, to find runs that a killed ticker left."""
PROCESS_TAG = "openclaw/process"
"""The same of a command's runs."""


def is_live(context: dg.AssetExecutionContext) -> bool:
    """Whether the run follows the clock."""
    return context.run.tags.get(LIVE_TAG) == "true"


def is_tickers(context: dg.AssetExecutionContext) -> bool:
    """Whether the run is one of the ticker's, in its process and with its environment."""
    return TICKER_TAG in context.run.tags


def range_tags(first: str, last: str) -> dict[str, str]:
    """Tags of a run over all partitions from one key to another."""
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}


def first_key(tags: Mapping[str, str]) -> str | None:
    """First partition of a run, told by its tags; None for a run without partitions.

    >>> first_key(range_tags("2025-05-10|a", "2025-05-12|b"))
    '2025-05-10|a'
    """
    return tags.get(ASSET_PARTITION_RANGE_START_TAG) or tags.get(PARTITION_NAME_TAG)


def partitions_of(tags: Mapping[str, str]) -> str | None:
    """Partition of a run, or the range of them, told by its tags; None for a run without partitions.

    >>> partitions_of(range_tags("2025-05-10|a", "2025-05-12|a"))
    '2025-05-10|a...2025-05-12|a'
    """
    first, last = first_key(tags), tags.get(ASSET_PARTITION_RANGE_END_TAG)
    return f"{first}...{last}" if last not in (None, first) else first


def unfinished_of_backfill(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """First partitions of the runs that have not finished in the backfill of `run`; none outside a backfill."""
    backfill = run.tags.get(BACKFILL_ID_TAG)
    if backfill is None:
        return []
    wanted = dg.RunsFilter(tags={BACKFILL_ID_TAG: backfill}, statuses=NOT_FINISHED_STATUSES)
    return [key for key in (first_key(own.tags) for own in instance.get_runs(wanted)) if key is not None]


def check_target(instance: dg.DagsterInstance, asset: str, key: str) -> CheckTarget | None:
    """What a check of one partition looked at, as Dagster records it; None where nothing is materialized."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[key])
    records = instance.fetch_materializations(wanted, limit=1).records
    if not records:
        return None
    return CheckTarget(storage_id=records[0].storage_id, run_id=records[0].run_id, timestamp=records[0].timestamp)
