import pickle
import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.schema import SchemaError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import NaiveTimeError
from openclaw_pipelines.resources.store.hold import let_go
from openclaw_pipelines.resources.store.locks import (
    StoreFullError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnusableError,
)
from openclaw_pipelines.resources.store.migrations import StoreNewerError, migrations_of
from openclaw_pipelines.resources.store.store import (
    DuplicateRowsError,
    KeyExistsError,
    Store,
    StoreDamagedError,
    UnknownDatabaseError,
    UnknownTableError,
    fetch,
    insert,
    insert_new,
    table_named,
)

AT = datetime(2025, 5, 10, tzinfo=UTC)


def contexts(rows, *hashes, **values):
    return TABLES["tick_contexts"].frame([rows.sample_row("tick_contexts", context_hash=h, **values) for h in hashes])


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("shared"))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_takes_a_legal_row_and_gives_it_back(shared_store, rows, name):
    store = shared_store
    frame = TABLES[name].frame([rows.sample_row(name)])
    with store.write(TABLES[name].database) as con:
        assert insert(con, name, frame) == 1
    stored = store.table(name)
    assert stored.schema == frame.schema
    assert stored.equals(frame)


def test_an_exception_rolls_everything_back(store, rows):
    class OwnError(Exception):
        pass

    def fail_late(con):
        insert(con, "tick_contexts", contexts(rows, "a"))
        assert fetch(con, "SELECT context_hash FROM tick_contexts")["context_hash"].to_list() == ["a"]
        raise OwnError

    with pytest.raises(OwnError), store.write("ledger") as con:
        fail_late(con)
    assert store.table("tick_contexts").is_empty()
    with store.write("ledger") as con:  # and the lock is free again
        insert(con, "tick_contexts", contexts(rows, "b"))
    assert store.table("tick_contexts")["context_hash"].to_list() == ["b"]


def test_reading_makes_an_empty_store(store):
    assert store.table("candles").is_empty()
    found = store.query("research", "SELECT count(*) AS n FROM schema_migrations")
    assert found["n"].to_list() == [len(migrations_of("research"))]
    assert (store.folder / "market.duckdb").is_file()
    assert not (store.folder / "ledger.duckdb").exists()


def test_readers_cannot_write(store):
    with store.read("ledger") as con, pytest.raises(duckdb.TransactionException, match="read-only"):
        con.execute("CREATE TABLE mine (x INTEGER)")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.decimals(min_value=-(10**19), max_value=10**19, places=18, allow_nan=False), min_size=1, max_size=5))
def test_decimals_come_back_exactly(values):
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Decimal(38, 18)})
    con = duckdb.connect()
    con.register("given", frame)
    con.execute("CREATE TABLE t AS SELECT * FROM given")
    assert fetch(con, "SELECT value FROM t")["value"].to_list() == values


@pytest.mark.parametrize(
    "text", ["0.000000000000000001", "-0.000000000000000001", "99999999999999999999.999999999999999999", "1.5", "0"]
)
def test_money_in_the_ledger_comes_back_exactly(store, rows, text):
    row = rows.sample_row("autopilot_equity", cash=Decimal(text))
    with store.write("ledger") as con:
        insert(con, "autopilot_equity", TABLES["autopilot_equity"].frame([row]))
    assert store.query("ledger", "SELECT cash FROM autopilot_equity")["cash"].to_list() == [Decimal(text)]


def test_times_are_utc_on_both_sides(store, rows):
    with store.write("ledger") as con:
        insert(con, "tick_contexts", contexts(rows, "a", recorded_at=AT))
    elsewhere = AT.astimezone(timezone(timedelta(hours=-5)))
    frame = store.query("ledger", "SELECT recorded_at FROM tick_contexts WHERE recorded_at = ?", [elsewhere])
    assert frame.schema == {"recorded_at": pl.Datetime("us", "UTC")}
    assert frame["recorded_at"].to_list() == [AT]
    named = store.query("ledger", "SELECT count(*) AS n FROM tick_contexts WHERE recorded_at > $at", {"at": AT})
    assert named["n"].to_list() == [0]


