"""Entries and exits of each family, worked by hand on short series, and the properties that hold for all of them."""

import hashlib
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.indicator_rows import indicator_values, new_indicators, observe
from openclaw_pipelines.kernel.strategy.params import params_record, warmup_bars
from openclaw_pipelines.kernel.strategy.signals import signal

SIGNAL, TIME_STOP = int(ExitReason.SIGNAL), int(ExitReason.TIME_STOP)
HOUR = 3_600

# With atr_length 1 the ATR is the last true range, which a reader can work out.
SMALL = {
    "momentum": {"momentum_lookback": 2, "ema_slow": 2, "atr_length": 1, "volatility_length": 2},
    "breakout": {"channel_entry": 3, "channel_exit": 2, "atr_length": 1, "volume_ratio": 0.0},
    "reversion": {
        "rsi_length": 2,
        "bollinger_length": 4,
        "bollinger_width": 1.0,
        "adx_length": 2,
        "adx_threshold": 90.0,
        "atr_length": 1,
    },
    "ema_trend": {"ema_fast": 2, "ema_slow": 4, "adx_length": 2, "adx_threshold": 20.0, "atr_length": 1},
}
FLAT = [100.0] * 14
# both ways once, so that ADX settles below 90; ends high or low
SWING = [100.0, 99.0] + [100.0, 101.0] * 6
SWING_LOW = [101.0, 102.0] + [101.0, 100.0] * 6


def bars_from(closes, volumes=None):
    """Bars that open at the close before and have wicks of one unit."""
    opens = [closes[0], *closes[:-1]]
    volumes = volumes or [10.0] * len(closes)
    return [(o, max(o, c) + 1.0, min(o, c) - 1.0, c, v) for o, c, v in zip(opens, closes, volumes, strict=True)]


def row_after(params, bars):
    row = new_indicators(1, params)[0]
    for bar in bars:
        observe(row, params, *bar)
    return row


def last_signal(family, closes, side=0, held=0, values=None, volumes=None):
    params = params_record(family, {**SMALL[family], **(values or {})}, HOUR)
    return signal(row_after(params, bars_from(closes, volumes)), params, side, held)


@pytest.mark.parametrize(
    ("family", "closes", "values", "entry"),
    [
        pytest.param("breakout", [*FLAT, 105], {}, 1, id="breakout: close above the channel"),
        pytest.param("breakout", [*FLAT, 95], {}, -1, id="breakout: close below the channel"),
        pytest.param("breakout", [*FLAT, 101], {}, 0, id="breakout: touching the channel is not breaking it"),
        pytest.param("breakout", [*FLAT, 105, 110], {}, 1, id="breakout: still in the entry window"),
        pytest.param("breakout", [*FLAT, 105, 110], {"entry_window_bars": 1}, 0, id="breakout: window of one bar"),
        pytest.param("breakout", [*FLAT, 105, 110, 115], {}, 0, id="breakout: stale"),
        pytest.param("breakout", [*FLAT, 105, 104], {}, 0, id="breakout: back inside"),
        pytest.param("breakout", [*FLAT, 95], {"allow_short": False}, 0, id="breakout: shorts not allowed"),
        pytest.param("breakout", [*FLAT, 105], {"allow_short": False}, 1, id="breakout: longs without shorts"),
        pytest.param("breakout", [100] * 5 + [105], {}, 1, id="breakout: first warm bar"),
        pytest.param("breakout", [100] * 4 + [105], {}, 0, id="breakout: one bar before warm"),
        pytest.param("momentum", [*FLAT, 110], {}, 1, id="momentum: up and confirmed"),
        pytest.param("momentum", [*FLAT, 90], {}, -1, id="momentum: down and confirmed"),
        pytest.param("momentum", FLAT, {}, 0, id="momentum: no return"),
        pytest.param("momentum", [*FLAT, 120, 130, 121], {}, 0, id="momentum: up but below the average (122.1)"),
        pytest.param("momentum", [*FLAT, 110, 120, 130], {}, 0, id="momentum: stale"),
        pytest.param("momentum", [*FLAT, 110, 80], {}, -1, id="momentum: turned"),
        pytest.param("reversion", [*SWING, 96], {}, 1, id="reversion: below the band (97.4) and oversold"),
        pytest.param("reversion", [*SWING_LOW, 105], {}, -1, id="reversion: above the band (103.6) and overbought"),
        pytest.param("reversion", [*SWING, 96], {"adx_threshold": 1.0}, 0, id="reversion: a trend forbids it"),
        pytest.param("reversion", [*SWING, 96], {"rsi_low": 1.0}, 0, id="reversion: not oversold enough"),
        pytest.param("reversion", [*SWING, 96], {"bollinger_width": 2.0}, 0, id="reversion: inside the wider band"),
        pytest.param("reversion", FLAT, {"adx_threshold": 100.0}, 0, id="reversion: flat is not oversold"),
        pytest.param("ema_trend", [*FLAT, 110], {}, 1, id="ema_trend: crossed up, ADX 50"),
        pytest.param("ema_trend", [*FLAT, 90], {}, -1, id="ema_trend: crossed down, ADX 50"),
        pytest.param("ema_trend", [*FLAT, 110], {"adx_threshold": 60.0}, 0, id="ema_trend: ADX 50 under threshold"),
        pytest.param("ema_trend", [*FLAT, 110, 120], {"adx_threshold": 60.0}, 1, id="ema_trend: ADX 75 confirms later"),
        pytest.param("ema_trend", [*FLAT, 110, 120, 130], {}, 0, id="ema_trend: stale"),
        pytest.param("ema_trend", FLAT, {"adx_threshold": 0.0}, 0, id="ema_trend: equal averages"),
    ],
)
def test_entries(family, closes, values, entry):
    asked = last_signal(family, [float(c) for c in closes], values=values)
    assert asked.entry == entry
    assert (asked.confidence > 0.0) == (entry != 0)
    assert asked.exit == 0


