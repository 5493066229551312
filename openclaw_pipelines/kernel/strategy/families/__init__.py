"""The strategy families, a module each: `FAMILIES`, the single source of settings, docs, validation and dispatch.

Every module of this folder is a family; what it says is described in `family`. The record that compiled code reads is
made by `params`. Compiled code finds a family's rules through the two `dispatch`, which `tools/families.py` writes.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from openclaw_pipelines.contracts.errors import KernelError
from openclaw_pipelines.kernel.strategy.family import RESERVED, RULES, FamilySpec
from openclaw_pipelines.kernel.strategy.readings import ASKED, READINGS


class FamilyError(KernelError):
    """A module of the families that says none, or one that cannot be."""

    template = "strategy family {family!r} {problem}. Correct its module in `kernel.strategy.families`."
    family: str
    problem: str


def table_of(found: Iterable[tuple[str, object]]) -> Mapping[str, FamilySpec]:
    """Families by name in the order of their numbers, from the names of modules and their `FAMILY`.

    Raises:
        FamilyError: one of them cannot be.
    """
    specs: list[FamilySpec] = []
    for module, spec in found:
        if not isinstance(spec, FamilySpec):
            raise FamilyError(module, "has no FAMILY in its module")
        if spec.name != module:
            raise FamilyError(module, f"is called {spec.name!r} in its FAMILY")
        specs.append(spec)
    specs.sort(key=lambda spec: spec.number)
    for place, spec in enumerate(specs):
        for problem in (*_against(spec, specs[:place]), *_misnamed(spec), *_unreadable(spec)):
            raise FamilyError(spec.name, problem)
    return MappingProxyType({spec.name: spec for spec in specs})


def _against(spec: FamilySpec, others: Iterable[FamilySpec]) -> Iterator[str]:
    """What contradicts families of lower numbers. A record has one field for a parameter that several have."""
    if spec.number < 1:
        yield f"has the number {spec.number}, the least is 1"
    floats = {own.name: own.kind is float for own in spec.parameters}
    for other in others:
        if other.number == spec.number:
            yield f"has the number {spec.number}, which is that of {other.name!r}"
        for own in other.parameters:
            if floats.get(own.name, own.kind is float) != (own.kind is float):
                yield f"has {own.name!r} of another type than {other.name!r}"


def _misnamed(spec: FamilySpec) -> Iterator[str]:
    """Names of parameters that cannot be, and relations of what is none."""
    for name in RESERVED.intersection(spec.names):
        yield f"has a parameter called {name!r}, a name that its dispatch uses itself"
    for own in spec.relations:
        for name in (own.lesser, own.greater):
            if name not in spec.names:
                yield f"relates {name!r}, which is no parameter of it"


def _unreadable(spec: FamilySpec) -> Iterator[str]:
    """Readings that it shows or asks for, and does not have."""
    for name in spec.shows:
        yield from _unknown(spec, "shows", name, READINGS)
    for rule in RULES:
        known = dict.fromkeys((*ASKED, *spec.names, *(["side"] if rule == "excess" else [])))
        for name in spec.asks(rule):
            yield from _unknown(spec, f"asks in {rule!r} for", name, known)


def _unknown(spec: FamilySpec, does: str, name: str, known: Iterable[str]) -> Iterator[str]:
    if name not in known:
        nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]
        yield f"{does} {name!r}, which it does not have. Nearest known: {nearest!r}"
    elif name in READINGS and READINGS[name].parameter not in ("", *spec.names):
        yield f"{does} {name!r}, which takes the parameter {READINGS[name].parameter!r}"


def _modules() -> Iterator[tuple[str, object]]:
    for module in iter_modules(__path__):
        yield module.name, getattr(import_module(f"{__name__}.{module.name}"), "FAMILY", None)


FAMILIES: Mapping[str, FamilySpec] = table_of(_modules())
"""Family name -> what it is, in the order of the numbers."""
