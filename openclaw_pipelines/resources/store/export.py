"""Tables as files for notebooks and spreadsheets, and the data dictionary for people.

Readers work on files so that nobody has to keep the store open, which would block its writers.
"""

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC as _UTC
from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl

from openclaw_pipelines.contracts.errors import ContractError, StoreError
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY
from openclaw_pipelines.resources.files import replacing
from openclaw_pipelines.resources.store.comparison import plain, time_column
from openclaw_pipelines.resources.store.store import Store, table_named

FORMATS = (".parquet", ".csv")
_CSV_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"


class UnknownFormatError(ContractError):
    """A file name whose ending says no format we write."""

    template = "cannot tell the format of {path}. End its name in " + " or ".join(FORMATS) + "."
    path: Path


class FilterError(ContractError):
    """A filter on something that the table does not have."""

    template = "{table} cannot be filtered by {column}; {hint}."
    table: str
    column: str
    hint: str


class ExportFailedError(StoreError):
    """The file could not be written; one that stood there before is untouched."""

    template = "cannot write {path}: {reason}. Check the folder, its permissions and its free space."
    path: Path
    reason: str


@dataclass(frozen=True)
class Exported:
    """One written file."""

    path: Path
    rows: int


@dataclass(frozen=True)
class TableInfo:
    """One table as a listing shows it."""

    name: str
    database: str
    key: tuple[str, ...]
    description: str


def export_table(
    store: Store,
    table_name: str,
    path: Path,
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    strategy: str | None = None,
    equal: Mapping[str, str] | None = None,
) -> Exported:
    """Write rows of a table, in the order of its key, to Parquet or CSV as the ending of `path` says.

    Args:
        store: where from.
        table_name: table.
        path: file to write; replaced in one step when it exists.
        first_day: first UTC day, as partitions count: the tick at 00:00 belongs to the day before.
        last_day: last UTC day, itself included.
        strategy: only this `strategy_config_id`.
        equal: column names with the text that their value must have, as `{"symbol": "BTC/USDT"}`.

    Parquet keeps decimals and times as they are; CSV writes plain digits, ISO times in UTC and hexadecimal bytes.

    Raises:
        UnknownTableError, UnknownFormatError, FilterError: the request makes no sense; each names what would.
        ExportFailedError: the file cannot be written.
    """
    table, target = table_named(table_name), Path(path)
    if target.suffix.lower() not in FORMATS:
        raise UnknownFormatError(target)
    conditions, params = _conditions(table, first_day, last_day, strategy, equal or {})
    frame = store.query(
        table.database,
        f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {' AND '.join(conditions)} "
        f"ORDER BY {', '.join(table.key)}",
        params,
    )
    _write(frame, target)
    return Exported(target, frame.height)


def tables() -> list[TableInfo]:
    """Every table of the store, by database and name."""
    infos = [TableInfo(table.name, table.database, table.key, _summary(table)) for table in TABLES.values()]
    return sorted(infos, key=lambda info: (info.database, info.name))


def data_dictionary() -> str:
    """Every table and column as Markdown, from the models."""
    parts = ["# Data dictionary", "", "Generated from the models. Times are UTC; money is an exact decimal."]
    for info in tables():
        parts += ["", *_dictionary_entry(TABLES[info.name], info)]
    return "\n".join(parts) + "\n"


def _dictionary_entry(table: Table, info: TableInfo) -> list[str]:
    head = [f"## {info.name}", "", info.description, ""]
    head += [f"Database `{info.database}`, key `{', '.join(info.key)}`."]
    if table.unhashed:
        head[-1] += f" Not hashed: `{', '.join(table.unhashed)}`."
    head += ["", "| column | type | may be empty | meaning |", "|---|---|---|---|"]
    return head + [
        f"| `{column.name}` | {column.sql_type} | {'yes' if column.nullable else 'no'} "
        f"| {column.description.replace('|', chr(92) + '|')} |"
        for column in table.columns
    ]


def _summary(table: Table) -> str:
    return " ".join((inspect.getdoc(table.model) or "").split())


def _conditions(
    table: Table, first_day: date | None, last_day: date | None, strategy: str | None, equal: Mapping[str, str]
) -> tuple[list[str], list[object]]:
    wanted = dict(equal) if strategy is None else {**equal, "strategy_config_id": strategy}
    conditions, params = ["true"], list[object]()
    for column, value in wanted.items():
        if column not in table.names:
            nearest = difflib.get_close_matches(column, table.names, n=1, cutoff=0.0)[0]
            raise FilterError(table.name, column, f"the nearest column is {nearest}")
        conditions.append(f"CAST({column} AS VARCHAR) = ?")
        params.append(value)
    if first_day is not None or last_day is not None:
        day_conditions, day_params = _days(table, first_day, last_day)
        conditions += day_conditions
        params += day_params
    return conditions, params


def _days(table: Table, first_day: date | None, last_day: date | None) -> tuple[list[str], list[object]]:
    """Bars belong to the day they open in, ticks to the day of the bar they close, metrics name their day."""
    if "day" in table.names:
        bounds = [(">=", first_day and first_day.isoformat()), ("<=", last_day and last_day.isoformat())]
        column: str | None = "day"
    elif "ts" in table.names or "as_of" in table.names:
        column = "ts" if "ts" in table.names else "as_of"
        bounds = [(">=", _midnight(first_day)), ("<", _midnight(last_day, DAY))]
    else:
        column = time_column(table)
        bounds = [(">", _midnight(first_day)), ("<=", _midnight(last_day, DAY))]
    if column is None:
        raise FilterError(table.name, "day", "it has no time that belongs to a day, leave the days away")
    chosen = [(sign, bound) for sign, bound in bounds if bound is not None]
    return [f"{column} {sign} ?" for sign, _ in chosen], [bound for _, bound in chosen]


def _midnight(day: date | None, later: timedelta = timedelta(0)) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), _UTC) + later


def _write(frame: pl.DataFrame, target: Path) -> None:
    """Write beside the target and move the whole file there."""
    try:
        with replacing(target) as draft:
            if target.suffix.lower() == ".csv":
                _as_text(frame).write_csv(draft, datetime_format=_CSV_TIME)
            else:
                frame.write_parquet(draft)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise ExportFailedError(target, str(error)) from error


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Decimals as plain digits and bytes as hexadecimal, which is all that CSV can hold."""
    texts = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Decimal):
            values = [None if value is None else plain(value) for value in frame[name].to_list()]
            texts.append(pl.Series(name, values, dtype=pl.String))
        elif dtype == pl.Binary:
            texts.append(frame[name].bin.encode("hex"))
    return frame.with_columns(texts)
