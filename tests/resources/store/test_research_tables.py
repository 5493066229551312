"""A cycle's rows in the order of their table, and what was ever tried."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from openclaw_pipelines.contracts.factory import Channel
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.store.research_tables import Trials, of_cycle, trials, trials_ever
from openclaw_pipelines.resources.store.store import Store, insert

AT = datetime(2025, 5, 10, tzinfo=UTC)


def tried(cycle: str, shard: str, family: str, run: int) -> dict[str, object]:
    return {"cycle_id": cycle, "recorded_at": AT, "shard": shard, "family": family, "trials": run, "skipped": 1}


def listed(channel: Channel, rank: int) -> dict[str, object]:
    return {
        "cycle_id": "a", "recorded_at": AT, "family": "breakout", "params": "{}", "params_hash": "p",
        "channel": channel.value, "rank": rank, "row_index": rank, "score": 1.0, "measures": "{}",
        "status": "candidate", "reason": "better",
    }  # fmt: skip


def store_with(folder: Path, table: str, rows: list[dict[str, object]]) -> Store:
    store = Store(folder=str(folder))
    with store.write("research") as con:
        insert(con, table, TABLES[table].unchecked(rows))
    return store


def test_candidates_stand_in_the_order_of_channels_and_ranks(tmp_path: Path) -> None:
    wanted = [(channel.value, rank) for channel in Channel for rank in (0, 1)]
    rows = [listed(Channel(channel), rank) for channel, rank in sorted(wanted, reverse=True)]
    found = of_cycle(store_with(tmp_path, "shortlist", rows), "shortlist", "a", without=("params",))
    assert found.select("channel", "rank").rows() == wanted
    assert "params" not in found.columns


def test_trials_of_the_same_families_count_whichever_cycle_ran_them(tmp_path: Path) -> None:
    rows = [tried("a", "1", "breakout", 5), tried("a", "2", "breakout", 7), tried("b", "1", "breakout", 11),
            tried("b", "1", "momentum", 13)]  # fmt: skip
    store = store_with(tmp_path, "trial_counts", rows)
    assert (trials(store, "a"), trials(store, "a", "2"), trials(store, "c")) == (
        Trials(12, 2),
        Trials(7, 1),
        Trials(0, 0),
    )
    assert [trials_ever(store, cycle) for cycle in ("a", "b", "c")] == [23, 36, 0]


def test_a_cycle_of_before_the_log_stays_one_when_it_is_computed_again(tmp_path: Path) -> None:
    """Its trials counted when a later cycle was judged, and count when that one is judged again."""
    rows = [tried(cycle, "1", "breakout", run) for cycle, run in (("old", 5), ("judged", 7), ("new", 11))]
    store = store_with(tmp_path, "trial_counts", rows)
    logged = (("judged", 1), ("old", 3), ("new", 4))
    with store.write("research") as con:
        con.execute("ALTER TABLE factory_cycles RENAME TO cycles_as_they_are")
        con.execute("CREATE TABLE factory_cycles AS SELECT cycle_id, recorded_at FROM cycles_as_they_are")
        for day, cycle in enumerate(("old", "judged", "new")):
            con.execute("INSERT INTO factory_cycles VALUES (?, ?)", [cycle, AT + timedelta(days=day)])
        for cycle, sequence in logged:
            con.execute(
                "INSERT INTO factory_log VALUES (?, ?, ?, 'stored', 'trial_counts', '1', 1, 'c', NULL, 'p', 'r')",
                [cycle, AT + timedelta(days=sequence), sequence],
            )
    assert trials_ever(store, "judged", 2) == 12
    assert trials_ever(store, "judged", 4) == 23
