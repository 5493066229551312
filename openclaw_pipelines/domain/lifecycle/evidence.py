"""What a deployed strategy has shown on paper, as of a time. Where the numbers are read from is in `resources`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.factory import ParityClass


@dataclass(frozen=True)
class ParityState:
    """`paper_replay_parity` of one recorded day.

    fresh: whether the stored report is about today's program and the rows as they stand; without a report there is none
    and `kind` is None.
    """

    day: str
    kind: ParityClass | None
    fresh: bool
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Only a fresh report that found no difference."""
        return self.fresh and self.kind is ParityClass.EQUAL

    @property
    def red(self) -> bool:
        """Whether a fresh report found a difference: what ran is not what the rules say."""
        return self.fresh and self.kind in (ParityClass.STATE_MACHINE, ParityClass.REDUCTION_ORDER)


@dataclass(frozen=True, kw_only=True)
class PaperEvidence:
    """Evidence on one strategy.

    inception: 00:00Z of its first day. since: when its stage and size began, or later, after the last day that cannot
    be compared with today's program. as_of: nothing later was looked at. trades: closing time and net result (quote
    currency, fees and funding in) of every closed trade since inception, in order. equity: time and marked equity at
    inception and after each tick. stressed_net: result of `since..as_of` replayed with the stressed slippage, less
    what closing the open positions would cost. flat: no open position and no pending order. parity: recorded days that
    ended in `since..as_of`.
    """

    strategy: str
    inception: datetime
    since: datetime
    as_of: datetime
    trades: Sequence[tuple[datetime, Decimal]]
    equity: Sequence[tuple[datetime, Decimal]]
    stressed_net: Decimal | None
    flat: bool
    kill_switch: KillSwitch = KillSwitch.OFF
    kill_switch_reason: str = ""
    parity: Sequence[ParityState] = field(default=())

    @property
    def age_days(self) -> float:
        """Days since inception."""
        return (self.as_of - self.inception).total_seconds() / 86_400

    @property
    def recorded_days(self) -> float:
        """Days from `since` to the newest recorded tick: days that nobody traded are no evidence."""
        newest = max((at for at, _ in self.equity), default=self.since)
        return max(0.0, (newest - self.since).total_seconds() / 86_400)

    @property
    def results(self) -> list[Decimal]:
        """Net results of the trades closed after `since`."""
        return [net for at, net in self.trades if at > self.since]

    @property
    def curve(self) -> list[Decimal]:
        """Equity at `since` and after each later tick."""
        return self.curve_from(self.since)

    def curve_from(self, start: datetime) -> list[Decimal]:
        """Equity at `start`, or at the tick before it, and after each later tick."""
        before = [value for at, value in self.equity if at <= start]
        return [*before[-1:], *(value for at, value in self.equity if at > start)]

    def last_results(self, count: int) -> list[Decimal]:
        """Net results of the last `count` trades since inception."""
        return [net for _, net in self.trades[-count:]]
