"""The tree of errors: each is a frozen dataclass of its facts, says them in its sentence and survives pickling."""

import ast
import contextlib
import copy
import pickle
import string
import subprocess
import sys
import types
import typing
from dataclasses import FrozenInstanceError, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import openclaw_pipelines
from openclaw_pipelines.commands.error_reference import errors
from openclaw_pipelines.contracts.errors import DataError, OpenclawError
from openclaw_pipelines.contracts.requirements import Relation, Requirement
from openclaw_pipelines.contracts.symbols import UnknownSymbolError
from openclaw_pipelines.domain.lifecycle.hand_over import Evidence, EvidenceKind
from openclaw_pipelines.resources.store.locks import StoreLockedError

PACKAGE = Path(openclaw_pipelines.__file__).parent
ALL = [pytest.param(one, id=f"{one.__module__.rsplit('.', 1)[-1]}.{one.__name__}") for one in errors()]
FACTS = {
    str: "a fact",
    int: 7,
    float: 0.5,
    object: ("anything", 1),
    datetime: datetime(2025, 5, 10, tzinfo=UTC),
    timedelta: timedelta(minutes=5),
    Decimal: Decimal("1.50"),
    Path: Path("folder") / "file",
    tuple[int, ...]: (2, 3),
    Evidence: Evidence(EvidenceKind.GATE, "drawdown"),
    Requirement: Requirement(Relation.AT_MOST, 0.2),
}


def fact(kind: Any) -> Any:
    """A value of a field's type: of the first one where there are several."""
    if isinstance(kind, types.UnionType):
        return fact(typing.get_args(kind)[0])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return FACTS[kind]


def made(error: type[OpenclawError]) -> OpenclawError:
    kinds = typing.get_type_hints(error)
    return error(*(fact(kinds[name]) for name in error.__match_args__))


@pytest.mark.parametrize("error", ALL)
def test_the_sentence_names_exactly_its_facts(error: type[OpenclawError]) -> None:
    named = {name.split(".")[0].split("[")[0] for _, name, _, _ in string.Formatter().parse(error.template) if name}
    assert named == set(error.__match_args__)
    assert is_dataclass(error)
    assert error.__doc__
    assert error.__doc__ != error.__mro__[1].__doc__


@pytest.mark.parametrize("error", ALL)
def test_facts_and_text_survive_pickling(error: type[OpenclawError]) -> None:
    before = made(error)
    for again in (pickle.loads(pickle.dumps(before)), copy.copy(before), copy.deepcopy(before)):
        assert type(again) is error
        assert str(again) == str(before)
        assert (again.args, vars(again)) == (before.args, vars(before))


@pytest.mark.parametrize("error", ALL)
def test_facts_are_frozen(error: type[OpenclawError]) -> None:
    one = made(error)
    for name in (*error.__match_args__, "args"):
        with pytest.raises(FrozenInstanceError, match="stays as it is"):
            setattr(one, name, "another")
    for name in error.__match_args__:
        with pytest.raises(FrozenInstanceError):
            delattr(one, name)


def test_facts_by_name_survive_pickling_as_well() -> None:
    error = pickle.loads(pickle.dumps(UnknownSymbolError(why="not of a known form", symbol="BTC")))
    assert (error.symbol, error.why) == ("BTC", "not of a known form")
    assert str(error).startswith("unknown symbol 'BTC': not of a known form.")


def test_what_the_interpreter_keeps_on_errors_may_be_set_and_notes_travel() -> None:
    @contextlib.contextmanager
    def through():  # contextlib sets `__traceback__` of what passes
        yield

    error = UnknownSymbolError("BTC", "not of a known form")

    def raised() -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(through())
            stack.callback(lambda: None)
            raise error from KeyError("BTC")

    with pytest.raises(UnknownSymbolError) as caught:
        raised()
    assert caught.value is error
    assert isinstance(error.__cause__, KeyError)
    error.add_note("asked for by a test")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["asked for by a test"]


def test_two_errors_that_say_the_same_are_two() -> None:
    one, other = UnknownSymbolError("BTC", "x"), UnknownSymbolError("BTC", "x")
    assert one != other
    assert len({one, other}) == 2


