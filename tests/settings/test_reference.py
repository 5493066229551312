"""What the documentation promises: every key, its default and its bounds; the shipped file; the variables."""

from decimal import Decimal
from pathlib import Path

from openclaw_pipelines.settings import load_settings
from openclaw_pipelines.settings.environment import VARIABLES
from openclaw_pipelines.settings.reference import reference
from openclaw_pipelines.settings.validation import known_keys

PROJECT = Path(__file__).resolve().parents[2]


def test_document_is_what_the_generator_prints() -> None:
    written = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == reference() + "\n", "run: python -m openclaw_pipelines.settings.reference > docs/configuration.md"


def test_every_key_variable_and_bound_is_listed() -> None:
    rows = {line.split("|")[1].strip(): line for line in reference().splitlines() if line.startswith("| `")}
    assert {f"`{key}`" for key in known_keys()} | {f"`{name}`" for name in VARIABLES} <= set(rows)
    cells = [cell.strip() for cell in rows["`risk.max_orders_per_window`"].split("|")[2:6]]
    assert cells == [
        "whole number",
        "20",
        "at least 0, at most 64",
        "entries per window, exits do not count; 0 is no limit",
    ]


def test_shipped_configuration() -> None:
    settings = load_settings({}, path=PROJECT / "config" / "autopilot.yaml")
    families = {name: (s.own.family, s.own.interval) for name, s in settings.strategies.items()}
    assert families == {"momentum_1h": ("momentum", "1h"), "breakout_15m": ("breakout", "15m")}
    assert settings.market.symbols == [f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "XRP", "BNB")]
    assert settings.data_dir == PROJECT / "data" / "local"
    breakout = settings.strategy("breakout_15m")
    assert breakout.limits("XRP/USDT:USDT").max_order_notional == Decimal(2000)
    assert breakout.limit_source("XRP/USDT:USDT", "max_order_notional").text == "symbols:XRP/USDT:USDT"
    assert breakout.limit_source("BTC/USDT:USDT", "max_order_notional").text == "strategy:breakout_15m"
