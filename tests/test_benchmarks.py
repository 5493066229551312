"""The benchmarks run at a tiny size and end with a line of JSON that holds the figures the documentation names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
FIGURES = {
    "replay.py": {
        "import_vs_polars",
        "replay_bars_per_s",
        "replay_vs_backtesting",
        "replay_vs_nautilus",
        "trades_equal",
        "bars",
        "hash",
    },
    "tick.py": {"resident_median_s", "resident_vs_empty", "scheduled_median_s"},
}
GROWTH = {
    "market_ms_per_symbol_day", "backfill_ms_per_strategy_day", "metrics_ms_per_strategy_day", "report_ms", "commit_ms",
    "commit_kb", "tick_ms", "tick_kb", "tick_store_kb", "verify_ms_per_strategy_day", "store_mb", "peak_mb",
    "exponents",
}  # fmt: skip


@pytest.mark.parametrize("script", ["replay.py", pytest.param("tick.py", marks=pytest.mark.slow)])
def test_last_line_holds_the_figures(script: str, tmp_path: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in ("PEERS_PYTHON", "DAGSTER_HOME")}
    done = subprocess.run(
        [sys.executable, str(PROJECT / "benchmarks" / script), "--quick"],
        env={**environ, "TMPDIR": str(tmp_path)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert FIGURES[script] <= figures.keys()
    measured = {"replay.py": "replay_bars_per_s", "tick.py": "resident_vs_empty"}[script]
    assert figures[measured] > 0
    assert list(tmp_path.iterdir()) == [], "the benchmark left files behind"


def test_replay_without_peers_compares_nothing_and_says_so() -> None:
    """A ratio to a peer that did not run is null, never a number."""
    environ = {key: value for key, value in os.environ.items() if key != "PEERS_PYTHON"}
    command = [sys.executable, str(PROJECT / "benchmarks" / "replay.py"), "--quick"]
    done = subprocess.run(command, env=environ, cwd=PROJECT, capture_output=True, text=True, timeout=240, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert [figures[name] for name in ("replay_vs_backtesting", "replay_vs_nautilus", "trades_equal")] == [None] * 3
    assert "No peers were compared" in done.stdout
    assert figures["bars"] == 2_880


@pytest.mark.slow
def test_growth_measures_each_axis_and_draws_it(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    environ = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"}
    script, plots = PROJECT / "benchmarks" / "growth.py", tmp_path / "plots"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--plots", str(plots)],
        env={**environ, "TMPDIR": str(tmp_path / "tmp")},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    sizes = {"days": {"2", "3"}, "symbols": {"2", "3"}, "strategies": {"1", "2"}}
    assert {axis: set(own["commit_kb"]) for axis, own in found.items()} == sizes
    assert all(set(own) == GROWTH for own in found.values())
    assert all(0 < value < 100 for value in found["days"]["commit_kb"].values())
    assert {path.name for path in plots.iterdir()} == {f"growth_{axis}.png" for axis in sizes}
    assert list((tmp_path / "tmp").iterdir()) == [], "the benchmark left files behind"
