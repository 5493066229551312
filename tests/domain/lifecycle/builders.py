"""Evidence and positions by hand, for the rules of the lifecycle."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from openclaw_pipelines.contracts.factory import ParityClass
from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.domain.lifecycle.evidence import PaperEvidence, ParityState
from openclaw_pipelines.domain.lifecycle.log import Origin, Position
from openclaw_pipelines.domain.lifecycle.review import Standing

INCEPTION = datetime(2025, 5, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PASSED = ParityState("2025-05-10", ParityClass.EQUAL, fresh=True)


def results(*nets: int, start: datetime = INCEPTION) -> tuple[tuple[datetime, Decimal], ...]:
    """Trades that closed one hour after another."""
    return tuple((start + n * HOUR, Decimal(net)) for n, net in enumerate(nets, start=1))


def curve(*values: int, start: datetime = INCEPTION, step: timedelta = HOUR) -> tuple[tuple[datetime, Decimal], ...]:
    """Equity at inception and after each tick."""
    return tuple((start + n * step, Decimal(value)) for n, value in enumerate(values))


def evidence(**changes: Any) -> PaperEvidence:
    """Two days on paper on which every gate holds and no rotation rule fires."""
    days = curve(10_000, 10_100, 10_050, 10_200, step=16 * HOUR)
    sound = PaperEvidence(
        strategy="a", inception=INCEPTION, since=INCEPTION, as_of=INCEPTION + 2 * DAY,
        trades=results(50, -20, 40), equity=days, stressed_net=Decimal(30), flat=True, parity=(PASSED,),
    )  # fmt: skip
    return replace(sound, **changes)


def origin(strategy: str = "a", slot: str = "swing", **changes: Any) -> Origin:
    own = Origin(
        strategy=strategy, slot=slot, cycle_id="cycle", family="momentum", params='{"stop_atr":1.5}', params_hash="p",
        interval="1h", symbols=("BTC/USDT",), capital=Decimal(10_000), section="{}", start_day=date(2025, 5, 10),
        gate_hash="g", parity_hash="q",
    )  # fmt: skip
    return replace(own, **changes)


def position(strategy: str = "a", stage: Stage = Stage.PAPER, ramp_bps: int = 2_500, **changes: Any) -> Position:
    values = {"since": INCEPTION, "sequence": 1, "trigger": Trigger.CYCLE, **changes}
    return Position(origin(strategy), stage, ramp_bps, **values)


def standing(strategy: str = "a", stage: Stage = Stage.PAPER, ramp_bps: int = 2_500, **changes: Any) -> Standing:
    """A strategy whose evidence passes everything but for the changes; `trigger` is of the position."""
    trigger = changes.pop("trigger", Trigger.CYCLE)
    return Standing(position(strategy, stage, ramp_bps, trigger=trigger), evidence(strategy=strategy, **changes))


def names(rows: Sequence[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]
