"""Files that are no files, and text that is made to take for ever: a named error at once, and a switch that halts."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.settings import effective_kill_switch, load_settings
from openclaw_pipelines.settings.errors import ConfigSyntaxError, MissingConfigError, OverlayUnreadableError
from openclaw_pipelines.settings.text_files import MOST_BYTES, text_of

BASE = (
    "market: {symbols: [BTC/USDT]}\noverlay_file: overlay.yaml\n"
    "strategies: {trend: {family: ema_trend, interval: 1h, start_day: 2025-05-10}}\n"
)
SECONDS = 20.0


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    # its name may be longer than an address of a socket
    with socket.socket(socket.AF_UNIX) as own:
        here = Path.cwd()
        os.chdir(path.parent)
        own.bind(path.name)
        os.chdir(here)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


KINDS: list[tuple[str, Callable[[Path], None], str]] = [
    ("pipe", pipe, "a pipe"),
    ("socket", listening, "a socket"),
    ("folder", Path.mkdir, "a folder"),
    ("device", lambda path: path.symlink_to("/dev/zero"), "a device"),
    ("link to nothing", lambda path: path.symlink_to(path.parent / "gone"), "a link to what is not there"),
    ("link to itself", lambda path: path.symlink_to(path), "symbolic links"),
    ("3 GB", huge, "3,221,225,472 bytes"),
]
EVERY = pytest.mark.parametrize(("make", "says"), [own[1:] for own in KINDS], ids=[own[0] for own in KINDS])


@pytest.fixture(autouse=True)
def in_time() -> object:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SECONDS


def written(folder: Path, text: str = BASE) -> Path:
    path = folder / "autopilot.yaml"
    path.write_text(text)
    return path


class TestFilesThatAreNone:
    @EVERY
    def test_a_kill_switch_that_cannot_be_read_halts(
        self, tmp_path: Path, make: Callable[[Path], None], says: str
    ) -> None:
        settings = load_settings({}, path=written(tmp_path))
        assert effective_kill_switch(settings, {}, tmp_path)[0] is KillSwitch.OFF
        make(tmp_path / "KILL_SWITCH")
        switch, why = effective_kill_switch(settings, {}, tmp_path)
        assert switch is KillSwitch.HALT_ALL
        assert "file KILL_SWITCH cannot be read" in why
        assert says in why

    @EVERY
    def test_a_configuration_is_refused(self, tmp_path: Path, make: Callable[[Path], None], says: str) -> None:
        make(tmp_path / "autopilot.yaml")
        with pytest.raises(MissingConfigError, match=says):
            load_settings({}, path=tmp_path / "autopilot.yaml")

    @EVERY
    def test_an_overlay_is_refused(self, tmp_path: Path, make: Callable[[Path], None], says: str) -> None:
        path = written(tmp_path, f"data_dir: {tmp_path}\n{BASE}")
        make(tmp_path / "overlay.yaml")
        with pytest.raises(OverlayUnreadableError, match=says):
            load_settings({}, path=path)

    def test_a_file_that_grows_while_it_is_read_is_not_read_on(self, tmp_path: Path) -> None:
        path = tmp_path / "long"
        path.write_bytes(b"x" * MOST_BYTES)
        assert len(text_of(path)) == MOST_BYTES
        path.write_bytes(b"x" * (MOST_BYTES + 1))
        with pytest.raises(OSError, match="more than"):
            text_of(path)


def aliases(levels: int) -> str:
    names = "abcdefghijkl"[: levels + 1]
    rows = [f"{name}: &{name} [{','.join(['*' + below] * 9)}]" for below, name in pairwise(names)]
    return "\n".join(["a: &a [x,x,x,x,x,x,x,x,x]", *rows, BASE])


TEXTS = [
    ("seven levels of aliases", aliases(7), "line 6: holds more than 200,000 values"),
    ("an alias inside what it names", f"{BASE}x: &a [*a]\n", "nested deeper than 12"),
    ("brackets", BASE + "x: " + "[" * 100_000 + "]" * 100_000, "line 4: nested deeper than 12"),
    ("braces", BASE + "x: " + "{a: " * 100_000 + "}" * 100_000, "line 4: nested deeper than 12"),
    ("dashes", BASE + "x:\n" + "- " * 100_000 + "1\n", "line 5: nested deeper than 12"),
    ("NUL byte in a path", BASE + 'data_dir: "a\\0b"\n', "line 4: data_dir holds a NUL byte"),
    ("NUL byte in a key", BASE + '"a\\0b": 1\n', "a key has 3 characters or a NUL byte"),
    ("5,000 digits", BASE + "capital: " + "9" * 5_000, "line 4: capital is a number of 5,000 characters"),
    ("5,000 digits with a point", BASE + "x: 1" + "0" * 5_000 + ".5", "is a number of 5,003 characters"),
    ("a key of 5,000 digits", BASE + "? " + "9" * 5_000 + "\n: 1\n", "a key has 5,000 characters"),
]


@pytest.mark.parametrize(("text", "says"), [own[1:] for own in TEXTS], ids=[own[0] for own in TEXTS])
def test_text_that_would_take_for_ever_or_kill_is_refused_by_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigSyntaxError, match=says):
        load_settings({}, path=path)


def test_what_few_aliases_stand_for_is_taken(tmp_path: Path) -> None:
    text = BASE.replace("symbols: [BTC/USDT]", "symbols: &a [BTC/USDT]").replace("1h,", "1h, symbols: *a,")
    settings = load_settings({}, path=written(tmp_path, text))
    assert settings.strategy("trend").symbols == ("BTC/USDT",)


@pytest.mark.parametrize("text", [TEXTS[0][1], TEXTS[2][1], TEXTS[3][1]], ids=["aliases", "brackets", "braces"])
def test_a_command_says_so_in_one_line_within_its_memory(tmp_path: Path, text: str) -> None:
    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    environ = {k: v for k, v in os.environ.items() if not k.startswith("OPENCLAW_")}
    program = [str(Path(sys.executable).with_name("openclaw")), "status"]
    own = {**environ, "OPENCLAW_CONFIG": str(written(tmp_path, text))}
    done = subprocess.run(program, env=own, capture_output=True, text=True, timeout=60, preexec_fn=bounded, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ConfigSyntaxError: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1_000


def test_two_thousand_strategies_are_read_in_seconds(tmp_path: Path) -> None:
    many = "".join(f"  s{n}: {{family: ema_trend, interval: 1h, start_day: 2025-05-10}}\n" for n in range(2_000))
    settings = load_settings({}, path=written(tmp_path, f"market: {{symbols: [BTC/USDT]}}\nstrategies:\n{many}"))
    assert len(settings.strategies) == 2_000
