"""A strategy whose orders an executor outside the kernel fills: sent after the commit, in parts, and verified."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.execution.port import Acknowledgement, Intent, Report, ReportKind
from openclaw_pipelines.services.trading.errors import LiveExecutorError
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.services.trading.verification import verify_day

MOMENTUM = "momentum_1h"
DAY_ONE = "2025-05-10"
NOON = day_start(DAY_ONE) + timedelta(hours=12)
HOURS = [day_start(DAY_ONE) + timedelta(hours=n, seconds=5) for n in range(1, 24)]


class Venue:
    """Fills each order at its intended price: half of it 30 minutes after its decision, the rest an hour later."""

    name = "venue"

    def __init__(self, clock: Any) -> None:
        self.clock, self.orders = clock, {}
        self.refuses = lambda key: False

    def submit(self, intents: Sequence[Intent]) -> list[Acknowledgement]:
        for intent in intents:
            self.orders.setdefault(intent.order_key, intent)
        keys = [intent.order_key for intent in intents]
        return [Acknowledgement(key, taken=not self.refuses(key), reason="not today") for key in keys]

    def reports(self, since: datetime, closed: Any) -> list[Report]:
        told = [report for order in self.orders.values() for report in parts(order)]
        return [report for report in told if since < report.at <= self.clock.now()]


def parts(order: Intent) -> list[Report]:
    """Both fills of an order."""
    step = Decimal(1).scaleb(order.qty.normalize().as_tuple().exponent)
    half = (order.qty / 2 // step) * step
    common = {"kind": ReportKind.FILL, "order_key": order.order_key, "symbol": order.symbol, "leg": order.leg}
    own = {**common, "side": order.side, "price": order.price}
    at, rest = order.decided_at + timedelta(minutes=30), order.qty - half
    return [
        Report(**own, at=at, number=1, qty=half, remaining=rest),
        Report(**own, at=at + timedelta(hours=1), number=2, qty=rest),
    ]


@pytest.fixture
def trading(desk: Any) -> Any:
    built = desk("history")
    built.strategy(MOMENTUM, params={"stop_atr": 0.0, "target_atr": 0.0})
    built.world.executor = Venue(built.clock)
    return built


def test_a_day_behind_a_venue_fills_in_parts_reconciles_and_verifies(trading: Any) -> None:
    reports = trading.live(MOMENTUM, HOURS)
    assert sum(report.taken for report in reports) == 23
    fills = trading.rows("autopilot_fills", MOMENTUM)
    by_order = fills.sort("fill_key").group_by("order_key", maintain_order=True).agg("status", "bar_at", "leg")
    ended = [row for row in by_order.rows(named=True) if len(row["status"]) == 2]
    assert len(ended) >= 4
    assert {tuple(row["status"]) for row in ended} == {("partial", "filled")}
    assert {legs for row in ended for legs in row["leg"]} == {"entry", "exit"}
    assert all(row["bar_at"][1] - row["bar_at"][0] == timedelta(hours=1) for row in ended)
    assert trading.rows("reconcile_events", MOMENTUM).filter(~pl.col("passed")).is_empty()
    assert set(trading.rows("tick_inputs", MOMENTUM)["executor"][1:]) == {"venue"}
    trading.world.executor = None  # nobody is asked when recorded ticks are taken again
    result = verify_day(trading.ledger(MOMENTUM), DAY_ONE)
    assert (result.ticks, result.differences) == (23, ())


def test_a_tick_is_committed_before_its_orders_are_sent_and_a_killed_process_sends_them_later(trading: Any) -> None:
    venue, sent = trading.world.executor, []

    class DiedError(Exception):
        pass

    def die(intents: Sequence[Intent]) -> list[Acknowledgement]:
        if intents:
            sent.extend(intent.order_key for intent in intents)
            raise DiedError
        return []

    submit, venue.submit = venue.submit, die
    with pytest.raises(DiedError):
        trading.live(MOMENTUM, HOURS)
    orders = trading.rows("autopilot_orders", MOMENTUM)["order_key"].to_list()
    assert sorted(sent) == sorted(orders) != []
    assert venue.orders == {}
    venue.submit = submit
    trading.live(MOMENTUM, [trading.clock.now() + timedelta(minutes=10)])
    assert sorted(venue.orders) == sorted(orders)


def test_ticks_that_are_due_at_once_are_the_ledger_of_an_hourly_life(trading: Any, desk: Any) -> None:
    """Each tick's orders go out before the next tick is taken, which reads no report from after its close."""
    trading.ask(DAY_ONE, NOON)
    trading.clock.set(NOON)
    report = Runner.of(trading.world).run_day(MOMENTUM, DAY_ONE, live=True)
    assert (report.taken, report.rows["autopilot_ticks"]) == (12, 13)
    hourly = desk("history")
    hourly.tree = trading.tree
    hourly.configure(data_dir=str(hourly.folder / "data"))
    hourly.world.executor = Venue(hourly.clock)
    hourly.live(MOMENTUM, HOURS[:12])
    assert trading.rows("autopilot_fills", MOMENTUM).height > 2
    assert trading.hash(MOMENTUM) == hourly.hash(MOMENTUM)


def test_an_order_that_is_not_taken_is_told(trading: Any) -> None:
    trading.world.executor.refuses = lambda key: key.endswith(":entry")
    refused = [key for report in trading.live(MOMENTUM, HOURS) for key in report.refused]
    assert refused
    assert set(refused) <= set(trading.rows("autopilot_orders", MOMENTUM)["order_key"])


def test_past_days_are_not_asked_of_a_venue(trading: Any) -> None:
    trading.ask(DAY_ONE)
    with pytest.raises(LiveExecutorError, match="venue fills orders at present prices, so 2025-05-10"):
        trading.run(MOMENTUM)
    assert trading.counts()["autopilot_ticks"] == 0
