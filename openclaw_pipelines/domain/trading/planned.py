"""Signals from outside the kernel, which enter a tick as recorded input: what is wanted, who wants it, on what grounds.

A planner says which side it would enter and leave, and how. It sees no limit and sets no quantity: after the bars are
settled, the kernel makes its signals into proposals by the function that strategy families use, and the governor judges
them as any other.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.run.planned import out_of_bounds

_SHA256 = r"[0-9a-f]{64}"


class SignalSymbolError(LedgerError):
    """Signals for other symbols than those whose bars closed."""

    template = (
        "planner {planner} gave no signal for {missing} and one too many for {unknown}. "
        "It must answer for every symbol whose bar closed, and for no other."
    )
    planner: str
    missing: str
    unknown: str


class SignalRangeError(LedgerError):
    """A signal with something that no planner may say."""

    template = (
        "planner {planner} says {name} {value} of {symbol}, where a whole number from {low} to {high} is needed. "
        "Mend the planner."
    )
    planner: str
    symbol: str
    name: str
    value: object
    low: int
    high: int


class PlannerNameError(LedgerError):
    """A planner that does not say who it is, what it is made of or what it saw."""

    template = "planner {planner!r} gives {name} as {value!r}, where {wanted} is needed. Mend the planner."
    planner: str
    name: str
    value: str
    wanted: str


class Signal(NamedTuple):
    """What is wanted of one symbol at its closed bar, in whole numbers; the fields are those of the kernel's SIGNAL."""

    side: int = 0
    """To be entered: 1 long, -1 short, 0 none"""
    leave_long: int = 0
    """1: a long position is to be left"""
    leave_short: int = 0
    stop: int = 0
    """Distance from the entry in price units, 0 none"""
    target: int = 0
    trail: int = 0
    size_bps: int = 0
    """Notional of a full position, of the equity"""
    part: int = layout.WHOLE
    """Of a full position, in 1 / WHOLE"""
    confidence: int = layout.WHOLE
    """In 1 / WHOLE"""
    tag: int = 0
    """The planner's own number for what it saw"""


@dataclass(frozen=True)
class Planned:
    """The signals of one tick.

    kind: of planner, such as `file` or `model`. planner_id: its name. source_hash: SHA-256 of what it is made of.
    seen_hash: SHA-256 of what it saw. signals: for every symbol whose bar closed.
    """

    kind: str
    planner_id: str
    source_hash: str
    seen_hash: str
    signals: Mapping[str, Signal]

    def __post_init__(self) -> None:
        """Refuse a record by which nobody could be found again.

        Raises:
            PlannerNameError: a kind that is no word, an empty id, a hash that is no SHA-256.
        """
        for name, pattern, wanted in (
            ("kind", r"[a-z][a-z0-9_]*", "a word in small letters"),
            ("planner_id", r"\S(.*\S)?", "a name"),
            ("source_hash", _SHA256, "a SHA-256 in hexadecimal digits"),
            ("seen_hash", _SHA256, "a SHA-256 in hexadecimal digits"),
        ):
            value: str = getattr(self, name)
            if not re.fullmatch(pattern, value):
                raise PlannerNameError(self.planner, name, value, wanted)

    @property
    def planner(self) -> str:
        """Name in proposals and decisions."""
        return f"{self.kind}:{self.planner_id}"

    def json(self) -> str:
        """Recorded form."""
        signals = {symbol: [int(value) for value in own] for symbol, own in self.signals.items()}
        return canonical_json({**vars(self), "signals": signals})

    @classmethod
    def of(cls, recorded: str) -> "Planned":
        """From the recorded form."""
        fields = json.loads(recorded)
        return cls(**{**fields, "signals": {symbol: Signal(*own) for symbol, own in fields["signals"].items()}})

    def records(self, symbols: Iterable[str], closed: Iterable[str]) -> layout.Records:
        """SIGNAL[S] in the columns of `symbols`, of which those in `closed` have a bar.

        Raises:
            SignalSymbolError, SignalRangeError: as their names say.
        """
        wanted, given = set(closed), set(self.signals)
        if wanted != given:
            missing, unknown = (", ".join(sorted(own)) or "none" for own in (wanted - given, given - wanted))
            raise SignalSymbolError(self.planner, missing, unknown)
        columns = list(symbols)
        signals = layout.records(layout.SIGNAL, len(columns))
        for column, symbol in enumerate(columns):
            if symbol in given:
                wrong = out_of_bounds(self.signals[symbol]._asdict())
                if wrong is not None:
                    name, value, low, high = wrong
                    raise SignalRangeError(self.planner, symbol, name, value, low, high)
                signals[column] = tuple(self.signals[symbol])
        return signals
