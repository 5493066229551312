"""Windows: hand-made ranges, refusals that count the days, and no bar in two windows."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from domain.selection.controls import FIRST, walk_bars
from hypothesis import given
from hypothesis import strategies as st

from openclaw_pipelines.contracts.time import NaiveTimeError
from openclaw_pipelines.domain.selection.windows import (
    RangeTooShortError,
    Window,
    WindowError,
    bars_between,
    gap_days,
    train_and_holdout,
    walk_forward,
)
from openclaw_pipelines.kernel.run.replay import replay
from openclaw_pipelines.kernel.strategy.params import params_record

DAY = timedelta(days=1)


def window(first: int, days: int) -> Window:
    return Window(FIRST + first * DAY, FIRST + (first + days) * DAY)


@pytest.mark.parametrize(("holding", "warmup", "interval", "days"), [
    pytest.param(timedelta(0), 0, "1h", 0, id="nothing to wait for"),
    pytest.param(timedelta(hours=24), 0, "1h", 1, id="a day exactly"),
    pytest.param(timedelta(hours=24), 1, "1m", 2, id="a day and a minute"),
    pytest.param(timedelta(hours=20), 4, "1h", 1, id="together a day"),
    pytest.param(timedelta(hours=20), 5, "1h", 2, id="together more"),
    pytest.param(timedelta(0), 50, "1h", 3, id="warm-up only"),
])  # fmt: skip
def test_gap(holding, warmup, interval, days) -> None:
    assert gap_days(holding, warmup, interval) == days


def test_split_of_a_known_range() -> None:
    split = train_and_holdout(window(0, 29), holdout_days=8, gap=2)
    assert (split.train, split.holdout) == (window(0, 19), window(21, 8))
    assert split.gap == 2 * DAY


@pytest.mark.parametrize(("anchored", "folds"), [
    pytest.param(False, [(2, 10, 13, 5), (7, 10, 18, 5), (12, 10, 23, 5)], id="rolling"),
    pytest.param(True, [(0, 12, 13, 5), (0, 17, 18, 5), (0, 22, 23, 5)], id="anchored"),
])  # fmt: skip
def test_walk_forward_of_a_known_range(anchored, folds) -> None:
    made = walk_forward(window(0, 28), train_days=10, test_days=5, gap=1, folds=3, anchored=anchored)
    assert [(s.train, s.holdout) for s in made] == [(window(a, n), window(b, m)) for a, n, b, m in folds]


@pytest.mark.parametrize(("days", "make"), [
    pytest.param(15, lambda w: train_and_holdout(w, holdout_days=8, gap=2, least_train_days=6), id="split"),
    pytest.param(25, lambda w: walk_forward(w, train_days=10, test_days=5, gap=1, folds=3), id="walk-forward"),
])  # fmt: skip
def test_a_range_one_day_too_short_is_refused_with_the_days_it_needs(days, make) -> None:
    with pytest.raises(RangeTooShortError) as refused:
        make(window(0, days))
    assert (refused.value.have, refused.value.need) == (days, days + 1)
    make(window(0, days + 1))


@given(days=st.integers(3, 80), train=st.integers(1, 20), test=st.integers(1, 10), gap=st.integers(0, 5),
       folds=st.integers(1, 5), anchored=st.booleans())  # fmt: skip
def test_folds_never_share_a_bar_and_always_keep_the_gap(days, train, test, gap, folds, anchored) -> None:
    whole = window(0, days)
    need = train + gap + folds * test
    if days < need:
        with pytest.raises(RangeTooShortError):
            walk_forward(whole, train_days=train, test_days=test, gap=gap, folds=folds, anchored=anchored)
        return
    made = walk_forward(whole, train_days=train, test_days=test, gap=gap, folds=folds, anchored=anchored)
    assert len(made) == folds
    assert made[-1].holdout.end == whole.end
    for split in made:
        assert split.gap == gap * DAY
        assert not split.train.overlaps(split.holdout)
        assert split.train.start >= whole.start
        assert split.train.days >= train
        assert split.holdout.days == test
    assert all(a.holdout.end == b.holdout.start for a, b in itertools.pairwise(made))


@pytest.mark.parametrize(("start", "end", "error"), [
    pytest.param(FIRST, FIRST, WindowError, id="empty"),
    pytest.param(FIRST + timedelta(hours=1), FIRST + DAY, WindowError, id="not at midnight"),
    pytest.param(datetime(2025, 5, 5), datetime(2025, 5, 6, tzinfo=UTC), NaiveTimeError, id="naive"),  # noqa: DTZ001
])  # fmt: skip
def test_windows_that_are_none(start, end, error) -> None:
    with pytest.raises(error):
        Window(start, end)


def test_bars_of_a_window_with_their_warm_up() -> None:
    bars = walk_bars(100)
    part, start = bars_between(bars, window(2, 1), warmup_bars=30)
    assert (len(part.times), start) == (54, 30)
    assert part.times[start] == window(2, 1).start.timestamp()
    assert np.shares_memory(part.matrices.close, bars.matrices.close)
    early, start = bars_between(bars, window(0, 1), warmup_bars=30)
    assert (len(early.times), start) == (24, 0)
    with pytest.raises(WindowError):
        bars_between(bars, window(10, 1))


def test_a_window_is_replayed_as_the_whole_is_once_both_are_warm() -> None:
    """Donchian channels forget: the windowed run must decide what a run over everything decides while flat."""
    bars = walk_bars(400)
    params = params_record("breakout", {"channel_entry": 12, "channel_exit": 6, "atr_length": 2}, 3_600)
    part, start = bars_between(bars, window(5, 10), warmup_bars=int(params.warmup_bars) + 40)
    windowed = replay(part, params, start=start)
    assert windowed.equity["tick_at"][0] == window(5, 10).start + timedelta(hours=1)
    whole = replay(bars_between(bars, Window(FIRST, window(5, 10).end))[0], params, start=5 * 24)
    assert windowed.trades.select("entry_at", "side").rows() == whole.trades.select("entry_at", "side").rows()
