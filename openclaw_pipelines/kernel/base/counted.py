"""Tell the compiler how long an array is where that is 1, so that loops over it become straight lines."""

from typing import Any, cast

from numba import types
from numba.core import cgutils
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

_tools = cast("Any", cgutils)  # untyped in numba's stubs


def _typed(_typing: Any, array: Any, _several: Any) -> tuple[Signature, Any]:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind, several = signature.args
        if not isinstance(several, types.NoneType):
            return args[0]
        made = context.make_array(kind)(context, builder, args[0])
        made.shape = _tools.pack_array(builder, [context.get_constant(types.intp, 1)])
        return made._getvalue()

    return array(array, _several), codegen


counted: Any = intrinsic(_typed)
"""`counted(array, several)` is the array [N]. `several` is None where N is 1, which is not checked, else any number.

A function that takes `several` from Python is compiled once for None and once for numbers.
"""
