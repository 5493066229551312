"""Products that round on their own on a GPU, as they do on the CPU.

nvvm contracts `a * b + c` into one `fma` with one rounding, and numba-cuda passes it no option against that
(https://github.com/NVIDIA/numba-cuda/issues/118). `mul.rn.f64` is never contracted, by nvvm or by the assembler. So
every product of two floats is lowered to it: those that `primitives.mul` writes and any that would be written bare.
Sums, quotients and square roots are `add.f64`, `div.rn.f64` and `sqrt.rn.f64` as they are: rounded to nearest.
"""

import functools
import importlib
import operator
from typing import Any


@functools.cache
def use_exact_products() -> None:
    """Lower float64 products to `mul.rn.f64` in every CUDA function that this process compiles from now on."""
    ir: Any = importlib.import_module("llvmlite.ir")
    types: Any = importlib.import_module("numba.cuda.types")
    lower: Any = importlib.import_module("numba.cuda.cudaimpl").lower
    double = ir.DoubleType()

    def rounded_product(_context: Any, builder: Any, _signature: Any, factors: Any) -> Any:
        signature = ir.FunctionType(double, [double, double])
        return builder.call(builder.module.declare_intrinsic("llvm.nvvm.mul.rn.d", (), signature), factors)

    for product in (operator.mul, operator.imul):
        lower(product, types.float64, types.float64)(rounded_product)
