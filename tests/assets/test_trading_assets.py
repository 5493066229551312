"""The cycle as assets: one run over a range, the same once more, live ticks, and what its pages show."""

from datetime import timedelta

import dagster as dg
from dagster_scene import (
    BREAKOUT,
    CYCLE_ASSETS,
    DAY_ONE,
    DAY_TWO,
    MOMENTUM,
    Lived,
    Scene,
    failure,
    materialized,
)

from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.services.governance.notifications import notify
from openclaw_pipelines.services.trading.timetable import alerts_now

KEYS = [f"{day}|{strategy}" for day in (DAY_ONE, DAY_TWO) for strategy in (BREAKOUT, MOMENTUM)]
LIVE = {"openclaw/live": "true"}


def test_one_run_materializes_every_table_of_every_day_and_strategy(lived: Lived) -> None:
    shown = materialized(lived.cycle)
    assert set(shown) == {(asset, key) for asset in CYCLE_ASSETS for key in KEYS}
    for name in CYCLE_ASSETS:
        assert lived.scene.instance.get_materialized_partitions(dg.AssetKey(name)) == set(KEYS)
    assert {key: shown["equity", key]["ticks_taken"] for key in KEYS} == {
        key: 96 if BREAKOUT in key else 24 for key in KEYS
    }


def test_counts_and_money_are_those_of_the_ledger(lived: Lived) -> None:
    shown = materialized(lived.cycle)
    for key in KEYS:
        day, strategy = key.split("|")
        start, end = day_start(day), day_start(day) + timedelta(days=1)
        for name in ("decisions", "fills", "positions"):
            rows = lived.scene.rows(f"autopilot_{name}", strategy)
            own = rows.filter((rows["tick_at"] > start) & (rows["tick_at"] <= end))
            assert shown[name, key]["dagster/partition_row_count"] == own.height, (name, key)
        equity = lived.scene.rows("autopilot_equity", strategy).sort("tick_at")
        own = equity.filter((equity["tick_at"] > start) & (equity["tick_at"] <= end))
        assert shown["equity", key]["equity_at_close"] == round(float(own["equity"][-1]), 2)
        change = own["equity"][-1] - equity.filter(equity["tick_at"] == start)["equity"][0]
        assert shown["equity", key]["day_pnl"] == round(float(change), 2)


def test_pages_carry_plots_and_tables(lived: Lived) -> None:
    shown, key = materialized(lived.cycle), f"{DAY_TWO}|{BREAKOUT}"
    assert shown["equity", key]["equity_and_drawdown"].startswith("![Equity and drawdown](data:image/png;base64,")
    assert "](data:image/png;base64," in shown["fills", key]["trades_on_price"]
    head, rule, *rows = shown["decisions", key]["rows"].splitlines()
    assert head == "| tick_at | symbol | action | side | status | reason_code | reason |"
    assert rule.count("---") == 7
    assert len(rows) > 1
    assert "| rank | symbol | score | selected | reason |" in shown["universe_snapshots", key]["candidates"]


def test_the_pages_of_a_range_say_where_tables_and_pictures_are(lived: Lived) -> None:
    shown = materialized(lived.cycle)
    days = {day: shown["equity", f"{day}|{BREAKOUT}"] for day in (DAY_ONE, DAY_TWO)}
    assert {"dagster/partition_row_count", "equity_at_close", "day_pnl"} <= set(days[DAY_ONE]) & set(days[DAY_TWO])
    assert "materialize this day alone" in days[DAY_ONE]["tables_and_pictures"]
    assert "equity_and_drawdown" not in days[DAY_ONE]
    assert "tables_and_pictures" not in days[DAY_TWO]


def test_recorded_days_materialized_again_verify_and_write_nothing(new_scene) -> None:
    scene: Scene = new_scene()
    over = {"partition": f"{DAY_ONE}|{MOMENTUM}", "last": f"{DAY_TWO}|{MOMENTUM}"}
    first = scene.run("autopilot_cycle_job", **over)
    assert first.success, failure(first)
    before, stamps = scene.hash(MOMENTUM), scene.rows("autopilot_ticks")["recorded_at"].to_list()
    scene.clock.set(scene.clock.now() + timedelta(hours=1))
    again = scene.run("autopilot_cycle_job", **over)
    assert again.success, failure(again)
    assert scene.hash(MOMENTUM) == before
    assert scene.rows("autopilot_ticks")["recorded_at"].to_list() == stamps
    shown = materialized(again)
    assert {shown["fills", f"{day}|{MOMENTUM}"]["rows_written"] for day in (DAY_ONE, DAY_TWO)} == {0}
    replay = next(c for c in again.get_asset_check_evaluations() if c.check_name == "recorded_ticks_replay")
    assert replay.passed


def test_a_live_tick_materializes_only_the_tables_it_wrote(new_scene) -> None:
    scene: Scene = new_scene()
    key = f"{DAY_ONE}|{MOMENTUM}"
    seen = []
    for hours in range(1, 6):
        scene.clock.set(day_start(DAY_ONE) + timedelta(hours=hours, seconds=1))
        before = {name: scene.rows(f"autopilot_{name}", MOMENTUM).height for name in CYCLE_ASSETS}
        result = scene.run("autopilot_live", key, tags=LIVE)
        assert result.success, failure(result)
        after = {name: scene.rows(f"autopilot_{name}", MOMENTUM).height for name in CYCLE_ASSETS}
        grown = {name for name in CYCLE_ASSETS if after[name] > before[name]}
        assert {asset for asset, _ in materialized(result)} == grown
        seen.append(grown)
    assert "universe_snapshots" in seen[0]
    assert all("universe_snapshots" not in later and "equity" in later for later in seen[1:])
    again = scene.run("autopilot_live", key, tags=LIVE)
    assert again.success
    assert materialized(again) == {}
    assert not again.get_asset_check_evaluations()


