"""Partitions of the assets and how they map onto each other."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from openclaw_pipelines.settings import Settings

STRATEGIES = "strategies"
strategies = dg.DynamicPartitionsDefinition(name=STRATEGIES)
"""Names of strategies. Keys are added and never deleted, so that a retired strategy keeps its history."""


def daily(settings: Settings) -> dg.DailyPartitionsDefinition:
    """UTC days from the configured first one; the running day exists."""
    return dg.DailyPartitionsDefinition(start_date=settings.market.first_day.isoformat(), timezone="UTC", end_offset=1)


def day_by_strategy(days: dg.DailyPartitionsDefinition) -> dg.MultiPartitionsDefinition:
    """A day of one strategy, as `2025-05-10|momentum_1h`."""
    return dg.MultiPartitionsDefinition({"day": days, "strategy": strategies})


def previous_day() -> dg.MultiPartitionMapping:
    """The same strategy's day before; the first day has none."""
    before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True)
    return dg.MultiPartitionMapping(
        {
            "day": dg.DimensionPartitionMapping("day", before),
            "strategy": dg.DimensionPartitionMapping("strategy", dg.IdentityPartitionMapping()),
        }
    )


def same_day() -> dg.MultiToSingleDimensionPartitionMapping:
    """Between days and days by strategy."""
    return dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="day")


def range_tags(first: str, last: str) -> dict[str, str]:
    """Tags of a run over all partitions from one key to another."""
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}


def first_day(tags: Mapping[str, str]) -> str:
    """First day of a run over partitions of days, told by its tags; of any other run the last possible one.

    >>> first_day(range_tags("2025-05-10|a", "2025-05-12|b"))
    '2025-05-10'
    """
    return day_and_strategy(tags.get(ASSET_PARTITION_RANGE_START_TAG) or tags.get(PARTITION_NAME_TAG, "9999-12-31"))[0]


def day_and_strategy(key: str) -> tuple[str, str]:
    """Both parts of a partition key.

    >>> day_and_strategy("2025-05-10|momentum_1h")
    ('2025-05-10', 'momentum_1h')
    """
    day, _, strategy = key.partition("|")
    return day, strategy
