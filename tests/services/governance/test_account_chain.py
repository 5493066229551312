"""The account's chain: what people change is recorded once, whoever sees it first, and cannot be changed unseen."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.governance.audit import BrokenChainError
from openclaw_pipelines.resources.store.locks import StoreLockedError
from openclaw_pipelines.services.governance.account import (
    ConfigurationChangedError,
    changes,
    in_force,
    verify_account,
)
from openclaw_pipelines.services.governance.observing import DAGSTER, TICKER, observe
from openclaw_pipelines.services.trading.changed import changed_before
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.settings.environment import KILL_SWITCH_VARIABLE

MOMENTUM, DAY_ONE = "momentum_1h", "2025-05-10"
NINE = day_start(DAY_ONE) + timedelta(hours=9)
NO_REASON = "no reason given"


def rows(own: Any) -> list[dict[str, Any]]:
    found = own.store.table("admin_actions").filter(strategy_config_id=ACCOUNT_CHAIN).to_dicts()
    return sorted(found, key=lambda row: row["sequence"])


def told(own: Any, since: int = 1) -> list[tuple[Any, ...]]:
    """Rows after the first ones as action, subject, before, after, actor, reason."""
    return [
        (row["action"], row["subject"], row["from_state"], row["to_state"], row["actor"],
         json.loads(row["details"])["reason"])
        for row in rows(own)[since:]
    ]  # fmt: skip


def alerts(own: Any) -> list[tuple[str, str, str]]:
    raised = own.store.table("notifications_outbox").sort("notification_key").to_dicts()
    return [(row["notification_key"], row["severity"], row["subject"]) for row in raised]


@pytest.fixture
def looked(desk: Callable[..., Any]) -> Any:
    """A desk that was looked at once, at nine."""
    own = desk("asked")
    own.clock.set(NINE)
    observe(own.world, TICKER)
    return own


def overlay(own: Any, text: str) -> None:
    (own.folder / "data" / "overlay.yaml").write_text(text, encoding="utf-8")


def test_the_first_look_keeps_the_configuration_and_the_next_writes_nothing(looked: Any) -> None:
    (row,) = rows(looked)
    (kept,) = looked.store.table("configurations").to_dicts()
    details = json.loads(row["details"])
    assert (row["action"], row["subject"], row["from_state"]) == ("CONFIGURATION_CHANGED", "autopilot.yaml", None)
    assert (row["tick_at"], row["recorded_at"], details["at"]) == (None, NINE, NINE.isoformat())
    assert details["configuration"] == kept["configuration_hash"]
    payload = json.loads(kept["payload"])
    assert payload["risk.max_daily_loss_bps"] == {"value": 1000, "from": "autopilot.yaml"}
    assert payload["kill_switch"] == {"value": "off", "from": "default"}
    assert row["to_state"] == f"{len(payload)} settings"
    assert kept["config_fingerprint"] == looked.world.settings().config_fingerprint
    assert observe(looked.world, TICKER) == []
    assert len(rows(looked)) == 1
    assert alerts(looked) == []


def test_the_file_is_pulled_and_released(looked: Any) -> None:
    path = looked.folder / "data" / "KILL_SWITCH"
    path.write_text("close_only  # spreads are wild\n")
    looked.clock.set(NINE + timedelta(minutes=1))
    observe(looked.world)
    path.write_text("stop please")
    observe(looked.world)
    path.unlink()
    observe(looked.world)
    name, by = "kill-switch file", "file KILL_SWITCH"
    doubt = "file KILL_SWITCH holds 'stop please', which is none of off, close_only, halt_all"
    assert told(looked) == [
        ("KILL_SWITCH_CHANGED", name, "off", "close_only", by, "spreads are wild"),
        ("KILL_SWITCH_CHANGED", name, "close_only", "halt_all", by, doubt),
        ("KILL_SWITCH_CHANGED", name, "halt_all", "off", by, NO_REASON),
    ]
    assert rows(looked)[1]["recorded_at"] == NINE + timedelta(minutes=1)
    assert alerts(looked) == [
        ("kill_switch:paper:2", "error", name),
        ("kill_switch:paper:3", "error", name),
        ("kill_switch:paper:4", "info", name),
    ]
    assert looked.store.table("notifications_outbox")["dispatched"].all()


def test_the_environment_is_pulled_and_released_where_it_is_set(looked: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv(KILL_SWITCH_VARIABLE, "halt_all")
    assert observe(looked.world) == [], "a command's shell brakes nothing"
    observe(looked.world, TICKER)
    assert observe(looked.world, TICKER) == []
    monkeypatch.delenv(KILL_SWITCH_VARIABLE)
    assert observe(looked.world, DAGSTER) == [], "how another process was started is not a release"
    observe(looked.world, TICKER)
    name, by = "environment of ticker", "environment OPENCLAW_KILL_SWITCH"
    assert told(looked) == [
        ("KILL_SWITCH_CHANGED", name, "off", "halt_all", by, NO_REASON),
        ("KILL_SWITCH_CHANGED", name, "halt_all", "off", by, NO_REASON),
    ]
    assert [own[1] for own in alerts(looked)] == ["error", "info"]


def test_the_setting_is_pulled_and_released(looked: Any) -> None:
    looked.configure(kill_switch="halt_all")
    observe(looked.world)
    looked.configure(kill_switch=None)
    observe(looked.world)
    file = "autopilot.yaml"
    assert told(looked) == [
        ("KILL_SWITCH_CHANGED", file, "off", "halt_all", file, NO_REASON),
        ("CONFIGURATION_CHANGED", file, "kill_switch off (default)", "kill_switch halt_all (autopilot.yaml)", file,
         NO_REASON),
        ("KILL_SWITCH_CHANGED", file, "halt_all", "off", file, NO_REASON),
        ("CONFIGURATION_CHANGED", file, "kill_switch halt_all (autopilot.yaml)", "kill_switch off (default)", file,
         NO_REASON),
    ]  # fmt: skip
    assert len(alerts(looked)) == 2
    assert looked.store.table("configurations").height == 2, "the first one came back"


def test_a_stricter_switch_hides_no_other_ones_change(looked: Any) -> None:
    (looked.folder / "data" / "KILL_SWITCH").write_text("halt_all")
    observe(looked.world)
    looked.configure(kill_switch="close_only")
    observe(looked.world)
    (looked.folder / "data" / "KILL_SWITCH").unlink()
    observe(looked.world)
    braked = in_force(changes(looked.world))
    assert [(own.subject, own.after) for own in braked] == [("autopilot.yaml", "close_only")]


def test_a_switch_file_that_is_called_otherwise_now_is_released(looked: Any) -> None:
    (looked.folder / "data" / "KILL_SWITCH").write_text("halt_all")
    observe(looked.world)
    looked.configure(kill_switch_file="STOP")
    observe(looked.world)
    assert told(looked)[1][:5] == ("KILL_SWITCH_CHANGED", "kill-switch file", "halt_all", "off", "file STOP")
    assert in_force(changes(looked.world)) == []


def test_an_overlay_is_edited_with_a_reason_and_a_strategy_paused(looked: Any) -> None:
    overlay(looked, "# losing since noon\nrisk: {max_order_notional: 500}\nstrategies: {momentum_1h: {paused: true}}\n")
    observe(looked.world)
    (looked.folder / "data" / "overlay.yaml").unlink()
    observe(looked.world)
    by, section = "overlay overlay.yaml", "overlay overlay.yaml strategy:momentum_1h"
    default = "risk.max_order_notional 5000 (default), strategies.momentum_1h.paused false (default)"
    changed = f"risk.max_order_notional 500 ({by}), strategies.momentum_1h.paused true ({section})"
    assert told(looked) == [
        ("CONFIGURATION_CHANGED", "autopilot.yaml", default, changed, by, "losing since noon"),
        ("STRATEGY_PAUSED", MOMENTUM, "running", "paused", by, "losing since noon"),
        ("CONFIGURATION_CHANGED", "autopilot.yaml", changed, default, by, NO_REASON),
        ("STRATEGY_RESUMED", MOMENTUM, "paused", "running", by, NO_REASON),
    ]
    assert json.loads(rows(looked)[1]["details"])["changed"]["risk.max_order_notional"] == {
        "before": {"value": "5000", "from": "default"},
        "after": {"value": "500", "from": by},
    }
    assert alerts(looked) == []


def test_a_variable_that_overrides_a_setting_is_recorded_for_its_process(desk: Callable[..., Any]) -> None:
    own = desk("asked", environ={"OPENCLAW_LOG_LEVEL": "DEBUG"})
    observe(own.world, TICKER)
    (first, second) = rows(own)
    payload = json.loads(own.store.table("configurations")["payload"][0])
    assert payload["log_level"] == {"value": "INFO", "from": "default"}, "what the files say"
    assert first["subject"] == "autopilot.yaml"
    assert (second["subject"], second["to_state"]) == ("environment of ticker", "OPENCLAW_LOG_LEVEL DEBUG")
    assert observe(own.world, TICKER) == []
    assert observe(own.world) == []


def test_secrets_are_masked(looked: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENCLAW_EXCHANGE_SECRET", "verysecret1")
    overlay(looked, "# with verysecret1\nmarket: {exchange_options: {proxy: 'http://me:hunter22@host'}}\n")
    (looked.folder / "data" / "KILL_SWITCH").write_text("halt_all # password=abcd1234")
    observe(looked.world)
    kept = str(rows(looked)) + str(looked.store.table("configurations").to_dicts()) + str(alerts(looked))
    messages = looked.store.table("notifications_outbox")["message"].to_list()
    for secret in ("verysecret1", "hunter22", "abcd1234"):
        assert secret not in kept + str(messages)
    assert "http://me:***@host" in kept
    assert messages == ["kill switch of paper, kill-switch file: is halt_all, before off, by file KILL_SWITCH; "
                        "password=***."]  # fmt: skip


def test_what_cannot_be_recorded_is_loud_and_recorded_later(looked: Any) -> None:
    (looked.folder / "data" / "KILL_SWITCH").write_text("halt_all")
    looked.configure(lock_timeout_seconds=0.2)
    object.__setattr__(looked.store, "lock_timeout_seconds", 0.2)
    code = (
        "import sys, time; from pathlib import Path; "
        "from openclaw_pipelines.resources.store.locks import file_lock\n"
        "with file_lock(Path(sys.argv[1]), exclusive=True, timeout_seconds=5):\n"
        "    print('held', flush=True); sys.stdin.readline()"
    )
    file = str(looked.store.file("ledger"))
    with subprocess.Popen(
        [sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLockedError):
            observe(looked.world)
        holder.stdin.write("\n")
        holder.stdin.flush()
    assert [own[0] for own in told(looked)] == []
    observe(looked.world)
    assert [own[0] for own in told(looked)] == ["KILL_SWITCH_CHANGED", "CONFIGURATION_CHANGED"]


@pytest.mark.parametrize(
    ("change", "sequence"),
    [
        pytest.param("UPDATE admin_actions SET actor = 'nobody'", 2, id="actor"),
        pytest.param("UPDATE admin_actions SET to_state = 'off'", 2, id="after"),
        pytest.param("UPDATE admin_actions SET details = replace(details, 'wild', 'calm')", 2, id="reason"),
        pytest.param("DELETE FROM admin_actions", 3, id="removed"),
    ],
)
def test_a_changed_row_is_seen(looked: Any, change: str, sequence: int) -> None:
    path = looked.folder / "data" / "KILL_SWITCH"
    path.write_text("close_only # wild")
    observe(looked.world)
    path.unlink()
    observe(looked.world)
    assert verify_account(looked.world) == 3
    with looked.store.write("ledger") as con:
        con.execute(f"{change} WHERE strategy_config_id = '{ACCOUNT_CHAIN}' AND sequence = 2")
    with pytest.raises(BrokenChainError) as broken:
        verify_account(looked.world)
    assert (broken.value.strategy, broken.value.sequence) == (ACCOUNT_CHAIN, sequence)


@pytest.mark.parametrize("change", ["UPDATE configurations SET payload = '{}'", "DELETE FROM configurations"])
def test_a_changed_configuration_is_seen(looked: Any, change: str) -> None:
    with looked.store.write("ledger") as con:
        con.execute(change)
    with pytest.raises(ConfigurationChangedError, match="row 1 of the chain of paper"):
        verify_account(looked.world)


APPEND = """
import sys
from pathlib import Path
from datetime import UTC, datetime
from openclaw_pipelines.contracts.governance import AccountAction
from openclaw_pipelines.domain.governance.account import account_entry
from openclaw_pipelines.resources.store.account_chain import append
from openclaw_pipelines.resources.store.store import Store

