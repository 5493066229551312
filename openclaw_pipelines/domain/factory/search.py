"""Which parameter rows a sweep tries: grid, Sobol points, or an adaptive search in fixed batches.

A search is a list of positions cut into `SHARDS` shards. What stands at a position depends on the space, the seed and,
for a batch of an adaptive search, on the results of the batches before it: never on who ran which shard or when. So
shards, resuming and the order of processes change nothing.

- Sobol: I. M. Sobol (1967); scrambled as Owen (1998), by `scipy.stats.qmc`.
- Adaptive: tree-structured Parzen estimator, Bergstra et al. (2011), by Optuna.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.config.factory import SearchMethod
from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.domain.factory.space import Choices, Dimension, Space, rounded
from openclaw_pipelines.kernel.strategy.family import Value
from openclaw_pipelines.kernel.strategy.params import ParameterConflictError, params_hash, params_record

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SHARDS = 8
"""Shards of every sweep; each is a partition."""
SHARD_KEYS = tuple(f"{number}-of-{SHARDS}" for number in range(1, SHARDS + 1))
_BATCHES = (1, 2, 4, 8)


class GridTooLargeError(ConfigError):
    """A grid of more rows than the recipe allows."""

    template = "the grid of {family} has {size} rows, the recipe allows {rows}. Thin its lists or raise rows."
    family: str
    size: int
    rows: int


class BatchesError(ConfigError):
    """Batches that do not end where shards do."""

    template = "{batches} batches do not divide 8 shards. Give 1, 2, 4 or 8; only an optuna search has more than one."
    batches: int


@dataclass(frozen=True)
class Proposal:
    """One position of a search: its parameters, and their record unless they contradict each other or are repeated."""

    position: int
    family: str
    values: Mapping[str, Value]
    record: Any
    params_hash: str | None
    repeated: bool = False

    @property
    def conflicting(self) -> bool:
        """Whether the parameters contradict each other: counted, never run, never repaired."""
        return self.record is None and not self.repeated


@dataclass(frozen=True)
class Tried:
    """What an adaptive search learns from: one row that was run, and its score. Greater is better."""

    position: int
    family: str
    values: Mapping[str, Value]
    score: float


@dataclass(frozen=True)
class Search:
    """How positions come about. interval_seconds: length of the bars that the parameters count."""

    spaces: tuple[Space, ...]
    method: SearchMethod
    rows: int
    batches: int
    seed: int
    interval_seconds: int

    def __post_init__(self) -> None:
        if self.batches not in _BATCHES:
            raise BatchesError(self.batches)
        if self.method is SearchMethod.GRID:
            for space in self.spaces:
                if space.grid_size > self.rows:
                    raise GridTooLargeError(space.family, space.grid_size, self.rows)

    @property
    def rounds(self) -> int:
        """Batches that must be run one after the other."""
        return self.batches if self.method is SearchMethod.OPTUNA else 1

    @property
    def positions(self) -> int:
        """Length of the search."""
        return sum(sum(self._sizes(number)) for number in range(self.rounds))

    @property
    def space_hash(self) -> str:
        """SHA-256 of what is searched and how."""
        return sha256_of(
            {
                "spaces": [space.payload() for space in self.spaces],
                "method": self.method.value,
                "rows": self.rows,
                "batches": self.rounds,
                "seed": self.seed,
                "interval_seconds": self.interval_seconds,
            }
        )

    def shard_positions(self, shard: str) -> range:
        """Positions of a shard."""
        per_batch, number = SHARDS // self.rounds, self.batch_of(shard)
        start = sum(sum(self._sizes(earlier)) for earlier in range(number))
        size = sum(self._sizes(number))
        place = SHARD_KEYS.index(shard) - number * per_batch
        return range(start + size * place // per_batch, start + size * (place + 1) // per_batch)

    def shards_before(self, shard: str) -> tuple[str, ...]:
        """Shards whose results the shard's batch is made from."""
        return SHARD_KEYS[: self.batch_of(shard) * (SHARDS // self.rounds)]

    def batch_of(self, shard: str) -> int:
        """Number of the batch that a shard belongs to."""
        return SHARD_KEYS.index(shard) // (SHARDS // self.rounds)

    def propose(self, shard: str, tried: Sequence[Tried] = ()) -> list[Proposal]:
        """What stands at the positions of a shard. tried: every row of `shards_before`."""
        wanted = self.shard_positions(shard)
        return [made for made in self.propose_batch(self.batch_of(shard), tried) if made.position in wanted]

    def propose_batch(self, number: int, tried: Sequence[Tried] = ()) -> list[Proposal]:
        """What stands at the positions of a batch. tried: every row of the batches before it.

        Repetitions of an earlier position, in this batch or among `tried`, are marked and not run again.
        """
        position = sum(sum(self._sizes(earlier)) for earlier in range(number))
        seen = {self._checked(0, row.family, row.values, set()).params_hash for row in tried}
        proposals = []
        for space, size in zip(self.spaces, self._sizes(number), strict=True):
            own = [row for row in tried if row.family == space.family]
            for values in self._points(space, size, number, own):
                made = self._checked(position, space.family, values, seen)
                seen.add(made.params_hash)
                proposals.append(made)
                position += 1
        return proposals

    def _sizes(self, number: int) -> list[int]:
        """Positions of each family in a batch."""
        if self.method is SearchMethod.GRID:
            return [space.grid_size for space in self.spaces]
        per_batch = self.rows * (number + 1) // self.rounds - self.rows * number // self.rounds
        return [per_batch for _ in self.spaces]

    def _points(self, space: Space, size: int, number: int, tried: Sequence[Tried]) -> Iterable[dict[str, Value]]:
        if self.method is SearchMethod.GRID:
            return space.grid()
        if self.method is SearchMethod.SOBOL or number == 0:
            return sobol(space, size, self.seed)
        return adaptive(space, size, self.seed + number, tried)

    def _checked(self, position: int, family: str, values: Mapping[str, Value], seen: set[str | None]) -> Proposal:
        try:
            record = params_record(family, values, self.interval_seconds)
        except ParameterConflictError:
            return Proposal(position, family, values, None, None)
        own = params_hash(record)
        repeated = own in seen
        return Proposal(position, family, values, None if repeated else record, own, repeated)


def sobol(space: Space, size: int, seed: int) -> list[dict[str, Value]]:
    """The first `size` scrambled Sobol points of a space."""
    from scipy.stats import qmc

    bits = max(size - 1, 0).bit_length()  # whole powers of two are balanced; fewer are a prefix of them
    drawn = qmc.Sobol(len(space.dimensions), scramble=True, rng=np.random.default_rng(seed)).random_base2(bits)
    return [space.point(np.minimum(row, np.nextafter(1.0, 0.0)).tolist()) for row in drawn[:size]]


def adaptive(space: Space, size: int, seed: int, tried: Sequence[Tried]) -> list[dict[str, Value]]:
    """`size` points that Optuna's TPE asks for after `tried`, in the order of their positions, without being told more.

    The sampler is made anew for every batch, so that it knows only what is stored.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, constant_liar=True, multivariate=False)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {dim.name: _distribution(dim) for dim in space.dimensions}
    for row in sorted(tried, key=lambda own: own.position):
        own = {name: row.values[name] for name in distributions}
        study.add_trial(optuna.trial.create_trial(params=own, distributions=distributions, value=row.score))
    asked = [study.ask(distributions).params for _ in range(size)]
    return [
        {**space.fixed, **{dim.name: _asked(dim, params[dim.name]) for dim in space.dimensions}} for params in asked
    ]


def _asked(dim: Dimension, value: Any) -> Value:
    """An asked value as the space writes it: of a stepped range, the very multiple of its step."""
    if isinstance(dim, Choices) or dim.kind is int:
        return value  # type: ignore[no-any-return]
    if dim.step is None:
        return min(max(rounded(float(value)), float(dim.low)), float(dim.high))
    return dim.nth(round((value - float(dim.low)) / float(dim.step)))


def _distribution(dim: Dimension) -> "BaseDistribution":
    from optuna import distributions

    if isinstance(dim, Choices):
        return distributions.CategoricalDistribution(dim.values)
    if dim.kind is int:
        step = int(dim.step) if dim.step is not None else 1
        first = int(dim.low)
        return distributions.IntDistribution(
            first, first + (int(dim.high) - first) // step * step, log=dim.log, step=step
        )
    low, high = float(dim.low), float(dim.high)
    if dim.step is None:
        return distributions.FloatDistribution(low, high, log=dim.log)
    last = float(dim.nth((dim.steps or 1) - 1))
    return distributions.FloatDistribution(low, last, step=float(dim.step))
