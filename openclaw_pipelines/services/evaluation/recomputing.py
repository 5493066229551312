"""Computes outcomes and metrics of a day again and compares them with the stored ones. Nothing is written."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.evaluation.outcomes import due_outcomes, score_outcomes
from openclaw_pipelines.resources.store.comparison import Difference, verify_equal
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.evaluation.evaluator import Evaluator, run_fingerprint, sealed_until


def verify_evaluation(world: World, strategy: str, days: Sequence[str]) -> list[Difference]:
    """What of stored outcomes and metrics is not what decisions, fills, equity and candles give.

    days: that follow one another.
    """
    found = _outcomes(world, strategy, days[0], days[-1])
    if found and len(days) > 1:  # outcomes of a day may have been written before those of the day before
        found = [one for day in days for one in _outcomes(world, strategy, day, day)]
    return [*found, *(one for day in days for one in _metrics(world, strategy, day))]


def _outcomes(world: World, strategy: str, day: str, last: str) -> list[Difference]:
    """Outcomes are written in the order in which they mature: none is absent before the newest.

    One that found no bar may have one now, and stays what it was.
    """
    evaluator, ledger = Evaluator.of(world), world.ledger(strategy)
    start, end = day_start(day), day_start(last) + DAY
    stored = ledger.rows("autopilot_outcomes", start, end, time="decided_at")
    newest = stored["matured_at"].max()
    if not isinstance(newest, datetime):
        return []
    horizons = sorted(stored["horizon_seconds"].unique().to_list())
    due = due_outcomes(ledger.rows("autopilot_decisions", start, end), [], horizons, newest)
    candles = evaluator.closes(start, end + timedelta(seconds=max(horizons)) + DAY)
    scored = score_outcomes(due, candles, newest, world.settings().intervals)
    unpriced = stored.filter(pl.col("horizon_price").is_null())
    empty = unpriced.join(scored, on="outcome_key", how="semi")["outcome_key"].to_list()
    # none is added to a sealed day, and the seal shows one that is gone
    late = (pl.col("matured_at") <= sealed_until(ledger)) & ~pl.col("outcome_key").is_in(
        stored["outcome_key"].to_list()
    )
    given = scored.filter(~pl.col("outcome_key").is_in(empty) & ~late).with_columns(
        recorded_at=pl.col("matured_at"), run_fingerprint=pl.lit("")
    )
    within = (
        "account_id = ? AND strategy_config_id = ? AND decided_at > ? AND decided_at <= ? "
        "AND NOT list_contains(?, outcome_key)"
    )
    params = [ledger.account_id, strategy, start, end, empty]
    with world.store.read("ledger") as con:
        return verify_equal(con, "autopilot_outcomes", given, within=within, params=params)


def older_metrics(world: World, strategy: str, days: Iterable[str]) -> list[str]:
    """Days whose stored metrics are not compared: of other settings or definitions, or from before their rows."""
    ledger, current = world.ledger(strategy), run_fingerprint(world.settings())
    return [day for day in days if _metrics_age(ledger, day, current) == "older"]


def _metrics_age(ledger: StrategyLedger, day: str, current: str) -> Literal["none", "older", "current"]:
    """Metrics are replaced when they are computed again: `none`, `older`, or `current`, which are compared."""
    start, end = day_start(day), day_start(day) + DAY
    stored = ledger.query("SELECT run_fingerprint, recorded_at FROM autopilot_metrics", "day = ?", [day])
    if stored.is_empty():
        return "none"
    if set(stored["run_fingerprint"]) != {current}:
        return "older"
    rests_on = pl.concat([
        ledger.rows("autopilot_outcomes", start, end, time="decided_at")["recorded_at"],
        ledger.rows("autopilot_equity", start, end)["recorded_at"],
    ]).max()  # fmt: skip
    late = isinstance(rests_on, datetime) and stored["recorded_at"].min() < rests_on  # type: ignore[operator]
    return "older" if late else "current"


def _metrics(world: World, strategy: str, day: str) -> list[Difference]:
    ledger, settings = world.ledger(strategy), world.settings()
    if _metrics_age(ledger, day, run_fingerprint(settings)) != "current":
        return []
    given = (
        Evaluator.of(world)
        .computed_metrics(strategy, day)
        .with_columns(recorded_at=pl.lit(world.clock.now()), run_fingerprint=pl.lit(""))
    )
    within = "account_id = ? AND strategy_config_id = ? AND day = ?"
    with world.store.read("ledger") as con:
        return verify_equal(con, "autopilot_metrics", given, within=within, params=[ledger.account_id, strategy, day])
