import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.store.export import (
    ExportFailedError,
    FilterError,
    UnknownFormatError,
    data_dictionary,
    export_table,
    tables,
)
from openclaw_pipelines.resources.store.store import UnknownTableError, insert

AT = datetime(2025, 5, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def put(store, name, *rows):
    with store.write(TABLES[name].database) as con:
        insert(con, name, TABLES[name].frame(list(rows)))


@pytest.mark.parametrize("name", ["autopilot_fills", "kernel_states", "candles", "autopilot_outcomes"])
def test_parquet_gives_back_the_same_frame(store, rows, tmp_path, name):
    put(store, name, rows.sample_row(name))
    done = export_table(store, name, tmp_path / "new folder" / "out.parquet")
    assert (done.rows, done.path) == (1, tmp_path / "new folder" / "out.parquet")
    assert pl.read_parquet(done.path).equals(store.table(name))
    assert pl.read_parquet(done.path).schema == store.table(name).schema


def test_csv_holds_plain_digits_iso_times_and_hexadecimal_bytes(store, rows, tmp_path):
    money = {"cash": Decimal("0.000000000000000001"), "equity": Decimal("12500.50"), "funding": Decimal(-3)}
    put(store, "autopilot_equity", rows.sample_row("autopilot_equity", tick_at=AT, account_id='a,"b"', **money))
    put(store, "kernel_states", rows.sample_row("kernel_states", state=b"\x00\xff"))
    with export_table(store, "autopilot_equity", tmp_path / "e.csv").path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert [row[name] for name in ("cash", "equity", "funding")] == ["0.000000000000000001", "12500.5", "-3"]
    assert (row["tick_at"], row["account_id"]) == ("2025-05-10T00:00:00.000000Z", 'a,"b"')
    assert {name: Decimal(row[name]) for name in money} == money
    with export_table(store, "kernel_states", tmp_path / "k.CSV").path.open(newline="") as file:
        assert next(csv.DictReader(file))["state"] == "00ff"


def test_an_empty_table_exports_its_columns(store, tmp_path):
    assert export_table(store, "candles", tmp_path / "c.csv").rows == 0
    assert (tmp_path / "c.csv").read_text() == ",".join(TABLES["candles"].names) + "\n"


@pytest.mark.parametrize(
    ("first", "last", "ticks"),
    [
        pytest.param(None, None, [0, 1, 24, 25, 48, 49], id="all"),
        pytest.param(date(2025, 5, 10), date(2025, 5, 10), [1, 24], id="the tick at 00:00 closes the day before"),
        pytest.param(date(2025, 5, 11), None, [25, 48, 49], id="from a day on"),
        pytest.param(None, date(2025, 5, 10), [0, 1, 24], id="up to a day"),
    ],
)
def test_days_of_ticks_are_those_of_partitions(store, rows, tmp_path, first, last, ticks):
    hours = [0, 1, 24, 25, 48, 49]
    put(store, "autopilot_ticks", *(rows.sample_row("autopilot_ticks", tick_at=AT + h * HOUR) for h in hours))
    done = export_table(store, "autopilot_ticks", tmp_path / "t.parquet", first_day=first, last_day=last)
    assert [(at - AT) // HOUR for at in pl.read_parquet(done.path)["tick_at"]] == ticks


def test_days_of_bars_are_those_they_open_in_and_metrics_name_theirs(store, rows, tmp_path):
    put(store, "candles", *(rows.sample_row("candles", ts=AT + h * HOUR) for h in (-1, 0, 23, 24)))
    days = ("2025-05-09", "2025-05-10", "2025-05-11")
    put(store, "autopilot_metrics", *(rows.sample_row("autopilot_metrics", metric_key=day, day=day) for day in days))
    day = {"first_day": date(2025, 5, 10), "last_day": date(2025, 5, 10)}
    bars = pl.read_parquet(export_table(store, "candles", tmp_path / "c.parquet", **day).path)
    assert [(at - AT) // HOUR for at in bars["ts"]] == [0, 23]
    metrics = pl.read_parquet(export_table(store, "autopilot_metrics", tmp_path / "m.parquet", **day).path)
    assert metrics["day"].to_list() == ["2025-05-10"]


def test_filters_by_strategy_and_by_value(store, rows, tmp_path):
    for strategy in ("one", "two"):
        rows.write_tick(store, strategy, 1)
    done = export_table(
        store, "autopilot_positions", tmp_path / "p.parquet", strategy="two", equal={"symbol": "B/USDT"}
    )
    assert pl.read_parquet(done.path).select("strategy_config_id", "symbol").rows() == [("two", "B/USDT")]
    injected = export_table(store, "autopilot_positions", tmp_path / "q.parquet", strategy="' OR 1=1 --")
    assert injected.rows == 0


@pytest.mark.parametrize(
    ("table", "name", "filters", "error", "says"),
    [
        pytest.param("fills", "x.csv", {}, UnknownTableError, "Nearest: autopilot_fills", id="unknown table"),
        pytest.param("candles", "x.xlsx", {}, UnknownFormatError, ".parquet or .csv", id="unknown ending"),
        pytest.param("candles", "x", {}, UnknownFormatError, ".parquet or .csv", id="no ending"),
        pytest.param("candles", "x.csv", {"equal": {"symbl": "a"}}, FilterError, "symbol", id="unknown column"),
        pytest.param("candles", "x.csv", {"strategy": "s"}, FilterError, "strategy_config_id", id="no strategy"),
        pytest.param("instruments", "x.csv", {"first_day": date(2025, 5, 10)}, FilterError, "no time", id="no day"),
    ],
)
def test_requests_that_make_no_sense_are_refused(store, tmp_path, table, name, filters, error, says):
    with pytest.raises(error, match=says):
        export_table(store, table, tmp_path / "out" / name, **filters)
    assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_written_is_named_and_the_old_one_stays(store, tmp_path):
    (tmp_path / "blocked").write_text("a file, not a folder")
    with pytest.raises(ExportFailedError, match="blocked"):
        export_table(store, "candles", tmp_path / "blocked" / "c.csv")
    assert (tmp_path / "blocked").read_text() == "a file, not a folder"
    (tmp_path / "c.csv").mkdir()
    with pytest.raises(ExportFailedError):
        export_table(store, "candles", tmp_path / "c.csv")
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_the_listing_and_the_dictionary_cover_every_table_and_column():
    assert {info.name for info in tables()} == set(TABLES)
    text = data_dictionary()
    for table in TABLES.values():
        section = text.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        described = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
        assert described == table.names
    assert "| `fee` | DECIMAL(38,18) | no | fee, in quote currency |" in text
    assert "| `win` | BOOLEAN | yes |" in text
