"""Bars that were built of lower ones, in the store: they follow their parts until a recorded tick has read them.

Such a bar is no value that its source ever gave, so the rule that the first write wins does not bind it; what a tick
consumed stays, since its ledger rests on it.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import polars as pl

from openclaw_pipelines.contracts.enums import TickStatus
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import Store, fetch, registered

KEY = ("source", "symbol", "interval", "ts")
FOLLOWING = ("open", "high", "low", "close", "volume", "is_synthetic", "parts", "parts_expected", "has_open")
"""Columns that a built bar takes over from what its source gives later."""

_STATE = 4
"""Place of the bar's state in a recorded bar."""

_DIFFERS = " OR ".join(f"c.{name} IS DISTINCT FROM i.{name}" for name in FOLLOWING)
_KNOWS_LESS = "i.parts * c.parts_expected < c.parts * i.parts_expected"
"""A source that gives fewer of the parts than before has lost some; the bar then stays, and is contradicted."""

Bar = tuple[str, str, datetime]
"""Symbol, interval and open of a bar."""


def may_follow(store: Store, rows: pl.DataFrame) -> pl.DataFrame:
    """Keys of stored built bars that `rows` give otherwise and that no recorded tick has read."""
    if rows.is_empty():
        return rows.select(KEY)
    with store.read("market") as con, registered(con, rows) as incoming:
        built = fetch(
            con,
            f"SELECT {', '.join(KEY)} FROM {incoming} i JOIN (SELECT * FROM candles WHERE ts BETWEEN ? AND ?) c "
            f"USING ({', '.join(KEY)}) "
            f"WHERE c.parts IS NOT NULL AND ({_DIFFERS}) AND NOT coalesce({_KNOWS_LESS}, false)",
            [rows["ts"].min(), rows["ts"].max()],
        )
    read = consumed_bars(store, list(built.select(KEY[1:]).iter_rows()))
    return built.filter(pl.Series([bar not in read for bar in built.select(KEY[1:]).iter_rows()], dtype=pl.Boolean))


def follow(con: Connection, keys: pl.DataFrame, incoming: str) -> int:
    """Give stored bars the values that `incoming` has for these keys; returns how many there were."""
    if keys.is_empty():
        return 0
    with registered(con, keys, "followers") as free:
        same = " AND ".join(f"i.{name} = candles.{name} AND f.{name} = candles.{name}" for name in KEY)
        values = ", ".join(f"{name} = i.{name}" for name in (*FOLLOWING, "ingested_at"))
        con.execute(f"UPDATE candles SET {values} FROM {incoming} i, {free} f WHERE {same}")
    return keys.height


class Consumer(NamedTuple):
    """The first recorded tick that had a bar as input."""

    strategy: str
    tick_at: datetime


def consumed_bars(store: Store, bars: list[Bar]) -> dict[Bar, Consumer]:
    """Those of the bars that a recorded tick had as input, or that an inception was warmed on.

    Masks, features and universes look at bars too; what they made of them is recorded by itself.
    """
    wanted, found = set(bars), dict[Bar, Consumer]()
    for bar, consumer in _recorded(store, bars) if bars else ():
        if bar in wanted:
            found.setdefault(bar, consumer)
    return found


def _recorded(store: Store, bars: list[Bar]) -> Iterator[tuple[Bar, Consumer]]:
    """Bars that are recorded for the closes of `bars`, and those of every warm-up since, by the tick."""
    closes = sorted({ts + interval_length(interval) for _, interval, ts in bars})
    rows = store.query(
        "ledger",
        "SELECT i.strategy_config_id, i.tick_at, i.bars, c.payload, t.status = $inception FROM tick_inputs i "
        "JOIN tick_contexts c USING (context_hash) "
        "JOIN autopilot_ticks t USING (account_id, strategy_config_id, tick_at) "
        "WHERE CASE WHEN t.status = $inception THEN i.tick_at >= $first ELSE list_contains($closes, i.tick_at) END "
        "ORDER BY i.tick_at, i.strategy_config_id",
        {"inception": TickStatus.INCEPTION.value, "closes": closes, "first": closes[0]},
    )
    for strategy, tick_at, text, payload, is_inception in rows.iter_rows():
        interval = json.loads(payload)["deployment"]["interval"]
        recorded = json.loads(text)
        by_close = recorded.items() if is_inception else [(tick_at.isoformat(), recorded)]
        for closed_at, own in by_close:
            opened_at = datetime.fromisoformat(closed_at) - interval_length(interval)
            for symbol, bar in own.items():
                if bar[_STATE] != BarState.MISSING:
                    yield (symbol, interval, opened_at), Consumer(strategy, tick_at)
