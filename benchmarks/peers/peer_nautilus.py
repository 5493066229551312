"""The EMA-cross task in nautilus_trader, by `BacktestEngine.run()`, its low-level entry point, logging off.

A market order fills at the close that it was decided on when the engine is given bars alone. To fill at the next open
as the other engines do, each open is given as a quote one nanosecond into its bar, orders travel for that long, and
bars do not move the market. That is also the faster form: a bar that moves the market counts as four prices.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy
from worker import Trade, serve

VENUE = Venue("SIM")
BAR_SECONDS = 60
SIZE_DIGITS = 3


class Cross(Strategy):  # type: ignore[misc]
    """Long from a cross above until a cross below."""

    def __init__(self, bar_type: BarType, task: dict[str, Any]) -> None:
        super().__init__(StrategyConfig())
        self.bar_type, self.warm_up = bar_type, task["warm_up"]
        self.fast, self.slow = ExponentialMovingAverage(task["fast"]), ExponentialMovingAverage(task["slow"])
        self.quantity = Quantity(0.001, SIZE_DIGITS)
        self.on_reset()

    def on_reset(self) -> None:
        """Forget the run before."""
        self.fast.reset()
        self.slow.reset()
        self.seen, self.was_above, self.long = 0, False, False
        self.fills: list[tuple[int, str, float]] = []

    def on_start(self) -> None:
        """Ask for bars, which update the averages first."""
        self.register_indicator_for_bars(self.bar_type, self.fast)
        self.register_indicator_for_bars(self.bar_type, self.slow)
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:  # noqa: ARG002
        """Decide on the closed bar."""
        self.seen += 1
        above, was_above = self.fast.value > self.slow.value, self.was_above
        self.was_above = above
        if self.seen <= self.warm_up or above == was_above or above == self.long:
            return
        self.long = above
        side = OrderSide.BUY if above else OrderSide.SELL
        self.submit_order(self.order_factory.market(self.bar_type.instrument_id, side, self.quantity))

    def on_order_filled(self, event: Any) -> None:
        """Keep time, side and price of a fill."""
        self.fills.append((event.ts_event, event.order_side.name.lower(), float(event.last_px)))


def instrument(digits: int) -> CurrencyPair:
    """A pair with as many price digits as the bars have, without fees."""
    return CurrencyPair(
        InstrumentId(Symbol("BTCUSDT"), VENUE), Symbol("BTCUSDT"), BTC, USDT, digits, SIZE_DIGITS,
        Price(10.0**-digits, digits), Quantity(0.001, SIZE_DIGITS), 0, 0,
        margin_init=Decimal(0), margin_maint=Decimal(0), maker_fee=Decimal(0), taker_fee=Decimal(0),
    )  # fmt: skip


def engine_for(pair: CurrencyPair) -> BacktestEngine:
    """An engine with one venue, nothing logged and no risk checks."""
    quiet = LoggingConfig(bypass_logging=True)
    config = BacktestEngineConfig(logging=quiet, risk_engine=RiskEngineConfig(bypass=True), run_analysis=False)
    engine = BacktestEngine(config)
    engine.add_venue(
        VENUE, OmsType.NETTING, AccountType.CASH, [Money(1e9, USDT), Money(0, BTC)],
        latency_model=LatencyModel(base_latency_nanos=1),
        bar_execution=False,
    )  # fmt: skip
    engine.add_instrument(pair)
    return engine


def open_quotes(bars: pd.DataFrame, pair: CurrencyPair) -> list[QuoteTick]:
    """Each bar's open as a quote without a spread, one nanosecond into the bar."""
    size = Quantity(1.0, SIZE_DIGITS)
    stamps = (bars["ts"].astype("int64") + 1).tolist()
    prices = [Price(price, pair.price_precision) for price in bars["open"]]
    return [QuoteTick(pair.id, price, price, size, size, at, at) for price, at in zip(prices, stamps, strict=True)]


def prepare(bars: pd.DataFrame, task: dict[str, Any]) -> Callable[[], Callable[[], list[Trade]]]:
    """Load bars, stamped with their close, into an engine that is reset after each run."""
    bars["ts"] = bars["ts"].astype("datetime64[ns, UTC]")
    pair = instrument(task["price_digits"])
    bar_type = BarType.from_str(f"{pair.id}-1-MINUTE-LAST-EXTERNAL")
    engine = engine_for(pair)
    frame = bars.set_index("ts")[["open", "high", "low", "close", "volume"]]
    engine.add_data(BarDataWrangler(bar_type, pair).process(frame, ts_init_delta=BAR_SECONDS * 10**9))
    engine.add_data(open_quotes(bars, pair))
    strategy = Cross(bar_type, task)
    engine.add_strategy(strategy)

    def run() -> Callable[[], list[Trade]]:
        engine.run()

        def listed() -> list[Trade]:
            fills = [(at // 10**9 // BAR_SECONDS * BAR_SECONDS, side, price) for at, side, price in strategy.fills]
            engine.reset()
            return fills

        return listed

    return run


if __name__ == "__main__":
    serve(prepare)
