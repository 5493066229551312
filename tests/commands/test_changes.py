"""An operator's day through the commands: each change has its row, and `changes`, `explain` and `report` show it."""

import getpass
from datetime import UTC, datetime
from typing import Any

import yaml

from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN
from openclaw_pipelines.services.lifecycle.tracing import trace_logs

ME = f"operator:{getpass.getuser()}"
BTC, LATER = "BTC/USDT:USDT", "2025-05-12T01:00"


def told(home: Any) -> list[tuple[Any, ...]]:
    """Rows after the baseline as action, subject, before, after, actor, reason."""
    listed = home.openclaw("changes", "--json").json["changes"]
    names = ("action", "subject", "before", "after", "actor", "reason")
    return [tuple(own[name] for name in names) for own in listed if own["before"] or own["actor"] != "autopilot"]


def awaiting(home: Any) -> list[str]:
    strategies = home.openclaw("status", "--json").json["strategies"]
    keys: list[str] = next(own for own in strategies if own["strategy"] == "asked")["awaiting_approval"]
    return keys


def configure(home: Any, **changes: Any) -> None:
    path = home.folder / "autopilot.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_approvals_and_declines_with_their_reasons(home: Any) -> None:
    *_, first, second = awaiting(home)
    assert home.openclaw("approve", first, "--reason", "I like the setup").code == 0
    assert home.openclaw("decline", second).code == 0
    waits = "awaiting_approval"
    assert told(home) == [
        ("APPROVAL_GIVEN", first, waits, "approve", ME, "I like the setup"),
        ("APPROVAL_DECLINED", second, waits, "decline", ME, "no reason given"),
    ]
    assert home.openclaw("approve", first).code == 1
    assert len(told(home)) == 2, "a refused answer is no change"
    assert first in awaiting(home), "the next tick takes the answer, not the trace of it"
    shown = home.openclaw("explain", first, "--json").json
    assert [(own["action"], own["actor"]) for own in shown["changes"]] == [("APPROVAL_GIVEN", ME)]
    assert "I like the setup" in home.openclaw("explain", first).out


def test_a_corrected_bar(home: Any) -> None:
    with home.world().store.write("market") as con:
        con.execute(
            "UPDATE candles SET high = 1e300 WHERE symbol = ? AND interval = '15m' AND ts = ?::TIMESTAMPTZ",
            [BTC, f"{LATER}:00+00"],
        )
    done = home.openclaw("candles", "correct", BTC, "15m", LATER, "--reason", "a slip of the exchange", "--json")
    now = done.json["correction"]["high"]
    subject = f"{BTC} 15m of 2025-05-12T01:00Z"
    expected = ("CANDLE_CORRECTED", subject, "high 1e+300", f"high {now!r}", ME, "a slip of the exchange")
    assert told(home) == [expected]
    details = home.openclaw("changes", "--json").json["changes"][-1]["details"]
    assert (details["bar_before"]["high"], details["bar_after"]["high"]) == (1e300, now)
    assert details["bar_before"]["low"] == details["bar_after"]["low"]


def test_a_deployment_its_pause_and_the_way_back(deployed: tuple[Any, str]) -> None:
    home, name = deployed
    assert home.openclaw("demote", name, "--reason", "look closer").code == 0
    assert home.openclaw("rollback", name, "--reason", "nothing wrong").code == 0
    assert home.openclaw("promote", name).code == 1, "a gate does not hold, and what is refused is no change"
    assert home.openclaw("demote", name, "--reason", "once more").code == 0
    assert home.openclaw("promote", name, "--reason", "looked closer").code == 0
    moves = [own for own in told(home) if own[0] == "DEPLOYMENT_CHANGED"]
    log = home.openclaw("deployments", "--history", "--json").json["transitions"]
    placed = log[1]["reason"]
    assert moves == [
        ("DEPLOYMENT_CHANGED", name, "candidate at 0 %", "validated at 0 %", "factory", log[0]["reason"]),
        ("DEPLOYMENT_CHANGED", name, "validated at 0 %", "paper at 25 %", "factory", placed),
        ("DEPLOYMENT_CHANGED", name, "paper at 25 %", "paused at 25 %", ME, "look closer"),
        ("DEPLOYMENT_CHANGED", name, "paused at 25 %", "paper at 25 %", ME, "nothing wrong"),
        ("DEPLOYMENT_CHANGED", name, "paper at 25 %", "paused at 25 %", ME, "once more"),
        ("DEPLOYMENT_CHANGED", name, "paused at 25 %", "paper at 25 %", ME, "looked closer"),
    ]
    assert [own for own in told(home) if own[0].startswith("STRATEGY_")] == [
        ("STRATEGY_PAUSED", name, "running", "paused", "deployment", "no reason given"),
        ("STRATEGY_RESUMED", name, "paused", "running", "deployment", "no reason given"),
        ("STRATEGY_PAUSED", name, "running", "paused", "deployment", "no reason given"),
    ], "what the lifecycle wrote into the configuration is seen there too"
    listed = home.openclaw("changes", "--json").json["changes"]
    details = [own["details"] for own in listed if own["action"] == "DEPLOYMENT_CHANGED"]
    assert [own["log_row_hash"] for own in details] == [row["row_hash"] for row in log]
    assert [own["trigger"] for own in details] == ["cycle", "cycle", "operator", "rollback", "operator", "operator"]


