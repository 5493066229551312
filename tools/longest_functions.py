"""Print the ten longest functions of the package, so that everyone sees the next monster while it is small.

Exits 1 when a function is longer than a screen, what is defined inside it included, or a module longer than fits in a
head.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "openclaw_pipelines"
SHOWN = 10
SCREEN_LINES = 60
MODULE_LINES = 400


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """Length in lines and place of every function of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or 0) - node.lineno + 1, f"{path}:{node.lineno} {node.name}"


def too_long(package: Path) -> list[str]:
    """What must be split, as sentences."""
    found = []
    for path in sorted(package.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        found += [f"{path} has {lines} lines, more than {MODULE_LINES}. Split it."] if lines > MODULE_LINES else []
        found += [
            f"{place} is longer than {SCREEN_LINES} lines. Split it."
            for own, place in functions(path)
            if own > SCREEN_LINES
        ]
    return found


def main(package: Path) -> int:
    """Print them; the exit code."""
    longest = sorted((own for path in package.rglob("*.py") for own in functions(path)), reverse=True)[:SHOWN]
    for lines, place in longest:
        print(f"{lines:4d} lines  {place.removeprefix(f'{package.parent}/')}")
    sentences = too_long(package)
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else PACKAGE))
