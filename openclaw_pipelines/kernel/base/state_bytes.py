"""How a state is kept between ticks: canonical bytes that every later version of the program can read.

ACCOUNT and POSITION may get fields, at their ends, whose initial value is 0. A state in which the newer fields are all
initial is written in the layout that did not have them, so its bytes and their hash stay what an older version
recorded; an older layout is read with the newer fields at 0.
"""

import hashlib
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel.base.layout import ACCOUNT, POSITION, RING_SIZE, Records, State

_HEADER, _WORD = 48, 8
Number = TypeVar("Number", bound=np.generic)


class Layout(NamedTuple):
    """The records of a state, and how many of their leading fields each version that wrote any had, oldest first."""

    account: np.dtype[np.void]
    position: np.dtype[np.void]
    versions: tuple[tuple[int, int], ...]


LAYOUT = Layout(ACCOUNT, POSITION, ((13, 29),))
"""A release that adds fields appends their new numbers; none is ever taken out."""


class StateBytesError(KernelError):
    """Recorded state that this version of the kernel cannot read."""

    template = "kernel state cannot be read: {why}. Use the program that wrote it, or a newer one."
    why: str


def state_bytes(state: State, layout: Layout = LAYOUT) -> bytes:
    """Canonical bytes: a header with the layout's hash and the shapes, then the arrays, little-endian.

    >>> import numpy as np
    >>> from openclaw_pipelines.kernel.base.layout import new_state
    >>> state = new_state(np.zeros((2, 3)), 10**12, 0)
    >>> state_bytes(load_state(state_bytes(state))) == state_bytes(state)
    True
    """
    account, positions = _words(state.account), _words(state.positions)
    version = next(
        (own for own in layout.versions if not account[:, own[0] :].any() and not positions[:, own[1] :].any()),
        layout.versions[-1],
    )
    arrays = (account[:, : version[0]], positions[:, : version[1]], state.indicators, state.order_times)
    shape = np.array(state.indicators.shape, "<i8").tobytes()
    return _hash(layout, version) + shape + b"".join(_little_endian(array).tobytes() for array in arrays)


def load_state(data: bytes, layout: Layout = LAYOUT) -> State:
    """The state that `state_bytes` wrote, in this version or an older one.

    Raises:
        StateBytesError: the bytes are of a layout that this version does not know, or cut short.
    """
    version = next((own for own in layout.versions if data[:32] == _hash(layout, own)), None)
    if version is None:
        raise StateBytesError("its layout is unknown to this version")
    if len(data) < _HEADER:
        raise StateBytesError("its header is cut short")
    n_symbols, width = (int(size) for size in np.frombuffer(data, "<i8", 2, 32))
    sizes = (version[0], n_symbols * version[1], n_symbols * width, RING_SIZE)
    if len(data) != _HEADER + _WORD * sum(sizes):
        raise StateBytesError(f"it has {len(data)} bytes for {n_symbols} symbols of width {width}")
    account, positions, indicators, times = np.split(
        np.frombuffer(data, "<i8", sum(sizes), _HEADER), np.cumsum(sizes[:-1])
    )
    return State(
        _records(layout.account, account.reshape(1, -1)),
        _records(layout.position, positions.reshape(n_symbols, -1)),
        indicators.view("<f8").astype(np.float64).reshape(n_symbols, width),
        times.astype(np.int64),
    )


def state_hash(state: State) -> str:
    """SHA-256 of `state_bytes`."""
    return hashlib.sha256(state_bytes(state)).hexdigest()


def _words(records: NDArray[np.void]) -> NDArray[np.int64]:
    """Records as [N, fields]: every field is a whole number of eight bytes."""
    array = np.ascontiguousarray(records)
    return array.view(np.int64).reshape(len(array), -1)


def _records(dtype: np.dtype[np.void], words: NDArray[np.int64]) -> Records:
    """Records whose leading fields are `words` [N, K] and whose others are 0."""
    whole = np.zeros((len(words), len(dtype.names or ())), np.int64)
    whole[:, : words.shape[1]] = words
    return whole.view(dtype).reshape(len(words)).view(np.recarray)


def _little_endian(array: NDArray[Number]) -> NDArray[Number]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


@lru_cache(maxsize=32)
def _hash(layout: Layout, version: tuple[int, int]) -> bytes:
    described = (layout.account.descr[: version[0]], layout.position.descr[: version[1]], RING_SIZE)
    return hashlib.sha256(repr(described).encode()).digest()
