"""Deployed strategies live real days and are promoted, paused, retired and rolled back by what those days showed."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from planted_cycle import CYCLE, DAY_ONE, DAY_TWO, EARNING, HOLDOUT_END, PLANTED, TODAY, candidate, day_end, live, plant
from stores import copy_store

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.lifecycle.log import (
    BrokenDeploymentLogError,
    LateTransitionError,
    UnknownDeploymentError,
)
from openclaw_pipelines.domain.lifecycle.states import IllegalTransitionError
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.services.lifecycle.deploy import deploy_cycle
from openclaw_pipelines.services.lifecycle.examination import examine_log
from openclaw_pipelines.services.lifecycle.operations import (
    FullSizeError,
    NotFlatError,
    PaperGateError,
    demote,
    promote,
    review_day,
    rollback,
)
from openclaw_pipelines.services.lifecycle.standing import standings

from ..conftest import open_desk

EASY = {"least_profit_factor": "0", "largest_drawdown_bps": 10_000}
"""Gates that two days with few closed trades can pass; what a stressed replay makes stays as it is."""


def stage(trading: Any, name: str) -> tuple[str, int]:
    own = DeploymentBook(trading.world).position(name)
    return own.stage.value, own.ramp_bps


def layer(trading: Any) -> bytes:
    path = DeploymentBook(trading.world).layer.file
    return path.read_bytes() if path.exists() else b""


def evidence(trading: Any, day: str) -> Any:
    (own,) = standings(trading.world, day_end(day))
    return own.evidence


@pytest.fixture(scope="session")
def days(asked: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Data of a strategy on paper after one day, on which it lost, and after two, by whose end it has earned."""
    folder, found = tmp_path_factory.mktemp("days"), {}
    copy_store(asked, folder / "data")
    trading = open_desk(folder, {}, lifecycle=EASY)
    trading.clock.set(day_start("2025-06-01"))
    plant(trading, [("growth", candidate("breakout", **EARNING))])
    (own,) = deploy_cycle(trading.world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END)
    for n, day in enumerate((DAY_ONE, DAY_TWO), start=1):
        live(trading, own.origin.strategy, day)
        found[n] = tmp_path_factory.mktemp(f"day{n}") / "data"
        copy_store(folder / "data", found[n])
    return found


@pytest.fixture
def lived(days: dict[int, Path], tmp_path: Path) -> Callable[[int], tuple[Any, str]]:
    """Builder of a desk with one or two days behind it, and the name of its strategy."""

    def build(count: int) -> tuple[Any, str]:
        folder = tmp_path / f"desk{len(list(tmp_path.iterdir()))}"
        copy_store(days[count], folder / "data")
        trading = open_desk(folder, {}, lifecycle=EASY)
        trading.clock.set(day_start("2025-06-01"))
        (name,) = DeploymentBook(trading.world).positions()
        return trading, name

    return build


@pytest.fixture
def one(lived: Callable[[int], tuple[Any, str]]) -> tuple[Any, str]:
    """A strategy that lived its first day on paper, and lost."""
    return lived(1)


@pytest.fixture
def two(lived: Callable[[int], tuple[Any, str]]) -> tuple[Any, str]:
    """The same after its second day, by whose end it has earned."""
    return lived(2)


def test_evidence_is_what_the_ledger_holds(two: tuple[Any, str]) -> None:
    trading, name = two
    own, equity = evidence(trading, DAY_TWO), trading.rows("autopilot_equity", name).sort("tick_at")[1:]
    fills = trading.rows("autopilot_fills", name)
    exits = fills.filter((fills["leg"] != "entry") & (fills["qty"] > 0)).sort("tick_at")
    assert [value for _, value in own.equity] == [Decimal(10_000), *equity["equity"].to_list()]
    assert [at for at, _ in own.trades] == exits["tick_at"].to_list()
    last = equity.row(-1, named=True)
    assert own.flat == (last["open_positions"] == 0 and last["reserved"] == 0)
    assert (own.recorded_days, own.age_days) == (2.0, 2.0)
    assert [state.day for state in own.parity] == [DAY_ONE, DAY_TWO]
    assert all(state.passed for state in own.parity)


