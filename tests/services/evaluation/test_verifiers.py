"""Strategies verified side by side: the same answer as one after another, whatever it is, with each day told."""

from typing import Any

import duckdb
import pytest

from openclaw_pipelines.domain.governance.audit import BrokenChainError
from openclaw_pipelines.processes import verifiers
from openclaw_pipelines.processes.verifiers import verify_all
from openclaw_pipelines.resources.store.hold import let_go

DAYS = {"momentum_1h": ["2025-05-10"], "breakout_15m": ["2025-05-10"]}


@pytest.fixture
def own(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A recorded day of two strategies, found by the environment."""
    built = desk("recorded")
    monkeypatch.setenv("OPENCLAW_CONFIG", str(built.folder / "autopilot.yaml"))
    return built


def changed(desk: Any, sql: str) -> None:
    let_go()
    with duckdb.connect(str(desk.folder / "data" / "ledger.duckdb")) as con:
        con.execute(sql)


def test_side_by_side_is_one_after_another(own: Any) -> None:
    changed(own, "UPDATE autopilot_fills SET fee = fee + 1 WHERE strategy_config_id = 'breakout_15m'")
    told: list[int] = []
    alone = verify_all(own.world, DAYS, processes=1)
    let_go()
    beside = verify_all(own.world, DAYS, lambda: told.append(1), processes=2)
    assert beside == alone
    assert [one.strategy for one in beside] == list(DAYS)
    assert (alone[0].differences, len(alone[1].differences) > 0) == ([], True)
    assert (alone[0].ticks, alone[1].ticks) == (24, 96)
    assert len(told) == 2


def test_what_is_wrong_with_one_is_raised_as_it_is(own: Any) -> None:
    changed(own, "UPDATE admin_actions SET actor = 'nobody' WHERE strategy_config_id = 'breakout_15m'")
    with pytest.raises(BrokenChainError) as caught:
        verify_all(own.world, DAYS, processes=2)
    with pytest.raises(BrokenChainError) as alone:
        verify_all(own.world, DAYS, processes=1)
    assert str(caught.value) == str(alone.value)


def test_a_few_days_start_no_process(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a process was started")

    monkeypatch.setattr(verifiers, "ProcessPoolExecutor", refuse)
    assert [one.ticks for one in verify_all(own.world, DAYS)] == [24, 96]
    monkeypatch.setattr(verifiers, "DAYS_OF_A_PROCESS", 1)  # the twin
    monkeypatch.setattr(verifiers.os, "sched_getaffinity", lambda pid: {0, 1})
    with pytest.raises(AssertionError, match="a process was started"):
        verify_all(own.world, DAYS)
