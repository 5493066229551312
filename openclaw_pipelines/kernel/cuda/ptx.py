"""The generated device code, checked without a device: every float instruction must be one that the CPU has too.

PTX is what a driver assembles; what it does not contain cannot happen. numba-cuda compiles it with NVVM alone, so CI
can. Results on a real device are compared by `tools/gpu_check.py`.
"""

import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np

from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.cuda.device import require_extra
from openclaw_pipelines.kernel.strategy.params import PARAMS
from openclaw_pipelines.kernel.sweep.tally import SYMBOL_TALLY, TALLY

ComputeCapability = tuple[int, int]

_INSTRUCTION = re.compile(r"^\s*(?:@!?%p\d+\s+)?([a-z][a-z0-9_]*(?:[.:]+[a-z0-9_]+)*)\s+(.*?);", re.MULTILINE)
_FLOAT = re.compile(r"\.(?:e\dm\d\w*|bf16\w*|tf32|f16\w*|f32\w*|f64)(?:\.|$)")
_EXACT = re.compile(
    r"(?:add|sub)(?:\.rn)?\.f64|(?:mul|div|sqrt)\.rn\.f64|(?:neg|abs|mov|selp)\.f64"
    r"|setp\.[a-z]+(?:\.(?:and|or|xor))?\.f64|(?:ld|st)(?:\.[a-z0-9]+)+\.f64"
    r"|cvt\.rn\.f64\.[su](?:32|64)|cvt\.rzi\.s64\.f64"
)
# PTX's min and max drop a NaN; with a constant on one side that is what the comparison they stand for does
_EXTREME = re.compile(r"(?:min|max)\.f64")
_CONSTANT = re.compile(r"\b0d[0-9A-Fa-f]{16}\b")


def inexact(ptx: str) -> tuple[str, ...]:
    """Distinct float instructions that may round, flush or order otherwise than the CPU's; empty is good.

    >>> inexact("add.f64 %fd3, %fd1, %fd2; ")
    ()
    >>> inexact("fma.rn.f64 %fd4, %fd1, %fd2, %fd3; ")
    ('fma.rn.f64',)
    """
    found = set()
    for name, operands in _INSTRUCTION.findall(ptx):
        if not _FLOAT.search(name) or _EXACT.fullmatch(name):
            continue
        if not (_EXTREME.fullmatch(name) and _CONSTANT.search(operands)):
            found.add(name)
    return tuple(sorted(found))


def count(ptx: str, instruction: str) -> int:
    """How often an instruction stands in the code.

    >>> count("mul.rn.f64 %fd3, %fd1, %fd2; ", "mul.rn.f64")
    1
    """
    return sum(name == instruction for name, _ in _INSTRUCTION.findall(ptx))


def sweep_ptx(capability: ComputeCapability) -> str:
    """The sweep's kernel for a compute capability, as (9, 0).

    Raises:
        CudaMissingError: numba-cuda is not installed.
    """
    require_extra()
    from openclaw_pipelines.kernel.cuda.exact import use_exact_products
    from openclaw_pipelines.kernel.cuda.loop import advance

    use_exact_products()
    return compile_ptx(advance, sweep_signature(), capability)


def sweep_signature() -> Any:
    """Types of the arguments of `loop.advance`."""
    from numba import types

    from openclaw_pipelines.kernel.cuda.loop import aligned

    def array(of: Any, n_dimensions: int) -> Any:
        dtype = numba.from_dtype(aligned(of)) if isinstance(of, np.dtype) else of
        return types.Array(dtype, n_dimensions, "C")

    per_row = [array(layout.ACCOUNT, 2), array(layout.POSITION, 2), array(types.float64, 3), array(types.int64, 2)]
    outputs = [array(TALLY, 1), array(SYMBOL_TALLY, 2), array(types.int64, 2)]
    scratch = [array(layout.EVENT, 2), array(layout.PROPOSAL, 2)]
    shared = [array(layout.SYMBOL_TICK, 2), array(types.int64, 1)]
    shared += [array(record, 1) for record in (layout.LIMITS, layout.ACCOUNT_LIMITS, layout.INSTRUMENT)]
    return types.void(*per_row, *outputs, *scratch, array(PARAMS, 2), *shared, *[types.int64] * 4)


def compile_ptx(function: Callable[..., None], signature: Any, capability: ComputeCapability) -> str:
    """PTX of a kernel, compiled as for a launch but without a device.

    Raises:
        CudaMissingError: numba-cuda is not installed.
    """
    require_extra()
    from numba import cuda

    compiler: Any = cuda
    with _as_if_on(capability):
        ptx, _ = compiler.compile(function, signature, cc=capability, device=False, abi="numba", output="ptx")
    return str(ptx)


@contextmanager
def _as_if_on(capability: ComputeCapability) -> Iterator[None]:
    """For functions called by a kernel numba-cuda asks the current device, even where `cc` was given."""
    dispatcher: Any = importlib.import_module("numba.cuda.dispatcher")
    asked = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = asked
