"""Searches: shards cover every position once, and who runs what when changes nothing."""

import itertools
from collections.abc import Sequence

import pytest

from openclaw_pipelines.contracts.config.factory import SearchMethod
from openclaw_pipelines.domain.factory.search import (
    SHARD_KEYS,
    BatchesError,
    GridTooLargeError,
    Proposal,
    Search,
    Tried,
    sobol,
)
from openclaw_pipelines.domain.factory.space import Space, space_of

BREAKOUT = {"channel_entry": {"low": 10, "high": 60}, "channel_exit": {"low": 5, "high": 60}, "stop_atr": [1, 2, 3]}
MOMENTUM = {"momentum_lookback": {"low": 10, "high": 100, "log": True}, "stop_atr": {"low": 1, "high": 5}}


def spaces() -> tuple[Space, ...]:
    return space_of("breakout", BREAKOUT, {}), space_of("momentum", MOMENTUM, {})


def search(method: SearchMethod = SearchMethod.SOBOL, rows: int = 24, seed: int = 3, batches: int = 4) -> Search:
    return Search(spaces(), method, rows, batches, seed, 3_600)


def score(proposal: Proposal) -> float:
    return -abs(float(proposal.values["stop_atr"]) - 2.2)


def walk(own: Search, order: Sequence[str] = SHARD_KEYS) -> dict[str, list[Proposal]]:
    """Every shard with the results that it learns from, batch by batch, within one in the given order."""
    done: dict[str, list[Proposal]] = {}
    for shard in order:
        tried = [
            Tried(made.position, made.family, made.values, score(made))
            for before in own.shards_before(shard)
            for made in done[before]
            if made.record is not None
        ]
        done[shard] = own.propose(shard, tried)
    return done


@pytest.mark.parametrize("method", [SearchMethod.SOBOL, SearchMethod.OPTUNA], ids=str)
@pytest.mark.parametrize("rows", [1, 7, 24, 33])
def test_shards_cover_every_position_once(method: SearchMethod, rows: int) -> None:
    own = search(method, rows)
    assert list(itertools.chain.from_iterable(map(own.shard_positions, SHARD_KEYS))) == list(range(own.positions))
    assert own.positions == 2 * rows


def test_a_sobol_search_is_balanced_and_the_same_whoever_runs_it() -> None:
    own = search()
    forwards, backwards = walk(own), walk(own, SHARD_KEYS[::-1])
    assert {key: [p.params_hash for p in found] for key, found in forwards.items()} == {
        key: [p.params_hash for p in found] for key, found in backwards.items()
    }
    assert [p.position for key in SHARD_KEYS for p in forwards[key]] == list(range(48))
    stops = [point["stop_atr"] for point in sobol(space_of("breakout", {"stop_atr": [1, 2, 3, 4]}, {}), 64, 0)]
    assert [stops.count(value) for value in (1.0, 2.0, 3.0, 4.0)] == [16, 16, 16, 16]


def test_another_seed_is_another_search() -> None:
    assert search(seed=3).space_hash == search(seed=3).space_hash != search(seed=4).space_hash
    hashes = [{p.params_hash for p in search(seed=seed).propose("1-of-8")} for seed in (3, 4)]
    assert hashes[0] != hashes[1]


def test_contradictions_are_counted_and_never_repaired() -> None:
    found = [p for shard in walk(search(rows=64)).values() for p in shard if p.family == "breakout"]
    for proposal in found:
        contradicts = proposal.values["channel_exit"] > proposal.values["channel_entry"]
        assert proposal.conflicting == contradicts
        assert (proposal.record is None) == (contradicts or proposal.repeated)
    assert 5 < sum(p.conflicting for p in found) < 60


def test_a_repeated_row_is_run_once() -> None:
    own = Search((space_of("breakout", {"stop_atr": [1, 2]}, {}),), SearchMethod.SOBOL, 16, 1, 0, 3_600)
    runs = [p.values["stop_atr"] for shard in walk(own).values() for p in shard if p.record is not None]
    assert sorted(runs) == [1.0, 2.0]


def test_a_grid_is_run_whole_and_refused_where_it_is_too_large() -> None:
    space = space_of("breakout", {"stop_atr": [1, 2, 3], "trail_atr": [0, 1]}, {})
    own = Search((space,), SearchMethod.GRID, 6, 4, 0, 3_600)
    runs = [(p.values["stop_atr"], p.values["trail_atr"]) for shard in walk(own).values() for p in shard]
    assert runs == list(itertools.product((1.0, 2.0, 3.0), (0.0, 1.0)))
    with pytest.raises(GridTooLargeError) as caught:
        Search((space,), SearchMethod.GRID, 5, 4, 0, 3_600)
    assert (caught.value.size, caught.value.rows) == (6, 5)


def test_batches_end_where_shards_do() -> None:
    with pytest.raises(BatchesError):
        search(SearchMethod.OPTUNA, batches=3)


class TestAdaptive:
    def test_the_order_within_a_batch_changes_nothing(self) -> None:
        own = search(SearchMethod.OPTUNA)
        swapped = [key for pair in zip(SHARD_KEYS[1::2], SHARD_KEYS[::2], strict=True) for key in pair]
        one, other = walk(own), walk(own, swapped)
        assert [[p.params_hash for p in one[key]] for key in SHARD_KEYS] == [
            [p.params_hash for p in other[key]] for key in SHARD_KEYS
        ]

    def test_it_learns_from_earlier_batches_only(self) -> None:
        own = search(SearchMethod.OPTUNA)
        assert [own.shards_before(key) for key in ("2-of-8", "3-of-8", "8-of-8")] == [
            (),
            SHARD_KEYS[:2],
            SHARD_KEYS[:6],
        ]

    def test_other_results_lead_to_other_rows(self) -> None:
        own = search(SearchMethod.OPTUNA, rows=48)
        first = [p for key in SHARD_KEYS[:2] for p in own.propose(key) if p.record is not None]
        told = [
            [Tried(p.position, p.family, p.values, sign * float(p.values["stop_atr"])) for p in first]
            for sign in (1.0, -1.0)
        ]
        means = []
        for tried in told:
            asked = [p for p in own.propose_batch(1, tried) if p.family == "momentum"]
            means.append(sum(float(p.values["stop_atr"]) for p in asked) / len(asked))
        assert means[0] > means[1] + 0.5

    def test_values_lie_on_their_steps(self) -> None:
        space = space_of("breakout", {"stop_atr": {"low": 1, "high": 2, "step": 0.1}}, {})
        own = Search((space,), SearchMethod.OPTUNA, 8, 2, 0, 3_600)
        allowed = {float(f"{1 + 0.1 * n:.1f}") for n in range(11)}
        tried = [Tried(p.position, p.family, p.values, 0.0) for p in own.propose_batch(0) if p.record is not None]
        assert {p.values["stop_atr"] for p in own.propose_batch(1, tried)} <= allowed
