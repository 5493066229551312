"""Check results per partition, in runs over one partition and over a range.

In a run over a range Dagster takes one result per check and gives it no partition. So each partition's is logged as an
event of the run, and the run gets the worst of them, which blocks what stands downstream where it must.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from openclaw_pipelines.assets.metadata import markdown_table
from openclaw_pipelines.assets.run_tags import CheckTarget, check_target
from openclaw_pipelines.domain.governance.alerts import red_check_alert
from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.notifications import notify


def severity_of(result: CheckResult) -> dg.AssetCheckSeverity:
    """Dagster's severity."""
    return dg.AssetCheckSeverity.ERROR if result.severity == "error" else dg.AssetCheckSeverity.WARN


def metadata_of(result: CheckResult) -> dict[str, Any]:
    """The sentence, the numbers and the rows to act on."""
    metadata: dict[str, object] = {"finding": result.sentence, **result.facts}
    if result.total_cases:
        metadata["cases"] = markdown_table(result.cases, rows=50)
        metadata["total_cases"] = result.total_cases
    return metadata


RED = 2
"""`badness` of an error."""


def badness(result: CheckResult) -> int:
    """0 passed, 1 a warning, 2 an error."""
    if result.passed:
        return 0
    return RED if result.severity == "error" else 1


def evaluate_partitions(
    context: dg.AssetCheckExecutionContext, world: World, asset: str, evaluate: Callable[[str], list[CheckResult]]
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate every partition of the run and report it; one result per check goes to the run.

    A red one raises an alert first: what follows it in the run may never come.
    """
    keys = context.op_execution_context.partition_keys
    results = {key: evaluate(key) for key in keys}
    alert_red(world, asset, results)
    for key, items in results.items():
        for item in items:
            if not item.passed:  # Dagster names only the check that stops a run
                log = context.log.error if item.severity == "error" else context.log.warning
                log("%s of %s, %s: %s", asset, key, item.name, item.sentence)
    if context.op_execution_context.has_partition_key:  # a range of one day has none
        yield from (_result(asset, item, metadata_of(item)) for item in results[keys[0]])
        return
    for key, items in results.items():
        target = check_target(context.instance, asset, key)
        for item in items:
            # an event of this run: one without a run is stored once per partition and fails the second time
            event = _evaluation(asset, key, item, target)
            context.op_execution_context.log_event(event)  # type: ignore[arg-type]  # taken, though not annotated
    yield from _worst(asset, results)


def alert_red(world: World, asset: str, results: Mapping[str, Sequence[CheckResult]]) -> None:
    """An alert per check and partition that is an error."""
    notify(
        world,
        [
            red_check_alert(asset, item.name, key, item.sentence)
            for key, items in results.items()
            for item in items
            if badness(item) == RED
        ],
    )


def _evaluation(asset: str, key: str, item: CheckResult, target: CheckTarget | None) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset),
        check_name=item.name,
        passed=item.passed,
        severity=severity_of(item),
        metadata={name: _value(value) for name, value in metadata_of(item).items()},
        target_materialization_data=target,
        partition=key,
    )


def _worst(asset: str, results: dict[str, list[CheckResult]]) -> Iterator[dg.AssetCheckResult]:
    by_name: dict[str, list[tuple[str, CheckResult]]] = {}
    for key, items in results.items():
        for item in items:
            by_name.setdefault(item.name, []).append((key, item))
    for own in by_name.values():
        _, worst = max(own, key=lambda one: badness(one[1]))
        failed = [f"{key}: {item.sentence}" for key, item in own if not item.passed]
        yield _result(asset, worst, _summary(len(own), failed))


def _summary(partitions: int, failed: list[str]) -> dict[str, object]:
    """The first finding in sight, all of them a click away; each partition's own result has its rows."""
    if not failed:
        return {"finding": f"all {partitions} partitions passed"}
    more = f" And {len(failed) - 1} more partition(s)." if len(failed) > 1 else ""
    return {
        "finding": failed[0] + more,
        "failed_partitions": len(failed),
        "partitions_in_run": partitions,
        "findings": dg.MetadataValue.md("\n".join(f"- {line}" for line in failed[:50])),
    }


def _result(asset: str, item: CheckResult, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset, check_name=item.name, passed=item.passed, severity=severity_of(item), metadata=metadata
    )


def _value(value: object) -> dg.MetadataValue:
    if isinstance(value, dg.MetadataValue):
        return value
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    return dg.MetadataValue.float(value) if isinstance(value, float) else dg.MetadataValue.text(str(value))
