"""Recorded days taken again: what was tampered with is named, and nothing is rewritten."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from openclaw_pipelines.contracts.program import program_version
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.governance.policy import Form
from openclaw_pipelines.resources.store.hold import let_go
from openclaw_pipelines.resources.store.migrations import migrations_of
from openclaw_pipelines.resources.store.strategy_ledger import MissingStateError
from openclaw_pipelines.services.governance.policy import policy_of
from openclaw_pipelines.services.trading import runner
from openclaw_pipelines.services.trading.verification import spans, verify_day

MOMENTUM = "momentum_1h"
DAY_ONE, DAY_TWO = "2025-05-10", "2025-05-11"
NOON = day_start(DAY_ONE) + timedelta(hours=12)


def changed(trading: Any, sql: str, *params: Any) -> set[tuple[str, str, str]]:
    """Differences after one statement on the ledger, as table, kind and column."""
    before = verify_day(trading.ledger(MOMENTUM), DAY_ONE)
    assert before.passed
    with trading.store.write("ledger") as con:
        con.execute(f"{sql} AND strategy_config_id = '{MOMENTUM}'", list(params))
    result = verify_day(trading.ledger(MOMENTUM), DAY_ONE)
    assert not result.passed
    return {(found.table, found.kind, found.column) for found in result.differences}


def test_a_perturbed_bar_is_found_in_every_row_that_rests_on_it(desk: Any) -> None:
    """One price unit of one close: the hash over the bars and the state after the tick no longer agree."""
    trading = desk("recorded")
    last = day_start(DAY_TWO)
    row = trading.rows("tick_inputs", MOMENTUM).filter(tick_at=last).row(0, named=True)
    bars = json.loads(row["bars"])
    bars["BTC/USDT:USDT"][3] += 1
    found = changed(trading, "UPDATE tick_inputs SET bars = ? WHERE tick_at = ?", json.dumps(bars), last)
    assert ("tick_inputs", "changed", "bars_hash") in found
    assert ("autopilot_ticks", "changed", "state_hash") in found
    assert {table for table, _, _ in found} >= {"tick_inputs", "autopilot_ticks"}


@pytest.mark.parametrize(
    ("sql", "difference"),
    [
        pytest.param(
            "UPDATE autopilot_fills SET fee = fee + 0.00000001 WHERE qty > 0",
            ("autopilot_fills", "changed", "fee"),
            id="an atom of a fee",
        ),
        pytest.param(
            "UPDATE autopilot_equity SET equity = equity + 1 WHERE tick_at > '2025-05-10 00:00:00Z'",
            ("autopilot_equity", "changed", "equity"),
            id="equity",
        ),
        pytest.param(
            "DELETE FROM autopilot_orders WHERE leg = 'stop'", ("autopilot_orders", "missing", ""), id="an order"
        ),
        pytest.param(
            "UPDATE autopilot_decisions SET status = 'approved' WHERE status = 'rejected'",
            ("autopilot_decisions", "changed", "status"),
            id="a verdict",
        ),
        pytest.param(
            "UPDATE autopilot_positions SET symbol = 'XXX/USDT' WHERE symbol = 'SOL/USDT'",
            ("autopilot_positions", "extra", ""),
            id="a position of something else",
        ),
    ],
)
def test_a_tampered_row_is_named(desk: Any, sql: str, difference: tuple[str, str, str]) -> None:
    found = changed(desk("recorded"), sql)
    assert difference in found
    assert {table for table, _, _ in found} == {difference[0]}


def test_what_lies_outside_the_hash_may_differ(desk: Any) -> None:
    trading = desk("recorded")
    before = trading.hash(MOMENTUM)
    with trading.store.write("ledger") as con:
        con.execute("UPDATE autopilot_ticks SET recorded_at = '2030-01-01 00:00:00Z'")
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed
    assert trading.hash(MOMENTUM) == before


def test_verifying_writes_nothing(desk: Any) -> None:
    trading = desk("recorded")
    before = trading.counts()
    result = verify_day(trading.ledger(MOMENTUM), DAY_ONE)
    assert (result.ticks, result.program_version) == (24, program_version())
    assert trading.counts() == before


def test_a_partly_recorded_day_is_verified_as_far_as_it_goes(desk: Any) -> None:
    trading = desk("asked")
    trading.run(MOMENTUM, DAY_ONE, NOON)
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).ticks == 12


def test_a_day_that_is_not_recorded_has_nothing_to_verify(desk: Any) -> None:
    result = verify_day(desk("asked").ledger(MOMENTUM), DAY_ONE)
    assert (result.ticks, result.compared, result.passed) == (0, {}, True)


def test_without_the_state_it_starts_from(desk: Any) -> None:
    trading = desk("recorded")
    with trading.store.write("ledger") as con:
        con.execute("DELETE FROM kernel_states WHERE tick_at = ?", [day_start(DAY_ONE)])
    with pytest.raises(MissingStateError, match="momentum_1h has no kernel state at 2025-05-10T00:00:00"):
        verify_day(trading.ledger(MOMENTUM), DAY_ONE)


def test_a_store_of_the_first_schema_opens_verifies_and_goes_on(desk: Any) -> None:
    """Policies were keyed by their id alone, so that two strategies under one policy had one row."""
    trading = desk("recorded")
    policies = trading.store.table("policy_versions").sort("strategy_config_id")
    assert policies["policy_version_id"].n_unique() == 1
    assert policies["strategy_config_id"].to_list() == ["breakout_15m", MOMENTUM]
    with trading.store.write("ledger") as con:
        con.execute("ALTER TABLE policy_versions RENAME TO newer")
        con.execute(migrations_of("ledger")[0].sql)
        con.execute("INSERT INTO policy_versions SELECT * FROM newer WHERE strategy_config_id = 'breakout_15m'")
        con.execute("DROP TABLE newer")
        con.execute("DELETE FROM schema_migrations WHERE number > 2")
    let_go()
    assert trading.store.table("policy_versions").sort("strategy_config_id").equals(policies)
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed
    assert trading.run(MOMENTUM, DAY_TWO, day_start(DAY_TWO) + timedelta(hours=1)).taken == 1
    assert trading.store.table("policy_versions").sort("strategy_config_id").equals(policies)
    assert verify_day(trading.ledger(MOMENTUM), DAY_TWO).passed


def test_ticks_recorded_before_every_layer_had_a_word(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old ticks replay to their old word; the next tick has the right one, under a policy of its own."""
    trading = desk("asked")
    (Path(trading.tree["data_dir"]) / "overlay.yaml").write_text("risk: {max_order_notional: 700}\n")
    with monkeypatch.context() as before:
        before.setattr(runner, "policy_of", lambda own: replace(policy_of(own), form=Form.THREE_WORDS))
        trading.run(MOMENTUM, DAY_ONE, NOON)
    recorded = trading.store.table("policy_versions")["limits"].to_list()
    assert ["form" in json.loads(limits) for limits in recorded] == [False]
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed
    trading.run(MOMENTUM)
    decisions = trading.rows("autopilot_decisions", MOMENTUM)
    words = {
        (row["tick_at"] > NOON, row["policy_source"], json.loads(row["base_limits"])["max_order_notional"]["from"])
        for row in decisions.to_dicts()
    }
    assert words == {(False, "legacy default", "overlay overlay.yaml"), (True, "overlay", "overlay overlay.yaml")}
    assert trading.store.table("policy_versions")["first_tick_at"].sort().to_list() == [
        day_start(DAY_ONE),
        NOON + timedelta(hours=1),
    ]
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


