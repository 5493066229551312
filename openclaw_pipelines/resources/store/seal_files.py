"""Files of seals: one per strategy, one JSON line per day, only ever appended to. They lie outside the store."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.resources.store.locks import os_failure


@dataclass(frozen=True)
class SealFile:
    """The file of one strategy. folder: of all seals, the setting `seals_dir`."""

    folder: Path
    account: str
    strategy: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / self.account / f"{self.strategy}.jsonl"

    def text(self) -> str:
        """What stands in it, whatever it is; empty where there is no file."""
        try:
            return self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        except OSError as error:
            raise os_failure(self.path, error) from error

    def append(self, text: str) -> None:
        """Add to it; on the disk when this returns."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise os_failure(self.path, error) from error


def lines_of(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Rows of `seals` as lines, each with its end."""
    return [canonical_json(row) + "\n" for row in rows]
