"""What a page puts at its top: exceptions that a reader must not overlook."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One exception."""

    severity: Severity
    where: str
    what: str
    detail: str


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Errors before warnings, else in the order in which they were found."""
    return sorted(found, key=lambda finding: finding.severity != "error")
