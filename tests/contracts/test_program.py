"""The version tells one commit from another, in a checkout and in what was built from one."""

import subprocess
from pathlib import Path

import pytest

from openclaw_pipelines import __version__
from openclaw_pipelines.contracts import program
from openclaw_pipelines.contracts.program import baked, commit_of, program_version

WHO = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", "-C", str(folder), *WHO, *arguments], text=True).strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "openclaw_pipelines").mkdir(parents=True)
    (folder / "openclaw_pipelines" / "module.py").write_text("one = 1\n")
    (folder / "README.md").write_text("A program.\n")
    git(tmp_path, "init", "-q", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch):
    """The version of a program whose package lies in a folder."""

    def of(folder: Path) -> str:
        monkeypatch.setattr(program, "PACKAGE", folder / "openclaw_pipelines")
        monkeypatch.setattr(program, "BAKED", folder / "openclaw_pipelines" / "shipped" / "commit.txt")
        program_version.cache_clear()
        return program_version()

    yield of
    program_version.cache_clear()


def test_a_checkout_is_of_its_commit(checkout: Path, asked) -> None:
    first = git(checkout, "rev-parse", "HEAD")[:12]
    assert asked(checkout) == f"{__version__}+g{first}"
    (checkout / "openclaw_pipelines" / "module.py").write_text("one = 2\n")
    git(checkout, "commit", "-qam", "second")
    second = git(checkout, "rev-parse", "HEAD")[:12]
    assert asked(checkout) == f"{__version__}+g{second}"
    assert first != second


@pytest.mark.parametrize(
    ("file", "mark"),
    [
        pytest.param("openclaw_pipelines/module.py", ".dirty", id="a module that changed"),
        pytest.param("openclaw_pipelines/new.py", ".dirty", id="a new module"),
        pytest.param("requirements.lock", ".dirty", id="other dependencies"),
        pytest.param("README.md", "", id="a page"),
    ],
)
def test_a_program_that_differs_from_its_commit_says_so(checkout: Path, file: str, mark: str) -> None:
    (checkout / file).write_text("changed\n")
    assert commit_of(checkout) == f"g{git(checkout, 'rev-parse', 'HEAD')[:12]}{mark}"


def test_a_folder_inside_another_repository_is_not_of_its_commit(checkout: Path) -> None:
    assert commit_of(checkout / "openclaw_pipelines") is None


def test_the_environment_points_to_no_other_repository(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = git(checkout, "rev-parse", "HEAD")[:12]
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert commit_of(checkout) == f"g{commit}"


def test_what_was_built_is_of_the_commit_that_the_build_wrote(tmp_path: Path, asked) -> None:
    written = tmp_path / "openclaw_pipelines" / "shipped" / "commit.txt"
    written.parent.mkdir(parents=True)
    written.write_text("g0123456789ab\n")
    assert baked(written) == "g0123456789ab"
    assert asked(tmp_path) == f"{__version__}+g0123456789ab"


def test_without_git_and_without_a_build_the_commit_is_unknown(
    checkout: Path, tmp_path: Path, asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(tmp_path) == f"{__version__}+unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asked(checkout) == f"{__version__}+unknown"


def test_a_repository_without_a_commit_is_unknown(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path) is None


def test_the_command_says_it() -> None:
    from click.testing import CliRunner

    from openclaw_pipelines.cli import main

    done = CliRunner().invoke(main, ["--version"])
    assert (done.exit_code, done.output) == (0, f"openclaw, version {program_version()}\n")
