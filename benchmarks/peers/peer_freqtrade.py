"""What freqtrade's own `Backtesting` does with candles by hand; runs in an environment that has freqtrade.

    python peer_freqtrade.py scenarios.json trades.json

The exchange is stood in for: one perpetual, price precision 1, no fees, no funding, no leverage, nothing downloaded.
A scenario: side, fractions `stop`, `roi`, `trail`, a `liquidation` price, candles (open, high, low, close), and the
candles with an exit signal. The entry signal is on the first candle.
"""

import json
import logging
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import PropertyMock, patch

import freqtrade
import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.enums import CandleType, MarginMode, RunMode, TradingMode
from freqtrade.exchange import Exchange
from freqtrade.exchange.binance import Binance
from freqtrade.optimize.backtesting import Backtesting

PAIR = "X/USDT:USDT"
FIRST = pd.Timestamp("2025-05-10", tz="UTC")
HOUR = pd.Timedelta(hours=1)
NEVER = 1_000.0
TICK_SIZE = 4
"""ccxt's number of that precision mode."""
UNLIMITED = {"min": None, "max": None}
MARKET = {
    "id": "XUSDT", "symbol": PAIR, "base": "X", "quote": "USDT", "settle": "USDT", "type": "swap", "active": True,
    "spot": False, "swap": True, "future": False, "contract": True, "linear": True, "inverse": False,
    "contractSize": 1, "precision": {"amount": 1e-8, "price": 1.0}, "taker": 0, "maker": 0, "info": {},
    "limits": {"amount": UNLIMITED, "price": UNLIMITED, "cost": UNLIMITED, "leverage": {"min": 1, "max": 1}},
}  # fmt: skip
STRATEGY = """
from freqtrade.strategy import IStrategy

class Given(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1h"
    can_short = True
    stoploss = -0.99
    minimal_roi = {"0": 1000}

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""
SILENT = (
    "_load_async_markets", "validate_config", "validate_timeframes", "validate_stakecurrency", "validate_ordertypes",
    "validate_order_time_in_force", "validate_trading_mode_and_margin_mode", "validate_pricing", "reload_markets",
    "validate_required_startup_candles", "fill_leverage_tiers",
)  # fmt: skip
ANSWERS = {
    "load_leverage_tiers": {}, "get_fee": 0.0, "get_max_leverage": 1.0, "get_min_pair_stake_amount": 1e-5,
    "get_max_pair_stake_amount": float("inf"), "get_liquidation_price": None, "dry_run_liquidation_price": None,
    "calculate_funding_fees": 0.0, "get_precision_price": 1.0, "get_precision_amount": 1e-8, "get_contract_size": 1.0,
}  # fmt: skip
PROPERTIES = {
    "markets": {PAIR: MARKET}, "precisionMode": TICK_SIZE, "precision_mode_price": TICK_SIZE, "timeframes": ["1h"],
    "id": "binance", "name": "Binance",
}  # fmt: skip


def configuration(folder: Path) -> dict[str, Any]:
    """One pair in futures mode, one trade at a time."""
    return {
        "runmode": RunMode.BACKTEST, "dry_run": True, "stake_currency": "USDT", "stake_amount": 1_000, "fee": 0.0,
        "dry_run_wallet": 1_000_000, "max_open_trades": 1, "timeframe": "1h", "strategy": "Given",
        "strategy_path": str(folder), "user_data_dir": folder, "datadir": folder, "exportfilename": folder / "out",
        "exportdirectory": folder, "export": "none", "pairlists": [{"method": "StaticPairList"}], "internals": {},
        "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": [PAIR], "pair_blacklist": []},
        "trading_mode": TradingMode.FUTURES, "margin_mode": MarginMode.ISOLATED, "bot_name": "",
        "candle_type_def": CandleType.FUTURES, "dataformat_ohlcv": "feather", "original_config": {},
        "entry_pricing": {"price_side": "same"}, "exit_pricing": {"price_side": "same"},
        "unfilledtimeout": {"entry": 10, "exit": 30},
    }  # fmt: skip


def stand_in(stack: ExitStack, liquidation: float | None) -> None:
    """Replace what would ask an exchange."""
    for name in SILENT:
        if hasattr(Exchange, name):
            stack.enter_context(patch.object(Exchange, name, return_value=None))
    for name, answer in ANSWERS.items():
        for owner in (Exchange, Binance):
            if name in owner.__dict__:
                stack.enter_context(patch.object(owner, name, return_value=answer))
    stack.enter_context(patch.object(Binance, "additional_exchange_init", return_value=None))
    for name, value in PROPERTIES.items():
        if hasattr(Exchange, name):
            stack.enter_context(patch.object(Exchange, name, new_callable=PropertyMock, return_value=value))
    stack.enter_context(patch.object(Backtesting, "_run_funding_fees"))
    place = "freqtrade.optimize.backtesting.update_liquidation_prices"
    stack.enter_context(patch(place, side_effect=lambda trade, **_: setattr(trade, "liquidation_price", liquidation)))


def set_up(strategy: Any, scenario: dict[str, Any]) -> None:
    """Stop, ROI and trailing stop of a scenario; a trail beside a stop is `trailing_stop_positive`."""
    stop, trail = scenario.get("stop"), scenario.get("trail")
    strategy.stoploss = -(stop or trail or 0.99)
    strategy.minimal_roi = {0: scenario.get("roi") or NEVER}
    strategy.trailing_stop, strategy.trailing_stop_positive = bool(trail), trail if stop else None
    strategy.trailing_stop_positive_offset, strategy.trailing_only_offset_is_reached = 0.0, False
    strategy.use_exit_signal, strategy.use_custom_stoploss = True, False


def candles(scenario: dict[str, Any]) -> pd.DataFrame:
    """Hourly candles with their signals."""
    frame = pd.DataFrame(scenario["bars"], columns=["open", "high", "low", "close"]).astype(float)
    frame.insert(0, "date", [FIRST + row * HOUR for row in range(len(frame))])
    frame["volume"] = 1.0
    for side, name in ((1, "long"), (-1, "short")):
        asked = scenario["side"] == side
        frame[f"enter_{name}"] = [int(asked and row == 0) for row in frame.index]
        frame[f"exit_{name}"] = [int(asked and row in scenario["exits"]) for row in frame.index]
    return frame.assign(enter_tag=None, exit_tag=None)


def trades_of(scenario: dict[str, Any], folder: Path) -> list[tuple[int, float, str]]:
    """Exits: candle, price, reason."""
    with ExitStack() as stack:
        stand_in(stack, scenario.get("liquidation"))
        backtesting, frame = Backtesting(configuration(folder)), candles(scenario)
        strategy = backtesting.strategylist[0]
        backtesting._set_strategy(strategy)
        set_up(strategy, scenario)
        strategy.ft_advise_signals = lambda *_: frame
        backtesting.required_startup, backtesting.timerange = 0, TimeRange()
        first, last = (stamp.to_pydatetime() for stamp in (frame["date"].min(), frame["date"].max()))
        found = backtesting.backtest(processed={PAIR: frame.copy()}, start_date=first, end_date=last)["results"]
    return [(int((t.close_date - FIRST) / HOUR), t.close_rate, t.exit_reason) for t in found.itertuples()]


def main() -> None:
    """Run every scenario."""
    logging.disable(logging.CRITICAL)
    scenarios = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "given.py").write_text(STRATEGY, encoding="utf-8")
        trades = [trades_of(scenario, Path(name)) for scenario in scenarios]
    answer = {"version": freqtrade.__version__, "trades": trades}
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
