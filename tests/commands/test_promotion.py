"""`openclaw deployments`, `promote`, `demote` and `rollback` as an operator uses them."""

from typing import Any

import pytest
from planted_cycle import candidate

from openclaw_pipelines.services.lifecycle.book import DeploymentBook


def layer(home: Any) -> bytes:
    return (home.data / "deployments.yaml").read_bytes()


def test_where_strategies_stand(deployed: tuple[Any, str]) -> None:
    home, name = deployed
    shown = home.openclaw("deployments")
    assert shown.code == 0
    assert name in shown.out
    assert "paper_sample >= 1 days or 20 trades: 0.00 days and 0 closed trades" in " ".join(shown.out.split())
    (own,) = home.openclaw("deployments", "--json").json["deployments"]
    assert (own["strategy"], own["slot"], own["stage"], own["ramp_bps"]) == (name, "fast", "paper", 2_500)
    assert own["params_hash"] == candidate()["params_hash"]
    assert own["gates"]["paper_replay_parity"]["holds"] is False
    assert own["rotation"]["rotation_drawdown"]["holds"] is False
    assert name in home.openclaw("status").out


def test_an_operator_moves_it_and_takes_it_back(deployed: tuple[Any, str]) -> None:
    home, name = deployed
    before = layer(home)
    paused = home.openclaw("demote", name, "--reason", "look closer")
    assert (paused.code, paused.out.split(" as of ")[0]) == (0, f"{name} is paused at 25 %")
    assert layer(home) != before
    (own,) = home.openclaw("rollback", name, "--reason", "nothing wrong", "--json").json["moved"]
    assert own["stage"] == "paper"
    assert layer(home) == before
    rows = home.openclaw("deployments", "--history", "--json").json["transitions"]
    assert [(row["from_state"], row["to_state"], row["trigger"]) for row in rows] == [
        ("candidate", "validated", "cycle"),
        ("validated", "paper", "cycle"),
        ("paper", "paused", "operator"),
        ("paused", "paper", "rollback"),
    ]
    assert (rows[2]["reason"], rows[3]["undoes"]) == ("look closer", 3)
    assert "paused -> paper" in home.openclaw("deployments", "--history").out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(("promote", "{name}"), "PaperGateError: {name} gets no more size: paper_sample is 0", id="a gate"),
        pytest.param(("promote", "x"), "UnknownDeploymentError: no factory cycle deployed 'x'", id="unknown"),
        pytest.param(
            ("demote", "{name}", "--reason", "r", "--retire"),
            "IllegalTransitionError: {name} cannot move from paper to retired. Legal: paused, promoted.",
            id="not paused",
        ),
        pytest.param(("rollback", "fast", "--reason", "r"), "UnknownDeploymentError", id="by hand"),
    ],
)
def test_named_failures(deployed: tuple[Any, str], arguments: tuple[str, ...], error: str) -> None:
    home, name = deployed
    rows = DeploymentBook(home.world()).rows()
    answer = home.openclaw(*(word.format(name=name) for word in arguments))
    assert answer.code == 1
    assert answer.err.startswith(error.format(name=name))
    assert DeploymentBook(home.world()).rows() == rows


def test_nothing_was_deployed(empty: Any) -> None:
    assert empty.openclaw("deployments").out == "No factory cycle has deployed a strategy.\n"
    assert empty.openclaw("deployments", "--history", "--json").json == {"transitions": []}


@pytest.mark.parametrize("command", ["demote", "rollback"])
def test_a_reason_is_asked_for(empty: Any, command: str) -> None:
    answer = empty.openclaw(command, "x")
    assert answer.code == 2
    assert "--reason" in answer.err


def test_an_edited_file_stops_every_command_but_the_one_that_mends_it(deployed: tuple[Any, str]) -> None:
    home, name = deployed
    right = layer(home)
    text = right.decode().replace("canary_bps: 2500", "canary_bps: 10000")
    (home.data / "deployments.yaml").write_text(text)
    for words in (("status",), ("deployments",), ("promote", name), ("demote", name, "--reason", "r")):
        answer = home.openclaw(*words)
        assert (answer.code, answer.err.split(":")[0]) == (1, "LayerEditedError"), words
        assert f"strategies.{name}.canary_bps is 10000, the log says 2500" in answer.err
    mended = home.openclaw("deployments", "--restore", "--json").json
    assert (mended["written"], layer(home)) == (True, right)
    assert "says what the log says" in home.openclaw("deployments", "--restore").out
    assert name in home.openclaw("status").out
