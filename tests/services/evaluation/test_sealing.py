"""Seals: what each covers, in which order days are sealed, and ways to tamper that nothing else shows."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from stores import copy_store

from openclaw_pipelines.commands.verify import SealNotFoundError, _judge
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.governance.audit import AuditChain, AuditEntry
from openclaw_pipelines.domain.governance.seals import sealed
from openclaw_pipelines.services.evaluation import sealing as sealing_module
from openclaw_pipelines.services.evaluation.evaluator import Evaluator
from openclaw_pipelines.services.evaluation.sealed import verify_seals
from openclaw_pipelines.services.evaluation.sealing import (
    SealsDifferError,
    seal_days,
    seal_file,
    seals_of,
    tables_of,
    write_file,
)
from openclaw_pipelines.services.evaluation.verifying import recorded_days, verify_strategy
from openclaw_pipelines.services.market.features import compute_features

MOMENTUM = "momentum_1h"
BEFORE, DAY_ONE, DAY_TWO = "2025-05-09", "2025-05-10", "2025-05-11"
OWN = f"strategy_config_id = '{MOMENTUM}'"
DAY_TWO_TICKS = "tick_at > '2025-05-11 00:00:00Z'"
OF_TICKS = (
    "autopilot_proposals", "autopilot_decisions", "autopilot_orders", "autopilot_fills", "autopilot_funding_payments",
    "autopilot_positions", "autopilot_equity", "reconcile_events", "autopilot_ticks", "tick_inputs", "kernel_states",
)  # fmt: skip
CUT = [f"DELETE FROM {table} WHERE {OWN} AND {DAY_TWO_TICKS}" for table in OF_TICKS] + [
    f"DELETE FROM autopilot_outcomes WHERE {OWN} AND decided_at > '2025-05-11 00:00:00Z'",
    f"DELETE FROM autopilot_universe_snapshots WHERE {OWN} AND as_of >= '2025-05-11 00:00:00Z'",
    f"DELETE FROM admin_actions WHERE {OWN} AND sequence > "
    f"(SELECT audit_rows FROM seals WHERE {OWN} AND day = '{DAY_ONE}')",
]
"""The last day taken away with everything that points to it."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves what all begin with."""
    return tmp_path_factory.mktemp("sealed") / "data"


@pytest.fixture
def own(desk: Callable[..., Any], kept: Path) -> Any:
    """Two days of a strategy, sealed."""
    made = desk("recorded")
    data = Path(made.folder) / "data"
    if kept.exists():
        shutil.rmtree(data)
        copy_store(kept, data)
        made.clock.set(day_start("2025-06-01"))
        return made
    made.run(MOMENTUM, DAY_TWO)
    sealing = seal_days(made.world, MOMENTUM, DAY_TWO)
    assert [row["day"] for row in sealing.sealed] == [BEFORE, DAY_ONE, DAY_TWO]
    assert sealing.waiting is None
    copy_store(data, kept)
    return made


def change(own: Any, *statements: str) -> None:
    with own.store.write("ledger") as con:
        for statement in statements:
            con.execute(statement)


def found(own: Any) -> set[tuple[str, str, str]]:
    return {(one.table, one.kind, one.column) for one in verify_seals(own.world, MOMENTUM).differences}


def expect(own: Any, seal: str) -> None:
    """What `openclaw verify --expect` does at its end."""
    _judge(own.world, [verify_strategy(own.world, MOMENTUM, [], whole=False)], [seal])


