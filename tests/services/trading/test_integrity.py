"""Ways to tamper with a ledger of which taking its ticks again sees nothing, or which must be named and never crash."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from openclaw_pipelines.commands.approvals import answer
from openclaw_pipelines.contracts.governance import Answer
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.resources.store.strategy_ledger import MissingRowError, StateChangedError
from openclaw_pipelines.services.evaluation.verifying import recorded_days, verify_strategy
from openclaw_pipelines.services.governance.observing import observe
from openclaw_pipelines.services.trading.integrity import verify_integrity

MOMENTUM = "momentum_1h"
DAY_ONE, DAY_TWO = "2025-05-10", "2025-05-11"
INCEPTION, LAST = "2025-05-10 00:00:00Z", "2025-05-11 00:00:00Z"
NINE = "2025-05-10 09:00:00Z"
OWN = f"strategy_config_id = '{MOMENTUM}'"


def found_after(own: Any, *statements: str) -> set[tuple[str, str, str]]:
    """What `openclaw verify` finds after statements on the ledger: table, kind and column."""
    with own.store.write("ledger") as con:
        for statement in statements:
            con.execute(statement)
    days = recorded_days(own.world, MOMENTUM, None, None)
    differences = verify_strategy(own.world, MOMENTUM, days).differences
    return {(str(one["table"]), str(one["kind"]), str(one["column"])) for one in differences}


def copied(table: str, where: str, **columns: str) -> str:
    """A statement that plants a row like one that is there."""
    replaced = ", ".join(f"{value} AS {name}" for name, value in columns.items())
    chosen = f"* REPLACE ({replaced})" if replaced else "*"
    return f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE {OWN} AND {where} LIMIT 1"


TAMPERED: dict[str, tuple[str, tuple[str, str, str]]] = {
    "selection of a universe": (
        f"UPDATE autopilot_universe_snapshots SET selected = '[\"BTC/USDT:USDT\"]' WHERE {OWN}",
        ("autopilot_universe_snapshots", "changed", "selected"),
    ),
    "a universe that is gone": (
        f"DELETE FROM autopilot_universe_snapshots WHERE {OWN}",
        ("autopilot_universe_snapshots", "missing", ""),
    ),
    "a universe that no tick used": (
        copied("autopilot_universe_snapshots", "true", universe_key="universe_key || 'x'"),
        ("autopilot_universe_snapshots", "extra", ""),
    ),
    "capital of the inception": (
        f"UPDATE autopilot_equity SET cash = cash + 1, equity = equity + 1 WHERE {OWN} AND tick_at = '{INCEPTION}'",
        ("autopilot_equity", "changed", "cash"),
    ),
    "capital of the deployment": (
        'UPDATE tick_contexts SET payload = replace(payload, \'"capital":"\', \'"capital":"1\')',
        ("tick_contexts", "changed", "payload"),
    ),
    "a warm-up bar": (
        f"UPDATE tick_inputs SET bars = regexp_replace(bars, '\\[(\\d)', '[1\\1') WHERE {OWN} "
        f"AND tick_at = '{INCEPTION}'",
        ("tick_inputs", "changed", "bars_hash"),
    ),
    "the input of the inception": (
        f"DELETE FROM tick_inputs WHERE {OWN} AND tick_at = '{INCEPTION}'",
        ("tick_inputs", "missing", ""),
    ),
    "a day of inputs, and a fill invented in it": (
        f"DELETE FROM tick_inputs WHERE {OWN} AND tick_at > '{INCEPTION}'",
        ("tick_inputs", "missing", ""),
    ),
    "the input of the last tick": (
        f"DELETE FROM tick_inputs WHERE {OWN} AND tick_at = '{LAST}'",
        ("tick_inputs", "missing", ""),
    ),
    "an input without its tick": (
        f"DELETE FROM autopilot_ticks WHERE {OWN} AND tick_at = '{NINE}'",
        ("tick_inputs", "extra", ""),
    ),
    "a tick off the grid": (
        f"UPDATE autopilot_ticks SET tick_at = tick_at + INTERVAL 1 MINUTE WHERE {OWN} AND tick_at = '{NINE}'",
        ("autopilot_ticks", "extra", ""),
    ),
    "what a phase counted": (
        f"UPDATE autopilot_ticks SET phases = '{{}}' WHERE {OWN} AND tick_at = '{NINE}'",
        ("autopilot_ticks", "changed", "phases"),
    ),
    "a fingerprint of a run": (
        f"UPDATE autopilot_fills SET run_fingerprint = 'another' WHERE {OWN}",
        ("autopilot_fills", "changed", "run_fingerprint"),
    ),
    "limits of a policy": (
        f"UPDATE policy_versions SET limits = replace(limits, '20000', '90000') WHERE {OWN}",
        ("policy_versions", "changed", "limits"),
    ),
    "since when a policy holds": (
        f"UPDATE policy_versions SET first_tick_at = first_tick_at + INTERVAL 1 HOUR WHERE {OWN}",
        ("policy_versions", "changed", "first_tick_at"),
    ),
    "a policy that is gone": (f"DELETE FROM policy_versions WHERE {OWN}", ("policy_versions", "missing", "")),
    "a policy that no tick used": (
        copied("policy_versions", "true", policy_version_id="'another'"),
        ("policy_versions", "extra", ""),
    ),
    "a context that is gone": ("DELETE FROM tick_contexts", ("tick_contexts", "missing", "")),
    "the hash of a state": (
        f"UPDATE kernel_states SET state_hash = 'another' WHERE {OWN} AND tick_at = '{LAST}'",
        ("kernel_states", "changed", "state"),
    ),
    "a bit of the newest state": (
        "UPDATE kernel_states SET state = unhex(substring(hex(state), 1, 199) || "
        "if(substring(hex(state), 200, 1) = '7', '6', '7') || substring(hex(state), 201)) "
        f"WHERE {OWN} AND tick_at = '{LAST}'",
        ("kernel_states", "changed", "state"),
    ),
    "a state of another tick": (
        f"UPDATE kernel_states SET state = other.state, state_hash = other.state_hash FROM kernel_states other "
        f"WHERE kernel_states.{OWN} AND kernel_states.tick_at = '{LAST}' AND other.tick_at = '{INCEPTION}' "
        f"AND other.{OWN}",
        ("kernel_states", "changed", "state_hash"),
    ),
    "a state that is gone": (
        f"DELETE FROM kernel_states WHERE {OWN} AND tick_at = '{LAST}'",
        ("kernel_states", "missing", ""),
    ),
    "an invented approval": (
        "INSERT INTO operator_requests SELECT account_id, strategy_config_id, recorded_at, run_fingerprint, 'k', "
        f"decision_key, 'approve', recorded_at FROM autopilot_decisions WHERE {OWN} LIMIT 1",
        ("operator_requests", "extra", ""),
    ),
    "a fill after the last tick": (
        copied("autopilot_fills", "qty > 0", fill_key="'k'", tick_at="tick_at + INTERVAL 2 DAY"),
        ("autopilot_fills", "extra", ""),
    ),
    "a fill that is there twice": (copied("autopilot_fills", "qty > 0"), ("autopilot_fills", "extra", "")),
    "a tick that is there twice": (copied("autopilot_ticks", "true"), ("autopilot_ticks", "extra", "")),
    "a context that is there twice": (
        "INSERT INTO tick_contexts SELECT * FROM tick_contexts SEMI JOIN "
        f"(SELECT context_hash FROM tick_inputs WHERE {OWN}) USING (context_hash)",
        ("tick_contexts", "extra", ""),
    ),
    "a position of no tick": (
        copied("autopilot_positions", "true", tick_at="tick_at + INTERVAL 7 MINUTE"),
        ("autopilot_positions", "extra", ""),
    ),
}


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        pytest.param(
            "UPDATE candles SET close = close + 0.1, high = high + 0.1 WHERE interval = '1h' "
            "AND ts = '2025-05-10 05:00:00Z'",
            ("candles", "changed", "close"),
            id="a candle off by one tick",
        ),
        pytest.param(
            "DELETE FROM candles WHERE interval = '1h' AND ts = '2025-05-10 05:00:00Z'",
            ("candles", "missing", ""),
            id="a candle that is gone",
        ),
        pytest.param(
            "UPDATE candles SET low = low - 0.1 WHERE interval = '1h' AND ts = '2025-05-09 23:00:00Z'",
            ("candles", "changed", "low"),
            id="a candle of the warm-up",
        ),
        pytest.param(
            "UPDATE funding_rates SET funding_rate = funding_rate * 2 WHERE ts >= '2025-05-10'",
            ("funding_rates", "changed", "funding_rate"),
            id="a rate that was charged",
        ),
    ],
)
def test_what_ticks_consumed_is_held_against_the_market(
    desk: Callable[..., Any], statement: str, difference: tuple[str, str, str]
) -> None:
    own = desk("recorded")
    assert found_after(own) == set()
    with own.store.write("market") as con:
        con.execute(statement)
    assert difference in found_after(own)


@pytest.mark.parametrize(
    "late",
    [
        pytest.param("candles WHERE interval = '1h' AND ts = '2025-05-10 05:00:00Z'", id="a bar"),
        pytest.param("funding_rates WHERE ts = '2025-05-10 08:00:00Z'", id="a rate"),
    ],
)
def test_what_came_late_is_no_difference(desk: Callable[..., Any], late: str) -> None:
    own = desk("asked")
    with own.store.write("market") as con:
        rows = con.execute(f"SELECT * FROM {late}").pl()
        con.execute(f"DELETE FROM {late}")
    assert rows.height > 0
    own.run(MOMENTUM)
    with own.store.write("market") as con:
        con.register("rows", rows)
        con.execute(f"INSERT INTO {late.split()[0]} BY NAME SELECT * FROM rows")
    assert found_after(own) == set()


@pytest.mark.parametrize("way", TAMPERED)
def test_each_way_is_found(desk: Callable[..., Any], way: str) -> None:
    statement, difference = TAMPERED[way]
    assert difference in found_after(desk("recorded"), statement)


def test_a_ledger_as_it_was_recorded_belongs_together(desk: Callable[..., Any]) -> None:
    own = desk("recorded")
    assert verify_integrity(own.ledger(MOMENTUM)) == []
    own.run(MOMENTUM, DAY_TWO, day_start(DAY_TWO) + timedelta(hours=5))
    assert verify_integrity(own.ledger(MOMENTUM)) == []


def test_a_new_deployment_may_begin_after_a_pause(desk: Callable[..., Any]) -> None:
    own = desk("asked")
    own.run(MOMENTUM, DAY_ONE, day_start(DAY_ONE) + timedelta(hours=5))
    own.strategy(MOMENTUM, start_day=DAY_TWO, params={"momentum_lookback": 5})
    own.run(MOMENTUM, DAY_TWO)
    assert verify_integrity(own.ledger(MOMENTUM)) == []
    assert found_after(own, f"DELETE FROM autopilot_ticks WHERE {OWN} AND tick_at = '2025-05-10 03:00:00Z'") >= {
        ("autopilot_ticks", "missing", "")
    }


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        pytest.param(
            "DELETE FROM admin_actions WHERE sequence = {last}", ("admin_actions", "missing", ""), id="cut off"
        ),
        pytest.param("DELETE FROM admin_actions", ("admin_actions", "missing", ""), id="all of it"),
    ],
)
def test_moves_that_are_gone_are_found(
    desk: Callable[..., Any], statement: str, difference: tuple[str, str, str]
) -> None:
    """The chain itself holds: its end is nobody's predecessor."""
    own = desk("recorded")
    last = own.rows("admin_actions", MOMENTUM)["sequence"].max()
    assert difference in found_after(
        own, f"{statement.format(last=last)}{' AND' if '{' in statement else ' WHERE'} {OWN}"
    )


