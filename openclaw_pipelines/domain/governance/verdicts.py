"""Every reject code as a person would say it: what was measured, in which unit, which setting decided it.

The checks themselves are in `kernel.account.risk` and `domain.governance.controls`; the table of codes in the docs is made from here.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from openclaw_pipelines.contracts.enums import RejectCode as R


class Unit(StrEnum):
    """Unit of the two numbers of a verdict."""

    NONE = "none"
    QTY = "qty"
    QUOTE = "quote"
    BPS = "bps"
    COUNT = "count"
    SECONDS = "seconds"


@dataclass(frozen=True)
class CodeSpec:
    """One reject code.

    setting: key of `risk` or of the strategy that decides it, empty when no setting does.
    kind: `policy` when a limit or control refused, `data` when the market data did, `state` when the account could not.
    """

    unit: Unit
    kind: str
    setting: str
    meaning: str
    advice: str


CODES: dict[R, CodeSpec] = {
    R.NONE: CodeSpec(Unit.NONE, "policy", "", "nothing refused it", ""),
    R.QTY_ZERO: CodeSpec(Unit.QTY, "policy", "", "the size rounds down to no lot at all", "Raise the capital or position_bps."),
    R.INVALID_QTY: CodeSpec(Unit.QTY, "policy", "", "the quantity is negative or beyond the exact range", "Mend the planner."),
    R.MIN_QTY: CodeSpec(Unit.QTY, "policy", "", "smaller than the exchange's least quantity", "Raise the size or drop the symbol."),
    R.MIN_ORDER_NOTIONAL: CodeSpec(
        Unit.QUOTE, "policy", "min_order_notional", "worth less than the least order", "Raise the size or lower risk.min_order_notional."
    ),
    R.MAX_ORDER_NOTIONAL: CodeSpec(
        Unit.QUOTE, "policy", "max_order_notional", "worth more than the largest order", "Lower the order or raise risk.max_order_notional."
    ),
    R.MAX_POSITION_QTY: CodeSpec(
        Unit.QTY, "policy", "max_position_qty", "the position would be too many units", "Lower the order or raise risk.max_position_qty."
    ),
    R.MAX_POSITION_NOTIONAL: CodeSpec(
        Unit.QUOTE, "policy", "max_position_notional", "the position would be worth too much", "Lower the order or raise risk.max_position_notional."
    ),
    R.MAX_POSITION_PCT_EQUITY: CodeSpec(
        Unit.QUOTE, "policy", "max_position_pct_equity_bps", "the position would be too large a share of equity",
        "Lower the order or raise risk.max_position_pct_equity_bps.",
    ),
    R.MAX_OPEN_POSITIONS: CodeSpec(
        Unit.COUNT, "policy", "max_open_positions", "too many positions are open or pending", "Wait for an exit or raise risk.max_open_positions."
    ),
    R.MAX_SYMBOL_CONCENTRATION: CodeSpec(
        Unit.QUOTE, "policy", "max_symbol_concentration_bps", "too much of gross exposure and free cash in one base asset",
        "Spread over symbols or raise risk.max_symbol_concentration_bps.",
    ),
    R.INSUFFICIENT_BALANCE: CodeSpec(
        Unit.QUOTE, "state", "price_buffer_bps", "free cash does not cover margin, fee, slippage and price buffer", "Lower the order or add capital."
    ),
    R.MAX_LEVERAGE: CodeSpec(
        Unit.QUOTE, "policy", "max_leverage_bps", "gross exposure would be too high for the equity", "Lower the order or raise risk.max_leverage_bps."
    ),
    R.MAX_DAILY_LOSS: CodeSpec(
        Unit.QUOTE, "policy", "max_daily_loss_bps", "the loss since 00:00Z blocks entries until the next day", "Wait for the next day."
    ),
    R.MAX_DRAWDOWN: CodeSpec(
        Unit.QUOTE, "policy", "max_drawdown_bps", "the drawdown from the peak blocks entries", "Review the strategy; start a new deployment to go on."
    ),
    R.SHORT_NOT_ALLOWED: CodeSpec(
        Unit.NONE, "policy", "allow_short", "spot cannot be sold short, or shorts are switched off", "Trade the perpetual or allow shorts."
    ),
    R.INSUFFICIENT_AT_FILL: CodeSpec(
        Unit.QUOTE, "state", "price_buffer_bps", "the price moved and cash did not cover a single lot at the fill", "Raise risk.price_buffer_bps."
    ),
    R.RATE_LIMITED: CodeSpec(
        Unit.COUNT, "policy", "max_orders_per_window", "too many entries in the window", "Wait, or raise risk.max_orders_per_window."
    ),
    R.ORDER_GAP: CodeSpec(Unit.SECONDS, "policy", "order_gap_seconds", "too soon after the last entry", "Wait, or lower risk.order_gap_seconds."),
    R.COOLDOWN: CodeSpec(
        Unit.SECONDS, "policy", "cooldown_seconds", "too soon after the last exit of this symbol", "Wait, or lower risk.cooldown_seconds."
    ),
    R.DUPLICATE: CodeSpec(Unit.NONE, "state", "", "the symbol already has a proposal at this tick or an order pending", "Nothing to do."),
    R.STALE_CANDLES: CodeSpec(
        Unit.NONE, "data", "max_catch_up_ticks", "the bar of this tick is missing or stale, or the tick is too old to act on", "See the data-quality checks."
    ),
    R.STALE_QUOTE: CodeSpec(Unit.SECONDS, "data", "", "the quote is too old", "See the order-book feed."),
    R.GAP: CodeSpec(Unit.NONE, "data", "gap_mask_bars", "bars are missing just before this tick", "See the gaps listed by the data-quality checks."),
    R.SPREAD_TOO_WIDE: CodeSpec(Unit.BPS, "data", "", "the spread is too wide", "Wait for liquidity."),
    R.NO_PRICE: CodeSpec(Unit.NONE, "data", "", "there is no price for the symbol", "See the market source."),
    R.SYMBOL_DISABLED: CodeSpec(
        Unit.NONE, "policy", "enabled", "the symbol is switched off or not tradable", "Enable it under symbols, or wait for the exchange."
    ),
    R.SYMBOL_NOT_ALLOWED: CodeSpec(
        Unit.NONE, "policy", "allow", "the symbol is outside the day's universe or the allow list", "See the universe snapshot for the reason."
    ),
    R.SYMBOL_DENIED: CodeSpec(Unit.NONE, "policy", "deny", "the symbol is on the deny list", "Take it off the deny list."),
    R.KILL_SWITCH: CodeSpec(Unit.NONE, "policy", "kill_switch", "the kill switch halts everything", "Clear every kill switch."),
    R.CLOSE_ONLY: CodeSpec(Unit.NONE, "policy", "kill_switch", "only orders that reduce risk may pass", "Clear every kill switch."),
    R.PAUSED: CodeSpec(Unit.NONE, "policy", "paused", "the strategy is paused", "Unpause the strategy."),
    R.MODE_FORBIDS: CodeSpec(Unit.NONE, "policy", "mode", "manual mode executes nothing by itself", "Use assist or auto mode."),
    R.BUDGET_EXHAUSTED: CodeSpec(Unit.NONE, "policy", "", "the model budget is used up", "Wait for the next day or raise the budget."),
    R.POLICY_UNRESOLVED: CodeSpec(Unit.NONE, "state", "", "no limits could be resolved for the symbol", "Mend the configuration."),
    R.STATE_UNCERTAIN: CodeSpec(
        Unit.NONE, "state", "", "the books of this account do not reconcile", "Run `openclaw verify` and mend the cause before entries go on."
    ),
    R.EXECUTOR_REFUSED: CodeSpec(
        Unit.NONE, "state", "", "the executor refused the order or did not fill all of it", "Read its reason in the fill's row."
    ),
    R.SCALE_JUMP: CodeSpec(
        Unit.NONE, "data", "", "one of the bars that the masks read is of another scale than the bar before it", "See the check scale_jumps."
    ),
}  # fmt: skip


def sentence(
    code: R, symbol: str, measured: Decimal | None, limit: Decimal | None, quote: str, source: str | None
) -> str:
    """The verdict in words, with its numbers and the layer that set the limit.

    >>> sentence(R.MAX_ORDER_NOTIONAL, "BTC/USDT", Decimal(12500), Decimal(10000), "USDT", "symbols:BTC/USDT")
    "'max_order_notional' refused BTC/USDT: worth more than the largest order: 12,500.00 USDT, limit 10,000.00 USDT \
(from symbols:BTC/USDT). Lower the order or raise risk.max_order_notional."
    """
    spec = CODES[code]
    name = spec.setting or code.name
    numbers = ""
    if spec.unit is not Unit.NONE and measured is not None and limit is not None:
        alike = round(measured, 2) == round(limit, 2) and measured != limit
        said = [_number(value, spec.unit, quote, places=8 if alike else 2) for value in (measured, limit)]
        numbers = f": {said[0]}, limit {said[1]}"
    origin = f" (from {source})" if source else ""
    return f"'{name}' refused {symbol}: {spec.meaning}{numbers}{origin}. {spec.advice}".strip()


def _number(value: Decimal, unit: Unit, quote: str, *, places: int) -> str:
    if unit is Unit.QUOTE:
        return f"{value:,.{places}f} {quote}"
    if unit is Unit.QTY:
        return f"{value.normalize():f}"
    suffix = {Unit.BPS: " bps", Unit.SECONDS: " s"}.get(unit, "")
    return f"{int(value):,}{suffix}"
