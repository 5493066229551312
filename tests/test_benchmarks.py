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
