"""The chained log: what rows make, tampering, rollback, and the bytes of the configuration layer."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.domain.lifecycle.document import document, section_of
from openclaw_pipelines.domain.lifecycle.log import (
    BrokenDeploymentLogError,
    LateTransitionError,
    NothingToUndoError,
    Step,
    UnknownDeploymentError,
    append,
    position_of,
    positions,
    step_to,
    undoing,
    verify_log,
)
from openclaw_pipelines.domain.lifecycle.states import IllegalTransitionError

from .builders import DAY, INCEPTION, names, origin

S = Stage


class Log:
    """Rows as they would be stored."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.day = 0

    def write(self, steps: list[Step], trigger: Trigger = Trigger.SCHEDULE, undoes: int | None = None) -> None:
        self.day += 1
        at = INCEPTION + self.day * DAY
        self.rows += append(self.rows, steps, account="paper", trigger=trigger, actor="test", at=at, undoes=undoes)

    def deploy(self, name: str) -> None:
        own = origin(name)
        steps = [Step(own, S.CANDIDATE, S.VALIDATED, 0, 0, "gates"), Step(own, S.VALIDATED, S.PAPER, 0, 2_500, "ramp")]
        self.write(steps, Trigger.CYCLE)

    def step(self, name: str, to_stage: Stage, ramp_bps: int) -> Step:
        return step_to(position_of(self.rows, name), to_stage, ramp_bps, "test")

    def roll_back(self, name: str) -> None:
        transition, steps = undoing(self.rows, name, "mistake")
        self.write(steps, Trigger.ROLLBACK, transition)

    @property
    def text(self) -> str:
        return document(positions(self.rows))


@pytest.fixture
def log() -> Log:
    """A champion at full size and a challenger on paper."""
    made = Log()
    made.deploy("champion")
    made.write([made.step("champion", S.PROMOTED, 5_000)])
    made.write([made.step("champion", S.PROMOTED, 10_000)])
    made.deploy("challenger")
    return made


def stages(log: Log) -> dict[str, tuple[str, int]]:
    return {name: (own.stage.value, own.ramp_bps) for name, own in positions(log.rows).items()}


def test_rows_say_where_everyone_stands(log: Log) -> None:
    assert stages(log) == {"champion": ("promoted", 10_000), "challenger": ("paper", 2_500)}
    assert names(log.rows, "sequence", "transition") == [(1, 1), (2, 1), (3, 3), (4, 4), (5, 5), (6, 5)]
    assert verify_log(log.rows) == 6


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda rows: rows[1].update(ramp_bps=10_000), id="a size"),
        pytest.param(lambda rows: rows[2].update(reason="other"), id="a reason"),
        pytest.param(lambda rows: rows[3].update(gate_hash="forged"), id="a hash of evidence"),
        pytest.param(lambda rows: rows.pop(1), id="a row removed"),
        pytest.param(lambda rows: rows.reverse(), id="rows reordered"),
        pytest.param(lambda rows: rows[0].update(row_hash="0" * 64), id="a row hash"),
    ],
)
def test_tampering_breaks_the_chain(log: Log, break_it: Any) -> None:
    break_it(log.rows)
    with pytest.raises(BrokenDeploymentLogError, match="does not follow"):
        verify_log(log.rows)


def test_what_lies_outside_the_chain_may_differ(log: Log) -> None:
    for row in log.rows:
        row["recorded_at"] = INCEPTION
    assert verify_log(log.rows) == 6


def test_illegal_and_late_moves_are_refused(log: Log) -> None:
    with pytest.raises(IllegalTransitionError, match="champion cannot move from promoted to paper"):
        log.step("champion", S.PAPER, 2_500)
    jump = Step(origin("new"), S.CANDIDATE, S.PROMOTED, 0, 10_000, "forged")
    with pytest.raises(IllegalTransitionError, match="new cannot move from candidate to promoted"):
        log.write([jump])
    with pytest.raises(LateTransitionError, match="would change the past"):
        append(log.rows, [log.step("champion", S.PAUSED, 0)], account="paper", trigger=Trigger.OPERATOR,
               actor="x", at=INCEPTION)  # fmt: skip
    with pytest.raises(UnknownDeploymentError, match=r"no factory cycle deployed 'x'. Deployed: challenger, champion."):
        position_of(log.rows, "x")


def test_rollback_restores_the_configuration_to_the_byte(log: Log) -> None:
    before = log.text
    log.write([log.step("challenger", S.PROMOTED, 5_000), log.step("champion", S.PAUSED, 10_000)])
    assert log.text != before
    log.roll_back("challenger")
    assert log.text == before
    assert stages(log) == {"champion": ("promoted", 10_000), "challenger": ("paper", 2_500)}
    assert names(log.rows[-2:], "from_state", "to_state", "trigger", "undoes") == [
        ("promoted", "paper", "rollback", 7),
        ("paused", "promoted", "rollback", 7),
    ]
    assert verify_log(log.rows) == 10


def test_rollback_brings_a_champion_back_that_was_retired_since(log: Log) -> None:
    before = log.text
    log.write([log.step("challenger", S.PROMOTED, 5_000), log.step("champion", S.PAUSED, 10_000)])
    log.write([log.step("champion", S.RETIRED, 0)])
    log.roll_back("challenger")
    assert log.text == before


def test_rollback_step_by_step_to_nothing(log: Log) -> None:
    """Each call undoes the newest transition that is not undone yet; a rollback is never undone itself."""
    texts = []
    for _ in range(3):
        log.roll_back("champion")
        texts.append(stages(log)["champion"])
    assert texts == [("promoted", 5_000), ("paper", 2_500), ("candidate", 0)]
    assert "champion" not in log.text
    with pytest.raises(NothingToUndoError, match="champion has no transition left"):
        log.roll_back("champion")


def test_equal_positions_give_equal_bytes(log: Log) -> None:
    other = Log()
    other.deploy("challenger")
    other.deploy("champion")
    other.write([other.step("champion", S.PROMOTED, 10_000)])
    assert other.text == log.text


def test_what_the_layer_says(log: Log) -> None:
    log.write([log.step("champion", S.PAUSED, 10_000)])
    log.write([log.step("champion", S.RETIRED, 0)])
    tree = yaml.safe_load(log.text)
    assert set(tree) == {"strategies"}
    own = {name: (s["canary_bps"], s["paused"], s["enabled"]) for name, s in tree["strategies"].items()}
    assert own == {"challenger": (2_500, False, True), "champion": (0, True, False)}
    assert tree["strategies"]["challenger"]["params"] == {"stop_atr": 1.5}
    assert tree["strategies"]["challenger"]["interval"] == "1h"


def test_nothing_deployed_writes_nothing() -> None:
    assert document({}) == ""
    assert section_of({"risk": {}, "deny": []}) == "{}"


def test_a_step_of_the_same_time_is_not_late(log: Log) -> None:
    at = log.rows[-1]["at"]
    step = log.step("challenger", S.PROMOTED, 5_000)
    made = append(log.rows, [step], account="paper", trigger=Trigger.OPERATOR, actor="x", at=at)
    assert made[0]["at"] - at == timedelta(0)