def test_a_deployment_that_a_killed_process_did_not_tell_is_told_by_the_next(deployed: tuple[Any, str]) -> None:
    home, _ = deployed
    with home.world().store.write("ledger") as con:
        con.execute(f"DELETE FROM admin_actions WHERE strategy_config_id = '{ACCOUNT_CHAIN}' AND sequence > 1")
    before = len(told(home))
    assert before < 2
    assert len(trace_logs(home.world())) == 2 - before
    assert trace_logs(home.world()) == []
    assert home.openclaw("verify").code == 0


def test_an_overlay_edited_before_a_command_stands_before_it(home: Any) -> None:
    configure(home, overlay_file="overlay.yaml")
    key = awaiting(home)[-1]
    assert home.openclaw("decline", key).code == 0
    (home.data / "overlay.yaml").write_text("# too much\nrisk: {max_order_notional: 500}\n")
    (home.data / "KILL_SWITCH").write_text("close_only")
    assert home.openclaw("approve", awaiting(home)[0]).code == 0
    found = told(home)
    assert [own[0] for own in found] == [
        "APPROVAL_DECLINED", "KILL_SWITCH_CHANGED", "CONFIGURATION_CHANGED", "APPROVAL_GIVEN",
    ]  # fmt: skip
    assert found[2][2:] == (
        "risk.max_order_notional 5000 (default)",
        "risk.max_order_notional 500 (overlay overlay.yaml)",
        "overlay overlay.yaml",
        "too much",
    )
    answer = home.openclaw("changes")
    assert "In force now" in answer.out
    assert "too much" in answer.out


def test_days_are_cut_by_when_it_was_seen(home: Any) -> None:
    home.openclaw("decline", awaiting(home)[-1])
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    days = [("--from", today), ("--to", "2025-05-12"), ("--from", "2025-05-10", "--to", today)]
    counts = [len(home.openclaw("changes", *own, "--json").json["changes"]) for own in days]
    assert counts == [2, 0, 2]
    assert home.openclaw("changes", "--to", "2025-05-12").out.strip() == "no change is recorded"


def test_the_report_of_the_day_shows_who_changed_what(home: Any) -> None:
    key = awaiting(home)[-1]
    home.openclaw("decline", key, "--reason", "<b>too late</b>")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    home.openclaw("report", today)
    page = (home.data / "reports" / f"{today}.html").read_text(encoding="utf-8")
    part = page.split('<h2 id="changes">')[1].split("</section>")[0]
    for text in ("Approval declined", key, "decline", ME, "&lt;b&gt;too late&lt;/b&gt;"):
        assert text in part
    home.openclaw("report", "2025-05-11")
    other = (home.data / "reports" / "2025-05-11.html").read_text(encoding="utf-8")
    assert "Nobody changed anything that is recorded." in other


def test_verify_follows_the_accounts_chain_and_names_it(home: Any) -> None:
    home.openclaw("decline", awaiting(home)[-1])
    answer = home.openclaw("verify", "--json")
    assert (answer.code, answer.json["account_rows"]) == (0, 2)
    assert [own["strategy"] for own in answer.json["strategies"]] == ["asked", "fast"]
    with home.world().store.write("ledger") as con:
        con.execute("UPDATE admin_actions SET actor = 'nobody' WHERE action = 'APPROVAL_DECLINED'")
    broken = home.openclaw("verify")
    assert broken.code == 1
    assert broken.err.startswith(f"BrokenChainError: audit trail of {ACCOUNT_CHAIN}: row 2 does not follow")


def test_no_strategy_can_have_the_name_of_the_chain(home: Any) -> None:
    tree = yaml.safe_load((home.folder / "autopilot.yaml").read_text())
    configure(home, strategies={**tree["strategies"], ACCOUNT_CHAIN: tree["strategies"]["fast"]})
    answer = home.openclaw("changes")
    assert answer.code == 1
    assert "may hold only a-z, 0-9 and _" in answer.err
