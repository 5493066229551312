"""docs/errors.md is what the classes say, and every class says what happened and what to do."""

import re
from pathlib import Path

from openclaw_pipelines.commands.error_reference import errors, reference
from openclaw_pipelines.domain.market.quality.checks import CHECKS
from openclaw_pipelines.services.factory.examining import CHECKS as FACTORY_CHECKS
from openclaw_pipelines.services.lifecycle.examination import LOG_CHECKS
from openclaw_pipelines.services.trading.examination import LEDGER_CHECKS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_the_document_is_generated_from_the_classes():
    assert DOCUMENT.read_text(encoding="utf-8") == reference() + "\n"


def test_every_error_and_check_has_a_row():
    rows = re.findall(r"^\| `(\w+)`", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    named = [one.__name__ for one in errors()]
    checks = [check.name for check in CHECKS] + ["funding_coverage", *LEDGER_CHECKS, *FACTORY_CHECKS, *LOG_CHECKS]
    checks.append("paper_replay_parity")
    assert sorted(rows) == sorted(named + checks)
    assert len(named) > 90
