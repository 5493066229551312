"""An executor outside the kernel: orders in parts over many ticks, worked by hand to the atom."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal as Dec
from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import Leg, Side
from openclaw_pipelines.domain.execution.port import Acknowledgement, Intent, Report, ReportKind
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.reported import ReportError
from openclaw_pipelines.domain.trading.tick import run_tick
from openclaw_pipelines.kernel.base.state_bytes import state_hash

PERP, SPOT = "AAA/USDT:USDT", "BBB/USDT"
CALM, UP, HOLD_105 = (100, 101, 99, 100), (100, 106, 100, 105), (105, 106, 104, 105)
KEY = "autopilot:paper:desk:AAAUSDT-PERP:20250510T0600Z"
SPOT_KEY = "autopilot:paper:desk:BBBUSDT:20250510T0600Z"
FILL, CANCEL, REJECT, FUNDING = ReportKind


class Venue:
    """Keeps what it was sent and says what the test tells it to, half an hour before the tick that asks."""

    name = "venue"

    def __init__(self) -> None:
        self.sent: dict[str, Intent] = {}
        self.told: list[Report] = []

    def submit(self, intents: Sequence[Intent]) -> list[Acknowledgement]:
        self.sent |= {intent.order_key: intent for intent in intents}
        return [Acknowledgement(intent.order_key, taken=True) for intent in intents]

    def reports(self, since: datetime, closed: Any) -> list[Report]:
        return [report for report in self.told if report.at > since]


def venue_desk(desk: Any, **changes: Any) -> Any:
    """A desk behind a venue, with the entry of 19.047 (stop 6 below the fill) sent."""
    trading = desk(**changes)
    trading.executor = Venue()
    return trading


def tell(trading: Any, kind: ReportKind, key: str, leg: Leg, qty: str, price: str = "0", **more: Any) -> None:
    symbol = SPOT if "BBB" in key else PERP
    side = Side.BUY if leg is Leg.ENTRY else Side.SELL
    own = {"symbol": symbol, "leg": leg, "side": side, "at": trading.at + timedelta(minutes=30)}
    money = {name: Dec(value) for name, value in more.items() if name in ("fee", "amount", "remaining")}
    rest = {name: value for name, value in more.items() if name not in money}
    order = f"{key}:{leg.name.lower()}"
    trading.executor.told.append(
        Report(kind=kind, order_key=order, **own, qty=Dec(qty), price=Dec(price), **money, **rest)
    )


def cash(trading: Any) -> Dec:
    (row,) = trading.of("autopilot_equity")
    return row["cash"]


def reconciled(trading: Any) -> bool:
    return not [row for row in trading.rows.get("reconcile_events", []) if not row["passed"]]


def in_parts(trading: Any) -> None:
    """9.047 at 105.01, an hour of nothing, 4 at 104.99, the rest cancelled; a stop in two parts."""
    trading.take(UP, CALM)
    tell(trading, FILL, KEY, Leg.ENTRY, "9.047", "105.01", number=1, fee="0.475", remaining="10")
    trading.take(HOLD_105, CALM)
    trading.take(HOLD_105, CALM)
    tell(trading, FILL, KEY, Leg.ENTRY, "4", "104.99", number=2, fee="0.21", remaining="6")
    trading.take(HOLD_105, CALM)
    tell(trading, CANCEL, KEY, Leg.ENTRY, "6", number=2, reason="expired at the venue")
    trading.take(HOLD_105, CALM)
    tell(trading, FILL, KEY, Leg.STOP, "5.047", "99", number=1, fee="0.25", remaining="8")
    trading.take((105, 105, 98, 104), CALM)
    tell(trading, FILL, KEY, Leg.STOP, "8", "98.98", number=2, fee="0.4")
    trading.take((104, 105, 98, 104), CALM)


def test_what_is_sent_is_the_approved_order(desk: Any) -> None:
    trading = venue_desk(desk)
    trading.take(UP, CALM)
    assert trading.executor.sent == {
        f"{KEY}:entry": Intent(
            order_key=f"{KEY}:entry", symbol=PERP, leg=Leg.ENTRY, side=Side.BUY, qty=Dec("19.047"), price=Dec(105),
            stop_distance=Dec(6), target_distance=None, trail_distance=None, leverage=Dec(2), decided_at=trading.at,
        )
    }  # fmt: skip


def test_peak_and_the_days_opening_follow_the_closes(desk: Any) -> None:
    """19.047 bought at 105: at 110 it is worth 95.235 more, which is the peak; at 103 it is 38.094 less at midnight."""
    trading = venue_desk(desk)
    trading.take(UP, CALM)
    (before,) = trading.of("autopilot_equity")
    tell(trading, FILL, KEY, Leg.ENTRY, "19.047", "105", number=1)
    trading.take(HOLD_105, CALM)
    trading.take((105, 111, 104, 110), CALM)
    (high,) = trading.of("autopilot_equity")
    assert high["equity"] == high["peak_equity"] == before["equity"] + Dec("95.235")
    while trading.at.hour:
        trading.take((103, 104, 102, 103), CALM)
        (row,) = trading.of("autopilot_equity")
        opening = before["equity"] if trading.at.hour else before["equity"] - Dec("38.094")
        assert (row["day_open_equity"], row["peak_equity"]) == (opening, high["equity"])
    assert int(trading.session.state.account[0].last_tick) == int(trading.at.timestamp())


def test_an_order_in_parts_to_the_atom(desk: Any) -> None:
    """Average (9.047 x 105.01 + 4 x 104.99) / 13.047 = 105.0038..., up to 105.01: 0.08 too much, given back."""
    trading = venue_desk(desk)
    in_parts(trading)
    ticks = [[row["status"] for row in trading.of("autopilot_fills", tick)] for tick in range(-6, 0)]
    assert ticks == [["partial"], [], ["partial"], ["reduced"], ["partial"], ["filled"]]
    positions = [trading.of("autopilot_positions", tick) for tick in range(-7, 0)]
    assert [[(row["qty"], row["entry_price"]) for row in rows] for rows in positions] == [
        [],
        [(Dec("9.047"), Dec("105.01"))],
        [(Dec("9.047"), Dec("105.01"))],
        [(Dec("13.047"), Dec("105.01"))],
        [(Dec("13.047"), Dec("105.01"))],
        [(Dec(8), Dec("105.01"))],
        [],
    ]
    half = Dec("950.02547") / 2 + Dec("419.96") / 2
    assert positions[3][0]["margin"] == half
    assert positions[5][0]["margin"] == half - (half * Dec("5.047") / Dec("13.047")).quantize(
        Dec("1e-8"), "ROUND_FLOOR"
    )
    assert positions[3][0]["stop_price"] == Dec("99.01")
    lost = Dec("5.047") * Dec("-6.01") + Dec(8) * Dec("-6.03")
    assert cash(trading) == 10_000 - Dec("0.475") - Dec("0.21") + Dec("0.08") + lost - Dec("0.65")
    (equity,) = trading.of("autopilot_equity")
    assert (equity["realized_pnl"], equity["fees"]) == (lost + Dec("0.08"), Dec("1.335"))
    assert (equity["margin"], equity["reserved"], equity["open_positions"]) == (0, 0, 0)
    assert [row["fill_key"] for row in trading.rows["autopilot_fills"]] == [
        f"{KEY}:entry:1", f"{KEY}:entry:2", f"{KEY}:entry:3", f"{KEY}:stop:1", f"{KEY}:stop:2",
    ]  # fmt: skip
    assert trading.path(KEY) == ["proposed", "approved", "executed", "reconciled"]
    assert reconciled(trading)
    trading.frames()


def test_the_orders_of_a_venue_replay_from_the_recorded_reports(desk: Any) -> None:
    """No venue is asked; without its recorded reports the account is another."""
    trading, again, without = venue_desk(desk), desk(), desk()
    in_parts(trading)
    for row in trading.rows["tick_inputs"][-7:]:
        run_tick(again.session, TickInput.from_row(row))
        run_tick(without.session, TickInput.from_row({**row, "reports": "[]"}))
    assert state_hash(again.session.state) == state_hash(trading.session.state)
    assert state_hash(without.session.state) != state_hash(trading.session.state)


def test_a_rejected_order_is_free_to_be_asked_again(desk: Any) -> None:
    trading = venue_desk(desk)
    trading.take(UP, CALM)
    tell(trading, REJECT, KEY, Leg.ENTRY, "19.047", reason="insufficient margin at the venue")
    trading.take(HOLD_105, CALM)
    (fill,) = trading.of("autopilot_fills")
    assert (fill["status"], fill["reason_code"], fill["qty"]) == ("rejected", "EXECUTOR_REFUSED", 0)
    assert fill["reason"] == "insufficient margin at the venue"
    assert trading.path(KEY) == ["proposed", "approved", "execution_failed"]
    (equity,) = trading.of("autopilot_equity")
    assert (equity["reserved"], equity["cash"]) == (0, 10_000)
    assert int(trading.session.state.account.pending_entries[0]) == 0


def test_a_spot_position_is_paid_and_left_in_parts(desk: Any) -> None:
    """Bought 19.047 at 105 for 1,999.935; sold by signal as 10 at 97.5 and 9.047 at 97.4."""
    trading = venue_desk(desk, params={"stop_atr": 0.0})
    trading.take(CALM, UP)
    tell(trading, FILL, SPOT_KEY, Leg.ENTRY, "19.047", "105", number=1, fee="1")
    trading.take(CALM, HOLD_105)
    assert cash(trading) == 10_000 - Dec("1999.935") - 1
    trading.take(CALM, (105, 105, 97, 97.5))
    (order,) = trading.of("autopilot_orders")
    own = order["decision_key"]
    tell(trading, FILL, own, Leg.EXIT, "10", "97.5", number=1, fee="0.5", remaining="9.047")
    trading.take(CALM, (97.5, 98, 97, 97.5))
    assert trading.path(own) == ["proposed", "approved"]
    tell(trading, FILL, own, Leg.EXIT, "9.047", "97.4", number=2, fee="0.4")
    trading.take(CALM, (97.5, 98, 97, 97.5))
    assert cash(trading) == 10_000 - Dec("1999.935") - 1 + 975 - Dec("0.5") + Dec("9.047") * Dec("97.4") - Dec("0.4")
    assert trading.path(own) == ["proposed", "approved", "executed", "reconciled"]
    assert [row["realized_pnl"] for row in trading.rows["autopilot_fills"][1:]] == [-75, Dec("9.047") * Dec("-7.6")]
    assert reconciled(trading)


def test_funding_is_what_was_reported_down_to_the_atom(desk: Any) -> None:
    trading = venue_desk(desk)
    trading.take(UP, CALM)
    tell(trading, FILL, KEY, Leg.ENTRY, "19.047", "105", number=1)
    tell(trading, FUNDING, KEY, Leg.ENTRY, "19.047", "105", amount="-1.000000001")
    trading.take(HOLD_105, CALM)
    assert cash(trading) == 10_000 - Dec("1.00000001")
    assert [row["amount"] for row in trading.of("autopilot_funding_payments")] == [Dec("-1.00000001")]


@pytest.mark.parametrize(
    ("kind", "key", "leg", "qty", "price", "more", "why"),
    [
        pytest.param(FILL, KEY, Leg.EXIT, "1", "105", {}, "no such order is open", id="an order never sent"),
        pytest.param(FILL, KEY + "x", Leg.ENTRY, "1", "105", {}, "no such order is open", id="another's order"),
        pytest.param(FILL, KEY, Leg.STOP, "1", "105", {}, "no such order is open", id="a stop before the entry"),
        pytest.param(FILL, KEY, Leg.ENTRY, "20", "105", {}, "where 19.047 are left", id="more than was asked"),
        pytest.param(FILL, KEY, Leg.ENTRY, "0.0005", "105", {}, "no multiple of 0.001", id="off the lot"),
        pytest.param(FILL, KEY, Leg.ENTRY, "1", "105.001", {}, "no multiple of 0.01", id="off the price unit"),
        pytest.param(FILL, KEY, Leg.ENTRY, "1", "105", {"fee": "-1"}, "rebates are not booked", id="a rebate"),
        pytest.param(
            FUNDING, KEY, Leg.ENTRY, "1", "1", {"amount": "1"}, "no position is open", id="funding of nothing"
        ),
    ],
)
def test_a_report_that_nothing_can_have_caused_stops_the_tick(
    desk: Any, kind: ReportKind, key: str, leg: Leg, qty: str, price: str, more: Any, why: str
) -> None:
    trading = venue_desk(desk)
    trading.take(UP, CALM)
    tell(trading, kind, key, leg, qty, price, number=1, **more)
    with pytest.raises(ReportError, match=why) as caught:
        trading.take(HOLD_105, CALM)
    assert "venue reports a" in str(caught.value)
    assert key in str(caught.value)
