"""The decorators of code that settles, judges and steps. Indicators and signals state their options themselves.

Such code owns, allocates and returns no array, so numba's reference counting is switched off (`_nrt=False`): it would
touch every array of every tuple at every call, and a tick would take up to five times as long. numba's type stubs do
not know that option, hence the cast; a decorated function keeps its own signature for type checkers.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])
_njit = cast("Any", numba.njit)


def compiled(function: Function) -> Function:
    """Compile, cache on disk, divide as numpy does (nothing raises), merge into compiled callers.

    Merging spares a call the passing of every array of every tuple, some fifty words.
    """
    return cast("Function", _njit(cache=True, error_model="numpy", _nrt=False, forceinline=True)(function))


def streamed(function: Function) -> Function:
    """As `compiled` but kept apart, for loops over many bars: merged, they lose their vector form."""
    return cast("Function", _njit(cache=True, error_model="numpy", _nrt=False)(function))


def inlined(function: Function) -> Function:
    """As `compiled`, and pasted into its callers before types are known, for small helpers."""
    return cast("Function", _njit(cache=True, error_model="numpy", _nrt=False, inline="always")(function))


def entered(function: Function) -> Function:
    """As `compiled`, for loops that Python's threads enter side by side: the interpreter lock is released."""
    return cast("Function", _njit(cache=True, error_model="numpy", _nrt=False, nogil=True)(function))
