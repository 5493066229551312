"""The log of the factory: its chain, what stands in it, and where stored pieces are not what it says."""

from typing import Any

import pytest

from openclaw_pipelines.contracts.factory import Logged
from openclaw_pipelines.domain.factory.log import (
    CHAINED,
    NOTHING_LOGGED,
    Anchor,
    BrokenFactoryLogError,
    Content,
    Piece,
    dropped,
    linked,
    standing,
    unlike_log,
    verify_factory_log,
)

FIRST, SECOND = Piece("swing-1", "sweep_shards", "1-of-8"), Piece("swing-1", "sweep_shards", "2-of-8")
LOOK = Piece("swing-2", "holdout_looks", "momentum:x")


def log() -> list[Any]:
    """Two shards and a look; the second shard is dropped and stored again, otherwise."""
    stored = linked(NOTHING_LOGGED, Logged.STORED, [Content(FIRST, 1, "a"), Content(SECOND, 1, "b")])
    gone = linked(newest(stored), Logged.DROPPED, dropped([SECOND]))
    again = linked(newest(gone), Logged.STORED, [Content(LOOK, 1, "c", rests_on=3), Content(SECOND, 2, "d")])
    return [*stored, *gone, *again]


def newest(rows: list[Any]) -> Anchor:
    return Anchor(rows[-1]["sequence"], rows[-1]["row_hash"])


def test_a_whole_log_follows() -> None:
    rows = log()
    assert [row["sequence"] for row in rows] == [1, 2, 3, 4, 5]
    assert verify_factory_log(rows, [newest(rows), newest(rows[:2])]) == newest(rows)
    assert verify_factory_log([]) == NOTHING_LOGGED


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("change", [name for name in CHAINED if name != "sequence"])
def test_a_changed_cell_breaks_the_chain_there(place: int, change: str) -> None:
    rows = log()
    rows[place] = {**rows[place], change: 77 if change in ("row_count", "rests_on") else "other"}
    with pytest.raises(BrokenFactoryLogError, match="does not follow") as caught:
        verify_factory_log(rows)
    assert caught.value.sequence == place + 1


@pytest.mark.parametrize("place", range(4))
def test_a_removed_row_breaks_it_behind(place: int) -> None:
    rows = log()
    with pytest.raises(BrokenFactoryLogError) as caught:
        verify_factory_log(rows[:place] + rows[place + 1 :])
    assert caught.value.sequence == place + 2


def test_a_cut_end_is_known_by_what_rests_on_it() -> None:
    rows = log()
    assert verify_factory_log(rows[:3]).sequence == 3
    with pytest.raises(BrokenFactoryLogError, match="row 5 is not the one that a deployment rests on"):
        verify_factory_log(rows[:3], [newest(rows)])
    with pytest.raises(BrokenFactoryLogError, match="row 2 is not the one"):
        verify_factory_log(rows, [Anchor(2, "f" * 64)])


def test_the_newest_word_on_a_piece_counts() -> None:
    rows = log()
    assert {piece: row["sequence"] for piece, row in standing(rows).items()} == {FIRST: 1, LOOK: 4, SECOND: 5}
    assert set(standing(rows[:3])) == {FIRST}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param([Content(FIRST, 1, "a"), Content(SECOND, 2, "d")], [], id="as logged"),
        pytest.param(
            [Content(FIRST, 1, "a"), Content(SECOND, 2, "e")],
            ["sweep_shards 2-of-8 of swing-1 was changed since row 5 of the log"],
            id="another content",
        ),
        pytest.param(
            [Content(FIRST, 2, "a"), Content(SECOND, 2, "d")],
            ["sweep_shards 1-of-8 of swing-1 was changed since row 1 of the log"],
            id="another number of rows",
        ),
        pytest.param(
            [Content(SECOND, 2, "d")], ["sweep_shards 1-of-8 of swing-1 is gone: row 1 of the log has it"], id="gone"
        ),
        pytest.param(
            [Content(FIRST, 1, "a"), Content(SECOND, 2, "d"), Content(Piece("swing-1", "shortlist", ""), 3, "s")],
            ["shortlist of swing-1 is in no row of the log"],
            id="added",
        ),
    ],
)
def test_what_is_not_as_logged_is_said(found: list[Content], said: list[str]) -> None:
    logged = {piece: row for piece, row in standing(log()).items() if piece.cycle_id == "swing-1"}
    assert unlike_log(logged, found) == said
