"""Time words: UTC, bar opens, closes and tick buckets."""

from datetime import UTC, datetime, timedelta

from openclaw_pipelines.contracts.errors import ContractError

INTERVALS: dict[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "3m": timedelta(minutes=3),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "2h": timedelta(hours=2),
    "4h": timedelta(hours=4),
    "6h": timedelta(hours=6),
    "8h": timedelta(hours=8),
    "12h": timedelta(hours=12),
    "1d": timedelta(days=1),
}
DAY = timedelta(days=1)


class UnknownIntervalError(ContractError):
    """An interval that does not divide a UTC day, or that is misspelt."""

    template = "unknown interval {interval!r}. Known: " + ", ".join(INTERVALS) + "."
    interval: str


class UnknownDayError(ContractError):
    """A day that is none, or is written in another way than partition keys are."""

    template = "{day!r} is not a day. Write it as 2025-05-10."
    day: str


class NaiveTimeError(ContractError):
    """A time without a zone."""

    template = "{where} holds {value}, a time without a zone. Give it in UTC, as 2025-05-10T00:00:00+00:00."
    where: str
    value: str


def interval_length(interval: str) -> timedelta:
    """Length of a bar.

    >>> interval_length("15m").total_seconds()
    900.0
    """
    try:
        return INTERVALS[interval]
    except KeyError:
        raise UnknownIntervalError(interval) from None


def utc(value: datetime, where: str) -> datetime:
    """`value` in UTC; a naive time is an error that names `where` it stood."""
    if value.tzinfo is None:
        raise NaiveTimeError(where, value.isoformat())
    return value.astimezone(UTC)


def floor_to(value: datetime, length: timedelta) -> datetime:
    """Latest multiple of `length` since the epoch that is not after `value`.

    >>> floor_to(datetime(2025, 5, 10, 0, 7, tzinfo=UTC), timedelta(minutes=5)).minute
    5
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return value - (value - epoch) % length


def tick_bucket(tick_at: datetime) -> str:
    """A tick's close time as it stands in keys.

    >>> tick_bucket(datetime(2025, 5, 10, 0, 15, tzinfo=UTC))
    '20250510T0015Z'
    """
    return utc(tick_at, "tick").strftime("%Y%m%dT%H%MZ")


def day_start(day: str) -> datetime:
    """Midnight UTC of a partition key such as `2025-05-10`. Raises UnknownDayError."""
    try:
        start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UnknownDayError(day) from None
    if f"{start:%Y-%m-%d}" != day:
        raise UnknownDayError(day)
    return start


def partition_of(tick_at: datetime, interval: str) -> str:
    """Partition key of a tick: the day in which the bar that it closes opened, so 00:00 closes yesterday.

    >>> partition_of(datetime(2025, 5, 11, tzinfo=UTC), "1h")
    '2025-05-10'
    """
    return (tick_at - interval_length(interval)).strftime("%Y-%m-%d")