@pytest.mark.parametrize(
    ("family", "closes", "side", "held", "values", "leave"),
    [
        pytest.param("breakout", [*FLAT, 98], 1, 1, {}, SIGNAL, id="breakout: long under the exit channel"),
        pytest.param("breakout", [*FLAT, 99], 1, 1, {}, 0, id="breakout: long at the exit channel"),
        pytest.param("breakout", [*FLAT, 102], -1, 1, {}, SIGNAL, id="breakout: short above the exit channel"),
        pytest.param("breakout", [*FLAT, 98], -1, 1, {}, 0, id="breakout: short with the fall"),
        pytest.param("breakout", FLAT, 1, 3, {"max_hold_bars": 3}, TIME_STOP, id="time stop when due"),
        pytest.param("breakout", FLAT, 1, 2, {"max_hold_bars": 3}, 0, id="time stop not yet due"),
        pytest.param("breakout", FLAT, 1, 999, {"max_hold_bars": 0}, 0, id="no time stop"),
        pytest.param("breakout", [*FLAT, 98], 1, 3, {"max_hold_bars": 3}, SIGNAL, id="signal before time stop"),
        pytest.param("breakout", [100, 90], 1, 1, {}, 0, id="no signal before warm"),
        pytest.param("breakout", [100, 90], 1, 3, {"max_hold_bars": 3}, TIME_STOP, id="time stop before warm"),
        pytest.param("breakout", [*FLAT, 98], 0, 9, {"max_hold_bars": 3}, 0, id="nothing to leave when flat"),
        pytest.param("momentum", [*FLAT, 110, 105], 1, 1, {}, 0, id="momentum: return still up"),
        pytest.param("momentum", [*FLAT, 110, 105, 109], 1, 1, {}, SIGNAL, id="momentum: return has turned down"),
        pytest.param("momentum", [*FLAT, 110, 105, 110], 1, 1, {}, 0, id="momentum: no return is no turn"),
        pytest.param("momentum", [*FLAT, 110], -1, 1, {}, SIGNAL, id="momentum: short, return has turned up"),
        pytest.param("reversion", [*SWING, 96, 97], 1, 1, {}, 0, id="reversion: long below the middle (98.5)"),
        pytest.param("reversion", [*SWING, 96, 100], 1, 1, {}, SIGNAL, id="reversion: long above the middle (99.25)"),
        pytest.param("reversion", FLAT, 1, 1, {}, SIGNAL, id="reversion: long at the middle"),
        pytest.param("reversion", FLAT, -1, 1, {}, SIGNAL, id="reversion: short at the middle"),
        pytest.param("reversion", [*SWING_LOW, 105], -1, 1, {}, 0, id="reversion: short above the middle"),
        pytest.param("reversion", [*SWING, 96], 1, 24, {}, TIME_STOP, id="reversion: time stop by default"),
        pytest.param("ema_trend", [*FLAT, 110, 105], 1, 1, {}, 0, id="ema_trend: fast still above"),
        pytest.param("ema_trend", [*FLAT, 110, 80], 1, 1, {}, SIGNAL, id="ema_trend: crossed down"),
        pytest.param("ema_trend", [*FLAT, 90, 120], -1, 1, {}, SIGNAL, id="ema_trend: crossed up"),
        pytest.param("ema_trend", FLAT, 1, 1, {}, 0, id="ema_trend: equal is not crossed"),
    ],
)
def test_exits(family, closes, side, held, values, leave):
    asked = last_signal(family, [float(c) for c in closes], side, held, values)
    assert asked.exit == leave
    assert side == 0 or asked.entry == 0


