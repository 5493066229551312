"""Files stay attached while somebody works, are handed over when another waits, and are written as little as can be."""

import json
import random
import shutil
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.store import files, hold
from openclaw_pipelines.resources.store.engine import STORAGE_VERSION, Engine
from openclaw_pipelines.resources.store.files import log_of, stamp_of
from openclaw_pipelines.resources.store.hold import let_go
from openclaw_pipelines.resources.store.locks import StoreFullError
from openclaw_pipelines.resources.store.migrations import migrations_of
from openclaw_pipelines.resources.store.store import Store, StoreDamagedError, insert


@pytest.fixture
def attached(monkeypatch):
    """How often a file was attached."""
    names = []
    attach = Engine.attach

    def counted(engine, file, **how):
        names.append((file.name, how["read_only"]))
        attach(engine, file, **how)

    monkeypatch.setattr(Engine, "attach", counted)
    return names


def ticks(store):
    return store.query("ledger", "SELECT count(*) AS n FROM autopilot_ticks")["n"][0]


def eventually(holds, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def closed():
    return not hold._kept


def test_a_file_is_attached_once_for_all_that_follows(store, rows, attached):
    rows.write_tick(store, "s", 0)
    attached.clear()
    for number in range(1, 6):
        rows.write_tick(store, "s", number)
        assert ticks(store) == number + 1
    assert attached == []


def test_a_reader_is_no_writer_and_becomes_one_when_something_is_to_be_written(store, rows, attached, monkeypatch):
    rows.write_tick(store, "s", 0)
    let_go()
    attached.clear()
    assert [ticks(store), ticks(store)] == [1, 1]
    rows.write_tick(store, "s", 1)
    assert attached == [("ledger.duckdb", False)], "who wrote lately attaches it once for both"
    let_go()
    attached.clear()
    monkeypatch.setattr(hold, "WRITER_SECONDS", 0.0)
    assert [ticks(store), ticks(store)] == [2, 2]
    rows.write_tick(store, "s", 2)
    assert attached == [("ledger.duckdb", True), ("ledger.duckdb", False)]


def test_an_unused_file_is_let_go_after_a_moment(store, rows):
    rows.write_tick(store, "s", 0)
    assert not closed()
    eventually(closed)


def test_a_commit_writes_to_the_log_alone(store, rows):
    rows.write_tick(store, "s", 0)
    let_go()
    file, log = store.file("ledger"), log_of(store.file("ledger"))
    before = stamp_of(file)[:3]
    sizes = []
    for number in range(1, 4):
        rows.write_tick(store, "s", number)
        let_go()
        assert stamp_of(file)[:3] == before
        sizes.append(log.stat().st_size)
    growth = [later - earlier for earlier, later in pairwise(sizes)]
    assert all(0 < grown < 10_000 for grown in growth)


def test_a_log_that_has_grown_is_moved_into_the_file(store, rows, monkeypatch):
    rows.write_tick(store, "s", 0)
    let_go()
    log = log_of(store.file("ledger"))
    assert log.stat().st_size > 0
    monkeypatch.setattr(hold, "LOG_BYTES", log.stat().st_size)
    monkeypatch.setattr(hold, "WRITER_SECONDS", 0.0)
    assert ticks(store) == 1  # a reader moves nothing
    let_go()
    assert log.exists()
    rows.write_tick(store, "s", 1)
    let_go()
    assert not log.exists()
    assert ticks(store) == 2


@pytest.fixture
def keeper(tmp_path, worker_command):
    """Another process that committed a tick and still has the file."""
    command = [*worker_command, "keep", str(tmp_path / "store")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(process.stdout.readline()) == {"kept": process.pid}
        yield process
    finally:
        process.communicate(timeout=30)


def test_whoever_keeps_an_unused_file_hands_it_over(store, keeper, rows):
    with pytest.raises(duckdb.IOException, match="Conflicting lock"):
        duckdb.connect(str(store.file("ledger")), read_only=True)
    started = time.monotonic()
    assert ticks(store) == 1
    rows.write_tick(store, "s", 2)
    assert time.monotonic() - started < hold.KEPT_SECONDS * 5  # and not the minute that it would keep it
    assert keeper.poll() is None


def test_a_copy_of_the_folder_is_whole_while_the_file_is_kept(store, keeper, tmp_path):
    shutil.copytree(store.folder, tmp_path / "copy")
    assert ticks(Store(tmp_path / "copy")) == 1
    assert keeper.poll() is None


def test_a_killed_keeper_leaves_what_it_committed(store, keeper):
    keeper.kill()
    keeper.wait(30)
    assert ticks(store) == 1


def test_an_older_file_beside_a_newer_log_is_refused(store, rows, monkeypatch):
    """Restoring one of the two would silently lose what lay between."""
    rows.write_tick(store, "s", 0)
    let_go()
    file = store.file("ledger")
    older = file.read_bytes()
    with monkeypatch.context() as growing:
        growing.setattr(hold, "LOG_BYTES", 1)
        rows.write_tick(store, "s", 1)
        let_go()
    rows.write_tick(store, "s", 2)
    let_go()
    file.write_bytes(older)
    for attempt in (store.read, store.write):
        with pytest.raises(StoreDamagedError, match="newer version of this database"), attempt("ledger"):
            pytest.fail("it was opened")
    assert file.read_bytes() == older
    assert log_of(file).exists()


def test_a_file_that_was_replaced_while_it_was_kept_is_opened_anew(store, rows, tmp_path):
    rows.write_tick(store, "s", 0)
    let_go()
    shutil.copytree(store.folder, tmp_path / "copy")
    rows.write_tick(store, "s", 1)
    for name in ("ledger.duckdb", "ledger.duckdb.wal"):
        shutil.copy(tmp_path / "copy" / name, store.folder / name)
    assert ticks(store) == 1
    rows.write_tick(store, "s", 1)
    assert ticks(store) == 2


def test_a_file_that_was_removed_while_it_was_kept_is_made_anew(store, rows):
    rows.write_tick(store, "s", 0)
    for path in store.folder.glob("ledger.duckdb*"):
        path.unlink()
    assert ticks(store) == 0


def storage_of(store):
    sql = "SELECT tags['storage_version'] AS v FROM duckdb_databases() WHERE database_name = current_database()"
    return store.query("ledger", sql)["v"][0]


def test_a_file_of_the_first_release_is_written_again_with_every_row(store, rows):
    """Its tables declare keys, and its storage version knows no log that belongs to another state of the file."""
    store.folder.mkdir()
    first = duckdb.connect(str(store.file("ledger")), config={"storage_compatibility_version": "v1.0.0"})
    first.execute("SET TimeZone = 'UTC'")
    step = migrations_of("ledger")[0]
    first.execute(step.sql)
    first.execute(
        "CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, "
        "applied_at TIMESTAMPTZ NOT NULL DEFAULT current_timestamp)"
    )
    first.execute("INSERT INTO schema_migrations VALUES (1, ?, ?, now())", [step.name, step.sha256])
    for number in range(60):
        for name, frame in rows.tick_frames("s", number).items():
            first.register("incoming", frame)
            first.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
    before = {name: first.execute(f"SELECT * FROM {name} ORDER BY ALL").pl() for name in rows.tick_frames("s", 0)}
    first.close()
    assert storage_of(store).startswith(STORAGE_VERSION)
    for name, frame in before.items():
        assert store.table(name).sort(frame.columns).select(frame.columns).equals(frame)
    keys = store.query("ledger", "SELECT table_name FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'")
    assert keys["table_name"].to_list() == ["schema_migrations"]
    rows.write_tick(store, "s", 60)
    assert ticks(store) == 61
    assert not list(store.folder.glob("*.new*"))


def test_free_blocks_are_given_back(store, rows, monkeypatch):
    monkeypatch.setattr(hold, "LOG_BYTES", 1)
    monkeypatch.setattr(files, "HOLES_BYTES", 1 << 20)
    many = [
        rows.sample_row("tick_contexts", context_hash=str(n), payload=random.Random(n).randbytes(2_000).hex())
        for n in range(1_500)
    ]
    with store.write("ledger") as con:
        insert(con, "tick_contexts", TABLES["tick_contexts"].frame(many))
    rows.write_tick(store, "s", 0)
    let_go()
    large = store.file("ledger").stat().st_size
    with store.write("ledger") as con:
        con.execute("DELETE FROM tick_contexts")
    let_go()  # the blocks are free from the checkpoint after the one that freed them
    rows.write_tick(store, "s", 1)
    let_go()
    assert store.file("ledger").stat().st_size < large / 2
    assert ticks(store) == 2
    assert rows.broken_ticks(store) == 0


def test_a_folder_full_of_other_peoples_names_is_no_trouble(tmp_path, rows):
    """Quotes in a path reach DuckDB as part of its SQL."""
    store = Store(Path(tmp_path / 'it\'s a "store"'))
    rows.write_tick(store, "s", 0)
    let_go()
    assert ticks(store) == 1


@pytest.mark.parametrize(
    "error", [OSError(28, "full"), StoreFullError(Path("x"), "full"), duckdb.IOException("IO Error: full")]
)
def test_upkeep_that_fails_loses_nothing_and_the_file_is_handed_over(store, rows, monkeypatch, caplog, error):
    """The thread that looks after files must outlive it, or nobody else would ever get them."""
    rows.write_tick(store, "s", 0)

    def fail(engine, file):
        raise error

    with monkeypatch.context() as failing:
        failing.setattr(hold, "LOG_BYTES", 1)
        failing.setattr(hold, "give_back", fail)
        eventually(closed)
    assert "could not be let go" in caplog.text
    rows.write_tick(store, "s", 1)
    assert ticks(store) == 2
    eventually(closed)


def test_a_rewrite_that_fails_half_way_leaves_the_file_and_tells_why(store, rows, monkeypatch):
    rows.write_tick(store, "s", 0)
    let_go()
    before = store.file("ledger").stat().st_ino

    def fail(path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(files, "STORAGE_VERSION", "v9")  # so that every file is of an older one
        failing.setattr(files, "_flush", fail)
        with pytest.raises(StoreFullError, match="No space left"), store.write("ledger"):
            pytest.fail("it was opened")
    assert store.file("ledger").stat().st_ino == before
    assert not list(store.folder.glob("*.new*"))
    assert ticks(store) == 1
