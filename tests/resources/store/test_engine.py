"""One DuckDB instance per folder and process, to which files are attached while somebody uses them."""

import os
import subprocess
import sys
import threading

import duckdb
import pytest

from openclaw_pipelines.contracts.errors import StoreError
from openclaw_pipelines.resources.store import engine
from openclaw_pipelines.resources.store.engine import discard, engine_of
from openclaw_pipelines.resources.store.hold import let_go
from openclaw_pipelines.resources.store.locks import StoreFullError
from openclaw_pipelines.resources.store.migrations import migrations_of
from openclaw_pipelines.resources.store.store import Store

MIGRATIONS = len(migrations_of("ledger"))
NOTEBOOK = """
import duckdb, sys
try:
    duckdb.connect(sys.argv[1]).close()
    print("opened")
except duckdb.IOException as error:
    print("refused" if "Conflicting lock" in str(error) else error)
"""


def notebook(store) -> str:
    """What a program without the store's lock gets when it opens the file for writing."""
    command = [sys.executable, "-c", NOTEBOOK, str(store.file("ledger"))]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def test_a_reader_that_ends_leaves_the_lock_of_the_file_to_the_other_one(store):
    """POSIX locks belong to the process: closing one of two descriptors of a file would release them."""
    store.query("ledger", "SELECT 1")
    reading, leave = threading.Event(), threading.Event()

    def read_for_a_while():
        with store.read("ledger"):
            reading.set()
            leave.wait(60)

    other = threading.Thread(target=read_for_a_while)
    other.start()
    try:
        assert reading.wait(60)
        with store.read("ledger") as con:
            assert con.execute("SELECT count(*) FROM schema_migrations").fetchone() == (MIGRATIONS,)
        assert notebook(store) == "refused"
    finally:
        leave.set()
        other.join(60)
    let_go()
    assert notebook(store) == "opened"


def test_readers_in_many_threads_see_the_same_rows(store):
    store.query("ledger", "SELECT 1")
    seen: list[int] = []

    def read():
        for _ in range(20):
            seen.extend(store.query("ledger", "SELECT count(*) AS n FROM schema_migrations")["n"])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert seen == [MIGRATIONS] * 80


def test_threads_that_start_at_once_share_one_instance(tmp_path):
    gate, found = threading.Barrier(8), []

    def ask():
        gate.wait(30)
        found.append(engine_of(tmp_path, 1, "64MB"))

    for _ in range(5):
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(found) == 8
        assert len(set(found)) == 1
        discard(found[0])
        found.clear()


def test_a_forked_child_starts_an_instance_of_its_own(store):
    store.query("ledger", "SELECT 1")
    parents = engine_of(store.folder, store.threads, store.memory_limit)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        code = 2
        try:
            own = engine_of(store.folder, store.threads, store.memory_limit)
            rows = store.query("ledger", "SELECT count(*) AS n FROM schema_migrations")["n"].to_list()
            code = 0 if own is not parents and rows == [MIGRATIONS] else 1
        finally:
            os._exit(code)  # never back into the test runner
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine_of(store.folder, store.threads, store.memory_limit) is parents


def test_an_instance_that_duckdb_gave_up_is_not_used_again(store):
    store.query("ledger", "SELECT 1")
    before = engine_of(store.folder, store.threads, store.memory_limit)
    with pytest.raises(StoreFullError), store.read("ledger"):
        raise duckdb.FatalException("FATAL Error: Could not write file: No space left on device")
    assert engine_of(store.folder, store.threads, store.memory_limit) is not before
    assert store.query("ledger", "SELECT 1 AS one")["one"].to_list() == [1]


def test_an_instance_that_cannot_let_go_of_a_file_is_not_used_again(store, caplog):
    store.query("ledger", "SELECT 1")
    before = engine_of(store.folder, store.threads, store.memory_limit)
    before._root.execute('DETACH "ledger.duckdb"')  # as after a detach that failed half way
    let_go()
    assert "could not be let go" in caplog.text
    assert engine_of(store.folder, store.threads, store.memory_limit) is not before
    assert store.query("ledger", "SELECT 1 AS one")["one"].to_list() == [1]


def test_few_instances_are_kept(tmp_path):
    kept = [engine_of(tmp_path / str(n), 1, "64MB") for n in range(6)]
    assert len(engine._engines) == 4
    assert engine_of(tmp_path / "5", 1, "64MB") is kept[5]
    assert engine_of(tmp_path / "0", 1, "64MB") is not kept[0]
    for n in range(6):
        discard(engine_of(tmp_path / str(n), 1, "64MB"))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{elsewhere}')",
        "SELECT * FROM '{elsewhere}'",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "COPY (SELECT 1) TO '{folder}/written.csv'",
        "ATTACH '{folder}/other.duckdb' AS other",
        "ATTACH '{inside}/../other.duckdb' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
    ],
)
def test_a_statement_reaches_nothing_beyond_the_store(tmp_path, sql):
    store = Store(tmp_path / "store")
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text("secret\n1\n")
    text = sql.format(elsewhere=elsewhere, folder=tmp_path, inside=store.folder)
    with pytest.raises((duckdb.Error, StoreError)):
        store.query("ledger", text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere.csv", "store"]
    assert store.query("ledger", "SELECT 1 AS n")["n"].to_list() == [1]
