"""Ask the processor for memory before it is needed. It changes no value; a wrong address is only a wasted read."""

from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

_tools, _types = cast("Any", cgutils), cast("Any", types)  # untyped in numba's stubs


def _typed(_typing: Any, array: Any, index: Any) -> tuple[Signature, Any]:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind, at = signature.args[0], _tools.unpack_tuple(builder, args[1])
        given = context.make_array(kind)(context, builder, args[0])
        place = _tools.get_item_pointer(context, builder, kind, given, at, wraparound=False)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        instruction = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = _tools.get_or_insert_function(builder.module, instruction, "llvm.prefetch.p0i8")
        read, near, data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(function, [builder.bitcast(place, byte), read, near, data])
        return context.get_dummy_value()

    return types.void(array, _types.UniTuple(types.intp, len(index))), codegen


prefetch: Any = intrinsic(_typed)
"""`prefetch(array, (row, column, ...))` brings an element near that is used soon; the code goes on at once."""
