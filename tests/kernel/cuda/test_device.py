"""What is said where the GPU sweep cannot run."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.kernel.cuda import device

CHECK = Path(__file__).resolve().parents[3] / "tools" / "gpu_check.py"
HAS_EXTRA = importlib.util.find_spec("numba_cuda") is not None


def has_device() -> bool:
    try:
        device.require_device()
    except (cuda.CudaMissingError, cuda.CudaDeviceError):
        return False
    return True


def test_without_the_extra_it_is_named(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(cuda.CudaMissingError, match=r"needs numba-cuda, .* pip install '\.\[gpu\]'") as refused:
        cuda.device_name()
    assert isinstance(refused.value, KernelError)
    assert refused.value.package == "numba-cuda"


class NoDriver:
    """`numba.cuda` on a machine without a driver."""

    @staticmethod
    def is_available() -> bool:
        return False

    @staticmethod
    def cuda_error() -> str:
        return "\nCUDA driver library cannot be found.\nInstall one.\n"


def test_without_a_device_the_driver_is_quoted(monkeypatch) -> None:
    monkeypatch.setattr(device, "require_extra", lambda: None)
    monkeypatch.setattr(device, "driver_api", NoDriver)
    with pytest.raises(cuda.CudaDeviceError) as refused:
        device.require_device()
    assert str(refused.value) == (
        "no CUDA device can be used: CUDA driver library cannot be found. Install one. "
        "Sweep on the CPU, or run on a machine with an NVIDIA GPU and driver."
    )


class Exclusive:
    """`numba.cuda` with a device that another process holds, and with one that is free."""

    free = False

    @staticmethod
    def is_available() -> bool:
        return True

    @classmethod
    def get_current_device(cls) -> Any:
        if not cls.free:
            raise RuntimeError("[101] all CUDA-capable devices are\nbusy or unavailable.")
        return SimpleNamespace(name=b"NVIDIA H200", compute_capability=(9, 0))


def test_a_device_is_named_with_what_it_computes_by_and_one_in_use_is_none(monkeypatch) -> None:
    monkeypatch.setattr(device, "require_extra", lambda: None)
    monkeypatch.setattr(device, "driver_api", lambda: Exclusive)
    monkeypatch.setattr("importlib.metadata.version", lambda name: {"numba-cuda": "0.20.0"}[name])
    with pytest.raises(cuda.CudaDeviceError, match="all CUDA-capable devices are busy or unavailable"):
        cuda.device_name()
    monkeypatch.setattr(Exclusive, "free", True)
    assert cuda.device_name() == "NVIDIA H200 (9.0, numba-cuda 0.20.0)"


def test_the_simulator_needs_the_interpreter(monkeypatch) -> None:
    monkeypatch.setattr(device, "simulated", lambda: True)
    with pytest.raises(cuda.CudaDeviceError, match="NUMBA_DISABLE_JIT=1"):
        device.require_device()


@pytest.mark.skipif(has_device(), reason="there is a GPU; test_host compares it")
def test_the_check_says_that_there_is_none() -> None:
    done = subprocess.run([sys.executable, str(CHECK)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["gpu"] is None
    assert ("no CUDA device" if HAS_EXTRA else "not installed") in report["reason"]