@pytest.mark.parametrize(
    ("sql", "params", "where"),
    [
        pytest.param("SELECT ?", [AT.replace(tzinfo=None)], "parameter 1 of the query", id="parameter"),
        pytest.param("SELECT $at", {"at": AT.replace(tzinfo=None)}, "parameter 1 of the query", id="named parameter"),
        pytest.param("SELECT TIMESTAMP '2025-05-10' AS x", (), "column 'x' of the query", id="column"),
    ],
)
def test_naive_times_are_refused(store, sql, params, where):
    with pytest.raises(NaiveTimeError) as caught:
        store.query("ledger", sql, params)
    assert caught.value.where == where


def test_insert_refuses_rows_that_break_the_model(store, rows):
    frame = contexts(rows, "a").with_columns(pl.lit(None, pl.String).alias("payload"))
    with pytest.raises(SchemaError, match="tick_contexts"), store.write("ledger") as con:
        insert(con, "tick_contexts", frame)
    assert store.table("tick_contexts").is_empty()


@pytest.mark.parametrize("write", [insert, insert_new])
def test_a_key_twice_in_the_input_is_refused(store, rows, write):
    with pytest.raises(DuplicateRowsError) as caught, store.write("ledger") as con:
        write(con, "tick_contexts", contexts(rows, "a", "b", "a", "b", "c"))
    assert caught.value.args == ("tick_contexts", 2, "context_hash=a")


def test_insert_refuses_a_stored_key_and_insert_new_keeps_the_first(store, rows):
    with store.write("ledger") as con:
        insert(con, "tick_contexts", contexts(rows, "a", payload="first"))
    with (
        pytest.raises(KeyExistsError, match="tick_contexts already has a row with context_hash=a"),
        store.write("ledger") as con,
    ):
        insert(con, "tick_contexts", contexts(rows, "b", "a", payload="later"))
    with store.write("ledger") as con:
        assert insert_new(con, "tick_contexts", contexts(rows, "b", "a", payload="later")) == 1
        assert insert_new(con, "tick_contexts", contexts(rows, "b", "a", payload="latest")) == 0
    stored = store.table("tick_contexts")
    assert dict(zip(stored["context_hash"], stored["payload"], strict=True)) == {"a": "first", "b": "later"}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_table_takes_a_key_twice(shared_store, rows, name):
    """Whatever else the second row says, and also where the key stands among new ones."""
    table = TABLES[name]
    first, other = rows.sample_row(name), {n: rows.samples(table, n)[1] for n in table.names}
    again = other | {n: first[n] for n in {*table.key, table.ordered_by} - {None}}
    with shared_store.write(table.database) as con:
        insert_new(con, name, table.unchecked([first]))
    refused = pytest.raises(KeyExistsError, match=f"{name} already has a row with ")
    with refused, shared_store.write(table.database) as con:
        insert(con, name, table.unchecked([other, again]), validated=True)
    with shared_store.write(table.database) as con:
        assert insert_new(con, name, table.unchecked([again])) == 0
    assert shared_store.table(name).height == 1


def test_a_validated_frame_is_written_as_it_is(store, rows):
    frame = contexts(rows, "a").with_columns(pl.lit("").alias("payload"))
    with store.write("ledger") as con:
        assert insert(con, "tick_contexts", frame, validated=True) == 1
    assert store.table("tick_contexts").equals(frame)


def test_columns_go_by_name(store, rows):
    frame = contexts(rows, "a", payload="text")
    with store.write("ledger") as con:
        insert(con, "tick_contexts", frame.select(reversed(frame.columns)))
    assert store.table("tick_contexts").row(0)[:2] == ("a", "text")


