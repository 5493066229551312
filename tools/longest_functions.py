"""Print the ten longest functions of the package, so that everyone sees the next monster while it is small.

Exits 1 when one is longer than a screen.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "openclaw_pipelines"
SHOWN = 10
SCREEN_LINES = 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without the functions inside it, which are counted on their own."""
    inner = [node for node in ast.walk(function) if node is not function and isinstance(node, FUNCTIONS)]
    lines = set(range(function.lineno, (function.end_lineno or 0) + 1))
    for node in inner:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        lines -= set(range(first, (node.end_lineno or 0) + 1))
    return len(lines)


def functions(package: Path) -> Iterator[tuple[int, str]]:
    """Length in lines and place of every function."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, FUNCTIONS):
                yield own_lines(node), f"{path.relative_to(package.parent)}:{node.lineno} {node.name}"


def main() -> int:
    """Print them; the exit code."""
    longest = sorted(functions(PACKAGE), reverse=True)[:SHOWN]
    for lines, place in longest:
        print(f"{lines:4d} lines  {place}")
    too_long = [place for lines, place in longest if lines > SCREEN_LINES]
    for place in too_long:
        print(f"{place} is longer than {SCREEN_LINES} lines. Split it.", file=sys.stderr)
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
