"""Walks a strategy through its ticks: reads what each one may depend on, takes it, and commits whole ticks.

One walk serves a live tick, a backfilled day and the catch-up after an outage. The rules of a tick are in
`domain.trading.tick`, comparing recorded ticks with their replay in `verification`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from openclaw_pipelines.contracts.canonical import decimal_text
from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.execution.port import INSIDE, Executor
from openclaw_pipelines.domain.governance.approvals import verdicts
from openclaw_pipelines.domain.governance.controls import HALTS, Controls, control_codes
from openclaw_pipelines.domain.market.instruments import instruments_of
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.inception import opening_state
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.intents import pending_intents
from openclaw_pipelines.domain.trading.planned import Planned
from openclaw_pipelines.domain.trading.planner import Planner
from openclaw_pipelines.domain.trading.records import Row
from openclaw_pipelines.domain.trading.session import Session, new_session
from openclaw_pipelines.domain.trading.settlement import Closing
from openclaw_pipelines.domain.trading.tick import run_tick
from openclaw_pipelines.resources.clock import Clock
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.store.strategy_ledger import Head, StrategyLedger
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.policy import policy_of
from openclaw_pipelines.services.market.clock import goes_without, refuse_wrong_clock
from openclaw_pipelines.services.market.history import missing_before
from openclaw_pipelines.services.trading.errors import (
    CapitalChangedError,
    DeploymentChangedError,
    FeaturesNotReadyError,
    HoleError,
    LiveExecutorError,
    MarketNotReadyError,
    OtherVenueError,
    WarmUpError,
)
from openclaw_pipelines.services.trading.feed import Feed, Unknown
from openclaw_pipelines.services.trading.strategy_lock import strategy_lock
from openclaw_pipelines.services.trading.universes import build_universe
from openclaw_pipelines.services.trading.walk import Walk, commit, ticks_between
from openclaw_pipelines.settings import Settings, StrategySettings, effective_kill_switch


@dataclass
class DayReport:
    """What was done with one day of one strategy.

    refused: orders that the executor did not take, with its reason. mismatched: ticks after which books disagree.
    """

    strategy: str
    day: str
    taken: int = 0
    settled_only: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    waiting_for: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    mismatched: list[datetime] = field(default_factory=list)


class Runner:
    """Takes the ticks of strategies.

    Args:
        store: where market data and ledger are.
        clock: tells what has closed.
        executor: fills orders.
        settings: read again at every tick, so that a change of limits or controls counts from the next tick on.
        source: name of the market source, as in the `source` column.
        planner: plans in place of the strategies' families; None for none.
    """

    def __init__(
        self, store: Store, clock: Clock, executor: Executor, settings: Callable[[], Settings], source: str,
        planner: Planner | None = None,
    ) -> None:  # fmt: skip
        self.store, self.clock, self.executor, self.settings, self.source = store, clock, executor, settings, source
        self.planner = planner

    @classmethod
    def of(cls, world: World, planner: Planner | None = None) -> Self:
        """Over the world's parts."""
        return cls(world.store, world.clock, world.executor, world.settings, world.source, planner)

    def ledger(self, strategy: str) -> StrategyLedger:
        """The strategy's rows."""
        return StrategyLedger(self.store, self.settings().config.account, strategy)

    def run_day(self, strategy: str, day: str, *, live: bool) -> DayReport:
        """Take every tick of a day that is due and not recorded yet, and commit them.

        The ticks are one transaction where the kernel fills the orders; another executor is sent the orders of each
        tick before the next one is taken.

        Args:
            strategy: name.
            day: partition key; its ticks close after 00:00Z of the day, the last one at the next 00:00Z.
            live: whether the ticks are due now. Live ticks wait for late bars, and ones that are too old settle only.

        Raises:
            HoleError, DeploymentChangedError, CapitalChangedError, MarketNotReadyError, WarmUpError,
            LiveExecutorError, ClockSkewError: nothing is written.
        """
        if not (live or self.fills_inside):
            raise LiveExecutorError(strategy, self.executor.name, day)
        settings, report = self.settings(), DayReport(strategy, day)
        if live:
            refuse_wrong_clock(self.store, self.source, self.clock, settings.market.max_clock_skew_seconds)
        with strategy_lock(settings, strategy):
            while (walk := self.due_walk(settings, report, live=live)) is not None:
                commit([walk], self.clock.now())
                self.committed(walk, report)
                if self.fills_inside:
                    break
        return report

    @property
    def fills_inside(self) -> bool:
        """Whether the kernel fills the orders, so that ticks can be taken without asking anybody in between."""
        return self.executor.name in INSIDE

    def due_walk(self, settings: Settings, report: DayReport, *, live: bool) -> Walk | None:
        """The ticks of the report's strategy and day that are due, taken and not committed; None without any.

        Who calls holds the strategy's lock.
        """
        strategy, ledger = settings.strategy(report.strategy), self.ledger(report.strategy)
        with ledger.reading():
            walk = self._open(settings, strategy, ledger, report.day)
            if walk is not None:
                self._take_due(walk, strategy, report.day, report, live=live)
        return walk if walk is not None and walk.taken else None

    def committed(self, walk: Walk, report: DayReport) -> None:
        """Tell of ticks that were committed, and send what they ordered."""
        report.taken += walk.taken
        report.settled_only += walk.settled_only
        report.mismatched += [row["tick_at"] for row in walk.rows.get("reconcile_events", []) if not row["passed"]]
        for table, rows in walk.rows.items():
            report.rows[table] = report.rows.get(table, 0) + len(rows)
        self._send(walk.session, report)

    def _send(self, session: Session, report: DayReport) -> None:
        """Hand over the orders that are out; one that was handed over before is not a new one to an executor."""
        answers = self.executor.submit(pending_intents(session))
        report.refused |= {answer.order_key: answer.reason for answer in answers if not answer.taken}

    def _take_due(self, walk: Walk, strategy: StrategySettings, day: str, report: DayReport, *, live: bool) -> None:
        until = min(day_start(day) + DAY, self.clock.now())
        ticks = ticks_between(max(walk.at, day_start(day)), until, strategy.interval)
        feed = self._feed(strategy, walk.session.deployment, ticks)
        if ticks and walk.universe(day) is None:
            report.waiting_for = self._missing_of_universe(strategy, day, ticks[0], live=live)
            if report.waiting_for:
                return
        if not self.fills_inside:  # orders that a killed process committed and did not send
            self._send(walk.session, report)
        for tick_at in ticks if self.fills_inside else ticks[:1]:
            late = feed.not_covered(tick_at)
            if late and not self._deadline_passed(strategy, tick_at, live=live):
                self._refuse_unknown(strategy, late, tick_at, day, taken=walk.taken, live=live)
                report.waiting_for = f"{late} of the tick at {tick_at.isoformat()}"
                break
            self._take(walk, feed, tick_at, live=live)

    def _deadline_passed(self, strategy: StrategySettings, tick_at: datetime, *, live: bool) -> bool:
        """A live tick waits for its bars until the deadline; a bar that is still absent then stays missing."""
        deadline = tick_at + timedelta(seconds=strategy.own.bar_deadline_seconds)
        return live and goes_without(self.store, self.source, self.clock.now(), deadline)

    def _missing_of_universe(
        self, strategy: StrategySettings, day: str, tick_at: datetime, *, live: bool
    ) -> str | None:
        """What the universe of a day reads and is not there, which a live tick waits for; None when all of it is."""
        missing = missing_before(self.store, self.source, self.settings(), strategy, day)
        if not missing:
            return None
        first, interval = missing[0], strategy.own.interval
        if live:
            return f"{first.asset} of {first.day}"
        if first.asset == "features":
            raise FeaturesNotReadyError(strategy.name, day, interval, missing[-1].day)
        until = first.known_until
        raise MarketNotReadyError(strategy.name, first.asset, first.symbol, until, tick_at, interval, first.day)

    def _refuse_unknown(
        self, strategy: StrategySettings, late: Unknown, tick_at: datetime, day: str, *, taken: int, live: bool
    ) -> None:
        """A backfill of a day that the market layer never asked for is a mistake, not a day of missing bars."""
        if not live and not taken:
            interval = strategy.own.interval
            raise MarketNotReadyError(
                strategy.name, late.asset, late.symbol, late.until or "no time", tick_at, interval, day
            )

    # ---- opening

    def _open(self, settings: Settings, strategy: StrategySettings, ledger: StrategyLedger, day: str) -> Walk | None:
        """The walk to go on with, or None when nothing of the day is left to take."""
        head = ledger.head()
        inception = day_start(strategy.own.start_day.isoformat())
        if head is None:
            return self._start(settings, strategy, ledger, day, inception)
        if head.tick_at >= day_start(day) + DAY:
            return None
        if self._differs(head, strategy, inception):
            if inception <= head.tick_at:  # a tick has one row, so the old deployment's last one cannot be an inception
                new = f"{strategy.name}@{strategy.deployment_fingerprint(self.source)[:12]}@{inception:%Y%m%d}"
                old = f"{head.deployment_id} on {head.deployment.source or 'a source that was not recorded'}"
                raise DeploymentChangedError(strategy.name, head.tick_at, old, f"{new} on {self.source}")
            return self._start(settings, strategy, ledger, day, inception)
        _refuse_other_capital(head, strategy)
        if head.tick_at < day_start(day):
            missing = f"the tick of {(head.tick_at + strategy.interval).isoformat()}"
            raise HoleError(strategy.name, missing, day, f"{head.tick_at:%Y-%m-%d}")
        walk = Walk(ledger, ledger.session_at(head.tick_at), head.tick_at)
        if head.deployment.source is None:
            _refuse_other_venue(head, strategy, self._new_deployment(settings, strategy, inception))
            walk.take_over(self.source)
        return walk

    def _differs(self, head: Head, strategy: StrategySettings, inception: datetime) -> bool:
        recorded, source = head.deployment, head.deployment.source
        if recorded.inception != inception or source not in (None, self.source):
            return True
        same = {strategy.deployment_fingerprint(None), strategy.deployment_fingerprint(self.source)}
        return recorded.fingerprint not in same

    def _start(
        self, settings: Settings, strategy: StrategySettings, ledger: StrategyLedger, day: str, inception: datetime
    ) -> Walk | None:
        """A new deployment: flat, its indicators warmed on the bars before inception."""
        if day_start(day) + DAY <= inception:
            return None
        if day_start(day) > inception:
            raise HoleError(strategy.name, f"the day {inception:%Y-%m-%d}", day, f"{inception:%Y-%m-%d}")
        deployment, policy = self._new_deployment(settings, strategy, inception), policy_of(strategy)
        bars = self._warm_up_bars(settings, deployment, strategy)
        state = opening_state(deployment, policy, bars)
        session = new_session(deployment, policy, state, ledger.chain(), settings.config_fingerprint)
        walk = Walk(ledger, session, inception)
        walk.begin(bars)
        return walk

    def _new_deployment(self, settings: Settings, strategy: StrategySettings, inception: datetime) -> Deployment:
        rows = market_tables.instruments(self.store, self.source).to_dicts()
        return Deployment(
            account_id=settings.config.account,
            strategy_config_id=strategy.name,
            family=strategy.own.family,
            params=dict(strategy.params),
            interval=strategy.own.interval,
            capital=strategy.own.capital,
            inception=inception,
            instruments=instruments_of(self.source, list(strategy.symbols), rows),
            fingerprint=strategy.deployment_fingerprint(self.source),
            source=self.source,
        )

    def _warm_up_bars(
        self, settings: Settings, deployment: Deployment, strategy: StrategySettings
    ) -> dict[datetime, dict[str, tuple[object, ...]]]:
        """Bars of the fixed number before inception, by close time.

        Every day whose candles or funding were not asked for is an error: a warm-up on what happens to be stored would
        depend on the order in which days were materialized.
        """
        inception = f"{deployment.inception:%Y-%m-%d}"
        missing = missing_before(self.store, self.source, settings, strategy, inception)
        for one in (one for one in missing if one.asset != "features"):
            warm, interval = deployment.warmup_bars, deployment.interval
            raise WarmUpError(strategy.name, warm, interval, inception, one.day, one.asset)
        start = deployment.inception - deployment.warmup_bars * strategy.interval
        feed = Feed.load(self.store, self.source, deployment, start, deployment.inception, strategy.costs)
        return {at: own for at, own in sorted(feed.bars.items()) if at <= deployment.inception}

    # ---- one tick

    def _feed(self, strategy: StrategySettings, deployment: Deployment, ticks: list[datetime]) -> Feed:
        if not ticks:
            return Feed()
        start = ticks[0] - strategy.interval
        quality = self.settings().config.quality
        feed = Feed.load(self.store, self.source, deployment, start, ticks[-1], strategy.costs)
        feed.load_masks(self.store, self.source, deployment, ticks[0], ticks[-1], quality)
        return feed

    def _take(self, walk: Walk, feed: Feed, tick_at: datetime, *, live: bool) -> None:
        settings = self.settings()
        strategy = settings.strategy(walk.session.deployment.strategy_config_id)
        day = (tick_at - strategy.interval).strftime("%Y-%m-%d")
        universe = walk.universe(day) or walk.add_universe(
            day, build_universe(self.store, self.source, walk, strategy, settings.config, day)
        )
        settle_only = self._too_old(strategy, tick_at) if live else None
        switch = effective_kill_switch(settings)[0]
        planned: Planned | None = None
        planner_asked = False
        while True:
            session = walk.session.copy()
            session.config_fingerprint = settings.config_fingerprint
            if (policy := policy_of(strategy)) != session.policy:
                session.use_policy(policy)
            tick_input = self._input(walk, session, feed, strategy, tick_at, universe, settle_only, switch)
            if self.planner is not None and not planner_asked:
                planned, planner_asked = self.planner.plan(session.copy(), tick_input), True
            closing = Closing(session, tick_input)
            reports = tuple(one for one in self.executor.reports(walk.at, closing) if one.at <= tick_at)
            told = replace(tick_input, executor=self.executor.name, reports=reports, planned=planned)
            result = run_tick(session, told, closing)
            asked = effective_kill_switch(self.settings())[0]  # once more, just before an order counts
            if HALTS[asked] <= HALTS[switch]:
                break
            switch = asked
        walk.add(session, result)

    def _input(
        self, walk: Walk, session: Session, feed: Feed, strategy: StrategySettings, tick_at: datetime, universe: Row,
        settle_only: str | None, switch: KillSwitch,
    ) -> TickInput:  # fmt: skip
        own = strategy.own
        controls = Controls(
            kill_switch=switch,
            allow=frozenset(own.allow),
            deny=frozenset(own.deny),
            disabled=frozenset(strategy.symbols) - strategy.enabled_symbols | feed.untradable(tick_at),
            masks=feed.masks.get(tick_at, {}),
            settle_only=settle_only is not None,
            uncertain=session.uncertain,
        )
        wait_seconds = own.approval_ticks * session.deployment.interval_seconds
        requests = walk.requests() if session.awaiting else {}
        return TickInput(
            at=tick_at,
            bars=feed.bars.get(tick_at, {}),
            controls=control_codes(session.deployment.instruments, session.policy, controls),
            universe=tuple(json.loads(universe["selected"])),
            universe_key=universe["universe_key"],
            halt=HALTS[switch],
            settle_only=settle_only,
            external=verdicts(session.awaiting, requests, int(tick_at.timestamp()), wait_seconds),
            sources=session.deployment.sources,
        )

    def _too_old(self, strategy: StrategySettings, tick_at: datetime) -> str | None:
        behind = int((self.clock.now() - tick_at) / strategy.interval)
        if behind <= strategy.own.max_catch_up_ticks:
            return None
        return f"more than max_catch_up_ticks {strategy.own.max_catch_up_ticks} behind: settled without entries"


def _refuse_other_capital(head: Head, strategy: StrategySettings) -> None:
    """Capital is no part of the fingerprint: what the sub-account started with is in the recorded deployment."""
    recorded = head.deployment
    if strategy.own.capital != recorded.capital:
        before, now = decimal_text(recorded.capital), decimal_text(strategy.own.capital)
        raise CapitalChangedError(strategy.name, f"{recorded.inception:%Y-%m-%d}", before, now, head.tick_at)


def _refuse_other_venue(head: Head, strategy: StrategySettings, configured: Deployment) -> None:
    """What a ledger does not say of its source, its instruments may."""
    for recorded, now in zip(head.deployment.instruments, configured.instruments, strict=True):
        for what in ("price_unit", "tick", "lot"):
            before, after = getattr(recorded, what), getattr(now, what)
            if before != after:
                source, here, there = str(configured.source), decimal_text(after), decimal_text(before)
                raise OtherVenueError(strategy.name, source, now.symbol, what, now=here, recorded=there)
