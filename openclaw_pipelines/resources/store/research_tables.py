"""What is asked of one factory cycle's rows in `research`, by assets, commands, pages and the lifecycle alike.

What a step of a cycle asks of its own rows alone stands beside that step, in `services.factory`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from openclaw_pipelines.contracts.factory import Channel
from openclaw_pipelines.resources.store.store import Store

_CHANNELS = ", ".join(f"'{channel.value}'" for channel in Channel)
ORDER = {
    "factory_cycles": "recorded_at, cycle_id",
    "sweep_shards": "shard",
    "trial_counts": "shard, family",
    "sweep_results": "row_index",
    "shortlist": f"list_position([{_CHANNELS}], channel), rank",
    "replays": "variant, params_hash",
    "parity_reports": "sample DESC, comparison, params_hash",
    "gate_results": "params_hash, position",
    "deployments": "sequence",
}
"""Table -> the order of its rows within a cycle. Candidates stand in the order in which they may be deployed."""


class Trials(NamedTuple):
    """Parameter rows that were run, and combinations that contradict themselves and were not."""

    run: int
    skipped: int


def of_cycle(store: Store, table: str, cycle_id: str, *, without: Sequence[str] = ()) -> pl.DataFrame:
    """A cycle's rows of a table, in their order. without: columns that are left out."""
    columns = f"* EXCLUDE ({', '.join(without)})" if without else "*"
    sql = f"SELECT {columns} FROM {table} WHERE cycle_id = ? ORDER BY {ORDER[table]}"
    return store.query("research", sql, [cycle_id])


def cycles(store: Store) -> pl.DataFrame:
    """Every cycle's row, the newest last."""
    return store.query("research", f"SELECT * FROM factory_cycles ORDER BY {ORDER['factory_cycles']}")


def trials(store: Store, cycle_id: str, shard: str | None = None) -> Trials:
    """Trials of a cycle, or of one shard of it."""
    counts = of_cycle(store, "trial_counts", cycle_id)
    own = counts if shard is None else counts.filter(pl.col("shard") == shard)
    return Trials(int(own["trials"].sum()), int(own["skipped"].sum()))


_LATER = (
    "(SELECT cycle_id, subject AS {key} FROM factory_log WHERE table_name = '{table}' "
    "AND cycle_id NOT IN (SELECT cycle_id FROM factory_cycles "
    "WHERE recorded_at < (SELECT min(recorded_at) FROM factory_log)) GROUP BY ALL HAVING min(sequence) > ?) later"
)
"""Pieces of a table that were first stored after a row of the factory's log. Those of cycles that are older than the
log are older, also where they were computed again since."""


def trials_ever(store: Store, cycle_id: str, as_of: int | None = None) -> int:
    """Trials of the cycle's families ever run, by any cycle: the choice was made among all of them.

    as_of: row of the factory's log; what was stored after it does not count.
    """
    later = _LATER.format(key="shard", table="trial_counts")
    before = "" if as_of is None else f"ANTI JOIN {later} USING (cycle_id, shard) "
    sql = (
        f"SELECT sum(trials) AS n FROM trial_counts {before}WHERE family IN "
        "(SELECT DISTINCT family FROM trial_counts WHERE cycle_id = ?)"
    )
    return int(store.query("research", sql, [*_bound(as_of), cycle_id])["n"][0] or 0)


def looks_ever(store: Store, as_of: int | None = None) -> pl.DataFrame:
    """Every recorded look at any holdout. as_of: row of the factory's log; later looks do not count."""
    later = _LATER.format(key="look_key", table="holdout_looks")
    before = "" if as_of is None else f"ANTI JOIN {later} USING (cycle_id, look_key) "
    return store.query("research", f"SELECT * FROM holdout_looks {before}ORDER BY look_key", _bound(as_of))


def _bound(as_of: int | None) -> list[object]:
    return [] if as_of is None else [as_of]