def test_states_are_kept_for_days_ends_and_the_newest_tick(desk: Any) -> None:
    trading = desk("asked")
    for hours in (3, 5, 12):
        trading.run(MOMENTUM, DAY_ONE, day_start(DAY_ONE) + timedelta(hours=hours))
    kept = trading.rows("kernel_states", MOMENTUM)["tick_at"].sort().to_list()
    assert kept == [day_start(DAY_ONE), NOON]


def test_a_forged_fill_with_a_forged_report_is_found(desk: Any) -> None:
    """What paper reported is worked out again: a report that agrees with the forged fill does not help it."""
    trading = desk("recorded")
    fills = trading.rows("autopilot_fills", MOMENTUM).sort("tick_at")
    own = fills.row(0, named=True)
    row = trading.rows("tick_inputs", MOMENTUM).filter(tick_at=own["tick_at"]).row(0, named=True)
    forged, price = json.loads(row["reports"]), own["price"] + 1
    (told,) = [one for one in forged if one["order_key"] == own["order_key"]]
    told["price"] = str(price)
    with trading.store.write("ledger") as con:
        con.execute(
            "UPDATE tick_inputs SET reports = ? WHERE tick_at = ? AND strategy_config_id = ?",
            [json.dumps(forged), own["tick_at"], MOMENTUM],
        )
    found = changed_by(trading, "UPDATE autopilot_fills SET price = ? WHERE fill_key = ?", price, own["fill_key"])
    assert ("autopilot_fills", "changed", "price") in found
    assert ("tick_inputs", "changed", "reports") in found


def changed_by(trading: Any, sql: str, *params: Any) -> set[tuple[str, str, str]]:
    """Differences after one statement."""
    with trading.store.write("ledger") as con:
        con.execute(sql, list(params))
    result = verify_day(trading.ledger(MOMENTUM), DAY_ONE)
    return {(found.table, found.kind, found.column) for found in result.differences}


def test_days_are_taken_again_in_groups_that_are_no_longer_than_a_week_and_a_day(desk: Any) -> None:
    trading = desk("recorded")
    shifted = "tick_at + to_days(CAST(n AS INTEGER)) AS tick_at"
    with trading.store.write("ledger") as con:
        con.execute(
            f"INSERT INTO autopilot_ticks SELECT * EXCLUDE (n) REPLACE ({shifted}) "
            "FROM autopilot_ticks, range(1, 12) t(n) "
            f"WHERE strategy_config_id = '{MOMENTUM}' AND status <> 'inception'"
        )
    days = [f"2025-05-{day}" for day in range(10, 22)]
    assert [len(group) for group in spans(trading.ledger(MOMENTUM), days)] == [8, 4]
    assert spans(trading.ledger(MOMENTUM), [days[0], *days[2:4]]) == [[days[0]], days[2:4]]
    with trading.store.write("ledger") as con:  # a deployment that begins on the fifth day
        con.execute(f"UPDATE autopilot_ticks SET status = 'inception' WHERE tick_at = '{days[4]} 00:00:00Z'")
    assert [group[0] for group in spans(trading.ledger(MOMENTUM), days)] == [days[0], days[4]]
