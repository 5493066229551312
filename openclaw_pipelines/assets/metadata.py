"""What a materialization shows: schemas, counts, time ranges, tables and plots."""

from datetime import datetime

import dagster as dg
import polars as pl

from openclaw_pipelines.contracts.tables import TABLES

SHOWN_ROWS = 20


def column_schema(table: str) -> dg.TableSchema:
    """Columns of a table for Dagster's column view."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.sql_type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in TABLES[table].columns
        ]
    )


def spec_metadata(table: str) -> dict[str, object]:
    """Metadata of an asset that fills `table`."""
    own = TABLES[table]
    return {
        "dagster/column_schema": column_schema(table),
        "dagster/table_name": f"{own.database}.{own.name}",
        "dagster/storage_kind": "duckdb",
    }


def markdown_table(frame: pl.DataFrame, rows: int = SHOWN_ROWS) -> dg.MarkdownMetadataValue:
    """The first rows as a Markdown table, with the number of those left out."""
    shown = frame.head(rows)
    head = ["| " + " | ".join(frame.columns) + " |", "|" + "---|" * frame.width]
    body = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in shown.iter_rows()]
    rest = [f"\n{frame.height - rows:,} more row(s)."] if frame.height > rows else []
    return dg.MetadataValue.md("\n".join([*head, *body, *rest]) if frame.height else "no rows")


def time_range(first: datetime | None, last: datetime | None) -> dict[str, object]:
    """First and last time of the rows, where there are any."""
    if first is None or last is None:
        return {}
    return {"first": dg.MetadataValue.timestamp(first), "last": dg.MetadataValue.timestamp(last)}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
