"""When a strategy is due, late or stalled. Pure: the time is an argument."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from openclaw_pipelines.contracts.time import floor_to, partition_of

STALLED_TICKS = 3
"""Ticks that may be due and not taken before a strategy counts as stalled."""


@dataclass(frozen=True)
class Due:
    """Ticks of a strategy that have closed and are not recorded.

    first, last: oldest and newest of them. count: how many. day: partition of the first.
    """

    strategy: str
    first: datetime
    last: datetime
    count: int
    day: str


def due_ticks(
    strategy: str, interval: str, length: timedelta, after: datetime, now: datetime, jitter_seconds: int = 0
) -> Due | None:
    """What is due of a strategy whose newest tick, or inception, is `after`.

    >>> from datetime import UTC
    >>> at = lambda hour, minute=0: datetime(2025, 5, 10, hour, minute, tzinfo=UTC)
    >>> due_ticks("s", "1h", timedelta(hours=1), at(0), at(2, 30)).count
    2
    >>> due_ticks("s", "1h", timedelta(hours=1), at(2), at(2, 30)) is None
    True
    """
    first = floor_to(after, length) + length
    last = floor_to(now - timedelta(seconds=jitter(strategy, jitter_seconds)), length)
    if last < first:
        return None
    return Due(strategy, first, last, (last - first) // length + 1, partition_of(first, interval))


def jitter(strategy: str, seconds: int) -> int:
    """The strategy's own delay in 0..seconds, always the same, so that strategies do not start at once.

    >>> jitter("momentum_1h", 0)
    0
    """
    digest = hashlib.sha256(strategy.encode()).digest()
    return int.from_bytes(digest[:4], "big") % (seconds + 1)


@dataclass(frozen=True)
class Alert:
    """Something an operator must see. Alerts of one key are raised once."""

    key: str
    kind: str
    severity: str
    subject: str
    message: str


def stalled_alert(due: Due | None, now: datetime) -> Alert | None:
    """An alert for a strategy that falls behind, once per strategy and hour."""
    if due is None or due.count <= STALLED_TICKS:
        return None
    message = (
        f"{due.strategy} has not taken {due.count} ticks, the first of which closed at {due.first:%Y-%m-%d %H:%M}Z. "
        "See its last runs, the market data and `openclaw status`."
    )
    key = f"stalled_strategy:{due.strategy}:{now:%Y%m%dT%H}"
    return Alert(key, "stalled_strategy", "error", due.strategy, message)


def stale_market_alert(source: str, newest: datetime | None, now: datetime, limit: timedelta) -> Alert | None:
    """An alert for market data that does not move, once per source and hour."""
    if newest is not None and now - newest <= limit:
        return None
    since = "holds no candle" if newest is None else f"holds nothing newer than {newest:%Y-%m-%d %H:%M}Z"
    message = f"{source} {since}. See the runs of market_live and the source itself."
    return Alert(f"stale_market:{source}:{now:%Y%m%dT%H}", "stale_market", "warning", source, message)
