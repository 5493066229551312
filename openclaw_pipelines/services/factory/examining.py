"""What the asset checks of a cycle ask of its stored rows, each time anew."""

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from openclaw_pipelines.contracts.factory import CycleState, ParityClass
from openclaw_pipelines.domain.factory.contract import ParamsChangedError
from openclaw_pipelines.domain.factory.log import SUBJECTS, BrokenFactoryLogError
from openclaw_pipelines.domain.lifecycle.hand_over import parity_class
from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.domain.selection.gates import verdict
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.factory.cycle import cycle_row, reopen_cycle
from openclaw_pipelines.services.factory.judging import gate_rows
from openclaw_pipelines.services.factory.listing import NO_CANDIDATE, shortlisted
from openclaw_pipelines.services.factory.parity_rows import parity_rows, stale_reports
from openclaw_pipelines.services.factory.proving import LOGGED
from openclaw_pipelines.services.factory.recording import unlogged


class StoredGate(NamedTuple):
    """What a verdict looks at."""

    name: str
    passed: bool
    reason: str


_SHOWN = ("comparison", "sample", "verdict", "params_hash", "differing", "first_difference", "symbols")


def parameters_unchanged(world: World, cycle_id: str) -> CheckResult:
    """Whether every candidate's parameters still have the hash that was swept."""
    cycle, _ = reopen_cycle(world, cycle_id)
    try:
        chosen = shortlisted(cycle)
    except ParamsChangedError as error:
        return _result("parameters_unchanged", str(error), passed=False)
    return _result("parameters_unchanged", f"{len(chosen)} candidates have the hashes of their rows", passed=True)


def candidates_found(world: World, cycle_id: str) -> CheckResult:
    """Whether the sweep had a row that can be a candidate, or an incumbent that holds."""
    row = cycle_row(world, cycle_id)
    blocked = row["state"] == CycleState.BLOCKED and row["blocked_by"] == NO_CANDIDATE
    return _result("candidates_found", row["reason"] or "there are candidates", passed=not blocked)


def parity_equal(world: World, cycle_id: str) -> CheckResult:
    """Whether every stored report is a valid comparison in which nothing differed."""
    cycle, _ = reopen_cycle(world, cycle_id)
    rows = parity_rows(cycle)
    bad = [row for row in rows if parity_class(row) is not ParityClass.EQUAL]
    cases = pl.DataFrame(bad, infer_schema_length=None).select(_SHOWN) if bad else pl.DataFrame()
    text = f"{len(bad)} of {len(rows)} comparisons differ or are invalid" if bad else f"{len(rows)} comparisons equal"
    return _result("parity_equal", text, passed=not bad, cases=cases, compared=len(rows))


def parity_fresh(world: World, cycle_id: str) -> CheckResult:
    """Whether code, bars, configuration and candidates are those that the reports are about."""
    cycle, changed = reopen_cycle(world, cycle_id)
    stale = [f"{name} changed since the cycle was begun" for name in changed] + stale_reports(cycle)
    return _result("parity_fresh", "; ".join(stale) or "the reports are about today's code and bars", passed=not stale)


def gates_passed(world: World, cycle_id: str) -> CheckResult:
    """Whether a candidate passed every gate; a cycle whose incumbent holds has none to judge."""
    cycle, _ = reopen_cycle(world, cycle_id)
    rows = gate_rows(cycle)
    if not rows and cycle_row(world, cycle_id)["state"] == CycleState.INCUMBENT_HOLDS:
        return _result("gates_passed", "the incumbent holds; there is no candidate to judge", passed=True)
    verdicts = {
        params: verdict(
            [StoredGate(row["gate"], row["passed"], row["reason"]) for row in rows if row["params_hash"] == params]
        )
        for params in dict.fromkeys(row["params_hash"] for row in rows)
    }
    passed = [params for params, own in verdicts.items() if own.passed]
    failed = [f"{params[:12]} blocked by {own.blocked_by}: {own.reason}" for params, own in verdicts.items()]
    text = f"{passed[0][:12]} passed every gate" if passed else "; ".join(failed) or "no candidate was judged"
    cases = pl.DataFrame([row for row in rows if not row["passed"]], infer_schema_length=None)
    return _result("gates_passed", text, passed=bool(passed), cases=cases, candidates=len(verdicts))


def shards_logged(world: World, cycle_id: str) -> CheckResult:
    """Whether shards, their rows and trials are what the log of the factory says."""
    return _logged(world, cycle_id, "shards_logged", "sweep_shards", "sweep_results", "trial_counts")


def replays_logged(world: World, cycle_id: str) -> CheckResult:
    """Whether the shortlist, replays and looks at any holdout are what the log says."""
    return _logged(world, cycle_id, "replays_logged", "shortlist", "replays", "holdout_looks")


def reports_logged(world: World, cycle_id: str) -> CheckResult:
    """Whether parity reports are what the log says."""
    return _logged(world, cycle_id, "reports_logged", "parity_reports")


def gates_logged(world: World, cycle_id: str) -> CheckResult:
    """Whether gates, all that they rest on and the cycle's state are what the log says."""
    return _logged(world, cycle_id, "gates_logged", "factory_cycles", *SUBJECTS)


def deployment_logged(world: World, cycle_id: str) -> CheckResult:
    """Whether the deployments of all cycles and all that this one left are what the log says."""
    return _logged(world, cycle_id, "deployment_logged", *LOGGED)


CHECKS: dict[str, tuple[str, str, Callable[[World, str], CheckResult]]] = {
    "parameters_unchanged": (
        "shortlist", "Every candidate's parameters have the hash that was swept.", parameters_unchanged,
    ),
    "candidates_found": ("shortlist", "Some row earned on the train days with enough trades.", candidates_found),
    "parity_equal": ("parity_reports", "Every comparison is valid and equal to the last bit.", parity_equal),
    "parity_fresh": ("parity_reports", "The reports are about today's code, bars and candidates.", parity_fresh),
    "gates_passed": ("gate_results", "A candidate passed every gate.", gates_passed),
    "shards_logged": ("shortlist", "Shards, their rows and trials are what the log says.", shards_logged),
    "replays_logged": ("replays", "Shortlist, replays and looks are what the log says.", replays_logged),
    "reports_logged": ("parity_reports", "Reports are what the log says.", reports_logged),
    "gates_logged": ("gate_results", "Gates and all they rest on are what the log says.", gates_logged),
    "deployment_logged": ("deployments", "Deployments and their evidence are what the log says.", deployment_logged),
}  # fmt: skip
"""Check -> its asset, what it says, and how it is asked."""


def _logged(world: World, cycle_id: str, name: str, *tables: str) -> CheckResult:
    try:
        found = unlogged(world.store, cycle_id, tables)
    except BrokenFactoryLogError as error:
        found = [str(error)]
    cases = pl.DataFrame({"finding": found})
    return _result(name, found[0] if found else "every row is what the log says", passed=not found, cases=cases)


def _result(name: str, sentence: str, *, passed: bool, cases: pl.DataFrame | None = None, **facts: int) -> CheckResult:
    cases = pl.DataFrame() if cases is None else cases
    return CheckResult(name, passed, "error", name, sentence, dict(facts), cases, cases.height)
