"""The families' own rules by table, the table that they make, and the compiled code that branches on it."""

import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import families as generator
import pytest
from generated import stale

import openclaw_pipelines
from openclaw_pipelines.contracts.enums import ExitReason
from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.kernel.base import slots
from openclaw_pipelines.kernel.strategy.branches import DispatchError, require_every_family
from openclaw_pipelines.kernel.strategy.families import FAMILIES, FamilyError, table_of
from openclaw_pipelines.kernel.strategy.family import ParamSpec, Relation
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators, observe
from openclaw_pipelines.kernel.strategy.params import params_record
from openclaw_pipelines.kernel.strategy.readings import ASKED, READINGS
from openclaw_pipelines.kernel.strategy.signals import signal
from openclaw_pipelines.kernel.sweep import columns

PACKAGE = Path(openclaw_pipelines.__file__).parent
PROJECT = PACKAGE.parent
DISPATCHES = ("strategy", "sweep")
NONE, LONG, SHORT, BOTH = (False, False), (True, False), (False, True), (True, True)
QUIET = {
    "band_middle": 100.0, "band_deviation": 2.0, "adx": 10.0, "bollinger_width": 2.0, "rsi_low": 30.0, "rsi_high": 70.0,
    "adx_threshold": 25.0,
}  # fmt: skip
TREND = {"ema_fast": 101.0, "ema_slow": 100.0, "adx": 30.0, "adx_threshold": 20.0}


# ---- rules


@pytest.mark.parametrize(
    ("family", "given", "sides"),
    [
        pytest.param("momentum", {"close": 110.0, "past_close": 100.0, "ema_slow": 105.0}, LONG, id="momentum: up"),
        pytest.param("momentum", {"close": 90.0, "past_close": 100.0, "ema_slow": 95.0}, SHORT, id="momentum: down"),
        pytest.param(
            "momentum", {"close": 104.0, "past_close": 100.0, "ema_slow": 105.0}, NONE, id="momentum: against"
        ),
        pytest.param("momentum", {"close": 110.0, "past_close": 110.0, "ema_slow": 105.0}, NONE, id="momentum: still"),
        pytest.param("breakout", {"close": 106.0, "entry_high": 105.0, "entry_low": 95.0}, LONG, id="breakout: above"),
        pytest.param("breakout", {"close": 94.0, "entry_high": 105.0, "entry_low": 95.0}, SHORT, id="breakout: below"),
        pytest.param("breakout", {"close": 105.0, "entry_high": 105.0, "entry_low": 95.0}, NONE, id="breakout: at it"),
        pytest.param("reversion", {**QUIET, "close": 95.0, "rsi": 29.0}, LONG, id="reversion: under and oversold"),
        pytest.param("reversion", {**QUIET, "close": 105.0, "rsi": 71.0}, SHORT, id="reversion: over and overbought"),
        pytest.param("reversion", {**QUIET, "close": 96.0, "rsi": 29.0}, NONE, id="reversion: at the band"),
        pytest.param("reversion", {**QUIET, "close": 95.0, "rsi": 30.0}, NONE, id="reversion: not oversold"),
        pytest.param("reversion", {**QUIET, "close": 95.0, "rsi": 29.0, "adx": 25.0}, NONE, id="reversion: a trend"),
        pytest.param("ema_trend", TREND, LONG, id="ema_trend: fast above"),
        pytest.param("ema_trend", {**TREND, "ema_fast": 99.0}, SHORT, id="ema_trend: fast below"),
        pytest.param("ema_trend", {**TREND, "ema_fast": 100.0}, NONE, id="ema_trend: equal"),
        pytest.param("ema_trend", {**TREND, "adx": 20.0}, LONG, id="ema_trend: trend enough"),
        pytest.param("ema_trend", {**TREND, "adx": 19.9}, NONE, id="ema_trend: no trend"),
    ],
)
def test_enters(family, given, sides):
    assert FAMILIES[family].enters(**given) == sides


