# ruff: noqa: E501  tables, one row a line
"""Bad input, one row each: its named error or failed check, exit code 1, and a store that is as it was before.

Most rows run the very job and command function of a user in this process; `test_in_a_process_of_its_own` proves with
real ones that a failed run is exit code 1 with the error's name on the screen. The rows: `bad_input/bad_rows.py`.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / name) for name in ("bad_input", "resources/market/ccxt")]

from bad_rows import (  # noqa: E402
    CANDLES,
    DEFECTS,
    FEATHER,
    MORE_CASH,
    OFF_UNIT,
    POINTER,
    ROWS,
    Row,
    append_text,
    next_day,
    nothing,
    replaced_by,
    set_to,
    sql,
)
from bad_scene import CYCLE, FIRST, NEXT, RECORDED, STRATEGY, Outcome, Scene, Scenes  # noqa: E402
from exchange_server import NOW, Bar, ExchangeServer, Fault  # noqa: E402
from stores import copy_store  # noqa: E402
from wire_markets import smallest_markets  # noqa: E402

LEAST_ROWS = 40


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    return Scenes(tmp_path_factory.mktemp("scenes"))


def judge(outcome: Outcome, row: Row) -> None:
    assert (outcome.error, outcome.failed) == (row.error, row.checks), outcome.message
    assert outcome.exit_code == row.exit_code
    assert [text for text in row.says if text not in outcome.message] == [], outcome.message


def test_the_table_is_long_enough() -> None:
    assert len(ROWS) + len(DEFECTS) + len(EXCHANGE) >= LEAST_ROWS
    assert len({row.id for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_bad_input_is_named_and_leaves_the_store_as_it_was(scenes: Scenes, row: Row) -> None:
    scene = scenes.copy(recorded=row.recorded)
    row.setup(scene)
    before = scene.keep()
    outcome = row.act(scene)
    judge(outcome, row)
    assert sorted(scene.changed(before)) == row.evidence
    if any(severity == "ERROR" for severity in row.checks.values()):
        assert "features" not in outcome.ran  # what stands downstream of a blocking check did not run


def test_the_same_scene_unbroken_passes(scenes: Scenes) -> None:
    """The twin of every row: without a defect all of it succeeds, no check fails, and the store grows."""
    scene = scenes.copy()
    before = scene.keep()
    market = scene.materialize("instruments")
    assert (market.exit_code, market.failed) == (0, {})
    market = scene.materialize("candles", "funding_rates", "features", partition=NEXT)
    assert (market.exit_code, market.failed) == (0, {}), market.message
    assert market.ran == {"candles", "funding_rates", "features"}
    ticks = scene.materialize(*CYCLE, partition=f"{NEXT}|{STRATEGY}")
    assert (ticks.exit_code, ticks.failed, ticks.ran) == (0, {}, set(CYCLE)), ticks.message
    assert {"candles", "features", "funding_rates", "autopilot_ticks", "tick_inputs"} <= set(scene.changed(before))
    for command in (["verify"], ["status"], ["market", "inventory"], ["export", "candles", str(scene.root / "a.csv")]):
        assert scene.openclaw(*command).exit_code == 0


@pytest.mark.shared_data
@pytest.mark.parametrize(("place", "act", "error", "says"), DEFECTS)
def test_files_as_people_found_them(
    scenes: Scenes,
    shared_data: Path,
    place: Callable[[Scene, Path], None],
    act: Callable[[Scene], Outcome],
    error: str,
    says: tuple[str, ...],
) -> None:
    scene = scenes.copy()
    place(scene, shared_data / "raw" / "dev" / "defects")
    before = scene.keep()
    judge(act(scene), Row(nothing, act, error, says))
    assert scene.changed(before) == []


def test_a_kill_switch_file_of_no_meaning_halts_and_is_reported(scenes: Scenes, tmp_path: Path) -> None:
    scene = scenes.copy()
    next_day(scene)
    twin = Scene(copy_store(scene.root, tmp_path / "twin"))
    (scene.data_dir / "KILL_SWITCH").write_text("maybe\n")
    status = json.loads(scene.openclaw("status", "--json").message)
    assert status["kill_switch"] == "halt_all"
    assert "KILL_SWITCH holds 'maybe'" in status["kill_switch_reason"]
    for one in (scene, twin):
        assert one.materialize(*CYCLE, partition=f"{NEXT}|{STRATEGY}").exit_code == 0
    later = "WHERE tick_at > TIMESTAMPTZ '2025-05-11 00:00:00+00'"
    halted = scene.query("ledger", f"SELECT DISTINCT json_extract(masks, '$.halt') AS halt FROM tick_inputs {later}")
    assert halted["halt"].to_list() == ["2"]
    orders = f"SELECT count(*) AS n FROM autopilot_orders {later} AND leg = 'entry'"
    assert scene.query("ledger", orders)["n"][0] == 0
    assert twin.query("ledger", orders)["n"][0] > 0


# ---- an exchange over the wire

ALWAYS = 9
"""More faults than the source makes attempts."""
BODY = b'{"error":[],"result":{"XXBTZUSD":[[1746835200,"1","1","soon","1","1","1",1]],"last":0}}'


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer(NOW, smallest_markets()) as running:
        yield running


def kraken(scene: Scene, server: ExchangeServer, **market: Any) -> None:
    """Kraken's bitcoin in dollars, from the local server, without waits between attempts."""
    scene.environ["OPENCLAW_MARKET"] = "ccxt"
    options = server.options("kraken")
    settings = {"exchange": "kraken", "symbols": ["BTC/USD"], "exchange_options": options, "max_retries": 0, **market}
    scene.configure(lambda tree: tree["market"].update(settings))


