"""From a pandera model to its table: name, database, key, DDL and data dictionary.

The models themselves are in `tables`; the connection that creates tables is in `resources.store.store`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandera.backends.polars.builtin_checks  # noqa: F401  registers the checks that `_holds` calls
import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from openclaw_pipelines.contracts.errors import ContractError, DataError

PolarsType = pl.DataType | type[pl.DataType]
PolarsSchema = dict[str, PolarsType]
_SQL_TYPES: dict[PolarsType, str] = {
    pl.Boolean: "BOOLEAN",
    pl.Int64: "BIGINT",
    pl.Float64: "DOUBLE",
    pl.String: "VARCHAR",
    pl.Date: "DATE",
    pl.Binary: "BLOB",
}


class SchemaError(DataError):
    """Rows break the rules of their table."""

    template = "{rows} row(s) break the rules of {table}: {broken}. First case: {first}. Mend the rows or their source."
    table: str
    rows: int
    broken: str
    first: str


class UnmappedTypeError(ContractError):
    """A model uses a column type that the store does not know."""

    template = "column {column!r} of {table} has type {dtype}, which has no SQL type."
    table: str
    column: str
    dtype: str


@dataclass(frozen=True)
class Column:
    """One column as the store and the data dictionary see it."""

    name: str
    sql_type: str
    nullable: bool
    description: str


@dataclass(frozen=True)
class Table:
    """A table derived from a pandera model.

    database: `market`, `ledger` or `research`.
    key: columns that identify a row.
    unhashed: columns outside `ledger_hash`: ingest times, run ids, code versions.
    since: a column that the key determines. Stored rows that are earlier in it cannot have the key, and are not looked
        at. By default the last time or number in the key.
    """

    name: str
    database: str
    model: type[pa.DataFrameModel]
    key: tuple[str, ...] = field(kw_only=True)
    unhashed: tuple[str, ...] = field(default=("recorded_at", "run_fingerprint"), kw_only=True)
    since: str | None = field(default=None, kw_only=True)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Columns in the order of the model."""
        schema = self.model.to_schema()
        return tuple(
            Column(name, _sql_type(self.name, name, column.dtype.type), bool(column.nullable), column.description or "")
            for name, column in schema.columns.items()
        )

    @cached_property
    def names(self) -> list[str]:
        """Column names in order."""
        return list(self.model.to_schema().columns)

    @cached_property
    def ordered_by(self) -> str | None:
        """Column from which on a key is looked for among the stored rows; None where all of them are."""
        kinds = {column.name: column.sql_type for column in self.columns}
        ordered = [name for name in self.key if kinds[name] in ("TIMESTAMPTZ", "BIGINT")]
        return self.since or (ordered[-1] if ordered else None)

    @property
    def hashed(self) -> list[str]:
        """Business columns, which `ledger_hash` covers."""
        return [name for name in self.names if name not in self.unhashed]

    @cached_property
    def polars_schema(self) -> PolarsSchema:
        """Polars types of the columns, for building frames from rows."""
        return {name: column.dtype.type for name, column in self.model.to_schema().columns.items()}

    def ddl(self) -> str:
        """`CREATE TABLE` statement. No key is declared: DuckDB would write all of it anew at each checkpoint."""
        lines = [
            f'    "{column.name}" {column.sql_type}{"" if column.nullable else " NOT NULL"}' for column in self.columns
        ]
        return f"CREATE TABLE IF NOT EXISTS {self.name} (\n" + ",\n".join(lines) + "\n)"

    def unchecked(self, rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
        """Rows as a frame in column order, for the store, which validates what it writes."""
        return pl.DataFrame(rows, schema=self.polars_schema, orient="row")

    def frame(self, rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
        """Rows as a validated frame in column order."""
        return self.validate(self.unchecked(rows))

    def validate(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` in column order, or a `SchemaError` that names every broken rule."""
        if self._obeys(frame):
            return frame.select(self.names)
        try:
            return self.model.validate(frame, lazy=True).select(self.names)
        except SchemaErrors as error:
            raise _schema_error(self.name, error) from error

    def _obeys(self, frame: pl.DataFrame) -> bool:
        """Whether every rule holds, asked in one query: pandera takes a millisecond or more per rule and column.

        False says only that pandera has to look: it knows which rule, and the rules that are not asked here.
        """
        if dict(frame.schema) != self.polars_schema or self._rules is None:
            return False
        return all(frame.select(self._rules).row(0))

    @cached_property
    def _rules(self) -> list[pl.Expr] | None:
        """Pandera's own expressions of all rules, each true where it holds for a whole frame; None if not all are."""
        schema = self.model.to_schema()
        columns = schema.columns.items()
        if schema.unique or any(column.unique for _, column in columns):
            return None
        checks = [(name, check) for name, column in columns for check in column.checks]
        held = [_holds(name, check) for name, check in [*checks, *(("*", check) for check in schema.checks)]]
        held.append(~pl.any_horizontal(_absent(name, column) for name, column in columns))
        return [one.alias(str(n)) for n, one in enumerate(held)]


class _Expression:
    """In place of a frame: what pandera's check would select from it."""

    def select(self, expression: pl.Expr) -> pl.Expr:
        return expression


def _holds(column: str, check: pa.Check) -> pl.Expr:
    """Whether `check` holds in all rows of a column, or of the frame where it is `*`."""
    name = getattr(check._check_fn, "__name__", "")
    function: Any = pa.Check.get_builtin_check_fn(name) if pa.Check.is_builtin_check(name) else check._check_fn
    row: pl.Expr = function(pa.PolarsData(_Expression(), column), **check._check_kwargs)  # type: ignore[arg-type]
    return (row if check.ignore_na else row.fill_null(value=False)).all()


def _absent(name: str, column: Any) -> pl.Expr:
    """Whether a value is missing that must not; NaN is missing too, as in pandera."""
    if column.nullable:
        return pl.lit(value=False)
    missing = pl.col(name).is_null()
    return (missing | pl.col(name).is_nan() if column.dtype.type == pl.Float64 else missing).any()


def _sql_type(table_name: str, column: str, dtype: PolarsType) -> str:
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision},{dtype.scale})"
    if isinstance(dtype, pl.Datetime):
        return "TIMESTAMPTZ"
    for polars_type, sql_type in _SQL_TYPES.items():
        if dtype == polars_type:
            return sql_type
    raise UnmappedTypeError(table_name, column, str(dtype))


def _schema_error(table_name: str, error: SchemaErrors) -> SchemaError:
    cases = error.failure_cases
    broken = sorted(
        {f"{row['column']}: {row['check']}" if row["column"] else str(row["check"]) for row in cases.to_dicts()}
    )
    first = cases.to_dicts()[0] if cases.height else {}
    where = f"column {first.get('column')}, row {first.get('index')}, value {first.get('failure_case')}"
    rows = cases["index"].drop_nulls().n_unique() if "index" in cases.columns else 0
    return SchemaError(table_name, rows or cases.height, "; ".join(broken), where)
