"""What closed bars do to a session: fills, funding and values, once per tick, whoever asks first.

An executor inside the kernel answers with what the candle rules give, and the tick books the same events. What another
executor reports is booked by `reported`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from openclaw_pipelines.contracts import keys
from openclaw_pipelines.contracts.enums import Leg, RejectCode, Side
from openclaw_pipelines.domain.execution.port import INSIDE, Report, ReportKind
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.records import Row, Scale, event_rows, owner_of
from openclaw_pipelines.domain.trading.reported import book_reports
from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.kernel.base import layout, money
from openclaw_pipelines.kernel.base.layout import EventKind
from openclaw_pipelines.kernel.run import step


@dataclass(frozen=True)
class Settled:
    """Rows by table, what was reported, and how many events of each kind."""

    rows: dict[str, list[Row]]
    reports: tuple[Report, ...] | None
    """None in a tick of a version that recorded none"""
    kinds: dict[str, int]


class Closing:
    """The bars of a tick over the session that they close on. Settling changes the session, once.

    Raises:
        MoneyRangeError: a bar beyond the kernel's exact range.
    """

    def __init__(self, session: Session, tick_input: TickInput) -> None:
        self.session = session
        self.tick = tick_input.kernel_tick(session.deployment.symbols)
        self.account_limits = session.deployment.account_limits(session.policy, tick_input.halt)
        money.prove_tick(session.state, self.tick.symbols, session.context.instruments)

    def by_candle_rules(self) -> tuple[Report, ...]:
        """The kernel's fills and funding as reports."""
        return _reports(self.session.scale, self._events)

    def settled(self, tick_input: TickInput) -> Settled:
        """By the kernel where the tick's executor is inside it, else by the recorded reports.

        Raises:
            ReportError: a report that no order or position of the session can have caused.
        """
        if tick_input.executor is None or tick_input.executor in INSIDE:
            kinds = Counter(EventKind(kind).name.lower() for kind in self._events["kind"].tolist())
            reports = None if tick_input.executor is None else self.by_candle_rules()
            return Settled(event_rows(self.session.scale, self._events), reports, dict(kinds))
        rows = book_reports(self.session, self.tick, tick_input.executor, tick_input.reports or ())
        kinds = Counter(report.kind.value for report in tick_input.reports or ())
        return Settled(rows, tick_input.reports or (), dict(kinds))

    @cached_property
    def _events(self) -> layout.Records:
        events = layout.records(layout.EVENT, layout.EVENTS_PER_SYMBOL * len(self.tick.symbols))
        n = step.settle(self.session.state, self.tick, self.account_limits, self.session.context, events, 0)
        return events[:n]


def _reports(scale: Scale, events: layout.Records) -> tuple[Report, ...]:
    happened = layout.plain(events)
    asked = {event.symbol: event.qty for event in happened if event.kind == EventKind.REDUCED}
    reports: list[Report] = []
    for event in happened:
        if event.kind != EventKind.REDUCED:
            entry = event.kind == EventKind.FILL and event.leg == Leg.ENTRY
            left = asked[event.symbol] - event.qty if entry and event.symbol in asked else 0
            reports += _report(scale, event, scale.qty(event.symbol, left))
    return tuple(reports)


def _report(scale: Scale, event: layout.Record, left: Decimal) -> Sequence[Report]:
    column, leg = int(event.symbol), Leg(int(event.leg) or Leg.ENTRY)
    common: dict[str, Any] = {
        "order_key": keys.order_key(owner_of(scale, event), leg),
        "symbol": scale.symbol(column),
        "leg": leg,
        "side": Side(int(event.side)),
        "at": datetime.fromtimestamp(int(event.at), UTC),
        "qty": scale.qty(column, event.qty),
    }
    if event.kind == EventKind.FUNDING:
        price, amount = scale.price(column, event.price), money.from_atoms(event.cash_change)
        return [Report(kind=ReportKind.FUNDING, **common, price=price, amount=amount)]
    if event.kind == EventKind.ENTRY_EXPIRED:
        return [Report(kind=ReportKind.CANCEL, **common, reason=RejectCode.NO_PRICE.name)]
    if event.kind == EventKind.INSUFFICIENT:
        return [Report(kind=ReportKind.REJECT, **common, reason=RejectCode.INSUFFICIENT_AT_FILL.name)]
    price, fee = scale.price(column, event.price), money.from_atoms(event.fee)
    fill = Report(kind=ReportKind.FILL, **common, number=1, price=price, fee=fee, remaining=left)
    if not left:
        return [fill]
    rest = {**common, "qty": left}
    return [fill, Report(kind=ReportKind.CANCEL, **rest, number=1, reason=RejectCode.INSUFFICIENT_AT_FILL.name)]
