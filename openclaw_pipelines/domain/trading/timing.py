"""When a strategy is due, late or stalled. Pure: the time is an argument."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from openclaw_pipelines.contracts.time import DAY, floor_to, partition_of
from openclaw_pipelines.domain.governance.alerts import Alert

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


@dataclass(frozen=True)
class Need:
    """Market days that must be asked for first: from the first to the last of them.

    whole: with checks and features, as a closed day; else only what is new.
    """

    first: str
    last: str
    whole: bool


@dataclass(frozen=True)
class Waiting:
    """Due ticks and what they wait for. ready: the bars of the first one are there, or too late to wait for."""

    due: Due
    ready: bool
    needs: tuple[Need, ...] = ()


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


RETRY_SECONDS = 120
"""What was asked for and is still due after this time is asked for again."""

Asked = dict[str, tuple[str, int, float]]
"""By subject: what was asked for last, which attempt that was, and when."""


def ask_again(asked: Asked, subject: str, what: str, now: datetime, retry_seconds: float = RETRY_SECONDS) -> int | None:
    """Number of the attempt to make now, None while the last one may still succeed. Remembers it in `asked`.

    An attempt in the future was made by a clock that has been set back since, and does not count.

    >>> from datetime import UTC
    >>> asked: Asked = {}
    >>> at = datetime(2025, 5, 10, tzinfo=UTC)
    >>> [ask_again(asked, "s", "a tick", at + timedelta(seconds=n)) for n in (0, 119, 120)]
    [1, None, 2]
    """
    last, attempt, at = asked.get(subject, ("", 0, 0.0))
    if last == what and 0 <= now.timestamp() - at < retry_seconds:
        return None
    asked[subject] = (what, attempt + 1 if last == what else 1, now.timestamp())
    return asked[subject][1]


PATIENCE_SECONDS = 60
"""How long a tick whose market data was asked for waits for it, before it goes without."""


def choose(waiting: Iterable[Waiting], asked: Asked, now: datetime) -> tuple[list[tuple[Due | Need, int]], Asked]:
    """What to start now, each with the number of the attempt, and what has been asked for then.

    Ticks are asked for by the oldest of them: a run takes those of one day, and the next day is asked for at once.
    What is older than a day is forgotten.
    """
    remembered = {subject: last for subject, last in asked.items() if now.timestamp() - last[2] < DAY.total_seconds()}
    starts: list[tuple[Due | Need, int]] = []
    for item in waiting:
        held = [need for need in item.needs if not _waited(remembered, need, item.due, now)]
        for need in item.needs:
            attempt = ask_again(remembered, _subject(need), need.last, now)
            starts += [(need, attempt)] if attempt else []
        if held or not item.ready:
            continue
        attempt = ask_again(remembered, item.due.strategy, item.due.first.isoformat(), now)
        starts += [(item.due, attempt)] if attempt else []
    return starts, remembered


def _subject(need: Need) -> str:
    return f"market {need.first} {'whole' if need.whole else 'new'}"


def _waited(asked: Asked, need: Need, due: Due, now: datetime) -> bool:
    """Whether it was asked for after the tick closed, and long enough ago."""
    at = asked.get(_subject(need), ("", 0, 0.0))[2]
    return due.first.timestamp() <= at <= now.timestamp() - PATIENCE_SECONDS


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
