"""Regimes: a table of measures with one rule broken at a time, and the trailing measures against plain readings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import Regime
from openclaw_pipelines.domain.market.regime import Measures, classify, to_trailing_median, trailing_rank

CALM = {
    "zero_volume_share": 0.0,
    "volume_to_median": 1.0,
    "volatility_rank": 0.5,
    "adx": 15.0,
    "ema_fast": 101.0,
    "ema_slow": 100.0,
}


def regime(**changes: float) -> str:
    values = {**CALM, **changes}
    return classify(Measures(**{name: np.array([value]) for name, value in values.items()}))[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, Regime.RANGE, id="nothing stands out"),
        pytest.param({"adx": 25.1}, Regime.TREND_UP, id="strong, fast above slow"),
        pytest.param({"adx": 25.0}, Regime.RANGE, id="just not strong"),
        pytest.param({"adx": 40.0, "ema_fast": 99.0}, Regime.TREND_DOWN, id="strong, fast below slow"),
        pytest.param({"adx": 40.0, "ema_fast": 100.0}, Regime.RANGE, id="strong without a side"),
        pytest.param({"volatility_rank": 0.91}, Regime.HIGH_VOLATILITY, id="volatile"),
        pytest.param({"volatility_rank": 0.9}, Regime.RANGE, id="just not volatile"),
        pytest.param({"volatility_rank": 0.91, "adx": 40.0}, Regime.HIGH_VOLATILITY, id="volatility outranks a trend"),
        pytest.param({"volatility_rank": 0.09}, Regime.LOW_VOLATILITY, id="calm"),
        pytest.param({"volatility_rank": 0.1}, Regime.RANGE, id="just not calm"),
        pytest.param({"volatility_rank": 0.09, "adx": 40.0}, Regime.TREND_UP, id="a trend outranks calm"),
        pytest.param({"zero_volume_share": 0.21}, Regime.THIN, id="bars without trades"),
        pytest.param({"zero_volume_share": 0.2}, Regime.RANGE, id="just not thin"),
        pytest.param({"volume_to_median": 0.09}, Regime.THIN, id="volume has dried up"),
        pytest.param(
            {"volume_to_median": 0.09, "volatility_rank": 0.99}, Regime.THIN, id="thin outranks all but unknown"
        ),
        *[pytest.param({name: np.nan}, Regime.UNKNOWN, id=f"{name} is not warm") for name in CALM],
        pytest.param({"zero_volume_share": 0.9, "adx": np.nan}, Regime.UNKNOWN, id="unknown outranks thin"),
    ],
)
def test_the_first_rule_that_holds_names_the_regime(changes, expected):
    assert regime(**changes) == expected.value


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(2, 8))
def test_trailing_measures_are_what_they_say(values, length):
    column = np.array(values, np.float64)
    ranks, shares = trailing_rank(column, length), to_trailing_median(column, length)
    for i, value in enumerate(values):
        if i < length - 1:
            assert np.isnan(ranks[i])
            assert np.isnan(shares[i])
            continue
        recent = sorted(values[i - length + 1 : i + 1])
        middle = (recent[(length - 1) // 2] + recent[length // 2]) / 2
        assert ranks[i] == (recent.index(value) + recent.count(value) / 2) / length
        assert shares[i] == (value / middle if middle else 0.0)


def test_a_trailing_rank_waits_for_warm_values():
    ranks = trailing_rank(np.array([np.nan, 1.0, 2.0, 3.0]), 2)
    assert np.isnan(ranks[:2]).all()
    assert ranks[2:].tolist() == [0.75, 0.75]