def test_times_are_said_in_iso_form_and_a_format_still_counts() -> None:
    class LateError(DataError):
        template = "late since {since}, {since:%H:%M} o'clock, {share:.1%}"
        since: datetime
        share: float

    assert str(LateError(datetime(2025, 5, 10, 6, tzinfo=UTC), 0.25)) == (
        "late since 2025-05-10T06:00:00+00:00, 06:00 o'clock, 25.0%"
    )
    assert "locked by process 7; gave up after 1.5 s" in str(StoreLockedError(Path("f"), 1.5, "process 7"))


@pytest.mark.parametrize("facts", [("BTC",), ("BTC", "why", "more")])
def test_a_fact_too_few_or_too_many_is_a_mistake_in_the_program(facts: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match="argument"):
        UnknownSymbolError(*facts)


@pytest.mark.parametrize("kind", [OpenclawError, DataError])
def test_a_kind_of_errors_is_not_raised_itself(kind: type[OpenclawError]) -> None:
    with pytest.raises(TypeError, match="raise one with a template"):
        kind()


def misplaced(tree: ast.AST, facts: dict[str, set[tuple[str, ...]]]) -> list[str]:
    """Calls of errors that give a variable by the name of another fact."""
    found = []
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in facts):
            continue
        if any(isinstance(given, ast.Starred) for given in call.args):
            found.append(f"{call.lineno}: {call.func.id} with *")
        called = [getattr(given, "id", None) for given in call.args]
        odd = [
            [f"{call.lineno}: {call.func.id}.{name}" for name, own in zip(names, called, strict=False)
             if own in set(names) - {name}]
            for names in facts[call.func.id]
        ]  # fmt: skip
        found += min(odd, key=len)  # of two errors by one name, the one that fits
    return found


def test_no_fact_stands_where_another_should() -> None:
    """What the types cannot tell, two facts that are both text, names tell."""
    facts: dict[str, set[tuple[str, ...]]] = {}
    for one in errors():
        facts.setdefault(one.__name__, set()).add(one.__match_args__)
    swapped = {}
    for path in PACKAGE.rglob("*.py"):
        if wrong := misplaced(ast.parse(path.read_text(encoding="utf-8")), facts):
            swapped[path.relative_to(PACKAGE).as_posix()] = wrong
    assert swapped == {}
    twin = ast.parse("raise UnknownSymbolError(why, symbol)")
    assert misplaced(twin, facts) == ["1: UnknownSymbolError.symbol", "1: UnknownSymbolError.why"]


WRONG = {
    'UnknownSymbolError("BTC", 7)': "[arg-type]",
    'UnknownSymbolError("BTC")': "[call-arg]",
    'StoreLockedError(1.5, Path("f"), "process 7")': "[arg-type]",
    'StoreLockedError(Path("f"), 1.5, holder=None)': "[arg-type]",
    'UnknownSymbolError("BTC", "why").symbl': "[attr-defined]",
}


@pytest.mark.slow
def test_the_type_checker_refuses_wrong_facts(tmp_path: Path) -> None:
    head = [
        "from pathlib import Path",
        "from openclaw_pipelines.contracts.symbols import UnknownSymbolError",
        "from openclaw_pipelines.resources.store.locks import StoreLockedError",
        "def setattr_of(error: UnknownSymbolError) -> None:",
        '    error.symbol = "ETH"',
    ]
    (tmp_path / "wrong.py").write_text("\n".join([*head, *WRONG]) + "\n")
    checked = [sys.executable, "-m", "mypy", "--config-file", str(PACKAGE.parent / "pyproject.toml")]
    done = subprocess.run(
        [*checked, str(tmp_path / "wrong.py")], cwd=PACKAGE.parent, check=False, capture_output=True, text=True
    )
    said = {line.split(":")[1]: line for line in done.stdout.splitlines() if ": error:" in line}
    assert "read-only" in said.pop(str(len(head))), done.stdout
    expected = {str(number): code for number, code in enumerate(WRONG.values(), len(head) + 1) if code}
    assert {number: line.rsplit(" ", 1)[-1] for number, line in said.items()} == expected, done.stdout
