"""`paper_replay_parity`: classes by what differs, and reports that go stale."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from planted_cycle import DAY_ONE, DAY_TWO, SLOT

from openclaw_pipelines.services.lifecycle.examination import examine_paper
from openclaw_pipelines.services.lifecycle.paper_parity import paper_parity, record_paper_parity
from openclaw_pipelines.services.trading.verification import verify_day

OWN = f"strategy_config_id = '{SLOT}'"


def test_an_untouched_day_is_equal(desk: Callable[..., Any]) -> None:
    trading = desk("recorded")
    row = record_paper_parity(trading.world, verify_day(trading.ledger(SLOT), DAY_ONE))
    assert (row["verdict"], row["differing"], row["first_difference"]) == ("EQUAL", "[]", None)
    assert row["left_hash"] == row["right_hash"]
    assert row["left_contract"] == row["right_contract"]
    assert set(json.loads(row["symbols"]).values()) == {"EQUAL"}
    again = record_paper_parity(trading.world, verify_day(trading.ledger(SLOT), DAY_ONE))
    assert again == row, "a report holds no wall clock"
    assert trading.store.table("parity_reports").height == 1
    (state,) = paper_parity(trading.world, SLOT, [DAY_ONE])
    assert state.passed


@pytest.mark.parametrize(
    ("sql", "kind", "table"),
    [
        pytest.param("autopilot_fills SET fee = fee + 1E-8", "STATE_MACHINE", "autopilot_fills", id="a fee"),
        pytest.param("autopilot_orders SET qty = qty + 1", "STATE_MACHINE", "autopilot_orders", id="a quantity"),
        pytest.param("autopilot_equity SET equity = equity + 1", "REDUCTION_ORDER", "autopilot_equity", id="equity"),
        pytest.param("tick_inputs SET bars_hash = 'x'", "INVALID_COMPARISON", "tick_inputs", id="bars"),
        pytest.param("autopilot_ticks SET program_version = '0.0.1'", "INVALID_COMPARISON", "", id="a version"),
    ],
)  # fmt: skip
def test_the_class_says_what_differs(desk: Callable[..., Any], sql: str, kind: str, table: str) -> None:
    trading = desk("recorded")
    with trading.store.write("ledger") as con:
        con.execute(f"UPDATE {sql} WHERE {OWN} AND tick_at > '2025-05-10 00:00:00Z'")
    result = examine_paper(trading.world, verify_day(trading.ledger(SLOT), DAY_ONE))
    assert (result.passed, result.severity, result.facts["verdict"]) == (False, "error", kind)
    (row,) = trading.store.table("parity_reports").to_dicts()
    assert (row["left_contract"] == row["right_contract"]) == (kind != "INVALID_COMPARISON")
    assert (json.loads(row["first_difference"])["table"] if table else row["first_difference"]) == (table or None)
    (state,) = paper_parity(trading.world, SLOT, [DAY_ONE])
    assert state.fresh
    assert not state.passed


def test_only_the_symbols_that_differ_are_red(desk: Callable[..., Any]) -> None:
    trading = desk("recorded")
    symbol = trading.rows("autopilot_fills", SLOT)["symbol"][0]
    with trading.store.write("ledger") as con:
        con.execute(f"UPDATE autopilot_fills SET fee = fee + 1 WHERE {OWN} AND symbol = ?", [symbol])
    row = record_paper_parity(trading.world, verify_day(trading.ledger(SLOT), DAY_ONE))
    found = json.loads(row["symbols"])
    assert {name for name, kind in found.items() if kind == "STATE_MACHINE"} == {symbol}
    assert len(found) == 3


def test_a_report_goes_stale(desk: Callable[..., Any]) -> None:
    """By rows that changed since, and by other sources of the kernel; a day without one has none."""
    trading = desk("recorded")
    record_paper_parity(trading.world, verify_day(trading.ledger(SLOT), DAY_ONE))
    with trading.store.write("ledger") as con:
        con.execute(f"UPDATE autopilot_equity SET cash = cash + 1 WHERE {OWN}")
    changed, absent = paper_parity(trading.world, SLOT, [DAY_ONE, DAY_TWO])
    assert (changed.fresh, changed.reason) == (False, "rows of the day changed since the report")
    assert (absent.fresh, absent.kind) == (False, None)
    with trading.store.write("research") as con:
        con.execute("UPDATE parity_reports SET code_version = 'old'")
    (other,) = paper_parity(trading.world, SLOT, [DAY_ONE])
    assert other.reason == "the report is about other sources of the kernel"


def test_a_day_without_ticks_has_nothing_to_compare(desk: Callable[..., Any]) -> None:
    trading = desk("asked")
    assert record_paper_parity(trading.world, verify_day(trading.ledger(SLOT), DAY_ONE)) is None
    assert examine_paper(trading.world, verify_day(trading.ledger(SLOT), DAY_ONE)).passed
    assert trading.store.table("parity_reports").height == 0
