"""What a strategy is while it runs: parameters, symbols, instruments and limits, as Decimals and as kernel arrays.

A deployment starts flat at its inception. Market source, parameters, family, interval and symbols are its fingerprint;
limits and controls may change within it and are recorded per tick. Reading configuration is in `settings`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from openclaw_pipelines.contracts.config.governance import Risk
from openclaw_pipelines.contracts.config.trading import Costs
from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.governance.policy import Form, Policy
from openclaw_pipelines.domain.market.instruments import Instrument
from openclaw_pipelines.kernel.account.instruments import Instrument as KernelInstrument
from openclaw_pipelines.kernel.account.instruments import instrument_records
from openclaw_pipelines.kernel.base import layout, money
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params, warmup_bars


class LeverageError(ConfigError):
    """A margin leverage that the instrument does not allow."""

    template = "{symbol} allows leverage up to {allowed}x, asked for {asked}x. Lower risk.margin_leverage_bps."
    symbol: str
    allowed: int
    asked: float


@dataclass(frozen=True)
class Deployment:
    """A strategy's sub-account and everything that stays the same while it runs."""

    account_id: str
    strategy_config_id: str
    family: str
    params: dict[str, object]
    interval: str
    capital: Decimal
    inception: datetime
    instruments: tuple[Instrument, ...]
    fingerprint: str
    source: str | None = None
    """Market source that it trades on; None in the first ledgers until they take theirs over"""

    @property
    def deployment_id(self) -> str:
        """Strategy, fingerprint and inception."""
        return f"{self.strategy_config_id}@{self.fingerprint[:12]}@{self.inception:%Y%m%d}"

    @property
    def symbols(self) -> list[str]:
        """Columns of every kernel array, in order."""
        return [instrument.symbol for instrument in self.instruments]

    @property
    def sources(self) -> dict[str, str] | None:
        """Market source of each symbol's bars; None in the first ledgers."""
        return None if self.source is None else dict.fromkeys(self.symbols, self.source)

    @property
    def price_units(self) -> dict[str, Decimal]:
        """Finest price step of each symbol."""
        return {instrument.symbol: instrument.price_unit for instrument in self.instruments}

    @property
    def interval_seconds(self) -> int:
        """Length of a bar."""
        return int(interval_length(self.interval).total_seconds())

    @property
    def lots(self) -> list[Decimal]:
        """Kernel lot of each column, in base currency."""
        return [money.kernel_lot(item.price_unit, item.lot)[0] for item in self.instruments]

    @property
    def warmup_bars(self) -> int:
        """Bars before inception on which the indicators are warmed."""
        return warmup_bars(params_record(self.family, self.params, self.interval_seconds))

    def on(self, source: str) -> "Deployment":
        """The same deployment, its source known; its identity stays what it was recorded under."""
        return replace(
            self, source=source, instruments=tuple(replace(item, source=source) for item in self.instruments)
        )

    def payload(self) -> dict[str, object]:
        """Plain values for canonical JSON; without a source as the first ledgers recorded it."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _known({**values, "instruments": [_known(item.payload()) for item in self.instruments]})

    @classmethod
    def from_payload(cls, values: dict[str, Any]) -> "Deployment":
        """The deployment that `payload` was made from, also after JSON."""
        return cls(
            **{
                **values,
                "capital": Decimal(values["capital"]),
                "inception": datetime.fromisoformat(values["inception"]).astimezone(UTC),
                "instruments": tuple(Instrument.from_payload(item) for item in values["instruments"]),
            }
        )

    def context(self, policy: Policy) -> layout.Context:
        """The kernel's view of instruments and parameters; a configured fee replaces the instruments' own.

        What is deployed trades by the `strict` candle rules; other profiles are for comparing only.
        """
        params = stack_params([params_record(self.family, self.params, self.interval_seconds)]).view(layout.Records)
        instruments = instrument_records([kernel_instrument(item, policy.costs) for item in self.instruments])
        return layout.Context(instruments, params, self.interval_seconds, int(layout.Profile.STRICT))

    def limits(self, policy: Policy) -> layout.Records:
        """LIMITS[S]. A symbol without limits is bounded by nothing here; its control `POLICY_UNRESOLVED` refuses it."""
        limits = layout.new_limits(len(self.instruments))
        for record, item, lot in zip(limits, self.instruments, self.lots, strict=True):
            if item.symbol in policy.symbol_risk:
                _fill_limits(record, item, lot, policy.symbol_risk[item.symbol], policy.canary_bps)
        return limits

    def account_limits(self, policy: Policy, halt: layout.Halt) -> layout.Records:
        """ACCOUNT_LIMITS[1] under the kill switch in force."""
        risk = policy.risk
        return layout.new_account_limits(
            max_open_positions=risk.max_open_positions,
            max_leverage_bps=risk.max_leverage_bps,
            max_daily_loss_bps=risk.max_daily_loss_bps,
            max_drawdown_bps=risk.max_drawdown_bps,
            max_orders_per_window=risk.max_orders_per_window or layout.RING_SIZE,
            window_seconds=risk.order_window_seconds if risk.max_orders_per_window else 0,
            order_gap_seconds=risk.order_gap_seconds,
            cooldown_seconds=risk.cooldown_seconds,
            shorts_allowed=int(risk.allow_short),
            price_buffer_bps=risk.price_buffer_bps,
            slippage_rate=money.to_rate(policy.costs.slippage_bps / 10_000, "costs.slippage_bps"),
            halt=int(halt),
            executes=policy.executes,
            first_rules=int(policy.form < Form.ENTRIES_COUNT),
        )


def _known(payload: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in payload.items() if name != "source" or value is not None}


def kernel_instrument(item: Instrument, costs: Costs) -> KernelInstrument:
    """The kernel's instrument; a fee from the configuration replaces the instrument's own."""
    fee = item.taker_fee_rate if costs.taker_fee_bps is None else costs.taker_fee_bps / 10_000
    return KernelInstrument(
        symbol=item.symbol,
        price_unit=item.price_unit,
        lot=item.lot,
        tick=item.tick,
        significant_digits=item.significant_digits or 0,
        min_qty=item.min_qty,
        min_notional=item.min_notional,
        taker_fee_rate=fee,
        liquidation_fee_rate=item.liquidation_fee_rate,
        maintenance_margin_rate=item.maintenance_margin_rate,
        max_leverage=item.max_leverage,
    )


def _fill_limits(record: layout.Records, item: Instrument, lot: Decimal, risk: Risk, canary_bps: int) -> None:
    record.min_order_notional = money.to_atoms(risk.min_order_notional)
    record.max_order_notional = money.to_atoms(risk.max_order_notional)
    record.max_position_notional = money.to_atoms(risk.max_position_notional)
    if risk.max_position_qty:
        record.max_position_qty = int(risk.max_position_qty // lot)
    record.max_position_bps = risk.max_position_pct_equity_bps
    record.max_concentration_bps = risk.max_symbol_concentration_bps
    leverage_bps = risk.margin_leverage_bps if item.is_perp else 10_000
    if leverage_bps > item.max_leverage * 10_000:
        raise LeverageError(item.symbol, item.max_leverage, leverage_bps / 10_000)
    record.leverage_bps = leverage_bps
    record.size_bps = canary_bps


def policy_payload(deployment: Deployment, policy: Policy) -> dict[str, object]:
    """What ticks share: the payload of a `tick_contexts` row."""
    return {"deployment": deployment.payload(), "policy": policy.payload()}
