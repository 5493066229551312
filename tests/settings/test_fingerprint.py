"""Fingerprints change with every value that decides, and with nothing else."""

import hashlib
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies

from openclaw_pipelines.contracts.config.configuration import Configuration
from openclaw_pipelines.contracts.config.governance import Risk
from openclaw_pipelines.contracts.config.trading import Costs
from openclaw_pipelines.services.governance.policy import policy_of
from openclaw_pipelines.settings import Settings, load_settings
from openclaw_pipelines.settings.fingerprint import CONNECTION_OPTIONS, UNFINGERPRINTED
from openclaw_pipelines.settings.validation import known_keys

SYMBOL = "BTC/USDT"
FULL = Configuration.model_validate(
    {
        "overlay_file": "overlay.yaml",
        "market": {"symbols": [SYMBOL, "ETH/USDT"], "archive_dir": "files", "exchange": "kraken"},
        "symbols": {SYMBOL: {}},
        "strategies": {"trend": {"family": "ema_trend", "interval": "1h", "start_day": "2025-05-10"}},
        "factory": {
            "hunt": {
                "strategy": "trend",
                "first_day": "2025-05-01",
                "last_day": "2025-05-20",
                "holdout_days": 5,
                "spaces": {"ema_trend": {"ema_fast": [12, 13]}},
            }
        },
    }
).model_dump(mode="json")
"""Every key with its default, none overridden, as plain YAML values."""

OTHER_VALUE: dict[str, Any] = {
    "account": "other",
    "kill_switch": "close_only",
    "kill_switch_file": "STOP",
    "overlay_file": "live.yaml",
    "seals_dir": "kept",
    "data_dir": "elsewhere",
    "log_level": "DEBUG",
    "outcome_horizons_seconds": [300],
    "market.source": "archive",
    "market.symbols": [SYMBOL, "ETH/USDT", "SOL/USDT"],
    "market.intervals": ["1m", "5m"],
    "market.archive_dir": "other",
    "market.archive_prefer": ["*-????-??-??.*"],
    "market.archive_market_type": "spot",
    "market.exchange": "okx",
    "market.exchange_options": {"options": {"adjust": True}},
    "market.first_day": "2025-01-02",
    "costs.taker_fee_bps": 5,
    "universe.weights": {"liquidity": 0.31},
    "symbols.<symbol>.risk": {"max_order_notional": 1},
    "strategies.<name>.family": "breakout",
    "strategies.<name>.params": {"ema_fast": 13},
    "strategies.<name>.interval": "15m",
    "strategies.<name>.start_day": "2025-05-11",
    "strategies.<name>.symbols": [SYMBOL],
    "strategies.<name>.allow": [SYMBOL],
    "strategies.<name>.deny": [SYMBOL],
    "strategies.<name>.mode": "manual",
    "strategies.<name>.risk": {"max_order_notional": 1},
    "strategies.<name>.costs": {"slippage_bps": 1},
    "strategies.<name>.universe": {"max_symbols": 1},
    "lifecycle.ramps_bps": [1_000, 10_000],
    "factory.<recipe>.strategy": "other",
    "factory.<recipe>.first_day": "2025-05-02",
    "factory.<recipe>.last_day": "2025-05-21",
    "factory.<recipe>.profile": "freqtrade",
    "factory.<recipe>.method": "grid",
    "factory.<recipe>.device": "gpu",
    "factory.<recipe>.batches": 8,
    "factory.<recipe>.spaces": {"ema_trend": {"ema_fast": [12]}},
}


def load(folder: Path, text: str) -> Settings:
    path = folder / "autopilot.yaml"
    path.write_text(text)
    return load_settings({}, path=path)


def policy_id(found: Settings) -> str:
    """Id under which a tick would record the strategy's policy."""
    return policy_of(found.strategy("trend")).version_id


def with_other_value(key: str) -> dict[str, Any]:
    """The full configuration with one key changed to another legal value."""
    tree: dict[str, Any] = yaml.safe_load(yaml.safe_dump(FULL))
    *sections, last = key.replace("<symbol>", SYMBOL).replace("<name>", "trend").replace("<recipe>", "hunt").split(".")
    place = tree
    for section in sections:
        place = place[section]
    place[last] = OTHER_VALUE[key] if key in OTHER_VALUE else _next(place[last])
    return tree


def _next(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):  # decimals
        return f"{Decimal(value) + 1}"
    if isinstance(value, float) and 0 <= value < 1:
        return value + 0.01
    # shares and the size multiplier may already be at their highest
    return value - 1 if value == 10_000 else value + 1


def deployed(settings_: Settings, source: str | None = "archive:binance_spot") -> str:
    return settings_.strategy("trend").deployment_fingerprint(source)


def test_the_market_source_starts_a_new_deployment(tmp_path: Path) -> None:
    known = load(tmp_path, yaml.safe_dump(FULL))
    assert len({deployed(known), deployed(known, "archive:bybit_spot"), deployed(known, None)}) == 3


def test_the_archives_folder_counts_by_its_name(tmp_path: Path) -> None:
    def fingerprint(folder: str) -> str:
        tree = with_other_value("account")
        tree["market"]["archive_dir"] = folder
        return load(tmp_path, yaml.safe_dump(tree)).config_fingerprint

    assert fingerprint("here/binance_spot") == fingerprint("there/binance_spot") != fingerprint("here/bybit_spot")


