"""The sweep on a GPU, an optional extra: the replay's own `step`, compiled by numba-cuda, one thread per parameter row.

`sweep` is the entry. The compiled loop is in `loop`, what makes its floats equal to the CPU's in `exact`, what a
device needs in `device`, and the check of the generated code, which needs no device, in `ptx`. Importing this package
loads nothing of numba-cuda.
"""

from openclaw_pipelines.kernel.cuda.device import CudaDeviceError, CudaFailedError, CudaMissingError, device_name
from openclaw_pipelines.kernel.cuda.host import sweep, sweep_under

__all__ = ["CudaDeviceError", "CudaFailedError", "CudaMissingError", "device_name", "sweep", "sweep_under"]