def test_volume_of_an_entry_bar_is_compared_with_the_average_that_includes_it():
    closes, values = [*FLAT, 105.0], {"volume_ratio": 1.0, "volume_length": 2}
    assert last_signal("breakout", closes, values=values, volumes=[10.0] * 14 + [10.0]).entry == 1
    assert last_signal("breakout", closes, values=values, volumes=[10.0] * 14 + [9.0]).entry == 0


def test_no_entry_without_a_range_to_hang_a_stop_on():
    params = params_record("breakout", SMALL["breakout"], HOUR)
    row = row_after(params, [(100.0, 100.0, 100.0, 100.0, 1.0)] * 14)
    quiet = signal(row, params, 0, 0)
    assert (quiet.entry, quiet.stop, quiet.trail) == (0, 0.0, 0.0)


def test_distances_are_multiples_of_the_average_true_range():
    # the last bar opens at 100 and closes at 110: true range 111 - 99 = 12
    asked = last_signal("ema_trend", [*FLAT, 110.0])
    assert (asked.stop, asked.target, asked.trail, asked.size) == (24.0, 72.0, 36.0, 1.0)
    asked = last_signal("breakout", [*FLAT, 105.0])
    assert (asked.stop, asked.target, asked.trail) == (17.5, 0.0, 24.5)


def test_distances_are_given_while_a_position_is_held_too():
    assert last_signal("ema_trend", [*FLAT, 110.0], side=1, held=1)[3:] == (24.0, 72.0, 36.0, 1.0)


def test_momentum_is_sized_to_the_volatility_target():
    # returns 0 and 0.1: sample deviation 0.1 / sqrt(2) per hour
    volatility = 0.1 / math.sqrt(2) * math.sqrt(8_760)
    assert last_signal("momentum", [*FLAT, 110.0]).size == pytest.approx(0.6 / volatility, rel=1e-12)
    assert last_signal("momentum", [*FLAT, 110.0], values={"volatility_target": 7.0}).size == 1.0
    assert last_signal("momentum", FLAT).size == 1.0


@pytest.mark.parametrize(
    ("family", "closes", "excess"),
    [
        pytest.param("momentum", [*FLAT, 110.0], 10 / (12 * math.sqrt(2)), id="momentum"),
        pytest.param("breakout", [*FLAT, 105.0], 4 / 7, id="breakout: 105 over 101 by a range of 7"),
        pytest.param("breakout", [*FLAT, 95.0], 4 / 7, id="breakout: 95 under 99 by a range of 7"),
        pytest.param("ema_trend", [*FLAT, 110.0], (50 - 20) / 20, id="ema_trend: ADX 50 over 20"),
    ],
)
def test_confidence_grows_from_a_half_with_the_excess(family, closes, excess):
    assert last_signal(family, closes).confidence == pytest.approx(0.5 + 0.5 * excess / (1 + excess), rel=1e-12)


def test_a_reversal_leaves_first_and_enters_at_the_next_decision():
    crash = [*FLAT, 110.0, 60.0]
    assert last_signal("ema_trend", crash, side=1, held=1)[:2] == (0, SIGNAL)
    assert last_signal("ema_trend", [*crash, 50.0])[:2] == (-1, 0)


def test_named_values_are_none_until_defined():
    params = params_record("ema_trend", SMALL["ema_trend"], HOUR)
    bars = bars_from([100.0, 104.0, 102.0, 110.0])
    assert indicator_values(row_after(params, bars[:0]), params)["close"] is None
    values = indicator_values(row_after(params, bars[:2]), params)
    assert values["close"] == 104.0
    assert values["ema_fast"] == 102.0
    assert [name for name, value in values.items() if value is None] == [
        "setup", "setup_age", "ema_slow", "adx", "plus_di", "minus_di",
    ]  # fmt: skip
    assert None not in indicator_values(row_after(params, bars), params).values()


