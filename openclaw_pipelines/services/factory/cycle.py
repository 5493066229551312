"""A factory cycle opened: its contract as of now, its row in `factory_cycles`, and its bars.

What each step does with it is in `sweeping`, `listing`, `replaying`, `comparing` and `judging`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

import numpy as np

from openclaw_pipelines.contracts.config.factory import Gates, Recipe
from openclaw_pipelines.contracts.errors import ConfigError, DataError
from openclaw_pipelines.contracts.factory import CycleState
from openclaw_pipelines.contracts.rows import first_as
from openclaw_pipelines.contracts.rows.factory import FactoryCycleRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY
from openclaw_pipelines.domain.factory.contract import CycleContract, CycleContractError, differing
from openclaw_pipelines.domain.factory.log import Piece
from openclaw_pipelines.domain.factory.search import Proposal, Search, Tried
from openclaw_pipelines.domain.factory.shortlist import Floors
from openclaw_pipelines.domain.factory.space import Dimension, Range, Space, space_of
from openclaw_pipelines.domain.governance.alerts import blocked_cycle_alert
from openclaw_pipelines.domain.selection.gate_limits import GateLimits
from openclaw_pipelines.domain.selection.windows import Split, Window, gap_days, rows_of, train_and_holdout
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import Costs
from openclaw_pipelines.kernel.strategy.family import Value
from openclaw_pipelines.kernel.strategy.params import ParameterConflictError, params_hash, params_record, warmup_bars
from openclaw_pipelines.resources.store.research_tables import cycles, of_cycle
from openclaw_pipelines.resources.store.store import insert_new
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.factory.market_data import (
    MarketData,
    MarketDaysMissingError,
    Run,
    finer_interval,
    same_span,
)
from openclaw_pipelines.services.factory.recording import log_cycle, logged_pieces
from openclaw_pipelines.services.governance.notifications import notify
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.settings import Settings, StrategySettings
from openclaw_pipelines.settings.errors import nearest


class UnknownRecipeError(ConfigError):
    """A recipe that the configuration does not have."""

    template = "unknown factory recipe {recipe!r}. Nearest: {nearest!r}. Known: {known}."
    recipe: str
    nearest: str
    known: str


class UnknownCycleError(ConfigError):
    """A cycle that was never begun."""

    template = "no factory cycle {cycle_id!r} is stored. Nearest: {nearest!r}. Begin one with `openclaw factory run`."
    cycle_id: str
    nearest: str


@dataclass(frozen=True)
class Incumbent:
    """The deployed parameters that candidates are measured against."""

    family: str
    values: Mapping[str, Value]
    params_hash: str


class FinerMissingError(DataError):
    """Finer candles that do not cover the bars."""

    template = "{cycle_id}: the stored {interval} candles do not cover the bars. Materialize `candles` of these days."
    cycle_id: str
    interval: str


class Cycle:
    """One recipe under the configuration, code and market data of now.

    stored_id: identifier of the stored cycle that it was opened for, whose contract may have been another.
    """

    def __init__(self, world: World, name: str, stored_id: str | None = None) -> None:
        self.world, self.name, self.stored_id = world, name, stored_id
        self.store, self.clock = world.store, world.clock
        self.settings: Settings = world.settings()
        self.recipe: Recipe = recipe_of(self.settings, name)
        self.strategy: StrategySettings = self.settings.strategy(self.recipe.strategy)
        self.interval: str = self.strategy.own.interval
        self.interval_seconds = int(self.strategy.interval.total_seconds())
        self.data = MarketData(world, self.strategy, self.whole, self.recipe.profile)
        self._runs: dict[tuple[Window, Costs], Run] = {}
        self._batches: dict[int, list[Proposal]] = {}

    @cached_property
    def whole(self) -> Window:
        """All days of the recipe."""
        return Window(_midnight(self.recipe.first_day), _midnight(self.recipe.last_day) + DAY)

    @cached_property
    def incumbent(self) -> Incumbent:
        """Parameters of the promoted champion of the strategy's slot; the strategy's own where there is none."""
        champion = DeploymentBook(self.world).incumbent(self.strategy.name)
        family, values = self.strategy.own.family, dict(self.strategy.params)
        if champion is not None and champion.origin.interval == self.interval:
            family, values = champion.origin.family, json.loads(champion.origin.params)
        return Incumbent(family, values, params_hash(params_record(family, values, self.interval_seconds)))

    @cached_property
    def search(self) -> Search:
        """What is searched and how; a parameter that is not searched has the incumbent's value or its default."""
        recipe, own = self.recipe, self.incumbent
        spaces = [
            space_of(family, given, own.values if family == own.family else {})
            for family, given in sorted(recipe.spaces.items())
        ]
        return Search(
            tuple(spaces), recipe.method, recipe.rows, recipe.batches, recipe.seed, self.interval_seconds
        )  # fmt: skip

    @cached_property
    def warmup_bars(self) -> int:
        """The most that any row of the search, or the incumbent, needs before it may act."""
        own = params_record(self.incumbent.family, self.incumbent.values, self.interval_seconds)
        return max(warmup_bars(own), *(longest_warmup(space, self.interval_seconds) for space in self.search.spaces))

    @cached_property
    def split(self) -> Split:
        """Days that are searched and days that judge."""
        hold = timedelta(hours=self.recipe.longest_hold_hours)
        gap = gap_days(hold, self.warmup_bars, self.interval)
        return train_and_holdout(self.whole, holdout_days=self.recipe.holdout_days, gap=gap)

    @cached_property
    def bars(self) -> Bars:
        """Bars from the warm-up to the end of the holdout.

        Raises:
            MarketDaysMissingError: a day was not asked for.
        """
        missing = self.data.missing_days(self.warmup_bars)
        if missing:
            days = self.data.days(self.warmup_bars)
            raise MarketDaysMissingError(self.name, days[0], days[-1], missing[0])
        return self.data.bars(self.warmup_bars)

    def run(self, window: Window, costs: Costs) -> Run:
        """Bars of a window with their warm-up, the same for every row under one cost model."""
        if (window, costs) not in self._runs:
            self._runs[window, costs] = self.data.run(self.bars, window, self.warmup_bars, costs)
        return self._runs[window, costs]

    @property
    def train(self) -> Run:
        """The run over the days that are searched."""
        return self.run(self.split.train, self.data.terms.costs)

    @cached_property
    def finer(self) -> Bars | None:
        """The finest stored candles of the holdout's bars, on the same span; None where none are finer.

        Raises:
            FinerMissingError: they do not cover the bars.
        """
        interval = finer_interval(self.settings, self.interval)
        if interval is None:
            return None
        bars = self.data.finer_bars(self.warmup_bars, interval)
        coarse = self.run(self.split.holdout, self.data.terms.costs).bars
        ends = coarse.times[0], coarse.times[-1] + coarse.interval_seconds
        first, stop = np.searchsorted(bars.times, ends).tolist()
        fine = rows_of(bars, first, stop)
        if not same_span(coarse, fine):
            raise FinerMissingError(self.cycle_id, interval)
        return fine

    def batch(self, number: int, tried: Callable[[], list[Tried]]) -> list[Proposal]:
        """What a batch of the search proposes after what was tried; every shard of the batch needs the same."""
        if number not in self._batches:
            self._batches[number] = self.search.propose_batch(number, tried())
        return self._batches[number]

    @cached_property
    def floors(self) -> Floors:
        """Floors of the shortlist."""
        recipe = self.recipe
        return Floors(
            recipe.efficient_floor, recipe.growth_floor_bps / 10_000, recipe.conservative_floor_bps / 10_000,
            recipe.least_trades, recipe.per_channel, recipe.longest_hold_hours * 3_600,
        )  # fmt: skip

    @cached_property
    def contract(self) -> CycleContract:
        """Everything that decides the cycle's rows."""
        config = self.settings.config
        return CycleContract(
            self.name, config.account, self.strategy.name, self.data.source, self.split, self.search.space_hash,
            self.incumbent.params_hash, self.data.contract(self.bars, self.whole, 0, self.data.terms.costs),
            {**vars(self.floors), "parity_rows": self.recipe.parity_rows}, config.gates.model_dump(),
        )  # fmt: skip

    @property
    def cycle_id(self) -> str:
        """Identifier made from the contract that the cycle was begun under."""
        return self.stored_id or self.contract.cycle_id

    @property
    def row(self) -> FactoryCycleRow:
        """The row of `factory_cycles` as it is stored when the cycle is begun."""
        now, contract = self.clock.now(), self.contract
        return {
            "cycle_id": self.cycle_id, "recorded_at": now, "recipe": self.name, "account_id": contract.account_id,
            "strategy_config_id": contract.strategy_config_id, "contract": contract.json,
            "contract_hash": contract.hash, "code_version": contract.run.code_version,
            "bars_hash": contract.run.bars_hash, "interval": self.interval, "train_start": self.split.train.start,
            "train_end": self.split.train.end, "holdout_start": self.split.holdout.start,
            "holdout_end": self.split.holdout.end, "state": CycleState.PLANNED.value, "blocked_by": None,
            "reason": None, "updated_at": now,
        }  # fmt: skip

    def begin(self) -> str:
        """Store the cycle unless it is stored; returns its identifier."""
        row = self.row
        with self.store.write("research") as con:
            if insert_new(con, "factory_cycles", TABLES["factory_cycles"].unchecked([row])):
                log_cycle(con, self.cycle_id, "state", row["recorded_at"])
            table = "factory_cycles"
            if Piece(self.cycle_id, table, "contract") not in logged_pieces(con, self.cycle_id, table):
                log_cycle(con, self.cycle_id, "contract", row["recorded_at"])
        return self.cycle_id

    def note(self, state: CycleState, blocked_by: str | None = None, reason: str | None = None) -> None:
        """Write how far the cycle came."""
        set_state(self.world, self.cycle_id, state, blocked_by, reason)


