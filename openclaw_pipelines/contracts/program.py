"""Which program this is: its release, and the commit that its files are of.

Written as `0.1.0+g0123456789ab`: the release, then the first digits of the commit. `.dirty` follows where the program's
files differ from the commit, and `0.1.0+unknown` says that nobody knows it. In a checkout git is asked, once per
process; a wheel or an archive of the sources has the commit in `shipped/commit.txt`, written when it was built.

`setup.py` reads the commit by this module, so it imports nothing else. A plug-in of the build alone would not do: it
knows the version of the day on which the checkout was installed, and not of the commit that runs.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
BAKED = PACKAGE / "shipped" / "commit.txt"
PROGRAM_FILES = ("openclaw_pipelines", "pyproject.toml", "setup.py", "requirements.lock")
"""What makes the program; a changed configuration or page of documentation does not make it another one."""
UNKNOWN = "unknown"
_GIT_SECONDS = 10


@cache
def program_version() -> str:
    """Release and commit of the running program."""
    from openclaw_pipelines import __version__

    return f"{__version__}+{commit_of(PACKAGE.parent) or baked(BAKED) or UNKNOWN}"


def release_of(version: str) -> str:
    """The release in a version; versions of one release take ticks alike.

    >>> release_of("0.1.0+g0123456789ab.dirty"), release_of("0.1.0")
    ('0.1.0', '0.1.0')
    """
    return version.partition("+")[0]


def commit_of(checkout: Path) -> str | None:
    """`g` and twelve digits of the commit that a checkout is at, `.dirty` where its program differs; None of others.

    A folder that only lies somewhere inside another repository is not of its commit.
    """
    if not (checkout / ".git").exists():
        return None
    commit = _git(checkout, "rev-parse", "--short=12", "HEAD")
    changes = _git(checkout, "status", "--porcelain", "--", *PROGRAM_FILES)
    if commit is None or changes is None:
        return None
    return f"g{commit[:12]}{'.dirty' if changes else ''}"


def baked(file: Path) -> str | None:
    """The commit that a build wrote, or None where none did."""
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _git(checkout: Path, *arguments: str) -> str | None:
    """Answer of git about this folder, whatever repository the environment points to; None where it has none."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(checkout), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - git, with fixed arguments
            command,
            env=environ,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()
