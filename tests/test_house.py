"""The form of the house: capabilities by one name in every layer, no circle between files, nothing too long to read."""

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import openclaw_pipelines

PACKAGE = Path(openclaw_pipelines.__file__).parent
PROJECT = PACKAGE.parent
ARCHITECTURE = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
LAYERS = ("assets", "checks", "services", "domain", "contracts/tables", "contracts/config", "resources", "report")


def listed(layer: str) -> set[str]:
    """Names that docs/architecture.md allows in a layer: its capabilities and what stands beside them."""
    row = next(line for line in ARCHITECTURE.splitlines() if line.startswith(f"| `{layer}` |"))
    return set(re.findall(r"`(\w+)`", row.removeprefix(f"| `{layer}` |")))


def names(folder: Path) -> set[str]:
    return {
        path.stem
        for path in folder.iterdir()
        if not path.name.startswith((".", "_")) and (path.is_dir() or path.suffix == ".py")
    }


@pytest.mark.parametrize("layer", LAYERS)
def test_every_name_in_a_layer_is_listed(layer: str) -> None:
    assert names(PACKAGE / layer) == listed(layer)


def test_a_name_that_is_not_listed_is_seen(tmp_path: Path) -> None:
    """The twin: a room of another name makes the test above fail."""
    for name in (*listed("assets"), "autopilot"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "__init__.py").touch()
    assert names(tmp_path) - listed("assets") == {"autopilot"}


def test_tests_mirror_the_package() -> None:
    layers = ("assets", "checks", "commands", "contracts", "domain", "kernel", "processes", "report", "resources")
    for layer in (*layers, "sensors", "services", "settings"):
        own = {path.name for path in (PROJECT / "tests" / layer).iterdir() if path.is_dir() and path.name[0] != "_"}
        assert own <= names(PACKAGE / layer), layer


def module_of(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, known: set[str]) -> set[str]:
    """Modules of the package that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in known:
            own = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in own}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found - {module_of(path)}


def test_no_circle_between_files() -> None:
    files = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    graph = {module: imports(path, set(files)) for module, path in files.items()}
    assert sum(map(len, graph.values())) > 1_000
    TopologicalSorter(graph).prepare()  # raises where there is one
    closed = {**graph, "openclaw_pipelines.contracts.errors": {"openclaw_pipelines.domain.trading.tick"}}
    with pytest.raises(CycleError):
        TopologicalSorter(closed).prepare()


def test_nothing_is_too_long_and_what_is_would_be_named(tmp_path: Path) -> None:
    tool = [sys.executable, str(PROJECT / "tools" / "longest_functions.py")]
    done = subprocess.run(tool, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 10)
    (tmp_path / "long.py").write_text("def outer():\n" + "    def inner(): ...\n" * 60)
    (tmp_path / "high.py").write_text("x = 1\n" * 401)
    done = subprocess.run([*tool, str(tmp_path)], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "long.py:1 outer is longer than 60 lines" in done.stderr
    assert "high.py has 401 lines, more than 400" in done.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        pytest.param("kernel/base/money.py", "from openclaw_pipelines.kernel.run import replay", "floors", id="kernel"),
        pytest.param(
            "domain/market/masks.py", "from openclaw_pipelines.domain.trading import tick", "only those", id="rules"
        ),
        pytest.param(
            "services/market/history.py",
            "from openclaw_pipelines.services.trading import runner",
            "only those",
            id="services",
        ),
        pytest.param("resources/files.py", "from openclaw_pipelines.report.page import text", "one way", id="layers"),
        pytest.param("services/market/history.py", "import dagster", "only the shells", id="dagster"),
    ],
)
def test_an_import_against_the_order_is_refused(tmp_path: Path, file: str, line: str, contract: str) -> None:
    """Twins of the import contracts: each closes for a line that breaks it."""
    import shutil

    shutil.copytree(PACKAGE, tmp_path / "openclaw_pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    broken = tmp_path / "openclaw_pipelines" / file
    broken.write_text(broken.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout[-2_000:]
    broken_ones = [own for own in done.stdout.splitlines() if " BROKEN" in own]
    assert any(contract in own for own in broken_ones), broken_ones


def test_where_a_change_goes_names_files_that_are_there() -> None:
    table = ARCHITECTURE.split("### Where a change goes")[1].split("Capabilities that are not built yet")[0]
    paths = {name for name in re.findall(r"`([\w/]+(?:\.py)?)`", table) if "/" in name.strip("/")}
    assert len(paths) > 30
    assert {path for path in paths if not (PACKAGE / path).exists()} == set()


LAYER_NAMES = "assets|checks|commands|contracts|domain|kernel|processes|report|resources|services|settings"
REFERENCE = re.compile(rf"`((?:{LAYER_NAMES})\.[\w.]+)`")


def dead(reference: str) -> bool:
    """Whether a dotted name, as comments and docstrings give it, is no module and nothing in one."""
    parts = reference.split(".")
    for n in range(len(parts), 0, -1):
        at = PACKAGE.joinpath(*parts[:n])
        file = at.with_suffix(".py") if at.with_suffix(".py").exists() else at / "__init__.py"
        if at.is_dir() or file.exists():
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            return n < len(parts) and re.search(rf"\b{parts[n]}\b", text) is None
    return True


def test_comments_name_what_exists() -> None:
    files = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    found = {(path.name, name) for path, text in files.items() for name in REFERENCE.findall(text)}
    assert len(found) > 50
    assert {one for one in found if dead(one[1])} == set()
    assert dead("services.lifecycle.nothing")
    assert dead("kernel.account.booking.charge_funding")