def open_cycle(world: World, cycle_id: str) -> Cycle:
    """A stored cycle under the same contract as when it was begun.

    Raises:
        UnknownCycleError: it is not stored.
        CycleContractError: code, bars or configuration are others now.
    """
    cycle, changed = reopen_cycle(world, cycle_id)
    if changed:
        raise CycleContractError(cycle_id, ", ".join(changed))
    return cycle


def reopen_cycle(world: World, cycle_id: str) -> tuple[Cycle, tuple[str, ...]]:
    """A stored cycle's recipe as it is now, and the fields of the contract that are others than when it was begun."""
    row = cycle_row(world, cycle_id)
    cycle = Cycle(world, row["recipe"], cycle_id)
    return cycle, differing(row["contract"], cycle.contract.json)


def cycle_row(world: World, cycle_id: str) -> FactoryCycleRow:
    """The row of `factory_cycles`. Raises UnknownCycleError."""
    row = first_as(FactoryCycleRow, of_cycle(world.store, "factory_cycles", cycle_id))
    if row is None:
        known = cycles(world.store)["cycle_id"].to_list()
        raise UnknownCycleError(cycle_id, nearest(cycle_id, known) if known else "none")
    return row


def set_state(
    world: World, cycle_id: str, state: CycleState, blocked_by: str | None = None, reason: str | None = None
) -> None:
    """Write how far a cycle came; only a blocked one has `blocked_by`, and raises an alert."""
    now = world.clock.now()
    with world.store.write("research") as con:
        con.execute(
            "UPDATE factory_cycles SET state = ?, blocked_by = ?, reason = ?, updated_at = ? WHERE cycle_id = ?",
            [state.value, blocked_by, reason, now, cycle_id],
        )
        log_cycle(con, cycle_id, "state", now)
    if state is CycleState.BLOCKED:
        notify(world, [blocked_cycle_alert(cycle_id, blocked_by or "no gate", reason or "no reason")])


