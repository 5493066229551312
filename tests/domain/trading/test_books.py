"""The account as its recorded rows add up."""

from decimal import Decimal as Dec
from typing import Any

import pytest

from openclaw_pipelines.domain.trading.books import Books, reconcile

PERP = "AAA/USDT:USDT"


def fill(side: str, qty: str, cash: str) -> dict[str, Any]:
    return {"symbol": PERP, "side": side, "qty": Dec(qty), "cash_change": Dec(cash)}


def test_fills_and_funding_add_up() -> None:
    books = Books(Dec(1000))
    books.book([fill("buy", "2.5", "-1.25"), fill("sell", "4", "10")], [{"amount": Dec("-0.75")}])
    assert (books.cash, books.quantities) == (Dec(1008), {PERP: Dec("-1.5")})


@pytest.mark.parametrize(
    ("cash", "qty", "failed"),
    [
        pytest.param("10000", "0", [], id="flat"),
        pytest.param("10000.00000001", "0", ["cash"], id="an atom too much"),
        pytest.param("10000", "0.001", [f"quantity:{PERP}"], id="a lot too much"),
    ],
)
def test_reconciliation_is_exact(desk: Any, cash: str, qty: str, failed: list[str]) -> None:
    session = desk(PERP, warm=False).session
    results = reconcile(Books(Dec(cash), {PERP: Dec(qty)}), session.deployment, session.state)
    assert [result["check_name"] for result in results] == ["cash", f"quantity:{PERP}"]
    assert [result["check_name"] for result in results if not result["passed"]] == failed


def test_the_message_names_both_sides(desk: Any) -> None:
    session = desk(PERP, warm=False).session
    result = reconcile(Books(Dec(9999)), session.deployment, session.state)[0]
    assert result["message"] == "cash: the account holds 10000 quote, which differs from the 9999 of its recorded rows"
