"""Parameter records: validation, derived constants, hashes and warm-up counts."""

import math
import pickle
import re
from decimal import Decimal

import numpy as np
import pytest

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.params import (
    PARAMS,
    ParameterConflictError,
    ParameterRangeError,
    ParameterTypeError,
    UnknownFamilyError,
    UnknownFamilyNumberError,
    UnknownParameterError,
    family_of,
    params_hash,
    params_record,
    params_values,
    stack_params,
    warmup_bars,
)


@pytest.mark.parametrize(
    ("family", "values", "error", "says"),
    [
        pytest.param("momentun", {}, UnknownFamilyError, "'momentum'", id="family misspelt"),
        pytest.param("breakout", {"chanel_entry": 9}, UnknownParameterError, "'channel_entry'", id="name misspelt"),
        pytest.param("breakout", {"rsi_length": 9}, UnknownParameterError, "'rsi_length'", id="another family's"),
        pytest.param("ema_trend", {"ema_fast": 1}, ParameterRangeError, "2 .. 5000", id="below bound"),
        pytest.param("ema_trend", {"ema_slow": 5001}, ParameterRangeError, "2 .. 5000", id="above bound"),
        pytest.param("ema_trend", {"stop_atr": -1}, ParameterRangeError, "0.0 .. 100.0", id="negative distance"),
        pytest.param("ema_trend", {"ema_fast": 3.0}, ParameterTypeError, "whole number", id="float for a length"),
        pytest.param("ema_trend", {"ema_fast": True}, ParameterTypeError, "whole number", id="bool for a length"),
        pytest.param("ema_trend", {"ema_fast": "3"}, ParameterTypeError, "'3'", id="text for a length"),
        pytest.param("ema_trend", {"stop_atr": math.nan}, ParameterTypeError, "finite", id="NaN"),
        pytest.param("ema_trend", {"stop_atr": None}, ParameterTypeError, "None", id="nothing"),
        pytest.param("ema_trend", {"allow_short": 1}, ParameterTypeError, "yes or no", id="number for a switch"),
        pytest.param("ema_trend", {"ema_fast": 48}, ParameterConflictError, "below ema_slow", id="fast not below slow"),
        pytest.param("breakout", {"channel_exit": 49}, ParameterConflictError, "at most", id="exit beyond entry"),
        pytest.param("reversion", {"rsi_low": 80}, ParameterConflictError, "below rsi_high", id="rsi limits crossed"),
    ],
)
def test_refused(family, values, error, says):
    with pytest.raises(error, match=re.escape(says)) as caught:
        params_record(family, values, 3_600)
    assert isinstance(caught.value, ConfigError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_interval_must_be_positive():
    with pytest.raises(ParameterRangeError, match="interval_seconds"):
        params_record("momentum", {}, 0)


def test_every_family_of_the_contract_has_a_spec_whose_defaults_are_valid():
    """Contracts of stored runs hash the number: one that was given is never given to another family."""
    assert {name: spec.number for name, spec in FAMILIES.items()} == {
        "momentum": 1,
        "breakout": 2,
        "reversion": 3,
        "ema_trend": 4,
    }
    for name, spec in FAMILIES.items():
        record = params_record(name, {}, 900)
        assert name == spec.name
        assert family_of(record) is spec
        assert params_values(record) == {p.name: p.default for p in spec.parameters}
        for parameter in spec.parameters:
            assert parameter.low <= parameter.default <= parameter.high
            assert isinstance(parameter.default, parameter.kind)


def test_derived_constants():
    values = {"ema_fast": 9, "ema_slow": 19, "volatility_target": Decimal("0.5"), "volume_ratio": 1}
    record = params_record("ema_trend", values, 900)
    assert record.bars_per_year == 35_040.0
    assert record.annual_factor == math.sqrt(35_040.0)
    assert (record.ema_fast_alpha, record.ema_slow_alpha) == (0.2, 0.1)
    assert (record.close_ring, record.range_ring, record.return_ring, record.volume_ring) == (0, 0, 48, 20)
    assert record.volatility_target == 0.5
    assert record.momentum_lookback == 0


@pytest.mark.parametrize(
    ("family", "values", "ready", "warm"),
    [
        pytest.param("ema_trend", {"ema_slow": 50, "adx_length": 10, "atr_length": 5}, 50, 150, id="slow average"),
        pytest.param("ema_trend", {"ema_slow": 13, "adx_length": 14, "atr_length": 14}, 28, 84, id="adx"),
        pytest.param("breakout", {"channel_entry": 200, "atr_length": 14}, 201, 203, id="window"),
        pytest.param("breakout", {"channel_entry": 24, "atr_length": 14}, 25, 70, id="atr"),
        pytest.param("momentum", {"momentum_lookback": 300}, 301, 303, id="look-back"),
        pytest.param("reversion", {"rsi_length": 20, "adx_length": 2, "atr_length": 2}, 21, 100, id="rsi"),
    ],
)
def test_warmup(family, values, ready, warm):
    record = params_record(family, values, 3_600)
    assert record.ready_bars == ready
    assert warmup_bars(record) == warm


def test_seed_weighs_less_than_two_percent_when_warm():
    record = params_record("ema_trend", {"ema_slow": 50}, 3_600)
    assert (1 - record.ema_slow_alpha) ** (warmup_bars(record) - 50) < 0.02
    assert (1 - 1 / 14) ** (5 * 14 - 14) < 0.02


def test_hash_follows_every_setting_and_the_interval():
    base = params_record("reversion", {}, 3_600)
    seen = {
        params_hash(base),
        params_hash(params_record("reversion", {}, 900)),
        params_hash(params_record("momentum", {}, 900)),
    }
    for parameter in FAMILIES["reversion"].parameters:
        other = not parameter.default if parameter.kind is bool else parameter.default + 1
        seen.add(params_hash(params_record("reversion", {parameter.name: other}, 3_600)))
    assert len(seen) == 3 + len(FAMILIES["reversion"].parameters)


def test_hash_ignores_derived_fields_and_the_sign_of_zero():
    base = params_record("breakout", {"stop_atr": 0.0}, 3_600)
    twin = params_record("breakout", {"stop_atr": -0.0}, 3_600)
    twin.warmup_bars += 1
    assert params_hash(base) == params_hash(twin)


def test_hash_is_pinned():
    """A change here changes every deployment's fingerprint: it needs a migration note, not a new constant."""
    record = params_record("breakout", {"channel_entry": 20, "channel_exit": 10}, 3_600)
    assert params_hash(record) == "311cbe8a343940153f30ac7c15bb29a6aae6d8a50d6a870d560ef848a8f0c6c4"


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        pytest.param("momentum", "a4ecf54942055e043e1a165f2782a7cbfcf960fc260f2931b0c826e866e8bb72", id="momentum"),
        pytest.param("breakout", "7dad54ce0c08d79b55e6da31f874b6b41f00a69a9aadace3134bf90baa3b3bfa", id="breakout"),
        pytest.param("reversion", "522a8504e9aac093a451fdcef9baf0de10bff067b38b548ec2fbb08592867214", id="reversion"),
        pytest.param("ema_trend", "fb2f0cd8a6e15c521471ef60774e83ee4a438facc3354c0cbeb22779be8bdf36", id="ema_trend"),
    ],
)
def test_hashes_of_the_defaults_are_pinned(family, expected):
    """As above, for every name, type and default of a family."""
    assert params_hash(params_record(family, {}, 3_600)) == expected