def walk(seed, n=400):
    """Irregular whole-number bars, wide enough that no two averages tie by accident."""
    rng = np.random.default_rng(seed)
    closes = 50_000_000.0 + np.cumsum(rng.integers(-9_999, 10_000, n)).astype(np.float64)
    opens = np.concatenate([closes[:1], closes[:-1]])
    highs = np.maximum(opens, closes) + rng.integers(1, 3_000, n)
    lows = np.minimum(opens, closes) - rng.integers(1, 3_000, n)
    return np.stack([opens, highs, lows, closes, rng.integers(0, 100, n).astype(np.float64)], axis=1)


MEDIUM = {
    "momentum": {"momentum_lookback": 12, "ema_slow": 6, "atr_length": 5, "volatility_target": 0.0},
    "breakout": {"channel_entry": 8, "channel_exit": 5, "atr_length": 5},
    "reversion": {
        "rsi_length": 5, "rsi_low": 41.7, "rsi_high": 58.3, "bollinger_length": 8, "bollinger_width": 1.13,
        "adx_length": 5, "adx_threshold": 41.3, "atr_length": 5,
    },
    "ema_trend": {"ema_fast": 3, "ema_slow": 8, "adx_length": 5, "atr_length": 5},
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_mirrored_prices_swap_the_sides(family, seed):
    params = params_record(family, MEDIUM[family], HOUR)
    bars = walk(seed)
    mirrored = 100_000_000.0 - bars[:, [0, 2, 1, 3]]
    rows = new_indicators(2, params)
    entries = 0
    for bar, mirror in zip(bars, mirrored, strict=True):
        observe(rows[0], params, *bar)
        observe(rows[1], params, *mirror, bar[4])
        flat, flipped = signal(rows[0], params, 0, 0), signal(rows[1], params, 0, 0)
        assert flat.entry == -flipped.entry
        assert flat[2:] == pytest.approx(flipped[2:], rel=1e-6)
        assert signal(rows[0], params, 1, 1).exit == signal(rows[1], params, -1, 1).exit
        assert signal(rows[0], params, -1, 1).exit == signal(rows[1], params, 1, 1).exit
        entries += flat.entry != 0
    assert entries > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_signals_keep_their_ranges(family):
    params = params_record(family, {**MEDIUM[family], "volatility_target": 0.2}, HOUR)
    row = new_indicators(1, params)[0]
    for k, bar in enumerate(walk(3)):
        observe(row, params, *bar)
        before = row.tobytes()
        asked = signal(row, params, 0, 0)
        assert row.tobytes() == before
        assert asked.entry in {-1, 0, 1}
        assert 0.5 <= asked.confidence <= 1.0 if asked.entry else asked.confidence == 0.0
        assert 0.0 <= asked.size <= 1.0
        assert min(asked.stop, asked.target, asked.trail) >= 0.0
        if k + 1 < warmup_bars(params):
            assert asked == (0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)


def fingerprint():
    """Sha256 over every row and every signal of all families on one walk."""
    digest = hashlib.sha256()
    for family in FAMILIES:
        params = params_record(family, {**MEDIUM[family], "volatility_target": 0.2, "volume_ratio": 0.5}, HOUR)
        row = new_indicators(1, params)[0]
        for held, bar in enumerate(walk(11, 250)):
            observe(row, params, *bar)
            digest.update(row.tobytes())
            for side in (-1, 0, 1):
                digest.update(np.array(signal(row, params, side, held % 30), np.float64).tobytes())
    return digest.hexdigest()


def test_compiled_and_plain_python_agree_bit_for_bit():
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain", fingerprint()]


def test_machine_code_contracts_no_product_into_a_sum():
    params = params_record("reversion", MEDIUM["reversion"], HOUR)
    row = row_after(params, walk(1, 60))
    # code from the cache cannot be inspected
    fresh_observe, fresh_signal = (njit(f.py_func, error_model="numpy") for f in (observe, signal))
    fresh_observe(row, params, *walk(1, 61)[60])
    fresh_signal(row, params, 0, 0)
    for function in (fresh_observe, fresh_signal):
        (intermediate,) = function.inspect_llvm().values()
        (machine,) = function.inspect_asm().values()
        assert "fmul double" in intermediate
        assert not re.search(r"llvm\.fma|fmuladd|fmul (fast|contract)|fadd (fast|contract)", intermediate)
        assert not re.search(r"\bv?fn?m(add|sub|la|ls)", machine)


if __name__ == "__main__":
    print("compiled" if hasattr(signal, "py_func") else "plain", fingerprint())
