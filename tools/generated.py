"""Files that a tool writes and that are committed: which are out of date, and writing or naming those."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

Files = Mapping[Path, Callable[[], str]]
"""File -> what writes it."""


def stale(files: Files) -> dict[Path, str]:
    """Files that differ from what would be written now, with that text."""
    texts = {path: write() for path, write in files.items()}
    return {path: text for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text}


def write_or_check(files: Files, tool: str) -> int:
    """Write what is out of date and name it; with `--check` only name it, and 1 is the exit code if there is any."""
    check = "--check" in sys.argv[1:]
    found = stale(files)
    for path, text in found.items():
        if not check:
            path.write_text(text, encoding="utf-8")
        verdict = f"is out of date: run python tools/{tool}" if check else "written"
        print(f"{path.relative_to(PROJECT).as_posix()} {verdict}")
    return 1 if check and found else 0