@pytest.mark.parametrize(
    ("family", "given", "sides"),
    [
        pytest.param("momentum", {"close": 99.0, "past_close": 100.0}, LONG, id="momentum: turned down"),
        pytest.param("momentum", {"close": 101.0, "past_close": 100.0}, SHORT, id="momentum: turned up"),
        pytest.param("momentum", {"close": 100.0, "past_close": 100.0}, NONE, id="momentum: no return"),
        pytest.param("breakout", {"close": 96.0, "exit_high": 103.0, "exit_low": 97.0}, LONG, id="breakout: below"),
        pytest.param("breakout", {"close": 104.0, "exit_high": 103.0, "exit_low": 97.0}, SHORT, id="breakout: above"),
        pytest.param("breakout", {"close": 97.0, "exit_high": 103.0, "exit_low": 97.0}, NONE, id="breakout: at it"),
        pytest.param("reversion", {"close": 101.0, "band_middle": 100.0}, LONG, id="reversion: above the middle"),
        pytest.param("reversion", {"close": 99.0, "band_middle": 100.0}, SHORT, id="reversion: below the middle"),
        pytest.param("reversion", {"close": 100.0, "band_middle": 100.0}, BOTH, id="reversion: at the middle"),
        pytest.param("ema_trend", {"ema_fast": 99.0, "ema_slow": 100.0}, LONG, id="ema_trend: crossed down"),
        pytest.param("ema_trend", {"ema_fast": 101.0, "ema_slow": 100.0}, SHORT, id="ema_trend: crossed up"),
        pytest.param("ema_trend", {"ema_fast": 100.0, "ema_slow": 100.0}, NONE, id="ema_trend: equal"),
    ],
)
def test_leaves(family, given, sides):
    assert FAMILIES[family].leaves(**given) == sides


@pytest.mark.parametrize(
    ("family", "given", "excess"),
    [
        pytest.param(
            "momentum",
            {"side": 1, "close": 110.0, "past_close": 100.0, "atr": 5.0, "momentum_lookback": 4},
            1.0,
            id="momentum: a move of 10 over 5 times 2",
        ),
        pytest.param(
            "momentum",
            {"side": -1, "close": 90.0, "past_close": 100.0, "atr": 5.0, "momentum_lookback": 16},
            0.5,
            id="momentum: down",
        ),
        pytest.param(
            "breakout",
            {"side": 1, "close": 107.0, "entry_high": 105.0, "entry_low": 95.0, "atr": 4.0},
            0.5,
            id="breakout: above",
        ),
        pytest.param(
            "breakout",
            {"side": -1, "close": 91.0, "entry_high": 105.0, "entry_low": 95.0, "atr": 4.0},
            1.0,
            id="breakout: below",
        ),
        pytest.param(
            "reversion", {"side": 1, "rsi": 25.0, "rsi_low": 30.0, "rsi_high": 70.0}, 0.5, id="reversion: oversold"
        ),
        pytest.param(
            "reversion", {"side": -1, "rsi": 80.0, "rsi_low": 30.0, "rsi_high": 70.0}, 1.0, id="reversion: overbought"
        ),
        pytest.param("ema_trend", {"adx": 50.0, "adx_threshold": 20.0}, 1.5, id="ema_trend"),
        pytest.param("ema_trend", {"adx": 50.0, "adx_threshold": 0.0}, 0.0, id="ema_trend: any trend will do"),
    ],
)
def test_excess(family, given, excess):
    assert FAMILIES[family].excess(**given) == excess


# ---- the number of no family


LIVELY = {
    "momentum": {"momentum_lookback": 4, "ema_slow": 3},
    "breakout": {"channel_entry": 8, "channel_exit": 4, "volume_ratio": 0.0},
    "reversion": {
        "rsi_length": 3, "rsi_low": 45.0, "rsi_high": 55.0, "bollinger_length": 8, "bollinger_width": 1.0,
        "adx_length": 3, "adx_threshold": 90.0,
    },
    "ema_trend": {"ema_fast": 2, "ema_slow": 5, "adx_length": 3},
}  # fmt: skip


