"""Worlds from seeds: whatever goes wrong, a ledger is right, names what was late, or stops with a name."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from exchange_server import Fault
from simulated_world import LENGTH, START, Outcome, Plan, SimulatedWorld, judge

from openclaw_pipelines.services.market import history
from openclaw_pipelines.services.market.asking import Answer, Asking
from openclaw_pipelines.services.market.refusals import Refusals

SEEDS = int(os.environ.get("ACCEPTANCE_SEEDS", "20"))
BLOCKS = min(SEEDS, 20)
FEW = range(6)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> SimulatedWorld:
    """The life in which nothing goes wrong."""
    world = SimulatedWorld(tmp_path_factory.mktemp("truth"), None).live()
    assert world.failures == []
    assert list(world.inputs()) == [START + n * LENGTH for n in range(9)]
    assert world.differences() == 0
    return world


def wrong(folder: Path, truth: SimulatedWorld, seeds: range) -> dict[int, str]:
    """Seeds that end in a wrong ledger, and how; what happened in them is printed."""
    found = {}
    for seed in seeds:
        world = SimulatedWorld(folder / str(seed), seed).live()
        outcome = judge(world, truth)
        print(seed, outcome.kind, outcome.why)
        if outcome.kind == "wrong":
            print(*world.told, sep="\n")
            found[seed] = outcome.why
    return found


# ---- the two faults that were found by hand, and what is seen without the guard against each


def ahead(world: SimulatedWorld) -> None:
    """Someone sets this machine's clock six hours ahead."""
    world.clock.turn(timedelta(hours=6), 0.0)


def right(world: SimulatedWorld) -> None:
    """And right again."""
    world.clock.turn(timedelta(0), 0.0)


def killed_after(commits: int) -> Plan:
    """The process dies while history loads: a look at the account, instruments, candles of two days, their funding,
    their features.
    """
    return {0: lambda world: setattr(world.fates, "kill_after_commits", commits)}


def garbled(kind: str) -> Plan:
    """The first question, which is for the first day of the history, gets an object and no list; so does its retry."""
    return {0: lambda world: world.server.fail(*[Fault(body=b"{}")] * 2, kind=kind)}


CLOCK: Plan = {3: ahead, 5: right}


def test_a_clock_six_hours_ahead_leaves_nothing_behind(tmp_path: Path, truth: SimulatedWorld) -> None:
    world = SimulatedWorld(tmp_path, None, CLOCK).live()
    assert judge(world, truth) == Outcome("equal")
    assert any("ClockSkewError: the local clock is 21,599 s ahead of ccxt:binance" in line for line in world.told)


def test_a_clock_that_nobody_sets_stops_by_name(tmp_path: Path, truth: SimulatedWorld) -> None:
    world = SimulatedWorld(tmp_path, None, {3: ahead})
    world.forsaken = True
    outcome = judge(world.live(), truth)
    assert outcome.kind == "stopped"
    assert "ClockSkewError" in outcome.why


def test_coverage_by_the_local_clock_is_seen(
    tmp_path: Path, truth: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: the exchange withholds by its clock, and the local one says that it was asked."""

    def by_the_local_clock(
        self: Asking, _symbol: str, _series: str, _since: object, ask: object, _none: object
    ) -> Answer:
        return Answer(ask(), self.as_of)

    monkeypatch.setattr(Asking, "_answer", by_the_local_clock)
    outcome = judge(SimulatedWorld(tmp_path, None, CLOCK).live(), truth)
    assert outcome.kind == "wrong"
    assert "are missing at 10 16:00 that the exchange had in time" in outcome.why


@pytest.mark.parametrize("kind", ["candles", "funding"])
def test_a_garbled_page_of_history_is_asked_for_again(tmp_path: Path, truth: SimulatedWorld, kind: str) -> None:
    world = SimulatedWorld(tmp_path, None, garbled(kind)).live()
    assert judge(world, truth) == Outcome("equal")
    assert world.featured_days() == truth.featured_days()


def test_a_refused_answer_that_counts_is_seen(
    tmp_path: Path, truth: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: nobody asks again, and bars of the warm-up are missing."""
    monkeypatch.setattr(Refusals, "awaited", lambda *asked: False)
    outcome = judge(SimulatedWorld(tmp_path, None, garbled("candles")).live(), truth)
    assert outcome.kind == "wrong"
    assert "are missing at 10 00:00 that the exchange had in time" in outcome.why


@pytest.mark.parametrize("commits", [3, 5, 7])
def test_a_kill_while_history_loads_leaves_nothing_behind(tmp_path: Path, truth: SimulatedWorld, commits: int) -> None:
    world = SimulatedWorld(tmp_path, None, killed_after(commits)).live()
    assert "killed" in " ".join(world.told)
    assert judge(world, truth) == Outcome("equal")
    assert world.featured_days() == truth.featured_days() == ["2025-05-08", "2025-05-09", "2025-05-10"]


def test_a_start_on_candles_alone_is_seen(
    tmp_path: Path, truth: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: bars of the warm-up lack their funding, and verify passes."""
    for kind in ("_unfunded", "_unfeatured"):
        monkeypatch.setattr(history, kind, lambda *asked: [])
    world = SimulatedWorld(tmp_path, None, killed_after(3)).live()
    assert world.differences() == 0
    outcome = judge(world, truth)
    assert outcome.kind == "wrong"
    assert outcome.why.startswith("other bars of ['2025-05-0")


def test_a_start_without_features_of_a_day_is_seen(
    tmp_path: Path, truth: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: those of the second day are never computed."""
    monkeypatch.setattr(history, "_unfeatured", lambda *asked: [])
    world = SimulatedWorld(tmp_path, None, killed_after(7)).live()
    assert world.featured_days() != truth.featured_days()


# ---- seeds


@pytest.mark.slow
def test_a_few_worlds(tmp_path: Path, truth: SimulatedWorld) -> None:
    assert wrong(tmp_path, truth, FEW) == {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_many_worlds(tmp_path: Path, truth: SimulatedWorld, block: int) -> None:
    each = -(-SEEDS // BLOCKS)
    assert wrong(tmp_path, truth, range(block * each, min(SEEDS, (block + 1) * each))) == {}
