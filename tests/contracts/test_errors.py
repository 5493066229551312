"""The tree of errors: every error of the package has a sentence, carries its facts and survives pickling."""

import importlib
import pickle
import pkgutil
import string

import pytest

import openclaw_pipelines
from openclaw_pipelines.contracts.errors import OpenclawError


def tree(root: type[OpenclawError]) -> list[type[OpenclawError]]:
    return [root, *(below for child in root.__subclasses__() for below in tree(child))]


def all_errors() -> list[type[OpenclawError]]:
    for package in ("contracts", "domain", "kernel", "resources", "settings", "resources.market"):
        folder = importlib.import_module(f"{openclaw_pipelines.__name__}.{package}")
        for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
            importlib.import_module(module.name)
    own = [error for error in tree(OpenclawError) if error.__module__.startswith("openclaw_pipelines.")]
    return sorted(set(own), key=lambda error: error.__qualname__)


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__qualname__)
def test_the_sentence_uses_its_facts(error: type[OpenclawError]) -> None:
    named = {name.split(".")[0].split("[")[0] for _, name, _, _ in string.Formatter().parse(error.template) if name}
    assert named <= set(error.fields)
    assert error.__doc__


def test_facts_are_attributes_and_survive_pickling() -> None:
    from openclaw_pipelines.contracts.symbols import UnknownSymbolError

    error = pickle.loads(pickle.dumps(UnknownSymbolError("BTC", "not of a known form")))
    assert (error.symbol, error.why) == ("BTC", "not of a known form")
    assert str(error).startswith("unknown symbol 'BTC': not of a known form.")


def test_a_fact_too_few_is_a_mistake_in_the_program() -> None:
    from openclaw_pipelines.contracts.symbols import UnknownSymbolError

    with pytest.raises(TypeError, match="takes"):
        UnknownSymbolError("BTC")


def test_an_unknown_fact() -> None:
    with pytest.raises(AttributeError, match="OpenclawError has no fact 'nothing'"):
        _ = OpenclawError("x").nothing