def test_the_record_is_pinned():
    """Contracts of replays hash its bytes: a parameter that no family had before moves them, which is worth a note."""
    assert list(PARAMS.names) == [
        "family", "momentum_lookback", "ema_slow", "atr_length", "stop_atr", "target_atr", "trail_atr", "max_hold_bars",
        "entry_window_bars", "volatility_length", "volatility_target", "volume_length", "volume_ratio", "allow_short",
        "position_bps", "channel_entry", "channel_exit", "rsi_length", "rsi_low", "rsi_high", "bollinger_length",
        "bollinger_width", "adx_length", "adx_threshold", "ema_fast", "bars_per_year", "ema_fast_alpha",
        "ema_slow_alpha", "annual_factor", "close_ring", "range_ring", "return_ring", "volume_ring", "ready_bars",
        "warmup_bars",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [0, 5, -1])
def test_the_number_of_no_family_is_refused_by_name(number):
    record = params_record("momentum", {}, 3_600)
    record.family = number
    for read in (family_of, params_hash, params_values):
        with pytest.raises(UnknownFamilyNumberError, match=f"number {number}.*3 \\(reversion\\)"):
            read(record)


def test_values_round_trip():
    for name in FAMILIES:
        record = params_record(name, {"position_bps": 1_234, "allow_short": False}, 60)
        again = params_record(name, params_values(record), 60)
        assert record.tobytes() == again.tobytes()


def test_stack_keeps_rows():
    records = [params_record(name, {}, 900) for name in FAMILIES]
    rows = stack_params(records)
    assert rows.dtype == PARAMS
    assert [row.tobytes() for row in rows] == [record.tobytes() for record in records]
    assert PARAMS.itemsize == 8 * len(PARAMS.names)
    assert {PARAMS[name].str for name in PARAMS.names} == {"<i8", "<f8"}
    assert isinstance(rows[0], np.record)
