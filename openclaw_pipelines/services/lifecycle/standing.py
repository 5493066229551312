"""What deployed strategies have shown, read from the ledger as of a time: trades, equity, stress, parity, controls."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from openclaw_pipelines.contracts.factory import ParityClass
from openclaw_pipelines.contracts.lifecycle import Stage
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.trading import EquityRow
from openclaw_pipelines.contracts.time import DAY, day_start, floor_to
from openclaw_pipelines.domain.evaluation.trades import Trade, trade_results
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.lifecycle.evidence import PaperEvidence, ParityState
from openclaw_pipelines.domain.lifecycle.log import Position
from openclaw_pipelines.domain.lifecycle.review import Standing
from openclaw_pipelines.domain.lifecycle.states import CONFIGURED
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.services.lifecycle.paper_parity import paper_parity
from openclaw_pipelines.services.trading.verification import replayed
from openclaw_pipelines.settings import effective_kill_switch

Curve = list[tuple[datetime, Decimal]]


def standings(world: World, as_of: datetime) -> list[Standing]:
    """Every strategy that is deployed and not retired, with its evidence as of a time."""
    found = DeploymentBook(world).positions().values()
    wanted = CONFIGURED - {Stage.RETIRED}
    return [Standing(own, evidence_of(world, own, as_of)) for own in found if own.stage in wanted]


def evidence_of(world: World, position: Position, as_of: datetime) -> PaperEvidence:
    """Evidence on one strategy; nothing after `as_of` is looked at."""
    ledger = world.ledger(position.origin.strategy)
    inception = day_start(position.origin.start_day.isoformat())
    trades, equity = _rows(ledger, inception, as_of)
    curve = [(inception, position.origin.capital), *((row["tick_at"], row["equity"]) for row in equity)]
    since = max(inception, position.since)
    parity = paper_parity(world, ledger.strategy, ended_days(equity, since, as_of))
    since = comparable_since(since, parity)
    switch, reason = effective_kill_switch(world.settings())
    last = equity[-1] if equity else None
    return PaperEvidence(
        strategy=ledger.strategy,
        inception=inception,
        since=since,
        as_of=as_of,
        trades=[(trade["exit_tick_at"], trade["net_pnl"]) for trade in trades],
        equity=curve,
        stressed_net=stressed_net(world, ledger, inception, since, as_of),
        flat=last is None or (last["open_positions"] == 0 and last["reserved"] == 0),
        kill_switch=switch,
        kill_switch_reason=reason,
        parity=[state for state in parity if day_start(state.day) + DAY > since],
    )


def ended_days(equity: Sequence[EquityRow], since: datetime, as_of: datetime) -> list[str]:
    """Days with recorded ticks that ended in `since < end <= as_of`."""
    days = {floor_to(row["tick_at"] - timedelta(microseconds=1), DAY) for row in equity}
    return [f"{day:%Y-%m-%d}" for day in sorted(days) if since < day + DAY <= as_of]


def comparable_since(since: datetime, parity: Sequence[ParityState]) -> datetime:
    """End of the last day that cannot be compared: what another version of the program did is no evidence."""
    invalid = [one.day for one in parity if one.fresh and one.kind is ParityClass.INVALID_COMPARISON]
    return max([since, *(day_start(day) + DAY for day in invalid)])


def stressed_net(
    world: World, ledger: StrategyLedger, inception: datetime, since: datetime, as_of: datetime
) -> Decimal | None:
    """Result of the recorded ticks in `since..as_of`, replayed with the stressed slippage, after closing what is open.

    The replay starts from the recorded state at the last day's end before `since`, since only those are kept.
    """
    slippage_bps = world.settings().config.lifecycle.stressed_slippage_bps
    start = max(inception, floor_to(since, DAY))
    with ledger.reading():
        inputs = [row for row in ledger.inputs(start, as_of) if row["inception"] == inception]
        if not inputs or inputs[-1]["tick_at"] <= since:
            return None
        deployment = ledger.deployment_at(inputs[-1]["tick_at"])
        opened = ledger.query("SELECT equity FROM autopilot_equity", "tick_at = ?", [start])["equity"].to_list()
        rows = replayed(ledger, inputs, start, lambda own: _stressed(own, slippage_bps))
    curve = rows["autopilot_equity"]
    before = [row["equity"] for row in curve if row["tick_at"] <= since]
    first: Decimal = before[-1] if before else (opened[0] if opened else deployment.capital)
    fees = [item.taker_fee_rate for item in deployment.instruments]
    own_fee = world.settings().strategy(ledger.strategy).costs.taker_fee_bps
    fee = max(fees) if own_fee is None else own_fee / 10_000
    closing = curve[-1]["gross_exposure"] * (slippage_bps / 10_000 + fee)
    net: Decimal = curve[-1]["equity"] - first - closing
    return net.quantize(Decimal("1E-8"))


def _stressed(policy: Policy, slippage_bps: Decimal) -> Policy:
    costs = policy.costs.model_copy(update={"slippage_bps": max(policy.costs.slippage_bps, slippage_bps)})
    return replace(policy, costs=costs)


def _rows(ledger: StrategyLedger, inception: datetime, as_of: datetime) -> tuple[list[Trade], list[EquityRow]]:
    with ledger.reading():
        fills, funding, equity = (
            ledger.rows(table, inception, as_of)
            for table in ("autopilot_fills", "autopilot_funding_payments", "autopilot_equity")
        )
    trades = trade_results(fills, funding)
    return rows_as(Trade, trades), rows_as(EquityRow, equity.sort("tick_at"))
