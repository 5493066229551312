"""Statistics of a sweep for people: which parameters matter, medians over two of them, and an optimum's neighbourhood.

The objective is the daily Sharpe ratio on the train days. None of this selects anything; selection is in
`domain.factory.shortlist` and `domain.selection`.
"""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

NEIGHBOURS = 10
MOST_BINS = 8
_ROWS_PER_CELL = 5


@dataclass(frozen=True)
class FamilySweep:
    """Rows of one family that have an objective.

    names: parameters that differ among them, [P]. values: float64[R, P]. objective: float64[R]. row_index: int64[R].
    unmeasured: rows left out because their objective is undefined.
    """

    family: str
    names: tuple[str, ...]
    values: Floats
    objective: Floats
    row_index: Places
    unmeasured: int

    @cached_property
    def shares(self) -> Floats:
        """Each value's place among the distinct values tried, from 0 to 1, float64[R, P].

        Places instead of values, so that a parameter drawn on a logarithmic scale counts like the others.
        """
        columns = [_places(self.values[:, p]) for p in range(len(self.names))]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.objective), 0))


@dataclass(frozen=True)
class Grid:
    """Median objective over two parameters; cells of no row are NaN. median, count: [Y, X]. cell: row_index -> x, y."""

    x_name: str
    y_name: str
    x_labels: tuple[str, ...]
    y_labels: tuple[str, ...]
    median: Floats
    count: Places
    cell: dict[int, tuple[int, int]]


@dataclass(frozen=True)
class Neighbourhood:
    """A row's objective beside those of its `k` nearest rows of the same family.

    reach: distance of the farthest of them, in shares of a parameter's tried values. objectives: nearest first.
    """

    row_index: int
    own: float
    objectives: tuple[float, ...]
    reach: float

    @property
    def k(self) -> int:
        """Neighbours, fewer than asked for where the family has fewer rows."""
        return len(self.objectives)

    @property
    def median(self) -> float | None:
        """Median objective of the neighbours."""
        return float(np.median(self.objectives)) if self.objectives else None

    @property
    def positive(self) -> float | None:
        """Share of neighbours whose objective is above zero."""
        return float(np.mean(np.asarray(self.objectives) > 0.0)) if self.objectives else None


def family_sweep(rows: pl.DataFrame, family: str) -> FamilySweep:
    """One family's rows of `sweep_results`."""
    own = rows.filter(pl.col("family") == family).sort("row_index")
    measured = own.filter(pl.col("sharpe_day").is_not_null())
    given = [json.loads(text) for text in measured["params"].to_list()]
    names = sorted(given[0]) if given else []
    matrix = np.array([[float(row[name]) for name in names] for row in given], np.float64).reshape(len(given), -1)
    varied = [p for p in range(matrix.shape[1]) if np.unique(matrix[:, p]).size > 1]
    return FamilySweep(
        family, tuple(names[p] for p in varied), matrix[:, varied], measured["sharpe_day"].to_numpy(),
        measured["row_index"].to_numpy().astype(np.int64), own.height - measured.height,
    )  # fmt: skip


def informative(sweep: FamilySweep) -> list[tuple[str, float]]:
    """Parameters with the share of the objective's variance that their value alone tells, greatest first.

    The share is epsilon squared over bins of equal count (T. L. Kelley, 1935): unlike eta squared it does not grow with
    the number of bins, and is set to zero where it is negative.
    """
    shares = sweep.shares
    told = [(name, _epsilon_squared(_bins(shares[:, p], MOST_BINS), sweep.objective))
            for p, name in enumerate(sweep.names)]  # fmt: skip
    return sorted(told, key=lambda own: (-own[1], own[0]))


def median_grid(sweep: FamilySweep) -> Grid | None:
    """Median objective over the two most informative parameters, all others marginalised; None where fewer differ."""
    if len(sweep.names) < 2:
        return None
    x_name, y_name = (name for name, _ in informative(sweep)[:2])
    most = max(3, min(MOST_BINS, round((len(sweep.objective) / _ROWS_PER_CELL) ** 0.5)))
    (x, x_labels), (y, y_labels) = (_binned(sweep, name, most) for name in (x_name, y_name))
    median = np.full((len(y_labels), len(x_labels)), np.nan)
    count = np.zeros(median.shape, np.int64)
    for row in range(len(y_labels)):
        for column in range(len(x_labels)):
            inside = sweep.objective[(x == column) & (y == row)]
            count[row, column] = inside.size
            if inside.size:
                median[row, column] = np.median(inside)
    cell = {int(n): (int(x[i]), int(y[i])) for i, n in enumerate(sweep.row_index)}
    return Grid(x_name, y_name, x_labels, y_labels, median, count, cell)


def neighbourhood(sweep: FamilySweep, row_index: int, k: int = NEIGHBOURS) -> Neighbourhood | None:
    """The `k` rows nearest to a row by Euclidean distance of `FamilySweep.shares`; None where the row has no objective.

    Equal distances go by row number.
    """
    found = np.flatnonzero(sweep.row_index == row_index)
    if not found.size:
        return None
    own, shares = int(found[0]), sweep.shares
    distance = np.sqrt(((shares - shares[own]) ** 2).sum(axis=1))
    order = [int(i) for i in np.lexsort((sweep.row_index, distance)) if i != own][:k]
    reach = float(distance[order[-1]]) if order else 0.0
    return Neighbourhood(row_index, float(sweep.objective[own]), tuple(float(sweep.objective[i]) for i in order), reach)


def best_and_sample(sweep: FamilySweep, best: int, rest: int) -> tuple[list[int], list[int]]:
    """Positions of the `best` rows by objective, best first, and of at most `rest` others, evenly over the order."""
    order = np.lexsort((sweep.row_index, -sweep.objective)).tolist()
    others = order[best:]
    if len(others) > rest:
        others = [others[i * len(others) // rest] for i in range(rest)]
    return order[:best], others


def written(value: float) -> str:
    """A parameter's value as people write it.

    >>> written(24.0), written(0.25)
    ('24', '0.25')
    """
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"


def _places(column: Floats) -> Floats:
    distinct, place = np.unique(column, return_inverse=True)
    return place / max(distinct.size - 1, 1)


def _bins(shares: Floats, most: int) -> Places:
    """Bins of equal count; few values each have their own, so that no value is shown that was not tried."""
    distinct, place = np.unique(shares, return_inverse=True)
    if distinct.size <= MOST_BINS:
        return place.astype(np.int64)
    return np.minimum((shares * most).astype(np.int64), most - 1)


def _binned(sweep: FamilySweep, name: str, most: int) -> tuple[Places, tuple[str, ...]]:
    values = sweep.values[:, sweep.names.index(name)]
    bins = _bins(_places(values), most)
    labels = []
    for number in range(int(bins.max()) + 1):
        inside = values[bins == number]
        low, high = written(float(inside.min())), written(float(inside.max()))
        labels.append(low if low == high else f"{low}\u2013{high}")
    return bins, tuple(labels)


def _epsilon_squared(group: Places, objective: Floats) -> float:
    groups = np.unique(group)
    n, total = objective.size, float(((objective - objective.mean()) ** 2).sum())
    if n <= groups.size or groups.size < 2 or total == 0.0:
        return 0.0
    inside = sum(float(((part - part.mean()) ** 2).sum()) for part in (objective[group == g] for g in groups))
    return max(0.0, 1.0 - (inside / (n - groups.size)) / (total / (n - 1)))
