"""A whole cycle over the store: identity, resuming, hand-overs, parity with its twins, gates, deployment."""

import json

import numpy as np
import polars as pl
import pytest
from factory_scene import RECIPE, STRATEGY, SYMBOLS, factory_scene

from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.domain.factory.contract import CycleContractError, ParamsChangedError
from openclaw_pipelines.domain.lifecycle.hand_over import HandOverError
from openclaw_pipelines.domain.lifecycle.log import step_to
from openclaw_pipelines.domain.selection.gate_limits import GateLimits
from openclaw_pipelines.services.factory import examining
from openclaw_pipelines.services.factory.cycle import Cycle, UnknownCycleError, UnknownRecipeError, open_cycle
from openclaw_pipelines.services.factory.deploying import deploy
from openclaw_pipelines.services.factory.judging import ParityNotProvenError, gather, judge_cycle
from openclaw_pipelines.services.factory.listing import SweepIncompleteError, list_rows, shortlisted
from openclaw_pipelines.services.factory.market_data import MarketDaysMissingError
from openclaw_pipelines.services.factory.parity_rows import parity_rows
from openclaw_pipelines.services.factory.replaying import ReplayDiffersError, replay_candidates
from openclaw_pipelines.services.factory.sweeping import SHARD_KEYS, EarlierShardsError, run_shard, sweep_hash
from openclaw_pipelines.services.lifecycle.book import DeploymentBook

TRAIN_BAR = "2025-03-20 12:00:00+00"


def state(scene, cycle_id: str | None = None) -> tuple[str, str | None]:
    rows = scene.rows("factory_cycles").to_dicts()
    row = next(row for row in rows if cycle_id in (None, row["cycle_id"]))
    return row["state"], row["blocked_by"]


def blocked_alerts(scene) -> list[tuple[str, str]]:
    rows = scene.rows("notifications_outbox").filter(kind="blocked_cycle").to_dicts()
    return [(row["notification_key"], row["subject"]) for row in rows]


def flip_bar(scene, at: str = TRAIN_BAR) -> None:
    """Another close of one bar, still between its low and high."""
    scene.sql(
        "market",
        "UPDATE candles SET close = CASE WHEN close = low THEN high ELSE low END "
        "WHERE symbol = ? AND interval = '1h' AND ts = ?",
        [SYMBOLS[0], at],
    )


def slip_more(tree) -> None:
    tree["costs"] = {"slippage_bps": 3}


def content(scene) -> str:
    rows = scene.rows("sweep_shards").to_dicts()
    return sweep_hash(rows[0]["cycle_id"], rows)


class TestIdentity:
    def test_the_same_contract_is_the_same_cycle(self, edge_market, copy) -> None:
        scene = copy(edge_market)
        assert Cycle(scene.world, RECIPE).begin() == Cycle(edge_market.world, RECIPE).cycle_id
        scene.begun()
        assert scene.rows("factory_cycles").height == 1

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            pytest.param(slip_more, "costs", id="cost"),
            pytest.param(lambda t: t["factory"][RECIPE].update(seed=6), "space_hash", id="seed"),
            pytest.param(lambda t: t["factory"][RECIPE].update(rows=33), "space_hash", id="rows"),
            pytest.param(lambda t: t["factory"][RECIPE].update(holdout_days=23), "holdout", id="window"),
            pytest.param(lambda t: t["factory"][RECIPE].update(profile="freqtrade"), "profile", id="candle rules"),
            pytest.param(lambda t: t["gates"].update(least_trades=31), "gates", id="gate"),
            pytest.param(lambda t: t["risk"].update(max_order_notional=900), "limits_hash", id="limit"),
            pytest.param(lambda t: t["strategies"][STRATEGY].update(capital=9_000), "capital", id="capital"),
            pytest.param(lambda t: t["strategies"][STRATEGY]["params"].update(stop_atr=2), "incumbent", id="incumbent"),
        ],
    )
    def test_whatever_decides_makes_another_one_and_is_named(self, edge_market, copy, change, field) -> None:
        scene = copy(edge_market)
        before = scene.begun().cycle_id
        scene.configure(change)
        assert Cycle(scene.world, RECIPE).cycle_id != before
        with pytest.raises(CycleContractError) as caught:
            open_cycle(scene.world, before)
        assert field in caught.value.differing.split(", ")

    def test_a_flipped_bar_makes_another_one(self, edge_market, copy) -> None:
        scene = copy(edge_market)
        before = scene.begun().cycle_id
        flip_bar(scene)
        with pytest.raises(CycleContractError, match="bars_hash"):
            open_cycle(scene.world, before)

    def test_what_is_unknown_is_named(self, edge_market, copy) -> None:
        scene = copy(edge_market)
        with pytest.raises(UnknownRecipeError, match="Nearest: 'swing'"):
            Cycle(scene.world, "swings")
        with pytest.raises(UnknownCycleError):
            open_cycle(scene.world, "swing-1")

    @pytest.mark.parametrize("table", ["candle_coverage", "funding_coverage"])
    def test_days_that_nobody_asked_for_are_named(self, table, edge_market, copy) -> None:
        scene = copy(edge_market)
        scene.sql("market", f"DELETE FROM {table} WHERE day = '2025-03-19'")
        with pytest.raises(MarketDaysMissingError, match="was not asked for 2025-03-19"):
            scene.begun()


