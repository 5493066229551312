"""Dagster's storages with kept connections: the same files as Dagster's own, nothing lost, nothing unseen for long."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, EngineEventData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from sqlalchemy.exc import OperationalError

from openclaw_pipelines.processes import storages
from openclaw_pipelines.processes.storages import EventLogStorage, LaunchedComputeLogs

PROJECT = Path(__file__).parents[2]
PLAIN = """
event_log_storage:
  module: dagster._core.storage.event_log
  class: ConsolidatedSqliteEventLogStorage
  config: {base_dir: {env: DAGSTER_HOME}}
telemetry: {enabled: false}
"""
"""How Dagster itself keeps the same files."""
RUN = "11111111-1111-1111-1111-111111111111"


@dg.asset
def prices() -> int:
    return 1


@dg.asset(deps=[prices])
def signals() -> int:
    return 2


@dg.asset_check(asset=prices)
def positive() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, metadata={"rows": 7})


def materialized(instance: dg.DagsterInstance) -> str:
    """Id of a run that made everything."""
    assets = [prices, signals, positive]
    return dg.materialize(assets, instance=instance, run_config={"loggers": {"console": {"config": {}}}}).run_id


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def kept_instance(home: Path) -> dg.DagsterInstance:
    shutil.copy(PROJECT / "config" / "dagster.yaml", home / "dagster.yaml")
    return dg.DagsterInstance.from_config(str(home))


def plain_instance(home: Path) -> dg.DagsterInstance:
    (home / "dagster.yaml").write_text(PLAIN)
    return dg.DagsterInstance.from_config(str(home))


def told(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Types of a run's events in their order."""
    return [str(one.dagster_event_type) for one in instance.all_logs(run_id) if one.is_dagster_event]


@pytest.fixture
def storage(home: Path) -> Iterator[EventLogStorage]:
    own = EventLogStorage(str(home))
    yield own
    own.dispose()


def entry(text: str, kind: dg.DagsterEventType = dg.DagsterEventType.ENGINE_EVENT) -> EventLogEntry:
    data: dict[dg.DagsterEventType, Any] = {
        dg.DagsterEventType.ENGINE_EVENT: EngineEventData(),
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED: AssetMaterializationPlannedData(dg.AssetKey("prices")),
    }
    event = DagsterEvent(kind.value, "a_job", message=text, event_specific_data=data.get(kind))
    return EventLogEntry(None, 10, text, RUN, time.time(), dagster_event=event)


def seen_by_others(home: Path) -> list[str]:
    """Messages of the run's events, read by Dagster's own storage."""
    return [one.user_message for one in ConsolidatedSqliteEventLogStorage(str(home)).get_logs_for_run(RUN)]


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


class TestTheSameFiles:
    def test_each_reads_and_goes_on_from_what_the_other_wrote(self, home: Path) -> None:
        with plain_instance(home) as plain:
            by_plain = materialized(plain)
            files = sorted(path.name for path in home.rglob("*.db"))
            with kept_instance(home) as kept:
                by_kept = materialized(kept)
                again = materialized(plain)  # while the other keeps its connections
                for instance in (plain, kept):
                    assert {run.run_id for run in instance.get_runs()} == {by_plain, by_kept, again}
                    assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
                assert told(kept, by_plain) == told(plain, by_plain)
                assert sorted(told(plain, by_kept)) == sorted(told(plain, by_plain))
                latest = [i.get_latest_materialization_event(dg.AssetKey("signals")) for i in (plain, kept)]
                assert [one.run_id for one in latest if one] == [again, again]
        assert sorted(path.name for path in home.rglob("*.db")) == files

    def test_order_of_a_runs_events_is_the_order_in_which_they_happened(self, home: Path) -> None:
        with kept_instance(home) as kept:
            events = told(kept, materialized(kept))
        assert events[:4] == ["DagsterEventType.ASSET_MATERIALIZATION_PLANNED"] * 2 + [
            "DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED",
            "DagsterEventType.RUN_START",
        ]
        assert events[-1] == "DagsterEventType.RUN_SUCCESS"

    def test_checks_and_metadata_are_found(self, home: Path) -> None:
        with kept_instance(home) as kept:
            materialized(kept)
            key = dg.AssetCheckKey(dg.AssetKey("prices"), "positive")
            found = kept.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
            assert found.status.value == "SUCCEEDED"
            assert found.event.dagster_event.event_specific_data.metadata["rows"].value == 7