@pytest.mark.parametrize("number", [0, 5, -1, 2**40])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_number_of_no_family_has_no_setup_no_exit_and_no_confidence(family, number):
    """Every indicator of a family is folded, and no rule is asked, neither its own nor another's."""
    params = params_record(family, {**LIVELY[family], "atr_length": 2, "max_hold_bars": 0}, 3_600)
    unknown = params.copy()
    unknown.family = number
    row, other = new_indicators(2, params)
    setups, entries, exits = set(), set(), set()
    for n in range(200):
        close = 1_000.0 + 200.0 * math.sin(n / 9.0) + 40.0 * math.sin(n * 1.7)
        bar = (close, close + 9.0, close - 9.0, close, 5.0)
        observe(row, params, *bar)
        observe(other, unknown, *bar)
        assert other[slots.SETUP] == 0.0
        setups.add(row[slots.SETUP])
        for side in (-1, 0, 1):
            known, own = signal(row, params, side, 1), signal(other, unknown, side, 1)
            assert (own.entry, own.exit, own.confidence) == (0, 0, 0.0)
            entries.add(known.entry)
            exits.add(known.exit)
    assert (setups, entries) == ({-1, 0, 1}, {-1, 0, 1})
    assert exits == {0, int(ExitReason.SIGNAL)}
    row[[slots.SETUP, slots.SETUP_AGE]] = other[[slots.SETUP, slots.SETUP_AGE]]
    assert row.tobytes() == other.tobytes()


# ---- the table


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"name": "fading"}, "is called 'fading'", id="name of another module"),
        pytest.param({"number": 0}, "the number 0, the least is 1", id="number of signals from outside"),
        pytest.param({"number": 4}, "number 4, which is that of 'ema_trend'", id="number taken"),
        pytest.param({"enters": lambda close, entry_hgh: None}, "'entry_hgh'.*'entry_high'", id="reading misspelt"),
        pytest.param({"enters": lambda side: None}, "in 'enters' for 'side'", id="side of no entry"),
        pytest.param({"leaves": lambda rsi: None}, "takes the parameter 'rsi_length'", id="reading without its length"),
        pytest.param({"excess": lambda plus_di: None}, "in 'excess' for 'plus_di'", id="no column in a sweep"),
        pytest.param({"shows": ("adx",)}, "shows 'adx', which takes .*'adx_length'", id="shown without its length"),
        pytest.param({"shows": ("rsy",)}, "shows 'rsy'.*'rsi'", id="shown misspelt"),
        pytest.param(
            {"relations": (Relation("channel_exit", "below", "ema_slow"),)},
            "relates 'ema_slow'",
            id="relation of another",
        ),
        pytest.param(
            {"parameters": (*FAMILIES["breakout"].parameters, ParamSpec("sides", int, 1, 0, 2, ""))},
            "'sides', a name that its dispatch uses",
            id="name of generated code",
        ),
        pytest.param(
            {"parameters": (*FAMILIES["breakout"].parameters, ParamSpec("ema_fast", float, 1.0, 0, 2, ""))},
            "'ema_fast' of another type than 'ema_trend'",
            id="type of another",
        ),
    ],
)
def test_a_family_that_cannot_be_is_refused_by_name(change, says):
    fade = replace(FAMILIES["breakout"], number=5, name="fade")
    known = list(FAMILIES.items())
    assert [*table_of([*known, ("fade", fade)])] == [*FAMILIES, "fade"]
    with pytest.raises(FamilyError, match=f"strategy family 'fade' .*{says}") as caught:
        table_of([*known, ("fade", replace(fade, **change))])
    assert isinstance(caught.value, OpenclawError)


def test_a_module_that_says_no_family_is_refused_by_name():
    with pytest.raises(FamilyError, match="'fade' has no FAMILY"):
        table_of([*FAMILIES.items(), ("fade", None)])


def test_families_stand_in_the_order_of_their_numbers_whatever_their_modules_are_called():
    assert [*table_of(reversed(FAMILIES.items()))] == [*FAMILIES]
    assert [spec.number for spec in FAMILIES.values()] == sorted(spec.number for spec in FAMILIES.values())


def test_every_module_of_the_folder_is_a_family():
    folder = PACKAGE / "kernel" / "strategy" / "families"
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", *FAMILIES}


def test_what_rules_may_ask_for_is_a_column_of_the_sweep_made_with_the_same_length():
    made = {place: parameter for place, _, parameter in columns._OPTIONS}
    for name, reading in ASKED.items():
        place = columns.RSI_SLOT if name == "rsi" else getattr(slots, name.upper())
        assert made.get(place, "") == reading.parameter, name
    assert {name for name in READINGS if READINGS[name].parameter == ""} == {"close", "volume"}


# ---- branches


def test_generated_branches_are_current():
    assert set(generator.FILES) == {PACKAGE / "kernel" / floor / "dispatch.py" for floor in DISPATCHES}
    assert stale(generator.FILES) == {}, "run: python tools/families.py"