store, name = Store(Path(sys.argv[1])), sys.argv[2]
for n in range(12):
    at = datetime(2025, 5, 10, tzinfo=UTC)
    entry = account_entry(AccountAction.STRATEGY_PAUSED, f"{name}{n}", None, "paused", actor=name, reason="", at=at)
    with store.write("ledger") as con:
        append(con, "paper", [entry], now=at, run_fingerprint="f")
"""


def test_processes_that_append_at_once_make_one_chain(looked: Any) -> None:
    """The twin is in the chain: a second row after the same one would be seen as the first that does not follow."""
    folder = str(looked.folder / "data")
    running = [subprocess.Popen([sys.executable, "-c", APPEND, folder, name]) for name in ("a", "b", "c")]
    assert [own.wait() for own in running] == [0, 0, 0]
    assert verify_account(looked.world) == 1 + 36
    subjects = [row["subject"] for row in rows(looked)[1:]]
    assert sorted(subjects) == sorted(f"{name}{n}" for name in "abc" for n in range(12))
    assert len({subject[0] for subject in subjects[:24]}) > 1, "they took turns"


LOOK = """
import sys
from pathlib import Path
from openclaw_pipelines.resources.world import open_world
from openclaw_pipelines.services.governance.observing import observe
from openclaw_pipelines.settings import load_settings

