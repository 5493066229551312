"""Outcomes written once when matured, metrics replaced, the report a whole file."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.evaluation.metrics.compute import compute_metrics
from openclaw_pipelines.domain.governance.audit import verify_chain
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.services.evaluation.evaluator import Evaluator

MOMENTUM = "momentum_1h"
DAY_ONE, DAY_TWO = "2025-05-10", "2025-05-11"
HORIZONS = {"outcome_horizons_seconds": [900, 3600]}


def states(trading: Any, key: str) -> list[str]:
    rows = trading.store.table("admin_actions").filter(subject=key).sort("sequence")
    return rows["to_state"].to_list()


def test_every_decision_is_scored_at_every_horizon_once(desk: Any) -> None:
    trading = desk("recorded", **HORIZONS)
    decisions = trading.rows("autopilot_decisions", MOMENTUM)
    outcomes = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert outcomes.height == 2 * decisions.height
    assert set(outcomes["decision_status"]) == set(decisions["status"]) >= {"approved", "rejected"}
    before = trading.counts()
    assert Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE).equals(outcomes)
    assert trading.counts() == before


def test_a_return_against_the_stored_candles(desk: Any) -> None:
    trading = desk("recorded", **HORIZONS)
    scored = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE).filter(pl.col("win").is_not_null())
    sides = dict(trading.rows("autopilot_decisions", MOMENTUM).select("decision_key", "side").iter_rows())
    closes = {
        (symbol, ts + timedelta(minutes=15)): close
        for symbol, ts, close in trading.store.query(
            "market", "SELECT symbol, ts, close FROM candles WHERE interval = '15m'"
        ).iter_rows()
    }
    assert scored.height > 20
    for row in scored.iter_rows(named=True):
        moved = closes[row["symbol"], row["matured_at"]] / float(row["intended_price"]) - 1
        sign = 1 if sides[row["decision_key"]] == "buy" else -1
        assert row["return_signed"] == pytest.approx(sign * moved, abs=1e-12)
        assert row["win"] == (sign * moved > 0)


def test_what_has_not_matured_waits(desk: Any) -> None:
    """At 12:20 the horizons that end by then are scored, for decisions up to 11:00 both."""
    trading = desk("recorded", **HORIZONS)
    now = day_start(DAY_ONE) + timedelta(hours=12, minutes=20)
    trading.clock.set(now)
    outcomes = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert outcomes.height > 0
    assert outcomes["matured_at"].max() <= now
    trading.clock.set(day_start("2025-06-01"))
    later = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert later.height > outcomes.height
    kept = later.filter(pl.col("outcome_key").is_in(outcomes["outcome_key"].to_list()))
    assert kept.sort("outcome_key").equals(outcomes.sort("outcome_key"))


NOON = day_start(DAY_ONE) + timedelta(hours=12)


def test_beyond_what_the_source_was_asked_for_nothing_is_scored(desk: Any) -> None:
    """Asked until noon, a candle after it is unknown, not absent: stored as absent it would be so for good."""
    trading, whole = desk("history", **HORIZONS), desk("recorded", **HORIZONS)
    trading.ask(DAY_ONE, NOON)
    trading.run(MOMENTUM, DAY_ONE, NOON)
    trading.clock.set(day_start("2025-06-01"))
    early = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert early["matured_at"].max() == NOON
    assert early["horizon_price"].null_count() == 0
    trading.ask(DAY_TWO)  # the afternoon before it is as unknown as it was
    assert Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE).equals(early)
    trading.ask(DAY_ONE)
    later = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert later.height == 2 * trading.rows("autopilot_decisions", MOMENTUM).height > early.height
    scored = Evaluator.of(whole.world).outcomes(MOMENTUM, DAY_ONE).filter(pl.col("decided_at") <= NOON)
    assert _returns(later) == _returns(scored)


def test_over_midnight_the_next_day_must_have_been_asked_for(desk: Any) -> None:
    trading = desk("history", outcome_horizons_seconds=[900, 3600 * 3])
    trading.ask(DAY_ONE)
    trading.run(MOMENTUM)
    midnight = day_start(DAY_TWO)
    late = trading.rows("autopilot_decisions", MOMENTUM).filter(pl.col("tick_at") > midnight - timedelta(hours=3))
    assert late.height > 0
    first = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert first["matured_at"].max() <= midnight
    trading.ask(DAY_TWO, midnight + timedelta(hours=2))
    second = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert first["matured_at"].max() < second["matured_at"].max() <= midnight + timedelta(hours=2)
    assert second["horizon_price"].null_count() == 0


def _returns(outcomes: pl.DataFrame) -> dict[str, float]:
    return dict(outcomes.select("outcome_key", "return_signed").iter_rows())


def test_an_executed_proposal_ends_as_evaluated(desk: Any) -> None:
    trading = desk("recorded", **HORIZONS)
    Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    fills = trading.rows("autopilot_fills", MOMENTUM).filter(pl.col("leg") == "entry")
    for key in fills["decision_key"].to_list():
        assert states(trading, key) == ["approved", "executed", "reconciled", "outcome_evaluated"]
    rows = trading.store.table("admin_actions").filter(strategy_config_id=MOMENTUM)
    assert verify_chain(rows.sort("sequence").to_dicts()) == rows.height


def test_an_outcome_scored_before_its_fill_was_recorded_moves_on_later(desk: Any) -> None:
    """The market is known to the day's end, but the strategy has only taken its ticks until one that ordered."""
    trading = desk("asked", **HORIZONS)
    whole = desk("recorded")
    entry = whole.rows("autopilot_fills", MOMENTUM).filter(pl.col("leg") == "entry").sort("tick_at").row(0, named=True)
    decided = entry["tick_at"] - timedelta(hours=1)
    trading.run(MOMENTUM, DAY_ONE, decided)
    trading.clock.set(day_start("2025-06-01"))
    scored = Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert entry["decision_key"] in scored["decision_key"].to_list()
    assert states(trading, entry["decision_key"]) == ["approved"]
    trading.run(MOMENTUM)
    Evaluator.of(trading.world).outcomes(MOMENTUM, DAY_ONE)
    assert states(trading, entry["decision_key"])[-2:] == ["reconciled", "outcome_evaluated"]


