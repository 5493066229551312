"""Bad configurations: each gives its named error, with the key, the place and the nearest known name."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.settings import load_settings
from openclaw_pipelines.settings.errors import (
    AccountWideLimitError,
    ConfigSyntaxError,
    DuplicateSettingError,
    MissingConfigError,
    MissingSettingError,
    OverlayUnreadableError,
    SecretInFileError,
    SettingConflictError,
    SettingValueError,
    UnknownSettingError,
    UnknownStrategyError,
    UnknownVariableError,
)

GOOD = """\
overlay_file: overlay.yaml
market:
  symbols: [BTC/USDT, ETH/USDT]
risk:
  max_order_notional: 100
symbols:
  BTC/USDT:
    enabled: true
    risk: {max_order_notional: 50}
strategies:
  trend:
    family: ema_trend
    interval: 1h
    start_day: 2025-05-10
    params: {ema_fast: 5}
    risk: {max_order_notional: 70}
    costs: {slippage_bps: 1}
    deny: []
"""


def load(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> None:
    (folder / "config").mkdir(exist_ok=True)
    path = folder / "config" / "autopilot.yaml"
    path.write_text(text, encoding="utf-8")
    load_settings({"OPENCLAW_DATA_DIR": str(folder / "data"), **(environ or {})}, path=path)


def replaced(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, f"the case replaces {old!r}, which must stand once"
    return GOOD.replace(old, new)


def test_the_configuration_the_cases_break_is_good(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    with pytest.raises(AssertionError, match="must stand once"):
        replaced("nowhere", "")


FIVE = "max_order_notional: 100"
FAMILY = "family: ema_trend"
SYMBOLS = "symbols: [BTC/USDT, ETH/USDT]"
DAY = "start_day: 2025-05-10"
DENY = "deny: []"


@pytest.mark.parametrize(
    ("old", "new", "error", "facts"),
    [
        # keys
        pytest.param(
            FIVE,
            "max_order_notionl: 100",
            UnknownSettingError,
            {"key": "risk.max_order_notionl", "nearest": "risk.max_order_notional", "where": "autopilot.yaml line 5"},
            id="unknown limit",
        ),
        pytest.param(
            "overlay_file: overlay.yaml",
            "acount: paper",
            UnknownSettingError,
            {"key": "acount", "nearest": "account", "where": "autopilot.yaml line 1"},
            id="unknown top key",
        ),
        pytest.param(
            "overlay_file: overlay.yaml",
            "max_drawdown_bps: 5",
            UnknownSettingError,
            {"key": "max_drawdown_bps", "nearest": "risk.max_drawdown_bps"},
            id="known key in the wrong section",
        ),
        pytest.param(
            FAMILY,
            "family: ema_trend\n    modus: auto",
            UnknownSettingError,
            {"key": "strategies.trend.modus", "nearest": "strategies.trend.mode", "where": "autopilot.yaml line 13"},
            id="unknown key of a strategy",
        ),
        pytest.param(
            "risk: {max_order_notional: 70}",
            "risk: {max_leverage: 2}",
            UnknownSettingError,
            {"key": "strategies.trend.risk.max_leverage", "nearest": "strategies.trend.risk.max_leverage_bps"},
            id="unknown limit of a strategy",
        ),
        pytest.param(
            "costs: {slippage_bps: 1}",
            "costs: {slipage_bps: 1}",
            UnknownSettingError,
            {"key": "strategies.trend.costs.slipage_bps", "nearest": "strategies.trend.costs.slippage_bps"},
            id="unknown cost of a strategy",
        ),
        pytest.param(
            "costs: {slippage_bps: 1}",
            "universe: {weights: {liquidty: 1}}",
            UnknownSettingError,
            {
                "key": "strategies.trend.universe.weights.liquidty",
                "nearest": "strategies.trend.universe.weights.liquidity",
            },
            id="unknown weight",
        ),
        pytest.param(
            "{max_order_notional: 50}",
            "{max_ordr_notional: 50}",
            UnknownSettingError,
            {"key": "symbols.BTC/USDT.risk.max_ordr_notional", "nearest": "symbols.BTC/USDT.risk.max_order_notional"},
            id="unknown limit of a symbol",
        ),
        pytest.param(
            "{ema_fast: 5}",
            "{ema_fst: 5}",
            UnknownSettingError,
            {
                "key": "strategies.trend.params.ema_fst",
                "nearest": "strategies.trend.params.ema_fast",
                "where": "autopilot.yaml line 15",
            },
            id="unknown parameter",
        ),
        pytest.param(
            "{max_order_notional: 50}",
            "{max_open_positions: 2}",
            AccountWideLimitError,
            {"key": "symbols.BTC/USDT.risk.max_open_positions"},
            id="account-wide limit of a symbol",
        ),
        pytest.param(
            FIVE,
            "max_order_notional: 100\n  max_order_notional: 200",
            DuplicateSettingError,
            {"key": "risk.max_order_notional", "first_line": 5, "where": "autopilot.yaml line 6"},
            id="key twice",
        ),
        pytest.param(
            "strategies:\n  trend:",
            "strategies:\n  trend: {family: breakout}\n  trend:",
            DuplicateSettingError,
            {"key": "strategies.trend", "first_line": 11},
            id="two strategies of one name",
        ),
        pytest.param(
            "overlay_file: overlay.yaml",
            "market_2: &x {a: 1}",
            UnknownSettingError,
            {"key": "market_2", "nearest": "market"},
            id="unknown section",
        ),
        pytest.param(
            SYMBOLS,
            f"{SYMBOLS}\n  exchange_options: {{apiKey: abc}}",
            SecretInFileError,
            {"key": "market.exchange_options.apiKey", "where": "autopilot.yaml line 4"},
            id="secret in a file",
        ),
        pytest.param(
            SYMBOLS,
            f"{SYMBOLS}\n  api_key: abc",
            SecretInFileError,
            {"key": "market.api_key", "where": "autopilot.yaml line 4"},
            id="secret as a setting",
        ),
        # values
        pytest.param(
            FIVE,
            "max_order_notional: -1",
            SettingValueError,
            {
                "key": "risk.max_order_notional",
                "value": -1,
                "problem": "must be greater than or equal to 0",
                "where": "autopilot.yaml line 5",
            },
            id="negative limit",
        ),
        pytest.param(
            FIVE,
            "max_order_notional: 10000001",
            SettingValueError,
            {"key": "risk.max_order_notional", "problem": "must be less than or equal to 10000000"},
            id="limit beyond exact money",
        ),
        pytest.param(
            FIVE,
            "max_order_notional: lots",
            SettingValueError,
            {"key": "risk.max_order_notional", "value": "lots", "problem": "must be a decimal number"},
            id="text for money",
        ),
        pytest.param(
            FIVE,
            "max_order_notional: true",
            SettingValueError,
            {"key": "risk.max_order_notional", "value": True, "problem": "must be a decimal number"},
            id="switch for money",
        ),
        pytest.param(
            FIVE,
            "max_order_notional:",
            SettingValueError,
            {"key": "risk.max_order_notional", "value": None, "problem": "must be a decimal number"},
            id="nothing for money",
        ),
        pytest.param(
            FIVE,
            "max_open_positions: 2.5",
            SettingValueError,
            {"key": "risk.max_open_positions", "value": "2.5", "problem": "must be a valid integer"},
            id="fraction for a count",
        ),
        pytest.param(
            FIVE,
            "max_open_positions: '2'",
            SettingValueError,
            {"key": "risk.max_open_positions", "value": "2", "problem": "must be a valid integer"},
            id="text for a count",
        ),
        pytest.param(
            FIVE,
            "allow_short: yes",
            SettingValueError,
            {"key": "risk.allow_short", "value": "yes", "problem": "must be a valid boolean"},
            id="yes for a switch",
        ),
        pytest.param(
            FIVE,
            "max_orders_per_window: 65",
            SettingValueError,
            {"key": "risk.max_orders_per_window", "problem": "must be less than or equal to 64"},
            id="window larger than the ring",
        ),
        pytest.param(
            "risk: {max_order_notional: 70}",
            "risk: {max_order_notional: -70}",
            SettingValueError,
            {"key": "strategies.trend.risk.max_order_notional", "where": "autopilot.yaml line 16"},
            id="negative limit of a strategy",
        ),
        pytest.param(
            "{max_order_notional: 50}",
            "{max_order_notional: -50}",
            SettingValueError,
            {"key": "symbols.BTC/USDT.risk.max_order_notional", "where": "autopilot.yaml line 9"},
            id="negative limit of a symbol",
        ),
        pytest.param(
            "{slippage_bps: 1}",
            "{slippage_bps: 501}",
            SettingValueError,
            {"key": "strategies.trend.costs.slippage_bps", "problem": "must be less than or equal to 500"},
            id="slippage out of bounds",
        ),
        pytest.param(
            FIVE,
            "max_order_notional: [1]",
            SettingValueError,
            {"key": "risk.max_order_notional", "value": "[1]"},
            id="list for money",
        ),
        pytest.param(
            "risk:\n  max_order_notional: 100",
            "risk: 5",
            SettingValueError,
            {"key": "risk", "value": 5, "problem": "must be a section with settings of its own"},
            id="value for a section",
        ),
        pytest.param(
            "overlay_file: overlay.yaml",
            "kill_switch: stop",
            SettingValueError,
            {"key": "kill_switch", "value": "stop", "problem": "must be 'off', 'close_only' or 'halt_all'"},
            id="unknown kill switch",
        ),
        pytest.param(
            "overlay_file: overlay.yaml",
            "account: My Account",
            SettingValueError,
            {"key": "account", "value": "My Account"},
            id="account that breaks keys",
        ),
        pytest.param(
            "overlay_file: overlay.yaml",
            "outcome_horizons_seconds: [300, 300]",
            SettingValueError,
            {"key": "outcome_horizons_seconds.1", "value": 300, "problem": "it is listed twice"},
            id="horizon twice",
        ),
        pytest.param(
            "interval: 1h",
            "interval: 7m",
            SettingValueError,
            {
                "key": "strategies.trend.interval",
                "value": "7m",
                "problem": "not among the known intervals. Nearest known: 5m",
            },
            id="unknown interval",
        ),
        pytest.param(
            SYMBOLS,
            f"{SYMBOLS}\n  intervals: [1m, 2m]",
            SettingValueError,
            {"key": "market.intervals.1", "value": "2m"},
            id="unknown stored interval",
        ),
        pytest.param(
            SYMBOLS,
            "symbols: [BTCUSDT, BTC/USDT]",
            SettingValueError,
            {"key": "market.symbols.0", "value": "BTCUSDT", "where": "autopilot.yaml line 3"},
            id="unknown symbol form",
        ),
        pytest.param(
            SYMBOLS,
            "symbols: [BTC/USD:BTC, BTC/USDT]",
            SettingValueError,
            {"key": "market.symbols.0", "value": "BTC/USD:BTC"},
            id="inverse contract",
        ),
        pytest.param(
            SYMBOLS,
            "symbols: [BTC/USDT, BTC/USDT]",
            SettingValueError,
            {"key": "market.symbols.1", "problem": "it is listed twice"},
            id="symbol twice",
        ),
        pytest.param(
            SYMBOLS,
            "symbols: []",
            SettingValueError,
            {"key": "market.symbols"},
            id="no symbols",
        ),
        pytest.param(
            "  BTC/USDT:\n",
            "  BTC/USDC:\n",
            SettingValueError,
            {"key": "symbols.BTC/USDC", "problem": "not among market.symbols. Nearest known: BTC/USDT"},
            id="override for an unknown symbol",
        ),
        pytest.param(
            DENY,
            "symbols: [SOL/USDT]",
            SettingValueError,
            {"key": "strategies.trend.symbols.0", "value": "SOL/USDT"},
            id="strategy symbol not in the market",
        ),
        pytest.param(
            DENY,
            "deny: [SOL/USDT]",
            SettingValueError,
            {"key": "strategies.trend.deny.0", "value": "SOL/USDT"},
            id="deny names an unknown symbol",
        ),
        pytest.param(
            DENY,
            "symbols: [BTC/USDT]\n    allow: [ETH/USDT]",
            SettingValueError,
            {
                "key": "strategies.trend.allow.0",
                "problem": "not among the symbols of this strategy. Nearest known: BTC/USDT",
            },
            id="allow names a symbol of another strategy",
        ),
        pytest.param(
            DENY,
            "deny: [BTC/USDT]\n    allow: [BTC/USDT]",
            SettingConflictError,
            {"key": "strategies.trend.deny.0", "value": "BTC/USDT", "problem": "allow names it too"},
            id="allowed and denied",
        ),
        pytest.param(
            DAY,
            "start_day: 20250510",
            SettingValueError,
            {"key": "strategies.trend.start_day", "value": 20250510, "problem": "must be a day as 2025-05-10"},
            id="day as a number",
        ),
        pytest.param(
            DAY,
            "start_day: 10.05.2025",
            SettingValueError,
            {"key": "strategies.trend.start_day", "problem": "must be a day as 2025-05-10"},
            id="day in another order",
        ),
        pytest.param(
            DAY,
            "start_day: 2025-05-10T00:00:00Z",
            SettingValueError,
            {"key": "strategies.trend.start_day", "problem": "must be a day as 2025-05-10"},
            id="day with a time",
        ),
        pytest.param(
            DAY,
            "start_day: 2025-02-30",
            SettingValueError,
            {"key": "strategies.trend.start_day", "value": "2025-02-30"},
            id="day that never was",
        ),
        pytest.param(
            DAY,
            "start_day: 2024-12-31",
            SettingConflictError,
            {"key": "strategies.trend.start_day", "value": "2024-12-31"},
            id="start before the first partition",
        ),
        pytest.param(
            DAY,
            "capital: 5",
            MissingSettingError,
            {"key": "strategies.trend.start_day", "meaning": "inception at 00:00Z of this day"},
            id="start day missing",
        ),
        pytest.param(
            FAMILY,
            "family: ema_tren",
            SettingValueError,
            {"key": "strategies.trend.family", "problem": "no such family. Nearest known: ema_trend"},
            id="unknown family",
        ),
        pytest.param(
            "{ema_fast: 5}",
            "{ema_fast: 5.5}",
            SettingValueError,
            {"key": "strategies.trend.params.ema_fast", "value": "5.5", "where": "autopilot.yaml line 15"},
            id="parameter of the wrong type",
        ),
        pytest.param(
            "{ema_fast: 5}",
            "{ema_fast: 1}",
            SettingValueError,
            {"key": "strategies.trend.params.ema_fast", "value": 1},
            id="parameter out of bounds",
        ),
        pytest.param(
            "{ema_fast: 5}",
            "{ema_fast: 48}",
            SettingValueError,
            {"key": "strategies.trend.params.ema_fast", "value": 48},
            id="parameters that contradict",
        ),
        pytest.param(
            "  trend:\n",
            "  trend|1:\n",
            SettingValueError,
            {"key": "strategies.trend|1"},
            id="strategy name that breaks keys",
        ),
        pytest.param(
            FIVE,
            "min_order_notional: 60",
            SettingConflictError,
            {"key": "risk.min_order_notional", "value": "60"},
            id="no order size left",
        ),
        pytest.param(
            "costs: {slippage_bps: 1}",
            "universe: {max_symbols: 1, min_symbols: 2}",
            SettingConflictError,
            {"key": "strategies.trend.universe.min_symbols", "value": 2},
            id="universe floor above its ceiling",
        ),
        pytest.param(
            "interval: 1h",
            "interval: 1m\n    jitter_seconds: 60",
            SettingConflictError,
            {"key": "strategies.trend.jitter_seconds", "value": 60},
            id="jitter as long as the bar",
        ),
        pytest.param(
            SYMBOLS,
            f"source: archive\n  {SYMBOLS}",
            MissingSettingError,
            {"key": "market.archive_dir"},
            id="archive without a folder",
        ),
        pytest.param(
            SYMBOLS,
            f"source: ccxt\n  {SYMBOLS}",
            MissingSettingError,
            {"key": "market.exchange"},
            id="ccxt without an exchange",
        ),
        pytest.param(
            "strategies:\n  trend:",
            "strategies: {}\nx:\n  trend:",
            UnknownSettingError,
            {"key": "x"},
            id="indentation lost",
        ),
    ],
)
def test_broken_setting(tmp_path: Path, old: str, new: str, error: type[ConfigError], facts: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, replaced(old, new))
    assert type(caught.value) is error
    assert {name: getattr(caught.value, name) for name in facts} == facts
    assert str(facts["key"]) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("# only a comment\n", "the file is empty", id="comment only"),
        pytest.param("- a\n- b\n", "the file holds no mapping of settings", id="list"),
        pytest.param("risk: {a: 1\n", "not valid YAML", id="unclosed"),
        pytest.param("risk:\n\tmax: 1\n", "not valid YAML", id="tab"),
        pytest.param("account: a\n---\naccount: b\n", "not valid YAML", id="two documents"),
        pytest.param("? [a]\n: 1\n", "a key must be text", id="list as a key"),
        pytest.param("risk: &r\n  a: *r\n", "nested deeper than", id="alias of itself"),
    ],
)
def test_broken_file(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        load(tmp_path, text)
    assert caught.value.problem.startswith(problem)
    assert caught.value.where.startswith("autopilot.yaml")


@pytest.mark.parametrize(
    ("environ", "error", "facts"),
    [
        pytest.param(
            {"OPENCLAW_MARKT": "archive"},
            UnknownVariableError,
            {"name": "OPENCLAW_MARKT", "nearest": "OPENCLAW_MARKET"},
            id="unknown variable",
        ),
        pytest.param(
            {"OPENCLAW_MARKET": "binance"},
            SettingValueError,
            {"key": "market.source", "value": "binance", "where": "environment OPENCLAW_MARKET"},
            id="unknown market",
        ),
        pytest.param(
            {"OPENCLAW_LOG_LEVEL": "LOUD"},
            SettingValueError,
            {"key": "log_level", "where": "environment OPENCLAW_LOG_LEVEL"},
            id="unknown log level",
        ),
        pytest.param(
            {"OPENCLAW_KILL_SWITCH": "stop"},
            SettingValueError,
            {"key": "OPENCLAW_KILL_SWITCH", "value": "stop"},
            id="unknown kill switch",
        ),
        pytest.param(
            {"OPENCLAW_MARKET": "archive"}, MissingSettingError, {"key": "market.archive_dir"}, id="archive, no folder"
        ),
    ],
)
def test_broken_environment(
    tmp_path: Path, environ: dict[str, str], error: type[ConfigError], facts: dict[str, object]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD, environ)
    assert type(caught.value) is error
    assert {name: getattr(caught.value, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("text", "error", "key"),
    [
        pytest.param("risk: {max_order: 1}", UnknownSettingError, "risk.max_order", id="unknown key"),
        pytest.param(
            "risk: {max_order_notional: -1}", SettingValueError, "risk.max_order_notional", id="negative limit"
        ),
        pytest.param("data_dir: elsewhere", SettingConflictError, "data_dir", id="moves itself"),
    ],
)
def test_broken_overlay(tmp_path: Path, text: str, error: type[ConfigError], key: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "overlay.yaml").write_text(text)
    with pytest.raises(error) as caught:
        load(tmp_path, GOOD)
    assert (caught.value.key, caught.value.where) == (key, "overlay overlay.yaml line 1")


def test_overlay_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data" / "overlay.yaml").mkdir(parents=True)
    with pytest.raises(OverlayUnreadableError):
        load(tmp_path, GOOD)


def test_missing_file_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(MissingConfigError, match="OPENCLAW_CONFIG") as caught:
        load_settings({"OPENCLAW_CONFIG": str(tmp_path / "nowhere.yaml")})
    assert caught.value.path == tmp_path / "nowhere.yaml"


def test_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "autopilot.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MissingConfigError, match="UTF-8"):
        load_settings({}, path=path)


def test_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(UnknownStrategyError) as caught:
        load_settings({}).strategy("momentum_2h")
    assert caught.value.nearest == "momentum_1h"
