"""A wheel is the whole program: built of a commit, installed elsewhere, it lives through the demonstration's week."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_pipelines import __version__

PROJECT = Path(__file__).resolve().parents[1]
SOURCES = ("config", "openclaw_pipelines", ".gitignore", "LICENSE", "MANIFEST.in", "Makefile", "README.md")
SOURCES = (*SOURCES, "CHANGELOG.md", "pyproject.toml", "requirements.lock", "setup.py", "workspace.yaml")
SHIPPED = {"autopilot.yaml", "commit.txt", "dagster.yaml", "workspace.yaml"}
WHO = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def call(*command: str | Path, at: Path) -> str:
    """Output of a command that knows nothing of this process's settings and folders."""
    own = ("OPENCLAW_", "DAGSTER_", "PYTHON", "VIRTUAL_ENV", "GIT_", "NUMBA_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    done = subprocess.run(
        [str(part) for part in command], cwd=at, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-1_000:]}\n{done.stderr[-3_000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout of its own with one commit, and that commit."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "shipped"))
        else:
            shutil.copy(PROJECT / name, folder / name)
    for command in (["init", "-q"], ["add", "."], [*WHO, "commit", "-qm", "a release"]):
        call("git", *command, at=folder)
    return folder, call("git", "rev-parse", "HEAD", at=folder)[:12]


def built(folder: Path, into: Path) -> Path:
    """The wheel of a folder, built by what the lock holds."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    call(*pip, "--wheel-dir", into, folder, at=into)
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(checkout: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(checkout[0], tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Programs of an environment with the wheel; what the wheel depends on is the one of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    site = call(programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", at=folder).strip()
    (Path(site) / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet", "--no-index")
    call(*pip, "--no-deps", "--ignore-installed", wheel, at=folder)
    return programs


def test_the_wheel_holds_what_lies_beside_the_package_and_its_commit(wheel: Path, checkout: tuple[Path, str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        inside = "openclaw_pipelines/shipped/"
        assert {name.removeprefix(inside) for name in names if name.startswith(inside)} == SHIPPED
        assert archive.read(f"{inside}commit.txt").decode() == f"g{checkout[1]}\n"
        for name in ("autopilot.yaml", "dagster.yaml"):
            assert archive.read(inside + name) == (PROJECT / "config" / name).read_bytes()
    files = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "openclaw_pipelines").rglob("*")}
    packaged = {
        name for name in files if re.search(r"\.(py|typed|yaml|json|j2|sql)$", name) and "/shipped/" not in name
    }
    assert packaged - set(names) == set()
    assert [name for name in names if not name.startswith(("openclaw_pipelines/", "openclaw_pipelines-"))] == []


def test_the_demonstration_runs_without_a_checkout(installed: Path, checkout: tuple[Path, str], tmp_path: Path) -> None:
    sys.path.insert(0, str(PROJECT / "tests" / "acceptance"))
    try:
        from test_as_before import WEEK
    finally:
        sys.path.pop(0)
    where = call(installed / "python", "-c", "import openclaw_pipelines as own; print(own.__file__)", at=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    version = f"{__version__}+g{checkout[1]}"
    assert call(installed / "openclaw", "--version", at=tmp_path) == f"openclaw, version {version}\n"
    done = json.loads(call(installed / "openclaw", "demo", "--json", at=tmp_path))
    assert {own["strategy"]: own["trades_hash"] for own in done["strategies"]} == WEEK
    assert Path(done["report"]).is_relative_to(tmp_path / "data" / "local")
    assert version in Path(done["report"]).read_text(encoding="utf-8")
    verified = json.loads(call(installed / "openclaw", "verify", "--json", at=tmp_path))
    assert verified["program_version"] == version
    assert [own["differences"] for own in verified["strategies"]] == [[], []]
    written = {path.name for path in (installed.parent / "lib").rglob("shipped/*")}
    assert written == SHIPPED  # nothing is kept in the package's own folder


def test_an_archive_of_the_sources_builds_the_same_wheel(
    checkout: tuple[Path, str], wheel: Path, tmp_path: Path
) -> None:
    """From an archive git cannot be asked, not even where it was unpacked inside another repository."""
    call("git", "init", "-q", at=tmp_path)
    code = "from setuptools import build_meta; build_meta.build_sdist('sdist')"
    call(sys.executable, "-c", code, at=checkout[0])
    (sdist,) = (checkout[0] / "sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "dist").mkdir()
    again = built(next(tmp_path.glob("openclaw_pipelines-*")), tmp_path / "dist")
    with zipfile.ZipFile(again) as own, zipfile.ZipFile(wheel) as other:
        record = f"openclaw_pipelines-{__version__}.dist-info/RECORD"
        assert set(own.namelist()) == set(other.namelist())
        assert [name for name in own.namelist() if name != record and own.read(name) != other.read(name)] == []
