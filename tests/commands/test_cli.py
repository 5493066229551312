"""The command line over a recorded ledger: answers, exit codes, one message per failure."""

import csv
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from openclaw_pipelines.cli import COMMANDS
from openclaw_pipelines.contracts.program import program_version
from openclaw_pipelines.resources.store.hold import let_go

Query = Callable[..., list[dict[str, Any]]]


def tamper(home, sql: str) -> None:
    let_go()
    with duckdb.connect(str(home.data / "ledger.duckdb")) as con:
        con.execute(sql)


def test_every_command_is_listed_and_has_help(empty):
    listed = empty.openclaw("--help").out
    assert [name for name in COMMANDS if name not in listed] == []
    for name in COMMANDS:
        answer = empty.openclaw(name, "--help")
        assert (answer.code, "Usage:" in answer.out) == (0, True), name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["stauts"], "No such command", id="unknown command"),
        pytest.param(["export", "autopilot_fills"], "Missing argument 'PATH'", id="missing argument"),
        pytest.param(["report", "2025-5-10"], "is not a day as 2025-05-10", id="sloppy day"),
        pytest.param(["report", "2025-02-30"], "day", id="day that does not exist"),
        pytest.param(["verify", "--from", "2025-05-11", "--to", "2025-05-10"], "is before --from", id="reversed range"),
        pytest.param(["ticker", "--clock", "replayed"], "needs --from and --to", id="replayed clock without range"),
        pytest.param(["ticker", "--from", "noon"], "is not a time", id="sloppy time"),
        pytest.param(["web", "--port", "70000"], "is not in the range", id="port out of range"),
    ],
)
def test_wrong_usage_is_exit_code_2(empty, arguments, says):
    answer = empty.openclaw(*arguments)
    assert answer.code == 2
    assert says in answer.err


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        pytest.param(["export", "autopilot_fillz", "x.csv"], "UnknownTableError", "autopilot_fills", id="table"),
        pytest.param(["export", "autopilot_fills", "x.xlsx"], "UnknownFormatError", "x.xlsx", id="format"),
        pytest.param(["verify", "--strategy", "fats"], "UnknownStrategyError", "fast", id="strategy"),
        pytest.param(["ticker", "--strategy", "fats"], "UnknownStrategyError", "fast", id="ticker's strategy"),
        pytest.param(["explain", "nonsense"], "UnknownDecisionError", "none, the ledger is empty", id="decision"),
        pytest.param(["approve", "nonsense"], "NotAwaitingError", "no such proposal", id="proposal"),
        pytest.param(["market", "inventory"], "MissingSourceSettingError", "OPENCLAW_ARCHIVE_DIR", id="archive"),
    ],
)
def test_a_named_failure_is_one_message_and_exit_code_1(empty, arguments, error, says):
    answer = empty.openclaw(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"{error}: ")
    assert says in answer.err
    assert "Traceback" not in answer.err


def test_a_failure_never_shows_a_secret(empty):
    secret = "hunter2hunter2"
    answer = empty.openclaw("export", f"t_{secret}", "x.csv", OPENCLAW_EXCHANGE_SECRET=secret)
    assert answer.code == 1
    assert secret not in answer.err
    assert "t_***" in answer.err


def test_unknown_variable_and_damaged_instance_are_named(empty):
    assert empty.openclaw("status", OPENCLAW_MARKTE="simulated").err.startswith("UnknownVariableError")
    assert empty.openclaw("init", DAGSTER_HOME="relative/folder").err.startswith("HomeNotAbsoluteError")
    assert empty.openclaw("init").code == 0
    (empty.data / "dagster" / "dagster.yaml").write_text("run_coordinatr: 3\n")
    answer = empty.openclaw("init")
    assert (answer.code, answer.err.startswith("InstanceError")) == (1, True)


