"""The GPU sweep in numba's simulator and, where there is one, on a device: each row is its replay to the bit."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.kernel.base.layout import BarState, EventKind
from openclaw_pipelines.kernel.cuda.device import require_device
from openclaw_pipelines.kernel.run.replay import replay
from openclaw_pipelines.kernel.sweep.result import Sweep
from openclaw_pipelines.kernel.sweep.sweep import NoRowsError, sweep

TOOLS = Path(__file__).resolve().parents[3] / "tools"
sys.path.insert(0, str(TOOLS))
import gpu_check  # noqa: E402 - a script, found by its folder

N_BARS, N_SYMBOLS, N_ROWS, START = 100, 3, 10, 5
SIMULATED = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
import gpu_check
from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.kernel.cuda import host
n_bars, n_symbols, n_rows, start = map(int, sys.argv[2:6])
host.TICKS_PER_LAUNCH, host.ROWS_PER_BATCH, host.THREADS_PER_BLOCK = 40, 6, 4
limits, account_limits = gpu_check.loose_limits(n_symbols)
given = {"limits": limits, "account_limits": account_limits, "start": start}
bars, rows = gpu_check.market(n_bars, n_symbols), gpu_check.parameter_rows(n_rows)
found, done = {"device": cuda.device_name()}, []
for profile, chosen in (("strict", rows), ("freqtrade", rows[:6])):
    swept = cuda.sweep(bars, chosen, gpu_check.COSTS, profile=profile, progress=done.append, **given)
    found[profile] = [hashlib.sha256(swept.bits(row)).hexdigest() for row in range(len(swept))]
    found[f"{profile} content"] = swept.content_hash
found["progress"] = [[own.bars_done, own.bars, own.rows] for own in done]
def full(progress):
    raise OSError("the log's disk is full")
try:
    cuda.sweep(bars, rows[:1], gpu_check.COSTS, progress=full, **given)
except OSError as failed:
    found["not the driver's"] = str(failed)
api = cuda.host.driver_api()
def broken(array):
    raise api.cudadrv.driver.CudaAPIError(700, "an illegal memory address was met")
api.to_device = broken
try:
    cuda.sweep(bars, rows, gpu_check.COSTS, **given)
except cuda.CudaFailedError as failed:
    found["failed"] = str(failed)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def given():
    limits, account_limits = gpu_check.loose_limits(N_SYMBOLS)
    return {"limits": limits, "account_limits": account_limits, "start": START}


@pytest.fixture(scope="module")
def bars():
    return gpu_check.market(N_BARS, N_SYMBOLS)


@pytest.fixture(scope="module")
def rows():
    return gpu_check.parameter_rows(N_ROWS)


@pytest.fixture(scope="module")
def replays(bars, rows, given):
    return [replay(bars, row, gpu_check.COSTS, **given) for row in rows]


@pytest.fixture(scope="module")
def simulated():
    """Hashes of what the simulator found: several launches, batches and blocks, the last of each not full."""
    arguments = [str(TOOLS), *map(str, (N_BARS, N_SYMBOLS, N_ROWS, START))]
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED, *arguments],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def hashed(result, row):
    return hashlib.sha256(Sweep.of_result(result, row, 10**12, "").bits(0)).hexdigest()


def test_every_row_in_the_simulator_is_its_replay(simulated, rows, replays) -> None:
    assert simulated["device"] == "simulator"
    assert simulated["strict"] == [hashed(result, row) for result, row in zip(replays, rows, strict=True)]


def test_it_is_the_same_sweep_as_on_the_cpu(simulated, bars, rows, given) -> None:
    assert simulated["strict content"] == sweep(bars, rows, gpu_check.COSTS, threads=1, **given).content_hash


def test_so_it_is_under_the_other_candle_profile(simulated, bars, rows, given) -> None:
    replays = [replay(bars, row, gpu_check.COSTS, profile="freqtrade", **given) for row in rows[:6]]
    assert simulated["freqtrade"] == [hashed(result, row) for result, row in zip(replays, rows, strict=False)]
    assert simulated["freqtrade"] != simulated["strict"][:6]


def test_it_tells_how_far_it_is(simulated) -> None:
    """Ten rows are two batches, six rows are one; a launch takes 40 of the 100 bars."""
    ten = [[bars_done, 200, 10] for bars_done in (40, 80, 100, 140, 180, 200)]
    assert simulated["progress"] == [*ten, [40, 100, 6], [80, 100, 6], [100, 100, 6]]


def test_what_the_driver_refuses_is_named_with_what_to_do(simulated) -> None:
    assert simulated["failed"].startswith("the sweep failed on simulator: CudaAPIError: ")
    assert "an illegal memory address was met" in simulated["failed"]
    assert "Update its driver" in simulated["failed"]
    assert simulated["not the driver's"] == "the log's disk is full", "it is no failure of the device"


def test_one_changed_price_or_parameter_is_seen(simulated, bars, rows, replays, given) -> None:
    filled = replays[0].events[replays[0].events.kind == EventKind.FILL][0]
    opens = bars.matrices.open.copy()
    opens[(filled.at - bars.times[0]) // bars.interval_seconds, filled.symbol] += 20
    opens.flags.writeable = False
    changed = dataclasses.replace(bars, matrices=bars.matrices._replace(open=opens))
    other = rows[0].copy()
    other["position_bps"] += 10
    assert hashed(replay(changed, rows[0], gpu_check.COSTS, **given), rows[0]) != simulated["strict"][0]
    assert hashed(replay(bars, other, gpu_check.COSTS, **given), other) != simulated["strict"][0]


def test_the_market_holds_what_could_go_wrong(bars, rows, replays) -> None:
    events = np.concatenate([result.events for result in replays]).view(np.recarray)
    assert {int(kind) for kind in events.kind} >= {EventKind.FILL, EventKind.FUNDING, EventKind.ENTRY_EXPIRED}
    reasons = {int(reason) for reason in events.reason[events.kind == EventKind.FILL]}
    assert reasons >= {ExitReason.SIGNAL, ExitReason.STOP, ExitReason.TARGET, ExitReason.LIQUIDATION}
    assert (bars.matrices.bar_state == BarState.MISSING).any()
    assert (bars.matrices.bar_state == BarState.UNFILLABLE).any()
    assert sorted({int(row["family"]) for row in rows}) == [1, 2, 3, 4]
    entries = events[(events.kind == EventKind.FILL) & (events.leg == 1)]
    assert set(entries.side.tolist()) == {-1, 1}
    assert not bars.instruments[2].is_perp


def test_on_a_device_every_row_is_its_replay(bars, rows, replays, given) -> None:
    try:
        require_device()
    except (cuda.CudaMissingError, cuda.CudaDeviceError) as missing:
        pytest.skip(str(missing))
    swept = cuda.sweep(bars, rows, gpu_check.COSTS, **given)
    different = [gpu_check.differences(swept, row, result) for row, result in enumerate(replays)]
    assert different == [()] * N_ROWS


def test_no_rows_are_refused(bars, rows, monkeypatch) -> None:
    monkeypatch.setattr("openclaw_pipelines.kernel.cuda.host.device_name", lambda: "a GPU")
    with pytest.raises(NoRowsError):
        cuda.sweep(bars, rows[:0])
