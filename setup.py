"""What pyproject.toml cannot say: a build takes along which commit it is of, and files that lie beside the package.

They go to `openclaw_pipelines/shipped`, where the installed program finds them. A checkout has no such folder: there
git is asked, and the files are where people edit them.
"""

import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
FILES = ("config/autopilot.yaml", "config/dagster.yaml", "workspace.yaml")
PROGRAM = runpy.run_path(str(HERE / "openclaw_pipelines" / "contracts" / "program.py"))


def write_commit(package: Path) -> None:
    """Write the commit of this checkout, or the one that an archive of the sources came with."""
    commit = PROGRAM["commit_of"](HERE) or PROGRAM["baked"](PROGRAM["BAKED"])
    if commit:
        (package / "shipped").mkdir(exist_ok=True)
        (package / "shipped" / "commit.txt").write_text(f"{commit}\n", encoding="utf-8")


class BuildPackage(build_py):
    """The package of a wheel."""

    def run(self) -> None:
        """Build, then add what lies beside the package; an editable installation reads the checkout."""
        super().run()
        if self.editable_mode:
            return
        package = Path(self.build_lib) / "openclaw_pipelines"
        (package / "shipped").mkdir(exist_ok=True)
        for name in FILES:
            shutil.copyfile(HERE / name, package / "shipped" / Path(name).name)
        write_commit(package)


class SourceArchive(sdist):
    """An archive of the sources, which git knows nothing about."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the files, then add the commit."""
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir) / "openclaw_pipelines")


setup(cmdclass={"build_py": BuildPackage, "sdist": SourceArchive})
