"""A synthetic factory cycle: two families, three candidates, every table, and a gate that blocked it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from openclaw_pipelines.report.factory.data import CycleData

BEGUN = datetime(2025, 6, 1, 9, tzinfo=UTC)
TRAIN = datetime(2025, 5, 1, tzinfo=UTC)
HOLDOUT = datetime(2025, 5, 15, tzinfo=UTC)
ATOMS = 100_000_000
HASHES = {n: f"{n:02x}" * 32 for n in range(100)}
"""Row of the sweep -> hash of its parameters."""
CONTRACT = {
    "account_id": "paper", "capital": "10000", "symbols": ["A/USDT:USDT", "B/USDT:USDT"], "source": "simulated",
    "space_hash": "5" * 64, "limits_hash": "6" * 64, "incumbent": HASHES[0], "costs": {"slippage_bps": "2"},
    "profile": "strict",
}  # fmt: skip
GATES = (
    ("holdout_trades", 48.0, ">= 30", "48 closed trades"),
    ("holdout_interval", -0.00092163, "> 0.0", "99% interval, blocks of 1.25000001 days"),
    ("top_symbol_share", None, "< 0.5", "the closed trades made -92.707331930000000000 in all"),
)


def values(n: int) -> dict[str, Any]:
    """Parameters of row n."""
    return {"channel": 10 + n % 7, "stop_atr": 2.0 + (n // 7) % 4, "allow_short": True}


def sharpe(n: int) -> float:
    """Objective of row n."""
    return round(0.6 - 0.05 * (n % 7) - 0.1 * ((n // 7) % 4), 6)


def sweep() -> pl.DataFrame:
    """Rows 1 to 28 of breakout, 29 to 56 of momentum, and the incumbent."""
    return pl.DataFrame(
        [
            {
                "cycle_id": "c", "row_index": n, "family": "breakout" if 1 <= n <= 28 else "momentum",
                "params": json.dumps(values(n)), "params_hash": HASHES[n], "sharpe_day": sharpe(n),
                "return_total": 0.14 * sharpe(n), "net": Decimal(str(round(1_400 * sharpe(n), 2))), "trades": 40 + n,
                "recorded_at": BEGUN + timedelta(seconds=30),
            }
            for n in range(57)
        ]
    )  # fmt: skip


def listed(channel: str, rank: int, n: int, status: str = "candidate") -> dict[str, Any]:
    """A line of the shortlist."""
    return {
        "cycle_id": "c", "channel": channel, "rank": rank, "row_index": n, "params_hash": HASHES[n],
        "family": "breakout" if 1 <= n <= 28 else "momentum", "params": json.dumps(values(n)), "status": status,
        "score": None if rank == 0 else sharpe(n), "reason": f"daily Sharpe ratio {sharpe(n)}",
        "recorded_at": BEGUN + timedelta(seconds=40),
    }  # fmt: skip


def replay(n: int, variant: str, net: str, days: int = 10) -> dict[str, Any]:
    """A replay that grows evenly to its net result."""
    ends = np.linspace(0, float(net), days + 1)[1:]
    return {
        "params_hash": HASHES[n], "variant": variant, "family": "breakout", "interval": "1h", "net": Decimal(net),
        "fees": Decimal("12.50"), "funding": Decimal("-1.25"), "trades": 48, "max_drawdown": 0.031,
        "slippage_bps": Decimal(20 if variant == "stressed" else 2), "recorded_at": BEGUN + timedelta(seconds=70),
        "day_equity": np.array([round((10_000 + end) * ATOMS) for end in ends], "<i8").tobytes(),
    }  # fmt: skip


def report(n: int, comparison: str = "sweep_replay", sample: str = "shortlist", **changed: Any) -> dict[str, Any]:
    """A parity report that is equal unless changed."""
    own = {
        "cycle_id": "c", "comparison": comparison, "params_hash": HASHES[n], "sample": sample, "verdict": "EQUAL",
        "left_contract": "a" * 64, "right_contract": "a" * 64, "left_hash": "b" * 64, "right_hash": "b" * 64,
        "differing": "[]", "first_difference": None, "symbols": json.dumps({"A/USDT:USDT": "EQUAL"}),
        "recorded_at": BEGUN + timedelta(seconds=80),
    }  # fmt: skip
    return {**own, **changed}


def gates(n: int) -> list[dict[str, Any]]:
    """A candidate's gates, the first of which passed."""
    return [
        {
            "params_hash": HASHES[n], "gate": gate, "position": place, "measured": measured, "required": required,
            "passed": place == 0, "reason": reason, "sample_size": 48, "evidence_hash": "e" * 64,
            "recorded_at": BEGUN + timedelta(seconds=95),
        }
        for place, (gate, measured, required, reason) in enumerate(GATES)
    ]  # fmt: skip


def cycle(**changed: Any) -> Mapping[str, Any]:
    """The row of `factory_cycles`."""
    own = {
        "cycle_id": "hours-20250524-abc", "recipe": "hours", "account_id": "paper", "strategy_config_id": "breakout_1h",
        "contract": json.dumps(CONTRACT), "contract_hash": "c" * 64, "code_version": "d" * 64, "bars_hash": "b" * 64,
        "interval": "1h", "train_start": TRAIN, "train_end": TRAIN + timedelta(days=10), "holdout_start": HOLDOUT,
        "holdout_end": HOLDOUT + timedelta(days=10), "state": "blocked", "blocked_by": "holdout_interval",
        "reason": f"{HASHES[1][:12]}: 99% interval, blocks of 1.25000001 days", "recorded_at": BEGUN,
        "updated_at": BEGUN + timedelta(seconds=95),
    }  # fmt: skip
    return {**own, **changed}


def cycle_data(**changed: Any) -> CycleData:
    """The whole cycle, with other frames in place of some."""
    shortlist = [listed("efficient", 1, 1), listed("efficient", 2, 2), listed("growth", 0, 0, "incumbent"),
                 listed("growth", 1, 2), listed("conservative", 1, 30)]  # fmt: skip
    replays = [replay(n, variant, net) for n in (1, 2, 30)
               for variant, net in (("train", "840"), ("holdout", "-50"), ("stressed", "-90.5"))]  # fmt: skip
    hold = [{"window": window, "at": start + timedelta(days=day), "value": 1 - 0.01 * day}
            for window, start in (("train", TRAIN), ("holdout", HOLDOUT)) for day in range(1, 11)]  # fmt: skip
    own: dict[str, Any] = {
        "cycle": cycle(),
        "shards": pl.DataFrame([{"shard": f"{n}-of-8", "recorded_at": BEGUN + timedelta(seconds=n)} for n in range(8)]),
        "trials": pl.DataFrame([{"family": "breakout", "trials": 28, "skipped": 3},
                                {"family": "momentum", "trials": 28, "skipped": 0}]),
        "sweep": sweep(),
        "shortlist": pl.DataFrame(shortlist),
        "replays": pl.DataFrame(replays),
        "parity": pl.DataFrame([report(1), report(1, "replay_stepping"), report(7, sample="random")]),
        "gpu": "none took part",
        "gates": pl.DataFrame([gate for n in (1, 2, 30) for gate in gates(n)]),
        "looks": pl.DataFrame(),
        "deployments": pl.DataFrame(),
        "hold": pl.DataFrame(hold),
        "trials_ever": 112,
        "sweep_hash": "9" * 64,
        "shards_expected": 8,
        "generated_at": BEGUN + timedelta(hours=1),
        "version": "0.0.0",
    }  # fmt: skip
    return CycleData(**{**own, **changed})
