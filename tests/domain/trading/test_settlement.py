"""What paper reports of closed bars: each fill, cancel, reject and payment, worked by hand."""

from datetime import UTC, datetime
from decimal import Decimal as Dec
from typing import Any

from openclaw_pipelines.contracts.enums import Leg, Side
from openclaw_pipelines.domain.execution.port import Report, ReportKind, reports_of

PERP = "AAA/USDT:USDT"
CALM, UP, HOLD_105 = (100, 101, 99, 100), (100, 106, 100, 105), (105, 106, 104, 105)
KEY = "autopilot:paper:desk:AAAUSDT-PERP:20250510T0600Z"
SIX, SEVEN = datetime(2025, 5, 10, 6, tzinfo=UTC), datetime(2025, 5, 10, 7, tzinfo=UTC)
FILL, CANCEL, REJECT, FUNDING = ReportKind


def reported(trading: Any) -> tuple[Report, ...]:
    """Of the newest tick, as recorded."""
    (row,) = trading.of("tick_inputs")
    assert row["executor"] == "paper"
    return reports_of(row["reports"])


def test_an_entry_funding_and_a_stop(desk: Any) -> None:
    """19.047 at 105, five basis points; one percent funding of 19.047 x 104; the stop at 99, as in `test_tick`."""
    trading = desk()
    trading.take(UP, CALM)
    assert reported(trading) == ()
    trading.take(HOLD_105, CALM)
    own = {"symbol": PERP, "qty": Dec("19.047")}
    entry = {"order_key": f"{KEY}:entry", "leg": Leg.ENTRY, "side": Side.BUY}
    fee = Dec("1999.935") * Dec("0.0005")
    assert reported(trading) == (Report(kind=FILL, **own, **entry, at=SIX, number=1, price=Dec(105), fee=fee),)
    trading.take((104, 105, 98, 100), CALM, funding=0.01)
    stop = {"order_key": f"{KEY}:stop", "leg": Leg.STOP, "side": Side.SELL}
    fee = Dec("19.047") * 99 * Dec("0.0005")
    assert reported(trading) == (
        Report(kind=FUNDING, **own, **entry, at=SEVEN, price=Dec(104), amount=-Dec("19.047") * 104 / 100),
        Report(kind=FILL, **own, **stop, at=SEVEN, number=1, price=Dec(99), fee=Dec("0.94282650")),
    )
    assert fee == Dec("0.9428265")


def test_an_entry_that_found_no_bar_is_cancelled(desk: Any) -> None:
    trading = desk()
    trading.take(UP, CALM)
    trading.take(None, CALM)
    (report,) = reported(trading)
    assert (report.kind, report.order_key, report.qty) == (CANCEL, f"{KEY}:entry", Dec("19.047"))
    assert (report.number, report.remaining, report.reason) == (0, 0, "NO_PRICE")


def test_what_the_cash_does_not_afford_is_cancelled_and_below_the_minimum_rejected(desk: Any) -> None:
    """99 % of 10,000 at 105 is 94.285; at an open of 200 the cash pays for 49.975, above or below the least."""
    whole = {"risk": {"price_buffer_bps": 0, "margin_leverage_bps": 10_000, "max_position_pct_equity_bps": 10_000,
                      "max_symbol_concentration_bps": 10_000}, "params": {"position_bps": 9_900}}  # fmt: skip
    trading = desk(**whole)
    trading.take(UP, CALM)
    trading.take((200, 201, 199, 200), CALM)
    fill, cancel = reported(trading)
    assert (fill.kind, fill.qty, fill.remaining) == (FILL, Dec("49.975"), Dec("44.310"))
    assert (cancel.kind, cancel.qty, cancel.remaining, cancel.number) == (CANCEL, Dec("44.310"), 0, 1)
    trading = desk(**whole, instruments={"min_qty": Dec(60)})
    trading.take(UP, CALM)
    trading.take((200, 201, 199, 200), CALM)
    (report,) = reported(trading)
    assert (report.kind, report.qty, report.reason) == (REJECT, Dec("94.285"), "INSUFFICIENT_AT_FILL")
