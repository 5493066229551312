"""Exit 1 unless the given pytest report (JUnit XML) holds at least one test that passed."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def passed(report: Path) -> int:
    """Number of tests that ran to a pass."""
    suites = list(ET.parse(report).getroot().iter("testsuite"))
    total = sum(int(suite.get("tests", 0)) for suite in suites)
    return total - sum(int(suite.get(kind, 0)) for suite in suites for kind in ("skipped", "failures", "errors"))


def main() -> int:
    """Print the count; the exit code."""
    count = passed(Path(sys.argv[1]))
    print(f"{count} test(s) passed")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
