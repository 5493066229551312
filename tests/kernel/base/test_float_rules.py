"""The rules that make float decisions equal on CPU and GPU, read off the syntax of every compiled function."""

import ast
from pathlib import Path

import pytest

import openclaw_pipelines.kernel
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.family import RULES

FOLDER = Path(openclaw_pipelines.kernel.__file__).parent
MODULES = (
    "base/windows",
    *(f"strategy/{name}" for name in ("indicators", "batches", "dispatch", "indicator_rows", "signals")),
    *(f"strategy/families/{name}" for name in FAMILIES),
)
RULES_OF_FAMILIES = {f"{name}.{rule}" for name in FAMILIES for rule in RULES}
PRIMITIVES = {"mul", "div", "fmin", "fmax", "to_int", "sign"}
BUILTINS = {"range"}
ATTRIBUTES = {"math.sqrt", "np.full", "np.zeros"}
"""`np.full` and `np.zeros` make the batch functions' columns; they compute nothing."""


def compiled_functions(source):
    """Function definitions decorated with njit, with their decorator."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "njit":
                    yield node, {keyword.arg: ast.unparse(keyword.value) for keyword in decorator.keywords}


def is_whole_literal(node):
    return isinstance(node, ast.Constant) and type(node.value) is int


def broken_rules(source, known=()):
    """What every compiled function of a source does that it must not."""
    broken = set()
    functions = list(compiled_functions(source))
    allowed = PRIMITIVES | BUILTINS | {function.name for function, _ in functions} | set(known)
    for function, options in functions:
        if options.get("error_model") != "'numpy'" or options.get("cache") != "True" or "fastmath" in options:
            broken.add(f"{function.name}: decorator")
        for node in ast.walk(ast.Module(function.body, [])):
            if isinstance(node, ast.BinOp | ast.AugAssign):
                factors = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
                if isinstance(node.op, ast.Mult) and not any(is_whole_literal(factor) for factor in factors):
                    broken.add(f"{function.name}: bare product")
                if isinstance(node.op, ast.Pow | ast.Mod | ast.FloorDiv):
                    broken.add(f"{function.name}: {type(node.op).__name__}")
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called not in allowed | ATTRIBUTES:
                    broken.add(f"{function.name}: calls {called}")
    return broken


@pytest.mark.parametrize("module", MODULES)
def test_compiled_functions_keep_the_rules(module):
    source = (FOLDER / f"{module}.py").read_text()
    kernel_imports = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("openclaw_pipelines.kernel.")
        for alias in node.names
    }
    assert list(compiled_functions(source))
    own_classes = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}
    assert broken_rules(source, kernel_imports | own_classes | RULES_OF_FAMILIES) == set()


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        pytest.param("return mul(a, b) + 1.0", set(), id="product through the primitive"),
        pytest.param("return 2 * a", set(), id="whole multiple of a length"),
        pytest.param("return a * b + 1.0", {"f: bare product"}, id="bare product"),
        pytest.param("return 100.0 * a", {"f: bare product"}, id="bare product with a constant"),
        pytest.param("a *= b\n    return a", {"f: bare product"}, id="product in place"),
        pytest.param("return a ** 2", {"f: Pow"}, id="power"),
        pytest.param("return max(a, b)", {"f: calls max"}, id="float max"),
        pytest.param("return int(a)", {"f: calls int"}, id="bare int"),
        pytest.param("return math.log(a)", {"f: calls math.log"}, id="libm"),
        pytest.param("return np.sum(a)", {"f: calls np.sum"}, id="reduction"),
        pytest.param("return a.mean()", {"f: calls a.mean"}, id="reduction as a method"),
    ],
)
def test_a_broken_rule_is_seen(body, broken):
    assert broken_rules(f"@njit(cache=True, error_model='numpy')\ndef f(a, b):\n    {body}\n") == broken


def test_fast_math_is_seen():
    assert broken_rules("@njit(cache=True, fastmath=True, error_model='numpy')\ndef f(a):\n    return a\n") == {
        "f: decorator"
    }
