"""Look-ahead: every biased control is caught with its column named, no honest strategy is."""

from datetime import timedelta

import polars as pl
import pytest
from domain.selection.controls import (
    BIASED,
    FIRST,
    HOUR,
    HOUR_SECONDS,
    SYMBOLS,
    closed_4h_close,
    flat_bars,
    momentum,
    next_return,
    of_closes,
    seeded_average,
    walk_bars,
)

from openclaw_pipelines.domain.selection.lookahead import CutsError, cut_places, lookahead_report
from openclaw_pipelines.domain.selection.strategy_columns import (
    StrategyFrameError,
    checked,
    family_strategy,
    value_columns,
)
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.params import params_record


@pytest.mark.parametrize("column", BIASED)
def test_a_biased_strategy_is_caught_and_only_its_biased_column_named(column) -> None:
    report = lookahead_report(BIASED[column], walk_bars(400))
    assert not report.passed
    assert [found.column for found in report.biased] == [column]
    assert report.biased[0].symbol in SYMBOLS
    assert column in str(report.biased[0])
    assert len(report.columns) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernels_families_are_honest(family) -> None:
    values = {"volatility_target": 0.5, "volume_ratio": 1.0}
    report = lookahead_report(family_strategy(params_record(family, values, HOUR_SECONDS)), walk_bars(500))
    assert report.biased == ()
    assert report.passed
    assert report.cuts == 20
    assert {"entry", "exit_long", "atr", "volatility", "mean_volume", "stop"} <= set(report.columns)


def test_honest_twins_of_the_controls_are_not_caught() -> None:
    twins = of_closes(momentum=momentum, closed=closed_4h_close, average=seeded_average(50))
    assert lookahead_report(twins, walk_bars(400)).passed


def test_the_first_difference_is_named_with_both_values_and_what_was_known() -> None:
    bars = flat_bars(100, 101, 103, 106, 110, 115)
    (found,) = lookahead_report(of_closes(next_return=next_return), bars, cuts=1, first=3).biased
    place = cut_places(6, 1, 3)[0]
    assert found.bar_at == FIRST + (place - 1) * HOUR
    assert found.known_until == FIRST + place * HOUR
    assert (found.with_future, found.without_future) == (
        110 / 106 - 1,
        None,
    ) or found.without_future != found.with_future
    sample = lookahead_report(BIASED["over_sample_mean"], bars, cuts=1, first=3).biased[0]
    assert sample.bar_at == FIRST  # everything is off, so the first bar is named


def test_a_family_that_reads_one_bar_ahead_is_caught() -> None:
    """The twin of an honest family: the same columns, shifted by one bar."""
    honest = family_strategy(params_record("ema_trend", {"ema_fast": 3, "ema_slow": 9}, HOUR_SECONDS))

    def peeking(bars: Bars) -> pl.DataFrame:
        frame = honest(bars)
        return frame.with_columns(pl.col("ema_fast", "entry").shift(-1).over("symbol"))

    report = lookahead_report(peeking, walk_bars(300))
    assert {found.column for found in report.biased} == {"ema_fast", "entry"}


def test_rows_that_appear_only_later_are_a_difference() -> None:
    def repainting(bars: Bars) -> pl.DataFrame:
        """Gives a pivot only once two later bars have confirmed it."""
        frame = of_closes(pivot=momentum)(bars)
        return frame.filter(pl.col("bar_at") < frame["bar_at"].max() - timedelta(hours=2))

    report = lookahead_report(repainting, walk_bars(200))
    assert [found.column for found in report.biased] == ["pivot"]


def test_a_rounding_of_the_last_digit_is_no_bias_but_a_decision_is_compared_exactly() -> None:
    noisy = of_closes(average=lambda close: close * (1 + 1e-15 * len(close)))
    assert lookahead_report(noisy, walk_bars(200)).passed
    assert not lookahead_report(noisy, walk_bars(200), tolerance=0.0).passed
    counting = of_closes(size=lambda close: (close * 0).astype(int) + len(close))
    assert not lookahead_report(counting, walk_bars(200)).passed


def test_cuts_meet_every_phase_of_a_longer_interval_and_more_only_add() -> None:
    assert {place % 4 for place in cut_places(1_000, 20, 250)} == {0, 1, 2, 3}
    assert {place % 60 for place in cut_places(40_000, 400, 10_000)} == set(range(60))
    assert set(cut_places(1_000, 10, 250)) < set(cut_places(1_000, 20, 250))


@pytest.mark.parametrize(("bars", "cuts"), [pytest.param(20, 20, id="few bars"), pytest.param(50, 0, id="no cuts")])
def test_cuts_that_do_not_fit(bars, cuts) -> None:
    with pytest.raises(CutsError):
        lookahead_report(of_closes(momentum=momentum), walk_bars(bars), cuts=cuts)


def test_frames_that_cannot_be_compared() -> None:
    frame = of_closes(momentum=momentum)(walk_bars(10))
    assert value_columns(checked(frame)) == ["momentum"]
    for broken in (frame.drop("symbol"), frame.drop("momentum"), pl.concat([frame, frame])):
        with pytest.raises(StrategyFrameError):
            checked(broken)
