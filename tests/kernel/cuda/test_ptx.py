"""The generated device code, without a device: only float instructions that the CPU has too, and a checker that sees.

Needs numba-cuda with NVVM and NVRTC of the CUDA toolkit's wheels; no driver.
"""

import importlib.util
import subprocess
import sys

import pytest

from openclaw_pipelines.kernel.cuda import ptx

needs_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda, the optional extra [gpu], is not installed"
)
PLAIN = """
import sys
from numba import types
from openclaw_pipelines.kernel.cuda import ptx
from openclaw_pipelines.kernel.cuda.exact import use_exact_products
from openclaw_pipelines.kernel.primitives import mul

def bare(out, a, b, c):
    out[0] = a * b + c

def in_place(out, a, b, c):
    a *= b
    out[0] = a - c

def primitive(out, a, b, c):
    out[0] = mul(a, b) + c

signature = types.void(types.float64[::1], *[types.float64] * 3)
if sys.argv[1] == "exact":
    use_exact_products()
for function in (bare, in_place, primitive):
    code = ptx.compile_ptx(function, signature, (9, 0))
    print(function.__name__, *ptx.inexact(code), ptx.count(code, "mul.rn.f64"))
"""


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
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        pytest.param(
            "plain", ["bare fma.rn.f64 0", "in_place mul.f64 0", "primitive fma.rn.f64 0"], id="as numba-cuda does"
        ),
        pytest.param("exact", ["bare 1", "in_place 1", "primitive 1"], id="exact products"),
    ],
)
def test_the_checker_finds_the_contraction_that_exact_products_prevent(mode, told) -> None:
    done = subprocess.run([sys.executable, "-c", PLAIN, mode], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == told


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
