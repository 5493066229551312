"""Requirements: each relation at, below and above its bound, and the text that is stored."""

from decimal import Decimal

import pytest

from openclaw_pipelines.contracts.requirements import Relation, Requirement


@pytest.mark.parametrize(
    ("relation", "held", "text"),
    [
        pytest.param(Relation.AT_LEAST, (False, True, True), ">= 0.1", id="at least"),
        pytest.param(Relation.ABOVE, (False, False, True), "> 0.1", id="above"),
        pytest.param(Relation.AT_MOST, (True, True, False), "<= 0.1", id="at most"),
        pytest.param(Relation.BELOW, (True, False, False), "< 0.1", id="below"),
        pytest.param(Relation.EQUAL, (False, True, False), "0.1", id="equal"),
    ],
)
def test_each_relation(relation: Relation, held: tuple[bool, bool, bool], text: str) -> None:
    for bound in (0.1, Decimal("0.1")):  # a stored measure is a float, the bound it is held against may be exact
        requirement = Requirement(relation, bound)
        assert tuple(requirement.holds(measured) for measured in (0.09, 0.1, 0.11)) == held
        assert (requirement.text, str(requirement)) == (text, text)
        assert not requirement.holds(None)
    exact = Requirement(relation, Decimal("0.1"))
    assert tuple(exact.holds(Decimal(measured)) for measured in ("0.09", "0.10", "0.11")) == held


def test_what_the_number_is_of_decides_nothing() -> None:
    named = Requirement(Relation.AT_LEAST, 0.5, "of the net result, above 7")
    assert named.text == ">= 0.5 of the net result, above 7"
    assert (named.holds(0.5), named.holds(0.49)) == (True, False)
