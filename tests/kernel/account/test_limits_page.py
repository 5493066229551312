"""The worked examples of docs/limits.md, put to the kernel as they stand."""

from pathlib import Path
from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import Action, RejectCode

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "limits.md").read_text(encoding="utf-8")
COLUMNS = {"BTC": 0, "ETH": 1, "BTC'": 2, "SOL": 3}
GROUPS = [0, 1, 0, 3]
LOT = 10
"""Quote currency per lot, at the price of 1,000 units"""


def table(heading: str) -> list[list[str]]:
    """Rows of the first table below a heading."""
    below = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def number(text: str) -> int:
    return int(text.replace(",", "").rstrip("x"))


def amount(text: str) -> tuple[int, int]:
    """Column and quote currency of `BTC 5,000`."""
    symbol, quote = text.split()
    return COLUMNS[symbol], number(quote)


def verdict(proposal: Any) -> str:
    code = RejectCode(int(proposal.code))
    return "approved" if code is RejectCode.NONE else code.name


@pytest.mark.parametrize("row", table("Concentration"), ids=lambda row: f"{row[2]} at {row[4]}")
def test_concentration(world: Any, row: list[str]) -> None:
    capital, held, order, leverage, limit, whole, share, expected = row
    account = world(4, capital=number(capital) * 10**8, leverage_bps=number(leverage) * 10_000, group=GROUPS)
    if held != "none":
        symbol, quote = amount(held)
        assert verdict(account.ask({"symbol": symbol, "qty": quote // LOT})[0]) == "approved"
        account.bar(*[(1_000,) * 4] * 4)
    account.limits.max_concentration_bps = number(limit)
    symbol, quote = amount(order)
    before = account.mark()
    asked = account.ask({"symbol": symbol, "qty": quote // LOT})[0]
    assert verdict(asked) == expected
    gross, free = (number(part) * 10**8 for part in whole.split(" + "))
    assert gross == before.gross_exposure + quote * 10**8
    assert free == before.free_cash - quote * 10**8 // number(leverage)
    same = quote * 10**8 + (before.gross_exposure if held != "none" and GROUPS[amount(held)[0]] == 0 else 0)
    assert f"{100 * same / (gross + free):.2f} %" == share
    if expected != "approved":
        assert (int(asked.measured), int(asked.limit)) == (same, (gross + free) * number(limit) // 10_000)


def test_how_often(world: Any) -> None:
    account = world(4, group=GROUPS)
    limits = account.account_limits
    limits.max_orders_per_window, limits.window_seconds, limits.order_gap_seconds = 2, 3_600, 900
    assert "`max_orders_per_window: 2`, `order_window_seconds: 3600` and `order_gap_seconds: 900`" in PAGE
    for at, asked, _, expected in table("How often"):
        hours, minutes = map(int, at.split(":"))
        account.at = 86_400 + hours * 3_600 + minutes * 60
        verb, symbol = asked.split()
        action = Action.ENTER if verb == "enter" else Action.EXIT
        assert verdict(account.ask({"symbol": COLUMNS[symbol], "action": action})[0]) == expected, at
        position = account.state.positions[COLUMNS[symbol]]
        if action is Action.ENTER and expected == "approved":  # filled at once
            position.qty, position.pending_action, account.account.pending_entries = position.pending_qty, 0, 0


@pytest.mark.parametrize(
    ("limit", "wrong"), [("max_orders_per_window", "RATE_LIMITED"), ("order_gap_seconds", "ORDER_GAP")]
)
def test_exits_counted_as_in_the_first_ledgers_refuse_what_the_page_approves(
    world: Any, limit: str, wrong: str
) -> None:
    """The twin: an exit just before the entry."""
    for first_rules, expected in ((0, "approved"), (1, wrong)):
        account = world(2)
        limits = account.account_limits
        limits.first_rules, limits.window_seconds = first_rules, 3_600
        limits[limit] = 1 if limit == "max_orders_per_window" else 900
        account.state.positions[0].qty = 100
        account.at = 86_400
        assert verdict(account.ask({"symbol": 0, "action": Action.EXIT})[0]) == "approved"
        account.at += 60
        assert verdict(account.ask({"symbol": 1})[0]) == expected
