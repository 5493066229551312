"""The configuration layer of deployed strategies, held to the log that it is written from.

The table `deployments` is what counts; the file is its shadow. Whoever changes the table holds the lock and writes the
file before letting go. A file that says what the log said earlier was left behind, by a killed process or from a copy:
it is written again. A file that says what the log never said was edited, and nothing runs under it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.lifecycle import DeploymentRow
from openclaw_pipelines.domain.lifecycle.document import document, first_difference
from openclaw_pipelines.domain.lifecycle.log import positions, verify_log
from openclaw_pipelines.resources.files import replace_file
from openclaw_pipelines.resources.store.files import Stamp, stamp_of
from openclaw_pipelines.resources.store.locks import StoreLockedError, file_lock, os_failure
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.settings import Settings
from openclaw_pipelines.settings.deployments import DEPLOYMENTS_FILE

LOCK_SECONDS = 600.0
"""How long an operation waits for another one; a review replays days."""
_SETTLED_NS = 100_000_000
"""Age from which a file's times tell it from what it was: they move in steps of some milliseconds."""


class LayerEditedError(ConfigError):
    """The file of deployed strategies says what the log of deployments never said."""

    template = (
        "{file} was edited: {differing}. Nothing runs under it. `openclaw deployments --restore` writes it again from "
        "the log; sizes move by `openclaw promote` and `demote`, limits and controls by the overlay."
    )
    file: Path
    differing: str


@dataclass(frozen=True)
class DeployedLayer:
    """The file and the log of one account."""

    store: Store
    account: str
    data_dir: Path

    @property
    def file(self) -> Path:
        """Where the layer lies."""
        return self.data_dir / DEPLOYMENTS_FILE

    def rows(self) -> list[DeploymentRow]:
        """All rows of the log in order, the chain verified.

        Raises:
            BrokenDeploymentLogError: a row was changed or removed.
        """
        sql = "SELECT * FROM deployments WHERE account_id = ? ORDER BY sequence"
        rows = rows_as(DeploymentRow, self.store.query("research", sql, [self.account]))
        verify_log(rows)
        return rows

    def text(self) -> str:
        """What the file says."""
        return self.file.read_text(encoding="utf-8") if self.file.exists() else ""

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One process at a time decides and writes. Raises LayerEditedError where the file was edited."""
        with self._locked():
            self.require_unedited(self.text())
            self.write()
            yield
            self.write()

    def restore(self) -> bool:
        """Write what the log says over whatever the file says; True where it said something else."""
        with self._locked():
            return self.write()

    def write(self) -> bool:
        """Make the file what the log says; True where it was not. The lock must be held."""
        said = document(positions(self.rows()))
        if said == self.text():
            return False
        try:
            if said:
                replace_file(self.file, said)
            else:
                self.file.unlink()
        except OSError as error:
            raise os_failure(self.file, error) from error
        return True

    def require_unedited(self, text: str) -> bool:
        """Whether a text is what the log says now; False where it said so earlier, or says it in other words.

        Raises:
            LayerEditedError: it never did.
        """
        rows = self.rows()
        said = document(positions(rows))
        if text == said:
            return True
        if any(_same_values(text, own) for own in (said, *_earlier(rows))):
            return False
        raise LayerEditedError(self.file, _differing(text, said))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        locks = self.data_dir / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with file_lock(locks / f"{self.account}.deployments", exclusive=True, timeout_seconds=LOCK_SECONDS):
            yield


class HeldSettings:
    """The configuration, refused where its layer of deployed strategies is not what the log says.

    Asked at every tick: the log is read again only where the store's file has other times or another size than before.
    """

    def __init__(self, read: Callable[[], Settings], store: Store) -> None:
        self.read, self._store = read, store
        self._said: dict[str, tuple[Stamp, str]] = {}

    def __call__(self) -> Settings:
        """Settings whose deployed strategies are those of the log.

        Raises:
            LayerEditedError: the file was edited. BrokenDeploymentLogError: the log was.
        """
        settings = self.read()
        layer = DeployedLayer(self._store, settings.config.account, settings.data_dir)
        while settings.deployed != self._what_is_said(layer) and not layer.require_unedited(settings.deployed):
            layer.restore()  # left behind, or being written: the one who writes it holds the lock
            settings = self.read()
        return settings

    def _what_is_said(self, layer: DeployedLayer) -> str:
        stamp = stamp_of(self._store.file("research"))
        known = self._said.get(layer.account)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            said = document(positions(layer.rows())) if stamp else ""
        except StoreLockedError:
            if known is None:
                raise
            return known[1]  # who writes there now writes the file too, and is seen at the next look
        if not stamp or time.time_ns() - max(stamp[::3]) > _SETTLED_NS:
            self._said[layer.account] = stamp, said
        return said


def _same_values(text: str, said: str) -> bool:
    """Whether two layers configure the same: comments and the order of keys may be another release's."""
    try:
        return bool(yaml.safe_load(text) == yaml.safe_load(said))
    except yaml.YAMLError:
        return False


def _differing(text: str, said: str) -> str:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return "it is no YAML"
    return first_difference(found, yaml.safe_load(said))


def _earlier(rows: Sequence[DeploymentRow]) -> Iterator[str]:
    """What the log said before each of its transitions, the newest first."""
    begins = sorted({row["transition"] for row in rows}, reverse=True)
    return (document(positions(rows[: first - 1])) for first in begins)