def test_metrics_are_replaced_not_doubled(desk: Any) -> None:
    trading = desk("recorded")
    first = Evaluator.of(trading.world).metrics(MOMENTUM, DAY_ONE)
    again = Evaluator.of(trading.world).metrics(MOMENTUM, DAY_ONE)
    stored = trading.store.table("autopilot_metrics")
    assert first.height == again.height == stored.height > 20
    assert first.equals(again)
    net = trading.rows("autopilot_equity", MOMENTUM).sort("tick_at")["equity"][-1]
    assert float(net) != 10_000


def test_the_report_is_one_file(desk: Any) -> None:
    trading = desk("recorded")
    Evaluator.of(trading.world).metrics(MOMENTUM, DAY_ONE)
    path, html = Evaluator.of(trading.world).report(DAY_ONE)
    assert path.read_text(encoding="utf-8") == html
    assert [file.name for file in path.parent.iterdir()] == [f"{DAY_ONE}.html"]
    assert MOMENTUM in html
    assert "<script src" not in html


def test_metrics_of_a_day_are_those_of_everything_since_inception(desk: Any) -> None:
    """What is read of the days before it is enough: the same from every row and every close there is."""
    own = desk("recorded")
    own.run(MOMENTUM, DAY_TWO)
    own.clock.set(day_start("2025-05-14"))
    evaluator, ledger = Evaluator.of(own.world), own.world.ledger(MOMENTUM)
    strategy = own.world.settings().strategy(MOMENTUM)
    for day in (DAY_ONE, DAY_TWO):
        evaluator.outcomes(MOMENTUM, day)
    end = day_start(DAY_TWO) + timedelta(days=1)
    tables = ("decisions", "fills", "equity", "positions")
    rows = {name: ledger.rows(f"autopilot_{name}", None, end) for name in tables}
    assert rows["equity"].height > 30
    since = day_start(DAY_ONE) - timedelta(days=2)
    candles = market_tables.candles(own.store, own.world.source, strategy.symbols, "1h", since, end)
    whole = compute_metrics(
        account="paper",
        strategy=MOMENTUM,
        day=DAY_TWO,
        **rows,
        outcomes=ledger.rows("autopilot_outcomes", None, end, time="decided_at"),
        benchmark=candles.select("symbol", closed_at=pl.col("ts") + timedelta(hours=1), close="close"),
        minimum_sample=own.world.settings().config.minimum_sample,
        reconcile_events=ledger.rows("reconcile_events", None, end),
        funding=ledger.rows("autopilot_funding_payments", None, end),
        max_leverage_bps=strategy.account_limits.max_leverage_bps,
    )
    found = evaluator.computed_metrics(MOMENTUM, DAY_TWO)
    assert found.equals(whole)
    assert {"to_date", "day"} <= set(found["scope"])


def test_the_curve_to_date_has_a_point_in_each_part_and_the_day_whole(desk: Any) -> None:
    own = desk("recorded")
    own.run("breakout_15m", DAY_TWO)
    ledger, start = own.world.ledger("breakout_15m"), day_start(DAY_TWO)
    whole = ledger.rows("autopilot_equity", None, start + timedelta(days=1)).sort("tick_at")
    by_day = ledger.equity_to_date(start, start + timedelta(days=1), timedelta(days=1))
    assert by_day["tick_at"].to_list()[:2] == [day_start(DAY_ONE), start]  # the inception, and the day before whole
    assert by_day.tail(96).equals(whole.tail(96))
    by_hour = ledger.equity_to_date(start, start + timedelta(days=1), timedelta(hours=1))
    hours = [day_start(DAY_ONE) + timedelta(hours=n) for n in range(25)]
    assert by_hour["tick_at"].to_list()[:-96] == hours