@pytest.mark.parametrize(
    ("name", "nearest"), [("candels", "candles"), ("fills", "autopilot_fills"), ("tick_input", "tick_inputs")]
)
def test_unknown_table_names_the_nearest(name, nearest):
    with pytest.raises(UnknownTableError) as caught:
        table_named(name)
    assert caught.value.nearest == nearest


def test_unknown_database(store):
    with pytest.raises(UnknownDatabaseError, match="Known: market, ledger, research"):
        store.query("ledgers", "SELECT 1")


def test_a_transaction_inside_itself_is_an_error_not_a_wait_for_ever(tmp_path):
    store = Store(tmp_path, lock_timeout_seconds=0.2)
    started = time.monotonic()
    with store.write("ledger"), pytest.raises(StoreLockedError, match="locked by this process itself"):
        store.query("ledger", "SELECT 1")
    assert time.monotonic() - started < 2
    late = pytest.raises(StoreLockedError, match="locked by this process itself")
    with store.read("ledger"), late, store.write("ledger"):
        pytest.fail("a writer came in beside a reader")


def test_readers_share(store):
    with store.read("ledger") as one, store.read("ledger") as other:
        assert one.execute("SELECT 1").fetchone() == other.execute("SELECT 1").fetchone() == (1,)


def test_a_newer_file_is_refused_and_untouched(store):
    store.query("ledger", "SELECT 1")
    with store.write("ledger") as con:
        con.execute("INSERT INTO schema_migrations (number, name, sha256) VALUES (99, 'later', 'x')")
    let_go()
    before = (store.folder / "ledger.duckdb").read_bytes()
    for attempt in (store.read, store.write):
        with pytest.raises(StoreNewerError) as caught, attempt("ledger"):
            pytest.fail("a newer file was opened")
        assert caught.value.found == 99
    assert (store.folder / "ledger.duckdb").read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty file"),
        pytest.param(lambda content: b"not a database at all\n" * 400, id="another kind of file"),
        pytest.param(lambda content: content[:6_000], id="cut in the header"),
        pytest.param(lambda content: content[: len(content) // 3], id="cut in the data"),
        pytest.param(lambda content: content[:12_288] + bytes(len(content) - 12_288), id="data overwritten"),
    ],
)
def test_a_damaged_file_is_named_and_untouched(store, rows, damage):
    with store.write("ledger") as con:
        insert(con, "tick_contexts", contexts(rows, "a", "b"))
    file = store.folder / "ledger.duckdb"
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    for attempt in (store.read, store.write):
        with pytest.raises(StoreDamagedError) as caught, attempt("ledger") as con:
            con.execute("SELECT * FROM tick_contexts").fetchall()
        assert caught.value.file == file
    assert file.read_bytes() == damaged


@pytest.mark.parametrize(
    ("raised", "named"),
    [
        pytest.param(
            duckdb.IOException("IO Error: Trying to read a database file with version number 99, but we can only read"),
            StoreNewerError, id="file of a newer DuckDB",
        ),
        pytest.param(
            duckdb.FatalException("FATAL Error: database invalidated. Original error: No space left on device"),
            StoreFullError, id="full, after which DuckDB gives the connection up",
        ),
        pytest.param(
            duckdb.IOException('IO Error: Cannot open file "x": Permission denied'), StoreReadOnlyError, id="forbidden"
        ),
        pytest.param(duckdb.InternalException("INTERNAL Error: block missing"), StoreDamagedError, id="internal"),
        pytest.param(duckdb.IOException("IO Error: Could not seek"), StoreUnusableError, id="any other trouble"),
        pytest.param(duckdb.BinderException("no such column"), duckdb.BinderException, id="the caller's SQL"),
    ],
)  # fmt: skip
def test_failures_of_the_file_have_names_and_others_pass(store, raised, named):
    with pytest.raises(named) as caught, store.write("ledger"):
        raise raised
    assert type(caught.value) is named


def test_the_store_itself_can_be_pickled(store):
    assert pickle.loads(pickle.dumps(store)) == store
