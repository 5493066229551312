"""Editing an inlined helper must never leave machine code of the old one in use."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import openclaw_pipelines
from openclaw_pipelines.kernel.base.compile_cache import sources_hash

PACKAGE = Path(openclaw_pipelines.__file__).parent


def rsi_of_flat_prices(root):
    """RSI that a fresh process computes with the package copied to `root`."""
    code = (
        "import numpy as np; from openclaw_pipelines.kernel.strategy import batches;"
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


@pytest.fixture
def copied(tmp_path):
    """A copy of what is compiled and of what it imports."""
    for part in ("kernel", "contracts"):
        shutil.copytree(
            PACKAGE / part, tmp_path / "openclaw_pipelines" / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(PACKAGE / "__init__.py", tmp_path / "openclaw_pipelines")
    return tmp_path / "openclaw_pipelines"


def test_an_edited_constant_of_another_module_is_compiled_in(copied):
    assert rsi_of_flat_prices(copied.parent) == 50.0
    source = copied / "kernel" / "strategy" / "indicators.py"
    source.write_text(source.read_text().replace("RSI_FLAT = 50.0", "RSI_FLAT = 51.5"))
    assert rsi_of_flat_prices(copied.parent) == 51.5
    folders = list((copied / "kernel" / "__pycache__").glob("kernel-*"))
    assert len(folders) == 2


def hash_of(copied):
    """The recorded `code_version` of the package at `copied`."""
    spec = importlib.util.spec_from_file_location("cache_of_copy", copied / "kernel" / "base" / "compile_cache.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sources_hash()


def test_an_edit_of_any_engine_module_moves_the_recorded_code_version(copied):
    before, hashes = hash_of(copied), {}
    assert before == sources_hash()
    sources = [*(copied / "kernel").rglob("*.py"), copied / "contracts" / "enums.py"]
    for source in sources:
        text = source.read_text()
        source.write_text(text + "\n# another text\n")
        hashes[source] = hash_of(copied)
        source.write_text(text)
    assert hash_of(copied) == before
    assert len({before, *hashes.values()}) == len(sources) + 1
    known = {str(path.relative_to(copied)) for path in hashes}
    assert known > {f"kernel/run/{name}.py" for name in ("finer", "stepping", "random_trades", "replay", "step")}


def test_two_modules_that_change_places_move_it(copied):
    before, (one, other) = hash_of(copied), (copied / "kernel" / part / "windows.py" for part in ("base", "sweep"))
    texts = one.read_text(), other.read_text()
    one.write_text(texts[1])
    other.write_text(texts[0])
    assert hash_of(copied) != before


def test_what_is_compiled_lies_in_the_kernel():
    """Code that decides a stored result and is compiled elsewhere would not be in the recorded code version."""
    compilers = re.compile(r"^\s*(import numba|from numba|from openclaw_pipelines\.kernel\.base\.jit)", re.MULTILINE)
    users = {path for path in PACKAGE.rglob("*.py") if compilers.search(path.read_text())}
    assert users
    assert {path for path in users if not path.is_relative_to(PACKAGE / "kernel")} == set()
