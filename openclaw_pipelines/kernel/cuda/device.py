"""Whether this machine can run the GPU sweep, and what to say where it cannot."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba

from openclaw_pipelines.contracts.errors import KernelError


class CudaMissingError(KernelError):
    """The optional extra is not installed."""

    template = "the GPU sweep needs {package}, which is not installed. Install the extra: pip install '.[gpu]'."
    package: str


class CudaDeviceError(KernelError):
    """There is no GPU that could be used."""

    template = "no CUDA device can be used: {why}. Sweep on the CPU, or run on a machine with an NVIDIA GPU and driver."
    why: str


class CudaFailedError(KernelError):
    """The device was there, and compiling or running the sweep on it failed."""

    template = (
        "the sweep failed on {device}: {why}. Update its driver or free its memory; to go on without it, hide it with "
        "CUDA_VISIBLE_DEVICES=-1 or sweep on the CPU."
    )
    device: str
    why: str


def simulated() -> bool:
    """Whether numba's CUDA simulator is switched on (NUMBA_ENABLE_CUDASIM=1): Python in place of a device."""
    settings: Any = numba.config
    return bool(settings.ENABLE_CUDASIM)


def driver_api() -> Any:
    """`numba.cuda`, which has no types: the simulator's, the extra's, or what numba itself still brings."""
    return importlib.import_module("numba.cuda")


def require_extra() -> None:
    """Refuse to go on without numba-cuda.

    Raises:
        CudaMissingError: it is not installed. The simulator does without.
    """
    if not simulated() and importlib.util.find_spec("numba_cuda") is None:
        raise CudaMissingError("numba-cuda")


def require_device() -> None:
    """Refuse to go on without a device.

    Raises:
        CudaMissingError: numba-cuda is not installed.
        CudaDeviceError: no driver, no device, or no compiler for it.
    """
    require_extra()
    settings: Any = numba.config
    if simulated() and not settings.DISABLE_JIT:
        raise CudaDeviceError("numba's simulator cannot call compiled functions, set NUMBA_DISABLE_JIT=1 beside it")
    cuda = driver_api()
    if not cuda.is_available():
        why = str(cuda.cuda_error() or "no device was found, or NVVM is missing")
        raise CudaDeviceError(" ".join(why.split()).rstrip("."))


def device_name() -> str:
    """The current device by name and compute capability, with numba-cuda's version, for reports and trust.

    Raises:
        CudaMissingError, CudaDeviceError: as `require_device`, and where the device cannot be opened.
    """
    require_device()
    if simulated():
        return "simulator"
    try:
        device = driver_api().get_current_device()
    except Exception as error:  # as `failures_named`
        raise CudaDeviceError(_why(error)) from error
    name = device.name.decode() if isinstance(device.name, bytes) else device.name
    capability = ".".join(str(part) for part in device.compute_capability)
    return f"{name} ({capability}, numba-cuda {importlib.metadata.version('numba-cuda')})"


@contextmanager
def failures_named(device: str) -> Iterator[None]:
    """Whatever is raised inside as a failure of the device: driver, linker and compiler share no class of errors."""
    try:
        yield
    except Exception as error:
        raise CudaFailedError(device, _why(error)) from error


def _why(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
