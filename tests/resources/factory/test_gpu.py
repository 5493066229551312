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
from factory_world import RECIPE, STRATEGY, SYMBOLS, copied, factory_world
from planted_cycle import candidate, cycle_row, plant, report_row

from openclaw_pipelines.contracts.schema import TABLES
from openclaw_pipelines.domain.lifecycle.hand_over import HandOverError
from openclaw_pipelines.kernel.compile_cache import sources_hash
from openclaw_pipelines.resources.factory import examining
from openclaw_pipelines.resources.factory.comparing import compare_cycle
from openclaw_pipelines.resources.factory.cycle import Cycle, reopen_cycle
from openclaw_pipelines.resources.factory.deploying import deploy
from openclaw_pipelines.resources.factory.gpu import gpu_sentence, gpu_trust
from openclaw_pipelines.resources.factory.judging import ParityNotProvenError, judge_cycle
from openclaw_pipelines.resources.store import insert

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
from factory_world import RECIPE, open_world
from openclaw_pipelines.kernel import cuda
from openclaw_pipelines.resources.factory.comparing import compare_cycle
from openclaw_pipelines.resources.factory.cycle import Cycle, reopen_cycle
from openclaw_pipelines.resources.factory.sweeping import run_shard

real, said = cuda.sweep, []
def dearer(bars, rows, costs, **given):
    return real(bars, rows, replace(costs, slippage_bps=costs.slippage_bps + 1), **given)
def one_atom_more(*given, **named):
    found = real(*given, **named)
    found.day_equity[0, -1] += 1
    return found
world, (task, sweep) = open_world(Path(sys.argv[2])), sys.argv[3:5]
cuda.sweep = {"real": real, "dearer": dearer, "one_atom_more": one_atom_more}[sweep]
if task == "compare":
    cycle_id, = world.rows("factory_cycles").filter(recipe=RECIPE).sort("recorded_at")["cycle_id"].to_list()[-1:]
    compare_cycle(*reopen_cycle(world.autopilot, cycle_id), said.append)
else:
    cycle = world.begun()
    for shard in task.split(","):
        run_shard(cycle, shard, said.append)
