"""Worlds from seeds: whatever goes wrong, a ledger is right, names what was late, or stops with a name."""

import os
from pathlib import Path

import pytest
from simulated_world import LENGTH, START, SimulatedWorld, judge

SEEDS = int(os.environ.get("ACCEPTANCE_SEEDS", "200"))
BLOCKS = 20
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


def test_a_few_worlds(tmp_path: Path, truth: SimulatedWorld) -> None:
    assert wrong(tmp_path, truth, FEW) == {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_many_worlds(tmp_path: Path, truth: SimulatedWorld, block: int) -> None:
    each = -(-SEEDS // BLOCKS)
    assert wrong(tmp_path, truth, range(block * each, min(SEEDS, (block + 1) * each))) == {}