class TestSweep:
    def test_an_interrupted_sweep_goes_on_and_finds_the_same(self, edge_swept, edge_market, copy) -> None:
        scene = copy(edge_market)
        scene.swept(*SHARD_KEYS[5:], *SHARD_KEYS[:2])
        assert state(scene) == ("planned", None)
        with pytest.raises(SweepIncompleteError, match="3-of-8, 4-of-8, 5-of-8"):
            list_rows(scene.begun())
        cycle = scene.begun()
        reports = [run_shard(cycle, shard) for shard in SHARD_KEYS]
        assert [report.resumed for report in reports] == [True] * 2 + [False] * 3 + [True] * 3
        assert content(scene) == content(edge_swept)
        own = scene.rows("sweep_results").drop("recorded_at")
        assert own.equals(edge_swept.rows("sweep_results").drop("recorded_at"))
        assert state(scene) == ("swept", None)

    def test_every_trial_is_counted_once(self, edge_swept) -> None:
        counts, rows = edge_swept.rows("trial_counts"), edge_swept.rows("sweep_results")
        assert counts["trials"].sum() == rows.filter(pl.col("row_index") > 0).height
        assert counts["shard"].to_list() == list(SHARD_KEYS)
        assert rows.filter(pl.col("row_index") == 0)["params_hash"].to_list() == [
            Cycle(edge_swept.world, RECIPE).incumbent.params_hash
        ]

    def test_candidates_of_a_sweep_that_lost_a_shard_are_not_handed_over(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        cycle = scene.begun()
        assert shortlisted(cycle)
        scene.sql("research", "DELETE FROM sweep_shards WHERE shard = '4-of-8'")
        with pytest.raises(SweepIncompleteError, match="4-of-8"):
            shortlisted(cycle)

    @pytest.mark.slow
    def test_an_adaptive_search_learns_from_stored_batches_only(self, edge_market, copy) -> None:
        scene = copy(edge_market)
        scene.configure(lambda tree: tree["factory"][RECIPE].update(method="optuna", batches=2, rows=16))
        cycle = scene.swept("1-of-8", "3-of-8")
        with pytest.raises(EarlierShardsError) as caught:
            run_shard(cycle, "5-of-8")
        assert caught.value.missing == "2-of-8, 4-of-8"
        scene.swept("4-of-8", "2-of-8", "8-of-8", "6-of-8", "7-of-8", "5-of-8")
        first = content(scene)
        scene.sql("research", "DELETE FROM sweep_shards WHERE shard = '7-of-8'")
        scene.sql("research", "DELETE FROM trial_counts WHERE shard = '7-of-8'")
        scene.sql("research", "DELETE FROM sweep_results WHERE shard = '7-of-8'")
        scene.swept()
        assert content(scene) == first


class TestHandOver:
    def test_a_changed_parameter_is_a_named_error_at_every_step(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        values = json.loads(scene.rows("shortlist").filter(pl.col("status") == "candidate")["params"][0])
        values["stop_atr"] += 1.0
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        scene.sql("research", "UPDATE shortlist SET params = ? WHERE status = 'candidate'", [text])
        cycle = scene.begun()
        for step in (shortlisted, replay_candidates, judge_cycle):
            with pytest.raises(ParamsChangedError, match="the candidate's is"):
                step(cycle)
        assert not examining.parameters_unchanged(scene.world, cycle.cycle_id).passed
        with pytest.raises(ParamsChangedError):
            deploy(scene.world, cycle.cycle_id)

    def test_a_changed_parameter_with_its_own_hash_is_not_what_was_swept(self, edge_swept, copy) -> None:
        scene = copy(edge_swept)
        other = scene.rows("sweep_results").filter(pl.col("row_index") == 0).row(0, named=True)
        scene.sql(
            "research",
            "UPDATE shortlist SET params = ?, params_hash = ? WHERE status = 'candidate'",
            [other["params"], other["params_hash"]],
        )
        with pytest.raises(ParamsChangedError, match="sweep"):
            shortlisted(scene.begun())


class TestParity:
    def test_sweep_replay_and_single_steps_agree_to_the_bit(self, edge_proven) -> None:
        rows = edge_proven.rows("parity_reports")
        assert set(rows["verdict"]) == {"EQUAL"}
        candidates = edge_proven.rows("shortlist").filter(pl.col("status") == "candidate")["params_hash"].n_unique()
        counts = dict(rows.group_by("comparison", "sample").len().rows_by_key(("comparison", "sample")).items())
        assert {key: value[0][0] if isinstance(value[0], tuple) else value[0] for key, value in counts.items()} == {
            ("sweep_replay", "shortlist"): candidates,
            ("sweep_replay", "random"): 3,
            ("replay_stepping", "shortlist"): candidates,
        }
        assert state(edge_proven) == ("compared", None)
        assert blocked_alerts(edge_proven) == []

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            pytest.param(flip_bar, "bars_hash", id="flipped bar"),
            pytest.param(lambda scene: scene.configure(slip_more), "costs", id="changed cost"),
        ],
    )
    def test_another_contract_is_neither_pass_nor_fail_and_blocks(self, edge_swept, copy, change, field) -> None:
        scene = copy(edge_swept)
        own = scene.begun()
        change(scene)
        cycle = scene.compared(scene.replayed(own))
        reports = parity_rows(cycle)
        assert {row["verdict"] for row in reports} == {"INVALID_COMPARISON"}
        assert all(field in json.loads(row["differing"]) for row in reports)
        assert state(scene) == ("blocked", "parity: INVALID_COMPARISON")
        assert blocked_alerts(scene) == [(f"blocked_cycle:{own.cycle_id}:parity: INVALID_COMPARISON", own.cycle_id)]
        scene.compared(cycle)
        assert len(blocked_alerts(scene)) == 1, "compared again, it is blocked and was told"
        assert not examining.parity_equal(scene.world, own.cycle_id).passed
        with pytest.raises(ParityNotProvenError):
            judge_cycle(cycle)
        with pytest.raises((CycleContractError, HandOverError)):
            deploy(scene.world, own.cycle_id)

    def test_a_sweep_that_traded_otherwise_is_a_difference_of_the_state_machine(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        row = _candidate_row(scene)
        equity = np.frombuffer(row["day_equity"], "<i8").copy()
        equity[9:] += 1
        symbols = json.loads(row["symbols"])
        symbols[SYMBOLS[2]][1] += 1
        _tamper(scene, row, events_digest=row["events_digest"] + 1, day_equity=equity.tobytes(), symbols=symbols)
        found = next(own for own in parity_rows(scene.compared(scene.begun())) if own["verdict"] != "EQUAL")
        assert (found["comparison"], found["verdict"]) == ("sweep_replay", "STATE_MACHINE")
        first = json.loads(found["first_difference"])
        assert first["symbol"] == SYMBOLS[2]
        assert first["field"].startswith("equity at 2025-03-24T00:00:00Z")
        assert int(first["left"]) - int(first["right"]) == 1
        assert {name for name, kind in json.loads(found["symbols"]).items() if kind != "EQUAL"} == {SYMBOLS[2]}
        assert state(scene) == ("blocked", "parity: STATE_MACHINE")

    def test_equal_trades_with_other_totals_are_a_difference_of_the_order_of_sums(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        row = _candidate_row(scene)
        equity = np.frombuffer(row["day_equity"], "<i8").copy()
        equity[-1] += 1
        _tamper(scene, row, day_equity=equity.tobytes())
        found = next(own for own in parity_rows(scene.compared(scene.begun())) if own["verdict"] != "EQUAL")
        assert (found["verdict"], json.loads(found["differing"])) == ("REDUCTION_ORDER", ["day_equity"])
        assert state(scene) == ("blocked", "parity: REDUCTION_ORDER")

    def test_a_replay_that_was_changed_is_caught(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        scene.sql("research", "UPDATE replays SET content_hash = 'x' WHERE variant = 'holdout'")
        with pytest.raises(ReplayDiffersError, match="holdout replay"):
            judge_cycle(scene.begun())

    def test_reports_go_stale(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        own = scene.begun().cycle_id
        assert examining.parity_fresh(scene.world, own).passed
        flip_bar(scene)
        found = examining.parity_fresh(scene.world, own)
        assert not found.passed
        assert "the bars were" in found.sentence

    def test_a_candidate_without_a_report_is_not_judged(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        scene.sql("research", "DELETE FROM parity_reports WHERE comparison = 'replay_stepping'")
        with pytest.raises(ParityNotProvenError, match="no report of replay_stepping"):
            judge_cycle(scene.begun())


class TestVerdict:
    def test_an_edge_is_deployed_unchanged_and_once(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        cycle = scene.begun()
        judged = judge_cycle(cycle)
        assert state(scene) == ("validated", None)
        done = deploy(scene.world, cycle.cycle_id)
        assert (done.state, [row["stage"] for row in done.rows]) == ("deployed", ["paper"])
        deployed = scene.rows("deployments").filter(pl.col("to_state") == "paper").row(0, named=True)
        swept = scene.rows("sweep_results").filter(pl.col("params_hash") == deployed["params_hash"])
        assert swept["params"].to_list() == [deployed["params"]]
        assert deployed["params_hash"] == judged[0].candidate.params_hash
        rows = scene.rows("deployments").height
        assert deploy(scene.world, cycle.cycle_id).rows == []
        assert scene.rows("deployments").height == rows
        assert all(check[2](scene.world, cycle.cycle_id).passed for check in examining.CHECKS.values())
        assert Cycle(scene.world, RECIPE).incumbent.params_hash == cycle.incumbent.params_hash
        book = DeploymentBook(scene.world)
        with book.changing():
            step = step_to(book.position(deployed["strategy_config_id"]), Stage.PROMOTED, 5_000, "it earned")
            book.commit([step], trigger=Trigger.OPERATOR, actor="test", at=scene.world.clock.now())
        assert Cycle(scene.world, RECIPE).incumbent.params_hash == deployed["params_hash"]

    def test_evidence_is_known_by_every_look_and_every_trial(self, edge_proven, copy) -> None:
        """Both decide gates: another cycle that ran or looked since makes it other evidence."""
        scene = copy(edge_proven)
        cycle = scene.begun()
        listed = shortlisted(cycle)[0]
        known = [gather(cycle, listed, GateLimits())[1]]
        assert gather(cycle, listed, GateLimits())[1] == known[0]
        scene.sql("research", "INSERT INTO trial_counts SELECT * REPLACE ('another' AS cycle_id) FROM trial_counts")
        known.append(gather(cycle, listed, GateLimits())[1])
        scene.sql(
            "research",
            "INSERT INTO holdout_looks SELECT * REPLACE ('another' AS cycle_id, 'another:' || look_key AS look_key) "
            "FROM holdout_looks",
        )
        known.append(gather(cycle, listed, GateLimits())[1])
        assert len(set(known)) == 3

    def test_bars_that_changed_after_the_gates_stop_the_deployment(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        cycle = scene.begun()
        judge_cycle(cycle)
        flip_bar(scene)
        with pytest.raises(CycleContractError, match="bars_hash"):
            deploy(scene.world, cycle.cycle_id)
        assert scene.rows("deployments").is_empty()

    @pytest.mark.slow
    def test_a_second_search_of_the_same_days_cannot_promote_and_counts_all_trials(self, edge_proven, copy) -> None:
        scene = copy(edge_proven)
        judge_cycle(scene.begun())
        scene.configure(lambda tree: tree["factory"][RECIPE].update(seed=11))
        cycle = scene.compared()
        judged = judge_cycle(cycle)
        assert {own.verdict.blocked_by for own in judged} == {"unseen_holdout"}
        assert state(scene, cycle.cycle_id) == ("blocked", "unseen_holdout")
        luck = next(gate for gate in judged[0].gates if gate.name == "deflated_sharpe_raw")
        assert f"best of {scene.rows('trial_counts')['trials'].sum()} trials" in luck.reason

    def test_without_an_edge_a_named_gate_blocks(self, tmp_path) -> None:
        scene = factory_scene(tmp_path / "walk", drift=0.0, seed=2, least_trades=5)
        cycle = scene.listed()
        if state(scene)[0] == "shortlisted":
            judge_cycle(scene.compared(scene.replayed(cycle)))
        status, blocked_by = state(scene)
        assert status == "blocked"
        assert blocked_by
        with pytest.raises(HandOverError):
            deploy(scene.world, cycle.cycle_id)
        assert scene.rows("deployments").is_empty()

    def test_an_incumbent_that_no_candidate_beats_holds(self, edge_market, copy) -> None:
        scene = copy(edge_market)
        floors = {"efficient_floor": 50, "growth_floor_bps": 10_000, "conservative_floor_bps": 10_000}
        scene.configure(lambda tree: tree["factory"][RECIPE].update(floors))
        cycle = scene.listed()
        assert state(scene) == ("incumbent_holds", None)
        assert replay_candidates(cycle) == []
        done = deploy(scene.world, cycle.cycle_id)
        assert (done.state, done.rows) == ("incumbent_holds", [])
        assert examining.gates_passed(scene.world, cycle.cycle_id).passed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_no_random_walk_deploys(tmp_path, seed) -> None:
    scene = factory_scene(tmp_path / "walk", drift=0.0, seed=100 + seed, least_trades=5, rows=64, per_channel=2)
    cycle = scene.listed()
    if state(scene)[0] == "shortlisted":
        judge_cycle(scene.compared(scene.replayed(cycle)))
    assert state(scene)[0] in ("blocked", "incumbent_holds")


def _candidate_row(scene) -> dict:
    number = scene.rows("shortlist").filter(pl.col("status") == "candidate")["row_index"][0]
    return scene.rows("sweep_results").filter(pl.col("row_index") == number).row(0, named=True)


def _tamper(scene, row, symbols=None, **values) -> None:
    """Another result of one stored row of the sweep, as a sweep with a defect would have left it."""
    values |= {"bits_hash": "0" * 64, "symbols": json.dumps(symbols) if symbols else row["symbols"]}
    assignments = ", ".join(f"{name} = ?" for name in values)
    scene.sql(
        "research",
        f"UPDATE sweep_results SET {assignments} WHERE row_index = ?",
        [*values.values(), row["row_index"]],
    )
