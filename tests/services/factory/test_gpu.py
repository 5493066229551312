"""CPU against GPU in a cycle: reports in numba's simulator, twins that must block, trust, and sweeps of a trusted GPU.

The simulator is switched on for a whole process, so its part runs in one of its own, on the same store.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from factory_scene import RECIPE, STRATEGY, SYMBOLS, copied, factory_scene
from planted_cycle import cycle_row, plant

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.lifecycle.hand_over import HandOverError
from openclaw_pipelines.kernel.base.compile_cache import sources_hash
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.services.factory import examining, sweeping
from openclaw_pipelines.services.factory.comparing import compare_cycle
from openclaw_pipelines.services.factory.cycle import Cycle, reopen_cycle
from openclaw_pipelines.services.factory.deploying import deploy
from openclaw_pipelines.services.factory.gpu import gpu_sentence, gpu_trust, log_comparison, spot_rows
from openclaw_pipelines.services.factory.judging import ParityNotProvenError, judge_cycle
from openclaw_pipelines.services.factory.listing import SweepIncompleteError
from openclaw_pipelines.services.factory.sweeping import SHARD_KEYS, run_shard

TESTS = Path(__file__).resolve().parents[2]
GPU = "simulator"
SMALL = {
    "rows": 8, "first_day": "2025-04-09", "longest_hold_hours": 24, "least_trades": 1, "parity_rows": 1,
    "efficient_floor": 0, "growth_floor_bps": 0, "conservative_floor_bps": 0,
    "spaces": {"momentum": {"momentum_lookback": {"low": 4, "high": 8}, "ema_slow": {"low": 4, "high": 8},
                            "stop_atr": [3.0, 5.0], "max_hold_bars": [12, 24]}},
}  # fmt: skip
OTHERWISE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from factory_scene import RECIPE, open_scene
from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.services.factory.comparing import compare_cycle
from openclaw_pipelines.services.factory.cycle import Cycle, reopen_cycle
from openclaw_pipelines.services.factory.gpu import GpuDiffersError, sweeping_gpu
from openclaw_pipelines.services.factory.sweeping import run_shard

real, said = cuda.sweep_under, []
def dearer(bars, rows, terms, *given):
    costs = replace(terms.costs, slippage_bps=terms.costs.slippage_bps + 1)
    return real(bars, rows, replace(terms, costs=costs), *given)
def one_atom_more(*given, **named):
    found = real(*given, **named)
    found.day_equity[0, -1] += 1
    return found
scene, (task, sweep) = open_scene(Path(sys.argv[2])), sys.argv[3:5]
cuda.sweep_under = {"real": real, "dearer": dearer, "one_atom_more": one_atom_more}[sweep]
if task == "compare":
    cycle_id, = scene.rows("factory_cycles").filter(recipe=RECIPE).sort("recorded_at")["cycle_id"].to_list()[-1:]
    compare_cycle(*reopen_cycle(scene.world, cycle_id), said.append)
elif task == "ask":
    said += sweeping_gpu(scene.begun())
else:
    cycle = scene.begun()
    for shard in task.split(","):
        try:
            run_shard(cycle, shard, said.append)
        except GpuDiffersError as error:
            said.append(str(error))
print(json.dumps(said))
"""


