"""Ways to forge what a cycle left. Each is seen by a check and stops the deployment; the honest twin deploys.

A forger who knows the log writes it anew after what was changed, so that its chain is whole again: then what is
computed again must see it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from factory_scene import RECIPE, copied

from openclaw_pipelines.contracts.factory import Logged
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import FactoryLogRow
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.factory.contract import ParamsChangedError
from openclaw_pipelines.domain.factory.log import NOTHING_LOGGED, SUBJECTS, BrokenFactoryLogError, Piece, linked
from openclaw_pipelines.domain.lifecycle.hand_over import EvidenceFailedError, HandOverError
from openclaw_pipelines.domain.selection.gate_limits import GateLimits
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.services.factory.cycle import Cycle, cycle_row, open_cycle
from openclaw_pipelines.services.factory.deploying import deploy
from openclaw_pipelines.services.factory.examining import CHECKS
from openclaw_pipelines.services.factory.judging import gather, judge_cycle
from openclaw_pipelines.services.factory.listing import SweepIncompleteError, list_rows, shortlisted
from openclaw_pipelines.services.factory.proving import EvidenceDiffersError, EvidenceUnloggedError, prove
from openclaw_pipelines.services.factory.recording import contents, newest_logged, unlogged
from openclaw_pipelines.services.factory.replaying import look
from openclaw_pipelines.services.factory.sweeping import SHARD_KEYS, run_shard

LOGGED_CHECKS = [name for name in CHECKS if name.endswith("_logged")]
CANDIDATE = "params_hash IN (SELECT params_hash FROM shortlist WHERE status = 'candidate')"
ANOTHER = "another-20250509-abc"


@pytest.fixture(scope="module")
def judged(edge_proven: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cycle that may be deployed. Nobody may write to it."""
    scene = copied(edge_proven, tmp_path_factory.mktemp("forged") / "judged")
    judge_cycle(scene.begun())
    return scene


