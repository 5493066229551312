"""What a strategy family is made of: each is one module of `families` that says all of this in its `FAMILY`.

A rule is compiled and is given what its arguments name, no more: readings of the newest bar (`readings`) and parameters
of the family. So the same rule judges the row of a live tick and the columns of a sweep; the calls of both are written
by `tools/families.py`. Position limits, fees and capital are settings of the account.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Value = int | float | bool
"""Of a parameter."""
LENGTH_MAX = 5_000
RULES = ("enters", "leaves", "excess")
"""What compiled code asks a family, by the fields of `FamilySpec`."""
RESERVED = frozenset(
    ("side", "row", "params", "flags", "sides", "columns", "row_map", "s", "first", "n", "t", "long", "short", "over")
)
"""Names that the code written by `tools/families.py` uses itself."""


@dataclass(frozen=True)
class ParamSpec:
    """One parameter: its name, type (int, float or bool), default, inclusive bounds and meaning with its unit."""

    name: str
    kind: type[int] | type[float] | type[bool]
    default: Value
    low: float
    high: float
    meaning: str


@dataclass(frozen=True)
class Relation:
    """What one parameter must be to another of the same family."""

    lesser: str
    relation: Literal["below", "at most"]
    greater: str


@dataclass(frozen=True)
class FamilySpec:
    """One strategy family.

    number: what compiled code asks for, never given to another; 0 is no family, but signals from outside.
    name: that of its module. meaning: what it does, for those who choose. parameters: in a fixed order.
    relations: what they must be to each other. shows: the `readings` that its decisions show beside those of all.
    enters, leaves: whether it would enter long and short, whether a long and a short are to be left: two truth values
    of one bar. Where both sides would be entered, it is the long one.
    excess: by how much an entry (`side` 1 or -1) exceeds its rule, at least 0; the confidence is made of it.
    """

    number: int
    name: str
    meaning: str
    parameters: tuple[ParamSpec, ...]
    relations: tuple[Relation, ...]
    shows: tuple[str, ...]
    enters: Callable[..., Any]
    leaves: Callable[..., Any]
    excess: Callable[..., Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names in order."""
        return tuple(spec.name for spec in self.parameters)

    def asks(self, rule: str) -> tuple[str, ...]:
        """What one of RULES asks for: the names of its arguments."""
        return tuple(inspect.signature(getattr(self, rule)).parameters)


def length(name: str, default: int, meaning: str, *, low: int = 1) -> ParamSpec:
    """A number of bars."""
    return ParamSpec(name, int, default, low, LENGTH_MAX, meaning)


def number(name: str, default: float, low: float, high: float, meaning: str) -> ParamSpec:
    """A finite number within bounds."""
    return ParamSpec(name, float, default, low, high, meaning)


ADX_LENGTH = length("adx_length", 14, "bars of the average directional index (Wilder)", low=2)


def common(
    *, stop_atr: float, target_atr: float, trail_atr: float, hold_bars: int, target: float, volume_ratio: float
) -> tuple[ParamSpec, ...]:
    """Parameters that every family has; families differ only in their defaults."""
    return (
        length("atr_length", 14, "bars of the average true range (Wilder)"),
        number("stop_atr", stop_atr, 0.0, 100.0, "stop distance in average true ranges; 0 = no stop"),
        number("target_atr", target_atr, 0.0, 100.0, "target distance in average true ranges; 0 = no target"),
        number("trail_atr", trail_atr, 0.0, 100.0, "trailing stop distance in average true ranges; 0 = none"),
        ParamSpec("max_hold_bars", int, hold_bars, 0, 1_000_000, "bars after which a position is closed; 0 = never"),
        ParamSpec(
            "entry_window_bars", int, 2, 1, 1_000, "bars for which a fresh setup may be entered; 2 lets a reversal in"
        ),
        length("volatility_length", 48, "returns in the realised volatility", low=2),
        number(
            "volatility_target", target, 0.0, 10.0, "annualised volatility that full size stands for; 0 = always full"
        ),
        length("volume_length", 20, "bars of the average volume"),
        number(
            "volume_ratio", volume_ratio, 0.0, 100.0, "least volume of an entry bar over the average; 0 = not asked"
        ),
        ParamSpec(
            "allow_short", kind=bool, default=True, low=0, high=1, meaning="whether short positions may be entered"
        ),
        ParamSpec("position_bps", int, 2_000, 1, 100_000, "notional of a full-size position in bps of equity"),
    )