BRANCH, LAST = "    elif params.family == 4:\n", "    else:  # the number of no family\n"


@pytest.mark.parametrize(
    ("floor", "edits", "says"),
    [
        pytest.param(
            "strategy",
            {BRANCH: "    elif params.family == 5:\n"},
            "no branch for family 'ema_trend', number 4",
            id="missing",
        ),
        pytest.param("sweep", {"family == 3:": "family == 30:"}, "no branch for family 'reversion'", id="renumbered"),
        pytest.param(
            "sweep",
            {LAST: f"    elif params.family == 9:\n        pass\n{LAST}"},
            "'params.family == 9'",
            id="of no family",
        ),
        pytest.param("strategy", {"= _ema_trend_": "= _reversion_"}, "calls _reversion_enters", id="another's rule"),
        pytest.param("strategy", {"return ema_trend.": "return breakout."}, "asks breakout for", id="another's module"),
        pytest.param("sweep", {"  _ema_trend_mark(": "  _breakout_mark("}, "calls _breakout_mark", id="another's loop"),
        pytest.param(
            "strategy", {BRANCH: LAST, LAST: "    # "}, "no branch for family 'ema_trend'", id="falls through"
        ),
        pytest.param(
            "sweep", {LAST: "    elif params.family == 1:\n"}, "no last branch of its own", id="no last branch"
        ),
        pytest.param(
            "sweep",
            {"  sides[:], flags[:] = 0, 0": "  _momentum_mark()"},
            "no last branch of its own",
            id="last calls a rule",
        ),
        pytest.param(
            "sweep", {"params.family": "params.number"}, "nothing in .* asks for the family", id="asks otherwise"
        ),
    ],
)
def test_branches_on_other_families_are_refused(tmp_path, floor, edits, says):
    text = (PACKAGE / "kernel" / floor / "dispatch.py").read_text(encoding="utf-8")
    for old, new in reversed(edits.items()):
        assert old in text
        text = text.replace(old, new)
    edited = tmp_path / "dispatch.py"
    edited.write_text(text, encoding="utf-8")
    with pytest.raises(DispatchError, match=says) as caught:
        require_every_family(str(edited))
    assert "tools/families.py" in str(caught.value)


def test_a_family_without_branches_is_named():
    more = table_of([*FAMILIES.items(), ("fade", replace(FAMILIES["breakout"], number=5, name="fade"))])
    for floor, function in (("strategy", "enters"), ("sweep", "mark")):
        path = str(PACKAGE / "kernel" / floor / "dispatch.py")
        require_every_family(path)
        with pytest.raises(DispatchError, match=f"{function} in {floor}/dispatch.py .*'fade', number 5"):
            require_every_family(path, more)


@pytest.fixture
def copied(tmp_path):
    """A copy of what is compiled and of what it imports."""
    for part in ("kernel", "contracts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PACKAGE / part, tmp_path / "openclaw_pipelines" / part, ignore=ignored)
    shutil.copy(PACKAGE / "__init__.py", tmp_path / "openclaw_pipelines")
    return tmp_path / "openclaw_pipelines"


def imported(root, module):
    """What a fresh process says that imports a module of the package copied to `root`; nothing is compiled."""
    return subprocess.run(
        [sys.executable, "-c", f"import openclaw_pipelines.kernel.{module}; print(openclaw_pipelines.__file__)"],
        env={**os.environ, "PYTHONPATH": str(root.parent)},
        cwd=root.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("floor", "user"), [("strategy", "strategy.signals"), ("sweep", "sweep.sweep")])
def test_a_removed_branch_is_an_error_at_import(copied, floor, user):
    """The twin: the same copy can be imported before."""
    assert imported(copied, user).stdout.strip() == str(copied / "__init__.py")
    source = copied / "kernel" / floor / "dispatch.py"
    text = source.read_text(encoding="utf-8")
    start = text.rindex(BRANCH)
    source.write_text(text[:start] + text[text.index("    else:", start) :], encoding="utf-8")
    done = imported(copied, user)
    assert done.returncode == 1
    assert "DispatchError" in done.stderr
    assert f"in {floor}/dispatch.py has no branch for family 'ema_trend', number 4" in done.stderr.splitlines()[-1]
