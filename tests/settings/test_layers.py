"""Precedence of the layers, the name of the layer of each value, and where folders lie."""

from decimal import Decimal
from pathlib import Path

import pytest

from openclaw_pipelines.contracts.enums import KillSwitch, SourceKind
from openclaw_pipelines.settings import Settings, load_settings
from openclaw_pipelines.settings.errors import SettingValueError, UnknownSettingError

BTC, ETH = "BTC/USDT", "ETH/USDT"
KEY = "max_order_notional"
BASE = """
{general}
overlay_file: overlay.yaml
market: {{symbols: [BTC/USDT, ETH/USDT]}}
{symbols}
strategies:
  trend: {{family: ema_trend, interval: 1h, start_day: 2025-05-10{strategy}}}
  other: {{family: breakout, interval: 15m, start_day: 2025-05-10}}
"""
GENERAL = "risk: {max_order_notional: 100}"
STRATEGY = ", risk: {max_order_notional: 90}"
SYMBOL = "symbols: {BTC/USDT: {risk: {max_order_notional: 80}}}"
FILE = "autopilot.yaml"


def load(
    folder: Path, general: str = "", strategy: str = "", symbols: str = "", overlay: str = "", **environ: str
) -> Settings:
    for name in ("config", "data"):
        (folder / name).mkdir(exist_ok=True)
    path = folder / "config" / FILE
    path.write_text(BASE.format(general=general, strategy=strategy, symbols=symbols))
    if overlay:
        (folder / "data" / "overlay.yaml").write_text(overlay)
    return load_settings({"OPENCLAW_DATA_DIR": str(folder / "data"), **environ}, path=path)


@pytest.mark.parametrize(
    ("layers", "trend_btc", "trend_eth", "other_btc", "other_eth"),
    [
        pytest.param({}, (5000, "default"), (5000, "default"), (5000, "default"), (5000, "default"), id="defaults"),
        pytest.param({"general": GENERAL}, (100, FILE), (100, FILE), (100, FILE), (100, FILE), id="file over default"),
        pytest.param(
            {"general": GENERAL, "strategy": STRATEGY},
            (90, "strategy:trend"),
            (90, "strategy:trend"),
            (100, FILE),
            (100, FILE),
            id="strategy over file",
        ),
        pytest.param(
            {"general": GENERAL, "strategy": STRATEGY, "symbols": SYMBOL},
            (80, "symbols:BTC/USDT"),
            (90, "strategy:trend"),
            (80, "symbols:BTC/USDT"),
            (100, FILE),
            id="symbol over strategy",
        ),
        pytest.param(
            {
                "general": GENERAL,
                "strategy": STRATEGY,
                "symbols": SYMBOL,
                "overlay": "risk: {max_order_notional: 70}",
            },
            (70, "overlay overlay.yaml"),
            (70, "overlay overlay.yaml"),
            (70, "overlay overlay.yaml"),
            (70, "overlay overlay.yaml"),
            id="overlay clamps everything",
        ),
        pytest.param(
            {
                "symbols": SYMBOL,
                "overlay": "risk: {max_order_notional: 70}\n"
                "strategies: {trend: {risk: {max_order_notional: 60}}}\n"
                "symbols: {ETH/USDT: {risk: {max_order_notional: 50}}}",
            },
            (60, "overlay overlay.yaml strategy:trend"),
            (50, "overlay overlay.yaml symbols:ETH/USDT"),
            (70, "overlay overlay.yaml"),
            (50, "overlay overlay.yaml symbols:ETH/USDT"),
            id="overlay's own sections",
        ),
    ],
)
def test_precedence_of_limits(
    tmp_path: Path,
    layers: dict[str, str],
    trend_btc: tuple[int, str],
    trend_eth: tuple[int, str],
    other_btc: tuple[int, str],
    other_eth: tuple[int, str],
) -> None:
    settings = load(tmp_path, **layers)
    found = [
        (strategy.limits(symbol).max_order_notional, strategy.limit_source(symbol, KEY).text)
        for strategy in (settings.strategy("trend"), settings.strategy("other"))
        for symbol in (BTC, ETH)
    ]
    assert found == [trend_btc, trend_eth, other_btc, other_eth]


