"""What a run over a range says of one check: how many partitions failed, the first in sight, all a click away."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster_scene import Scene

from openclaw_pipelines.checks.partition_results import evaluate_partitions
from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.resources.world import World

DAYS = ["2025-05-10", "2025-05-11", "2025-05-12"]


@pytest.fixture
def world(new_scene: Callable[..., Scene]) -> World:
    """A world whose outbox is empty."""
    return new_scene(market=False).world


def _result(day: str, failing: dict[str, str]) -> CheckResult:
    return CheckResult(
        "gaps", day not in failing, failing.get(day, "warning"), "no bar is absent", f"{day}'s sentence", {},
        pl.DataFrame(), 0,
    )  # fmt: skip


def _of_range(world: World, failing: dict[str, str]) -> tuple[bool, dg.AssetCheckSeverity, dict[str, Any]]:
    """Materialize the range in one run; the run's own result of the check."""
    parts = dg.StaticPartitionsDefinition(DAYS)

    @dg.asset(partitions_def=parts, backfill_policy=dg.BackfillPolicy.single_run())
    def candles() -> None: ...

    @dg.multi_asset_check(specs=[dg.AssetCheckSpec("gaps", asset="candles", partitions_def=parts)])
    def checks(context: dg.AssetCheckExecutionContext) -> Any:
        yield from evaluate_partitions(context, world, "candles", lambda day: [_result(day, failing)])

    with dg.instance_for_test() as instance:
        done = dg.Definitions([candles], asset_checks=[checks]).resolve_implicit_global_asset_job_def()
        tags = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[-1]}
        result = done.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        own = [one for one in result.get_asset_check_evaluations() if one.partition is None][-1]
    values = {name: value.value for name, value in own.metadata.items()}
    return own.passed, own.severity, values


def _alerts(world: World) -> list[tuple[str, str, str]]:
    rows = world.store.table("notifications_outbox").sort("notification_key").to_dicts()
    return [(row["notification_key"], row["severity"], row["message"]) for row in rows]


def test_all_passed(world: World) -> None:
    passed, _, said = _of_range(world, {})
    assert _alerts(world) == []
    assert (passed, said["finding"]) == (True, "all 3 partitions passed")


@pytest.mark.parametrize(
    ("failing", "severity", "finding", "count"),
    [
        ({DAYS[1]: "warning"}, "WARN", f"{DAYS[1]}: {DAYS[1]}'s sentence", 1),
        (
            {DAYS[0]: "warning", DAYS[2]: "error"},
            "ERROR",
            f"{DAYS[0]}: {DAYS[0]}'s sentence And 1 more partition(s).",
            2,
        ),
    ],
)
def test_the_worst_counts_and_every_failure_is_told(
    world: World, failing: dict[str, str], severity: str, finding: str, count: int
) -> None:
    passed, own, said = _of_range(world, failing)
    assert (passed, own.name) == (False, severity)
    assert (said["finding"], said["failed_partitions"], said["partitions_in_run"]) == (finding, count, 3)
    assert said["findings"].splitlines() == [f"- {day}: {day}'s sentence" for day in failing]


def test_a_red_check_raises_one_alert_per_partition_and_a_warning_none(world: World) -> None:
    expected = [
        (
            f"red_check:candles:gaps:{DAYS[2]}",
            "error",
            f"check gaps of candles, {DAYS[2]}, is red: {DAYS[2]}'s sentence",
        )
    ]
    for _ in range(2):  # looked at again it is still red, and told already
        _of_range(world, {DAYS[0]: "warning", DAYS[2]: "error"})
        assert _alerts(world) == expected
    _of_range(world, {DAYS[1]: "error", DAYS[2]: "error"})
    assert [key for key, _, _ in _alerts(world)] == [f"red_check:candles:gaps:{day}" for day in DAYS[1:]]


def test_what_failed_is_said_in_the_log_of_the_run(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    _of_range(world, {DAYS[0]: "warning", DAYS[2]: "error"})
    said = [line for line in capfd.readouterr().err.splitlines() if "'s sentence" in line]
    assert [" - WARNING - " in line for line in said] == [True, False]
    assert " - ERROR - " in said[1]
    assert said[1].endswith(f"candles of {DAYS[2]}, gaps: {DAYS[2]}'s sentence")