def faults(*given: Fault) -> Callable[[Scene, ExchangeServer], None]:
    return lambda _, server: server.fail(*(given * ALWAYS))


def twice(bars: list[Bar]) -> list[Bar]:
    return [*bars, *(bar._replace(close="1.0") for bar in bars[-2:])]


def off_grid(bars: list[Bar]) -> list[Bar]:
    return [bar._replace(ts=bar.ts + 7_000) for bar in bars]


def changed(change: Callable[[list[Bar]], list[Bar]]) -> Callable[[Scene, ExchangeServer], None]:
    return lambda _, server: setattr(server, "change", change)


def market(**settings: Any) -> Callable[[Scene, ExchangeServer], None]:
    return lambda scene, _: scene.configure(lambda tree: tree["market"].update(settings))


def option(name: str, value: Any) -> Callable[[Scene, ExchangeServer], None]:
    return lambda scene, _: scene.configure(lambda tree: tree["market"]["exchange_options"].update({name: value}))


EXCHANGE = [
    pytest.param(faults(Fault(None)), RECORDED, "ExchangeUnavailableError", ("kraken", "BTC/USD"), id="reset"),
    pytest.param(faults(Fault(503)), RECORDED, "ExchangeUnavailableError", ("kraken", "503"), id="down"),
    pytest.param(faults(Fault(429)), RECORDED, "ExchangeRateLimitedError", ("kraken", "429"), id="429 for ever"),
    pytest.param(faults(Fault(403)), RECORDED, "ExchangeRefusedError", ("kraken", "403"), id="refused"),
    pytest.param(faults(Fault(body=b"<html>")), RECORDED, "MalformedResponseError", ("kraken",), id="no JSON"),
    pytest.param(faults(Fault(body=BODY)), RECORDED, "MalformedResponseError", ("kraken",), id="other shape"),
    pytest.param(faults(Fault(cut_to=99)), RECORDED, "MalformedResponseError", ("kraken",), id="cut short"),
    pytest.param(changed(twice), RECORDED, "ConflictingRowsError", ("kraken", "2025-05-10"), id="two values"),
    pytest.param(changed(off_grid), RECORDED, "OffGridStampError", ("kraken", "1h"), id="off the grid"),
    pytest.param(market(symbols=["XBTC/USD"]), RECORDED, "SymbolNotListedError", ("XBTC/USD", "BTC/USD"), id="not listed"),
    pytest.param(option("has", {"fetchOHLCV": False}), RECORDED, "IntervalNotSupportedError", ("1h",), id="no bars"),
    pytest.param(market(intervals=["1m"]), FIRST, "HistoryTooShortError", ("1m", FIRST), id="too old"),
    pytest.param(market(exchange="krakn"), RECORDED, "UnknownExchangeError", ("krakn", "kraken"), id="unknown exchange"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "day", "error", "says"), EXCHANGE)
def test_an_exchange_that_fails_is_named_and_leaves_the_store_as_it_was(
    scenes: Scenes,
    server: ExchangeServer,
    spoil: Callable[[Scene, ExchangeServer], None],
    day: str,
    error: str,
    says: tuple[str, ...],
) -> None:
    scene = scenes.copy()
    kraken(scene, server)
    spoil(scene, server)
    before = scene.keep()
    judge(scene.materialize("candles", partition=day), Row(nothing, CANDLES, error, says))
    assert scene.changed(before) == []


