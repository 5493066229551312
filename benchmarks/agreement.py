"""Trades of `simulate_signals` against vectorbt and backtesting.py, one by one: bar and price, at unit size.

    python benchmarks/agreement.py [--quick] [--store]

PEERS_PYTHON names the interpreter of the peers' environment (`make bench` sets it). Without it nothing is run: the
trades that were stored with `--store` are compared instead. 200 signal sets per engine over the bars in
../shared/data/binance_usdm, where they are, and 40 over the embedded market. The last line is JSON.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from bench_signal_sets import (
    BARS_PER_SET,
    EXITS_OF,
    SEED,
    SignalSet,
    Trade,
    acting_rows,
    compare,
    digest,
    load_facts,
    our_trades,
    rows_of,
    signal_sets,
    stored_trades,
)

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared" / "data"
STORED = HERE.parent / "tests" / "data" / "agreement"
TOUCHES = "exact touch that float rounding misses"


def run_peer(engine: str, rows: pl.DataFrame, folder: Path, **task: Any) -> dict[str, Any]:
    """One run of an engine over all its sets; its version and its trades."""
    bars, given = folder / f"{engine}.parquet", folder / f"{engine}.json"
    rows.write_parquet(bars)
    given.write_text(json.dumps({"bars": str(bars), **task}), encoding="utf-8")
    script = HERE / "peers" / f"peer_agreement_{engine}.py"
    command = [os.environ["PEERS_PYTHON"], "-W", "ignore", str(script), str(given)]
    done = subprocess.run(command, input="run\n", stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1])["trades"])


def judge(engine: str, market: str, folder: Path, stored: tuple[pl.DataFrame, dict[str, Any]] | None) -> dict[str, Any]:
    """Counts for one engine over one market, and its trades as rows to store."""
    sets = list(signal_sets(engine, market, SHARED))
    frames = [acting_rows(made) for made in sets]
    content = digest(frames)
    if stored is None:
        theirs, version, facts = trades_now(engine, pl.concat(frames), folder)
    else:
        old = stored[1]["runs"][f"{engine}/{market}"]
        if old["digest"] != content:
            raise SystemExit(f"The sets of {engine}/{market} are not the stored ones. Set PEERS_PYTHON and --store.")
        theirs = {made.number: stored_trades(stored[0], made, market) for made in sets}
        version, facts = old["version"], {TOUCHES: old["differences"].get(TOUCHES, 0)}
    rows = [row for made in sets for row in rows_of(made, theirs.get(made.number, []))]
    return {"rows": rows, "digest": content, "version": version, **count(sets, theirs, facts)}


def trades_now(engine: str, rows: pl.DataFrame, folder: Path) -> tuple[dict[int, list[Trade]], str, dict[str, int]]:
    """Run an engine: its trades by the number of the set, its version, and what is counted by running it twice."""
    answer = run_peer(engine, rows, folder)
    facts = {}
    if engine == "vectorbt":
        plain = run_peer(engine, rows, folder, touch=0.0)["trades"]
        facts[TOUCHES] = len({*map(tuple, answer["trades"])} - {*map(tuple, plain)})
    by_set: dict[int, list[Trade]] = {}
    for number, *trade in answer["trades"]:
        by_set.setdefault(number, []).append(Trade(*trade))
    return by_set, answer["version"], facts


def count(sets: list[SignalSet], theirs: dict[int, list[Trade]], facts: dict[str, int]) -> dict[str, Any]:
    """Compare set by set and add up."""
    total: Counter[str] = Counter(facts)
    trades = agreed = unexplained = whole = 0
    for made in sets:
        ours, other = our_trades(made), theirs.get(made.number, [])
        outcome = compare(made, ours, other)
        trades, agreed = trades + len(ours), agreed + outcome.agreed
        unexplained, whole = unexplained + len(outcome.unexplained), whole + (ours == other)
        total += made.counts + outcome.named
        for a, b in outcome.unexplained[:3]:
            print(f"  {made.engine} set {made.number} {made.fractions}: ours {a}, theirs {b}")
    return {
        "sets": len(sets), "sets_equal": whole, "trades": trades, "agreed": agreed, "unexplained": unexplained,
        "differences": dict(sorted(total.items())),
    }  # fmt: skip


def store(runs: dict[str, dict[str, Any]]) -> None:
    """Keep the engines' trades and what they came from."""
    STORED.mkdir(parents=True, exist_ok=True)
    parts = []
    for name, run in runs.items():
        engine, market = name.split("/")
        rows = pl.DataFrame(run["rows"])
        parts.append(rows.select(pl.lit(engine).alias("engine"), pl.lit(market).alias("market"), pl.all()))
    small = {"set": pl.UInt8, "side": pl.Int8, "entry_bar": pl.UInt16, "exit_bar": pl.UInt16}
    small |= {"entry_price": pl.Int32, "exit_price": pl.Int32}
    pl.concat(parts).cast(small).write_parquet(STORED / "trades.parquet", compression="zstd")
    told = {name: {key: value for key, value in run.items() if key != "rows"} for name, run in runs.items()}
    facts = {"seed": SEED, "bars_per_set": BARS_PER_SET, "numpy": np.__version__, "runs": told}
    (STORED / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="simulate_signals against vectorbt and backtesting.py.")
    parser.add_argument("--quick", action="store_true", help="only the embedded market, and the stored trades")
    parser.add_argument("--store", action="store_true", help="keep the engines' trades for the tests")
    asked = parser.parse_args()
    live = "PEERS_PYTHON" in os.environ and not asked.quick
    stored = None if live else load_facts(STORED)
    markets = ["real", "embedded"] if SHARED.is_dir() and not asked.quick else ["embedded"]
    runs = {}
    with tempfile.TemporaryDirectory() as name:
        for engine in EXITS_OF:
            for market in markets:
                runs[f"{engine}/{market}"] = run = judge(engine, market, Path(name), stored)
                print(
                    f"{engine} {run['version']}, {market}: {run['agreed']} of {run['trades']} trades equal in bar and "
                    f"price, {run['sets_equal']} of {run['sets']} sets wholly, {run['unexplained']} unexplained"
                )
                for difference, times in run["differences"].items():
                    print(f"  {times:>6} {difference}")
    if asked.store and live:
        store(runs)
    figures = ("sets", "trades", "agreed", "unexplained")
    print(json.dumps({name.replace("/", "_"): {key: run[key] for key in figures} for name, run in runs.items()}))


if __name__ == "__main__":
    main()
