"""What a state is kept as, and that every later layout of it can read what an earlier one wrote."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_pipelines.kernel.base.layout import ACCOUNT, POSITION, RING_SIZE, State, copy_state, new_state
from openclaw_pipelines.kernel.base.state_bytes import (
    LAYOUT,
    Layout,
    StateBytesError,
    load_state,
    state_bytes,
    state_hash,
)

RELEASED = {(13, 29): "0.1.0"}
"""Numbers of fields that released versions wrote; a row is never taken out."""
HASH_0_1_0 = "9e691df8feaaed529f26c386dc62a9a375f7dad54eb470040270cf66fddeecda"


def longer(dtype: np.dtype[Any], *names: str) -> np.dtype[Any]:
    return np.dtype((np.record, [*dtype.descr, *((name, "<i8") for name in names)]))


LATER = Layout(longer(ACCOUNT, "guard"), longer(POSITION, "filled", "part"), (*LAYOUT.versions, (13, 30), (14, 31)))
"""As two later releases would have it."""


def some_state(layout: Layout = LAYOUT, **account: int) -> State:
    made = new_state(np.arange(6.0).reshape(2, 3), 10**12, 86_400)
    state = State(
        np.zeros(1, layout.account).view(np.recarray), np.zeros(2, layout.position).view(np.recarray),
        made.indicators, made.order_times,
    )  # fmt: skip
    for old, new in ((made.account, state.account), (made.positions, state.positions)):
        for name in old.dtype.names:
            new[name] = old[name]
    state.positions.qty, state.positions.entry_price = [-3, 0], [101, 0]
    for name, value in account.items():
        state.account[name] = value
    return state


def test_a_state_comes_back_whole() -> None:
    again = load_state(state_bytes(some_state()))
    assert state_hash(again) == state_hash(some_state())
    assert (again.positions.qty.tolist(), again.positions.entry_price.tolist()) == ([-3, 0], [101, 0])
    assert again.indicators.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert (int(again.account.cash[0]), again.order_times.tolist()) == (10**12, [-1] * RING_SIZE)
    assert (again.account.dtype, again.positions.dtype) == (ACCOUNT, POSITION)


def test_a_copy_is_independent() -> None:
    state = some_state()
    other = copy_state(state)
    other.positions[0].qty = 1
    other.order_times[5] = 9
    assert state_hash(state) != state_hash(other)
    assert (int(state.positions[0].qty), int(state.order_times[5])) == (-3, -1)


def test_a_state_that_was_read_can_be_changed() -> None:
    again = load_state(state_bytes(some_state()))
    again.positions[0].qty, again.account[0].cash, again.indicators[0, 0], again.order_times[0] = 5, 7, 0.5, 1
    assert (int(again.positions[0].qty), int(again.account[0].cash)) == (5, 7)


@pytest.mark.parametrize("damage", [
    pytest.param(lambda data: data[:-1], id="cut short"),
    pytest.param(lambda data: data + b"\0", id="too long"),
    pytest.param(lambda data: b"\0" + data[1:], id="another layout"),
    pytest.param(lambda data: data[:40], id="header only"),
    pytest.param(lambda data: b"", id="nothing"),
])  # fmt: skip
def test_damaged_bytes_are_refused(damage) -> None:
    with pytest.raises(StateBytesError):
        load_state(damage(state_bytes(some_state())))


def test_every_released_layout_is_known_in_order() -> None:
    assert list(LAYOUT.versions) == list(RELEASED)
    assert LAYOUT.versions[-1] == (len(ACCOUNT.names), len(POSITION.names))


def test_the_bytes_of_the_first_release_are_what_they_were() -> None:
    assert hashlib.sha256(state_bytes(some_state())).hexdigest() == HASH_0_1_0


def test_newer_fields_that_are_initial_leave_the_bytes_as_they_were() -> None:
    assert state_bytes(some_state(LATER), LATER) == state_bytes(some_state())


@given(guard=st.integers(0, 3), filled=st.integers(0, 3), part=st.integers(0, 3))
def test_later_layouts_read_what_they_and_the_older_ones_wrote(guard: int, filled: int, part: int) -> None:
    state = some_state(LATER)
    state.account.guard, state.positions.filled[1], state.positions.part[0] = guard, filled, part
    data = state_bytes(state, LATER)
    again = load_state(data, LATER)
    assert all(np.array_equal(own, other) for own, other in zip(again, state, strict=True))
    length = 48 + 8 * (6 + RING_SIZE)
    wanted = (13 + 2 * 29) if not guard + filled + part else (13 + 2 * 30) if not guard + part else (14 + 2 * 31)
    assert len(data) == length + 8 * wanted


def test_older_bytes_get_newer_fields_at_their_initial_value() -> None:
    again = load_state(state_bytes(some_state()), LATER)
    assert (again.account.dtype, again.positions.dtype) == (LATER.account, LATER.position)
    assert (int(again.account.guard[0]), again.positions.filled.tolist()) == (0, [0, 0])
    assert again.positions.qty.tolist() == [-3, 0]


def test_an_older_version_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(StateBytesError, match="unknown to this version"):
        load_state(state_bytes(some_state(LATER, guard=1), LATER))