@pytest.mark.parametrize(
    ("layers", "key", "value", "layer"),
    [
        pytest.param({}, "account", "paper", "default", id="default"),
        pytest.param({"general": "account: a"}, "account", "a", FILE, id="file"),
        pytest.param(
            {"general": "account: a", "overlay": "account: b"}, "account", "b", "overlay overlay.yaml", id="overlay"
        ),
        pytest.param(
            {"general": "account: a", "overlay": "account: b", "OPENCLAW_ACCOUNT": "c"},
            "account",
            "c",
            "environment OPENCLAW_ACCOUNT",
            id="environment",
        ),
        pytest.param({"general": "account: a", "OPENCLAW_ACCOUNT": ""}, "account", "a", FILE, id="empty variable"),
        pytest.param(
            {"OPENCLAW_MARKET": "archive", "OPENCLAW_ARCHIVE_DIR": "x"},
            "market.source",
            SourceKind.ARCHIVE,
            "environment OPENCLAW_MARKET",
            id="market",
        ),
        pytest.param(
            {"OPENCLAW_EXCHANGE": "kraken"}, "market.exchange", "kraken", "environment OPENCLAW_EXCHANGE", id="exchange"
        ),
        pytest.param(
            {"OPENCLAW_LOG_LEVEL": "DEBUG"}, "log_level", "DEBUG", "environment OPENCLAW_LOG_LEVEL", id="log level"
        ),
        pytest.param(
            {"general": "kill_switch: off"}, "kill_switch", KillSwitch.OFF, FILE, id="off is a word, not a switch"
        ),
        pytest.param(
            {"general": "kill_switch: close_only", "OPENCLAW_KILL_SWITCH": "halt_all"},
            "kill_switch",
            KillSwitch.HALT_ALL,
            "environment OPENCLAW_KILL_SWITCH",
            id="stricter kill switch",
        ),
        pytest.param(
            {"general": "kill_switch: close_only", "OPENCLAW_KILL_SWITCH": "off"},
            "kill_switch",
            KillSwitch.CLOSE_ONLY,
            FILE,
            id="looser kill switch",
        ),
        pytest.param(
            {"general": "universe: {weights: {outcomes: 0}}"},
            "universe.weights.liquidity",
            0.3,
            "default",
            id="other weights stay",
        ),
        pytest.param(
            {"general": "universe: {weights: {outcomes: 0}}"}, "universe.weights.outcomes", 0.0, FILE, id="one weight"
        ),
        pytest.param({"general": "risk:"}, f"risk.{KEY}", Decimal(5000), "default", id="empty section"),
    ],
)
def test_value_and_layer(tmp_path: Path, layers: dict[str, str], key: str, value: object, layer: str) -> None:
    settings = load(tmp_path, **layers)
    found: object = settings.config.model_dump()
    for part in key.split("."):
        assert isinstance(found, dict)
        found = found[part]
    assert (found, settings.provenance[key].text) == (value, layer)


def test_values_are_read_again(tmp_path: Path) -> None:
    first = load(tmp_path, overlay="risk: {max_order_notional: 70}")
    second = load(tmp_path, overlay="risk: {max_order_notional: 71}")
    (tmp_path / "data" / "overlay.yaml").unlink()
    third = load(tmp_path)
    assert [s.strategy("trend").limits(BTC).max_order_notional for s in (first, second, third)] == [70, 71, 5000]
    assert load(tmp_path) is third, "what did not change is not parsed again"


def test_overlay_is_read_only_where_enabled(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "overlay.yaml").write_text("account: b")
    path = tmp_path / FILE
    path.write_text(BASE.format(general="", strategy="", symbols="").replace("overlay_file: overlay.yaml", ""))
    settings = load_settings({"OPENCLAW_DATA_DIR": str(tmp_path / "data")}, path=path)
    assert settings.config.account == "paper"


def test_money_keeps_the_digits_that_were_written(tmp_path: Path) -> None:
    settings = load(tmp_path, general="risk: {max_order_notional: 0.1000000000000000055}")
    assert str(settings.config.risk.max_order_notional) == "0.1000000000000000055"


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = tmp_path / "home" / "config" / FILE
    path.parent.mkdir(parents=True)
    path.write_text(BASE.format(general="data_dir: store", strategy="", symbols=""))
    assert load_settings({}, path=path).data_dir == tmp_path / "home" / "store"
    assert load_settings({"OPENCLAW_HOME": str(tmp_path / "home")}).config_path == path
    from_environment = load_settings({"OPENCLAW_CONFIG": str(path), "OPENCLAW_DATA_DIR": "x/../y"})
    assert from_environment.data_dir == tmp_path / "here" / "y"
    archive = load_settings({"OPENCLAW_ARCHIVE_DIR": "files", "OPENCLAW_MARKET": "archive"}, path=path)
    assert archive.archive_dir == tmp_path / "here" / "files"


def test_stored_intervals_include_the_strategies(tmp_path: Path) -> None:
    assert load(tmp_path).intervals == ("1m", "15m", "1h")


def test_disabled_symbols(tmp_path: Path) -> None:
    settings = load(tmp_path, symbols="symbols: {BTC/USDT: {enabled: false}}")
    assert settings.strategy("trend").enabled_symbols == {ETH}
    assert settings.strategy("trend").symbols == (BTC, ETH), "a disabled symbol is still a column"


def test_account_limits_come_from_the_strategy(tmp_path: Path) -> None:
    settings = load(tmp_path, general="risk: {max_open_positions: 4}", strategy=", risk: {max_open_positions: 3}")
    assert settings.strategy("trend").account_limits.max_open_positions == 3
    assert settings.strategy("other").account_limits.max_open_positions == 4
    assert settings.strategy("trend").limit_source(ETH, "max_open_positions").text == "strategy:trend"


def test_costs_and_parameters_are_resolved(tmp_path: Path) -> None:
    settings = load(
        tmp_path, general="costs: {slippage_bps: 3}", strategy=", costs: {taker_fee_bps: 4.5}, params: {stop_atr: 1.25}"
    )
    trend = settings.strategy("trend")
    assert (trend.costs.slippage_bps, trend.costs.taker_fee_bps) == (3, Decimal("4.5"))
    assert (trend.params["stop_atr"], trend.params["ema_slow"]) == (1.25, 48)
    assert trend.interval.total_seconds() == 3600


def test_unknown_symbol_and_limit(tmp_path: Path) -> None:
    trend = load(tmp_path).strategy("trend")
    with pytest.raises(SettingValueError, match="Nearest known: BTC/USDT"):
        trend.limits("BTC/USDC")
    with pytest.raises(UnknownSettingError, match=r"risk\.max_order_notional"):
        trend.limit_source(BTC, "max_order_notionl")
