"""Statistics of a sweep against examples worked by hand."""

import json

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.report.factory.sweep import (
    FamilySweep,
    best_and_sample,
    family_sweep,
    informative,
    median_grid,
    neighbourhood,
)


def rows(values: list[tuple[dict[str, float], float | None]], family: str = "breakout") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"row_index": n, "family": family, "params": json.dumps(params), "sharpe_day": sharpe}
            for n, (params, sharpe) in enumerate(values, start=1)
        ],
        schema={"row_index": pl.Int64, "family": pl.String, "params": pl.String, "sharpe_day": pl.Float64},
    )


# channel 10, 20, 40 and stop 2, 3: places 0, 1/2, 1 and 0, 1
BY_HAND = rows(
    [
        ({"channel": 10, "stop": 2.0, "fixed": 7}, 0.50),
        ({"channel": 20, "stop": 2.0, "fixed": 7}, 0.30),
        ({"channel": 40, "stop": 2.0, "fixed": 7}, -0.10),
        ({"channel": 10, "stop": 3.0, "fixed": 7}, 0.40),
        ({"channel": 20, "stop": 3.0, "fixed": 7}, -0.20),
        ({"channel": 40, "stop": 3.0, "fixed": 7}, None),
    ]
)


def by_hand() -> FamilySweep:
    return family_sweep(BY_HAND, "breakout")


def test_parameters_that_are_the_same_everywhere_and_rows_without_an_objective_are_left_out() -> None:
    sweep = by_hand()
    assert sweep.names == ("channel", "stop")
    assert sweep.row_index.tolist() == [1, 2, 3, 4, 5]
    assert sweep.unmeasured == 1


def test_shares_are_places_among_the_tried_values_not_values() -> None:
    assert by_hand().shares.tolist() == [[0, 0], [0.5, 0], [1, 0], [0, 1], [0.5, 1]]


def test_neighbourhood_by_hand() -> None:
    """From row 1: row 2 at 0.5; rows 3 and 4 at 1.0, the lower number first; row 5 at the root of 1.25."""
    found = neighbourhood(by_hand(), 1, k=3)
    assert found is not None
    assert found.own == 0.50
    assert found.objectives == (0.30, -0.10, 0.40)
    assert found.k == 3
    assert found.median == pytest.approx(0.30)
    assert found.positive == pytest.approx(2 / 3)
    assert found.reach == pytest.approx(1.0)
    every = neighbourhood(by_hand(), 1, k=10)
    assert every is not None
    assert (every.k, every.reach) == (4, pytest.approx(1.25**0.5))
    assert every.objectives[-1] == -0.20


@pytest.mark.parametrize("row", [6, 99], ids=["row without an objective", "row that is not there"])
def test_no_neighbourhood_without_an_objective(row: int) -> None:
    assert neighbourhood(by_hand(), row) is None


def test_epsilon_squared_by_hand() -> None:
    """Two groups of two: total 5.0 over 3, inside 1.0 over 2, so that 1 - 0.5 / (5 / 3) = 0.7 is told."""
    two = rows([({"a": 0, "b": 0}, 0.0), ({"a": 0, "b": 1}, 1.0), ({"a": 1, "b": 0}, 2.0), ({"a": 1, "b": 1}, 3.0)])
    told = dict(informative(family_sweep(two, "breakout")))
    assert told == {"a": pytest.approx(0.7), "b": 0.0}


def test_the_two_parameters_that_tell_most_are_drawn_and_the_third_is_marginalised_by_its_median() -> None:
    rng = np.random.default_rng(3)
    cases = [
        ({"matters": m, "too": t, "noise": float(rng.integers(0, 3))}, 1.0 * m - 0.5 * t + rng.normal(0, 0.01))
        for m in range(4)
        for t in range(3)
        for _ in range(5)
    ]
    sweep = family_sweep(rows(cases), "breakout")
    grid = median_grid(sweep)
    assert grid is not None
    assert (grid.x_name, grid.y_name) == ("matters", "too")
    inside = [own[1] for own in cases if own[0]["matters"] == 2 and own[0]["too"] == 1]
    assert grid.median[1, 2] == pytest.approx(float(np.median(inside)))
    assert grid.count.sum() == len(cases)
    assert grid.count[1, 2] == 5
    assert grid.cell[1] == (0, 0)
    assert (grid.x_labels, grid.y_labels) == (("0", "1", "2", "3"), ("0", "1", "2"))


def test_many_values_are_binned_with_equal_counts_and_labelled_by_their_bounds() -> None:
    cases = [({"n": float(2 ** (k % 16)), "m": float(k)}, float(k)) for k in range(64)]
    grid = median_grid(family_sweep(rows(cases), "breakout"))
    assert grid is not None
    assert grid.count.sum() == 64
    assert grid.x_name == "m"
    assert grid.x_labels == ("0\u201315", "16\u201331", "32\u201347", "48\u201363")
    assert grid.y_labels[0] == "1\u20138"


def test_a_family_with_one_searched_parameter_has_no_grid() -> None:
    assert median_grid(family_sweep(rows([({"a": 1}, 0.1), ({"a": 2}, 0.2)]), "breakout")) is None


def test_best_rows_first_and_an_even_sample_of_the_rest() -> None:
    sweep = family_sweep(rows([({"a": n}, float(n)) for n in range(10)]), "breakout")
    best, rest = best_and_sample(sweep, 2, 4)
    assert sweep.objective[best].tolist() == [9.0, 8.0]
    assert sweep.objective[rest].tolist() == [7.0, 5.0, 3.0, 1.0]
    assert best_and_sample(sweep, 20, 4)[1] == []
