"""Booking of what an executor outside the kernel reported: parts of orders, ends of orders, funding.

Money is the kernel's: integers, rounded against the account. An average entry price is rounded to a price unit, and
what that takes is given back as a realized result, so that cash is what the reports add up to.
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from openclaw_pipelines.contracts import keys
from openclaw_pipelines.contracts.enums import Action, ExitReason, Leg, RejectCode
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.domain.execution.port import Report, ReportKind
from openclaw_pipelines.domain.trading.records import Row, fill_row, funding_row, protective_order
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.kernel.account import valuation
from openclaw_pipelines.kernel.account.booking import clear_pending, protective_level
from openclaw_pipelines.kernel.base import layout, money
from openclaw_pipelines.kernel.run import step

_PENDING_LEGS = {Leg.ENTRY: Action.ENTER, Leg.EXIT: Action.EXIT}
_REASONS = {
    Leg.STOP: ExitReason.STOP,
    Leg.TARGET: ExitReason.TARGET,
    Leg.LIQUIDATION: ExitReason.LIQUIDATION,
}


class ReportError(LedgerError):
    """A report that no order or position can have caused."""

    template = (
        "{executor} reports a {kind} of {order_key}: {why}. The tick was not taken. "
        "Compare the orders at {executor} with `openclaw explain`."
    )
    executor: str
    kind: ReportKind
    order_key: str
    why: str


def book_reports(session: Session, tick: layout.Tick, executor: str, reports: Sequence[Report]) -> dict[str, list[Row]]:
    """Book the reports of a tick in their order, then value the account at the bars' closes. Returns rows by table.

    Raises:
        ReportError: nothing of the tick counts then.
    """
    rows: dict[str, list[Row]] = {"autopilot_orders": [], "autopilot_fills": [], "autopilot_funding_payments": []}
    for report in reports:
        _Booking(session, executor, report, tick.at).book(rows)
    for position, symbol in zip(session.state.positions, tick.symbols, strict=True):
        step.value_at_close(position, symbol)
    step.close_books(session.state, tick.at, valuation.mark(session.state, session.context).equity)
    return rows


class _Booking:
    """One report over the position that it is about."""

    def __init__(self, session: Session, executor: str, report: Report, tick_at: int) -> None:
        self.session, self.executor, self.report, self.tick_at = session, executor, report, tick_at
        if report.symbol not in session.deployment.symbols:
            raise self._error(f"{report.symbol} is not traded by {session.deployment.strategy_config_id}")
        self.column = session.deployment.symbols.index(report.symbol)
        self.position = session.state.positions[self.column]
        self.account = session.state.account[0]
        self.instrument = session.context.instruments[self.column]
        self.qty = self._whole(report.qty, session.scale.lots[self.column], "the quantity")
        self.price = self._whole(report.price, session.deployment.instruments[self.column].price_unit, "the price")

    def book(self, rows: dict[str, list[Row]]) -> None:
        """Change the account and write the rows."""
        report = self.report
        if report.kind is ReportKind.FUNDING:
            rows["autopilot_funding_payments"].append(funding_row(self.session.scale, self._fund()))
            return
        pending = _PENDING_LEGS.get(report.leg)
        if report.order_key != self._known_key(pending):
            raise self._error("no such order is open")
        if report.kind is ReportKind.FILL:
            event = self._enter() if pending is Action.ENTER else self._reduce(pending)
            if pending is None:
                rows["autopilot_orders"].append(protective_order(self.session.scale, event))
            status = "partial" if report.remaining else "filled"
            rows["autopilot_fills"].append(self._row(event, status, report.number))
        elif pending is not None:
            rows["autopilot_fills"].append(self._end())
        if pending is not None and not report.remaining:
            self.account.pending_entries -= 1 if pending is Action.ENTER else 0
            clear_pending(self.position)

    def _known_key(self, pending: Action | None) -> str | None:
        """Key of the order that a report of this leg can be about."""
        position, scale = self.position, self.session.scale
        if pending is not None:
            at = position.pending_decided_at if position.pending_action == pending else 0
        else:
            at = position.decided_at
        return keys.order_key(scale.key(self.column, at), self.report.leg) if at else None

    def _enter(self) -> layout.Record:
        """A part of an entry, or all of it: the position grows at its average price."""
        position, account, instrument, qty = self.position, self.account, self.instrument, self.qty
        side, held = int(position.pending_side), abs(int(position.qty))
        if not 0 < qty <= int(position.pending_qty):
            raise self._error(f"{self.report.qty} of it, where {self._shown(position.pending_qty)} are left")
        notional, fee = qty * self.price * int(instrument.mult), self._fee()
        average, given_back = self._average(side, held)
        cash_change = -fee - (0 if instrument.is_perp else notional) + (given_back if instrument.is_perp else 0)
        if instrument.is_perp:
            margin = money.margin_of(notional, position.pending_leverage_bps)
            position.margin += margin
            account.margin += margin
            position.liquidation = money.liquidation_price(side, held + qty, average, position.margin, instrument)
        account.cash += cash_change
        account.fees += fee
        account.realized += given_back
        if held == 0:
            position.entry_at, position.decided_at = self._seconds(), position.pending_decided_at
            position.entry_fee = position.funding = position.bars_held = position.stale = 0
        position.entry_fee += fee
        position.qty, position.entry_price = side * (held + qty), average
        position.pending_qty -= qty
        position.stop = protective_level(average, -side * position.pending_stop, instrument)
        position.target = protective_level(average, side * position.pending_target, instrument)
        position.trail_distance = position.pending_trail
        position.trail_stop = protective_level(average, -side * position.pending_trail, instrument)
        event = self._event(layout.EventKind.FILL, side, int(position.pending_decided_at))
        event.intended_price, event.fee = position.pending_price, fee
        event.cash_change, event.realized = cash_change, given_back
        return event

    def _average(self, side: int, held: int) -> tuple[int, int]:
        """Average entry price in units, rounded against the account, and the atoms that rounding took."""
        total, qty = held * int(self.position.entry_price) + self.qty * self.price, held + self.qty
        average = -(-total // qty) if side > 0 else total // qty
        return average, side * (average * qty - total) * int(self.instrument.mult)

    def _reduce(self, pending: Action | None) -> layout.Record:
        """A part of the position is closed, or all of it, with its part of the margin."""
        position, account, instrument, qty = self.position, self.account, self.instrument, self.qty
        side, held = (1 if position.qty > 0 else -1), abs(int(position.qty))
        if not 0 < qty <= held:
            raise self._error(f"{self.report.qty} of it, where {self._shown(held)} are held")
        notional, fee = qty * self.price * int(instrument.mult), self._fee()
        realized = side * (notional - qty * int(position.entry_price) * int(instrument.mult))
        cash_change = (realized if instrument.is_perp else notional) - fee
        freed = int(position.margin) * qty // held
        account.cash += cash_change
        account.margin -= freed
        account.realized += realized
        account.fees += fee
        event = self._event(layout.EventKind.FILL, -side, int(position.pending_decided_at if pending else 0))
        levels = {Leg.STOP: position.stop, Leg.TARGET: position.target, Leg.LIQUIDATION: position.liquidation}
        event.intended_price = levels.get(self.report.leg, position.pending_price) or self.price
        event.reason = position.pending_reason if pending else _REASONS[self.report.leg]
        event.fee, event.cash_change, event.realized = fee, cash_change, realized
        position.margin -= freed
        position.qty = side * (held - qty)
        if held == qty:
            self._flatten()
        return event

    def _flatten(self) -> None:
        """The position is closed; an order that is still out stays known until its own end is reported."""
        position = self.position
        for name in (
            "entry_price", "stop", "target", "trail_stop", "trail_distance", "liquidation", "entry_at", "decided_at",
            "bars_held", "stale", "entry_fee", "funding",
        ):  # fmt: skip
            position[name] = 0
        position.last_exit_at = self.tick_at

    def _end(self) -> Row:
        """The rest of an order will not fill."""
        position, report = self.position, self.report
        event = self._event(
            layout.EventKind.ENTRY_EXPIRED, int(position.pending_side), int(position.pending_decided_at)
        )
        event.qty = event.price = 0
        event.intended_price = position.pending_price
        ended = "rejected" if report.kind is ReportKind.REJECT else "cancelled"
        row = self._row(event, "reduced" if report.number else ended, report.number + 1)
        return {
            **row,
            "reason_code": RejectCode.EXECUTOR_REFUSED.name,
            "reason": report.reason or ended,
            "slippage_bps": None,
        }

    def _fund(self) -> layout.Record:
        position, account = self.position, self.account
        if position.qty == 0:
            raise self._error("no position is open")
        received = int((self.report.amount / money.ATOM).to_integral_value(ROUND_FLOOR))
        account.cash += received
        account.funding += received
        position.funding += received
        event = self._event(layout.EventKind.FUNDING, 1 if position.qty > 0 else -1, int(position.decided_at))
        event.cash_change = received
        return event

    def _event(self, kind: layout.EventKind, side: int, decided_at: int) -> layout.Record:
        event: layout.Record = layout.records(layout.EVENT, 1)[0]
        event.kind, event.symbol, event.leg, event.side = int(kind), self.column, int(self.report.leg), side
        event.qty, event.price, event.at, event.decided_at = self.qty, self.price, self._seconds(), decided_at
        event.entry_decided_at = self.position.decided_at
        return event

    def _row(self, event: layout.Record, status: str, number: int) -> Row:
        row = fill_row(self.session.scale, event, status)
        return {**row, "fill_key": keys.fill_key(row["order_key"], number)}

    def _seconds(self) -> int:
        return int(self.report.at.timestamp())

    def _fee(self) -> int:
        if self.report.fee < 0:
            raise self._error(f"a fee of {self.report.fee}; rebates are not booked")
        return int((self.report.fee / money.ATOM).to_integral_value(ROUND_CEILING))

    def _whole(self, amount: Decimal, unit: Decimal, what: str) -> int:
        if amount < 0 or amount % unit:
            raise self._error(f"{what} {amount} is no multiple of {unit}")
        return int(amount // unit)

    def _shown(self, lots: int) -> Decimal:
        return self.session.scale.qty(self.column, lots)

    def _error(self, why: str) -> ReportError:
        return ReportError(self.executor, self.report.kind, self.report.order_key, why)