def test_a_chain_that_was_computed_anew_is_found(desk: Callable[..., Any]) -> None:
    """Every hash of it holds; what it says is not what the ticks did."""
    from openclaw_pipelines.domain.governance.audit import AuditChain, AuditEntry

    own = desk("recorded")
    rows = own.store.table("admin_actions").filter(strategy_config_id=MOMENTUM).sort("sequence").to_dicts()
    rows[-1]["to_state"] = "declined"
    names = ("action", "subject", "from_state", "to_state", "tick_at", "actor", "details")
    chained = AuditChain("paper", MOMENTUM).append(AuditEntry(**{name: row[name] for name in names}) for row in rows)
    with own.store.write("ledger") as con:
        for row in chained:
            con.execute(
                f"UPDATE admin_actions SET to_state = ?, prev_hash = ?, row_hash = ? WHERE {OWN} AND sequence = ?",
                [row["to_state"], row["prev_hash"], row["row_hash"], row["sequence"]],
            )
    assert {("admin_actions", "extra", ""), ("admin_actions", "missing", "")} <= found_after(own)


def test_no_tick_goes_on_from_a_state_that_was_changed(desk: Callable[..., Any]) -> None:
    own = desk("recorded")
    found_after(own, f"UPDATE kernel_states SET state_hash = 'another' WHERE {OWN} AND tick_at = '{LAST}'")
    with pytest.raises(StateChangedError, match="momentum_1h at 2025-05-11"):
        own.run(MOMENTUM, DAY_TWO)


