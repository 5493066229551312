"""From a cycle's evidence to a strategy that trades on paper; every hand-over refused when it is broken."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted_cycle import CYCLE, DAY_ONE, HOLDOUT_END, PLANTED, SLOT, TODAY, candidate, plant
from stores import copy_store

from openclaw_pipelines.contracts.lifecycle import Stage
from openclaw_pipelines.contracts.requirements import Relation, Requirement
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.lifecycle.hand_over import (
    EvidenceAbsentError,
    EvidenceFailedError,
    EvidenceStaleError,
    InvalidComparisonError,
    ParametersChangedError,
    Today,
)
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.services.lifecycle.deploy import deploy_cycle
from openclaw_pipelines.services.trading.timetable import due_of

from ..conftest import open_desk


def test_a_deployed_candidate_trades_a_day(deployed: Callable[..., Any]) -> None:
    """The strategy is in the configuration with provenance, is due, and its day runs through the runner."""
    trading, (name,) = deployed()
    settings = trading.world.settings()
    own = settings.strategy(name)
    assert name == f"{SLOT}_{candidate()['params_hash'][:8]}_20250510"
    assert settings.provenance[f"strategies.{name}.canary_bps"].text == "deployment"
    assert (own.own.canary_bps, own.own.paused, own.own.enabled) == (2500, False, True)
    assert (own.own.start_day.isoformat(), own.own.interval, own.symbols) == (
        DAY_ONE,
        "1h",
        settings.strategy(SLOT).symbols,
    )
    assert dict(own.params) == json.loads(candidate()["params"])
    assert due_of(trading.world, name, day_start("2025-05-12")).first == day_start(DAY_ONE).replace(hour=1)
    report = trading.run(name, DAY_ONE)
    assert report.taken == 24
    assert trading.rows("autopilot_fills", name).height > 0
    assert trading.rows("autopilot_ticks", name)["deployment_id"][0].startswith(f"{name}@")


def test_the_size_on_paper_is_the_first_ramp(deployed: Callable[..., Any]) -> None:
    """A quarter of what the same parameters trade at full size, up to one lot."""
    trading, (name,) = deployed()
    trading.strategy("whole", **{**trading.tree["strategies"][SLOT], "params": {**json.loads(candidate()["params"])}})
    trading.run(name, DAY_ONE)
    trading.run("whole", DAY_ONE)
    quarter, whole = (first_entry(trading, one) for one in (name, "whole"))
    assert (quarter["tick_at"], quarter["symbol"]) == (whole["tick_at"], whole["symbol"])
    lot = trading.store.query("market", "SELECT lot FROM instruments WHERE symbol = ?", [whole["symbol"]])["lot"][0]
    assert abs(whole["approved_qty"] / 4 - quarter["approved_qty"]) < lot


def first_entry(trading: Any, strategy: str) -> dict[str, Any]:
    rows = trading.rows("autopilot_decisions", strategy).filter(status="approved", action="enter")
    return rows.sort("tick_at", "symbol").row(0, named=True)


def test_twice_is_once(deployed: Callable[..., Any]) -> None:
    trading, _ = deployed()
    before = DeploymentBook(trading.world).rows()
    assert deploy_cycle(trading.world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END) == []
    assert DeploymentBook(trading.world).rows() == before
    assert [row["to_state"] for row in before] == ["validated", "paper"]
    assert {row["transition"] for row in before} == {1}


def test_one_per_channel_and_each_once(deployed: Callable[..., Any]) -> None:
    first, second = candidate(), candidate(stop_atr=2.0)
    trading, names = deployed(
        [("efficient", first), ("efficient", second), ("growth", first), ("conservative", second)]
    )
    assert len(names) == 2
    assert set(names) <= set(trading.world.settings().strategies)


def test_a_candidate_whose_gate_fails_makes_room(desk: Callable[..., Any]) -> None:
    trading, first, second = desk("asked"), candidate(), candidate(stop_atr=2.0)
    plant(trading, [("efficient", first), ("efficient", second)])
    change(
        trading,
        "UPDATE gate_results SET measured = 3 WHERE gate = 'holdout_trades' AND params_hash = ?",
        first["params_hash"],
    )
    made = deploy_cycle(trading.world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END)
    assert [own.origin.params_hash for own in made] == [second["params_hash"]]


def change(trading: Any, sql: str, *params: Any) -> None:
    with trading.store.write("research") as con:
        con.execute(sql, list(params))


@pytest.fixture(scope="module")
def bench(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One desk for all broken evidence: nothing of it is ever deployed."""
    folder = tmp_path_factory.mktemp("bench")
    copy_store(history, folder / "data")
    return open_desk(folder, {})


