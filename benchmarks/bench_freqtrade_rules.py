"""Checks the column `freqtrade` of `tests/kernel/test_profiles.py` against freqtrade itself.

    FREQTRADE_PYTHON=... python benchmarks/bench_freqtrade_rules.py

FREQTRADE_PYTHON names the interpreter of an environment that has freqtrade, which is no peer of the benchmarks and
large. Ends with 1 if a row differs.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent / "tests" / "kernel" / "test_profiles.py"
REASONS = {
    "stop_loss": "stop",
    "trailing_stop_loss": "trailing_stop",
    "roi": "target",
    "liquidation": "liquidation",
    "exit_signal": "signal",
}
LEFT_OPEN = "force_exit"
TRAIL = 0.05
"""Of the extreme, in every row that has a trail; the table's distance is that fraction of the row's extreme."""


def table() -> Any:
    """The test module with the table."""
    spec = importlib.util.spec_from_file_location("profiles_table", TABLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scenario(side: int, given: dict[str, Any], bars: list[Any], flat: Any) -> dict[str, Any]:
    """One row as freqtrade is asked: distances of 1,000 as fractions, tenfold leverage as a price a tenth away."""
    return {
        "side": side, "bars": [flat, *bars, flat, flat], "exits": given.get("exits", []),
        "stop": given.get("stop", 0) / 1_000, "roi": given.get("target", 0) / 1_000,
        "trail": TRAIL if "trail" in given else 0, "liquidation": 1_000.0 - side * 100 if "leverage" in given else None,
    }  # fmt: skip


def expected(trades: list[Any]) -> tuple[int, int, str] | None:
    """The only trade as the table writes it."""
    ((bar, price, reason),) = trades
    return None if reason == LEFT_OPEN else (bar, round(price), REASONS[reason])


def main() -> None:
    """Run and compare."""
    rules = table()
    asked = [scenario(*row.values[:3], rules.FLAT) for row in rules.RULES]
    with tempfile.TemporaryDirectory() as name:
        given, answer = Path(name) / "scenarios.json", Path(name) / "trades.json"
        given.write_text(json.dumps(asked), encoding="utf-8")
        script = HERE / "peers" / "peer_freqtrade.py"
        subprocess.run([os.environ["FREQTRADE_PYTHON"], str(script), str(given), str(answer)], check=True)
        found = json.loads(answer.read_text(encoding="utf-8"))
    pairs = [(row, expected(trades)) for row, trades in zip(rules.RULES, found["trades"], strict=True)]
    wrong = [(row, trade) for row, trade in pairs if row.values[3] != trade]
    for row, trade in wrong:
        print(f"{row.id}: the table has {row.values[3]}, freqtrade {trade}")
    print(f"freqtrade {found['version']}: {len(pairs) - len(wrong)} of {len(pairs)} rows of the table")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
