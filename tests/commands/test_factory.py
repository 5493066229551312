"""`openclaw factory`: what it prints and how it exits, over a cycle that is stored."""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from openclaw_pipelines.cli import main
from openclaw_pipelines.commands.factory import show
from openclaw_pipelines.processes.factory_run import CycleBlockedError, Outcome

AT = datetime(2025, 5, 10, tzinfo=UTC)
PARAMS = "ab" * 32


SAME = {"left_contract": "c", "right_contract": "c", "left_hash": "h", "right_hash": "h"}
"""Sides of a comparison that are equal."""


def outcome(**change) -> Outcome:
    gate = {
        "params_hash": PARAMS, "gate": "holdout_trades", "measured": 12.0, "required": ">= 30", "passed": False,
        "sample_size": 12, "reason": "12 closed trades", "position": 3,
    }  # fmt: skip
    listed = {
        "channel": "growth", "rank": 1, "family": "breakout", "score": 0.25, "status": "candidate",
        "reason": "return on capital 0.25, the incumbent is no measure", "params_hash": PARAMS,
    }  # fmt: skip
    equal = {"comparison": "sweep_replay", "sample": "random", "verdict": "EQUAL", "differing": "[]", **SAME}
    values = {
        "cycle_id": "swing-20250509-abc", "recipe": "swing", "state": "blocked", "blocked_by": "holdout_trades",
        "reason": "12 closed trades", "train": (AT, AT), "holdout": (AT, AT), "rows": 437, "skipped": 75,
        "trials_ever": 900, "rate": 6_600_000.0, "sweep_hash": "c" * 64, "shortlist": [listed], "parity": [equal] * 3,
        "gpu": "none took part", "gates": [gate], "deployed": [],
    }  # fmt: skip
    return Outcome(**{**values, **change})


def shown(capsys, **change) -> str:
    show(outcome(**change))
    return " ".join(capsys.readouterr().out.split())


def test_a_blocked_cycle_says_so_and_never_reads_like_a_selection(capsys) -> None:
    text = shown(capsys)
    assert "Verdict BLOCKED by holdout_trades: 12 closed trades. Nothing was deployed." in text
    assert "437 rows, 75 contradictory combinations skipped, 6.6 million rows" in text
    assert "900 trials of these families ever run" in text
    assert "3 sweep_replay (random): 0 differing bits GPU none took part" in text
    assert "holdout_trades 12 >= 30 NO 12 12 closed trades" in text
    assert "DEPLOYED" not in text
    with pytest.raises(CycleBlockedError, match="cycle swing-20250509-abc is blocked by holdout_trades"):
        outcome().require_selection()


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        pytest.param(
            {"state": "deployed", "deployed": [{"strategy_config_id": "swing_1"}]},
            "Verdict DEPLOYED on paper: swing_1",
            id="deployed",
        ),
        pytest.param({"state": "incumbent_holds", "reason": "no candidate beats it"},
                     "Verdict INCUMBENT HOLDS: no candidate beats it", id="incumbent holds"),
        pytest.param({"state": "swept", "reason": None}, "Verdict SWEPT: the cycle has not ended", id="not ended"),
    ],
)  # fmt: skip
def test_other_verdicts(capsys, change, verdict) -> None:
    assert verdict in shown(capsys, blocked_by=None, **change)
    outcome(blocked_by=None, **change).require_selection()


def test_a_difference_names_its_class_and_place(capsys) -> None:
    first = {
        "comparison": "sweep_replay", "sample": "shortlist", "verdict": "STATE_MACHINE", "differing": "[]",
        "first_difference": '{"symbol":"BTC/USDT:USDT"}', **SAME,
    }  # fmt: skip
    text = shown(capsys, parity=[first])
    assert '1 not equal, first sweep_replay STATE_MACHINE {"symbol":"BTC/USDT:USDT"}' in text


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["status", "--json"], 0, '{"cycles":[]}', id="nothing yet"),
        pytest.param(["status", "--cycle", "x"], 1, "UnknownCycleError: no factory cycle 'x' is stored", id="cycle"),
        pytest.param(["run", "--recipe", "a", "--cycle", "b"], 2, "give --recipe or --cycle", id="both"),
    ],
)
def test_exit_codes(tmp_path, monkeypatch, arguments, code, says) -> None:
    monkeypatch.setenv("OPENCLAW_DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(main, ["factory", *arguments])
    assert done.exit_code == code, done.output
    text = json.dumps(json.loads(done.output), separators=(",", ":")) if code == 0 else done.output
    assert says in text
