"""Outcomes, metrics and features that were edited are found; those that are only older are not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.services.evaluation.evaluator import Evaluator
from openclaw_pipelines.services.evaluation.recomputing import verify_evaluation
from openclaw_pipelines.services.market.features import verify_features

MOMENTUM, DAY_ONE, DAY_TWO = "momentum_1h", "2025-05-10", "2025-05-11"


@pytest.fixture
def evaluated(desk: Callable[..., Any]) -> Any:
    own = desk("recorded")
    own.clock.set(day_start("2025-06-02"))
    Evaluator.of(own.world).outcomes(MOMENTUM, DAY_ONE)
    Evaluator.of(own.world).metrics(MOMENTUM, DAY_ONE)
    return own


def found(own: Any) -> set[tuple[str, str, str]]:
    return {(one.table, one.kind, one.column) for one in verify_evaluation(own.world, MOMENTUM, [DAY_ONE])}


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        pytest.param(
            "UPDATE autopilot_outcomes SET pnl_quote_est = pnl_quote_est + 1",
            ("autopilot_outcomes", "changed", "pnl_quote_est"),
            id="an outcome",
        ),
        pytest.param(
            "UPDATE autopilot_outcomes SET win = NOT win", ("autopilot_outcomes", "changed", "win"), id="a win"
        ),
        pytest.param(
            "DELETE FROM autopilot_outcomes WHERE horizon_seconds = (SELECT min(horizon_seconds) "
            "FROM autopilot_outcomes) AND decided_at < '2025-05-10 20:00:00Z'",
            ("autopilot_outcomes", "missing", ""),
            id="one that is gone",
        ),
        pytest.param(
            "INSERT INTO autopilot_outcomes SELECT * REPLACE ('k' AS outcome_key) FROM autopilot_outcomes LIMIT 1",
            ("autopilot_outcomes", "extra", ""),
            id="an invented one",
        ),
        pytest.param(
            "UPDATE autopilot_metrics SET value = value + 0.01",
            ("autopilot_metrics", "changed", "value"),
            id="a metric",
        ),
        pytest.param(
            "DELETE FROM autopilot_metrics WHERE group_name = 'risk'",
            ("autopilot_metrics", "missing", ""),
            id="metrics gone",
        ),
    ],
)
def test_what_was_edited_is_found(evaluated: Any, statement: str, difference: tuple[str, str, str]) -> None:
    assert found(evaluated) == set()
    with evaluated.store.write("ledger") as con:
        con.execute(statement)
    assert difference in found(evaluated)


def test_metrics_of_another_configuration_are_only_older(evaluated: Any) -> None:
    evaluated.configure(minimum_sample=7)
    assert found(evaluated) == set()


def test_metrics_before_later_outcomes_are_only_older(desk: Callable[..., Any]) -> None:
    own = desk("recorded")
    own.clock.set(day_start(DAY_ONE) + timedelta(hours=12))
    Evaluator.of(own.world).metrics(MOMENTUM, DAY_ONE)
    own.clock.set(day_start(DAY_ONE) + 2 * DAY)
    Evaluator.of(own.world).outcomes(MOMENTUM, DAY_ONE)
    assert found(own) == set()


def test_an_outcome_without_a_bar_stays_what_it_was(desk: Callable[..., Any]) -> None:
    own = desk("recorded")
    own.clock.set(day_start("2025-05-12"))
    with own.store.write("market") as con:
        late = con.execute("SELECT * FROM candles WHERE ts >= '2025-05-10 10:00:00Z'").pl()
        con.execute("DELETE FROM candles WHERE ts >= '2025-05-10 10:00:00Z'")
    Evaluator.of(own.world).outcomes(MOMENTUM, DAY_ONE)
    with own.store.write("market") as con:
        con.register("late", late)
        con.execute("INSERT INTO candles BY NAME SELECT * FROM late")
    assert own.store.table("autopilot_outcomes")["horizon_price"].null_count() > 0
    assert found(own) == set()


def test_an_edited_feature_is_found(desk: Callable[..., Any]) -> None:
    own = desk("asked")
    assert verify_features(own.world, DAY_ONE) == []
    with own.store.write("market") as con:
        con.execute("UPDATE features SET rsi = rsi + 0.5 WHERE ts = '2025-05-10 06:00:00Z' AND symbol = 'SOL/USDT'")
    changed = verify_features(own.world, DAY_ONE)
    assert {(one.table, one.kind, one.column) for one in changed} == {("features", "changed", "rsi")}
    assert "symbol=SOL/USDT" in changed[0].key
    assert verify_features(own.world, DAY_TWO) == []


@pytest.mark.parametrize(("factor", "columns"), [("1e-14", set()), ("1e-8", {"rsi"})])
def test_the_last_digits_of_a_feature_may_be_another_processors(desk: Callable[..., Any], factor, columns) -> None:
    """Logarithms and exponentials of vectors differ in their last digit between kinds of processors."""
    own = desk("asked")
    with own.store.write("market") as con:
        con.execute(f"UPDATE features SET rsi = rsi * (1 + {factor})")
    assert {one.column for one in verify_features(own.world, DAY_ONE)} == columns
