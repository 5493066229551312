"""Files that are replaced whole."""

import os
from pathlib import Path


def replace_file(path: Path, text: str) -> Path:
    """Replace the file in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    return path
