"""The layer of deployed strategies held to the log: edited ones stop what runs, those left behind are written again."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from planted_cycle import CYCLE, DAY_ONE, HOLDOUT_END, PLANTED, TODAY, day_end

from openclaw_pipelines.contracts.lifecycle import Trigger
from openclaw_pipelines.domain.lifecycle.log import step_to
from openclaw_pipelines.domain.lifecycle.states import Stage
from openclaw_pipelines.resources.deployed_layer import LayerEditedError
from openclaw_pipelines.resources.store.locks import StoreLockedError, file_lock
from openclaw_pipelines.services.lifecycle import book
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.services.lifecycle.deploy import deploy_cycle
from openclaw_pipelines.services.lifecycle.examination import examine_log
from openclaw_pipelines.services.lifecycle.operations import demote, promote, review_day
from openclaw_pipelines.services.lifecycle.tracing import trace_logs
from openclaw_pipelines.services.trading.timetable import due_of


def file_of(trading: Any) -> Path:
    return trading.world.layer.file


def edited(trading: Any, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the file's tree and keep the rest of it as it is written."""
    path = file_of(trading)
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(tree["strategies"])
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def own(strategies: dict[str, Any]) -> dict[str, Any]:
    return next(iter(strategies.values()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda all_: own(all_).update(capital="1000000"), "capital is 1000000, the log", id="capital"),
        pytest.param(lambda all_: own(all_).update(canary_bps=9_999), "9999, the log says 2500", id="size"),
        pytest.param(lambda all_: own(all_)["params"].update(stop_atr=9.0), "params.stop_atr is 9.0", id="parameters"),
        pytest.param(lambda all_: own(all_).update(paused=True), "paused is True, the log says False", id="pause"),
        pytest.param(lambda all_: own(all_).pop("symbols"), "symbols is absent, the log has it", id="a key less"),
        pytest.param(lambda all_: own(all_).update(deny=["SOL/USDT"]), "deny is there, the log knows none", id="a key"),
        pytest.param(lambda all_: all_.update(x=own(all_)), "strategies.x is there, the log knows none", id="strategy"),
        pytest.param(lambda all_: all_.update(x=all_.pop(next(iter(all_)))), "the log has it", id="another name"),
    ],
)
def test_an_edited_layer_stops_everything_at_once(deployed: Callable[..., Any], change: Any, said: str) -> None:
    """A tick, what is due, an operator and a cycle alike; the file's own command mends it, and the twin ticks."""
    trading, (name,) = deployed()
    right = file_of(trading).read_bytes()
    edited(trading, change)
    acts = (
        lambda: trading.run(name, DAY_ONE),
        lambda: due_of(trading.world, name, day_end(DAY_ONE)),
        lambda: promote(trading.world, name, as_of=day_end(DAY_ONE)),
        lambda: review_day(trading.world, DAY_ONE),
        lambda: deploy_cycle(trading.world, CYCLE, TODAY, PLANTED, as_of=HOLDOUT_END),
    )
    for act in acts:
        with pytest.raises(LayerEditedError, match=r"deployments\.yaml was edited") as caught:
            act()
        assert said in caught.value.differing
        assert "openclaw deployments --restore" in str(caught.value)
    assert trading.store.table("autopilot_ticks").is_empty()
    whole, configured = examine_log(trading.world)
    assert (whole.passed, configured.passed) == (True, False)
    assert said in configured.sentence

    assert trading.world.layer.restore()
    assert file_of(trading).read_bytes() == right
    assert trading.run(name, DAY_ONE).taken == 24
    assert [result.passed for result in examine_log(trading.world)] == [True, True]


