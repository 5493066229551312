"""The loop that a peer's script runs: prepare once, then one timed run per line of input.

Runs inside the peers' environment, so nothing of the project is imported. The task comes as a JSON file, the bars as
Parquet; every answer is one line of JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

Trade = tuple[int, str, float]
"""Seconds since the epoch at which the bar of the fill opened, buy or sell, price."""


def serve(prepare: Callable[[pd.DataFrame, dict[str, Any]], Callable[[], Callable[[], list[Trade]]]]) -> None:
    """Answer `run` lines until the input ends.

    prepare: from bars and task to `run`; `run` is timed and returns a function that lists the trades, untimed.
    """
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    started = time.perf_counter()
    run = prepare(pd.read_parquet(task["bars"]), task)
    _answer({"prepare_s": time.perf_counter() - started})
    for _ in sys.stdin:
        started = time.perf_counter()
        trades = run()
        seconds = time.perf_counter() - started
        _answer({"seconds": seconds, "trades": trades()})


def _answer(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
