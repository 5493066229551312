"""The lifecycle's asset checks as plain results: parity of a recorded day, and the state of the log."""

import polars as pl

from openclaw_pipelines.contracts.factory import ParityClass
from openclaw_pipelines.domain.lifecycle.log import BrokenDeploymentLogError
from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.resources.deployed_layer import LayerEditedError
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.book import DeploymentBook
from openclaw_pipelines.services.lifecycle.paper_parity import record_paper_parity
from openclaw_pipelines.services.trading.verification import Verification

PAPER_REPLAY_PARITY = "paper_replay_parity"
PAPER_TEXT = "What paper recorded, replayed from its recorded inputs, has equal trades and equal totals."
LOG_CHECKS = {
    "deployment_log_whole": "Every row of the log of transitions follows from the row before it.",
    "deployments_configured": "The configuration holds exactly the strategies that the log says are deployed.",
}


def examine_paper(world: World, verification: Verification) -> CheckResult:
    """Store the parity report of a replayed day, and say what it found. An invalid comparison is no pass."""
    report = record_paper_parity(world, verification)
    if report is None:
        return _result(PAPER_REPLAY_PARITY, PAPER_TEXT, "nothing is recorded", passed=True)
    passed = report["verdict"] == ParityClass.EQUAL.value
    sentence = "trades and totals are equal" if passed else f"{report['verdict']}: {report['first_difference']}"
    if report["first_difference"] is None and not passed:
        sentence = f"{report['verdict']}: the day was recorded by another version of the program"
    return _result(
        PAPER_REPLAY_PARITY,
        PAPER_TEXT,
        sentence,
        passed=passed,
        facts={
            "verdict": report["verdict"],
            "symbols": report["symbols"],
            "report_hash": report["report_hash"],
            "replay": "that of recorded_ticks_replay",
        },
    )


def examine_log(world: World) -> list[CheckResult]:
    """Both checks of `LOG_CHECKS`."""
    book, whole, configured = DeploymentBook(world), LOG_CHECKS["deployment_log_whole"], "deployments_configured"
    try:
        rows = book.rows()
    except BrokenDeploymentLogError as error:
        broken = _result("deployment_log_whole", whole, str(error), passed=False)
        return [broken, _result(configured, LOG_CHECKS[configured], "the log is broken", passed=False)]
    try:
        current = book.layer.require_unedited(book.layer.text())
    except LayerEditedError as error:
        current, said = False, str(error)
    else:
        name = book.layer.file.name
        said = "the file says what the log says" if current else f"{name} says what the log said earlier; run a review"
    return [
        _result("deployment_log_whole", whole, f"{len(rows)} rows follow from each other", passed=True),
        _result(configured, LOG_CHECKS[configured], said, passed=current),
    ]


def _result(
    name: str, description: str, sentence: str, *, passed: bool, facts: dict[str, str] | None = None
) -> CheckResult:
    return CheckResult(name, passed, "error", description, sentence, dict(facts or {}), pl.DataFrame(), 0)