def test_no_tick_goes_on_from_an_input_that_is_gone(desk: Callable[..., Any]) -> None:
    own = desk("recorded")
    found_after(own, f"DELETE FROM tick_inputs WHERE {OWN} AND tick_at = '{LAST}'")
    with pytest.raises(MissingRowError, match="no row of tick_inputs and tick_contexts for its tick at 2025-05-11"):
        own.run(MOMENTUM, DAY_TWO)


def test_an_answer_that_nobody_gave_is_found(desk: Callable[..., Any]) -> None:
    """To a proposal that waits, so that the next tick takes it: only the account's chain knows who answered."""
    own = desk("asked")
    own.strategy(MOMENTUM, mode="assist", approval_ticks=24)
    own.run(MOMENTUM, DAY_ONE, day_start(DAY_ONE) + timedelta(hours=20))
    first, second, *_ = own.ledger(MOMENTUM).waiting_keys()
    observe(own.world)
    answer(own.world, first, Answer.APPROVE, own.clock.now(), actor="operator:ann", reason="looked at it")
    assert found_after(own) == set()
    forged = f"INSERT INTO operator_requests SELECT * REPLACE ('{second}' AS decision_key, 'k' AS request_key) FROM "
    assert found_after(own, f"{forged} operator_requests") == {("operator_requests", "extra", "")}
    own.run(MOMENTUM)
    assert ("operator_requests", "extra", "") in found_after(own)
