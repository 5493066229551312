"""The kill switch: the strictest of three counts, and doubt halts."""

from pathlib import Path

import pytest

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.settings import Settings, effective_kill_switch, load_settings
from openclaw_pipelines.settings.controls import switches

OFF, CLOSE, HALT = KillSwitch.OFF, KillSwitch.CLOSE_ONLY, KillSwitch.HALT_ALL


def load(folder: Path, configured: str) -> Settings:
    path = folder / "autopilot.yaml"
    path.write_text(
        f"kill_switch: {configured}\nmarket: {{symbols: [BTC/USDT]}}\n"
        "strategies: {trend: {family: ema_trend, interval: 1h, start_day: 2025-05-10}}\n"
    )
    return load_settings({}, path=path)


@pytest.mark.parametrize(
    ("configured", "variable", "content", "expected", "reason"),
    [
        pytest.param("off", None, None, OFF, "no kill switch is set", id="nothing"),
        pytest.param("close_only", None, None, CLOSE, "autopilot.yaml", id="configuration"),
        pytest.param("off", "close_only", None, CLOSE, "environment OPENCLAW_KILL_SWITCH", id="environment"),
        pytest.param("off", None, b"close_only\n", CLOSE, "file KILL_SWITCH", id="file"),
        pytest.param("off", None, b"HALT_ALL", HALT, "file KILL_SWITCH", id="file in capitals"),
        pytest.param("halt_all", "off", b"off", HALT, "autopilot.yaml", id="nothing loosens the configuration"),
        pytest.param("close_only", "off", b"halt_all", HALT, "file KILL_SWITCH", id="file is strictest"),
        pytest.param("close_only", "halt_all", None, HALT, "environment", id="environment is strictest"),
        pytest.param("off", "", b"off", OFF, "no kill switch is set", id="all off"),
        pytest.param("off", None, b"", HALT, "file KILL_SWITCH holds ''", id="empty file halts"),
        pytest.param("off", None, b"stop please", HALT, "file KILL_SWITCH holds 'stop please'", id="other words halt"),
        pytest.param("off", None, b"close_only # spreads", CLOSE, "file KILL_SWITCH", id="with a reason"),
        pytest.param("off", None, b"# halt_all", HALT, "file KILL_SWITCH holds ''", id="only a reason halts"),
        pytest.param("off", None, b"\xff\xfe", HALT, "cannot be read: it is not UTF-8 text", id="no text halts"),
        pytest.param("off", "stop", None, HALT, "OPENCLAW_KILL_SWITCH is 'stop'", id="unknown variable halts"),
    ],
)
def test_strictest_counts(
    tmp_path: Path, configured: str, variable: str | None, content: bytes | None, expected: KillSwitch, reason: str
) -> None:
    settings = load(tmp_path, configured)
    if content is not None:
        (tmp_path / "KILL_SWITCH").write_bytes(content)
    environ = {} if variable is None else {"OPENCLAW_KILL_SWITCH": variable}
    switch, why = effective_kill_switch(settings, environ, tmp_path)
    assert switch is expected
    assert reason in why


def test_each_place_says_its_own(tmp_path: Path) -> None:
    """Also where another one is stricter, and the configuration without what a variable adds to it."""
    (tmp_path / "KILL_SWITCH").write_text("close_only # spreads")
    load(tmp_path, "off")
    environ = {"OPENCLAW_KILL_SWITCH": "halt_all"}
    settings = load_settings(environ, path=tmp_path / "autopilot.yaml")
    assert settings.config.kill_switch is HALT
    found = switches(settings, environ, tmp_path)
    assert {place.value: (own.switch, own.by, own.note) for place, own in found.items()} == {
        "configuration": (OFF, "autopilot.yaml", ""),
        "environment": (HALT, "environment OPENCLAW_KILL_SWITCH", ""),
        "file": (CLOSE, "file KILL_SWITCH", "spreads"),
    }


def test_a_folder_in_its_place_halts(tmp_path: Path) -> None:
    (tmp_path / "KILL_SWITCH").mkdir()
    switch, why = effective_kill_switch(load(tmp_path, "off"), {}, tmp_path)
    assert (switch, why) == (HALT, "file KILL_SWITCH cannot be read: it is a folder, not a file of text")


def test_file_appears_and_goes_without_loading_again(tmp_path: Path) -> None:
    settings = load(tmp_path, "off")
    found = []
    for step in (lambda: None, (tmp_path / "KILL_SWITCH").touch, (tmp_path / "KILL_SWITCH").unlink):
        step()
        found.append(effective_kill_switch(settings, {}, tmp_path)[0])
    assert found == [OFF, HALT, OFF]
