"""Outcomes, metrics and the report: per day and strategy in one run, and the same on a second one."""

from pathlib import Path

from dagster_scene import BREAKOUT, DAY_ONE, DAY_TWO, MOMENTUM, Lived, materialized

KEYS = {f"{day}|{strategy}" for day in (DAY_ONE, DAY_TWO) for strategy in (BREAKOUT, MOMENTUM)}


def test_one_run_scores_every_day_and_strategy(lived: Lived) -> None:
    shown = materialized(lived.evaluation)
    assert set(shown) == {(asset, key) for asset in ("outcomes", "metrics", "seals") for key in KEYS}
    assert sum(shown["outcomes", key]["dagster/partition_row_count"] for key in KEYS) == (
        lived.scene.rows("autopilot_outcomes").height
    )
    assert all(shown["outcomes", key]["wins"] <= shown["outcomes", key]["scored"] for key in KEYS)
    assert all("| max_drawdown" in shown["metrics", key]["metrics"] for key in KEYS)


def test_each_decision_of_the_first_day_is_scored_at_every_horizon(lived: Lived) -> None:
    decided = lived.scene.rows("autopilot_decisions").select("decision_key", "tick_at")
    first = decided.filter(decided["tick_at"].dt.strftime("%Y-%m-%d") == DAY_ONE)["decision_key"]
    scored = lived.scene.rows("autopilot_outcomes")
    horizons = scored.filter(scored["decision_key"].is_in(first.to_list())).group_by("decision_key").len()
    assert horizons.height == len(first) > 0
    assert set(horizons["len"]) == {3}


def test_a_report_per_day_names_both_strategies(lived: Lived) -> None:
    shown = materialized(lived.report)
    assert set(shown) == {("daily_report", DAY_ONE), ("daily_report", DAY_TWO)}
    for (_, day), own in shown.items():
        html = Path(own["report"]).read_text(encoding="utf-8")
        assert own["size_bytes"] == len(html.encode())
        assert all(word in html for word in (day, BREAKOUT, MOMENTUM))
