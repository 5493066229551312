"""Tables of pages: heads, cells of text, and the sentence in place of no rows. The template only lays them out."""

from dataclasses import dataclass

from openclaw_pipelines.report.page.text import Cell


@dataclass(frozen=True)
class Column:
    """Head of a column; numbers stand right, prose gets room."""

    title: str
    numeric: bool = False
    prose: bool = False


@dataclass(frozen=True)
class Table:
    """A table; `empty` is the sentence that stands in its place where it has no rows."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str


def columns(*titles: str) -> tuple[Column, ...]:
    """Heads of columns; a title starts with # for numbers and with * for prose."""
    return tuple(Column(title.lstrip("#*"), title.startswith("#"), title.startswith("*")) for title in titles)
