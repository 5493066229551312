"""What a measure must show: a relation and a bound, and how both read in tables and are stored."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Relation(StrEnum):
    """How a measure must stand to the bound."""

    AT_LEAST = ">="
    ABOVE = ">"
    AT_MOST = "<="
    BELOW = "<"
    EQUAL = "="


@dataclass(frozen=True)
class Requirement:
    """A relation and a bound. of: what the number is of, for people; it decides nothing."""

    relation: Relation
    bound: float | Decimal
    of: str = ""

    @property
    def text(self) -> str:
        """How it reads and is stored; a number to be equal to stands by itself.

        >>> Requirement(Relation.AT_LEAST, 0.95).text, Requirement(Relation.EQUAL, 0, "earlier looks").text
        ('>= 0.95', '0 earlier looks')
        """
        relation = "" if self.relation is Relation.EQUAL else f"{self.relation.value} "
        return f"{relation}{self.bound} {self.of}".strip()

    def __str__(self) -> str:
        return self.text

    def holds(self, measured: float | Decimal | None) -> bool:
        """Whether a measure meets it; an undefined one never does.

        >>> [Requirement(Relation.BELOW, 0.5).holds(measured) for measured in (0.4, 0.5, None)]
        [True, False, False]
        """
        if measured is None:
            return False
        bound = float(self.bound) if isinstance(measured, float) else self.bound
        return {
            Relation.AT_LEAST: measured >= bound,
            Relation.ABOVE: measured > bound,
            Relation.AT_MOST: measured <= bound,
            Relation.BELOW: measured < bound,
            Relation.EQUAL: measured == bound,
        }[self.relation]