@pytest.mark.parametrize("key", known_keys())
def test_every_deciding_value_counts(tmp_path: Path, key: str) -> None:
    before = load(tmp_path, yaml.safe_dump(FULL))
    after = load(tmp_path, yaml.safe_dump(with_other_value(key)))
    assert after.config != before.config
    left_out = key in UNFINGERPRINTED or key.split(".")[0] in UNFINGERPRINTED
    assert (after.config_fingerprint == before.config_fingerprint) == left_out


@pytest.mark.parametrize("key", known_keys())
def test_what_starts_a_new_deployment_or_policy(tmp_path: Path, key: str) -> None:
    before = load(tmp_path, yaml.safe_dump(FULL))
    after = load(tmp_path, yaml.safe_dump(with_other_value(key)))
    deploys = {"market.symbols", *(f"strategies.<name>.{part}" for part in ("family", "params", "interval", "symbols"))}
    new_columns = {"market.symbols", "strategies.<name>.symbols"}
    limits = {f"risk.{name}" for name in Risk.model_fields} | {"symbols.<symbol>.risk", "strategies.<name>.risk"}
    costs = {f"costs.{name}" for name in Costs.model_fields} | {"strategies.<name>.costs"}
    controls = {f"strategies.<name>.{part}" for part in ("mode", "shadow", "paused", "canary_bps", "approval_ticks")}
    changed = deployed(after) != deployed(before)
    assert changed == (key in deploys)
    assert (policy_id(after) != policy_id(before)) == (key in limits | costs | controls | new_columns)


def test_unfingerprinted_keys_exist() -> None:
    assert {*known_keys(), *Configuration.model_fields} >= UNFINGERPRINTED


def test_recorded_text_is_what_is_hashed() -> None:
    shipped = load_settings({})
    assert hashlib.sha256(shipped.config_json.encode()).hexdigest() == shipped.config_fingerprint
    recorded = json.loads(shipped.config_json)
    assert recorded["strategies"]["breakout_15m"]["risk"]["XRP/USDT:USDT"]["max_order_notional"] == "2000"
    assert UNFINGERPRINTED.isdisjoint(recorded)


@pytest.mark.parametrize("option", sorted(CONNECTION_OPTIONS))
def test_how_an_exchange_is_reached_does_not_count(tmp_path: Path, option: str) -> None:
    tree = with_other_value("account")
    before = load(tmp_path, yaml.safe_dump(tree)).config_fingerprint
    tree["market"]["exchange_options"] = {option: "http://127.0.0.1:1"}
    assert load(tmp_path, yaml.safe_dump(tree)).config_fingerprint == before


def _lines(tree: dict[str, Any], draw: random.Random, indent: int = 0) -> Iterator[str]:
    """YAML of a tree with its keys in random order, comments and blank lines in between."""
    for key in draw.sample(list(tree), len(tree)):
        value = tree[key]
        pad = " " * indent
        if draw.random() < 0.3:
            yield draw.choice(["", f"{pad}# {key}: a comment"])
        if isinstance(value, dict) and value:
            yield f"{pad}{key}:"
            yield from _lines(value, draw, indent + 2)
        else:
            yield f"{pad}{key}: {yaml.safe_dump(value, default_flow_style=True).split(chr(10))[0]}"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=strategies.integers(0, 2**32))
def test_order_and_comments_do_not_count(tmp_path: Path, seed: int) -> None:
    expected = load(tmp_path, yaml.safe_dump(FULL))
    shuffled = load(tmp_path, "\n".join(_lines(FULL, random.Random(seed))))
    assert shuffled.config_fingerprint == expected.config_fingerprint
    assert deployed(shuffled) == deployed(expected)
    assert policy_id(shuffled) == policy_id(expected)


@pytest.mark.parametrize(
    ("one", "other", "same_policy"),
    [
        pytest.param("risk: {max_order_notional: 100}", "risk: {max_order_notional: '100.00'}", True, id="spelling"),
        pytest.param("risk: {max_order_notional: 5000}", "", False, id="default written out"),
        pytest.param(
            "risk: {max_order_notional: 1}",
            "symbols: {BTC/USDT: {risk: {max_order_notional: 1}}, ETH/USDT: {risk: {max_order_notional: 1}}}",
            False,
            id="another layer",
        ),
        pytest.param("symbols: {BTC/USDT: {enabled: true}}", "", True, id="override that changes nothing"),
    ],
)
def test_only_what_holds_in_the_end_counts(tmp_path: Path, one: str, other: str, same_policy: bool) -> None:
    """The configuration's fingerprint covers values; a policy's id also the layer of each limit, as it is recorded."""
    base = (
        "market: {symbols: [BTC/USDT, ETH/USDT]}\n"
        "strategies: {trend: {family: ema_trend, interval: 1h, start_day: 2025-05-10}}\n"
    )
    first, second = load(tmp_path, base + one), load(tmp_path, base + other)
    assert first.config_fingerprint == second.config_fingerprint
    assert (policy_id(first) == policy_id(second)) == same_policy


def test_order_of_symbols_does_not_count(tmp_path: Path) -> None:
    tree = with_other_value("account")
    first = load(tmp_path, yaml.safe_dump(tree))
    tree["market"]["symbols"].reverse()
    second = load(tmp_path, yaml.safe_dump(tree))
    assert first.strategy("trend").symbols == second.strategy("trend").symbols == (SYMBOL, "ETH/USDT")
    assert deployed(first) == deployed(second)
    assert first.config_fingerprint == second.config_fingerprint
