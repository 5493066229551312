"""The check that a dispatch branches to exactly the registered families, made when the dispatch is imported.

A family missing in a branch would be noticed by nobody: it would never trade, or trade by the rule of another family.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.family import FamilySpec

_ASKS = "params.family == "


class DispatchError(KernelError):
    """Compiled code that does not branch to exactly the registered families."""

    template = "{function} in {file} {problem}. Write it again: .venv/bin/python tools/families.py."
    function: str
    file: str
    problem: str


def require_every_family(path: str, families: Mapping[str, FamilySpec] = FAMILIES) -> None:
    """Refuse a source that asks for other families than those given, or mistakes one for another.

    In a function that asks for the family, each branch calls what is named after both, as `_momentum_enters` in
    `enters`, which asks the rules of no other; the last branch, for the number of no family, calls nothing.

    Raises:
        DispatchError: the first function that does not, and what it does.
    """
    file = Path(path)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [own for own in tree.body if isinstance(own, ast.FunctionDef)]
    asked = {own.name: _families_asked(own, families) for own in functions}
    asking = [own for own in functions if _ASKS in ast.unparse(own)]
    place = f"{file.parent.name}/{file.name}"
    for function in asking:
        for problem in _problems(function, families, asked):
            raise DispatchError(function.name, place, problem)
    if not asking:
        raise DispatchError("nothing", place, "asks for the family")


def _problems(
    function: ast.FunctionDef, families: Mapping[str, FamilySpec], asked: Mapping[str, set[str]]
) -> Iterator[str]:
    branches, last = _chain(function)
    for name, spec in families.items():
        called, own = branches.pop(f"{_ASKS}{spec.number}", None), f"_{name}_{function.name}"
        if called is None:
            yield f"has no branch for family {name!r}, number {spec.number}"
        elif called != {own}:
            yield f"calls {_listed(called)} for family {name!r}, number {spec.number}"
        elif asked.get(own) != {name}:
            yield f"asks {_listed(asked.get(own, set()))} for family {name!r}, number {spec.number}"
    for test in branches:
        yield f"has a branch for {test!r}, which is the number of no family"
    if not last or _called(last):
        yield "has no last branch of its own for the number of no family"


def _chain(function: ast.FunctionDef) -> tuple[dict[str, set[str]], list[ast.stmt]]:
    """What each branch of the function's `if` asks, with what it calls then, and the statements of its `else`."""
    branches: dict[str, set[str]] = {}
    rest: list[ast.stmt] = [own for own in function.body if isinstance(own, ast.If)]
    while len(rest) == 1 and isinstance(node := rest[0], ast.If):
        branches.setdefault(ast.unparse(node.test), _called(node.body))
        rest = node.orelse
    return branches, rest


def _called(body: list[ast.stmt]) -> set[str]:
    return {ast.unparse(node.func) for own in body for node in ast.walk(own) if isinstance(node, ast.Call)}


def _families_asked(function: ast.FunctionDef, families: Iterable[str]) -> set[str]:
    """Families whose module the function takes something from."""
    owners = [node.value for node in ast.walk(function) if isinstance(node, ast.Attribute)]
    return {owner.id for owner in owners if isinstance(owner, ast.Name)}.intersection(families)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
