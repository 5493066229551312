"""Whether the candles in the store are still those that recorded ticks consumed.

A tick keeps its own copy of the bars, so that a candle that is changed afterwards changes no tick; it is a finding
here. A bar that counted as missing may have come later, and funding too: neither is one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from openclaw_pipelines.contracts.config.trading import Costs
from openclaw_pipelines.contracts.time import DAY, day_start, interval_length
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.inputs import BAR_FIELDS, NO_BAR
from openclaw_pipelines.kernel.base.layout import BarState
from openclaw_pipelines.resources.store.comparison import Difference
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.services.trading.feed import Feed

Bar = Sequence[Any]
_STATE = BAR_FIELDS.index("bar_state")
_FUNDING = ("funding_rate", "funding_inside")


def verify_consumed(ledger: StrategyLedger, day: str, last: str | None = None) -> list[Difference]:
    """Bars and funding that a day's ticks consumed, the warm-up before an inception too, and that the store has not.

    last: of days that follow one another from `day` on, where they are asked for at once.
    Empty for ticks of the first ledgers, which do not know their source.
    """
    with ledger.reading():
        inputs = ledger.inputs(day_start(day), day_start(last or day) + DAY)
        begun = [
            row for row in ledger.inputs(day_start(day) - DAY, day_start(day)) if row["tick_at"] == row["inception"]
        ]
    found: list[Difference] = []
    for row in (*begun, *_one_per_context(inputs)):
        deployment = Deployment.from_payload(row["deployment"])
        if deployment.source is not None:
            own = [one for one in (*begun, *inputs) if one["context_hash"] == row["context_hash"]]
            consumed = dict(pair for one in own for pair in _consumed(one, deployment))
            found += _differences(ledger, deployment, Costs.model_validate(row["policy"]["costs"]), consumed)
    return found


def _one_per_context(inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({row["context_hash"]: row for row in inputs}.values())


def _consumed(row: dict[str, Any], deployment: Deployment) -> Iterator[tuple[datetime, Mapping[str, Bar]]]:
    """Bars of an input by the time of their close; those of an inception are its warm-up."""
    bars = json.loads(row["bars"])
    if row["tick_at"] != deployment.inception:
        yield row["tick_at"], bars
    else:
        yield from ((datetime.fromisoformat(at), own) for at, own in bars.items())


def _differences(
    ledger: StrategyLedger, deployment: Deployment, costs: Costs, consumed: Mapping[datetime, Mapping[str, Bar]]
) -> Iterator[Difference]:
    if not consumed:
        return
    length, source = interval_length(deployment.interval), str(deployment.source)
    feed = Feed.load(ledger.store, source, deployment, min(consumed) - length, max(consumed), costs)
    for at, bars in sorted(consumed.items()):
        for symbol, bar in sorted(bars.items()):
            if bar[_STATE] == BarState.MISSING:
                continue
            key = f"source={source}, symbol={symbol}, interval={deployment.interval}, ts={at - length:%Y-%m-%dT%H:%MZ}"
            stored = feed.bars.get(at, {}).get(symbol, NO_BAR)
            if stored[_STATE] == BarState.MISSING:
                yield Difference("candles", "missing", key, "", None, None)
                continue
            for name, recorded, now in zip(BAR_FIELDS, bar, stored, strict=False):
                table = "funding_rates" if name in _FUNDING else "candles"
                if recorded != now and not (name in _FUNDING and recorded == 0):
                    yield Difference(table, "changed", key, name, str(now), str(recorded))
