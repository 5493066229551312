"""What a run over a range says of one check: how many partitions failed, the first in sight, all a click away."""

from typing import Any

import dagster as dg
import polars as pl
import pytest

from openclaw_pipelines.checks.partition_results import evaluate_partitions
from openclaw_pipelines.domain.market.quality.window import CheckResult

DAYS = ["2025-05-10", "2025-05-11", "2025-05-12"]


def _result(day: str, failing: dict[str, str]) -> CheckResult:
    return CheckResult(
        "gaps", day not in failing, failing.get(day, "warning"), "no bar is absent", f"{day}'s sentence", {},
        pl.DataFrame(), 0,
    )  # fmt: skip


def _of_range(failing: dict[str, str]) -> tuple[bool, dg.AssetCheckSeverity, dict[str, Any]]:
    """Materialize the range in one run; the run's own result of the check."""
    parts = dg.StaticPartitionsDefinition(DAYS)

    @dg.asset(partitions_def=parts, backfill_policy=dg.BackfillPolicy.single_run())
    def candles() -> None: ...

    @dg.multi_asset_check(specs=[dg.AssetCheckSpec("gaps", asset="candles", partitions_def=parts)])
    def checks(context: dg.AssetCheckExecutionContext) -> Any:
        yield from evaluate_partitions(context, "candles", lambda day: [_result(day, failing)])

    with dg.instance_for_test() as instance:
        done = dg.Definitions([candles], asset_checks=[checks]).resolve_implicit_global_asset_job_def()
        tags = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[-1]}
        result = done.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        own = [one for one in result.get_asset_check_evaluations() if one.partition is None][-1]
    values = {name: value.value for name, value in own.metadata.items()}
    return own.passed, own.severity, values


def test_all_passed() -> None:
    passed, _, said = _of_range({})
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
    failing: dict[str, str], severity: str, finding: str, count: int
) -> None:
    passed, own, said = _of_range(failing)
    assert (passed, own.name) == (False, severity)
    assert (said["finding"], said["failed_partitions"], said["partitions_in_run"]) == (finding, count, 3)
    assert said["findings"].splitlines() == [f"- {day}: {day}'s sentence" for day in failing]


def test_what_failed_is_said_in_the_log_of_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    _of_range({DAYS[0]: "warning", DAYS[2]: "error"})
    said = [line for line in capfd.readouterr().err.splitlines() if "'s sentence" in line]
    assert [" - WARNING - " in line for line in said] == [True, False]
    assert " - ERROR - " in said[1]
    assert said[1].endswith(f"candles of {DAYS[2]}, gaps: {DAYS[2]}'s sentence")
