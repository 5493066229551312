"""Editing an inlined helper must never leave machine code of the old one in use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import openclaw_pipelines

PACKAGE = Path(openclaw_pipelines.__file__).parent


def rsi_of_flat_prices(root):
    """RSI that a fresh process computes with the package copied to `root`."""
    code = (
        "import numpy as np; from openclaw_pipelines.kernel import batches;"
        "print(batches.__file__, batches.rsi(np.ones(9), 3)[-1])"
    )
    environment = {**os.environ, "PYTHONPATH": str(root)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    path, value = done.stdout.rsplit(maxsplit=1)
    assert Path(path).is_relative_to(root)
    return float(value)


def test_an_edited_constant_of_another_module_is_compiled_in(tmp_path):
    for part in ("kernel", "contracts"):
        shutil.copytree(
            PACKAGE / part, tmp_path / "openclaw_pipelines" / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(PACKAGE / "__init__.py", tmp_path / "openclaw_pipelines")
    assert rsi_of_flat_prices(tmp_path) == 50.0
    source = tmp_path / "openclaw_pipelines" / "kernel" / "indicators.py"
    source.write_text(source.read_text().replace("RSI_FLAT = 50.0", "RSI_FLAT = 51.5"))
    assert rsi_of_flat_prices(tmp_path) == 51.5
    folders = list((tmp_path / "openclaw_pipelines" / "kernel" / "__pycache__").glob("kernel-*"))
    assert len(folders) == 2