@pytest.fixture(scope="module")
def blocked(edge_proven: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cycle that is blocked: another one looked at its holdout before. Nobody may write to it."""
    scene = copied(edge_proven, tmp_path_factory.mktemp("forged") / "blocked")
    scene.sql("research", look_of_another())
    judge_cycle(scene.begun())
    return scene


def look_of_another() -> str:
    return (
        f"INSERT INTO holdout_looks SELECT * REPLACE ('{ANOTHER}' AS cycle_id, '{ANOTHER}:' || look_key AS look_key) "
        "FROM holdout_looks"
    )


def cycle_id(scene: Any) -> str:
    return scene.rows("factory_cycles")["cycle_id"][0]


def red(scene: Any) -> set[str]:
    """Checks of the log that are not green."""
    return {name for name in LOGGED_CHECKS if not CHECKS[name][2](scene.world, cycle_id(scene)).passed}


def write_log_anew(scene: Any) -> None:
    """What a forger does who knows the log: its rows say what is stored now, and follow from each other."""
    own, log = cycle_id(scene), rows_as(FactoryLogRow, scene.rows("factory_log"))
    held = {
        content.piece: content
        for table in ("factory_cycles", *SUBJECTS)
        for content in contents(table, scene.rows(table).filter(cycle_id=own))
    }
    pieces = [(Piece(row["cycle_id"], row["table_name"], row["subject"]), row["rests_on"]) for row in log]
    kept = [replace(held[piece], rests_on=rests_on) for piece, rests_on in pieces if piece in held]
    rows = linked(NOTHING_LOGGED, Logged.STORED, kept)
    with scene.store.write("research") as con:
        con.execute("DELETE FROM factory_log")
        at = scene.world.clock.now()
        insert(con, "factory_log", TABLES["factory_log"].unchecked([{**row, "recorded_at": at} for row in rows]))


def equity(scene: Any, table: str, where: str) -> None:
    """One atom more at the end of the last day."""
    row = scene.store.query("research", f"SELECT day_equity FROM {table} WHERE {where} LIMIT 1").row(0)
    days = np.frombuffer(row[0], "<i8").copy()
    days[-1] += 1
    scene.sql("research", f"UPDATE {table} SET day_equity = ? WHERE {where}", [days.tobytes()])


def sql(statement: str) -> Callable[[Any], None]:
    return lambda scene: scene.sql("research", statement)


def swap_params(scene: Any) -> None:
    """The parameters of a worse row, with their own hash, under the number of the candidate."""
    other = scene.rows("sweep_results").filter(pl.col("row_index") == 3).row(0, named=True)
    values = [other["params"], other["params_hash"]]
    scene.sql("research", "UPDATE shortlist SET params = ?, params_hash = ? WHERE status = 'candidate'", values)


HOLDOUT = "variant = 'holdout'"
SWEPT = f"row_index > 0 AND {CANDIDATE}"
FORGERIES = [
    ("replays", "net", sql(f"UPDATE replays SET net = net + 100 WHERE {HOLDOUT}")),
    ("replays", "net", sql("UPDATE replays SET net = net + 9 WHERE variant = 'stressed'")),
    ("replays", "fees", sql("UPDATE replays SET fees = 0")),
    ("replays", "trades", sql("UPDATE replays SET trades = 400")),
    ("replays", "day_equity", lambda scene: equity(scene, "replays", HOLDOUT)),
    ("replays", "content_hash", sql(f"UPDATE replays SET content_hash = 'x' WHERE {HOLDOUT}")),
    ("replays", "trade_log", sql("UPDATE replays SET trade_log = 'x'")),
    ("sweep_results", "net", sql(f"UPDATE sweep_results SET net = net + 1 WHERE {SWEPT}")),
    ("sweep_results", "fees", sql(f"UPDATE sweep_results SET fees = 0 WHERE {SWEPT}")),
    ("sweep_results", "day_equity", lambda scene: equity(scene, "sweep_results", SWEPT)),
    ("sweep_results", "bits_hash", sql(f"UPDATE sweep_results SET bits_hash = 'x' WHERE {SWEPT}")),
    ("sweep_results", "family", sql("UPDATE sweep_results SET family = 'breakout' WHERE row_index = 7")),
    ("trial_counts", "trials", sql("UPDATE trial_counts SET trials = trials - 1")),
    ("sweep_shards", "contract", sql("UPDATE sweep_shards SET contract = '{}' WHERE shard = '2-of-8'")),
    ("shortlist", "score", sql("UPDATE shortlist SET score = 9 WHERE status = 'candidate'")),
    ("parity_reports", "symbols", sql("UPDATE parity_reports SET symbols = '{}' WHERE sample = 'random'")),
    ("parity_reports", "left_hash", sql("UPDATE parity_reports SET left_hash = 'x', right_hash = 'x'")),
    ("parity_reports", "report_hash", sql("UPDATE parity_reports SET report_hash = 'x'")),
    ("gate_results", "measured", sql("UPDATE gate_results SET measured = measured + 1 WHERE gate = 'holdout_trades'")),
    ("gate_results", "sample_size", sql("UPDATE gate_results SET sample_size = 999")),
    ("gate_results", "reason", sql("UPDATE gate_results SET reason = 'fine'")),
    ("gate_results", "evidence_hash", sql("UPDATE gate_results SET evidence_hash = 'x'")),
    ("factory_cycles", "reason", sql("UPDATE factory_cycles SET reason = 'fine'")),
    ("factory_cycles", "train_start", sql("UPDATE factory_cycles SET train_start = train_end")),
]
"""Table, column that must be named, and how it is forged."""


def forgeries() -> Iterator[Any]:
    """The first of each table are tried in every run, the others in the slow one."""
    tables: set[str] = set()
    for number, own in enumerate(FORGERIES, start=1):
        marks = pytest.mark.slow if own[0] in tables else ()
        tables.add(own[0])
        yield pytest.param(*own, id=f"{number} {own[0]}.{own[1]}", marks=marks)


@pytest.mark.parametrize(("table", "column", "forge"), forgeries())
def test_a_forged_row_deploys_nothing(judged: Any, copy: Any, table: str, column: str, forge: Any) -> None:
    """Seen by the log; and where the log was written anew too, by what is computed again."""
    scene = copy(judged)
    assert red(scene) == set()
    forge(scene)
    assert {"deployment_logged"} < red(scene)
    with pytest.raises(EvidenceUnloggedError, match=f"{table} .* was changed since row") as caught:
        deploy(scene.world, cycle_id(scene))
    assert caught.value.cycle == cycle_id(scene)

    write_log_anew(scene)
    assert red(scene) == set()
    with pytest.raises(EvidenceDiffersError) as differs:
        deploy(scene.world, cycle_id(scene))
    assert (differs.value.table, differs.value.column.split(",")[0]) == (table, column)
    assert differs.value.stored != differs.value.found
    assert scene.rows("deployments").is_empty()
    assert not (scene.folder / "data" / "deployments.yaml").exists()


def test_the_honest_twin_deploys(judged: Any, copy: Any) -> None:
    """Untouched, and with its log written anew: it deploys, says how far it is, and the log stays whole."""
    scene, said = copy(judged), []
    write_log_anew(scene)
    done = deploy(scene.world, cycle_id(scene), said.append)
    assert [row["stage"] for row in done.rows] == ["paper"]
    assert any("of the sweep, swept again, are the same to the last bit" in line for line in said)
    assert red(scene) == set()
    metrics = json.loads(scene.rows("deployments")["metrics"][-1])["factory_log"]
    log = scene.rows("factory_log").filter(sequence=metrics["sequence"])
    assert log["row_hash"].to_list() == [metrics["row_hash"]]
    last = scene.rows("factory_log").filter(table_name="deployments").row(0, named=True)
    assert last["content_hash"] == scene.rows("deployments")["row_hash"][-1]
    assert deploy(scene.world, cycle_id(scene)).rows == []


def test_a_blocked_cycle_forged_into_a_selection(blocked: Any, copy: Any) -> None:
    """Measured, passed and the state, so that every other check is green; with the log written anew too."""
    scene = copy(blocked)
    with pytest.raises(EvidenceFailedError, match="unseen_holdout"):
        deploy(scene.world, cycle_id(scene))
    scene.sql("research", "UPDATE gate_results SET measured = 0, passed = true WHERE NOT passed")
    scene.sql(
        "research", "UPDATE factory_cycles SET state = 'validated', blocked_by = NULL, reason = 'all gates passed'"
    )
    assert CHECKS["gates_passed"][2](scene.world, cycle_id(scene)).passed
    assert red(scene) == {"gates_logged", "deployment_logged"}
    with pytest.raises(EvidenceUnloggedError, match="factory_cycles state"):
        deploy(scene.world, cycle_id(scene))
    write_log_anew(scene)
    with pytest.raises(EvidenceDiffersError) as caught:
        deploy(scene.world, cycle_id(scene))
    assert (caught.value.table, caught.value.column) == ("gate_results", "measured")
    assert "unseen_holdout" in caught.value.key
    assert scene.rows("deployments").is_empty()


ONE_MORE = "INSERT INTO parity_reports BY NAME SELECT * REPLACE ('f00d' AS params_hash) FROM parity_reports LIMIT 1"


@pytest.mark.parametrize(
    ("said", "forge"),
    [
        pytest.param(said, forge, id=said)
        for said, forge in (
            ("parity sweep_replay is not stored", f"DELETE FROM parity_reports WHERE {CANDIDATE}"),
            ("parity_reports .* is gone: row", "DELETE FROM parity_reports WHERE sample = 'random'"),
            ("parity_reports .*f00d .*is in no row of the log", ONE_MORE),
            ("holdout_looks .* is gone: row", "DELETE FROM holdout_looks"),
            ("trial_counts 8-of-8 .* is gone", "DELETE FROM trial_counts WHERE shard = '8-of-8'"),
            ("sweep_results .* was changed", "DELETE FROM sweep_results WHERE row_index = 30"),
            ("replays sample:.* is gone", "DELETE FROM replays WHERE variant = 'sample'"),
            ("nothing of .* is in the log", "DELETE FROM factory_log"),
        )
    ],
)
def test_what_is_gone_or_was_added_is_named(judged: Any, copy: Any, said: str, forge: str) -> None:
    scene = copy(judged)
    scene.sql("research", forge)
    assert "deployment_logged" in red(scene)
    with pytest.raises(HandOverError, match=said):
        deploy(scene.world, cycle_id(scene))
    assert scene.rows("deployments").is_empty()


@pytest.mark.parametrize(
    ("forge", "sequence"),
    [
        pytest.param("UPDATE factory_log SET content_hash = 'x' WHERE sequence = 5", 5, id="edited"),
        pytest.param(
            "UPDATE factory_log SET rests_on = 1 WHERE table_name = 'gate_results'", None, id="what gates rest on"
        ),
        pytest.param("DELETE FROM factory_log WHERE sequence = 7", 8, id="a row removed"),
        pytest.param("DELETE FROM factory_log WHERE sequence < 3", 3, id="its beginning removed"),
    ],
)
def test_a_log_that_does_not_follow(judged: Any, copy: Any, forge: str, sequence: int | None) -> None:
    scene = copy(judged)
    scene.sql("research", forge)
    assert red(scene) == set(LOGGED_CHECKS)
    with pytest.raises(BrokenFactoryLogError, match="does not follow from the row before it") as caught:
        deploy(scene.world, cycle_id(scene))
    assert sequence in (None, caught.value.sequence)


def test_a_shard_deleted_with_its_rows_of_the_log(judged: Any, copy: Any) -> None:
    """The chain has a hole; where it was written anew, the search knows which shards there must be."""
    scene = copy(judged)
    for table in ("sweep_shards", "sweep_results", "trial_counts"):
        scene.sql("research", f"DELETE FROM {table} WHERE shard = '8-of-8'")
    scene.sql("research", "DELETE FROM factory_log WHERE subject = '8-of-8'")
    assert red(scene) == set(LOGGED_CHECKS)
    write_log_anew(scene)
    with pytest.raises(SweepIncompleteError, match="8-of-8"):
        deploy(scene.world, cycle_id(scene))


def test_swapped_parameters_of_the_shortlist(judged: Any, copy: Any) -> None:
    scene = copy(judged)
    swap_params(scene)
    assert {"replays_logged", "gates_logged", "deployment_logged"} <= red(scene)
    with pytest.raises(ParamsChangedError):
        deploy(scene.world, cycle_id(scene))


def test_a_log_cut_behind_a_deployment(judged: Any, copy: Any) -> None:
    """Its rows still follow from each other; the deployments' own chain says which row must be there."""
    scene = copy(judged)
    deploy(scene.world, cycle_id(scene))
    newest = newest_logged(scene.store).sequence
    scene.sql("research", "DELETE FROM factory_log WHERE sequence > ?", [newest - 4])
    with pytest.raises(BrokenFactoryLogError, match="is not the one that a deployment rests on"):
        unlogged(scene.store, cycle_id(scene), SUBJECTS)
    assert red(scene) == set(LOGGED_CHECKS)


def test_later_trials_and_looks_change_no_earlier_verdict(judged: Any, copy: Any) -> None:
    """Another cycle ran and looked since; its rows are in the log behind those of the gates."""
    scene = copy(judged)
    cycle = scene.begun()
    before = newest_logged(scene.store).sequence
    scene.configure(lambda tree: tree["factory"][RECIPE].update(seed=11))
    scene.swept("1-of-8", "2-of-8")
    look(Cycle(scene.world, RECIPE), "momentum")
    scene.configure(lambda tree: tree["factory"][RECIPE].update(seed=5))
    listed, limits = shortlisted(cycle)[0], {"random_sets": 10}
    now, then = (gather(cycle, listed, GateLimits(**limits), as_of) for as_of in (None, before))
    assert (len(now[0].looks), len(then[0].looks)) == (2, 1)
    assert now[0].ever_run > then[0].ever_run
    assert deploy(scene.world, cycle.cycle_id).rows


def test_a_look_of_an_earlier_cycle_that_was_deleted(judged: Any, copy: Any) -> None:
    """Looks of other cycles decide too: the log names the one that is gone."""
    scene = copy(judged)
    scene.configure(lambda tree: tree["factory"][RECIPE].update(seed=11))
    look(Cycle(scene.world, RECIPE), "momentum")
    scene.configure(lambda tree: tree["factory"][RECIPE].update(seed=5))
    own = scene.begun().cycle_id
    scene.sql("research", "DELETE FROM holdout_looks WHERE cycle_id <> ?", [own])
    assert not CHECKS["gates_logged"][2](scene.world, own).passed
    with pytest.raises(EvidenceUnloggedError, match=r"holdout_looks .* is gone"):
        deploy(scene.world, own)


def test_a_cycle_of_before_the_log_is_computed_again(judged: Any, copy: Any) -> None:
    """It opens and lists; deploying it is refused until what no row of the log has was made again, and is the same."""
    scene = copy(judged)
    own = cycle_id(scene)
    scene.sql("research", "DELETE FROM factory_log")
    assert cycle_row(scene.world, own)["state"] == "validated"
    with pytest.raises(EvidenceUnloggedError, match=f"openclaw factory run --cycle {own}"):
        prove(open_cycle(scene.world, own))
    before = scene.rows("sweep_results").drop("recorded_at")
    scene.sql("research", "UPDATE sweep_results SET net = 9 WHERE row_index = 4")
    cycle = scene.begun()
    assert not any(run_shard(cycle, shard).resumed for shard in SHARD_KEYS)
    assert scene.rows("sweep_results").drop("recorded_at").equals(before)
    assert all(run_shard(cycle, shard).resumed for shard in SHARD_KEYS)
    list_rows(cycle)
    judge_cycle(scene.compared(scene.replayed(cycle)))
    assert red(scene) == set()
    assert deploy(scene.world, own).rows


@pytest.mark.slow
def test_an_adaptive_search_is_proven_by_its_rows(edge_market: Any, copy: Any) -> None:
    """What its library would ask for today is no part of the proof; a row that was changed is."""
    scene = copy(edge_market)
    scene.configure(lambda tree: tree["factory"][RECIPE].update(method="optuna", batches=2, rows=16))
    cycle = scene.compared()
    judge_cycle(cycle)
    assert prove(cycle) == newest_logged(scene.store)
    scene.sql("research", "UPDATE sweep_results SET trades = trades + 1 WHERE row_index = 9")
    write_log_anew(scene)
    with pytest.raises(EvidenceDiffersError, match=r"sweep_results row_index=9: trades is stored as"):
        prove(cycle)