def test_init_makes_everything_and_repeating_changes_nothing(empty):
    first = empty.openclaw("init", "--json").json
    assert first["dagster_yaml"] == "written"
    assert first["strategies"] == ["asked", "fast"]
    files = ("market.duckdb", "ledger.duckdb", "research.duckdb", "dagster/dagster.yaml")
    assert [name for name in files if not (empty.data / name).exists()] == []
    assert empty.openclaw("init", "--json").json == {**first, "dagster_yaml": "kept", "env_file": "kept"}
    (empty.data / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    assert empty.openclaw("init", "--json").json["dagster_yaml"] == "kept, differs"


def test_an_earlier_releases_instance_file_is_renewed_unless_somebody_changed_it(empty):
    placed, shipped = empty.data / "dagster" / "dagster.yaml", Path(__file__).parents[2] / "config" / "dagster.yaml"
    placed.parent.mkdir(parents=True)
    for earlier in sorted((Path(__file__).parents[1] / "data" / "instances").iterdir()):
        shutil.copy(earlier, placed)
        assert empty.openclaw("init", "--json").json["dagster_yaml"] == "written"
        assert placed.read_text() == shipped.read_text()
        placed.write_text(earlier.read_text() + "\n# mine\n")
        assert empty.openclaw("init", "--json").json["dagster_yaml"] == "kept, differs"
        assert placed.read_text().endswith("# mine\n")


def test_status_of_an_empty_store(empty):
    status = empty.openclaw("status", "--json").json
    assert [own["last_tick"] for own in status["strategies"]] == [None, None]
    assert status["newest_candle"] is None
    assert empty.openclaw("status").code == 0


def test_status_says_how_wrong_the_clock_is(empty):
    status = empty.openclaw("status", "--json").json
    assert status["clock_ahead_seconds"] is None
    now = datetime.now(UTC)
    with empty.world().store.write("market") as con:
        con.execute("INSERT INTO source_clocks VALUES ('simulated', ?, ?, 45)", [now - timedelta(seconds=46), now])
    status = empty.openclaw("status", "--json").json
    assert status["clock_ahead_seconds"] == 45
    assert "clock_skew" in {alert["kind"] for alert in status["conditions"]}
    shown = empty.openclaw("status").out
    assert "local clock: +45 s from that of simulated" in shown
    assert "No live tick is taken" in shown


def test_status_agrees_with_the_ledger(home, ledger: Query):
    status = home.openclaw("status", "--json", OPENCLAW_KILL_SWITCH="close_only").json
    assert (status["kill_switch"], status["market_source"]) == ("close_only", "simulated")
    assert "OPENCLAW_KILL_SWITCH" in status["kill_switch_reason"]
    fast = next(own for own in status["strategies"] if own["strategy"] == "fast")
    assert fast["last_tick"] == "2025-05-12T00:00:00Z"
    assert fast["lag_ticks"] > 40_000  # the real clock is long past 2025
    newest = "strategy_config_id = 'fast' AND tick_at = '2025-05-12 00:00:00+00'"
    equity = ledger(f"SELECT * FROM autopilot_equity WHERE {newest}")[0]
    assert Decimal(fast["equity"]) == equity["equity"]
    assert Decimal(fast["total_pnl"]) == equity["equity"] - 10_000
    held = ledger(f"SELECT symbol FROM autopilot_positions WHERE {newest} ORDER BY symbol")
    assert [row["symbol"] for row in fast["positions"]] == [row["symbol"] for row in held]
    assert {alert["kind"] for alert in status["conditions"]} == {"stalled_strategy", "stale_market"}


def test_total_pnl_is_from_the_capital_that_the_deployment_started_with(home):
    before = home.openclaw("status", "--json").json["strategies"]
    path = home.folder / "autopilot.yaml"
    tree = yaml.safe_load(path.read_text())
    for own in tree["strategies"].values():
        own["capital"] = 20_000
    path.write_text(yaml.safe_dump(tree))
    after = home.openclaw("status", "--json").json["strategies"]
    assert [own["total_pnl"] for own in after] == [own["total_pnl"] for own in before]
    assert all(Decimal(own["equity"]) - Decimal(own["total_pnl"]) == 10_000 for own in after)


def test_status_for_people_names_every_strategy(home):
    answer = home.openclaw("status")
    assert answer.code == 0
    assert all(name in answer.out for name in ("fast", "asked", "2025-05-12 00:00Z", "kill switch: off"))


def test_explain_follows_a_protective_exit_from_bar_to_outcome(home, ledger: Query):
    stop = ledger("SELECT * FROM autopilot_fills WHERE leg = 'stop' ORDER BY fill_key")[0]
    chain = home.openclaw("explain", stop["fill_key"], "--json", "--bars", "3").json
    key = stop["decision_key"]
    assert chain["decision"]["decision_key"] == key
    close = ledger("SELECT intended_price FROM autopilot_decisions WHERE decision_key = ?", key)[0]["intended_price"]
    assert len(chain["candles"]) == 3
    assert Decimal(chain["candles"][-1]["close"]) == close
    assert {fill["leg"] for fill in chain["fills"]} == {"entry", "stop"}
    fills = ledger("SELECT realized_pnl - fee AS net FROM autopilot_fills WHERE decision_key = ?", key)
    earned = Decimal(chain["position"]["net_pnl"]) - Decimal(chain["position"]["funding"])
    assert (chain["position"]["state"], earned) == ("closed", sum(row["net"] for row in fills))
    assert [row["horizon_seconds"] for row in chain["outcomes"]] == [300, 900, 3600]
    limits = {row["limit"]: row for row in chain["limits"]}
    assert limits["max_order_notional"]["from"] == "default"
    assert chain["moves"][-1]["to_state"] == "outcome_evaluated"


def test_explain_for_people_prints_each_link(home, ledger: Query):
    key = ledger("SELECT decision_key FROM autopilot_fills WHERE leg = 'stop' ORDER BY fill_key")[0]["decision_key"]
    printed = home.openclaw("explain", key).out
    links = (
        "1. Candles",
        "2. Indicators",
        "3. Limits",
        "4. Verdict",
        "5. Orders",
        "6. Fills",
        "7. Position",
        "8. Outc",
    )
    places = [printed.find(link) for link in links]
    assert -1 not in places
    assert places == sorted(places)


def test_explain_a_refused_decision_says_why(home, ledger: Query):
    refused = ledger("SELECT * FROM autopilot_decisions WHERE status = 'rejected' ORDER BY decision_key LIMIT 1")[0]
    chain = home.openclaw("explain", refused["decision_key"], "--json").json
    assert (chain["orders"], chain["fills"], chain["position"]) == ([], [], None)
    assert chain["decision"]["reason"] == refused["reason"]


def test_explain_names_the_nearest_key(home, ledger: Query):
    key = ledger("SELECT decision_key FROM autopilot_decisions ORDER BY decision_key LIMIT 1")[0]["decision_key"]
    answer = home.openclaw("explain", key.replace("BTCUSDT", "BTCUSD"))
    assert (answer.code, key in answer.err) == (1, True)


def test_verify_passes_and_prints_the_ledgers_hashes(home):
    from openclaw_pipelines.resources.store.comparison import ledger_hash, trades_hash

    result = home.openclaw("verify", "--strategy", "fast", "--json")
    own = result.json["strategies"][0]
    assert result.code == 0
    assert [day["day"] for day in own["days"]] == ["2025-05-10", "2025-05-11"]
    assert (own["ticks"], own["differences"]) == (192, [])
    assert own["ledger_hash"] == ledger_hash(home.world().store, "paper", "fast")
    assert own["trades_hash"] == trades_hash(home.world().store, "paper", "fast")
    shown = home.openclaw("verify", "--from", "2025-05-11").out.splitlines()
    assert next(line.split()[:2] for line in shown if "fast" in line) == ["fast", "1"]


def test_verify_names_the_changed_cell(home, ledger: Query):
    fill = ledger("SELECT * FROM autopilot_fills WHERE strategy_config_id = 'fast' ORDER BY fill_key LIMIT 1")[0]
    tamper(home, f"UPDATE autopilot_fills SET price = price + 1 WHERE fill_key = '{fill['fill_key']}'")
    answer = home.openclaw("verify", "--strategy", "fast", "--json")
    found, *resting = answer.json["strategies"][0]["differences"]
    counted = f"LedgerDiffersError: {1 + len(resting)} difference(s) "
    assert (answer.code, answer.err.startswith(counted)) == (1, True)
    assert f"the first of fast in autopilot_fills, fill_key={fill['fill_key']}" in answer.err
    assert {own["table"] for own in resting} == {"autopilot_metrics"}  # what is computed of it
    assert (found["table"], found["kind"], found["column"]) == ("autopilot_fills", "changed", "price")
    assert fill["fill_key"] in found["key"]
    assert Decimal(found["stored"]) - Decimal(found["given"]) == 1
    assert found["recorded_by"] == found["program_version"] == program_version()
    table = home.openclaw("verify", "--strategy", "fast").out
    assert fill["fill_key"] in table


def test_verify_says_when_another_version_recorded_the_row(home, ledger: Query):
    fill = ledger("SELECT * FROM autopilot_fills WHERE strategy_config_id = 'fast' ORDER BY fill_key LIMIT 1")[0]
    tamper(home, f"UPDATE autopilot_fills SET price = price + 1 WHERE fill_key = '{fill['fill_key']}'")
    tamper(home, "UPDATE autopilot_ticks SET program_version = '0.0.9' WHERE strategy_config_id = 'fast'")
    found = home.openclaw("verify", "--strategy", "fast", "--json").json["strategies"][0]["differences"][0]
    assert (found["recorded_by"], found["program_version"]) == ("0.0.9", program_version())


def test_an_empty_ledger_verifies_nothing(home):
    """A ledger file that was deleted is made anew, and empty."""
    home.world().store.file("ledger").unlink()
    answer = home.openclaw("verify")
    assert answer.code == 1
    assert answer.err.strip().startswith("NothingRecordedError: nothing is recorded for ")
    assert "OPENCLAW_DATA_DIR" in answer.err


def test_verify_follows_the_audit_trail(home):
    tamper(home, "UPDATE admin_actions SET actor = 'operator' WHERE strategy_config_id = 'fast' AND sequence = 2")
    answer = home.openclaw("verify", "--strategy", "fast")
    assert answer.code == 1
    assert "BrokenChainError: " in answer.err
    assert "row 2" in answer.err


def test_export_writes_one_day_of_one_strategy(home, tmp_path, ledger: Query):
    path = tmp_path / "fills.csv"
    arguments = ("export", "autopilot_fills", str(path), "--from", "2025-05-11", "--to", "2025-05-11")
    written = home.openclaw(*arguments, "--strategy", "fast", "--json").json
    with path.open() as file:
        rows = list(csv.DictReader(file))
    expected = ledger(
        "SELECT fill_key FROM autopilot_fills WHERE strategy_config_id = 'fast' "
        "AND tick_at > '2025-05-11 00:00:00+00' AND tick_at <= '2025-05-12 00:00:00+00' ORDER BY fill_key"
    )
    assert [row["fill_key"] for row in rows] == [row["fill_key"] for row in expected]
    assert written["rows"] == len(expected) > 0


def test_tables_lists_what_export_takes(empty):
    names = {table["name"] for table in empty.openclaw("tables", "--json").json}
    assert {"candles", "autopilot_fills", "tick_inputs"} <= names
    assert "autopilot_fills" in empty.openclaw("tables").out


def test_report_renders_once(home):
    first = home.openclaw("report", "2025-05-11", "--json").json
    path = home.data / "reports" / "2025-05-11.html"
    assert first == {"day": "2025-05-11", "path": str(path), "rendered": True}
    assert "fast" in path.read_text(encoding="utf-8")
    assert home.openclaw("report", "2025-05-11").out.strip() == str(path)
    assert home.openclaw("report", "2025-05-11", "--json").json["rendered"] is False


def test_approve_enters_the_next_tick_once(home, ledger: Query):
    strategies = home.openclaw("status", "--json").json["strategies"]
    key = next(own for own in strategies if own["strategy"] == "asked")["awaiting_approval"][-1]
    assert home.openclaw("approve", key, "--json").json == {
        "decision_key": key,
        "verdict": "approve",
        "strategy": "asked",
    }
    assert [row["verdict"] for row in ledger("SELECT * FROM operator_requests")] == ["approve"]
    again = home.openclaw("decline", key)
    assert (again.code, again.err.startswith("AlreadyAnsweredError")) == (1, True)
    assert len(ledger("SELECT * FROM operator_requests")) == 1
    assert home.world().ledger("asked").operator_requests() == {key: "approve"}


def test_a_decided_proposal_cannot_be_approved(home, ledger: Query):
    key = ledger("SELECT decision_key FROM autopilot_fills ORDER BY fill_key LIMIT 1")[0]["decision_key"]
    answer = home.openclaw("approve", key)
    assert (answer.code, answer.err.startswith("NotAwaitingError")) == (1, True)
    assert ledger("SELECT * FROM operator_requests") == []


def test_inventory_lists_good_and_bad_files(empty, tmp_path):
    import polars as pl

    archive = tmp_path / "binance_spot"
    archive.mkdir()
    candles = empty.world().market.candles  # the embedded market writes the good file
    from openclaw_pipelines.contracts.time import DAY, day_start

    start = day_start("2025-05-10")
    bars = candles("BTC/USDT:USDT", "15m", start, start + DAY, start + 2 * DAY)
    spot = bars.with_columns(symbol=pl.lit("BTC/USDT"))
    spot.select("ts", "symbol", "open", "high", "low", "close", "volume").write_parquet(
        archive / "BTC-USDT_15m_20250510_20250510.parquet"
    )
    good = empty.openclaw("market", "inventory", "--json", OPENCLAW_ARCHIVE_DIR=str(archive))
    assert [row["problem"] for row in good.json] == [None]
    assert (good.code, [row["rows"] for row in good.json]) == (0, [bars.height])
    pl.DataFrame({"ts": []}).write_csv(archive / "ETHUSDT-15m-2025-05.csv")
    bad = empty.openclaw("market", "inventory", "--json", OPENCLAW_ARCHIVE_DIR=str(archive))
    assert (bad.code, bad.err.startswith("UnusableFilesError: 1 of 2")) == (1, True)
    assert sum(row["problem"] is not None for row in bad.json) == 1


def test_demo_refuses_another_market(empty, tmp_path):
    answer = empty.openclaw("demo", OPENCLAW_MARKET="archive", OPENCLAW_ARCHIVE_DIR=str(tmp_path))
    assert answer.code == 1
    assert "NotEmbeddedError" in answer.err or "Error: " in answer.err