def test_a_file_with_the_times_and_size_of_before_is_seen_too(deployed: Callable[..., Any]) -> None:
    import os

    trading, (name,) = deployed()
    trading.world.settings()
    path = file_of(trading)
    before, text = path.stat(), path.read_text(encoding="utf-8")
    path.write_text(text.replace("canary_bps: 2500", "canary_bps: 9500"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(LayerEditedError, match=f"strategies.{name}.canary_bps is 9500, the log says 2500"):
        trading.world.settings()


def test_a_strategy_that_no_log_knows(desk: Callable[..., Any], deployed: Callable[..., Any]) -> None:
    """Its file alone deploys nothing, also where there is no log yet."""
    trading, _ = deployed()
    fresh = desk("asked")
    file_of(fresh).write_bytes(file_of(trading).read_bytes())
    with pytest.raises(LayerEditedError, match="it holds strategies, the log knows none"):
        fresh.world.settings()
    file_of(fresh).unlink()
    assert len(fresh.world.settings().strategies) == 2


def test_the_same_values_in_other_words_are_written_again(deployed: Callable[..., Any]) -> None:
    """A comment, another order of keys, or the layer of a release that wrote it in other words: nothing else runs."""
    trading, (name,) = deployed()
    right = file_of(trading).read_bytes()
    edited(trading, lambda _: None)
    assert file_of(trading).read_bytes() != right
    assert trading.run(name, DAY_ONE).taken == 24
    assert file_of(trading).read_bytes() == right


@pytest.mark.parametrize(
    "left", [pytest.param("nothing", id="no file"), pytest.param("earlier", id="a copy of before")]
)
def test_what_a_killed_process_left_behind_is_written_again(deployed: Callable[..., Any], left: str) -> None:
    """Killed between the log's commit and the file: whoever asks next has what the log says, and nobody waits."""
    trading, (name,) = deployed()
    before = file_of(trading).read_bytes()
    demote(trading.world, name, as_of=day_end(DAY_ONE), reason="look closer")
    after = file_of(trading).read_bytes()
    assert before != after
    file_of(trading).write_bytes(before) if left == "earlier" else file_of(trading).unlink()
    (_, configured) = examine_log(trading.world)
    assert (configured.passed, "says what the log said earlier" in configured.sentence) == (False, True)
    assert trading.world.settings().strategy(name).own.paused
    assert file_of(trading).read_bytes() == after
    assert [result.passed for result in examine_log(trading.world)] == [True, True]


def test_the_file_follows_each_transition_inside_an_operation(deployed: Callable[..., Any]) -> None:
    trading, (name,) = deployed()
    book = DeploymentBook(trading.world)
    with book.changing():
        for at, stage in enumerate((Stage.PAUSED, Stage.PAPER), start=1):
            step = step_to(book.position(name), stage, 2_500, "test")
            when = HOLDOUT_END + timedelta(hours=at)
            book.commit([step], trigger=Trigger.OPERATOR, actor="test", at=when)
            assert trading.world.settings().strategy(name).own.paused is (stage is Stage.PAUSED)


def test_a_look_at_a_held_layer_costs_next_to_nothing(deployed: Callable[..., Any]) -> None:
    """The log is read once per change of the store, not once per tick."""
    import time

    trading, _ = deployed()
    time.sleep(0.2)
    trading.world.settings()
    with trading.store.write("research"):  # nobody could read now
        trading.world.settings()


def test_the_chain_is_told_without_the_lock_and_a_locked_ledger_undoes_no_move(
    deployed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick that reads the ledger may wait for the layer's lock: whoever holds that one waits for no ledger."""
    trading, (name,) = deployed()
    lock = trading.world.settings().data_dir / "locks" / "paper.deployments"

    def locked(world: Any) -> None:
        with file_lock(lock, exclusive=True, timeout_seconds=0.5):
            raise StoreLockedError(trading.store.file("ledger"), 30.0, "a walk")

    monkeypatch.setattr(book, "trace_deployments", locked)
    before = len(trading.store.table("admin_actions"))
    demote(trading.world, name, reason="look closer", as_of=day_end(DAY_ONE))
    assert DeploymentBook(trading.world).position(name).stage is Stage.PAUSED
    assert len(trading.store.table("admin_actions")) == before
    monkeypatch.undo()
    (told,) = trace_logs(trading.world)
    assert (told.subject, told.after, told.reason) == (name, "paused at 25 %", "look closer")
