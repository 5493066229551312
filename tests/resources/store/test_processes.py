"""The store under real processes: many at once, killed ones, full disks, forbidden folders."""

import json
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from openclaw_pipelines.resources.store.comparison import table_hash
from openclaw_pipelines.resources.store.hold import let_go
from openclaw_pipelines.resources.store.locks import StoreLockedError
from openclaw_pipelines.resources.store.migrations import migrations_of
from openclaw_pipelines.resources.store.store import Store


def test_six_writers_and_two_readers_lose_nothing_and_see_whole_ticks(tmp_path, worker, rows):
    reports = worker("crowd", tmp_path / "store", 6, 5, 2)
    assert sorted(report.get("wrote", 0) for report in reports) == [0, 0, 5, 5, 5, 5, 5, 5]
    readers = [report for report in reports if "reads" in report]
    assert [reader["broken"] for reader in readers] == [0, 0]
    assert all(reader["reads"] > 2 for reader in readers)
    store = Store(tmp_path / "store")
    assert store.table("autopilot_ticks").height == 30
    assert store.table("autopilot_positions").height == 60
    assert rows.broken_ticks(store) == 0


def test_the_check_for_whole_ticks_can_fail(store, rows):
    rows.write_tick(store, "s", 1)
    assert rows.broken_ticks(store) == 0
    with store.write("ledger") as con:
        con.execute("DELETE FROM autopilot_positions WHERE symbol = 'A/USDT'")
    assert rows.broken_ticks(store) == 1


@pytest.mark.parametrize("upkeep", [(), ("upkeep",)], ids=["working", "moving the log and writing the file again"])
def test_killed_writers_leave_whole_ticks_and_every_committed_one(tmp_path, worker, rows, upkeep):
    reports = worker("killed", tmp_path / "store", 7, 20250510, *upkeep)
    committed = [report["committed"] for report in reports]
    store = Store(tmp_path / "store")
    stored = store.table("autopilot_ticks").height
    assert rows.broken_ticks(store) == 0
    assert committed == sorted(set(committed))
    # a writer may die after its commit and before its report, once per round at most
    assert len(committed) <= stored <= len(committed) + 7
    assert stored >= 7
    undisturbed = Store(tmp_path / "undisturbed")
    for number in range(stored):
        rows.write_tick(undisturbed, "s", number)
    for table in ("autopilot_ticks", "autopilot_equity", "autopilot_positions"):
        assert table_hash(store, table) == table_hash(undisturbed, table)


def test_the_first_open_by_several_processes_migrates_once(tmp_path, worker):
    reports = worker("open_at_once", tmp_path / "store", 6)
    assert reports == [{"migrations": len(migrations_of("ledger"))}] * 6
    assert not list((tmp_path / "store").glob("*.new*"))


def test_a_lock_held_too_long_is_an_error_that_names_the_holder(tmp_path, worker_command):
    folder = tmp_path / "store"
    store = Store(folder, lock_timeout_seconds=0.3)
    holder = subprocess.Popen(
        [*worker_command, "hold", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        pid = json.loads(holder.stdout.readline())["holding"]
        for attempt in (store.read, store.write):
            started = time.monotonic()
            with pytest.raises(StoreLockedError) as caught, attempt("ledger"):
                pytest.fail("the lock was not respected")
            assert 0.3 <= time.monotonic() - started < 1.5
            assert caught.value.holder == f"process {pid}"
            assert caught.value.file == folder / "ledger.duckdb"
        assert store.query("market", "SELECT 1 AS one")["one"].to_list() == [1]  # another file is not affected
    finally:
        holder.communicate(timeout=30)
    assert store.query("ledger", "SELECT 1 AS one")["one"].to_list() == [1]


def test_a_program_that_ignores_the_lock_is_waited_for_and_then_named(tmp_path):
    store = Store(tmp_path, lock_timeout_seconds=0.3)
    file = store.file("ledger")
    store.query("ledger", "SELECT 1")
    let_go()
    code = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    notebook = subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert notebook.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match="opened it without the store's lock"):
            store.query("ledger", "SELECT 1")
    finally:
        notebook.communicate(timeout=30)
    assert store.query("ledger", "SELECT 1 AS one")["one"].to_list() == [1]


def test_a_killed_holder_leaves_no_lock(tmp_path, worker_command):
    folder = tmp_path / "store"
    holder = subprocess.Popen([*worker_command, "hold", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    holder.kill()
    holder.communicate(timeout=30)
    assert Store(folder, lock_timeout_seconds=1).query("ledger", "SELECT 1 AS one")["one"].to_list() == [1]


def test_a_full_disk_is_named_and_leaves_the_store_and_exports_as_they_were(tmp_path, worker):
    folder = tmp_path / "store"
    before, store_error, after, written, export_error = worker("full", folder, 1024)
    assert store_error["error"] == "StoreFullError"
    assert str(folder / "ledger.duckdb") in store_error["message"]
    assert (before, after, written) == ({"rows": 0}, {"rows": 0}, {"wrote": 300})
    assert Store(folder).table("tick_contexts").height == 300
    assert export_error["error"] == "ExportFailedError"
    assert (tmp_path / "export.csv").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.csv", "store"]


@pytest.fixture
def open_folder():
    """A folder that other users can reach, unlike `tmp_path`."""
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    yield base
    for path in [base, *base.rglob("*")]:
        path.chmod(stat.S_IRWXU)
    shutil.rmtree(base)


def test_a_read_only_folder_is_named_and_can_still_be_read(open_folder, worker, rows):
    folder = open_folder / "store"
    rows.write_tick(Store(folder), "s", 1)
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    write, seen, read, create = worker("forbidden", folder)
    assert write["error"] == "StoreReadOnlyError", write
    assert str(folder) in write["message"]
    assert (seen, read) == ({"broken": 0}, {"passed": True})
    assert create["error"] == "StoreReadOnlyError"
    folder.chmod(0o755)
    assert {path.name for path in folder.iterdir()} == {
        "ledger.duckdb", "ledger.duckdb.wal", "ledger.duckdb.lock", "ledger.duckdb.gate"
    }  # fmt: skip


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(Exception, match=r"store cannot be used: File exists") as caught:
        Store(tmp_path / "store").query("ledger", "SELECT 1")
    assert type(caught.value).__name__ == "StoreUnusableError"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
