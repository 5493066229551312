"""`simulate_signals` against the trades that vectorbt and backtesting.py gave for the same signals: bar and price.

`benchmarks/agreement.py --store` wrote the other engines' trades, with versions, seed and a digest of what the engines
were given. The sets are built again here; no price is stored, only its distance from its bar's open. Differences are
named in docs/candle-rules.md.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).resolve().parents[3]
sys.path.append(str(PROJECT / "benchmarks"))
from bench_signal_sets import (  # noqa: E402
    REAL_SETS,
    Trade,
    acting_rows,
    compare,
    digest,
    explained,
    load_facts,
    our_trades,
    signal_sets,
    stored_trades,
)

STORED, FACTS = load_facts(PROJECT / "tests" / "data" / "agreement")
RUNS = [
    pytest.param(*name.split("/"), id=name.replace("/", "-")) for name in FACTS["runs"] if name.endswith("embedded")
]
REAL_RUNS = [
    pytest.param(*name.split("/"), id=name.replace("/", "-")) for name in FACTS["runs"] if name.endswith("real")
]


def agree(engine, market, shared=None):
    """Compare every set of a run with what was stored; the stored counts are the expected ones."""
    facts = FACTS["runs"][f"{engine}/{market}"]
    sets = list(signal_sets(engine, market, shared))
    assert digest([acting_rows(made) for made in sets]) == facts["digest"], "other sets than the stored ones"
    agreed = trades = 0
    for made in sets:
        ours = our_trades(made)
        outcome = compare(made, ours, stored_trades(STORED, made, market))
        assert outcome.unexplained == [], f"set {made.number} {made.fractions}"
        agreed, trades = agreed + outcome.agreed, trades + len(ours)
    assert (agreed, trades, len(sets)) == (facts["agreed"], facts["trades"], facts["sets"])
    assert facts["unexplained"] == 0
    return agreed / trades


@pytest.mark.parametrize(("engine", "market"), RUNS)
def test_trades_on_the_embedded_market(engine, market) -> None:
    assert agree(engine, market) > 0.99


@pytest.mark.shared_data
@pytest.mark.parametrize(("engine", "market"), REAL_RUNS)
def test_trades_on_real_bars(engine, market, shared_data) -> None:
    assert FACTS["runs"][f"{engine}/{market}"]["sets"] == REAL_SETS == 200
    assert agree(engine, market, shared_data) > 0.99


@pytest.mark.parametrize(("engine", "market"), RUNS)
def test_one_signal_moved_by_a_bar_is_seen(engine, market) -> None:
    """The twin: the entry of the set's first trade one bar later."""
    made = next(iter(signal_sets(engine, market)))
    theirs = stored_trades(STORED, made, market)
    assert compare(made, our_trades(made), theirs).unexplained == []
    decided, signals = theirs[0].entry_bar - 1, made.longs if theirs[0].side > 0 else made.shorts
    moved = signals.copy()
    moved[[decided, decided + 1]] = False, True
    touched = dataclasses.replace(made, **{"longs" if theirs[0].side > 0 else "shorts": moved})
    assert compare(made, our_trades(touched), theirs).unexplained


@pytest.mark.parametrize(("engine", "market"), RUNS)
def test_one_price_unit_of_a_stored_trade_is_seen(engine, market) -> None:
    made = next(iter(signal_sets(engine, market)))
    theirs = stored_trades(STORED, made, market)
    theirs[3] = theirs[3]._replace(exit_price=theirs[3].exit_price + 1)
    assert len(compare(made, our_trades(made), theirs).unexplained) == 1


def test_every_kind_of_exit_is_among_the_stored_trades() -> None:
    """Stops, trailing stops and targets at their level and at an open beyond it, on either side."""
    seen = set()
    for engine in ("vectorbt", "backtesting"):
        for made in signal_sets(engine, "embedded"):
            for trade in stored_trades(STORED, made, "embedded"):
                opened = int(made.prices[trade.exit_bar, 0])
                seen.add((*made.fractions, trade.side, trade.exit_price == opened))
    kinds = [("stop",), ("trail",), ("stop", "target"), ("trail", "target"), ("target",)]
    assert seen == {(*kind, side, at_open) for kind in kinds for side in (1, -1) for at_open in (True, False)}


@pytest.mark.parametrize(("exit_price", "name"), [
    pytest.param(110, "trailing stop raised by the open", id="distance 10 below an open at 120"),
    pytest.param(111, "", id="another price"),
])  # fmt: skip
def test_only_the_exact_price_explains_a_difference(exit_price, name) -> None:
    """Long at 100 with a trail of 10; the peak is 105, a bar opens at 120 and falls through 110 and 95."""
    made = next(iter(signal_sets("vectorbt", "embedded")))
    rows = np.array([(100, 100, 100, 100), (100, 105, 99, 104), (120, 121, 94, 99), (99, 99, 99, 99)])
    quiet = np.zeros(4, np.bool_)
    made = dataclasses.replace(made, prices=rows, missing=quiet, silent=quiet, fractions={"trail": 0.1})
    assert explained(made, Trade(1, 1, 100, 2, 95), Trade(1, 1, 100, 2, exit_price)) == name


def test_the_script_compares_what_is_stored_where_no_engine_is_installed() -> None:
    environ = {key: value for key, value in os.environ.items() if key != "PEERS_PYTHON"}
    command = [sys.executable, str(PROJECT / "benchmarks" / "agreement.py"), "--quick", "--store"]
    done = subprocess.run(command, env=environ, cwd=PROJECT, capture_output=True, text=True, timeout=240, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    told = {name.replace("/", "_"): run for name, run in FACTS["runs"].items() if name.endswith("embedded")}
    assert figures == {name: {key: run[key] for key in figures[name]} for name, run in told.items()}
    assert load_facts(PROJECT / "tests" / "data" / "agreement")[1] == FACTS, "nothing is stored without an engine"
