"""The table `deployments`: what is deployed, and each transition that led there.

The configuration layer that is written from it is in `resources.deployed_layer`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from openclaw_pipelines.contracts.errors import StoreError
from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.contracts.rows.lifecycle import DeploymentRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.lifecycle.log import Position, Step, append, position_of, positions
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.tracing import trace_deployments

Rows = Sequence[Mapping[str, object]]
_LOG = logging.getLogger("openclaw.lifecycle")


class DeploymentBook:
    """The log of one account."""

    def __init__(self, world: World) -> None:
        self.world, self.store, self.clock, self.layer = world, world.store, world.clock, world.layer
        self.account = self.layer.account

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One process at a time decides and writes; the file is right before and after, the account's chain after.

        Raises:
            LayerEditedError: it was edited.
        """
        with self.layer.changing():
            yield
        try:  # outside the lock: who waits for it may hold the ledger
            trace_deployments(self.world)
        except StoreError as error:  # what was moved is moved; the next look at the account appends the row
            _LOG.warning("the account's chain gets this deployment at the next look: %s", error)

    def rows(self) -> list[DeploymentRow]:
        """All rows in order, the chain verified.

        Raises:
            BrokenDeploymentLogError: a row was changed or removed.
        """
        return self.layer.rows()

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
        self, steps: Sequence[Step], *, trigger: Trigger, actor: str, at: datetime, undoes: int | None = None,
        beside: Callable[[Connection, Rows], object] = lambda _con, _rows: None,
    ) -> list[dict[str, object]]:  # fmt: skip
        """Append one transition and write the layer; call inside `changing`. Returns its rows.

        beside: writes what belongs to the rows in their transaction.
        """
        if not steps:
            return []
        made = append(
            self.rows(), steps, account=self.account, trigger=trigger, actor=actor, at=at, undoes=undoes
        )  # fmt: skip
        now = self.clock.now()
        frame = TABLES["deployments"].frame([{**row, "recorded_at": now} for row in made])
        with self.store.write("research") as con:
            insert(con, "deployments", frame, validated=True)
            beside(con, made)
        self.layer.write()
        return made
