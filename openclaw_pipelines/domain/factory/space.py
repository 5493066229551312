"""Which values each parameter may take, and how a number in [0, 1) becomes one of them.

A space belongs to one family. Floats are rounded to six significant digits, so that the same point has the same hash on
every machine. Which points are tried is in `search`.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.family import ParamSpec, Value
from openclaw_pipelines.kernel.strategy.params import UnknownFamilyError, UnknownParameterError

_RANGE_KEYS = {"low", "high", "step", "log"}


class SpaceError(ConfigError):
    """A list or range of a parameter that is none."""

    template = "space {family}.{parameter}: {problem}. Give a list of values, or low and high with a step or log: true."
    family: str
    parameter: str
    problem: str


@dataclass(frozen=True)
class Choices:
    """A parameter that takes one of some values."""

    name: str
    values: tuple[Value, ...]

    def at(self, share: float) -> Value:
        """The value at a share in [0, 1) of the list.

        >>> Choices("max_hold_bars", (24, 48)).at(0.5)
        48
        """
        return self.values[int(share * len(self.values))]


@dataclass(frozen=True)
class Range:
    """A parameter between two bounds, both included. log: equal ratios are equally likely, not equal differences."""

    name: str
    kind: type[int] | type[float]
    low: Decimal
    high: Decimal
    step: Decimal | None = None
    log: bool = False

    @property
    def steps(self) -> int | None:
        """How many values there are; None where they are not counted."""
        step = self.step or (Decimal(1) if self.kind is int and not self.log else None)
        return None if step is None else int((self.high - self.low) // step) + 1

    def at(self, share: float) -> Value:
        """The value at a share in [0, 1) of the range.

        >>> Range("stop_atr", float, Decimal(2), Decimal(4), Decimal("0.5")).at(0.99)
        4.0
        >>> Range("ema_slow", int, Decimal(10), Decimal(1000), log=True).at(0.5)
        97
        """
        if self.steps is not None:
            return self.nth(int(share * self.steps))
        low, high = float(self.low), float(self.high)
        if self.kind is int:  # every whole number owns the interval around it
            low, high = low - 0.5, high + 0.5
        drawn = low * (high / low) ** share if self.log else low + (high - low) * share
        if self.kind is int:  # a tie at the edge of the range rounds to the even number beyond it
            return min(max(round(drawn), int(self.low)), int(self.high))
        return rounded(drawn)

    def nth(self, index: int) -> Value:
        """The value number `index` of a stepped range."""
        value = self.low + index * (self.step or Decimal(1))
        return int(value) if self.kind is int else float(value)


Dimension = Choices | Range


@dataclass(frozen=True)
class Space:
    """The searched dimensions of one family, by name, and the values that all its rows share."""

    family: str
    dimensions: tuple[Dimension, ...]
    fixed: Mapping[str, Value]

    def point(self, shares: list[float]) -> dict[str, Value]:
        """The parameters at shares in [0, 1), one per dimension."""
        drawn = {dim.name: dim.at(share) for dim, share in zip(self.dimensions, shares, strict=True)}
        return {**self.fixed, **drawn}

    def grid(self) -> Iterator[dict[str, Value]]:
        """Every combination, the last dimension fastest.

        Raises:
            SpaceError: a range has no step.
        """
        for values in itertools.product(*(self._values(dim) for dim in self.dimensions)):
            yield {**self.fixed, **dict(zip((dim.name for dim in self.dimensions), values, strict=True))}

    @property
    def grid_size(self) -> int:
        """Combinations of the grid."""
        return math.prod(len(self._values(dim)) for dim in self.dimensions)

    def payload(self) -> dict[str, object]:
        """Plain values for canonical JSON."""
        dims = {dim.name: {k: v for k, v in vars(dim).items() if k not in ("name", "kind")} for dim in self.dimensions}
        return {"family": self.family, "fixed": {k: exact(v) for k, v in self.fixed.items()}, "dimensions": plain(dims)}

    def _values(self, dim: Dimension) -> list[Value]:
        if isinstance(dim, Choices):
            return list(dim.values)
        if dim.steps is None:
            raise SpaceError(self.family, dim.name, "a grid needs a step or a list")
        return [dim.nth(index) for index in range(dim.steps)]


def space_of(family: str, given: Mapping[str, object], fixed: Mapping[str, Value]) -> Space:
    """The space of one family.

    given: parameter -> one value, a list, or a mapping with low, high and optionally step or log. fixed: values of the
    other parameters; what is in neither takes its default.

    Raises:
        UnknownFamilyError, UnknownParameterError, SpaceError: as their names say.

    >>> space_of("breakout", {"channel_entry": [12, 24], "channel_exit": {"low": 6, "high": 7}}, {}).grid_size
    4
    """
    if family not in FAMILIES:
        raise UnknownFamilyError(family, next(iter(FAMILIES)), ", ".join(FAMILIES))
    specs = {spec.name: spec for spec in FAMILIES[family].parameters}
    for name in given:
        if name not in specs:
            raise UnknownParameterError(family, name, next(iter(sorted(specs, key=lambda known: known != name))))
    dims = tuple(_dimension(family, specs[name], given[name]) for name in sorted(given))
    if not dims:
        raise SpaceError(family, "*", "nothing is searched")
    kept = {name: value for name, value in fixed.items() if name in specs and name not in given}
    return Space(family, dims, {spec.name: kept.get(spec.name, spec.default) for spec in specs.values()} | kept)


def _dimension(family: str, spec: ParamSpec, given: object) -> Dimension:
    if isinstance(given, Mapping):
        return _range(family, spec, given)
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values:
        raise SpaceError(family, spec.name, "the list is empty")
    return Choices(spec.name, tuple(_value(family, spec, value) for value in values))


def _range(family: str, spec: ParamSpec, given: Mapping[str, Any]) -> Range:
    unknown = sorted(set(given) - _RANGE_KEYS)
    if unknown or not {"low", "high"} <= set(given):
        raise SpaceError(family, spec.name, f"unknown key {unknown[0]!r}" if unknown else "low and high are needed")
    if spec.kind is bool:
        raise SpaceError(family, spec.name, "yes or no is no range")
    low, high = (Decimal(str(_value(family, spec, given[name]))) for name in ("low", "high"))
    step, log = given.get("step"), given.get("log", False)
    problem = _range_problem(low, high, step, log)
    if problem:
        raise SpaceError(family, spec.name, problem)
    kind: type[int] | type[float] = int if spec.kind is int else float
    return Range(spec.name, kind, low, high, None if step is None else Decimal(str(step)), log)


def _range_problem(low: Decimal, high: Decimal, step: object, log: object) -> str | None:
    if high < low:
        return f"high {high} is below low {low}"
    if not isinstance(log, bool):
        return f"log is {log!r}, not true or false"
    if log and (step is not None or low <= 0):
        return "log needs low above 0 and no step"
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | Decimal | float) or step <= 0):
        return f"step is {step!r}, not a number above 0"
    return None


def _value(family: str, spec: ParamSpec, given: object) -> Value:
    """The value in the parameter's kind and bounds."""
    is_bool = isinstance(given, bool)
    if spec.kind is bool or is_bool:
        if spec.kind is not bool or not is_bool:
            raise SpaceError(family, spec.name, f"{given!r} is no {spec.kind.__name__}")
        return bool(given)
    if not isinstance(given, int | float | Decimal) or (spec.kind is int and given != int(given)):
        raise SpaceError(family, spec.name, f"{given!r} is no {spec.kind.__name__}")
    if not spec.low <= given <= spec.high:
        raise SpaceError(family, spec.name, f"{given} is outside {spec.low} .. {spec.high}")
    return int(given) if spec.kind is int else float(given)


def rounded(value: float) -> float:
    """A float of six significant digits.

    >>> rounded(0.123456789)
    0.123457
    """
    return float(f"{value:.6g}")


def exact(value: Value) -> int | bool | str:
    """A parameter as text in which every bit counts."""
    return value.hex() if isinstance(value, float) else value


def plain(value: object) -> object:
    """Nested values with floats as exact text, for hashing."""
    if isinstance(value, Mapping):
        return {key: plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return exact(value) if isinstance(value, float) else value
