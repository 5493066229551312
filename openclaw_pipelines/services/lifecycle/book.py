"""The table `deployments` and the configuration layer that is written from it.

The table is what counts; the file is its shadow. Whoever changes the table holds the lock, and writes the file before
letting go; a file that a killed process left behind is written again by the next one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.lifecycle import DeploymentRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.lifecycle.document import document
from openclaw_pipelines.domain.lifecycle.log import Position, Step, append, position_of, positions, verify_log
from openclaw_pipelines.resources.files import replace_file
from openclaw_pipelines.resources.store.locks import file_lock
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.tracing import trace_deployments
from openclaw_pipelines.settings.deployments import DEPLOYMENTS_FILE

LOCK_SECONDS = 600.0
"""How long an operation waits for another one; a review replays days."""


class DeploymentBook:
    """The log of one account."""

    def __init__(self, world: World) -> None:
        self.world, self.store, self.clock = world, world.store, world.clock
        settings = world.settings()
        self.account, self.data_dir = settings.config.account, settings.data_dir

    @property
    def layer(self) -> Path:
        """The file of deployed strategies."""
        return self.data_dir / DEPLOYMENTS_FILE

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One process at a time decides and writes; the file is right before and after, the account's chain after."""
        locks = self.data_dir / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with file_lock(locks / f"{self.account}.deployments", exclusive=True, timeout_seconds=LOCK_SECONDS):
            self.write_layer()
            yield
            self.write_layer()
            trace_deployments(self.world)

    def rows(self) -> list[DeploymentRow]:
        """All rows in order, the chain verified.

        Raises:
            BrokenDeploymentLogError: a row was changed or removed.
        """
        sql = "SELECT * FROM deployments WHERE account_id = ? ORDER BY sequence"
        rows = rows_as(DeploymentRow, self.store.query("research", sql, [self.account]))
        verify_log(rows)
        return rows

    def positions(self) -> dict[str, Position]:
        """Where every strategy stands."""
        return positions(self.rows())

    def position(self, strategy: str) -> Position:
        """Where one stands. Raises UnknownDeploymentError."""
        return position_of(self.rows(), strategy)

    def incumbent(self, slot: str) -> Position | None:
        """The promoted strategy of a slot, which a new cycle's candidates are compared with."""
        found = self.positions().values()
        return next((own for own in found if own.origin.slot == slot and own.stage is Stage.PROMOTED), None)

    def commit(
        self, steps: Sequence[Step], *, trigger: Trigger, actor: str, at: datetime, undoes: int | None = None
    ) -> list[dict[str, object]]:
        """Append one transition; call inside `changing`. Returns its rows."""
        if not steps:
            return []
        made = append(
            self.rows(), steps, account=self.account, trigger=trigger, actor=actor, at=at, undoes=undoes
        )  # fmt: skip
        now = self.clock.now()
        frame = TABLES["deployments"].frame([{**row, "recorded_at": now} for row in made])
        with self.store.write("research") as con:
            insert(con, "deployments", frame, validated=True)
        return made

    def write_layer(self) -> bool:
        """Make the file what the table says; True where it was not."""
        text = document(self.positions())
        present = self.layer.read_text(encoding="utf-8") if self.layer.exists() else ""
        if text == present:
            return False
        if not text:
            self.layer.unlink()
            return True
        replace_file(self.layer, text)
        return True

    def layer_is_current(self) -> bool:
        """Whether the file says what the table says."""
        present = self.layer.read_text(encoding="utf-8") if self.layer.exists() else ""
        return present == document(self.positions())
