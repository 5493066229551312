"""Warm-up: what has not settled is named with how far it is off, what has is not."""

import pytest
from domain.selection.controls import HOUR_SECONDS, closed_4h_close, momentum, of_closes, seeded_average, walk_bars

from openclaw_pipelines.domain.selection.strategy_columns import family_strategy
from openclaw_pipelines.domain.selection.warmup import WarmupError, warmup_report
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.params import params_record


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_kernels_families_have_settled_when_they_say_so(family, seed) -> None:
    params = params_record(family, {"volatility_target": 0.5, "volume_ratio": 1.0}, HOUR_SECONDS)
    report = warmup_report(family_strategy(params), walk_bars(900, seed=seed), int(params.warmup_bars))
    assert report.unsettled == ()
    assert report.passed
    assert 0 < report.drifts[0].drift < 0.15  # exponential averages never forget entirely
    decisions = {d.column: d.drift for d in report.drifts if d.column in ("entry", "exit_long", "exit_short")}
    assert set(decisions) == {"entry", "exit_long", "exit_short"}


@pytest.mark.parametrize(("family", "column"), [
    pytest.param("momentum", "ema_slow", id="momentum"),
    pytest.param("breakout", "atr", id="breakout"),
    pytest.param("reversion", "adx", id="reversion"),
    pytest.param("ema_trend", "ema_slow", id="ema_trend"),
])  # fmt: skip
def test_the_same_families_would_be_caught_with_a_fifth_of_their_warm_up(family, column) -> None:
    params = params_record(family, {}, HOUR_SECONDS)
    report = warmup_report(family_strategy(params), walk_bars(900), int(params.warmup_bars) // 5)
    assert not report.passed
    assert column in {drift.column for drift in report.unsettled}


def test_an_unsettled_warm_up_is_caught_and_the_column_named() -> None:
    strategy = of_closes(momentum=momentum, average=seeded_average(200))
    report = warmup_report(strategy, walk_bars(1_500), 20)
    assert [drift.column for drift in report.unsettled] == ["average"]
    assert report.drifts[0].drift > 0.25
    assert "average" in str(report.drifts[0])
    assert warmup_report(strategy, walk_bars(1_500), 600).passed


def test_longer_bars_counted_from_the_first_bar_never_settle() -> None:
    """Buckets of four rows instead of four hours of the clock: another start, another bar."""
    (drift,) = warmup_report(of_closes(closed=closed_4h_close), walk_bars(1_500), 600).unsettled
    assert drift.column == "closed"


def test_a_window_that_is_never_full_is_infinitely_off() -> None:
    strategy = of_closes(momentum=momentum)
    assert warmup_report(strategy, walk_bars(200), 3).passed
    (drift,) = warmup_report(strategy, walk_bars(200), 2).unsettled
    assert drift.drift == float("inf")


def test_decisions_are_told_but_do_not_decide() -> None:
    parity = of_closes(momentum=momentum, odd=lambda close: (close * 0 + 1).cumsum().astype(int) % 2)
    report = warmup_report(parity, walk_bars(200), 4, starts=9)
    drifts = {drift.column: drift.drift for drift in report.drifts}
    assert drifts["momentum"] == 0
    assert 0 < drifts["odd"] < 1
    assert report.passed


@pytest.mark.parametrize(("bars", "warmup", "starts"), [
    pytest.param(100, 60, 8, id="bars end before the warm-up"),
    pytest.param(100, 10, 0, id="no start"),
])  # fmt: skip
def test_named_error(bars, warmup, starts) -> None:
    with pytest.raises(WarmupError):
        warmup_report(of_closes(momentum=momentum), walk_bars(bars), warmup, starts=starts)
