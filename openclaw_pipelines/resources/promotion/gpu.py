"""How many cycles in a row a GPU agreed with the CPU, out of the stored parity reports."""

from openclaw_pipelines.contracts.research import Comparison, ParityClass
from openclaw_pipelines.domain.lifecycle.hand_over import parity_class
from openclaw_pipelines.domain.lifecycle.trust import gpu_trusted, passing_in_a_row
from openclaw_pipelines.resources.autopilot import Autopilot


def gpu_trust(autopilot: Autopilot, recipe: str) -> tuple[bool, int]:
    """Whether results of the GPU stand alone for a recipe, and how many of its newest cycles passed in a row.

    Each report is compared again, by its two contracts and hashes; cycles are ordered by the end of their holdout.
    """
    sql = (
        "SELECT r.*, c.holdout_end FROM parity_reports r JOIN factory_cycles c USING (cycle_id) "
        "WHERE r.comparison = ? AND c.recipe = ? ORDER BY c.holdout_end, r.cycle_id"
    )
    rows = autopilot.store.query("research", sql, [Comparison.CPU_GPU.value, recipe]).to_dicts()
    cycles: dict[str, list[ParityClass]] = {}
    for row in rows:
        cycles.setdefault(row["cycle_id"], []).append(parity_class(row))
    verdicts = list(cycles.values())
    least = autopilot.settings().config.lifecycle.gpu_trust_cycles
    return gpu_trusted(verdicts, least), passing_in_a_row(verdicts)