INFINITE = b'[[1746835200000,"1","1e300","1","1","1",1746838799999,"0",1,"0","0","0"]]'


def test_one_lying_symbol_stops_no_other_and_is_said(scenes: Scenes, server: ExchangeServer) -> None:
    scene = scenes.copy()
    spot, perp = "BTC/USDT", "BTC/USDT:USDT"
    kraken(scene, server, exchange="binance", symbols=[spot, perp], exchange_options=server.options("binance"))
    server.fail(Fault(body=INFINITE))  # the first request for candles is for the first symbol
    outcome = scene.materialize("candles", partition=RECORDED)
    assert (outcome.error, outcome.exit_code) == ("", 0)
    assert outcome.failed["refused_answers"] == "WARN"
    assert "ERROR" not in outcome.failed.values()
    stored = scene.query(
        "market", "SELECT symbol, count(*) AS n FROM candles WHERE source = 'ccxt:binance' GROUP BY ALL"
    )
    assert dict(stored.iter_rows()) == {perp: 12}
    [alert] = scene.query("ledger", "SELECT * FROM notifications_outbox WHERE kind = 'refused_answer'").to_dicts()
    assert (alert["subject"], alert["severity"]) == (f"ccxt:binance {spot} 1h", "warning")
    assert "2025-05-10T00:00:00+00:00 the bar (1.0, 1e+300, 1.0, 1.0, 1.0)" in alert["message"]
    assert scene.materialize("candles", partition=RECORDED).failed["refused_answers"] == "WARN"  # of the day, it stays
    assert scene.query("market", "SELECT count(*) AS n FROM candles WHERE source = 'ccxt:binance'")["n"][0] == 24


def test_a_bar_off_its_unit_stops_no_tick(scenes: Scenes) -> None:
    scene = scenes.copy()
    OFF_UNIT(scene)
    next_day(scene)
    ticks = scene.materialize(*CYCLE, partition=f"{NEXT}|{STRATEGY}")
    assert (ticks.exit_code, ticks.failed) == (0, {}), ticks.message
    later = "WHERE tick_at > TIMESTAMPTZ '2025-05-11 00:00:00+00' ORDER BY tick_at"
    bars = scene.query("ledger", f"SELECT bars FROM tick_inputs {later}")["bars"].to_list()
    assert ["BTC/USDT:USDT" in json.loads(own) for own in bars] == [hour != 12 for hour in range(24)]


def test_the_exchange_unspoiled_gives_its_bars(scenes: Scenes, server: ExchangeServer) -> None:
    scene = scenes.copy()
    kraken(scene, server)
    assert scene.materialize("candles", partition=RECORDED).error == ""
    stored = scene.query("market", "SELECT count(*) AS n FROM candles WHERE source = 'ccxt:kraken'")
    assert stored["n"][0] == 12  # the clock of the server stands at noon


# ---- processes of their own

ON_SCREEN = 4_000


def materialized(*assets: str, partition: str) -> list[str]:
    module = ["-m", "openclaw_pipelines.definitions"]
    return ["dagster", "asset", "materialize", "--select", ",".join(assets), "--partition", partition, *module]


@pytest.fixture
def process(scenes: Scenes) -> Scene:
    """A scene with an instance of Dagster in its folder, as `openclaw init` makes it."""
    scene = scenes.copy()
    assert scene.openclaw("init").exit_code == 0
    return scene


PROCESSES = [
    pytest.param(append_text("acount: x\n"), materialized("candles", partition=NEXT), "UnknownSettingError", ("acount",), id="unknown key"),
    pytest.param(replaced_by(FEATHER, POINTER), materialized("candles", partition=NEXT), "GitLfsPointerError", (FEATHER,), id="git-LFS pointer", marks=pytest.mark.slow),
    pytest.param(nothing, materialized(*CYCLE, partition=f"2025-05-12|{STRATEGY}"), "HoleError", ("2025-05-11",), id="hole"),
    pytest.param(nothing, materialized("candles", partition="2099-01-01"), "DagsterInvalidSubsetError", ("2099-01-01",), id="day to come", marks=pytest.mark.slow),
    pytest.param(sql("ledger", MORE_CASH), materialized(*CYCLE, partition=f"{RECORDED}|{STRATEGY}"), "DagsterAssetCheckFailedError", ("recorded_ticks_replay",), id="ledger row changed", marks=pytest.mark.slow),
    pytest.param(sql("ledger", MORE_CASH), ["openclaw", "verify"], "LedgerDiffersError", ("autopilot_equity", "cash"), id="verify", marks=pytest.mark.slow),
    pytest.param(set_to("risk.max_order_notional", -1), ["openclaw", "status"], "SettingValueError", ("max_order_notional",), id="negative limit"),
]  # fmt: skip


