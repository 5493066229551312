"""What a deployment asks of the evidence that a cycle left: there, about today's code and bars, equal, and passed.

No flag is believed. Parameters are hashed again, both sides of each parity report compared again, every gate's measure
held against what is required now. What is absent, stale, invalid or failed is an error of its own.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.factory import ParityClass

Row = Mapping[str, Any]
_REQUIRED = re.compile(r"(?P<operator>>=|<=|>|<)?\s*(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
_TIMES = ("recorded_at",)


class HandOverError(LedgerError):
    """A candidate may not be deployed; its subclasses say why."""


class EvidenceAbsentError(HandOverError):
    """Something that must be shown was never measured."""

    template = "{candidate} of cycle {cycle}: {what} is not stored. Run the cycle again; nothing is deployed."
    fields = ("cycle", "candidate", "what")


class EvidenceStaleError(HandOverError):
    """Evidence about other code, bars or requirements than today's."""

    template = "{candidate} of cycle {cycle}: {what} is stale, made under {then}, now {now}. Run the cycle again."
    fields = ("cycle", "candidate", "what", "then", "now")


class InvalidComparisonError(HandOverError):
    """Two sides that were not run under one contract: neither equal nor different."""

    template = (
        "{candidate} of cycle {cycle}: {what} compared what cannot be compared: {differing}. Run the cycle again."
    )
    fields = ("cycle", "candidate", "what", "differing")


class EvidenceFailedError(HandOverError):
    """A comparison or a gate that did not hold."""

    template = "{candidate} of cycle {cycle}: {what} failed: {why}. It is not deployed."
    fields = ("cycle", "candidate", "what", "why")


class ParametersChangedError(HandOverError):
    """The parameters are not those that were swept, replayed and judged."""

    template = "{candidate} of cycle {cycle}: the parameters have hash {found}, the evidence is about {recorded}."
    fields = ("cycle", "candidate", "found", "recorded")


@dataclass(frozen=True)
class Today:
    """What evidence is held against: computed at the deployment, not read from what the cycle left.

    code_version: SHA-256 of the kernel's sources. bars_hashes: of the bars of the cycle's windows as they are stored
    now. gates: gate -> what it must show, of today's configuration. comparisons: parity reports that there must be.
    """

    code_version: str
    bars_hashes: frozenset[str]
    gates: Mapping[str, str]
    comparisons: tuple[str, ...] = ("sweep_replay", "replay_stepping")


def same_parameters(cycle: str, candidate: str, found: str, recorded: Iterable[str]) -> None:
    """Raise ParametersChangedError unless every recorded hash is the one that the parameters have."""
    for other in recorded:
        if other != found:
            raise ParametersChangedError(cycle, candidate, found, other)


def check_parity(cycle: str, candidate: str, reports: Sequence[Row], today: Today) -> str:
    """SHA-256 of the reports, where each required comparison is there, fresh, valid and equal.

    reports: rows of `parity_reports` of the candidate.

    Raises:
        EvidenceAbsentError, EvidenceStaleError, InvalidComparisonError, EvidenceFailedError.
    """
    by_kind = {row["comparison"]: row for row in reports}
    for kind in today.comparisons:
        if kind not in by_kind:
            raise EvidenceAbsentError(cycle, candidate, f"parity {kind}")
    for row in reports:
        what = f"parity {row['comparison']}"
        if row["code_version"] != today.code_version:
            raise EvidenceStaleError(
                cycle, candidate, what, f"code {row['code_version'][:12]}", today.code_version[:12]
            )  # fmt: skip
        if row["bars_hash"] not in today.bars_hashes:
            stored = ", ".join(sorted(own[:12] for own in today.bars_hashes)) or "none"
            raise EvidenceStaleError(cycle, candidate, what, f"bars {row['bars_hash'][:12]}", stored)
        found = parity_class(row)
        if found is ParityClass.INVALID_COMPARISON:
            raise InvalidComparisonError(cycle, candidate, what, row["differing"])
        if found is not ParityClass.EQUAL:
            raise EvidenceFailedError(cycle, candidate, what, f"{found.value}, {row['first_difference']}")
    return rows_hash(reports)


def parity_class(row: Row) -> ParityClass:
    """Class of a report by what both sides were and found; its verdict counts only where it is the worse one."""
    if row["left_contract"] != row["right_contract"]:
        return ParityClass.INVALID_COMPARISON
    claimed = ParityClass(row["verdict"])
    if claimed is ParityClass.EQUAL and (row["left_hash"] != row["right_hash"] or json.loads(row["differing"])):
        return ParityClass.STATE_MACHINE
    return claimed


def check_gates(cycle: str, candidate: str, gates: Sequence[Row], required: Mapping[str, str]) -> str:
    """SHA-256 of the gate rows, where each required gate is there, asks what is required now, and holds.

    required: gate -> what it must show, of today's configuration. Gates that are stored and not required must hold too.

    Raises:
        EvidenceAbsentError, EvidenceStaleError, EvidenceFailedError.
    """
    by_name = {row["gate"]: row for row in gates}
    for name in required:
        if name not in by_name:
            raise EvidenceAbsentError(cycle, candidate, f"gate {name}")
    for name, row in sorted(by_name.items(), key=lambda item: item[1]["position"]):
        if name in required and row["required"] != required[name]:
            raise EvidenceStaleError(cycle, candidate, f"gate {name}", row["required"], required[name])
        if not holds(row["measured"], row["required"]) or not row["passed"]:
            measured = "undefined" if row["measured"] is None else f"{row['measured']:.6g}"
            raise EvidenceFailedError(
                cycle, candidate, f"gate {name}", f"{measured}, {row['required']}: {row['reason']}"
            )
    return rows_hash(gates)


def rows_hash(rows: Iterable[Row]) -> str:
    """SHA-256 of rows without their ingest times, in any order."""
    kept = [{name: value for name, value in row.items() if name not in _TIMES} for row in rows]
    return sha256_of(sorted(sha256_of(row) for row in kept))


def holds(measured: float | None, required: str) -> bool:
    """Whether a measure meets a requirement as gates write it: `>= 0.95`, `< 0.5`, or a number to be equal to.

    >>> holds(0.96, ">= 0.95"), holds(0.5, "< 0.5"), holds(0.0, "0 earlier looks"), holds(None, "> 0")
    (True, False, True, False)
    """
    match = _REQUIRED.match(required)
    if measured is None or match is None:
        return False
    bound = float(match["number"])
    return {
        ">=": measured >= bound,
        "<=": measured <= bound,
        ">": measured > bound,
        "<": measured < bound,
        None: measured == bound,
    }[match["operator"]]