def test_nothing_after_as_of_is_seen(one: tuple[Any, str]) -> None:
    """Evidence as of noon is the same before and after later ticks are recorded."""
    trading, name = one
    noon = day_start(DAY_ONE) + timedelta(hours=12)
    (before,) = standings(trading.world, noon)
    assert max(at for at, _ in before.evidence.equity) == noon
    live(trading, name, DAY_TWO)
    (after,) = standings(trading.world, noon)
    assert after.evidence == before.evidence


def test_slippage_costs_money_and_the_recorded_slippage_gives_the_recorded_result(one: tuple[Any, str]) -> None:
    trading, name = one
    nets = []
    for bps in ("2", "20", "100"):
        trading.configure(lifecycle={"stressed_slippage_bps": bps})
        nets.append(evidence(trading, DAY_ONE).stressed_net)
    assert nets[0] > nets[1] > nets[2]
    last = trading.rows("autopilot_equity", name).sort("tick_at").row(-1, named=True)
    fee = trading.store.query("market", "SELECT max(taker_fee_rate) AS fee FROM instruments")["fee"][0]
    closing = last["gross_exposure"] * (Decimal("0.0002") + fee)
    assert nets[0] == (last["equity"] - 10_000 - closing).quantize(Decimal("1E-8"))


def test_a_losing_day_promotes_nothing_and_an_operator_cannot_go_round(one: tuple[Any, str]) -> None:
    trading, name = one
    done = review_day(trading.world, DAY_ONE)
    assert done.rows == []
    assert [rule.name for rule in done.judged[0].gates if not rule.holds] == [
        "profit_factor",
        "net_at_20_bps_slippage",
    ]
    with pytest.raises(PaperGateError, match=r"profit_factor is undefined, required >= 0\. No closed trades"):
        promote(trading.world, name, as_of=day_end(DAY_ONE))
    assert stage(trading, name) == ("paper", 2_500)


def test_a_review_promotes_and_a_rollback_restores_every_byte(two: tuple[Any, str]) -> None:
    trading, name = two
    before = layer(trading)
    done = review_day(trading.world, DAY_TWO)
    assert [(row["from_state"], row["to_state"], row["ramp_bps"], row["trigger"]) for row in done.rows] == [
        ("paper", "promoted", 5_000, "schedule")
    ]
    assert done.rows[0]["at"] == day_end(DAY_TWO)
    assert trading.world.settings().strategy(name).own.canary_bps == 5_000
    assert DeploymentBook(trading.world).incumbent("momentum_1h").origin.strategy == name
    assert review_day(trading.world, DAY_TWO).rows == [], "nothing new was seen at the new size"
    rollback(trading.world, name, as_of=day_end(DAY_TWO), reason="mistake")
    assert layer(trading) == before
    assert stage(trading, name) == ("paper", 2_500)


def test_reviews_are_deterministic(lived: Callable[[int], tuple[Any, str]]) -> None:
    """The same days in another folder, reviewed at another time, give the same rows, hashes included."""
    rows = []
    for now in ("2025-06-01", "2025-07-01"):
        trading, _ = lived(2)
        trading.clock.set(day_start(now))
        review_day(trading.world, DAY_TWO)
        rows.append([{**row, "recorded_at": None} for row in DeploymentBook(trading.world).rows()])
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        pytest.param("DELETE FROM parity_reports WHERE cycle_id LIKE 'paper:%2025-05-11'", "no report", id="absent"),
        pytest.param(
            "UPDATE parity_reports SET code_version = 'old' WHERE cycle_id LIKE 'paper:%'", "other sources", id="stale"
        ),
        pytest.param(
            "UPDATE parity_reports SET verdict = 'INVALID_COMPARISON' WHERE cycle_id LIKE 'paper:%2025-05-11'",
            "no recorded day", id="not comparable",
        ),
    ],
)  # fmt: skip
def test_without_fresh_parity_nothing_is_promoted(two: tuple[Any, str], sql: str, said: str) -> None:
    trading, name = two
    with trading.store.write("research") as con:
        con.execute(sql)
    done = review_day(trading.world, DAY_TWO)
    (gate,) = [rule for rule in done.judged[0].gates if rule.name == "paper_replay_parity"]
    assert (done.rows, gate.holds) == ([], False)
    assert said in gate.reason
    assert stage(trading, name) == ("paper", 2_500)