def recipe_of(settings: Settings, name: str) -> Recipe:
    """A recipe. Raises UnknownRecipeError."""
    recipes = settings.config.factory
    if name not in recipes:
        raise UnknownRecipeError(name, nearest(name, recipes) if recipes else "none", ", ".join(recipes) or "none")
    return recipes[name]


def gate_limits(gates: Gates, seed: int, candidates: int) -> GateLimits:
    """Requirements of the gates; the error rates are shared out among the candidates that are judged together."""
    shared = max(candidates, 1)
    values = gates.model_dump()
    values["confidence"] = 1.0 - (1.0 - gates.confidence) / shared
    values["random_quantile"] = 1.0 - (1.0 - gates.random_quantile) / shared
    return GateLimits(**values, seed=seed)


def longest_warmup(space: Space, interval_seconds: int) -> int:
    """The most bars that any row of a space needs: every dimension at its greatest.

    Where the greatest contradict each other, the lesser of the two parameters goes to its least: it cannot need more
    than the greater one.
    """
    values = {**space.fixed, **{dim.name: _bound(dim, highest=True) for dim in space.dimensions}}
    lowest = {dim.name: _bound(dim, highest=False) for dim in space.dimensions}
    while True:
        try:
            return warmup_bars(params_record(space.family, values, interval_seconds))
        except ParameterConflictError as error:
            if values[error.lesser] == lowest.get(error.lesser, values[error.lesser]):
                raise
            values[error.lesser] = lowest[error.lesser]


def _bound(dim: Dimension, *, highest: bool) -> Value:
    if isinstance(dim, Range):
        bound = dim.high if highest else dim.low
        return int(bound) if dim.kind is int else float(bound)
    return max(dim.values) if highest else min(dim.values)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
