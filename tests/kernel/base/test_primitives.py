"""The arithmetic every decision rests on: NaN, zero and out-of-range inputs, compiled and plain alike."""

import math

import pytest
from numba import njit

from openclaw_pipelines.kernel.base import primitives

NAN, INF = math.nan, math.inf


@njit
def _compiled_div(a, b):
    return primitives.div(a, b)


@njit
def _compiled_fmin(a, b):
    return primitives.fmin(a, b)


@njit
def _compiled_fmax(a, b):
    return primitives.fmax(a, b)


@njit
def _compiled_to_int(x, lo, hi):
    return primitives.to_int(x, lo, hi)


@njit
def _compiled_sign(x):
    return primitives.sign(x)


@njit
def _compiled_mul(a, b):
    return primitives.mul(a, b)


COMPILED = {
    "mul": _compiled_mul,
    "div": _compiled_div,
    "fmin": _compiled_fmin,
    "fmax": _compiled_fmax,
    "to_int": _compiled_to_int,
    "sign": _compiled_sign,
}


def same(a, b):
    return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        pytest.param("mul", (0.1, 3.0), 0.30000000000000004, id="product rounds as float64"),
        pytest.param("div", (1.0, 3.0), 1 / 3, id="quotient"),
        pytest.param("div", (1.0, 0.0), 0.0, id="zero denominator"),
        pytest.param("div", (1.0, -0.0), 0.0, id="negative zero denominator"),
        pytest.param("div", (1.0, NAN), 0.0, id="NaN denominator"),
        pytest.param("div", (NAN, 2.0), NAN, id="NaN numerator stays visible"),
        pytest.param("div", (-6.0, -2.0), 3.0, id="negative denominator"),
        pytest.param("fmin", (1.0, 2.0), 1.0, id="min first"),
        pytest.param("fmin", (2.0, 1.0), 1.0, id="min second"),
        pytest.param("fmin", (NAN, 1.0), 1.0, id="min drops NaN first"),
        pytest.param("fmin", (1.0, NAN), 1.0, id="min drops NaN second"),
        pytest.param("fmin", (0.0, -0.0), 0.0, id="min of equals is the first"),
        pytest.param("fmin", (-0.0, 0.0), -0.0, id="min of equals is the first, reversed"),
        pytest.param("fmin", (NAN, NAN), NAN, id="min of NaNs"),
        pytest.param("fmax", (1.0, 2.0), 2.0, id="max second"),
        pytest.param("fmax", (2.0, 1.0), 2.0, id="max first"),
        pytest.param("fmax", (NAN, 1.0), 1.0, id="max drops NaN first"),
        pytest.param("fmax", (1.0, NAN), 1.0, id="max drops NaN second"),
        pytest.param("fmax", (-0.0, 0.0), -0.0, id="max of equals is the first"),
        pytest.param("to_int", (2.9, -10, 10), 2, id="truncates down"),
        pytest.param("to_int", (-2.9, -10, 10), -2, id="truncates up below zero"),
        pytest.param("to_int", (NAN, -10, 10), -10, id="NaN is the lower bound"),
        pytest.param("to_int", (INF, -10, 10), 10, id="infinity is the upper bound"),
        pytest.param("to_int", (-INF, -10, 10), -10, id="negative infinity is the lower bound"),
        pytest.param("to_int", (1e300, 0, (1 << 63) - 1), (1 << 63) - 1, id="beyond int64"),
        pytest.param("to_int", (9.3e18, 0, (1 << 63) - 1), (1 << 63) - 1, id="just beyond int64"),
        pytest.param(
            "to_int", (9007199254740993.0, 0, 1 << 60), 9007199254740992, id="2**53 is the last exact integer"
        ),
        pytest.param("sign", (-1e-300,), -1, id="sign negative"),
        pytest.param("sign", (-0.0,), 0, id="sign of negative zero"),
        pytest.param("sign", (NAN,), 0, id="sign of NaN"),
        pytest.param("sign", (INF,), 1, id="sign of infinity"),
    ],
)
def test_primitive(name, inputs, expected):
    assert same(COMPILED[name](*inputs), expected)
    assert same(getattr(primitives, name).py_func(*inputs), expected)