def test_red_parity_pauses(two: tuple[Any, str]) -> None:
    trading, name = two
    with trading.store.write("research") as con:
        con.execute("UPDATE parity_reports SET verdict = 'STATE_MACHINE' WHERE cycle_id LIKE 'paper:%2025-05-11'")
    done = review_day(trading.world, DAY_TWO)
    assert [(row["to_state"], row["trigger"]) for row in done.rows] == [("paused", "schedule")]
    assert done.rows[0]["reason"].startswith("parity_red 1")
    assert trading.world.settings().strategy(name).own.paused


def test_a_kill_switch_pauses_and_lifting_it_resumes_nothing(two: tuple[Any, str]) -> None:
    trading, name = two
    switch = trading.folder / "data" / "KILL_SWITCH"
    switch.write_text("close_only")
    done = review_day(trading.world, DAY_TWO)
    assert [(row["to_state"], row["trigger"]) for row in done.rows] == [("paused", "kill_switch")]
    switch.unlink()
    review_day(trading.world, DAY_TWO)
    assert stage(trading, name) == ("paused", 2_500)
    promote(trading.world, name, as_of=day_end(DAY_TWO), reason="cause found")
    assert stage(trading, name) == ("paper", 2_500)


def test_an_operator_pauses_retires_and_takes_it_back(two: tuple[Any, str]) -> None:
    """What holds positions cannot be retired; each step back gives the bytes before it."""
    trading, name = two
    at = day_end(DAY_TWO)
    paper = layer(trading)
    demote(trading.world, name, as_of=at, reason="look closer")
    assert trading.world.settings().strategy(name).own.paused
    with pytest.raises(NotFlatError, match="still holds positions"):
        demote(trading.world, name, as_of=at, reason="done", retire=True)
    with trading.store.write("ledger") as con:
        con.execute("UPDATE autopilot_equity SET open_positions = 0, reserved = 0 WHERE strategy_config_id = ?", [name])
    demote(trading.world, name, as_of=at, reason="done", retire=True)
    assert not trading.world.settings().strategy(name).own.enabled
    with pytest.raises(IllegalTransitionError, match="cannot move from retired to paused"):
        demote(trading.world, name, as_of=at, reason="again")
    rollback(trading.world, name, as_of=at, reason="too early")
    rollback(trading.world, name, as_of=at, reason="too early")
    assert layer(trading) == paper


def test_a_deployment_rolled_back_may_be_deployed_again(one: tuple[Any, str]) -> None:
    trading, name = one
    before = layer(trading)
    rollback(trading.world, name, as_of=day_end(DAY_ONE), reason="mistake")
    assert layer(trading) == b""
    assert name not in trading.world.settings().strategies
    (again,) = deploy_cycle(trading.world, CYCLE, TODAY, PLANTED, as_of=day_end(DAY_ONE))
    assert (again.origin.strategy, layer(trading)) == (name, before)


def test_full_size_is_the_end(two: tuple[Any, str]) -> None:
    trading, name = two
    trading.configure(lifecycle={**EASY, "ramps_bps": [2_500, 5_000]})
    promote(trading.world, name, as_of=day_end(DAY_TWO) - timedelta(hours=1))
    assert stage(trading, name) == ("promoted", 5_000)
    with pytest.raises(PaperGateError, match="paper_sample"):
        promote(trading.world, name, as_of=day_end(DAY_TWO))
    assert issubclass(FullSizeError, Exception)


def test_the_past_and_the_unknown_are_refused(one: tuple[Any, str]) -> None:
    trading, name = one
    with pytest.raises(UnknownDeploymentError, match=f"no factory cycle deployed 'x'. Deployed: {name}"):
        promote(trading.world, "x", as_of=day_end(DAY_ONE))
    with pytest.raises(LateTransitionError, match="would change the past"):
        demote(trading.world, name, as_of=HOLDOUT_END - timedelta(hours=1), reason="late")


def test_a_changed_log_stops_everything(one: tuple[Any, str]) -> None:
    trading, name = one
    with trading.store.write("research") as con:
        con.execute("UPDATE deployments SET ramp_bps = 10000 WHERE to_state = 'paper'")
    with pytest.raises(BrokenDeploymentLogError, match="row 2 does not follow"):
        review_day(trading.world, DAY_ONE)
    assert [result.passed for result in examine_log(trading.world)] == [False, False]
    with pytest.raises(BrokenDeploymentLogError, match="row 2 does not follow"):
        trading.world.settings().strategy(name)