def test_a_live_run_looks_first_and_a_backfill_does_not(new_scene) -> None:
    scene: Scene = new_scene()
    (scene.folder / "data" / "KILL_SWITCH").write_text("close_only # wild")
    scene.clock.set(day_start(DAY_ONE) + timedelta(hours=1, seconds=1))
    assert scene.run("autopilot_cycle_job", f"{DAY_ONE}|{BREAKOUT}").success
    assert scene.rows("admin_actions", ACCOUNT_CHAIN).is_empty()
    result = scene.run("autopilot_live", f"{DAY_ONE}|{MOMENTUM}", tags=LIVE)
    assert result.success, failure(result)
    rows = scene.rows("admin_actions", ACCOUNT_CHAIN).sort("sequence")
    assert list(rows.select("action", "subject", "from_state", "to_state").iter_rows()) == [
        ("KILL_SWITCH_CHANGED", "kill-switch file", None, "close_only"),
        ("CONFIGURATION_CHANGED", "autopilot.yaml", None, rows["to_state"][1]),
    ]
    assert scene.rows("autopilot_ticks", MOMENTUM).sort("tick_at")["kill_switch"][-1] == "close_only"
    assert scene.rows("notifications_outbox")["notification_key"].to_list() == ["kill_switch:paper:1"]


def test_books_that_disagree_after_a_tick_raise_one_alert(new_scene) -> None:
    scene: Scene = new_scene()
    key = f"{DAY_ONE}|{MOMENTUM}"
    scene.clock.set(day_start(DAY_ONE) + timedelta(hours=12, seconds=1))
    assert scene.run("autopilot_live", key, tags=LIVE).success
    assert scene.rows("autopilot_fills", MOMENTUM).height > 0
    assert scene.rows("notifications_outbox").is_empty()
    scene.sql(
        "ledger",
        "UPDATE autopilot_fills SET cash_change = cash_change + 1 WHERE strategy_config_id = ? AND fill_key = "
        "(SELECT min(fill_key) FROM autopilot_fills WHERE strategy_config_id = ?)",
        [MOMENTUM, MOMENTUM],
    )
    scene.clock.set(day_start(DAY_ONE) + timedelta(hours=13, seconds=1))
    for _ in range(2):
        assert scene.run("autopilot_live", key, tags=LIVE).success
    (told,) = scene.rows("notifications_outbox").to_dicts()
    assert (told["kind"], told["severity"], told["subject"]) == ("reconcile_mismatch", "error", MOMENTUM)
    assert told["notification_key"] == f"reconcile_mismatch:paper:{MOMENTUM}:20250510T1300Z"
    assert "does not reconcile after its tick at 2025-05-10 13:00Z: cash: " in told["message"]
    with scene.world.store.write("ledger") as con:  # the process that took the tick died before it told
        con.execute("DELETE FROM notifications_outbox")
    fresh = notify(scene.world, alerts_now(scene.world, scene.clock.now()))
    assert told["notification_key"] in {alert.key for alert in fresh}


def test_a_day_before_its_predecessor_is_refused(new_scene) -> None:
    scene: Scene = new_scene()
    result = scene.run("autopilot_cycle_job", f"{DAY_TWO}|{MOMENTUM}")
    assert not result.success
    assert "HoleError" in failure(result)
    assert scene.rows("autopilot_ticks").is_empty()


def test_a_day_whose_candles_nobody_asked_for_is_refused(new_scene) -> None:
    scene: Scene = new_scene(market=False)
    assert scene.run("instruments_refresh").success
    result = scene.run("autopilot_cycle_job", f"{DAY_ONE}|{MOMENTUM}")
    assert not result.success
    assert "WarmUpError" in failure(result)


def test_days_of_one_backfill_wait_for_the_earlier_ones_only(new_scene) -> None:
    """Dagster starts as many runs as days at once when there are no more days than strategies, in no order."""
    from openclaw_pipelines.assets import trading
    from openclaw_pipelines.assets.run_tags import range_tags

    scene: Scene = new_scene()
    backfill = {"dagster/backfill": "abc"}
    job = scene.defs.resolve_job_def("autopilot_cycle_job")
    first = scene.instance.create_run_for_job(
        job, tags={**backfill, **range_tags(KEYS[0], KEYS[1])}, status=dg.DagsterRunStatus.STARTED
    )

    def waits(day: str, tags: dict[str, str]) -> bool:
        run = scene.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        context = type("Context", (), {"run": run, "instance": scene.instance})
        return trading._earlier_day_runs(context, day)

    assert waits(DAY_TWO, {**backfill, "dagster/partition": f"{DAY_TWO}|{MOMENTUM}"})
    assert not waits(DAY_ONE, {**backfill, **range_tags(KEYS[0], KEYS[1])})
    assert not waits(DAY_TWO, {"dagster/backfill": "another"})
    assert not waits(DAY_TWO, {})
    scene.instance.report_run_failed(first)
    for run in scene.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if run.tags.get("dagster/asset_partition_range_start") == KEYS[0]:
            scene.instance.report_run_failed(run)
    assert not waits(DAY_TWO, backfill)
