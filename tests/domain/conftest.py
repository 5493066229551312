"""A small trading desk for tests of the tick: one strategy, bars given as prices, ticks taken one by one.

The family is breakout over three bars with an ATR of one bar, so that the range of the breaking bar is the stop's
distance. `CALM` bars break nothing; `UP` and `DOWN` break the range and close at 105 and 95.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.contracts.config.governance import Risk
from openclaw_pipelines.contracts.config.trading import Costs
from openclaw_pipelines.contracts.enums import InstrumentState, MarketType, Mode, RejectCode
from openclaw_pipelines.contracts.layers import Layer, LayerKind
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.execution.port import Executor
from openclaw_pipelines.domain.governance.approvals import verdicts
from openclaw_pipelines.domain.governance.audit import AuditChain, verify_chain
from openclaw_pipelines.domain.governance.controls import HALTS, Controls, KillSwitch, control_codes
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.market.instruments import Instrument
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.inception import opening_state
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.intents import pending_intents
from openclaw_pipelines.domain.trading.session import Session, new_session
from openclaw_pipelines.domain.trading.settlement import Closing
from openclaw_pipelines.domain.trading.tick import TickResult, run_tick
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.resources.execution.paper import PaperExecutor

INCEPTION = datetime(2025, 5, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
PERP, SPOT = "AAA/USDT:USDT", "BBB/USDT"
CALM, UP, DOWN = (100, 101, 99, 100), (100, 106, 100, 105), (100, 100, 94, 95)
PARAMS = {
    "channel_entry": 3,
    "channel_exit": 2,
    "atr_length": 1,
    "stop_atr": 1.0,
    "target_atr": 0.0,
    "trail_atr": 0.0,
    "volume_ratio": 0.0,
    "entry_window_bars": 1,
    "position_bps": 2000,
}
RISK = {
    "max_order_notional": 1_000_000,
    "max_position_notional": 1_000_000,
    "max_position_pct_equity_bps": 100_000,
    "max_symbol_concentration_bps": 100_000,
    "max_open_positions": 5,
    "max_leverage_bps": 100_000,
    "margin_leverage_bps": 20_000,
    "max_daily_loss_bps": 10_000,
    "max_drawdown_bps": 10_000,
    "max_orders_per_window": 0,
}


def instrument(symbol: str, **changes: Any) -> Instrument:
    """Price unit 0.01, lot 0.001, fee five basis points; a perpetual pays one percent on liquidation."""
    perp = symbol.endswith(":USDT")
    base = Instrument(
        symbol=symbol,
        base=symbol.split("/")[0],
        quote="USDT",
        market_type=MarketType.LINEAR if perp else MarketType.SPOT,
        price_unit=Decimal("0.01"),
        significant_digits=None,
        tick=Decimal("0.01"),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        min_notional=Decimal(0),
        taker_fee_rate=Decimal("0.0005"),
        max_leverage=20 if perp else 1,
        maintenance_margin_rate=Decimal("0.01") if perp else Decimal(0),
        liquidation_fee_rate=Decimal("0.01") if perp else Decimal(0),
        funding_interval_hours=8 if perp else None,
        state=InstrumentState.TRADABLE,
    )
    return replace(base, **changes)


def policy_of(symbols: list[str], risk: Mapping[str, Any], costs: Mapping[str, Any], **changes: Any) -> Policy:
    """Limits that do not bind, changed by `risk`; no slippage."""
    own = Risk(**{**RISK, **risk})
    base = Policy(
        risk=own,
        symbol_risk=dict.fromkeys(symbols, own),
        sources={symbol: dict.fromkeys(risk, Layer(LayerKind.FILE, "autopilot.yaml")) for symbol in symbols},
        costs=Costs(**{"slippage_bps": Decimal(0), **costs}),
        mode=Mode.AUTO,
        shadow=False,
        paused=False,
        canary_bps=10_000,
        approval_ticks=2,
    )
    return replace(base, **changes)


@dataclass
class Desk:
    """One strategy; `take` takes the next tick. Everything recorded is kept in `rows`."""

    session: Session
    at: datetime = INCEPTION
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    results: list[TickResult] = field(default_factory=list)
    inputs: list[TickInput] = field(default_factory=list)
    executor: Executor = field(default_factory=PaperExecutor)

    @property
    def symbols(self) -> list[str]:
        return self.session.deployment.symbols

    def bars(self, *given: tuple[float, ...] | None, volume: float = 10.0, funding: float = 0) -> dict[str, Any]:
        """Bars by symbol out of prices; None leaves the symbol without one, a volume of 0 makes it unfillable."""
        state = layout.BarState.TRADABLE if volume else layout.BarState.UNFILLABLE
        return {
            symbol: (*(round(price * 100) for price in bar), int(state), round(funding * 10**10), float(volume))
            for symbol, bar in zip(self.symbols, given, strict=True)
            if bar is not None
        }

    def take(
        self,
        *given: tuple[float, ...] | None,
        volume: float = 10.0,
        funding: float = 0,
        switch: KillSwitch = KillSwitch.OFF,
        universe: list[str] | None = None,
        requests: Mapping[str, str] | None = None,
        external: tuple[Any, ...] = (),
        controls: Mapping[str, Any] | None = None,
        settle_only: str | None = None,
    ) -> TickResult:
        """Take one tick as the runner would."""
        self.at += HOUR
        session, own = self.session, self.session.deployment
        asked = Controls(
            kill_switch=switch,
            masks=(controls or {}).get("masks", dict.fromkeys(self.symbols, RejectCode.NONE)),
            settle_only=settle_only is not None,
            uncertain=session.uncertain,
            **{name: value for name, value in (controls or {}).items() if name != "masks"},
        )
        wait = session.policy.approval_ticks * own.interval_seconds
        said = verdicts(session.awaiting, requests or {}, int(self.at.timestamp()), wait)
        tick_input = TickInput(
            at=self.at,
            bars=self.bars(*given, volume=volume, funding=funding),
            controls=control_codes(own.instruments, session.policy, asked),
            universe=tuple(self.symbols if universe is None else universe),
            universe_key="universe:paper:desk:2025-05-10",
            halt=HALTS[switch],
            settle_only=settle_only,
            external=said + external,
        )
        return self.run(tick_input)

    def run(self, tick_input: TickInput) -> TickResult:
        """Take a given input and keep its rows."""
        closing = Closing(self.session, tick_input)
        reports = tuple(self.executor.reports(tick_input.at - HOUR, closing))
        tick_input = replace(tick_input, executor=self.executor.name, reports=reports)
        result = run_tick(self.session, tick_input, closing)
        self.executor.submit(pending_intents(self.session))
        for table, own in result.rows.items():
            self.rows.setdefault(table, []).extend(own)
        self.results.append(result)
        self.inputs.append(tick_input)
        return result

    def calm(self, ticks: int = 1) -> None:
        """Bars that break nothing."""
        for _ in range(ticks):
            self.take(*[CALM] * len(self.symbols))

    def of(self, table: str, tick: int = -1) -> list[dict[str, Any]]:
        """Rows that one tick wrote."""
        return self.results[tick].rows.get(table, [])

    def moves(self) -> list[tuple[str, str | None, str | None]]:
        """Every move of a proposal so far."""
        return [(row["subject"], row["from_state"], row["to_state"]) for row in self.rows.get("admin_actions", [])]

    def path(self, key: str) -> list[str | None]:
        """States that one proposal went through."""
        moves = [(start, end) for subject, start, end in self.moves() if subject == key]
        return [moves[0][0], *(end for _, end in moves)] if moves else []

    def frames(self) -> dict[str, pl.DataFrame]:
        """All rows as the store would take them, or a SchemaError."""
        return {
            table: TABLES[table].frame([{**row, "recorded_at": self.at} for row in own])
            for table, own in self.rows.items()
        }

    def verified(self) -> int:
        """Length of the audit chain, which is checked."""
        return verify_chain(self.rows.get("admin_actions", []))


def open_desk(
    *symbols: str,
    capital: Any = 10_000,
    risk: Mapping[str, Any] | None = None,
    costs: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    instruments: Mapping[str, Any] | None = None,
    warm: bool = True,
    **policy: Any,
) -> Desk:
    """A desk whose indicators are warm.

    instruments: changes to every instrument. policy: changes to the policy, as `mode` or `shadow`.
    """
    names = list(symbols) or [PERP, SPOT]
    deployment = Deployment(
        account_id="paper",
        strategy_config_id="desk",
        family="breakout",
        params={**PARAMS, **(params or {})},
        interval="1h",
        capital=Decimal(capital),
        inception=INCEPTION,
        instruments=tuple(instrument(symbol, **(instruments or {})) for symbol in names),
        fingerprint="f" * 64,
    )
    own = policy_of(names, risk or {}, costs or {}, **policy)
    state = opening_state(deployment, own, {})
    desk = Desk(new_session(deployment, own, state, AuditChain("paper", "desk"), "c" * 64))
    if warm:
        desk.calm(deployment.warmup_bars)
    return desk


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """Builder of desks."""
    return open_desk


@pytest.fixture(name="instrument")
def instrument_fixture() -> Callable[..., Instrument]:
    """Builder of instruments."""
    return instrument


@pytest.fixture(name="policy_of")
def policy_fixture() -> Callable[..., Policy]:
    """Builder of policies."""
    return policy_of
