"""Which days a strategy is chosen on and which it is judged on: train, holdout and walk-forward folds of UTC days.

Between a train window and the window behind it lies a gap as long as the longest holding time plus the warm-up,
rounded up to whole days: no trade of the train window ends in the later one (purge), and the bars that warm the later
one's indicators are not train bars (embargo). A window holds the bars that open in [start, end). Who looked at a
holdout is in `looks`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.contracts.time import DAY, interval_length, utc
from openclaw_pipelines.kernel.run.bars import Bars, Matrices


class RangeTooShortError(ConfigError):
    """A range of days that cannot hold the windows asked for."""

    template = (
        "{have} days are too few: {need} are needed ({parts}). "
        "Give a longer range, shorter windows, or strategies that hold and warm up for less."
    )
    have: int
    need: int
    parts: str


class WindowError(ConfigError):
    """A window or a length that is none."""

    template = "{name} is {value}. {advice}"
    name: str
    value: datetime | int | str
    advice: str


@dataclass(frozen=True, order=True)
class Window:
    """Bars that open in [start, end), both midnights UTC.

    >>> from datetime import UTC
    >>> window = Window(datetime(2025, 5, 5, tzinfo=UTC), datetime(2025, 5, 7, tzinfo=UTC))
    >>> window.days, str(window)
    (2, '2025-05-05..2025-05-06')
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = utc(getattr(self, name), f"window {name}")
            if value.timestamp() % DAY.total_seconds():
                raise WindowError(name, value, "Windows start and end at midnight UTC.")
        if self.end <= self.start:
            raise WindowError("end", self.end, f"It must be after the start, {self.start.isoformat()}.")

    @property
    def days(self) -> int:
        """UTC days in the window."""
        return (self.end - self.start) // DAY

    def overlaps(self, other: "Window") -> bool:
        """Whether a bar belongs to both."""
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d}..{self.end - DAY:%Y-%m-%d}"


@dataclass(frozen=True)
class Split:
    """A window to choose on and the later one to judge on; `gap` between them is never traded."""

    train: Window
    holdout: Window

    @property
    def gap(self) -> timedelta:
        """Purge and embargo."""
        return self.holdout.start - self.train.end


def gap_days(longest_holding: timedelta, warmup_bars: int, interval: str) -> int:
    """Whole days that hold the longest trade and the warm-up bars, one after the other.

    >>> gap_days(timedelta(hours=20), 300, "1m")  # 20 h and 5 h
    2
    """
    if longest_holding < timedelta(0) or warmup_bars < 0:
        raise WindowError(
            "longest holding time or warm-up", f"{longest_holding} and {warmup_bars} bars", "Give 0 or more."
        )
    return -((-longest_holding - warmup_bars * interval_length(interval)) // DAY)


def train_and_holdout(whole: Window, *, holdout_days: int, gap: int, least_train_days: int = 1) -> Split:
    """The last `holdout_days` to judge on and what lies more than `gap` days before them to choose on.

    Raises:
        RangeTooShortError: fewer than `least_train_days` would be left.

    >>> from datetime import UTC
    >>> whole = Window(datetime(2025, 5, 5, tzinfo=UTC), datetime(2025, 6, 3, tzinfo=UTC))
    >>> split = train_and_holdout(whole, holdout_days=8, gap=2)
    >>> str(split.train), str(split.holdout)
    ('2025-05-05..2025-05-23', '2025-05-26..2025-06-02')
    """
    _positive(holdout_days=holdout_days, least_train_days=least_train_days)
    _enough(whole, [("train", least_train_days), ("gap", gap), ("holdout", holdout_days)])
    starts = whole.end - holdout_days * DAY
    return Split(Window(whole.start, starts - gap * DAY), Window(starts, whole.end))


def walk_forward(
    whole: Window, *, train_days: int, test_days: int, gap: int, folds: int, anchored: bool = False
) -> tuple[Split, ...]:
    """Folds that end with the range, each tested on the `test_days` after its gap; test windows adjoin.

    anchored: every train window starts where the range does and grows; else each has exactly `train_days`.

    Raises:
        RangeTooShortError: the range cannot hold that many folds.
    """
    _positive(train_days=train_days, test_days=test_days, folds=folds)
    _enough(whole, [("train", train_days), ("gap", gap), (f"{folds} tests", folds * test_days)])
    first_test = whole.end - folds * test_days * DAY
    made = []
    for fold in range(folds):
        test = first_test + fold * test_days * DAY
        train_end = test - gap * DAY
        start = whole.start if anchored else train_end - train_days * DAY
        made.append(Split(Window(start, train_end), Window(test, test + test_days * DAY)))
    return tuple(made)


def bars_between(bars: Bars, window: Window, *, warmup_bars: int = 0) -> tuple[Bars, int]:
    """The window's bars with up to `warmup_bars` before them, and the row at which the window starts.

    The row is what `replay(..., start=)` takes.

    Raises:
        WindowError: the bars hold nothing of the window.
    """
    start, stop = np.searchsorted(bars.times, [window.start.timestamp(), window.end.timestamp()]).tolist()
    if stop <= start:
        raise WindowError("window", str(window), "The bars hold none of it.")
    first = max(start - warmup_bars, 0)
    return rows_of(bars, first, stop), start - first


def rows_of(bars: Bars, first: int, stop: int) -> Bars:
    """Bars `first` to `stop` (exclusive) as views, nothing copied."""
    matrices = Matrices._make(matrix[first:stop] for matrix in bars.matrices)
    return replace(bars, times=bars.times[first:stop], matrices=matrices)


def _positive(**lengths: int) -> None:
    for name, value in lengths.items():
        if value < 1:
            raise WindowError(name, value, "Give 1 or more.")


def _enough(whole: Window, parts: list[tuple[str, int]]) -> None:
    need = sum(days for _, days in parts)
    if whole.days < need:
        text = ", ".join(f"{name} {days}" for name, days in parts)
        raise RangeTooShortError(whole.days, need, text)