GATE = "UPDATE gate_results SET {} WHERE gate = 'holdout_trades'"
REPORT = "UPDATE parity_reports SET {}"
ANOTHER = (
    "INSERT INTO parity_reports BY NAME SELECT * REPLACE ({}) FROM parity_reports WHERE comparison = 'sweep_replay'"
)
OTHER = "SET params = replace(params, '1.25', '1.5')"
ABSENT, STALE, INVALID, FAILED = (
    EvidenceAbsentError,
    EvidenceStaleError,
    InvalidComparisonError,
    EvidenceFailedError,
)


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        pytest.param("DELETE FROM factory_cycles", ABSENT, "the cycle is not stored", id="no cycle"),
        pytest.param("UPDATE shortlist SET status = 'below_floor'", ABSENT, "a candidate", id="no candidate"),
        pytest.param("DELETE FROM replays", ABSENT, "its replay", id="no replay"),
        pytest.param(
            "DELETE FROM parity_reports WHERE comparison = 'sweep_replay'",
            ABSENT,
            "parity sweep_replay",
            id="no report",
        ),
        pytest.param("DELETE FROM gate_results WHERE gate = 'no_lookahead'", ABSENT, "gate no_lookahead", id="no gate"),
        pytest.param(REPORT.format("code_version = 'old'"), STALE, "code old", id="other code"),
        pytest.param(REPORT.format("bars_hash = 'old'"), STALE, "bars old", id="other bars"),
        pytest.param(GATE.format("required = '>= 3'"), STALE, ">= 3", id="a looser requirement"),
        pytest.param(
            REPORT.format("right_contract = 'd'"), INVALID, "cannot be compared", id="two contracts, verdict equal"
        ),
        pytest.param(
            REPORT.format("verdict = 'INVALID_COMPARISON'"), INVALID, "cannot be compared", id="invalid comparison"
        ),
        pytest.param(REPORT.format("right_hash = 'k'"), FAILED, "STATE_MACHINE", id="unequal sides, verdict equal"),
        pytest.param(REPORT.format("differing = '[1]'"), FAILED, "STATE_MACHINE", id="differences, verdict equal"),
        pytest.param(REPORT.format("verdict = 'REDUCTION_ORDER'"), FAILED, "REDUCTION_ORDER", id="totals"),
        pytest.param(
            ANOTHER.format("'cpu_gpu' AS comparison, 'k' AS right_hash"), FAILED, "parity cpu_gpu", id="a GPU differs"
        ),
        pytest.param(
            ANOTHER.format("'f00d' AS params_hash, 'random' AS sample, 'STATE_MACHINE' AS verdict"),
            FAILED,
            "the random row f00d",
            id="a random row differs",
        ),
        pytest.param(
            "UPDATE gate_results SET gate = 'best_effort' WHERE gate = 'holdout_trades'",
            ABSENT,
            "gate holdout_trades",
            id="another gate in its place",
        ),
        pytest.param(
            "INSERT INTO gate_results BY NAME SELECT * REPLACE ('old_gate' AS gate) FROM gate_results "
            "WHERE gate = 'holdout_trades'",
            STALE,
            "gate old_gate is stale, made under >= 30, now no such gate",
            id="a gate that is not asked today",
        ),
        pytest.param(GATE.format("measured = 29"), FAILED, "29, >= 30", id="below, flag passed"),
        pytest.param(GATE.format("measured = NULL"), FAILED, "undefined", id="undefined, flag passed"),
        pytest.param(GATE.format("passed = false"), FAILED, "gate holdout_trades", id="above, flag failed"),
        pytest.param(f"UPDATE shortlist {OTHER}", ParametersChangedError, "evidence is about", id="listed parameters"),
        pytest.param(f"UPDATE replays {OTHER}", ParametersChangedError, "evidence is about", id="replayed parameters"),
        pytest.param(
            "UPDATE factory_cycles SET state = 'blocked', blocked_by = 'too_few'", FAILED, "too_few", id="blocked cycle"
        ),
    ],
)
def test_broken_evidence_deploys_nothing(bench: Any, sql: str, error: type[Exception], said: str) -> None:
    trading = bench
    for table in ("factory_cycles", "shortlist", "replays", "parity_reports", "gate_results"):
        change(trading, f"DELETE FROM {table}")
    plant(trading)
    change(trading, sql)
    with pytest.raises(error, match=said):
        deploy_cycle(trading.world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END)
    assert DeploymentBook(trading.world).rows() == []
    assert not Path(trading.folder, "data", "deployments.yaml").exists()


def test_a_failed_report_of_a_candidate_behind_the_chosen_one_counts(desk: Callable[..., Any]) -> None:
    trading, behind = desk("asked"), candidate(stop_atr=1.5)
    plant(trading, [("efficient", candidate()), ("efficient", behind)])
    change(trading, f"UPDATE parity_reports SET right_hash = 'k' WHERE params_hash = '{behind['params_hash']}'")
    with pytest.raises(EvidenceFailedError, match=behind["params_hash"][:12]):
        deploy_cycle(trading.world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END)
    assert DeploymentBook(trading.world).rows() == []


def test_a_gate_that_is_required_now_was_never_measured(desk: Callable[..., Any]) -> None:
    trading = desk("asked")
    plant(trading)
    stricter = Today(
        TODAY.code_version, TODAY.bars_hashes, {**TODAY.gates, "finer_candles": Requirement(Relation.AT_LEAST, 0.5)}
    )
    with pytest.raises(EvidenceAbsentError, match="gate finer_candles"):
        deploy_cycle(trading.world, CYCLE, stricter, PLANTED, as_of=HOLDOUT_END)


def test_what_the_slot_sets_holds_for_the_deployed(deployed: Callable[..., Any]) -> None:
    """Limits, costs and lists as they stood; also an override of one symbol, which beats a strategy's own."""
    changes = {
        "symbols": {"BTC/USDT:USDT": {"risk": {"max_order_notional": "123.45"}}},
        "strategies": {
            SLOT: {"risk": {"max_order_notional": "777.5"}, "costs": {"slippage_bps": "3.5"}, "deny": ["SOL/USDT"]}
        },
    }
    trading, (name,) = deployed(**changes)
    own, slot = (trading.world.settings().strategy(one) for one in (name, SLOT))
    assert own.symbol_limits == slot.symbol_limits
    assert {str(limits.max_order_notional) for limits in own.symbol_limits.values()} == {"123.45", "777.5"}
    assert (own.costs, own.own.deny) == (slot.costs, ["SOL/USDT"])


def test_stages(deployed: Callable[..., Any]) -> None:
    trading, (name,) = deployed()
    position = DeploymentBook(trading.world).position(name)
    assert (position.stage, position.ramp_bps, position.since) == (Stage.PAPER, 2500, HOLDOUT_END)
