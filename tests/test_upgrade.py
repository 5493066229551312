"""An upgrade loses nothing: stores that released versions wrote, with open positions, are opened and traded on.

Each was made by `tools/keep_store.py` of its version, which also kept what that version traded in the hours after.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from openclaw_pipelines.domain.governance.limits_held import entries_count
from openclaw_pipelines.resources.store.comparison import trades_hash
from openclaw_pipelines.resources.store.migrations import DATABASES, migrations_of
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.services.trading.risk_examination import RiskRows

STORES = Path(__file__).parent / "data" / "stores"
KEPT = sorted(path.name.removesuffix(".tar.xz") for path in STORES.glob("*.tar.xz"))
KEPT_UNTIL, LIVED_UNTIL = "2025-05-12T00:00", "2025-05-12T04:00"


def openclaw(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_"))}
    environ = {**kept, "OPENCLAW_CONFIG": str(folder / "config" / "autopilot.yaml")}
    command = [sys.executable, "-m", "openclaw_pipelines.cli", *arguments]
    return subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)


def verified(folder: Path) -> list[dict[str, Any]]:
    done = openclaw(folder, "verify", "--json")
    assert done.returncode == 0, done.stderr[-2_000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)["strategies"]
    return found


@pytest.fixture(params=KEPT)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    with tarfile.open(STORES / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return request.param, tmp_path


def test_a_store_is_kept() -> None:
    assert "0.1.0" in KEPT


def test_its_entries_held_the_limits_of_their_time(kept: tuple[str, Path]) -> None:
    """Exits counted, and concentration was a share of equity: the second witness knows the rules of before."""
    _, folder = kept
    for strategy in ("breakout_15m", "momentum_1h"):
        ledger = StrategyLedger(Store(folder / "data"), "paper", strategy)
        for day in ("2025-05-10", "2025-05-11"):
            rows = RiskRows(ledger, day)
            assert not entries_count(rows.policy)
            assert rows.entries.height > 0
            assert rows.broken() == []


def test_a_released_store_migrates_verifies_and_takes_its_next_ticks(kept: tuple[str, Path]) -> None:
    version, folder = kept
    before = {own["strategy"]: own for own in verified(folder)}
    assert {own["differences"] == [] for own in before.values()} == {True}
    assert {name: own["ticks"] for name, own in before.items()} == {"breakout_15m": 192, "momentum_1h": 48}
    store = Store(folder / "data")
    held = store.query(
        "ledger",
        "SELECT strategy_config_id FROM autopilot_positions WHERE tick_at = (SELECT max(tick_at) FROM autopilot_ticks)",
    )
    assert set(held["strategy_config_id"]) == {"breakout_15m", "momentum_1h"}
    for database in DATABASES:
        applied = store.query(database, "SELECT max(number) AS n FROM schema_migrations")
        assert applied["n"][0] == len(migrations_of(database))
    lived = openclaw(folder, "ticker", "--clock", "replayed", "--from", KEPT_UNTIL, "--to", LIVED_UNTIL)
    assert lived.returncode == 0, lived.stderr[-2_000:]
    traded = json.loads((STORES / f"{version}.json").read_text(encoding="utf-8"))
    assert {name: trades_hash(store, "paper", name) for name in traded} == traded
    after = {own["strategy"]: own for own in verified(folder)}
    assert {name: own["ticks"] for name, own in after.items()} == {"breakout_15m": 208, "momentum_1h": 52}
    assert {own["differences"] == [] for own in after.values()} == {True}
    taken_over = store.query("ledger", "SELECT * FROM admin_actions WHERE action = 'SOURCE_TAKEN_OVER'")
    assert sorted(taken_over["strategy_config_id"]) == ["breakout_15m", "momentum_1h"], "once each, over four hours"
    assert set(taken_over["to_state"]) == {"simulated"}
    account = store.query("ledger", "SELECT * FROM admin_actions WHERE strategy_config_id = '@account'").to_dicts()
    assert [(row["sequence"], row["action"], row["from_state"]) for row in account] == [
        (1, "CONFIGURATION_CHANGED", None)
    ], "the first look at an older ledger is a baseline, and the hours after it change nothing"


def test_a_deployment_that_knows_no_source_does_not_take_over_another_venues(kept: tuple[str, Path]) -> None:
    """The twin: the configured source has another lot than the recorded ticks."""
    _, folder = kept
    with Store(folder / "data").write("market") as con:
        con.execute("UPDATE instruments SET lot = lot * 10 WHERE symbol LIKE 'BTC%'")
    lived = openclaw(folder, "ticker", "--clock", "replayed", "--from", KEPT_UNTIL, "--to", LIVED_UNTIL)
    assert "OtherVenueError" in lived.stderr + lived.stdout
    assert "BTC/USDT:USDT has lot" in lived.stderr + lived.stdout
    newest = Store(folder / "data").query("ledger", "SELECT max(tick_at) AS at FROM autopilot_ticks")["at"][0]
    assert f"{newest:%Y-%m-%dT%H:%M}" == KEPT_UNTIL


SEAL = """
from openclaw_pipelines.resources.world import open_world
from openclaw_pipelines.services.evaluation.sealing import seal_days
world = open_world()
for name in world.settings().strategies:
    print(name, *(row["day"] for row in seal_days(world, name, "2025-05-11").sealed))
"""


def test_a_released_store_is_sealed_from_its_first_day_on(kept: tuple[str, Path]) -> None:
    _, folder = kept
    environ = {**os.environ, "OPENCLAW_CONFIG": str(folder / "config" / "autopilot.yaml")}
    command = [sys.executable, "-c", SEAL]
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    days = "2025-05-09 2025-05-10 2025-05-11"
    assert sorted(done.stdout.split("\n")) == ["", f"breakout_15m {days}", f"momentum_1h {days}"], done.stderr[-2_000:]
    for own in verified(folder):
        assert (own["sealed_until"], own["differences"], own["unknown"]) == ("2025-05-11", [], [])
        shown = openclaw(folder, "verify", "--strategy", own["strategy"], "--expect", own["seal"])
        assert shown.returncode == 0, shown.stderr
    with Store(folder / "data").write("ledger") as con:
        con.execute("UPDATE autopilot_ticks SET program_version = '0.0.9' WHERE strategy_config_id = 'momentum_1h'")
    done = openclaw(folder, "verify")
    assert done.returncode == 1
    assert "of momentum_1h in autopilot_ticks, sealed day=2025-05-09" in done.stderr


def test_an_altered_store_is_seen(kept: tuple[str, Path]) -> None:
    """The twin: one recorded position changed behind the program's back."""
    _, folder = kept
    with Store(folder / "data").write("ledger") as con:
        con.execute("UPDATE autopilot_positions SET qty = qty + 1 WHERE strategy_config_id = 'momentum_1h'")
    done = openclaw(folder, "verify", "--json")
    assert done.returncode == 1
    assert "LedgerDiffersError" in done.stderr
