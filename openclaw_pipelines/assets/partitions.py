"""Partitions of the assets and how they map onto each other."""

from collections.abc import Iterable

import dagster as dg
from sqlalchemy.exc import IntegrityError

from openclaw_pipelines.settings import Settings

STRATEGIES = "strategies"
strategies = dg.DynamicPartitionsDefinition(name=STRATEGIES)
"""Names of strategies. Keys are added and never deleted, so that a retired strategy keeps its history."""


def add_partitions(instance: dg.DagsterInstance, name: str, keys: Iterable[str]) -> list[str]:
    """Make keys partitions of a dynamic definition; returns those that were none.

    Dagster looks which are known before it writes: of two processes that add one at the same moment the second fails on
    the row of the first, and looks again here.
    """
    wanted = list(keys)
    missing = sorted(set(wanted) - set(instance.get_dynamic_partitions(name)))
    if missing:
        try:
            instance.add_dynamic_partitions(name, missing)
        except IntegrityError:
            return add_partitions(instance, name, wanted)
    return missing


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


def last_days(keys: Iterable[str]) -> set[str]:
    """Of keys of days by strategy, the last day of each strategy: what a range shows whole.

    >>> sorted(last_days(["2025-05-10|a", "2025-05-11|a", "2025-05-10|b"]))
    ['2025-05-10|b', '2025-05-11|a']
    """
    last = {strategy: day for day, strategy in sorted(day_and_strategy(key) for key in keys)}
    return {f"{day}|{strategy}" for strategy, day in last.items()}


def day_and_strategy(key: str) -> tuple[str, str]:
    """Both parts of a partition key.

    >>> day_and_strategy("2025-05-10|momentum_1h")
    ('2025-05-10', 'momentum_1h')
    """
    day, _, strategy = key.partition("|")
    return day, strategy
