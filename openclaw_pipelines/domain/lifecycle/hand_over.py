"""What a deployment asks of the evidence that a cycle left: there, about today's code and bars, equal, and passed.

No flag is believed. Parameters are hashed again, both sides of each parity report compared again, every gate's measure
held against what is required now. What is absent, stale, invalid or failed is an error of its own.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.factory import ParityClass
from openclaw_pipelines.contracts.requirements import Requirement
from openclaw_pipelines.contracts.rows.factory import GateResultRow, ParityReportRow

_TIMES = ("recorded_at",)


class EvidenceKind(StrEnum):
    """What a piece of evidence is."""

    CYCLE = "the cycle"
    CANDIDATE = "a candidate on the shortlist"
    REPLAY = "its replay"
    PARITY = "parity"
    GATE = "gate"


@dataclass(frozen=True)
class Evidence:
    """A piece of evidence that errors are about. name: which of its kind, where there are several."""

    kind: EvidenceKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}".strip()


class HandOverError(LedgerError):
    """A candidate may not be deployed; its subclasses say why."""


class EvidenceAbsentError(HandOverError):
    """Something that must be shown was never measured."""

    template = "{candidate} of cycle {cycle}: {what} is not stored. Run the cycle again; nothing is deployed."
    cycle: str
    candidate: str
    what: Evidence


class EvidenceStaleError(HandOverError):
    """Evidence about other code, bars or requirements than today's."""

    template = "{candidate} of cycle {cycle}: {what} is stale, made under {then}, now {now}. Run the cycle again."
    cycle: str
    candidate: str
    what: Evidence
    then: str
    now: Requirement | str


class InvalidComparisonError(HandOverError):
    """Two sides that were not run under one contract: neither equal nor different."""

    template = (
        "{candidate} of cycle {cycle}: {what} compared what cannot be compared: {differing}. Run the cycle again."
    )
    cycle: str
    candidate: str
    what: Evidence
    differing: str


class EvidenceFailedError(HandOverError):
    """A comparison or a gate that did not hold."""

    template = "{candidate} of cycle {cycle}: {what} failed: {why}. It is not deployed."
    cycle: str
    candidate: str
    what: Evidence
    why: str


class ParametersChangedError(HandOverError):
    """The parameters are not those that were swept, replayed and judged."""

    template = "{candidate} of cycle {cycle}: the parameters have hash {found}, the evidence is about {recorded}."
    cycle: str
    candidate: str
    found: str
    recorded: str


@dataclass(frozen=True)
class Today:
    """What evidence is held against: computed at the deployment, not read from what the cycle left.

    code_version: SHA-256 of the kernel's sources. bars_hashes: of the bars of the cycle's windows as they are stored
    now. gates: gate -> what it must show, of today's configuration; there are no others. comparisons: parity reports
    that there must be.
    """

    code_version: str
    bars_hashes: frozenset[str]
    gates: Mapping[str, Requirement]
    comparisons: tuple[str, ...] = ("sweep_replay", "replay_stepping")


def same_parameters(cycle: str, candidate: str, found: str, recorded: Iterable[str]) -> None:
    """Raise ParametersChangedError unless every recorded hash is the one that the parameters have."""
    for other in recorded:
        if other != found:
            raise ParametersChangedError(cycle, candidate, found, other)


def check_parity(cycle: str, candidate: str, reports: Sequence[ParityReportRow], today: Today) -> str:
    """SHA-256 of the reports, where each required comparison is there, fresh, valid and equal.

    reports: rows of `parity_reports` of the candidate.

    Raises:
        EvidenceAbsentError, EvidenceStaleError, InvalidComparisonError, EvidenceFailedError.
    """
    by_kind = {row["comparison"]: row for row in reports}
    for kind in today.comparisons:
        if kind not in by_kind:
            raise EvidenceAbsentError(cycle, candidate, Evidence(EvidenceKind.PARITY, kind))
    for row in reports:
        what = Evidence(EvidenceKind.PARITY, row["comparison"])
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


def parity_class(row: ParityReportRow) -> ParityClass:
    """Class of a report by what both sides were and found; its verdict counts only where it is the worse one."""
    if row["left_contract"] != row["right_contract"]:
        return ParityClass.INVALID_COMPARISON
    claimed = ParityClass(row["verdict"])
    if claimed is ParityClass.EQUAL and (row["left_hash"] != row["right_hash"] or json.loads(row["differing"])):
        return ParityClass.STATE_MACHINE
    return claimed


def check_gates(cycle: str, candidate: str, gates: Sequence[GateResultRow], required: Mapping[str, Requirement]) -> str:
    """SHA-256 of the gate rows, where each required gate is there, asks what is required now, and holds.

    required: gate -> what it must show, of today's configuration. A stored gate that is not among them is stale.

    Raises:
        EvidenceAbsentError, EvidenceStaleError, EvidenceFailedError.
    """
    by_name = {row["gate"]: row for row in gates}
    for name in required:
        if name not in by_name:
            raise EvidenceAbsentError(cycle, candidate, Evidence(EvidenceKind.GATE, name))
    for name, row in sorted(by_name.items(), key=lambda item: item[1]["position"]):
        what, asked = Evidence(EvidenceKind.GATE, name), required.get(name)
        if asked is None or row["required"] != asked.text:
            raise EvidenceStaleError(cycle, candidate, what, row["required"], asked or "no such gate")
        if not asked.holds(row["measured"]) or not row["passed"]:
            measured = "undefined" if row["measured"] is None else f"{row['measured']:.6g}"
            raise EvidenceFailedError(cycle, candidate, what, f"{measured}, {asked}: {row['reason']}")
    return rows_hash(gates)


def rows_hash(rows: Iterable[Mapping[str, object]]) -> str:
    """SHA-256 of rows without their ingest times, in any order."""
    kept = [{name: value for name, value in row.items() if name not in _TIMES} for row in rows]
    return sha256_of(sorted(sha256_of(row) for row in kept))
