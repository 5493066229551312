"""Dagster's SQLite storages with connections that stay open, and events written several at a time.

Dagster's own make an engine and a connection for each block of statements, look up the schema again and commit every
event alone: two thirds of a tick's processor time, and 4 MB written for each run. Files and schema stay Dagster's, so
that a plain instance opens the same folder. Named in `config/dagster.yaml`.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as db
from dagster import EventLogEntry, EventRecordsFilter
from dagster._config import StringSource
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, EVENT_TYPE_TO_PIPELINE_RUN_STATUS
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.exc import DatabaseError, OperationalError
from watchdog.events import FileSystemEvent, PatternMatchingEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

BUSY_SECONDS = 30.0
"""How long a statement waits for another process that writes."""
EVENTS_WAIT_SECONDS = 0.1
"""How long an event may wait for others to be written with; one that ends a run does not wait."""
_LOG_PAGES = 4_000
"""Pages of SQLite's log, 16 MB, from which on it is moved into the file."""
_ENDS = {type_ for type_, status in EVENT_TYPE_TO_PIPELINE_RUN_STATUS.items() if status in FINISHED_STATUSES}
_ABOUT_ASSETS = ASSET_EVENTS | ASSET_CHECK_EVENTS
_LEFT_BY_PARENT: list[db.Engine] = []
"""Engines of the process that this one was forked from. They may be used by that one only, closing them as well."""


class Kept:
    """Connections of one SQLite file, kept open between transactions.

    Args:
        url: the file, as SQLAlchemy names it.
    """

    def __init__(self, url: str) -> None:
        self._url = db.make_url(url)
        self._engine: db.Engine | None = None
        self._pid = os.getpid()
        self._making = threading.Lock()
        self._of_thread = threading.local()

    @contextmanager
    def connection(self) -> Iterator[db.Connection]:
        """A connection in a transaction; within `together` that block's."""
        own = getattr(self._of_thread, "connection", None)
        if own is not None:
            yield own
            return
        with self._opened().connect() as con, con.begin():
            yield con

    @contextmanager
    def together(self) -> Iterator[None]:
        """Everything that this thread does in the block is one transaction."""
        with self.connection() as con:
            self._of_thread.connection = con
            try:
                yield
            finally:
                self._of_thread.connection = None

    @property
    def within(self) -> bool:
        """Whether this thread is in a block of `together`."""
        return getattr(self._of_thread, "connection", None) is not None

    def close(self) -> None:
        """Close the connections that nobody uses."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()

    def _opened(self) -> db.Engine:
        with self._making:
            if self._engine is not None and self._pid != os.getpid():
                _LEFT_BY_PARENT.append(self._engine)
                self._engine = None
            if self._engine is None:
                self._engine, self._pid = _engine(self._url), os.getpid()
            return self._engine


def _engine(url: db.URL) -> db.Engine:
    """Two connections stay, as many more as are asked for are made for their use."""
    engine = db.create_engine(url, pool_size=2, max_overflow=-1, connect_args={"timeout": BUSY_SECONDS})

    @db.event.listens_for(engine, "connect")
    def opened(connection: Any, record: Any) -> None:
        record.info["file"] = _identity(url.database)
        # a commit waits for no disk: after a loss of power the last ones may be gone, the file is whole
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")

    @db.event.listens_for(engine, "checkout")
    def still_there(connection: Any, record: Any, proxy: Any) -> None:  # noqa: ARG001 - as SQLAlchemy calls it
        if record.info["file"] != _identity(url.database):
            raise db.exc.DisconnectionError  # the folder was removed or restored: SQLAlchemy opens it anew

    return engine


def _identity(file: str | None) -> tuple[int, int] | None:
    try:
        found = os.stat(str(file))  # noqa: PTH116 - asked at every checkout
    except OSError:
        return None
    return found.st_dev, found.st_ino


class LookedUp:
    """What the schema was seen to have stays true; what it lacked is looked for again."""

    def __init__(self) -> None:
        self._seen: set[object] = set()

    def has(self, what: object, look: Callable[[], bool]) -> bool:
        """Whether the schema has it."""
        if what not in self._seen and look():
            self._seen.add(what)
        return what in self._seen


class _InHome:
    """Configured by Dagster's folder alone; where in it the files lie is Dagster's own order."""

    @classmethod
    def config_type(cls) -> Any:
        """Dagster's folder."""
        return {"home": StringSource}


