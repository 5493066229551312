"""Asset checks of a factory cycle: parameters unchanged, parity proven and fresh, gates passed.

Each asks the stored rows again, so that a check can be executed long after the cycle: stale is red. The deployment asks
the same questions by itself, since a check stops only the run that it is part of.
"""

from collections.abc import Callable

import dagster as dg

from openclaw_pipelines.assets.factory import cycles
from openclaw_pipelines.checks.partition_results import alert_red, metadata_of, severity_of
from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.resources.world import World

Examine = Callable[[World, str], CheckResult]


def factory_checks() -> list[dg.AssetChecksDefinition]:
    """Checks of the factory layer; each blocks what stands downstream in its run."""
    from openclaw_pipelines.services.factory.examining import CHECKS

    return [_check(asset, name, text, examine) for name, (asset, text, examine) in CHECKS.items()]


def _check(asset: str, name: str, text: str, examine: Examine) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=name, description=text, blocking=True, partitions_def=cycles)
    def check(context: dg.AssetCheckExecutionContext, world: dg.ResourceParam[World]) -> dg.AssetCheckResult:
        found = {key: examine(world, key) for key in context.op_execution_context.partition_keys}
        alert_red(world, asset, {key: [one] for key, one in found.items()})
        worst = next((one for one in found.values() if not one.passed), next(iter(found.values())))
        return dg.AssetCheckResult(
            passed=worst.passed, severity=severity_of(worst), metadata=metadata_of(worst)
        )  # fmt: skip

    return check
