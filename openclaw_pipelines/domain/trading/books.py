"""The account as its recorded fills and funding add up to, kept apart from the kernel's own sums.

After every tick the two are compared. A difference is a `reconcile_events` row, and the next tick refuses entries.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from openclaw_pipelines.contracts.canonical import decimal_text
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.kernel.base import layout, money


@dataclass
class Books:
    """Cash in quote currency and signed quantity per symbol in base currency, from recorded rows alone."""

    cash: Decimal
    quantities: dict[str, Decimal] = field(default_factory=dict)

    def book(self, fills: Iterable[Mapping[str, Any]], funding: Iterable[Mapping[str, Any]]) -> None:
        """Add the rows of one tick."""
        for fill in fills:
            signed = fill["qty"] if fill["side"] == "buy" else -fill["qty"]
            self.quantities[fill["symbol"]] = self.quantities.get(fill["symbol"], Decimal(0)) + signed
            self.cash += fill["cash_change"]
        for payment in funding:
            self.cash += payment["amount"]


def reconcile(books: Books, deployment: Deployment, state: layout.State) -> list[dict[str, object]]:
    """One result per check: cash, then each quantity. Rows of `reconcile_events` without the tick's columns."""
    results = [_result("cash", books.cash, money.from_atoms(int(state.account["cash"][0])), "quote")]
    for symbol, lot, qty in zip(deployment.symbols, deployment.lots, state.positions["qty"].tolist(), strict=True):
        booked = books.quantities.get(symbol, Decimal(0))
        results.append(_result(f"quantity:{symbol}", booked, qty * lot, "base"))
    return results


def _result(name: str, expected: Decimal, measured: Decimal, currency: str) -> dict[str, object]:
    passed = expected == measured
    verdict = "agrees with" if passed else "differs from"
    held, booked = decimal_text(measured), decimal_text(expected)
    message = f"{name}: the account holds {held} {currency}, which {verdict} the {booked} of its recorded rows"
    return {"check_name": name, "passed": passed, "expected": expected, "measured": measured, "message": message}
