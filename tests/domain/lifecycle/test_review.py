"""The daily review: demotion, promotion, ramps, champion and challenger, retirement."""

from decimal import Decimal
from typing import Any

import pytest

from openclaw_pipelines.contracts.config.lifecycle import Lifecycle
from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.domain.lifecycle.review import full_size_return_bps, review

from .builders import DAY, HOUR, INCEPTION, curve, results, standing

LIMITS = Lifecycle()
S = Stage
GOOD, BETTER, BAD = (curve(10_000, end, step=DAY) for end in (10_020, 10_030, 10_010))


def moved(*standings: Any) -> list[list[tuple[str, str, str, int, str]]]:
    """Transitions as lists of steps: strategy, from, to, ramp, trigger."""
    moves, _ = review(standings, LIMITS)
    return [
        [(s.origin.strategy, s.from_stage.value, s.to_stage.value, s.ramp_bps, move.trigger.value) for s in move.steps]
        for move in moves
    ]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(standing(), [[("a", "paper", "promoted", 5_000, "schedule")]], id="gates hold"),
        pytest.param(
            standing(stage=S.PROMOTED, ramp_bps=5_000), [[("a", "promoted", "promoted", 10_000, "schedule")]],
            id="the next ramp",
        ),
        pytest.param(standing(stage=S.PROMOTED, ramp_bps=10_000), [], id="full size"),
        pytest.param(standing(stressed_net=Decimal(-1)), [], id="a gate closed"),
        pytest.param(standing(trades=results(119, -100)), [], id="between gate and rotation"),
        pytest.param(
            standing(stage=S.PROMOTED, ramp_bps=5_000, equity=curve(10_000, 8_000, step=DAY)),
            [[("a", "promoted", "paused", 5_000, "schedule")]], id="champion in drawdown",
        ),
        pytest.param(
            standing(as_of=INCEPTION + 15 * DAY), [[("a", "paper", "paused", 2_500, "schedule")]],
            id="too old though its gates hold",
        ),
        pytest.param(
            standing(kill_switch=KillSwitch.CLOSE_ONLY), [[("a", "paper", "paused", 2_500, "kill_switch")]],
            id="kill switch",
        ),
        pytest.param(
            standing(stage=S.PAUSED, trigger=Trigger.SCHEDULE), [[("a", "paused", "retired", 0, "schedule")]],
            id="taken out and flat",
        ),
        pytest.param(standing(stage=S.PAUSED, trigger=Trigger.SCHEDULE, flat=False), [], id="taken out and not flat"),
        pytest.param(standing(stage=S.PAUSED, trigger=Trigger.OPERATOR), [], id="an operator's pause"),
        pytest.param(standing(stage=S.PAUSED, trigger=Trigger.KILL_SWITCH), [], id="a kill switch's pause"),
        pytest.param(
            standing(stage=S.PAUSED, trigger=Trigger.OPERATOR, as_of=INCEPTION + 15 * DAY),
            [[("a", "paused", "retired", 0, "schedule")]], id="paused for too long",
        ),
        pytest.param(standing(stage=S.RETIRED, ramp_bps=0), [], id="retired"),
    ],
)  # fmt: skip
def test_one_strategy(own: Any, expected: list[Any]) -> None:
    assert moved(own) == expected


def test_a_better_challenger_takes_the_champions_place_in_one_transition() -> None:
    """A quarter of 0.2 % is more at full size than all of 0.2 %."""
    champion = standing("champion", S.PROMOTED, 10_000, equity=GOOD)
    challenger = standing("challenger", S.PAPER, 2_500, equity=GOOD)
    assert moved(champion, challenger) == [
        [
            ("challenger", "paper", "promoted", 5_000, "schedule"),
            ("champion", "promoted", "paused", 10_000, "schedule"),
        ]
    ]


@pytest.mark.parametrize(
    ("champion", "challenger"),
    [
        pytest.param(BETTER, GOOD, id="worse"),
        pytest.param(GOOD, GOOD, id="a tie keeps the champion"),
    ],
)
def test_a_challenger_that_is_not_better_waits(champion: Any, challenger: Any) -> None:
    assert (
        moved(
            standing("champion", S.PROMOTED, 10_000, equity=champion),
            standing("challenger", S.PAPER, 10_000, equity=challenger),
        )
        == []
    )


def test_only_the_common_time_is_compared() -> None:
    """The champion's good first day, before the challenger began, does not help it."""
    old = curve(10_000, 12_000, 12_000, step=DAY)
    champion = standing("champion", S.PROMOTED, 10_000, equity=old)
    later = INCEPTION + DAY
    challenger = standing("challenger", S.PAPER, 10_000, equity=curve(10_000, 10_001, start=later, step=DAY),
                          since=later, trades=results(1, start=later))  # fmt: skip
    assert full_size_return_bps(champion, INCEPTION) == 2_000
    assert full_size_return_bps(champion, later) == 0
    assert moved(champion, challenger)[0][0][:3] == ("challenger", "paper", "promoted")


def test_the_best_of_several_challengers() -> None:
    found = moved(standing("a", equity=GOOD), standing("b", equity=BETTER), standing("c", equity=BAD))
    assert found == [[("b", "paper", "promoted", 5_000, "schedule")]]


def test_the_order_given_changes_nothing() -> None:
    one = [standing("a", equity=GOOD), standing("b", S.PROMOTED, 5_000, equity=BAD), standing("c", equity=BETTER)]
    assert moved(*one) == moved(*reversed(one))


def test_what_is_taken_out_is_not_promoted() -> None:
    champion = standing("champion", S.PROMOTED, 10_000, equity=curve(10_000, 8_000, step=DAY))
    assert moved(champion) == [[("champion", "promoted", "paused", 10_000, "schedule")]]


def test_metrics_of_a_move_say_what_was_measured_and_required() -> None:
    moves, judged = review([standing()], LIMITS)
    metrics = moves[0].steps[0].metrics
    assert metrics["profit_factor"] == {
        "measured": 4.5, "required": ">= 1.2", "holds": True, "reason": "of 3 closed trades", "sample_size": 3,
    }  # fmt: skip
    assert [len(own.gates) for own in judged] == [6]
    assert [own.name for own in judged[0].rotation][-1] == "rotation_age"


def test_a_full_size_return_needs_a_common_tick() -> None:
    own = standing(equity=curve(10_000, 10_100))
    assert full_size_return_bps(own, INCEPTION + 5 * HOUR) is None
    assert full_size_return_bps(own, INCEPTION) == 400
