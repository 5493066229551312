"""A decision as a person reads it."""

import json
from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import Action, ExitReason, Mode
from openclaw_pipelines.contracts.tables.trading import Decisions
from openclaw_pipelines.domain.trading.decisions import rationale
from openclaw_pipelines.kernel.base.layout import PROPOSAL, records

PERP = "AAA/USDT:USDT"
UP, DOWN, HOLD_105 = (100, 106, 100, 105), (100, 100, 94, 95), (105, 106, 104, 105)


@pytest.mark.parametrize(
    ("opened", "bar", "reason", "rationale"),
    [
        pytest.param({}, UP, "every check passed", "breakout: fresh long signal, confidence", id="approved"),
        pytest.param({}, DOWN, "every check passed", "breakout: fresh short signal, confidence", id="short"),
        pytest.param(
            {"shadow": True},
            UP,
            "every check passed; the strategy is in shadow and sends nothing",
            "breakout: fresh long",
            id="shadow",
        ),
        pytest.param(
            {"mode": Mode.ASSIST},
            UP,
            "every check passed; an operator must approve it",
            "breakout: fresh long",
            id="assist",
        ),
        pytest.param(
            {"paused": True},
            UP,
            "'paused' refused AAA/USDT:USDT: the strategy is paused. Unpause the strategy.",
            "breakout: fresh long",
            id="refused",
        ),
    ],
)
def test_words(desk: Any, opened: dict[str, Any], bar: Any, reason: str, rationale: str) -> None:
    trading = desk(PERP, **opened)
    trading.take(bar)
    (row,) = trading.of("autopilot_decisions")
    assert row["reason"] == reason
    assert row["rationale"].startswith(rationale)


def test_an_exit_says_why(desk: Any) -> None:
    trading = desk(PERP, params={"stop_atr": 0.0, "max_hold_bars": 1})
    trading.take(UP)
    trading.take(HOLD_105)
    (row,) = trading.of("autopilot_decisions")
    assert (row["action"], row["rationale"]) == ("exit", "breakout: leave the position by time stop")


def test_it_links_to_what_it_rests_on(desk: Any) -> None:
    trading = desk(PERP)
    trading.take(UP)
    (row,), (recorded,) = trading.of("autopilot_decisions"), trading.of("tick_inputs")
    assert row["data_hash"] == recorded["bars_hash"]
    assert row["universe_key"] == recorded["universe_key"]
    assert row["policy_version_id"] == trading.session.policy.version_id
    assert json.loads(row["features"])["close"] == 10_500
    assert set(Decisions.to_schema().columns) == {*row, "recorded_at"}


def _proposal(**fields: int | float) -> Any:
    proposal = records(PROPOSAL, 1)[0]
    for name, value in {"action": int(Action.ENTER), "side": 1, "confidence": 0.625, **fields}.items():
        proposal[name] = value
    return proposal


@pytest.mark.parametrize(
    ("fields", "tag", "said"),
    [
        ({}, 0, "file:x: fresh long signal, confidence 0.62"),
        ({"side": -1}, -3, "file:x: fresh short signal, confidence 0.62, tag -3"),
        ({"external": 1}, 0, "an operator approved the earlier file:x proposal to go long"),
        ({"external": 1, "side": -1}, 4, "an operator approved the earlier file:x proposal to go short"),
        ({"action": int(Action.HOLD)}, 4, "file:x: a fresh long signal while already long, tag 4"),
        (
            {"action": int(Action.EXIT), "reason": int(ExitReason.TIME_STOP)},
            4,
            "file:x: leave the position by time stop, tag 4",
        ),
    ],
)
def test_why_a_planner_asked(fields: dict[str, int], tag: int, said: str) -> None:
    assert rationale("file:x", _proposal(**fields), tag) == said
