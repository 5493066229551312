"""The generated device code, without a device: only float instructions that the CPU has too, and a checker that sees.

Needs numba-cuda with NVVM and NVRTC of the CUDA toolkit's wheels; no driver.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from openclaw_pipelines.kernel.cuda import host, ptx

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))
import gpu_check

needs_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda, the optional extra [gpu], is not installed"
)
PLAIN = """
from numba import types
from openclaw_pipelines.kernel.cuda import ptx
from openclaw_pipelines.kernel.cuda.exact import use_exact_products
from openclaw_pipelines.kernel.base.primitives import mul

def bare(out, a, b, c):
    out[0] = a * b + c

def in_place(out, a, b, c):
    a *= b
    out[0] = a - c

def primitive(out, a, b, c):
    out[0] = mul(a, b) + c

signature = types.void(types.float64[::1], *[types.float64] * 3)
for prepare in (int, use_exact_products):
    prepare()
    for function in (bare, in_place, primitive):
        code = ptx.compile_ptx(function, signature, (9, 0))
        print(function.__name__, *ptx.inexact(code), ptx.count(code, "mul.rn.f64"))
"""


@pytest.mark.slow
@needs_numba_cuda
@pytest.mark.parametrize("capability", [(9, 0), (8, 0)], ids=["9.0", "8.0"])
def test_the_sweep_has_only_exact_instructions(capability) -> None:
    code = ptx.sweep_ptx(capability)
    assert ptx.inexact(code) == ()
    # it is the whole step, flattened, and it computes
    assert f".target sm_{capability[0]}{capability[1]}" in code
    assert ".func" not in code
    for instruction in ("mul.rn.f64", "div.rn.f64", "add.f64"):
        assert ptx.count(code, instruction) > 40
    assert ptx.count(code, "sqrt.rn.f64") > 0
    # aligned records are read in one piece
    assert ptx.count(code, "ld.global.u8") == 0


@needs_numba_cuda
def test_the_checker_finds_the_contraction_that_exact_products_prevent() -> None:
    # a process of its own: exact products cannot be taken back
    done = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    as_numba_cuda_does = ["bare fma.rn.f64 0", "in_place mul.f64 0", "primitive fma.rn.f64 0"]
    assert done.stdout.splitlines() == [*as_numba_cuda_does, "bare 1", "in_place 1", "primitive 1"]


class Recorder:
    """`numba.cuda` that keeps arrays on the host and notes the types that a kernel is launched with."""

    def __init__(self, typeof):
        self.typeof, self.launched, self.waited = typeof, set(), False

    def to_device(self, array):
        return array.view(OnHost)

    def synchronize(self):
        self.waited = True

    def __getitem__(self, _grid):
        return self.launch

    def launch(self, *arguments):
        plain = (np.asarray(value) if isinstance(value, OnHost) else value for value in arguments)
        self.launched.add(tuple(map(self.typeof, plain)))


class OnHost(np.ndarray):
    """An array that says it is on a device."""

    def copy_to_host(self):
        return np.asarray(self)


@needs_numba_cuda
def test_what_is_checked_is_what_is_launched(monkeypatch) -> None:
    recorder = Recorder(importlib.import_module("numba.cuda.typing.typeof").typeof)
    monkeypatch.setattr(host, "device_name", lambda: "a GPU")
    monkeypatch.setattr(host, "driver_api", lambda: recorder)
    monkeypatch.setattr(host, "_kernel", lambda: recorder)
    monkeypatch.setattr(host, "TICKS_PER_LAUNCH", 24)
    limits, account_limits = gpu_check.loose_limits(2)
    swept = host.sweep(
        gpu_check.market(50, 2), gpu_check.parameter_rows(5), limits=limits, account_limits=account_limits, start=30
    )
    assert recorder.launched == {tuple(ptx.sweep_signature().args)}
    assert recorder.waited
    assert swept.day_equity.shape == (5, 2)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("add.f64 \t%fd3, %fd1, %fd2;", (), id="sum"),
        pytest.param("@%p2 mul.rn.f64 %fd3, %fd1, %fd2;", (), id="rounded product under a predicate"),
        pytest.param("div.rn.f64 %fd3, %fd1, %fd2;", (), id="quotient"),
        pytest.param("sqrt.rn.f64 %fd3, %fd1;", (), id="root"),
        pytest.param("setp.gt.and.f64 %p1, %fd1, %fd2, %p0;", (), id="comparison"),
        pytest.param("ld.global.f64 %fd1, [%rd1+8];", (), id="load"),
        pytest.param("cvt.rzi.s64.f64 %rd1, %fd1;", (), id="truncation"),
        pytest.param("min.f64 %fd1, %fd2, 0d3FF0000000000000;", (), id="least of a number and a constant"),
        pytest.param("mul.lo.s64 %rd3, %rd1, %rd2;", (), id="whole numbers"),
        pytest.param("fma.rn.f64 %fd4, %fd1, %fd2, %fd3;", ("fma.rn.f64",), id="fused"),
        pytest.param("mad.rn.f64 %fd4, %fd1, %fd2, %fd3;", ("mad.rn.f64",), id="multiply-add"),
        pytest.param("mul.f64 %fd3, %fd1, %fd2;", ("mul.f64",), id="product that may fuse"),
        pytest.param("@!%p1 mul.f64 %fd3, %fd1, %fd2;", ("mul.f64",), id="the same under a predicate"),
        pytest.param("mul.rz.f64 %fd3, %fd1, %fd2;", ("mul.rz.f64",), id="rounded toward zero"),
        pytest.param("add.rz.f64 %fd3, %fd1, %fd2;", ("add.rz.f64",), id="sum toward zero"),
        pytest.param("min.f64 %fd3, %fd1, %fd2;", ("min.f64",), id="least of two that may be NaN"),
        pytest.param("rcp.approx.ftz.f64 %fd3, %fd1;", ("rcp.approx.ftz.f64",), id="reciprocal"),
        pytest.param("sqrt.approx.f32 %f3, %f1;", ("sqrt.approx.f32",), id="approximate root"),
        pytest.param("div.approx.f32 %f3, %f1, %f2;", ("div.approx.f32",), id="approximate quotient"),
        pytest.param("div.full.f32 %f3, %f1, %f2;", ("div.full.f32",), id="full-range quotient"),
        pytest.param("add.f32 %f3, %f1, %f2;", ("add.f32",), id="single precision"),
        pytest.param("cvt.rn.f32.f64 %f1, %fd1;", ("cvt.rn.f32.f64",), id="to single precision"),
        pytest.param("cvt.rni.s64.f64 %rd1, %fd1;", ("cvt.rni.s64.f64",), id="rounding conversion"),
    ],
)
def test_each_instruction_is_judged(line, found) -> None:
    assert ptx.inexact(f"$L__BB0_1:\n\t{line}\n\tret;\n") == found
