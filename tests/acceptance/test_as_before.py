"""What was traded, as it was before: hashes that a change of structure, speed or names must not move.

A change that is meant to trade otherwise moves them, says so in CHANGELOG and states both values.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scenes import Scene, backfill

from openclaw_pipelines.resources.store.comparison import trades_hash

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
WEEK = {
    "momentum_1h": "e18401a4a5cb56ca85f270d0898a19c6e0986504a292df0838cfa18364e0ed94",
    "breakout_15m": "fe11716bac97a2e3b596604c4e76d0b0b90d0135738beaac2f696e8ef0632553",
}
DAYS = {
    "simulated": {
        "momentum_1h": "50e04f11d41ff611744dd955398aa896816d14c0953c0d87e593ffdb971293cd",
        "breakout_15m": "68776e4e3458de8be4c9482d56e6377f374cc0811504e7cf568d4eebcdfd9526",
    },
    "halt": {
        "momentum_1h": "b79ca426c80ce3d04f8fa9d23b2e248810c0b0cab1fa9f1ecabf19438a9cf9ce",
        "breakout_15m": "66de174837a66de1fe0be09f477f589884af9cd262d97fb0a67866e279f313d8",
    },
    "perps": {
        "momentum_1h": "af22235703f64c831dfaedbbf15c341cbf8de8898d6d469f0f7211c217459386",
        "breakout_15m": "beb5703381bbba10707c2944debbe292b1f3190e9dadd7ea41a1004d15bc2871",
    },
    "depeg": {"minute": "c75c8ccb46583a14b444987ab74e3dcd9077a269dd05180e6ff799bccbbe31c2"},
}
SWEEP = "831d8172a5e0bbf750e680ae1258e295413e926981c27d6bc8de1a1d3e8f9c70"


def test_the_week_of_the_demonstration(tmp_path: Path) -> None:
    """`openclaw demo` with the project's own configuration, in a data folder of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "openclaw_pipelines.cli", "demo", "--json"],
        cwd=PROJECT,
        env={**kept, "OPENCLAW_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert {own["strategy"]: own["trades_hash"] for own in json.loads(done.stdout)["strategies"]} == WEEK


@pytest.mark.parametrize(
    "market",
    [
        pytest.param("simulated", id="embedded market"),
        pytest.param("halt", id="binance spot, the halt of 24 March 2023", marks=pytest.mark.shared_data),
        pytest.param("perps", id="binance perpetuals, 16 May 2025", marks=pytest.mark.shared_data),
        pytest.param("depeg", id="kraken spot, 16 March 2023", marks=pytest.mark.shared_data),
    ],
)
def test_a_day(market: str, make_scene: Callable[[str, str, int], Scene]) -> None:
    subject = make_scene(market, "before", 1)
    backfill(subject)
    store = subject.world().store
    assert {name: trades_hash(store, "paper", name) for name in subject.strategies} == DAYS[market]


def test_the_sweep_of_the_benchmark() -> None:
    """Content of 5,000 parameter rows over 500,000 bars; no peer takes part."""
    kept = {name: value for name, value in os.environ.items() if name != "PEERS_PYTHON"}
    command = [sys.executable, str(PROJECT / "benchmarks" / "sweep.py")]
    done = subprocess.run(command, cwd=PROJECT, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert json.loads(done.stdout.splitlines()[-1])["hash"] == SWEEP
