"""The layer of deployed strategies: part of autopilot.yaml for limits, below the overlay, and never anything else."""

from pathlib import Path

import pytest

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.settings import Settings, load_settings
from openclaw_pipelines.settings.errors import OverlayUnreadableError, SettingConflictError, UnknownSettingError

MAIN = """
overlay_file: overlay.yaml
data_dir: data
market: {symbols: [BTC/USDT], first_day: 2025-05-01}
risk: {max_order_notional: 900}
symbols: {BTC/USDT: {risk: {max_position_notional: 50}}}
strategies:
  swing: {family: momentum, interval: 1h, start_day: 2025-05-10}
"""
DEPLOYED = """# by the lifecycle
strategies:
  swing_ab_20250510:
    family: "momentum"
    interval: "1h"
    start_day: "2025-05-10"
    canary_bps: 2500
    risk: {"max_position_notional": 700, "price_buffer_bps": 11}
    params:
      stop_atr: 1.25
"""
NAME = "swing_ab_20250510"


def load(folder: Path, **files: str) -> Settings:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "autopilot.yaml").write_text(MAIN)
    for name, text in files.items():
        (folder / "data" / f"{name}.yaml").write_text(text)
    return load_settings({}, path=folder / "autopilot.yaml")


def test_a_deployed_strategy_is_one_like_others(tmp_path: Path) -> None:
    settings = load(tmp_path, deployments=DEPLOYED)
    own = settings.strategy(NAME)
    assert set(settings.strategies) == {"swing", NAME}
    assert (own.own.canary_bps, own.params["stop_atr"]) == (2500, 1.25)
    limits = own.limits("BTC/USDT")
    assert (int(limits.max_order_notional), int(limits.max_position_notional), limits.price_buffer_bps) == (900, 50, 11)
    assert settings.provenance[f"strategies.{NAME}.canary_bps"].text == "deployment"
    assert settings.provenance["strategies.swing.family"].text == "strategy:swing"
    layers = {
        key: own.limit_source("BTC/USDT", key).text
        for key in ("max_order_notional", "max_position_notional", "price_buffer_bps")
    }
    assert layers == {
        "max_order_notional": "autopilot.yaml",
        "max_position_notional": "symbols:BTC/USDT",
        "price_buffer_bps": "deployment",
    }


def test_the_overlay_and_the_environment_win(tmp_path: Path) -> None:
    overlay = f"risk: {{price_buffer_bps: 5}}\nstrategies: {{{NAME}: {{canary_bps: 100}}}}\n"
    own = load(tmp_path, deployments=DEPLOYED, overlay=overlay).strategy(NAME)
    assert (own.own.canary_bps, own.limits("BTC/USDT").price_buffer_bps) == (100, 5)
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    (elsewhere / "deployments.yaml").write_text(DEPLOYED.replace("2500", "5000"))
    moved = load_settings({"OPENCLAW_DATA_DIR": str(elsewhere)}, path=tmp_path / "autopilot.yaml")
    assert moved.strategy(NAME).own.canary_bps == 5000


def test_it_is_read_again(tmp_path: Path) -> None:
    before = load(tmp_path)
    after = load(tmp_path, deployments=DEPLOYED)
    assert set(before.strategies) == {"swing"}
    assert before.config_fingerprint != after.config_fingerprint
    (tmp_path / "data" / "deployments.yaml").unlink()
    assert load_settings({}, path=tmp_path / "autopilot.yaml") == before


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        pytest.param("kill_switch: off", SettingConflictError, "deployments.yaml line 1: kill_switch", id="a control"),
        pytest.param(
            DEPLOYED.replace(NAME, "swing"),
            SettingConflictError,
            "deployments.yaml line 3: strategies.swing is 'deployed', but autopilot.yaml line 8 has a strategy",
            id="a name by hand",
        ),
        pytest.param(
            DEPLOYED.replace("stop_atr", "stop_art"),
            UnknownSettingError,
            f"deployments.yaml line 10: unknown setting strategies.{NAME}",
            id="a parameter",
        ),
        pytest.param(
            DEPLOYED.replace("canary", "canaries"), UnknownSettingError, "deployments.yaml line 7", id="a key"
        ),
        pytest.param("strategies: [}", ConfigError, "deployments.yaml line 1", id="no yaml"),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path: Path, text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        load(tmp_path, deployments=text)


def test_a_file_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "data" / "deployments.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(OverlayUnreadableError, match="not UTF-8"):
        load_settings({}, path=tmp_path / "autopilot.yaml")