def on_gpu(scene, task: str = "compare", sweep: str = "real", **environment: str) -> list[str]:
    """Compare the newest cycle, or run shards, in the simulator or another environment; what was said."""
    environment = environment or {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", OTHERWISE, str(TESTS), str(scene.folder), task, sweep],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def small_strategy(tree) -> None:
    strategy = tree["strategies"][STRATEGY]
    strategy["symbols"] = SYMBOLS[:2]
    strategy["params"].update(volatility_length=6, atr_length=4)


@pytest.fixture(scope="session")
def small_market(tmp_path_factory):
    """A market with an edge, five days of it to search. Nobody may write to it."""
    scene = factory_scene(tmp_path_factory.mktemp("gpu") / "market", drift=0.2, **SMALL)
    scene.configure(small_strategy)
    return scene


@pytest.fixture(scope="session")
def small_compared(small_market, tmp_path_factory):
    """The same after sweep, replays and parity, on the CPU. Nobody may write to it."""
    scene = copied(small_market, tmp_path_factory.mktemp("gpu") / "compared")
    scene.compared()
    return scene


@pytest.fixture
def scene(small_compared, copy):
    return copy(small_compared)


def gpu_rows(scene) -> list[dict]:
    """Reports of what was run, without planted ones."""
    rows = scene.rows("parity_reports").filter(pl.col("cycle_id").str.starts_with(f"{RECIPE}-"), comparison="cpu_gpu")
    return rows.sort("sample", descending=True).to_dicts()


def state(scene) -> tuple[str, str | None, str | None]:
    row = scene.rows("factory_cycles").filter(recipe=RECIPE).sort("recorded_at").to_dicts()[-1]
    return row["state"], row["blocked_by"], row["reason"]


def logged(scene, *cycle_ids: str, **changes) -> None:
    """Compared cycles of earlier days, in which the GPU agreed unless changed."""
    for cycle_id in cycle_ids:
        plant(scene, cycle_id=cycle_id)
        row = {
            "cycle_id": cycle_id, "recorded_at": cycle_row()["updated_at"], "code_version": sources_hash(),
            "number": scene.rows("gpu_comparisons").height + 1, "shard": None, "device": GPU, "compared": 22,
            "differing": 0, **changes,
        }  # fmt: skip
        with scene.store.write("research") as con:
            insert(con, "gpu_comparisons", TABLES["gpu_comparisons"].frame([row]))


class TestComparison:
    @pytest.mark.slow
    def test_without_a_device_nothing_is_compared_and_that_is_said(self, scene) -> None:
        said = on_gpu(scene, CUDA_VISIBLE_DEVICES="-1")
        assert any(line.startswith("CPU and GPU are not compared: ") for line in said)
        assert gpu_rows(scene) == []
        assert state(scene)[0] == "compared"
        assert gpu_sentence(scene.world, scene.begun().cycle_id) == "none took part"

    def test_shortlist_and_sample_are_equal_to_the_last_bit(self, scene) -> None:
        swept = {row["params_hash"]: row["bits_hash"] for row in scene.rows("sweep_results").to_dicts()}
        assert "sweeping 2 compared rows on simulator too" in on_gpu(scene)
        rows = gpu_rows(scene)
        assert [(row["sample"], row["verdict"], row["device"]) for row in rows] == [
            ("shortlist", "EQUAL", GPU), ("random", "EQUAL", GPU),
        ]  # fmt: skip
        assert all(row["left_hash"] == row["right_hash"] == swept[row["params_hash"]] for row in rows)
        assert all(row["left_contract"] == row["right_contract"] for row in rows)
        assert state(scene)[0] == "compared"
        cycle = scene.begun()
        assert examining.parity_equal(scene.world, cycle.cycle_id).passed
        assert gpu_sentence(scene.world, cycle.cycle_id) == (
            "simulator agreed with the CPU in 2 rows; "
            "simulator is not trusted: it agreed in 1 of the 3 cycles in a row that are required"
        )
        assert judge_cycle(cycle)

    @pytest.mark.parametrize(
        ("sweep", "verdict", "differing", "bad"),
        [
            pytest.param("one_atom_more", "REDUCTION_ORDER", ["day_equity"], 1, id="one atom", marks=pytest.mark.slow),
            pytest.param("dearer", "STATE_MACHINE", ["events_digest"], 2, id="another slippage"),
        ],
    )
    def test_a_gpu_that_finds_otherwise_blocks(self, scene, sweep, verdict, differing, bad) -> None:
        on_gpu(scene, sweep=sweep)
        failed = [row for row in gpu_rows(scene) if row["verdict"] != "EQUAL"]
        assert [row["verdict"] for row in failed] == [verdict] * bad
        assert json.loads(failed[0]["differing"]) == differing
        first = json.loads(failed[0]["first_difference"])
        assert first["symbol"] in SYMBOLS[:2]
        gained = int(first["right"]) - int(first["left"])
        assert gained == 1 if sweep == "one_atom_more" else gained < 0
        others = scene.rows("parity_reports").filter(pl.col("comparison") != "cpu_gpu")
        assert set(others["verdict"]) == {"EQUAL"}
        self.refused(scene, verdict)
        assert state(scene)[2].startswith(f"cpu_gpu of {failed[0]['params_hash'][:12]}: {verdict}, {first['symbol']}")
        # a machine without a GPU cannot make it good
        compare_cycle(*reopen_cycle(scene.world, scene.begun().cycle_id))
        self.refused(scene, verdict)
        assert "on simulator did not hold and was not made again; compare it where the GPU" in state(scene)[2]
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 0
        # one that agrees can
        on_gpu(scene)
        assert state(scene)[0] == "compared"

    def refused(self, scene, verdict: str) -> None:
        cycle = scene.begun()
        assert state(scene)[:2] == ("blocked", f"parity: {verdict}")
        assert not examining.parity_equal(scene.world, cycle.cycle_id).passed
        with pytest.raises(ParityNotProvenError, match="cpu_gpu"):
            judge_cycle(cycle)
        with pytest.raises(HandOverError):
            deploy(scene.world, cycle.cycle_id)

    @pytest.mark.slow
    def test_what_another_machines_gpu_found_stays(self, small_compared, small_market, copy) -> None:
        """The candidate's shard by a trusted GPU, the others by the CPU, whose rows only a machine with it compares."""
        listed = small_compared.rows("shortlist").filter(status="candidate")["params_hash"][0]
        (by_gpu,) = small_compared.rows("sweep_results").filter(params_hash=listed)["shard"].unique()
        scene = asked(small_market, copy)
        logged(scene, "cycle1", "cycle2", "cycle3")
        on_gpu(scene, by_gpu)
        scene.compared()
        swept = scene.rows("parity_reports").filter(
            pl.col("cycle_id").str.starts_with(RECIPE), comparison="sweep_replay"
        )
        assert set(swept["device"]) == {GPU, None}
        assert gpu_rows(scene) == [], "what the GPU swept is compared with replays"
        on_gpu(scene, sweep="dearer")
        failed = gpu_rows(scene)
        assert [row["verdict"] for row in failed] == ["STATE_MACHINE"]
        assert by_gpu not in scene.rows("sweep_shards")["shard"].to_list(), "what it swept itself is dropped"
        scene.compared(scene.replayed(scene.listed()))
        assert gpu_rows(scene) == failed
        self.refused(scene, "STATE_MACHINE")

    def test_where_the_cpu_disagrees_with_itself_no_gpu_is_asked(self, scene) -> None:
        scene.configure(lambda tree: tree.update(costs={"slippage_bps": 3}))
        said = on_gpu(scene)
        assert not any("sweeping" in line for line in said)
        assert gpu_rows(scene) == []
        assert state(scene)[1] == "parity: INVALID_COMPARISON"
        assert scene.rows("gpu_comparisons")["device"].to_list() == [None], "the one of the first comparison"


class TestTrust:
    def test_three_cycles_in_a_row_earn_it_and_one_difference_takes_it(self, small_market, copy) -> None:
        scene = copy(small_market)
        for n in range(1, 4):
            logged(scene, f"cycle{n}")
            trust = gpu_trust(scene.world, RECIPE, GPU)
            assert (trust.passed, trust.trusted) == (n, n == 3)
        assert gpu_trust(scene.world, "another recipe", GPU).passed == 0
        logged(scene, "cycle4", differing=1)
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 0

    def test_a_difference_counts_when_it_was_found_though_the_days_are_older(self, small_market, copy) -> None:
        scene = copy(small_market)
        logged(scene, "cycle1", "cycle2", "cycle3")
        plant(scene, cycle_id="old", holdout_end=cycle_row()["holdout_start"])
        log_comparison(Cycle(scene.world, RECIPE, "old"), GPU, 22, 1)
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 0
        log_comparison(Cycle(scene.world, RECIPE, "old"), GPU, 22, 0)
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 1, "comparing again does not undo what was found"

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"device": "another GPU"}, id="another GPU"),
            pytest.param({"code_version": "old"}, id="other sources"),
            pytest.param({"device": None, "compared": 0}, id="no GPU"),
        ],
    )
    def test_what_is_about_something_else_starts_the_count_again(self, small_market, copy, changes) -> None:
        scene = copy(small_market)
        logged(scene, "cycle1", "cycle2")
        logged(scene, "cycle3", **changes)
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 0

    def test_a_cycle_compared_again_without_a_gpu_keeps_what_was_found(self, small_market, copy) -> None:
        scene = copy(small_market)
        logged(scene, "cycle1", "cycle2", "cycle3")
        log_comparison(Cycle(scene.world, RECIPE, "cycle3"), None, 0, 0)
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 3
        plant(scene, cycle_id="cycle4")
        log_comparison(Cycle(scene.world, RECIPE, "cycle4"), None, 0, 0)
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 0


