"""Files that are replaced whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft beside the file, which takes its place when the block ends; what fails leaves the file as it was.

    The step is one, so that a reader never sees half of it. Folders that do not exist yet are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def replace_file(path: Path, text: str) -> Path:
    """Replace a file of text."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path
