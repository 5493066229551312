"""Check results per partition, in runs over one partition and over a range.

In a run over a range Dagster takes one result per check and gives it no partition. So each partition is reported to the
instance on its own, and the run gets the worst of them, which blocks what stands downstream where it must.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg


@dataclass(frozen=True)
class Evaluated:
    """One check on one partition."""

    name: str
    passed: bool
    severity: dg.AssetCheckSeverity
    metadata: dict[str, Any]

    @property
    def badness(self) -> int:
        """0 passed, 1 a warning, 2 an error."""
        if self.passed:
            return 0
        return 2 if self.severity is dg.AssetCheckSeverity.ERROR else 1


def evaluate_partitions(
    context: dg.AssetCheckExecutionContext, asset: str, evaluate: Callable[[str], list[Evaluated]]
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate every partition of the run and report it; one result per check goes to the run."""
    keys = context.op_execution_context.partition_keys
    results = {key: evaluate(key) for key in keys}
    if len(keys) == 1:
        yield from (_result(asset, item, item.metadata) for item in results[keys[0]])
        return
    for key, items in results.items():
        for item in items:
            context.instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey(asset),
                    check_name=item.name,
                    passed=item.passed,
                    severity=item.severity,
                    metadata={name: _value(value) for name, value in item.metadata.items()},
                    partition=key,
                )
            )
    yield from _worst(asset, results)


def _worst(asset: str, results: dict[str, list[Evaluated]]) -> Iterator[dg.AssetCheckResult]:
    by_name: dict[str, list[tuple[str, Evaluated]]] = {}
    for key, items in results.items():
        for item in items:
            by_name.setdefault(item.name, []).append((key, item))
    for own in by_name.values():
        key, worst = max(own, key=lambda one: one[1].badness)
        failed = [f"{key}: {item.metadata.get('finding', 'failed')}" for key, item in own if not item.passed]
        metadata = {"partitions": len(own), "failed": len(failed), "findings": dg.MetadataValue.md(_listed(failed))}
        yield _result(asset, worst, metadata if failed else {**metadata, "example_partition": key})


def _listed(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines[:50]) or "every partition passed"


def _result(asset: str, item: Evaluated, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset, check_name=item.name, passed=item.passed, severity=item.severity, metadata=metadata
    )


def _value(value: Any) -> dg.MetadataValue:
    if isinstance(value, dg.MetadataValue):
        return value
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    return dg.MetadataValue.float(value) if isinstance(value, float) else dg.MetadataValue.text(str(value))
