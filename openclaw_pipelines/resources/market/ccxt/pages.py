"""Reading a time window page by page, whatever the exchange makes of page sizes. No exchange is named here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

Fetch = Callable[[int, int], "Page"]


@dataclass(frozen=True)
class Page:
    """One answer: `(stamp in ms, value)` pairs, ascending; `served_at` is the exchange's clock where it told it."""

    rows: list[tuple[int, object]]
    served_at: datetime | None


@dataclass(frozen=True)
class Walk:
    """All rows of a window, in no order and possibly repeated.

    served_at: the earliest clock among the answers. largest_page: rows of the longest answer, as it came.
    """

    rows: list[tuple[int, object]]
    served_at: datetime | None
    largest_page: int


def walk(
    fetch: Fetch, start: int, end: int, *, step: int, grain: int, page: int, least: int,
    endless: Callable[[int], Exception],
) -> Walk:  # fmt: skip
    """Rows with `start <= stamp < end` in milliseconds, from as many answers as it takes.

    step: usual distance of two stamps. grain: how far beyond one the next is asked for. page: rows to ask for at once.
    least: least distance of two rows, so that only so many answers can bring a new one; beyond them `endless` is
    raised, which is given their number.

    A short page ends nothing: an exchange may cap it from either side, so what is missing before its first and after
    its last row is asked for again, until an answer brings nothing new. Holes between rows are taken as they are.

    >>> stamps = range(0, 100, 10)
    >>> newest_three = lambda low, high: Page([(s, s) for s in stamps if low <= s < high][-3:], None)
    >>> found = walk(newest_three, 0, 100, step=10, grain=10, page=10, least=10, endless=ValueError)
    >>> sorted(stamp for stamp, _ in found.rows) == list(stamps)
    True
    """
    rows: list[tuple[int, object]] = []
    clocks: list[datetime] = []
    largest_page = 0
    pending = [(low, min(low + page * step, end)) for low in range(start, end, page * step)]
    most = 2 * len(pending) + 2 * ((end - start) // least + 2)
    answers = 0
    while pending:
        if answers == most:
            raise endless(answers)
        answers += 1
        low, high = pending.pop()
        answer = fetch(low, high)
        clocks += [answer.served_at] if answer.served_at else []
        largest_page = max(largest_page, len(answer.rows))
        found = [row for row in answer.rows if low <= row[0] < high]
        rows += found
        pending += _unanswered(found, low, high, step, grain, full=len(answer.rows) >= page)
    return Walk(rows, min(clocks, default=None), largest_page)


def read_once(fetch: Fetch, start: int, end: int) -> Walk:
    """Rows of the window from the single answer of an exchange that cannot bound one above."""
    answer = fetch(start, end)
    return Walk([row for row in answer.rows if start <= row[0] < end], answer.served_at, len(answer.rows))


def _unanswered(
    found: list[tuple[int, object]], low: int, high: int, step: int, grain: int, *, full: bool
) -> Iterable[tuple[int, int]]:
    if not found:
        return
    first, last = found[0][0], found[-1][0]
    if first - low >= step:
        yield low, first
    if high - last > step or (full and high - last > grain):
        yield last + grain, high
