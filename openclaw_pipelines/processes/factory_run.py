"""`openclaw factory run`: one whole factory cycle, through the same assets as from the web UI.

The layers run one after another as jobs on the persistent instance. The same contract is the same cycle: what is stored
of it stays, so that an interrupted cycle goes on where it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from openclaw_pipelines.contracts.errors import ConfigError, OpenclawError
from openclaw_pipelines.contracts.factory import CycleState
from openclaw_pipelines.contracts.rows import RowT, rows_as
from openclaw_pipelines.contracts.rows.factory import GateResultRow, ParityReportRow, ShortlistRow, SweepShardRow
from openclaw_pipelines.contracts.rows.lifecycle import DeploymentRow
from openclaw_pipelines.processes.layers import Layer, LayerFailedError, run_layer

if TYPE_CHECKING:
    import dagster as dg

    from openclaw_pipelines.resources.world import World
    from openclaw_pipelines.services.factory.cycle import Cycle


SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run configuration: a blocking check is a verdict that is printed in full, not an error for the terminal."""


class NoRecipeError(ConfigError):
    """A configuration without a factory section."""

    template = "the configuration has no factory recipe. Add one under `factory:`; see docs/factory.md."


class CycleBlockedError(OpenclawError):
    """A cycle that selected nothing because a gate, a comparison or its sweep did not hold."""

    template = "cycle {cycle_id} is blocked by {gate}: {reason}. Nothing was deployed."
    cycle_id: str
    gate: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What a cycle left. Lists hold plain rows, as stored.

    rate: parameter rows x bars x symbols per second of the shards that ran, the best of them. gpu: which part one had.
    """

    cycle_id: str
    recipe: str
    state: str
    blocked_by: str | None
    reason: str | None
    train: tuple[datetime, datetime]
    holdout: tuple[datetime, datetime]
    rows: int
    skipped: int
    trials_ever: int
    rate: float | None
    sweep_hash: str | None
    shortlist: list[ShortlistRow]
    parity: list[ParityReportRow]
    gpu: str
    gates: list[GateResultRow]
    deployed: list[DeploymentRow]

    @property
    def blocked(self) -> bool:
        """Whether the cycle selected nothing because something did not hold."""
        return self.state == CycleState.BLOCKED

    def require_selection(self) -> None:
        """Raise CycleBlockedError where the cycle is blocked."""
        if self.blocked:
            raise CycleBlockedError(self.cycle_id, self.blocked_by or "?", (self.reason or "?").rstrip("."))


def run_cycle(
    world: "World",
    instance: "dg.DagsterInstance",
    recipe: str | None = None,
    cycle_id: str | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Outcome:
    """Run a recipe's cycle, or go on with a stored one, to its end.

    Raises:
        NoRecipeError, UnknownRecipeError, UnknownCycleError, CycleContractError: there is no such cycle to run.
        LayerFailedError: a run failed for another reason than a blocking check.
    """
    from openclaw_pipelines import jobs
    from openclaw_pipelines.definitions import build_defs
    from openclaw_pipelines.domain.factory.search import SHARD_KEYS

    defs = build_defs(resource_overrides={"world": world})
    cycle = opened(world, recipe, cycle_id, lambda layer: _run(defs, instance, layer, progress))
    own = begin(cycle, instance)
    progress(f"cycle {own}")
    sweep = Layer(f"sweep, {cycle.search.positions:,} rows proposed", jobs.FACTORY_SWEEP,
                  f"{own}|{SHARD_KEYS[0]}", f"{own}|{SHARD_KEYS[-1]}")  # fmt: skip
    _run(defs, instance, sweep, progress)
    try:
        _run(defs, instance, Layer("shortlist, replays, parity, gates, deployment", jobs.FACTORY, own, own), progress)
    except LayerFailedError:
        if not outcome(world, own).blocked:
            raise
    return outcome(world, own)


def opened(world: "World", recipe: str | None, cycle_id: str | None, run: Callable[[Layer], object]) -> "Cycle":
    """The wanted cycle with its market days in the store."""
    from openclaw_pipelines import jobs
    from openclaw_pipelines.services.factory.cycle import Cycle, cycle_row, open_cycle

    recipes = list(world.settings().config.factory)
    if cycle_id is None and recipe is None and not recipes:
        raise NoRecipeError
    name = cycle_row(world, cycle_id)["recipe"] if cycle_id is not None else recipe or recipes[0]
    run(Layer("instruments", jobs.INSTRUMENTS, None, None))
    cycle = Cycle(world, name)
    missing = cycle.data.missing_days(cycle.warmup_bars)
    if missing:
        days = f"{missing[0]} to {missing[-1]}"
        run(Layer(f"candles, funding and their checks, {days}", jobs.MARKET_HISTORY, missing[0], missing[-1]))
    return Cycle(world, name) if cycle_id is None else open_cycle(world, cycle_id)


def begin(cycle: "Cycle", instance: "dg.DagsterInstance") -> str:
    """Store the cycle and make it a partition."""
    from openclaw_pipelines.assets.factory import CYCLES
    from openclaw_pipelines.assets.partitions import add_partitions

    own = cycle.begin()
    add_partitions(instance, CYCLES, [own])
    return own


def outcome(world: "World", cycle_id: str) -> Outcome:
    """What a cycle has left so far."""
    from openclaw_pipelines.resources.store import research_tables
    from openclaw_pipelines.services.factory.cycle import cycle_row
    from openclaw_pipelines.services.factory.gpu import gpu_sentence
    from openclaw_pipelines.services.factory.sweeping import sweep_hash

    def rows(kind: type[RowT], table: str, *without: str) -> list[RowT]:
        return rows_as(kind, research_tables.of_cycle(world.store, table, cycle_id, without=without))

    cycle, shards = cycle_row(world, cycle_id), rows(SweepShardRow, "sweep_shards")
    listed = rows(ShortlistRow, "shortlist", "params")
    trials = research_tables.trials(world.store, cycle_id)
    order = [row["params_hash"] for row in listed]
    moved = research_tables.of_cycle(world.store, "deployments", cycle_id)
    return Outcome(
        cycle_id, cycle["recipe"], cycle["state"], cycle["blocked_by"], cycle["reason"],
        (cycle["train_start"], cycle["train_end"]), (cycle["holdout_start"], cycle["holdout_end"]),
        trials.run, trials.skipped, research_tables.trials_ever(world.store, cycle_id),
        max((row["rate"] for row in shards if row["rate"] is not None), default=None),
        sweep_hash(cycle_id, shards) if shards else None,
        listed,
        rows(ParityReportRow, "parity_reports"),
        gpu_sentence(world, cycle_id),
        sorted(rows(GateResultRow, "gate_results"), key=lambda row: (order.index(row["params_hash"]), row["position"])),
        rows_as(DeploymentRow, moved.select("strategy_config_id", "to_state", "ramp_bps", "params_hash", "at")),
    )  # fmt: skip


def cycles(world: "World") -> list[dict[str, str]]:
    """Every stored cycle, the newest last."""
    return world.store.query(
        "research",
        "SELECT c.cycle_id, c.recipe, c.strategy_config_id AS strategy, c.state, c.blocked_by, c.reason, "
        "c.train_start, c.holdout_end, (SELECT coalesce(sum(trials), 0)::BIGINT FROM trial_counts t "
        "WHERE t.cycle_id = c.cycle_id) AS trials FROM factory_cycles c ORDER BY c.recorded_at, c.cycle_id",
    ).to_dicts()


def _run(
    defs: "dg.Definitions", instance: "dg.DagsterInstance", layer: Layer, progress: Callable[[str], object]
) -> None:
    progress(layer.says)
    run_layer(defs, instance, layer, SILENT)