class TestFewWrites:
    def test_connections_stay_and_events_are_written_together(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened, connect = [], sqlite3.dbapi2.connect
        batches: list[int] = []
        write = EventLogStorage._write

        def counted(*args: Any, **kwargs: Any) -> Any:
            opened.append(args)
            return connect(*args, **kwargs)

        def batched(self: EventLogStorage, events: Any) -> None:
            batches.append(len(events))
            write(self, events)

        monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
        monkeypatch.setattr(EventLogStorage, "_write", batched)
        with plain_instance(home) as plain:
            materialized(plain)
            opened.clear()
            events = len(told(plain, materialized(plain)))
            by_plain = len(opened)
        with kept_instance(home) as kept:
            materialized(kept)
            opened.clear()
            batches.clear()
            materialized(kept)
        assert by_plain > 50
        assert len(opened) <= 6
        assert sum(batches) >= events
        assert len(batches) <= events / 2


class TestNothingIsLost:
    def test_an_event_is_seen_by_others_though_none_follows_it(self, home: Path, storage: EventLogStorage) -> None:
        storage.store_event(entry("alone"))
        assert within(5, lambda: seen_by_others(home) == ["alone"])

    def test_the_end_of_a_run_is_written_at_once_with_what_came_before(
        self, home: Path, storage: EventLogStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storages, "EVENTS_WAIT_SECONDS", 60.0)
        storage.store_event(entry("first"))
        storage.store_event(entry("second"))
        assert seen_by_others(home) == []
        storage.store_event(entry("end", dg.DagsterEventType.RUN_SUCCESS))
        assert seen_by_others(home) == ["first", "second", "end"]
        storage._timer = None

    def test_who_reads_in_the_same_process_sees_what_waits(
        self, storage: EventLogStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storages, "EVENTS_WAIT_SECONDS", 60.0)
        storage.store_event(entry("first"))
        assert [one.user_message for one in storage.get_logs_for_run(RUN)] == ["first"]

    def test_what_comes_while_others_are_written_keeps_its_place_and_who_reads_waits(
        self, home: Path, storage: EventLogStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The timer's thread writes a batch; meanwhile this one stores more and asks what there is."""
        monkeypatch.setattr(storages, "EVENTS_WAIT_SECONDS", 0.05)
        prepare, begun = EventLogStorage.prepare_insert_event, threading.Event()

        def slow(self: EventLogStorage, event: EventLogEntry) -> Any:
            begun.set()
            time.sleep(0.3)
            return prepare(self, event)

        monkeypatch.setattr(EventLogStorage, "prepare_insert_event", slow)
        planned = entry("planned", dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        for event in (entry("first"), planned, entry("third")):
            storage.store_event(event)
        assert begun.wait(10)
        storage.store_event(entry("fourth"))
        (record,) = storage.get_asset_records([dg.AssetKey("prices")])
        assert record.asset_entry.last_run_id == RUN
        storage.flush()
        assert seen_by_others(home) == ["first", "planned", "third", "fourth"]

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_who_asks_across_runs_sees_it_too(
        self, home: Path, storage: EventLogStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storages, "EVENTS_WAIT_SECONDS", 60.0)
        storage.store_event(entry("first"))
        assert not storage.has_dynamic_partition("days", "2025-05-10")  # no event tells of it: none is written for it
        assert seen_by_others(home) == []
        found = storage.get_event_records(dg.EventRecordsFilter(dg.DagsterEventType.ENGINE_EVENT))
        assert [one.event_log_entry.user_message for one in found] == ["first"]
        storage.store_event(entry("planned", dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED))
        (record,) = storage.get_asset_records([dg.AssetKey("prices")])
        assert record.asset_entry.last_run_id == RUN

    def test_while_the_file_is_locked_events_wait_and_the_error_is_told(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storages, "BUSY_SECONDS", 0.1)
        storage = EventLogStorage(str(home))
        other = sqlite3.connect(home / "event_log.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        storage.store_event(entry("first"))
        time.sleep(0.5)  # its turn came, and failed
        with pytest.raises(OperationalError, match="locked"):
            storage.store_event(entry("end", dg.DagsterEventType.RUN_SUCCESS))
        other.execute("ROLLBACK")
        other.close()
        storage.dispose()
        assert seen_by_others(home) == ["first", "end"]

    def test_one_that_cannot_be_written_takes_no_other_with_it(
        self, home: Path, storage: EventLogStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare = EventLogStorage.prepare_insert_event

        def refusing(self: EventLogStorage, event: EventLogEntry) -> Any:
            if event.user_message == "wrong":
                raise ValueError("no such event")
            return prepare(self, event)

        monkeypatch.setattr(EventLogStorage, "prepare_insert_event", refusing)
        storage.store_event(entry("first"))
        storage.store_event(entry("wrong"))
        with pytest.raises(ValueError, match="no such event"):
            storage.store_event(entry("end", dg.DagsterEventType.RUN_SUCCESS))
        assert seen_by_others(home) == ["first", "end"]

    def in_a_process(self, home: Path, program: str) -> int:
        """Exit code of a program that has a `storage` of its own."""
        begin = (
            "import os, signal, sys; sys.path[:0] = sys.argv[1:3]\n"
            "from test_storages import EventLogStorage, dg, entry\n"
            "storage = EventLogStorage(sys.argv[3])\n"
        )
        folders = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(home)]
        return subprocess.run([sys.executable, "-c", begin + program, *folders], check=False).returncode

    def test_a_killed_process_leaves_what_it_wrote(self, home: Path) -> None:
        died = self.in_a_process(
            home,
            "storage.store_event(entry('first')); storage.store_event(entry('end', dg.DagsterEventType.RUN_SUCCESS))\n"
            "storage.store_event(entry('not yet')); os.kill(os.getpid(), signal.SIGKILL)",
        )
        assert died == -9
        assert seen_by_others(home) == ["first", "end"]

    def test_a_process_that_ends_writes_what_waits(self, home: Path) -> None:
        assert self.in_a_process(home, "storage.store_event(entry('last'))") == 0
        assert seen_by_others(home) == ["last"]


class TestOtherProcesses:
    def test_a_fork_opens_its_own_connections_and_writes_its_own_events(
        self, home: Path, storage: EventLogStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storages, "EVENTS_WAIT_SECONDS", 60.0)
        storage.store_event(entry("parent", dg.DagsterEventType.RUN_SUCCESS))
        storage.store_event(entry("waits in the parent"))
        child = os.fork()
        if child == 0:
            storage.store_event(entry("child", dg.DagsterEventType.RUN_SUCCESS))
            os._exit(0 if len(storages._LEFT_BY_PARENT) == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        storage.store_event(entry("parent again", dg.DagsterEventType.RUN_SUCCESS))
        assert seen_by_others(home) == ["parent", "child", "waits in the parent", "parent again"]

    def test_a_folder_that_was_restored_is_opened_anew(self, home: Path, storage: EventLogStorage) -> None:
        storage.store_event(entry("first", dg.DagsterEventType.RUN_SUCCESS))
        with sqlite3.connect(home / "event_log.db") as source, sqlite3.connect(home / "copy.db") as target:
            source.backup(target)
        for name in ("event_log.db", "event_log.db-wal", "event_log.db-shm"):
            (home / name).unlink(missing_ok=True)
        (home / "copy.db").rename(home / "event_log.db")
        storage.store_event(entry("second", dg.DagsterEventType.RUN_SUCCESS))
        assert seen_by_others(home) == ["first", "second"]

    def test_who_watches_a_run_is_called_for_events_of_another_process(
        self, home: Path, storage: EventLogStorage
    ) -> None:
        storage.store_event(entry("before", dg.DagsterEventType.RUN_START))
        heard: list[str] = []
        storage.watch(RUN, None, lambda event, cursor: heard.append(event.user_message))
        writer = EventLogStorage(str(home))
        writer.store_event(entry("first"))
        assert within(10, lambda: "first" in heard)
        writer.dispose()
        storage.end_watch(RUN, None)  # type: ignore[no-untyped-call]


class TestComputeLogs:
    def captured(self, home: Path) -> tuple[str, bool]:
        logs, key = LaunchedComputeLogs(str(home / "storage")), ["run", "compute_logs", "step"]
        with logs.capture_logs(key):
            os.write(1, b"what a step prints\n")
            time.sleep(0.2)
        text = logs.get_log_data_for_type(key, ComputeIOType.STDOUT, offset=0, max_bytes=None)[0]
        return (text or b"").decode(), logs.is_capture_complete(key)

    def test_a_launched_run_is_captured(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["dagster", "api", "grpc"])
        with capfd.disabled():
            assert self.captured(home) == ("what a step prints\n", True)

    def test_one_whose_output_is_seen_is_not(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert self.captured(home)[0] == ""
        assert capfd.readouterr().out == "what a step prints\n"
