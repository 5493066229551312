"""Appends candles and funding to the `market` database, with what was learned of their source on the way.

The first value written for a bar stays; a later, different one goes to `candle_revisions` and never changes the past.
Reading is in `market_tables`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, interval_length, utc
from openclaw_pipelines.domain.market.clocks import ClockReading
from openclaw_pipelines.domain.market.features import lookback_bars
from openclaw_pipelines.resources.store.built_bars import follow, may_follow
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.market_tables import PRICES
from openclaw_pipelines.resources.store.store import Store, checked, fetch, registered, table_named

_REVISION = "source, symbol, interval, ts, " + ", ".join(PRICES)


@dataclass(frozen=True)
class Written:
    """What became of the rows of one call; the four add up to the rows given.

    inserted: new keys.
    unchanged: values that are stored already, as the first one or as a known revision.
    revised: new values of stored keys. Those of candles are now in `candle_revisions`; the others are only counted.
    followed: built bars that no recorded tick had read and that now are what their source gives.
    """

    inserted: int
    unchanged: int
    revised: int
    followed: int = 0


def append_candles(
    store: Store,
    frame: pl.DataFrame,
    now: datetime,
    coverage: pl.DataFrame | None = None,
    refused: pl.DataFrame | None = None,
    clock: ClockReading | None = None,
) -> Written:
    """Store closed candles, first write wins, in one transaction.

    Args:
        store: where to.
        frame: rows in `resources.market.base.CANDLE_COLUMNS`.
        now: time written to `ingested_at` and `seen_at`.
        coverage: rows of `candle_coverage`, how far the source was asked; what is stored moves forward, never back.
        refused: rows of `refused_answers`; of a series and day that was refused before the newest words and
            how often in a row are kept.
        clock: what the source's clock showed.

    A different value of open, high, low, close or volume is written to `candle_revisions`, once per distinct value,
    unless the stored bar is a built one that may still follow; see `built_bars`.
    Features that were computed without a bar that comes now are taken away.

    Raises:
        SchemaError: rows break the rules of the model.
        DuplicateRowsError: a bar occurs twice in `frame`.
    """
    table = table_named("candles")
    rows = checked(table, _stamped(frame, "ingested_at", now))
    if rows.is_empty() and coverage is None:
        return Written(0, 0, 0)
    following = may_follow(store, rows)
    with store.write("market") as con, registered(con, rows) as incoming:
        followed = follow(con, following, incoming)
        revised = _append_revisions(con, table, rows, incoming, now) if rows.height else 0
        _forget_features(con, rows, incoming, following)
        inserted = _append_absent(con, table, rows, incoming) if rows.height else 0
        if coverage is not None:
            _keep_latest(con, "candle_coverage", coverage)
        _keep_refused(con, refused)
        if clock is not None:
            own = TABLES["source_clocks"].frame([vars(clock)])
            with registered(con, own, "clock_read") as read:
                con.execute(
                    f"MERGE INTO source_clocks AS old USING {read} AS new USING (source) "
                    "WHEN MATCHED THEN UPDATE SET served_at = new.served_at, read_at = new.read_at, "
                    "ahead_seconds = new.ahead_seconds "
                    "WHEN NOT MATCHED THEN INSERT BY NAME"
                )
    return Written(inserted, rows.height - inserted - revised - followed, revised, followed)


def append_funding(
    store: Store, frame: pl.DataFrame, now: datetime, coverage: pl.DataFrame, refused: pl.DataFrame | None = None
) -> Written:
    """Store funding, first write wins, in one transaction; `frame` is in `FUNDING_COLUMNS`.

    A later, different rate is counted as revised and not stored. The venue's own stamp may differ without meaning.
    Live ticks bring the same rates every minute: where nothing is new, nothing is opened for writing.

    coverage: rows of `funding_coverage`, how far the source was asked; what is stored moves forward, never back.
    refused: rows of `refused_answers`.
    """
    table = table_named("funding_rates")
    rows = checked(table, _stamped(frame, "ingested_at", now))
    told_lies = refused is not None and refused.height > 0
    if coverage.is_empty() and rows.is_empty() and not told_lies:
        return Written(0, 0, 0)
    held = f"SELECT {', '.join(table.key)}, funding_rate AS held FROM funding_rates WHERE ts BETWEEN ? AND ?"
    known = rows.join(store.query("market", held, _span(rows)), on=table.key)
    moves = _moves(store, coverage)
    revised = known.filter(pl.col("funding_rate") != pl.col("held")).height
    inserted = 0
    if known.height < rows.height or moves or told_lies:
        with store.write("market") as con, registered(con, rows) as incoming:
            inserted = _append_absent(con, table, rows, incoming)
            _keep_latest(con, "funding_coverage", coverage)
            _keep_refused(con, refused)
    return Written(inserted, rows.height - inserted - revised, revised)


def _stamped(frame: pl.DataFrame, column: str, now: datetime) -> pl.DataFrame:
    return frame.with_columns(pl.lit(utc(now, "now")).cast(pl.Datetime("us", "UTC")).alias(column))


def _append_revisions(con: Connection, table: Table, rows: pl.DataFrame, incoming: str, now: datetime) -> int:
    """Keep values that differ from the stored first one and from every revision of it."""
    differs = " OR ".join(f"c.{name} IS DISTINCT FROM i.{name}" for name in PRICES)
    known = f"SELECT {_REVISION} FROM candle_revisions WHERE ts BETWEEN ? AND ?"
    changed = (
        f"SELECT {', '.join(f'i.{name}' for name in (*table.key, *PRICES))} FROM {incoming} i "
        f"JOIN (SELECT * FROM candles WHERE ts BETWEEN ? AND ?) c USING ({', '.join(table.key)}) WHERE {differs}"
    )
    later = fetch(con, f"{changed} EXCEPT {known}", [*_span(rows), *_span(rows)])
    if later.is_empty():
        return 0
    with registered(con, _stamped(later, "seen_at", now), "later") as view:
        con.execute(f"INSERT INTO candle_revisions BY NAME SELECT * FROM {view}")
    return later.height


def _forget_features(con: Connection, rows: pl.DataFrame, incoming: str, followed: pl.DataFrame) -> None:
    """Take away the features that were computed without a bar that comes only now or changed, to be computed again."""
    newest = con.execute("SELECT max(ts) FROM features").fetchone()
    if rows.is_empty() or not newest or newest[0] is None or newest[0] < rows["ts"].min():
        return  # as at every live tick
    key = ", ".join(table_named("candles").key)
    absent = fetch(
        con,
        f"SELECT {key} FROM {incoming} ANTI JOIN (SELECT {key} FROM candles WHERE ts BETWEEN ? AND ?) USING ({key})",
        _span(rows),
    )
    changed = pl.concat([absent, followed.select(absent.columns)])
    late = changed.group_by("source", "symbol", "interval").agg(first=pl.min("ts"), last=pl.max("ts"))
    read = [lookback_bars(one) * interval_length(one) + DAY for one in late["interval"]]
    spans = late.with_columns(until=pl.col("last") + pl.Series(read, dtype=pl.Duration("us")))
    with registered(con, spans, "late_bars") as bars:
        con.execute(
            f"DELETE FROM features USING {bars} AS late WHERE features.source = late.source "
            "AND features.symbol = late.symbol AND features.interval = late.interval "
            "AND features.ts >= late.first AND features.ts < late.until"
        )


def _append_absent(con: Connection, table: Table, rows: pl.DataFrame, incoming: str) -> int:
    """Insert the rows whose key is absent; the span of time lets the database skip what cannot match."""
    key = ", ".join(table.key)
    return _append_count(
        con,
        f"INSERT INTO {table.name} BY NAME SELECT * FROM {incoming} "
        f"ANTI JOIN (SELECT {key} FROM {table.name} WHERE ts BETWEEN ? AND ?) USING ({key}) ORDER BY {key}",
        _span(rows),
    )


def _append_count(con: Connection, sql: str, params: Sequence[object] = ()) -> int:
    row = con.execute(sql, list(params)).fetchone()
    return int(row[0]) if row else 0


def _span(rows: pl.DataFrame) -> list[object]:
    return [rows["ts"].min(), rows["ts"].max()]


def _keep_latest(con: Connection, table: str, coverage: pl.DataFrame) -> None:
    with registered(con, coverage, "asked") as asked:
        con.execute(
            f"MERGE INTO {table} AS old USING {asked} AS new USING ({', '.join(table_named(table).key)}) "
            "WHEN MATCHED AND new.covered_until > old.covered_until "
            "THEN UPDATE SET covered_until = new.covered_until WHEN NOT MATCHED THEN INSERT BY NAME"
        )


def _keep_refused(con: Connection, refused: pl.DataFrame | None) -> None:
    if refused is None or refused.is_empty():
        return
    key = ", ".join(table_named("refused_answers").key)
    with registered(con, refused, "refused") as told:
        con.execute(
            f"MERGE INTO refused_answers AS old USING {told} AS new USING ({key}) "
            "WHEN MATCHED THEN UPDATE SET "
            "last_seen_at = new.last_seen_at, reason = new.reason, refusals = new.refusals "
            "WHEN NOT MATCHED THEN INSERT BY NAME"
        )


def _moves(store: Store, coverage: pl.DataFrame) -> bool:
    """Whether a row of `funding_coverage` would become later."""
    key = table_named("funding_coverage").key
    days = coverage["day"].unique().to_list()
    stored = store.query("market", "SELECT * FROM funding_coverage WHERE list_contains(?, day)", [days])
    asked = coverage.join(stored, on=key, how="left", suffix="_held")
    held = pl.col("covered_until_held")
    return not asked.filter(held.is_null() | (pl.col("covered_until") > held)).is_empty()