class _OnKept(_InHome):
    """A storage over one file whose connections are kept."""

    _kept: Kept

    def connect(self) -> AbstractContextManager[db.Connection]:
        """A connection in a transaction."""
        return self._kept.connection()

    def dispose(self) -> None:
        """Close."""
        self._kept.close()


class RunStorage(_OnKept, SqliteRunStorage):  # type: ignore[misc]
    """Runs, in `history/runs.db` of Dagster's folder."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._kept, self._looked_up = Kept(conn_string), LookedUp()
        super().__init__(conn_string, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "RunStorage":
        """As named in dagster.yaml."""
        return cls.from_local(str(Path(config_value["home"]) / "history"), inst_data)

    def has_run_stats_index_cols(self) -> bool:
        """Whether runs have start and end."""
        return self._looked_up.has("run stats", super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        """Whether runs name their backfill."""
        return self._looked_up.has("backfill id", super().has_backfill_id_column)

    def has_bulk_actions_selector_cols(self) -> bool:
        """Whether backfills name their selector."""
        return self._looked_up.has("selector", super().has_bulk_actions_selector_cols)

    def has_bulk_action_job_name_column(self) -> bool:
        """Whether backfills name their job."""
        return self._looked_up.has("job name", super().has_bulk_action_job_name_column)


class ScheduleStorage(_OnKept, SqliteScheduleStorage):  # type: ignore[misc]
    """Evaluations of schedules and sensors, in `schedules/schedules.db` of Dagster's folder."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._kept = Kept(conn_string)
        super().__init__(conn_string, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "ScheduleStorage":
        """As named in dagster.yaml. What Dagster makes of the folder is opened anew with kept connections."""
        made = SqliteScheduleStorage.from_local(str(Path(config_value["home"]) / "schedules"))
        return cls(made._conn_string, inst_data)


class EventLogStorage(ConsolidatedSqliteEventLogStorage):
    """Events of all runs, in `event_log.db` of Dagster's folder.

    An event waits a tenth of a second at most for the ones that follow it: until one ends a run, or until this process
    reads or writes something else. A process that is killed loses that tenth, as it does what it was about to tell.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.file = Path(base_dir).absolute() / "event_log.db"
        self._kept = Kept(f"sqlite:///{self.file}")
        self._looked_up = LookedUp()
        self._observer: BaseObserver | None = None
        self._begin()
        super().__init__(base_dir, inst_data)

    def _begin(self) -> None:
        """Nothing waits, and nobody writes."""
        self._pid = os.getpid()
        self._waiting: list[EventLogEntry] = []
        self._timer: threading.Timer | None = None
        self._adding, self._writing = threading.Lock(), threading.Lock()

    def _begin_after_fork(self) -> None:
        """What waited in the parent is the parent's to write, and its threads are not here."""
        if self._pid != os.getpid():
            self._begin()

    @contextmanager
    def _connect(self) -> Iterator[db.Connection]:
        self.flush()
        with self._kept.connection() as con:
            yield con

    def index_connection(self) -> AbstractContextManager[db.Connection]:
        """A connection to what goes across runs: assets, checks, partitions, events by type.

        Asked at every output of a step, so that events about no asset are not written for it.
        """
        if not self._kept.within:
            self._begin_after_fork()
            with self._writing:  # who writes now may be writing what is asked for
                about_assets = any(event.dagster_event_type in _ABOUT_ASSETS for event in list(self._waiting))
            if about_assets:
                self.flush()
        return self._kept.connection()

    def _get_event_records(self, event_records_filter: EventRecordsFilter, *given: Any, **named: Any) -> Any:
        if event_records_filter.event_type not in _ABOUT_ASSETS:
            self.flush()
        return super()._get_event_records(event_records_filter, *given, **named)

    def store_event(self, event: EventLogEntry) -> None:
        """Keep an event, written at once or with the ones that follow it."""
        self._begin_after_fork()
        with self._adding:
            self._waiting.append(event)
            if _waits(event) and self._timer is None:
                self._timer = threading.Timer(EVENTS_WAIT_SECONDS, self._flush_later)
                self._timer.start()
        if not _waits(event):
            self.flush()

    def flush(self) -> None:
        """Write the events that wait, in their order, after those that another thread is writing.

        Raises:
            DatabaseError: the file is locked or damaged, or the disk is full. They wait on.
        """
        if self._kept.within:  # it is writing a batch: what comes meanwhile is for the next one
            return
        self._begin_after_fork()
        with self._writing:
            with self._adding:
                events, self._waiting = self._waiting, []
                timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if not events:
                return
            try:
                self._write(events)
            except DatabaseError as error:
                if _is_of_the_file(error):
                    with self._adding:
                        self._waiting[:0] = events
                raise

    def _flush_later(self) -> None:
        try:
            self.flush()
        except DatabaseError as error:
            if not _is_of_the_file(error):
                raise
            # they wait on: whoever stores or reads next writes them, or is told

    def _write(self, events: Sequence[EventLogEntry]) -> None:
        """Write events in one transaction; where one cannot be written, each in its own, so that the others are."""
        try:
            with self._kept.together():
                for event in events:
                    super().store_event(event)
        except Exception as error:
            if len(events) == 1 or _is_of_the_file(error):
                raise
            wrong = error
            for event in events:
                try:
                    self._write([event])
                except Exception as own:  # noqa: BLE001 - raised below
                    wrong = own
            raise wrong from None

    def has_table(self, table_name: str) -> bool:
        """Whether the schema has a table."""
        return self._looked_up.has(table_name, lambda: super(EventLogStorage, self).has_table(table_name))

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the table of assets has a column."""
        look = super().has_asset_key_col
        return self._looked_up.has(("asset_keys", column_name), lambda: look(column_name))

    def _has_asset_key_col_on_connection(self, conn: db.Connection, column_name: str) -> bool:
        look = super()._has_asset_key_col_on_connection
        return self._looked_up.has(("asset_keys", column_name), lambda: look(conn, column_name))

    def watch(self, run_id: str, cursor: str | None, callback: Any) -> None:
        """Call back for new events of a run, written by any process: they are in the log beside the file at first."""
        if self._observer is None:
            self._observer = Observer()
            self._observer.start()
            self._observer.schedule(_Changed(self), self._base_dir, recursive=False)
        self._watchers[run_id][callback] = cursor

    def dispose(self) -> None:
        """Write what waits, and close."""
        self.flush()
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(timeout=15)
        self._kept.close()


def _is_of_the_file(error: Exception) -> bool:
    """Whether a file cannot be written, by whatever event: locked, full, damaged, read-only."""
    return isinstance(error, OperationalError) or type(error) is DatabaseError


def _waits(event: EventLogEntry) -> bool:
    """Whether an event may be written with later ones: it belongs to a run and does not end it."""
    return bool(event.run_id) and event.dagster_event_type not in _ENDS


class _Changed(PatternMatchingEventHandler):
    """Tells a storage that its file or the log beside it was written."""

    def __init__(self, storage: EventLogStorage) -> None:
        self._storage = storage
        super().__init__(patterns=[str(storage.file), f"{storage.file}-wal"])

    def on_modified(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - which of the two is all the same
        self._storage.on_modified()  # type: ignore[no-untyped-call]


class LaunchedComputeLogs(_InHome, LocalComputeLogManager):
    """Keeps what a launched run prints; one that runs where somebody sees its output, or prints nothing, is spared it.

    Capturing starts two processes for each step. A run that the daemon or the web server launched is a child of
    `dagster api grpc`; the ticker's, and those of a terminal, are not.
    """

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "LaunchedComputeLogs":
        """As named in dagster.yaml."""
        return cls(str(Path(config_value["home"]) / "storage"), inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """What is printed in the block is kept for the pages, if nobody else sees it."""
        if sys.argv[1:2] != ["api"]:
            yield CapturedLogContext(log_key)
            return
        with super().capture_logs(log_key) as context:
            yield context