def asked(small_market, copy):
    """A scene whose recipe asks for the GPU."""
    scene = copy(small_market)
    scene.configure(lambda tree: tree["factory"][RECIPE].update(device="gpu"))
    return scene


class TestSweep:
    def test_it_is_the_same_cycle_on_either_device(self, small_market, copy) -> None:
        assert asked(small_market, copy).begun().cycle_id == Cycle(small_market.world, RECIPE).cycle_id

    @pytest.mark.slow
    def test_the_cpu_sweeps_until_it_is_trusted_and_where_there_is_none(self, small_market, copy) -> None:
        scene = asked(small_market, copy)
        logged(scene, "cycle1", "cycle2")
        why = "simulator is not trusted: it agreed in 2 of the 3 cycles in a row that are required"
        assert on_gpu(scene, "ask") == [None, f"the CPU sweeps: {why}"]
        logged(scene, "cycle3")
        assert on_gpu(scene, "ask") == [
            GPU, "simulator is trusted: it agreed in 3 cycles in a row, 3 are required",
        ]  # fmt: skip
        said = on_gpu(scene, "2-of-8", CUDA_VISIBLE_DEVICES="-1")
        assert said[0].startswith("shard 2-of-8: the CPU sweeps: ")
        assert "not trusted" not in said[0]
        assert scene.rows("sweep_shards")["device"].to_list() == [None]

    @pytest.mark.slow
    def test_a_trusted_one_sweeps_and_the_cpu_compares(self, small_compared, small_market, copy) -> None:
        scene = asked(small_market, copy)
        logged(scene, "cycle1", "cycle2", "cycle3")
        said = on_gpu(scene, ",".join(SHARD_KEYS))
        assert said[0].startswith("shard 1-of-8: simulator is trusted")
        assert "shard 2-of-8: replays of 1 of its 1 rows found the same" in said
        assert scene.rows("sweep_shards")["device"].to_list() == [GPU] * 8
        for table in ("sweep_shards", "sweep_results"):
            own, other = (
                each.rows(table).drop("recorded_at", "rate", "device", strict=False) for each in (scene, small_compared)
            )
            assert own.equals(other), "the CPU found the same bytes"
        cycle = scene.compared(scene.replayed(scene.listed()))
        swept = scene.rows("parity_reports").filter(pl.col("cycle_id") == cycle.cycle_id, comparison="sweep_replay")
        assert [(row["verdict"], row["device"]) for row in swept.to_dicts()] == [("EQUAL", GPU)] * 2
        assert gpu_rows(scene) == []
        assert gpu_sentence(scene.world, cycle.cycle_id) == (
            "simulator swept 8 shards; simulator agreed with the CPU in 2 rows; "
            "simulator is trusted: it agreed in 4 cycles in a row, 3 are required"
        )

    @pytest.mark.slow
    def test_a_shard_that_it_swept_otherwise_goes_with_all_that_it_swept(self, small_market, copy) -> None:
        scene = asked(small_market, copy)
        logged(scene, "cycle1", "cycle2", "cycle3")
        on_gpu(scene, "1-of-8,3-of-8")
        assert run_shard(scene.begun(), "2-of-8").device is None, "this process has no GPU"
        said = on_gpu(scene, "4-of-8", "one_atom_more")
        assert "simulator and the CPU differ in 1 of 1 rows" in said[-1]
        for table in ("sweep_shards", "sweep_results", "trial_counts"):
            assert set(scene.rows(table)["shard"]) == {"2-of-8"}, "what the CPU swept stays"
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 0
        assert gpu_trust(scene.world, "another recipe", GPU).passed == 0
        assert gpu_sentence(scene.world, scene.begun().cycle_id).startswith(
            "simulator differed from the CPU in 1 of 1 rows of shard 4-of-8; simulator is not trusted"
        )
        assert on_gpu(scene, "ask")[0] is None
        scene.swept()
        assert scene.rows("sweep_shards")["device"].to_list() == [None] * 8

    @pytest.mark.slow
    def test_a_replay_that_differs_from_what_it_swept_blocks_until_the_cpu_swept(self, small_market, copy) -> None:
        scene = asked(small_market, copy)
        logged(scene, "cycle1", "cycle2", "cycle3")
        on_gpu(scene, ",".join(SHARD_KEYS))
        cycle = scene.replayed(scene.listed())
        listed = scene.rows("shortlist").filter(status="candidate", cycle_id=cycle.cycle_id)["params_hash"][0]
        # a row that no spot replay saw
        scene.sql("research", "UPDATE sweep_results SET bits_hash = 'f00d' WHERE params_hash = ?", [listed])
        scene.compared(cycle)
        status, blocked_by, why = state(scene)
        assert (status, blocked_by) == ("blocked", "parity: REDUCTION_ORDER")
        assert why.endswith("What the GPU swept is dropped; run the cycle again, the CPU sweeps it")
        newest = scene.rows("gpu_comparisons").sort("number").to_dicts()[-1]
        assert (newest["device"], newest["compared"], newest["differing"]) == (GPU, 2, 1)
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 0
        with pytest.raises(SweepIncompleteError, match="1-of-8, 2-of-8"):
            scene.compared(cycle)
        scene.compared(scene.replayed(scene.listed()))
        assert scene.rows("sweep_shards")["device"].to_list() == [None] * 8
        assert state(scene)[0] == "compared"

    @pytest.mark.slow
    def test_what_cannot_be_compared_is_not_the_gpus_fault(self, small_market, copy) -> None:
        scene = asked(small_market, copy)
        logged(scene, "cycle1", "cycle2", "cycle3")
        on_gpu(scene, ",".join(SHARD_KEYS))
        cycle = scene.compared(scene.replayed(scene.listed()))
        before = scene.rows("gpu_comparisons")
        assert before.sort("number")["compared"].to_list() == [22, 22, 22, 2]
        scene.configure(lambda tree: tree.update(costs={"slippage_bps": 3}))
        scene.compared(cycle)
        assert state(scene)[1] == "parity: INVALID_COMPARISON"
        assert scene.rows("gpu_comparisons").equals(before)
        assert scene.rows("sweep_shards").height == 8

    def test_devices_that_disagree_on_a_shard_are_logged_and_neither_stays(self, small_market, copy) -> None:
        """A shard that a GPU stored while the CPU was sweeping it."""
        scene = asked(small_market, copy)
        logged(scene, "cycle1", "cycle2", "cycle3")
        cycle = scene.begun()
        run_shard(cycle, "1-of-8")
        scene.sql("research", f"UPDATE sweep_shards SET device = '{GPU}', content_hash = 'f00d'")
        stored = sweeping.shard_row
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweeping, "shard_row", lambda *given: None)
            with pytest.raises(sweeping.ShardDiffersError, match=r"content f00d by simulator, .* by the CPU"):
                run_shard(cycle, "1-of-8")
        assert stored(cycle, "1-of-8") is None
        assert gpu_trust(scene.world, RECIPE, GPU).passed == 0

    @pytest.mark.parametrize(
        ("parity_rows", "rows", "count"), [(0, 100, 0), (20, 100, 3), (800, 1_000, 100), (800, 40, 40), (20, 1, 1)]
    )
    def test_an_eighth_of_the_sample_and_the_first_row_are_replayed(
        self, small_market, copy, parity_rows, rows, count
    ) -> None:
        scene = copy(small_market)
        scene.configure(lambda tree: tree["factory"][RECIPE].update(parity_rows=parity_rows))
        cycle = Cycle(scene.world, RECIPE)
        drawn = spot_rows(cycle, "3-of-8", rows)
        assert drawn[0] == 0
        assert set(drawn) <= set(range(rows))
        assert len(drawn) in (max(count, 1), min(count + 1, rows))
        assert drawn == spot_rows(cycle, "3-of-8", rows)
        assert (drawn == spot_rows(cycle, "4-of-8", rows)) == (count in (0, rows))
