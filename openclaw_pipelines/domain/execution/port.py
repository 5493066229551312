"""The port behind which orders are filled: intents go out, acknowledgements and reports come back.

Reports enter a tick as recorded input beside the bars. Nothing here assumes that an order fills whole, or in the bar
after its decision: an order may fill in parts over any number of ticks, and ends with a report that leaves nothing of
it. Those of an executor whose fills are the kernel's own (`INSIDE`) are worked out again from the recorded bars when a
tick is verified; those of any other are read from the ledger, as bars are.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.enums import Leg, Side

PAPER = "paper"
INSIDE = frozenset({PAPER})
"""Names of the executors whose fills the kernel settles by its candle rules."""


class ReportKind(StrEnum):
    """What an executor tells."""

    FILL = "fill"
    CANCEL = "cancel"
    REJECT = "reject"
    FUNDING = "funding"


@dataclass(frozen=True, kw_only=True)
class Intent:
    """An order at the market that was approved. Quantity in base currency, prices and distances in quote currency.

    The quantity is what is left of it: an intent that is sent again after a part was filled asks for the rest.

    The distances hang on the fill; an executor outside the kernel holds stop, target and trailing stop itself and
    reports their fills under the entry's decision with leg `stop`, `target` or `liquidation`.
    """

    order_key: str
    symbol: str
    leg: Leg
    side: Side
    qty: Decimal
    price: Decimal
    """Close at the decision: what slippage is measured from"""
    stop_distance: Decimal | None
    target_distance: Decimal | None
    trail_distance: Decimal | None
    leverage: Decimal
    decided_at: datetime


@dataclass(frozen=True)
class Acknowledgement:
    """Whether an executor took an intent. One that it did not take is reported as a reject too, for the ledger."""

    order_key: str
    taken: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of an order. Quantity in base currency, money in quote currency.

    number: n-th fill of the order, from 1; 0 for what is no fill. price, fee: of a fill. amount: of a funding payment,
    received positive. remaining: of the order after this report; with 0 it has ended. at: when it was learned; of a
    candle rule, the open of its bar.
    """

    kind: ReportKind
    order_key: str
    symbol: str
    leg: Leg
    side: Side
    at: datetime
    number: int = 0
    qty: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    remaining: Decimal = Decimal(0)
    reason: str = ""


class Closed(Protocol):
    """Bars that have closed, for an executor whose fills are the kernel's."""

    def by_candle_rules(self) -> Sequence[Report]:
        """What they fill of pending orders and protective levels, and the funding due."""


class Executor(Protocol):
    """What fills orders."""

    name: str
    """As recorded with every tick"""

    def submit(self, intents: Sequence[Intent]) -> Sequence[Acknowledgement]:
        """Take orders. Called once they are in the ledger, and again after a restart: a key taken before is not new."""

    def reports(self, since: datetime, closed: Closed) -> Sequence[Report]:
        """What was learned after `since`, the tick before, in its order; a tick takes what lies before its close.

        To ask again changes nothing. A report that arrives late bears the time of its arrival: what was asked for once
        is not asked for again.
        """


def reports_json(reports: Iterable[Report]) -> str:
    """Recorded form.

    >>> reports_json([])
    '[]'
    """
    return canonical_json(
        [{**vars(own), "leg": own.leg.name.lower(), "side": own.side.name.lower()} for own in reports]
    )


def reports_of(text: str) -> tuple[Report, ...]:
    """The reports that `reports_json` wrote."""
    return tuple(
        Report(
            kind=ReportKind(own["kind"]),
            order_key=own["order_key"],
            symbol=own["symbol"],
            leg=Leg[own["leg"].upper()],
            side=Side[own["side"].upper()],
            at=datetime.fromisoformat(own["at"]),
            number=own["number"],
            reason=own["reason"],
            **{name: Decimal(own[name]) for name in ("qty", "price", "fee", "amount", "remaining")},
        )
        for own in json.loads(text)
    )
