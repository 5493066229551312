"""What an archive folder holds and what is wrong with it: each file by itself, and files that contradict each other."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import combinations, groupby

import polars as pl

from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.time import INTERVALS
from openclaw_pipelines.domain.market.agreement import differing_bars, first_difference
from openclaw_pipelines.resources.market.archive.errors import ConflictingFilesError
from openclaw_pipelines.resources.market.archive.folder import ArchiveFile, ArchiveFolder, open_bar_note
from openclaw_pipelines.resources.market.archive.naming import Kind
from openclaw_pipelines.resources.market.archive.readers import TIME
from openclaw_pipelines.resources.market.archive.rules import merged, rank
from openclaw_pipelines.resources.market.resample import divides

_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(["file", "symbol", "interval", "kind"], pl.String()),
        "rows": pl.Int64(),
        "first": TIME,
        "last": TIME,
        "problem": pl.String(),
        "note": pl.String(),
    }
)
_INSTANT = timedelta(microseconds=1)
Said = dict[str, list[str]]
"""Sentences by file name."""


def inventory(folder: ArchiveFolder, prefer: Sequence[str]) -> pl.DataFrame:
    """Every file and what it holds: `file symbol interval kind rows first last problem note`.

    problem: what keeps the file from being used, alone or beside the others; empty where it is good.
    note: what is left out of it, and where bars of two intervals say different things, as venues publish them at times.
    """
    problems, notes = Said(), Said()
    rows = [_described(folder, file, problems, notes) for file in folder.files()]
    good = [file for file in folder.files() if file.problem is None and file.path.name not in problems]
    conflicted = set()
    for one, other in _overlapping(folder, good, prefer):
        error = _conflict(folder, one, other)
        if error is not None:
            conflicted.add(_series(one))
            for file in (one, other):
                problems.setdefault(file.path.name, []).append(str(error))
    bars = [file for file in good if file.name and file.name.kind is Kind.CANDLES and _series(file) not in conflicted]
    for _, own in groupby(sorted(bars, key=_series), key=lambda file: file.symbol):
        _across_intervals(folder, list(own), prefer, notes)
    told = [{**row, "problem": _text(problems, row), "note": _text(notes, row)} for row in rows]
    return pl.DataFrame(told, schema=_SCHEMA, orient="row")


def _text(said: Said, row: dict[str, object]) -> str | None:
    return "\n".join(said[str(row["file"])]) if row["file"] in said else None


def _described(folder: ArchiveFolder, file: ArchiveFile, problems: Said, notes: Said) -> dict[str, object]:
    row: dict[str, object] = {
        "file": file.path.name,
        "symbol": file.symbol,
        "interval": file.name.interval if file.name else None,
        "kind": file.name.kind.value if file.name else None,
    }
    if file.problem is not None:
        (problems if file.unusable else notes)[file.path.name] = [str(file.problem)]
        return row
    try:
        content = folder.content(file)
    except OpenclawError as error:
        problems[file.path.name] = [str(error)]
        return row
    if content.still_open is not None:
        notes[file.path.name] = [open_bar_note(file, content.still_open)]
    return {**row, "rows": content.height, "first": content.first, "last": content.last}


def _overlapping(
    folder: ArchiveFolder, good: list[ArchiveFile], prefer: Sequence[str]
) -> Iterator[tuple[ArchiveFile, ArchiveFile]]:
    """Pairs of files of one series that hold the same times, unless one of them is to be trusted."""
    for _, files in groupby(sorted(good, key=_series), key=_series):
        for one, other in combinations(list(files), 2):
            first, second = folder.content(one), folder.content(other)
            meet = first.first <= second.last and second.first <= first.last
            if meet and rank(one.path.name, prefer) == rank(other.path.name, prefer):
                yield one, other


def _conflict(folder: ArchiveFolder, one: ArchiveFile, other: ArchiveFile) -> ConflictingFilesError | None:
    held = folder.content(one), folder.content(other)
    start, end = max(part.first for part in held), min(part.last for part in held) + _INSTANT
    try:
        merged([(file.path.name, folder.window(file, start, end)) for file in (one, other)])
    except ConflictingFilesError as error:
        return error
    return None


def _across_intervals(folder: ArchiveFolder, files: list[ArchiveFile], prefer: Sequence[str], notes: Said) -> None:
    """Compare each interval of a symbol with those that it divides."""
    stored = [name for name in INTERVALS if any(file.name and file.name.interval == name for file in files)]
    for lower, higher in combinations(stored, 2):
        if not divides(lower, higher):
            continue
        upper = [file for file in files if file.name and file.name.interval == higher]
        parts = [file for file in files if file.name and file.name.interval == lower]
        bars = differing_bars(_rows(folder, upper, prefer), _rows(folder, parts, prefer), higher, lower)
        for file in upper if bars.height else ():
            content = folder.content(file)
            own = bars.filter(pl.col("ts").is_between(content.first, content.last))
            if own.height:
                notes.setdefault(file.path.name, []).append(_difference_note(own, lower))


def _difference_note(bars: pl.DataFrame, lower: str) -> str:
    first, last = bars["ts"][0], bars["ts"][-1]
    return (
        f"{bars.height} bar(s), {first:%Y-%m-%dT%H:%MZ} to {last:%Y-%m-%dT%H:%MZ}, are not what their {lower} bars "
        f"make: in the first, {first_difference(bars)}. Compare with another source."
    )


def _rows(folder: ArchiveFolder, files: list[ArchiveFile], prefer: Sequence[str]) -> pl.DataFrame:
    held = [folder.content(file) for file in files]
    start, end = min(one.first for one in held), max(one.last for one in held) + _INSTANT
    return merged([(file.path.name, folder.window(file, start, end)) for file in files], prefer)


def _series(file: ArchiveFile) -> tuple[str, str, str]:
    return str(file.symbol), "" if file.name is None else file.name.kind.value, str(file.name and file.name.interval)