def recompute_chain(own: Any, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the audit trail and give every row its right hash."""
    rows = own.store.table("admin_actions").filter(strategy_config_id=MOMENTUM).sort("sequence").to_dicts()
    change(rows)
    names = ("action", "subject", "from_state", "to_state", "tick_at", "actor", "details")
    chained = AuditChain("paper", MOMENTUM).append(AuditEntry(**{name: row[name] for name in names}) for row in rows)
    columns = (*names, "sequence", "prev_hash", "row_hash")
    with own.store.write("ledger") as con:
        con.execute(f"DELETE FROM admin_actions WHERE {OWN} AND sequence > {len(chained)}")
        for row in chained:
            given = ", ".join(f"{name} = ?" for name in columns)
            values = [row[name] for name in columns]
            con.execute(f"UPDATE admin_actions SET {given} WHERE {OWN} AND sequence = ?", [*values, row["sequence"]])


def test_a_sealed_ledger_verifies_and_leads_to_each_of_its_seals(own: Any) -> None:
    days = recorded_days(own.world, MOMENTUM, None, None)
    result = verify_strategy(own.world, MOMENTUM, days)
    rows = seals_of(own.ledger(MOMENTUM))
    assert result.differences == []
    assert (result.sealed_until, result.seal, result.unknown) == (DAY_TWO, rows[-1]["seal"], [])
    for row in rows:
        expect(own, row["seal"])
    with pytest.raises(SealNotFoundError, match="no seal of momentum_1h is 00ff"):
        expect(own, "00ff")


def test_what_a_seal_covers(own: Any) -> None:
    before, one, two = seals_of(own.ledger(MOMENTUM))
    assert set(json.loads(before["tables"])) == {
        "autopilot_equity", "autopilot_ticks", "policy_versions", "tick_inputs",
    }  # fmt: skip
    covered = json.loads(one["tables"])
    assert covered["autopilot_ticks"][0] == covered["tick_inputs"][0] == covered["autopilot_equity"][0] == 24
    assert covered["autopilot_universe_snapshots"][0] == 1
    matured = own.store.table("autopilot_outcomes").filter(strategy_config_id=MOMENTUM)
    within = matured["matured_at"].is_between(day_start(DAY_ONE), day_start(DAY_TWO), closed="right")
    assert covered["autopilot_outcomes"][0] == within.sum() > 0
    assert one["row_count"] == sum(rows for rows, _ in covered.values())
    assert [row["prev_seal"] for row in (before, one, two)] == ["0" * 64, before["seal"], one["seal"]]
    lines = seal_file(own.world, MOMENTUM).path.read_text().splitlines()
    assert [json.loads(line)["seal"] for line in lines] == [row["seal"] for row in (before, one, two)]


SEALED: dict[str, tuple[list[str], tuple[str, str, str]]] = {
    "the program's version": (
        [f"UPDATE autopilot_ticks SET program_version = '9.9.9' WHERE {OWN}"],
        ("autopilot_ticks", "changed", "sha256"),
    ),
    "when a row was written": (
        [f"UPDATE autopilot_fills SET recorded_at = recorded_at - INTERVAL 1 HOUR WHERE {OWN}"],
        ("autopilot_fills", "changed", "sha256"),
    ),
    "the last day, with all that points to it": (CUT, ("autopilot_ticks", "changed", "rows")),
    "the last day and its seal": (
        [*CUT, f"DELETE FROM seals WHERE {OWN} AND day = '{DAY_TWO}'"],
        ("seals", "missing", ""),
    ),
    "all seals": ([f"DELETE FROM seals WHERE {OWN}"], ("seals", "missing", "")),
    "a seal": (
        [f"UPDATE seals SET seal = if(seal[1] = 'a', 'b', 'a') || seal[2:] WHERE {OWN} AND day = '{DAY_ONE}'"],
        ("seals", "changed", "seal"),
    ),
    "what a seal covers": (
        [f"UPDATE seals SET row_count = row_count + 1 WHERE {OWN} AND day = '{DAY_ONE}'"],
        ("seals", "changed", "seal"),
    ),
    "an outcome that is gone": (
        [f"DELETE FROM autopilot_outcomes WHERE {OWN} AND decided_at < '2025-05-10 12:00:00Z'"],
        ("autopilot_outcomes", "changed", "rows"),
    ),
    "the end of the audit trail": (
        [f"DELETE FROM admin_actions WHERE {OWN} AND sequence = (SELECT max(sequence) FROM admin_actions WHERE {OWN})"],
        ("admin_actions", "missing", ""),
    ),
    "the whole audit trail": ([f"DELETE FROM admin_actions WHERE {OWN}"], ("admin_actions", "missing", "")),
    "a seal that is no seal": (
        [f"UPDATE seals SET tables = '[1' WHERE {OWN} AND day = '{DAY_ONE}'"],
        ("seals", "changed", "tables"),
    ),
    "every row of the strategy": (
        [f"DELETE FROM {table} WHERE {OWN}" for table in (*OF_TICKS, "admin_actions", "autopilot_outcomes", "seals")],
        ("seals", "missing", ""),
    ),
}


@pytest.mark.parametrize("way", SEALED)
def test_each_way_breaks_a_seal(own: Any, way: str) -> None:
    statements, difference = SEALED[way]
    assert found(own) == set()
    change(own, *statements)
    assert difference in found(own)


def test_a_row_of_the_evaluator_in_a_chain_computed_anew_breaks_a_seal(own: Any) -> None:
    """No tick makes it, so taking ticks again does not miss it."""

    def hide(rows: list[dict[str, Any]]) -> None:
        assert rows[-1]["to_state"] == "outcome_evaluated"
        rows[-1]["actor"] = "somebody"

    recompute_chain(own, hide)
    assert ("admin_actions", "changed", "row_hash") in found(own)


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        pytest.param(lambda lines: [], ("seal file", "missing", ""), id="deleted"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1]], ("seal file", "changed", "seal"), id="turned round"),
        pytest.param(lambda lines: [*lines, lines[-1]], ("seals", "missing", ""), id="a line too many"),
        pytest.param(lambda lines: ["{}\n", *lines[1:]], ("seal file", "changed", "seal"), id="an edited line"),
    ],
)
def test_a_file_that_was_changed_is_found_and_no_day_is_sealed(
    own: Any, edit: Callable[[list[str]], list[str]], difference: tuple[str, str, str]
) -> None:
    file = seal_file(own.world, MOMENTUM)
    file.path.write_text("".join(edit(file.text().splitlines(keepends=True))), encoding="utf-8")
    assert difference in found(own)
    change(own, *CUT, f"DELETE FROM seals WHERE {OWN} AND day = '{DAY_TWO}'")
    own.run(MOMENTUM, DAY_TWO)
    with pytest.raises(SealsDifferError, match="openclaw seals --write"):
        seal_days(own.world, MOMENTUM, DAY_TWO)
    if file.text():  # the only witness of what it says: nobody writes over it
        with pytest.raises(SealsDifferError, match="restore the ledger"):
            write_file(own.world, MOMENTUM)
    file.path.unlink(missing_ok=True)
    write_file(own.world, MOMENTUM)
    assert [row["day"] for row in seal_days(own.world, MOMENTUM, DAY_TWO).sealed] == [DAY_TWO]
    assert found(own) == set()


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_a_line_that_a_killed_process_left_out_is_completed(desk: Callable[..., Any], kept: int) -> None:
    own = desk("recorded")
    seal_days(own.world, MOMENTUM, DAY_ONE)
    file = seal_file(own.world, MOMENTUM)
    first, second = file.text().splitlines(keepends=True)
    file.path.write_text(first + second[:kept], encoding="utf-8")
    assert found(own) == set()
    own.run(MOMENTUM, DAY_TWO)
    seal_days(own.world, MOMENTUM, DAY_TWO)
    assert file.text().startswith(first + second)
    assert len(file.text().splitlines()) == 3
    assert found(own) == set()


def test_a_deleted_ledger_is_no_fine_ledger(own: Any) -> None:
    seal = seals_of(own.ledger(MOMENTUM))[-1]["seal"]
    for path in Path(own.folder).rglob("ledger.duckdb*"):
        path.unlink()
    assert {one for one in found(own) if one[0] == "seals"} == {("seals", "missing", "")}
    seal_file(own.world, MOMENTUM).path.unlink()  # without its file nothing is left that knows of it
    with pytest.raises(SealNotFoundError):
        expect(own, seal)


def test_an_older_copy_with_its_file_is_found_by_a_seal_that_was_noted(desk: Callable[..., Any]) -> None:
    own = desk("recorded")
    seal_days(own.world, MOMENTUM, DAY_ONE)
    copy = Path(own.folder).parent / "copy"
    copy_store(own.folder, copy)
    own.run(MOMENTUM, DAY_TWO)
    noted = seal_days(own.world, MOMENTUM, DAY_TWO).sealed[-1]["seal"]
    expect(own, noted)
    for path in copy.rglob("ledger.duckdb*"):
        shutil.copy(path, Path(own.folder) / path.relative_to(copy))
    assert ("seals", "missing", "") in found(own)
    shutil.copytree(copy / "data" / "seals", Path(own.folder) / "data" / "seals", dirs_exist_ok=True)
    assert found(own) == set()
    with pytest.raises(SealNotFoundError, match="cut or replaced"):
        expect(own, noted)


def test_a_day_taken_again_under_other_limits_is_found_by_a_seal_that_was_noted(own: Any) -> None:
    noted = seals_of(own.ledger(MOMENTUM))[-1]["seal"]
    change(own, *CUT, f"DELETE FROM seals WHERE {OWN} AND day = '{DAY_TWO}'")
    own.configure(risk={"max_order_notional": 40})
    own.run(MOMENTUM, DAY_TWO)
    Evaluator.of(own.world).outcomes(MOMENTUM, DAY_TWO)
    seal_file(own.world, MOMENTUM).path.unlink()
    write_file(own.world, MOMENTUM)
    seal_days(own.world, MOMENTUM, DAY_TWO)
    assert found(own) == set()
    with pytest.raises(SealNotFoundError):
        expect(own, noted)


def test_a_forged_seal_with_everything_computed_anew_is_found_by_one_that_was_noted(own: Any) -> None:
    rows = seals_of(own.ledger(MOMENTUM))
    change(own, f"UPDATE autopilot_ticks SET program_version = '9.9.9' WHERE {OWN} AND {DAY_TWO_TICKS}")
    tables = json.dumps(tables_of(own.ledger(MOMENTUM), DAY_TWO, DAY_ONE), sort_keys=True, separators=(",", ":"))
    forged = sealed(rows[1]["seal"], {**rows[2], "tables": tables})
    with own.store.write("ledger") as con:
        con.execute(f"UPDATE seals SET tables = ?, seal = ? WHERE {OWN} AND day = ?", [tables, forged["seal"], DAY_TWO])
    seal_file(own.world, MOMENTUM).path.unlink()
    write_file(own.world, MOMENTUM)
    assert found(own) == set()
    with pytest.raises(SealNotFoundError):
        expect(own, rows[2]["seal"])


def test_a_day_is_sealed_when_nothing_of_it_is_to_come(desk: Callable[..., Any]) -> None:
    own = desk("recorded")
    own.run(MOMENTUM, DAY_TWO, day_start(DAY_TWO) + timedelta(hours=23))
    sealing = seal_days(own.world, MOMENTUM, DAY_TWO)
    assert ([row["day"] for row in sealing.sealed], sealing.waiting) == (
        [BEFORE, DAY_ONE],
        f"the last tick of {DAY_TWO}",
    )
    result = verify_strategy(own.world, MOMENTUM, [DAY_ONE, DAY_TWO])
    assert (result.sealed_until, result.differences) == (DAY_ONE, [])
    assert "23 tick(s) are not sealed yet" in result.unknown[0]
    own.run(MOMENTUM, DAY_TWO)
    with own.store.write("market") as con:
        con.execute("UPDATE candle_coverage SET covered_until = '2025-05-11 20:00:00Z' WHERE day = '2025-05-11'")
    waiting = seal_days(own.world, MOMENTUM, DAY_TWO).waiting
    assert waiting == f"candles of outcomes that mature by the end of {DAY_TWO}, of decisions of {DAY_TWO}"
    seal_days(own.world, MOMENTUM, DAY_TWO)
    told = own.store.table("notifications_outbox").filter(kind="unsealed")
    assert told["notification_key"].to_list() == [f"unsealed:{MOMENTUM}:{DAY_TWO}"], "once, for a day that is long over"
    with own.store.write("market") as con:
        con.execute("UPDATE candle_coverage SET covered_until = '2025-05-12' WHERE day = '2025-05-11'")
    assert [row["day"] for row in seal_days(own.world, MOMENTUM, DAY_TWO).sealed] == [DAY_TWO]
    assert seal_days(own.world, MOMENTUM, DAY_TWO).sealed == ()


def test_a_horizon_of_later_adds_nothing_to_a_sealed_day(own: Any) -> None:
    own.configure(outcome_horizons_seconds=[300, 900, 3600, 7200])
    scored = Evaluator.of(own.world).outcomes(MOMENTUM, DAY_ONE)
    assert set(scored["horizon_seconds"]) == {300, 900, 3600}
    assert found(own) == set()


def test_seals_may_lie_elsewhere(desk: Callable[..., Any], tmp_path: Path) -> None:
    own = desk("recorded", seals_dir=str(tmp_path / "elsewhere"))
    seal_days(own.world, MOMENTUM, DAY_ONE)
    assert (tmp_path / "elsewhere" / "paper" / f"{MOMENTUM}.jsonl").read_text().count("\n") == 2
    own.configure(seals_dir="seals")
    assert ("seal file", "missing", "") in found(own)


@pytest.mark.slow
def test_lived_and_backfilled_days_have_seals_of_equal_content(desk: Callable[..., Any]) -> None:
    """When a row was written is sealed too, so the hashes differ; what is covered does not."""
    lived, filled = desk("history"), desk("recorded")
    lived.live(MOMENTUM, lived.ticks(MOMENTUM, DAY_ONE))
    lived.clock.set(day_start("2025-06-01"))
    for one in (lived, filled):
        seal_days(one.world, MOMENTUM, DAY_ONE)
    rows = [[{t: n for t, (n, _) in json.loads(r["tables"]).items()} for r in seals_of(one.ledger(MOMENTUM))]
            for one in (lived, filled)]  # fmt: skip
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2


def test_outcomes_that_mature_on_a_day_without_ticks_are_sealed_with_the_next(desk: Callable[..., Any]) -> None:
    """A strategy that begins anew after a pause: what it decided last is scored and sealed all the same."""
    own = desk("asked")
    own.run(MOMENTUM, DAY_ONE)
    own.strategy(MOMENTUM, start_day="2025-05-13", params={"momentum_lookback": 5})
    for day in ("2025-05-12", "2025-05-13", "2025-05-14"):
        own.ask(day)
        compute_features(own.world, day)
    own.run(MOMENTUM, "2025-05-13")
    sealing = seal_days(own.world, MOMENTUM, "2025-05-13")
    assert [row["day"] for row in sealing.sealed] == [BEFORE, DAY_ONE, "2025-05-12", "2025-05-13"]
    outcomes = own.store.table("autopilot_outcomes").filter(strategy_config_id=MOMENTUM)
    in_the_pause = outcomes.filter(outcomes["matured_at"].is_between(day_start(DAY_TWO), day_start("2025-05-12")))
    covered = sum(json.loads(row["tables"]).get("autopilot_outcomes", [0])[0] for row in sealing.sealed)
    assert in_the_pause.height > 0
    assert covered == outcomes.filter(outcomes["matured_at"] <= day_start("2025-05-14")).height
    assert found(own) == set()
    change(own, f"DELETE FROM autopilot_outcomes WHERE {OWN} AND matured_at > '2025-05-11 00:00:00Z'")
    assert ("autopilot_outcomes", "changed", "rows") in found(own)


def test_a_ledger_of_before_is_sealed_in_parts(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    change(own, f"DELETE FROM seals WHERE {OWN}")
    seal_file(own.world, MOMENTUM).path.unlink()
    monkeypatch.setattr(sealing_module, "MOST_AT_ONCE", 2)
    first = seal_days(own.world, MOMENTUM, DAY_TWO)
    assert ([row["day"] for row in first.sealed], first.waiting) == (
        [BEFORE, DAY_ONE], f"the next call, which goes on with {DAY_TWO}",
    )  # fmt: skip
    assert [row["day"] for row in seal_days(own.world, MOMENTUM, DAY_TWO).sealed] == [DAY_TWO]
