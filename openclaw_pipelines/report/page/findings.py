"""What a page puts at its top: exceptions that a reader must not overlook."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One exception."""

    severity: str
    where: str
    what: str
    detail: str