print(len(observe(open_world(settings=lambda: load_settings({}, path=Path(sys.argv[1]))))))
"""


def test_processes_that_look_at_once_record_a_change_once(looked: Any) -> None:
    (looked.folder / "data" / "KILL_SWITCH").write_text("halt_all")
    command = [sys.executable, "-c", LOOK, str(looked.folder / "autopilot.yaml")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(int(own.communicate()[0]) for own in running) == [0, 0, 1]
    assert [own[:4] for own in told(looked)] == [("KILL_SWITCH_CHANGED", "kill-switch file", "off", "halt_all")]
    assert len(alerts(looked)) == 1


# ---- beside ticks


@pytest.fixture
def hours() -> Iterator[datetime]:
    return (day_start(DAY_ONE) + timedelta(hours=n, seconds=5) for n in range(1, 24))


@pytest.mark.slow
def test_no_recorded_tick_changes_by_what_is_observed(desk: Callable[..., Any], hours: Iterator[datetime]) -> None:
    """Lived with looks between the ticks, a day is the same to the bit as without them."""
    quiet, watched = desk("history"), desk("history")
    for now in hours:
        quiet.live(MOMENTUM, [now])
        watched.clock.set(now)
        observe(watched.world, TICKER)
        watched.live(MOMENTUM, [now])
    assert watched.hash(MOMENTUM) == quiet.hash(MOMENTUM)
    assert watched.rows("admin_actions", MOMENTUM).equals(quiet.rows("admin_actions", MOMENTUM))
    assert len(rows(watched)) == 1
    assert rows(quiet) == []


def test_a_tick_tells_what_was_in_force_and_what_was_new(desk: Callable[..., Any], hours: Iterator[datetime]) -> None:
    own = desk("history")
    lived = []
    for n, now in zip(range(4), hours, strict=False):
        if n == 1:
            (own.folder / "data" / "KILL_SWITCH").write_text("close_only # wild")
        if n == 3:
            (own.folder / "data" / "KILL_SWITCH").unlink()
        own.clock.set(now)
        observe(own.world, TICKER)
        own.live(MOMENTUM, [now])
        lived.append(now - timedelta(seconds=5))
    found = [changed_before(own.world, MOMENTUM, at, "no key") for at in lived]
    shown = [
        ([(one.subject, one.after) for one in own.in_force], [(one.action.value, one.after) for one in own.since])
        for own in found
    ]
    braked = [("kill-switch file", "close_only")]
    assert shown[1:] == [
        (braked, [("KILL_SWITCH_CHANGED", "close_only")]),
        (braked, []),
        ([], [("KILL_SWITCH_CHANGED", "off")]),
    ]
    assert shown[0][0] == []
    recorded = Runner.of(own.world).ledger(MOMENTUM).query("SELECT tick_at, kill_switch FROM autopilot_ticks")
    assert dict(recorded.filter(recorded["tick_at"].is_in(lived)).iter_rows()) == dict(
        zip(lived, ("off", "close_only", "close_only", "off"), strict=True)
    )


def test_a_look_that_waited_for_the_ledger_looks_again(looked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it saw before the wait was changed and told by another look meanwhile; the chain does not go back to it."""
    switch = looked.folder / "data" / "KILL_SWITCH"
    switch.write_text("halt_all", encoding="utf-8")
    write, waited = looked.store.write, []

    @contextmanager
    def busy(database: str) -> Iterator[Any]:
        if not waited:
            waited.append(database)
            switch.write_text("close_only", encoding="utf-8")
            observe(looked.world, DAGSTER)
        with write(database) as con:
            yield con

    monkeypatch.setattr(type(looked.store), "write", lambda _, database: busy(database))
    observe(looked.world, TICKER)
    assert waited == ["ledger"]
    moves = [(before, after) for action, _, before, after, *_ in told(looked) if action == "KILL_SWITCH_CHANGED"]
    assert moves == [("off", "close_only")]
    assert observe(looked.world, TICKER) == []
