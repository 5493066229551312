"""What the files say, value by value, whatever the environment of a process adds."""

from pathlib import Path

import pytest

from openclaw_pipelines.settings import Settings, load_settings

BASE = """
overlay_file: overlay.yaml
market: {symbols: [BTC/USDT], archive_dir: bars, exchange: kraken}
risk: {max_order_notional: 100}
strategies:
  trend: {family: ema_trend, interval: 1h, start_day: 2025-05-10, canary_bps: 5000}
"""


def load(folder: Path, overlay: str = "", **environ: str) -> Settings:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "autopilot.yaml").write_text(BASE)
    (folder / "data" / "overlay.yaml").write_text(overlay)
    return load_settings({"OPENCLAW_DATA_DIR": str(folder / "data"), **environ}, path=folder / "autopilot.yaml")


def test_every_value_has_its_layer(tmp_path: Path) -> None:
    settings = load(tmp_path, "# calm down\nrisk: {max_order_notional: 50.50}\n")
    assert settings.written["risk.max_order_notional"] == {"value": "50.5", "from": "overlay overlay.yaml"}
    assert settings.written["strategies.trend.canary_bps"] == {"value": 5000, "from": "strategy:trend"}
    assert settings.written["strategies.trend.paused"] == {"value": False, "from": "default"}
    assert settings.written["strategies.trend.start_day"] == {"value": "2025-05-10", "from": "strategy:trend"}
    assert set(settings.written) == set(settings.provenance)
    assert settings.overlay_note == "calm down"
    assert load(tmp_path).overlay_note == ""


@pytest.mark.parametrize(
    ("variable", "value", "key", "said", "layer"),
    [
        ("OPENCLAW_LOG_LEVEL", "DEBUG", "log_level", "INFO", "default"),
        ("OPENCLAW_MARKET", "archive", "market.source", "simulated", "default"),
        ("OPENCLAW_EXCHANGE", "binance", "market.exchange", "kraken", "autopilot.yaml"),
        ("OPENCLAW_ARCHIVE_DIR", "/elsewhere", "market.archive_dir", "bars", "autopilot.yaml"),
        ("OPENCLAW_ACCOUNT", "other", "account", "paper", "default"),
        ("OPENCLAW_KILL_SWITCH", "halt_all", "kill_switch", "off", "default"),
    ],
)
def test_a_variable_changes_nothing_of_what_the_files_say(
    tmp_path: Path, variable: str, value: str, key: str, said: str, layer: str
) -> None:
    """Two processes with other environments see one configuration, and so none of them a change."""
    plain, varied = load(tmp_path), load(tmp_path, **{variable: value})
    assert varied.provenance[key].text == f"environment {variable}"
    assert varied.written[key] == {"value": said, "from": layer}
    assert varied.written == plain.written
    assert varied.variables.get(variable) == (None if key == "kill_switch" else value)


def test_secrets_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_EXCHANGE_SECRET", "verysecret1")
    settings = load(tmp_path, "market: {exchange_options: {proxy: 'http://me:pw1234@host', userAgent: verysecret1}}")
    assert settings.written["market.exchange_options.proxy"]["value"] == "http://me:***@host"
    assert settings.written["market.exchange_options.userAgent"]["value"] == "***"
