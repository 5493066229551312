"""What the pages of the factory's assets show of a cycle: its plots, and the path of its report.

Plots are those of `report.factory.page`; nothing is drawn until an asset is materialized.
"""

import dagster as dg

from openclaw_pipelines.resources.world import World

_ENDS = ("gate_results", "deployments")
"""Assets after which a cycle has its verdict, and so its report is written anew."""


def pictures(world: World, cycle_id: str, asset: str) -> dict[str, object]:
    """Plots of a cycle for one asset, and the path of its report; a verdict or a block writes that report."""
    from openclaw_pipelines.contracts.factory import CycleState
    from openclaw_pipelines.report.factory.page import cycle_plots
    from openclaw_pipelines.services.factory.cycle_report import cycle_data, cycle_report_path, write_cycle_report

    data = cycle_data(world, cycle_id)
    path = cycle_report_path(world, cycle_id)
    if asset in _ENDS or data.cycle["state"] == CycleState.BLOCKED:
        write_cycle_report(world, cycle_id)
    shown = {name: dg.MetadataValue.md(image) for name, image in cycle_plots(data, asset).items()}
    return {**shown, **({"cycle_report": dg.MetadataValue.path(str(path))} if path.exists() else {})}