print(json.dumps(said))
"""


def on_gpu(world, task: str = "compare", sweep: str = "real", **environment: str) -> list[str]:
    """Compare the newest cycle, or run shards, in the simulator or another environment; what was said."""
    environment = environment or {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", OTHERWISE, str(TESTS), str(world.folder), task, sweep],
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
    world = factory_world(tmp_path_factory.mktemp("gpu") / "market", drift=0.2, **SMALL)
    world.configure(small_strategy)
    return world


@pytest.fixture(scope="session")
def small_compared(small_market, tmp_path_factory):
    """The same after sweep, replays and parity, on the CPU. Nobody may write to it."""
    world = copied(small_market, tmp_path_factory.mktemp("gpu") / "compared")
    world.compared()
    return world


@pytest.fixture
def world(small_compared, copy):
    return copy(small_compared)


def gpu_rows(world) -> list[dict]:
    """Reports of what was run, without planted ones."""
    rows = world.rows("parity_reports").filter(pl.col("cycle_id").str.starts_with(f"{RECIPE}-"), comparison="cpu_gpu")
    return rows.sort("sample", descending=True).to_dicts()


def state(world) -> tuple[str, str | None, str | None]:
    row = world.rows("factory_cycles").filter(recipe=RECIPE).sort("recorded_at").to_dicts()[-1]
    return row["state"], row["blocked_by"], row["reason"]


def agreed(world, *cycle_ids: str, device: str = GPU, **changes) -> None:
    """Cycles of earlier days in which the GPU agreed, or did not."""
    for cycle_id in cycle_ids:
        plant(world, cycle_id=cycle_id)
        row = {
            "cycle_id": cycle_id, "recorded_at": cycle_row()["updated_at"], "params_hash": candidate()["params_hash"],
            **report_row("cpu_gpu"), "device": device, "code_version": sources_hash(), **changes,
        }  # fmt: skip
        with world.store.write("research") as con:
            insert(con, "parity_reports", TABLES["parity_reports"].frame([row]))


class TestComparison:
    @pytest.mark.slow
    def test_without_a_device_nothing_is_compared_and_that_is_said(self, world) -> None:
        said = on_gpu(world, CUDA_VISIBLE_DEVICES="-1")
        assert any(line.startswith("CPU and GPU are not compared: ") for line in said)
        assert gpu_rows(world) == []
        assert state(world)[0] == "compared"
        assert gpu_sentence(world.autopilot, world.begun().cycle_id) == "none took part"

    def test_shortlist_and_sample_are_equal_to_the_last_bit(self, world) -> None:
        swept = {row["params_hash"]: row["bits_hash"] for row in world.rows("sweep_results").to_dicts()}
        assert "sweeping 2 compared rows on simulator too" in on_gpu(world)
        rows = gpu_rows(world)
        assert [(row["sample"], row["verdict"], row["device"]) for row in rows] == [
            ("shortlist", "EQUAL", GPU), ("random", "EQUAL", GPU),
        ]  # fmt: skip
        assert all(row["left_hash"] == row["right_hash"] == swept[row["params_hash"]] for row in rows)
        assert all(row["left_contract"] == row["right_contract"] for row in rows)
        assert state(world)[0] == "compared"
        cycle = world.begun()
        assert examining.parity_equal(world.autopilot, cycle.cycle_id).passed
        assert gpu_sentence(world.autopilot, cycle.cycle_id) == (
            "simulator agreed with the CPU in 2 of 2 rows; "
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
    def test_a_gpu_that_finds_otherwise_blocks(self, world, sweep, verdict, differing, bad) -> None:
        on_gpu(world, sweep=sweep)
        failed = [row for row in gpu_rows(world) if row["verdict"] != "EQUAL"]
        assert [row["verdict"] for row in failed] == [verdict] * bad
        assert json.loads(failed[0]["differing"]) == differing
        first = json.loads(failed[0]["first_difference"])
        assert first["symbol"] in SYMBOLS[:2]
        gained = int(first["right"]) - int(first["left"])
        assert gained == 1 if sweep == "one_atom_more" else gained < 0
        others = world.rows("parity_reports").filter(pl.col("comparison") != "cpu_gpu")
        assert set(others["verdict"]) == {"EQUAL"}
        self.refused(world, verdict)
        assert state(world)[2].startswith(f"cpu_gpu of {failed[0]['params_hash'][:12]}: {verdict}, {first['symbol']}")
        # a machine without a GPU cannot make it good
        compare_cycle(*reopen_cycle(world.autopilot, world.begun().cycle_id))
        self.refused(world, verdict)
        assert state(world)[2].endswith("on simulator did not hold, and was not made again")
        assert gpu_trust(world.autopilot, RECIPE, GPU).passed == 0
        # one that agrees can
        on_gpu(world)
        assert state(world)[0] == "compared"

    def refused(self, world, verdict: str) -> None:
        cycle = world.begun()
        assert state(world)[:2] == ("blocked", f"parity: {verdict}")
        assert not examining.parity_equal(world.autopilot, cycle.cycle_id).passed
        with pytest.raises(ParityNotProvenError, match="cpu_gpu"):
            judge_cycle(cycle)
        with pytest.raises(HandOverError):
            deploy(world.autopilot, cycle.cycle_id)

    def test_another_contract_is_neither_pass_nor_fail(self, world) -> None:
        world.configure(lambda tree: tree.update(costs={"slippage_bps": 3}))
        said = on_gpu(world)
        assert not any(line.startswith("sweeping") for line in said), "there is nothing to compare"
        assert [row["verdict"] for row in gpu_rows(world)] == ["INVALID_COMPARISON"] * 2
        assert all("costs" in json.loads(row["differing"]) for row in gpu_rows(world))
        assert state(world)[1] == "parity: INVALID_COMPARISON"


class TestTrust:
    def test_three_cycles_in_a_row_earn_it_and_one_difference_takes_it(self, small_market, copy) -> None:
        world = copy(small_market)
        for n in range(1, 4):
            agreed(world, f"cycle{n}")
            trust = gpu_trust(world.autopilot, RECIPE, GPU)
            assert (trust.passed, trust.trusted) == (n, n == 3)
        assert gpu_trust(world.autopilot, "another recipe", GPU).passed == 0
        agreed(world, "cycle4", right_hash="other")
        assert gpu_trust(world.autopilot, RECIPE, GPU).passed == 0, "the verdict says equal, the two sides are not"

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"device": "another GPU"}, id="another GPU"),
            pytest.param({"code_version": "old"}, id="other sources"),
            pytest.param({"right_contract": "other"}, id="not comparable"),
        ],
    )
    def test_what_is_about_something_else_does_not_count(self, small_market, copy, changes) -> None:
        world = copy(small_market)
        agreed(world, "cycle1", "cycle2")
        agreed(world, "cycle3", **changes)
        assert gpu_trust(world.autopilot, RECIPE, GPU).passed == 0

    def test_a_compared_cycle_without_the_gpu_starts_the_count_again(self, small_market, copy) -> None:
        world = copy(small_market)
        agreed(world, "cycle1", "cycle2", "cycle3")
        world.begun()
        assert gpu_trust(world.autopilot, RECIPE, GPU).passed == 3, "a cycle that compared nothing yet does not"
        plant(world, cycle_id="cycle4")
        assert gpu_trust(world.autopilot, RECIPE, GPU).passed == 0


class TestSweep:
    def asked(self, small_market, copy):
        world = copy(small_market)
        world.configure(lambda tree: tree["factory"][RECIPE].update(device="gpu"))
        return world

    def test_it_is_the_same_cycle_on_either_device(self, small_market, copy) -> None:
        assert self.asked(small_market, copy).begun().cycle_id == Cycle(small_market.autopilot, RECIPE).cycle_id

    @pytest.mark.slow
    def test_the_cpu_sweeps_where_there_is_none_and_until_it_is_trusted(self, small_market, copy) -> None:
        world = self.asked(small_market, copy)
        said = on_gpu(world, "1-of-8", CUDA_VISIBLE_DEVICES="-1")
        assert said[0].startswith("shard 1-of-8: the CPU sweeps: ")
        agreed(world, "cycle1", "cycle2")
        assert gpu_trust(world.autopilot, RECIPE, GPU).passed == 2
        assert world.rows("sweep_shards")["device"].to_list() == [None]

    @pytest.mark.slow
    def test_a_trusted_one_sweeps_and_the_cpu_compares(self, small_compared, small_market, copy) -> None:
        world = self.asked(small_market, copy)
        agreed(world, "cycle1", "cycle2", "cycle3")
        said = on_gpu(world, ",".join(f"{n}-of-8" for n in range(1, 9)))
        assert said[0].startswith("shard 1-of-8: simulator is trusted")
        assert world.rows("sweep_shards")["device"].to_list() == [GPU] * 8
        for table in ("sweep_shards", "sweep_results"):
            own, other = (
                each.rows(table).drop("recorded_at", "rate", "device", strict=False) for each in (world, small_compared)
            )
            assert own.equals(other), "the CPU found the same bytes"
        cycle = world.compared(world.replayed(world.listed()))
        assert [(row["verdict"], row["device"]) for row in gpu_rows(world)] == [("EQUAL", GPU)] * 2
        assert gpu_sentence(world.autopilot, cycle.cycle_id).startswith(
            "simulator swept 8 shards; simulator agreed with the CPU in 2 of 2 rows; simulator is trusted"
        )

    @pytest.mark.slow
    def test_what_a_gpu_swept_wrongly_is_caught_without_one(self, small_market, copy) -> None:
        world = self.asked(small_market, copy)
        agreed(world, "cycle1", "cycle2", "cycle3")
        on_gpu(world, ",".join(f"{n}-of-8" for n in range(1, 9)), "one_atom_more")
        world.compared(world.replayed(world.listed()))
        assert "REDUCTION_ORDER" in {row["verdict"] for row in gpu_rows(world)}
        assert state(world)[:2] == ("blocked", "parity: REDUCTION_ORDER")
        assert gpu_trust(world.autopilot, RECIPE, GPU).passed == 0