@pytest.mark.parametrize(("setup", "command", "error", "says"), PROCESSES)
def test_in_a_process_of_its_own(
    process: Scene, setup: Callable[[Scene], Any], command: list[str], error: str, says: tuple[str, ...]
) -> None:
    setup(process)
    before = process.keep()
    done = process.process(*command)
    assert done.returncode == 1
    assert [text for text in (error, *says) if text not in done.stdout + done.stderr] == [], done.stderr[-ON_SCREEN:]
    red = "DagsterAssetCheckFailedError" in error
    evidence = ["parity_reports"] if "recorded_ticks_replay" in says else []
    assert sorted(process.changed(before)) == (["notifications_outbox"] if red else []) + evidence


HOLD = """
import sys
from pathlib import Path
from openclaw_pipelines.resources.store.store import Store
with Store(Path(sys.argv[1])).write(sys.argv[2]):
    print("holding", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("database", "act"),
    [
        pytest.param("market", lambda scene: scene.materialize("candles", partition=NEXT), id="market"),
        pytest.param("ledger", lambda scene: scene.openclaw("verify"), id="ledger"),
    ],
)
def test_a_locked_store_names_who_holds_it(scenes: Scenes, database: str, act: Callable[[Scene], Outcome]) -> None:
    scene = scenes.copy()
    set_to("lock_timeout_seconds", 0.3)(scene)
    before = scene.keep()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(scene.data_dir), database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        outcome = act(scene)
    finally:
        holder.communicate(timeout=30)
    judge(outcome, Row(nothing, act, "StoreLockedError", (f"{database}.duckdb", f"process {holder.pid}")))
    assert scene.changed(before) == []


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bad_scene import Scene
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
outcome = Scene(Path(sys.argv[2])).materialize(*sys.argv[4:], partition=sys.argv[3])
print(outcome.error, outcome.message)
sys.exit(outcome.exit_code)
"""
"""No file may grow beyond 2 KB, which stands for a full disk. The run's own records are in memory, so that the store is
the first to notice."""


@pytest.mark.parametrize(
    ("database", "partition", "assets"),
    [
        pytest.param("market", NEXT, ("candles",), id="candles"),
        pytest.param("ledger", f"{NEXT}|{STRATEGY}", CYCLE, id="ticks", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_keeps_nothing_of_the_day(
    scenes: Scenes, database: str, partition: str, assets: tuple[str, ...]
) -> None:
    scene = scenes.copy()
    if database == "ledger":
        next_day(scene)
    before = scene.keep()
    done = scene.process("python", "-c", FULL, str(HERE / "bad_input"), str(scene.root), partition, *assets)
    assert done.returncode == 1
    assert done.stdout.startswith("StoreFullError "), (done.stdout + done.stderr)[-ON_SCREEN:]
    assert f"{database}.duckdb" in done.stdout
    assert scene.changed(before) == []
    assert scene.materialize(*assets, partition=partition).exit_code == 0  # with room again
    assert scene.changed(before) != []


APPROVE_AS_NOBODY = """
import os
import openclaw_pipelines.commands.approvals, openclaw_pipelines.contracts.tables.trading, openclaw_pipelines.resources.store.export
import openclaw_pipelines.resources.world, openclaw_pipelines.resources.market.archive.source, openclaw_pipelines.settings.redaction
from openclaw_pipelines.cli import main
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
main(["approve", "autopilot:paper:breakout:BTCUSDT-PERP:20250510T0100Z"])
"""
"""What the program needs is imported before the right to read its folder is given up."""


def test_a_read_only_store_is_named(scenes: Scenes) -> None:
    whole = scenes.copy()
    with tempfile.TemporaryDirectory() as folder:  # other users cannot reach pytest's own
        Path(folder).chmod(0o755)
        scene = Scene(copy_store(whole.root, Path(folder) / "scene"))
        set_to("market.archive_dir", str(scene.archive))(scene)
        before = scene.keep()
        paths = [scene.root, *scene.root.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = scene.process("python", "-c", APPROVE_AS_NOBODY)
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
        assert done.returncode == 1
        assert done.stderr.startswith("StoreReadOnlyError: "), done.stderr
        assert str(scene.data_dir) in done.stderr
        assert "OPENCLAW_DATA_DIR" in done.stderr
        assert scene.changed(before) == []
