"""A cycle's evidence as rows, planted by hand: what the factory would have left about validated candidates."""

import json
from datetime import datetime, timedelta
from typing import Any

from openclaw_pipelines.contracts.requirements import Relation, Requirement
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.lifecycle.hand_over import Today
from openclaw_pipelines.kernel.strategy.params import params_hash, params_record, params_values
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.services.lifecycle.deploy import Proof

DAY_ONE, DAY_TWO = "2025-05-10", "2025-05-11"
SLOT = "momentum_1h"
CYCLE = "swing-20250509-abc"
HOLDOUT_END = day_start(DAY_ONE)
PARAMS = {"momentum_lookback": 4, "ema_slow": 4, "atr_length": 4, "stop_atr": 1.25, "volatility_length": 6}
GATES = {
    "holdout_trades": (41.0, Requirement(Relation.AT_LEAST, 30)),
    "holdout_daily_return": (0.002, Requirement(Relation.ABOVE, 0.0)),
    "no_lookahead": (0.0, Requirement(Relation.EQUAL, 0, "columns")),
}
TODAY = Today("code", frozenset({"bars"}), {name: required for name, (_, required) in GATES.items()})
PLANTED = Proof(dict, lambda _con, _rows: None)
"""No proof: rows that were planted by hand come of nothing that could be computed again."""
EARNING = {"channel_entry": 24, "channel_exit": 12, "volume_ratio": 0.0, "stop_atr": 3.0, "atr_length": 4}
"""A breakout that loses on the first day of the embedded market and has earned by the end of the second."""
COMPARISONS = ("sweep_replay", "replay_stepping")


def candidate(family: str = "momentum", **changes: Any) -> dict[str, Any]:
    """Parameters of a family with every default, as the factory stores them, and their hash."""
    record = params_record(family, {**(PARAMS if family == "momentum" else {}), **changes}, 3600)
    values = json.dumps(params_values(record), sort_keys=True, separators=(",", ":"))
    return {"family": family, "params": values, "params_hash": params_hash(record)}


def plant(trading: Any, found: list[tuple[str, dict[str, Any]]] | None = None, **cycle: Any) -> None:
    """Rows of one cycle. found: channel and candidate, in order of rank."""
    found = found or [("efficient", candidate())]
    at = {"cycle_id": cycle.get("cycle_id", CYCLE), "recorded_at": HOLDOUT_END}
    rows: dict[str, list[dict[str, Any]]] = {"factory_cycles": [{**at, **cycle_row(), **cycle}]}
    unique = {own["params_hash"]: own for _, own in found}
    for rank, (channel, own) in enumerate(found, start=1):
        rows.setdefault("shortlist", []).append({**at, **own, **_listed(channel, rank)})
    for own in unique.values():
        rows.setdefault("replays", []).append({**at, **own, **_replay()})
        rows.setdefault("parity_reports", []).extend(
            {**at, **report_row(kind), "params_hash": own["params_hash"]} for kind in COMPARISONS
        )
        rows.setdefault("gate_results", []).extend(
            {**at, **_gate(n, name), "params_hash": own["params_hash"]} for n, name in enumerate(GATES)
        )
    with trading.store.write("research") as con:
        for table, own_rows in rows.items():
            insert(con, table, TABLES[table].frame(own_rows))


def cycle_row() -> dict[str, Any]:
    start = HOLDOUT_END - timedelta(days=2)
    return {
        "recipe": "swing", "account_id": "paper", "strategy_config_id": SLOT, "contract": "{}", "contract_hash": "c",
        "code_version": "code", "bars_hash": "bars", "interval": "1h", "train_start": start, "train_end": start,
        "holdout_start": start, "holdout_end": HOLDOUT_END, "state": "validated", "blocked_by": None, "reason": None,
        "updated_at": HOLDOUT_END,
    }  # fmt: skip


def _listed(channel: str, rank: int) -> dict[str, Any]:
    return {
        "channel": channel, "rank": rank, "row_index": rank, "score": 1.0, "measures": "{}", "status": "candidate",
        "reason": "above the floor",
    }  # fmt: skip


def _replay() -> dict[str, Any]:
    from decimal import Decimal

    return {
        "variant": "holdout", "interval": "1h", "window_start": HOLDOUT_END, "window_end": HOLDOUT_END,
        "slippage_bps": Decimal(2), "contract": "{}", "contract_hash": "c", "content_hash": "x", "bits_hash": "b",
        "net": Decimal(10), "fees": Decimal(1), "funding": Decimal(0), "trades": 41, "max_drawdown": -0.01,
        "day_equity": b"", "trade_log": b"",
    }  # fmt: skip


def report_row(kind: str) -> dict[str, Any]:
    return {
        "comparison": kind, "sample": "shortlist", "verdict": "EQUAL", "code_version": "code", "bars_hash": "bars",
        "left_contract": "c", "right_contract": "c", "left_hash": "h", "right_hash": "h", "differing": "[]",
        "first_difference": None, "symbols": "{}", "report_hash": kind,
        "device": None,
    }  # fmt: skip


def _gate(position: int, name: str) -> dict[str, Any]:
    measured, required = GATES[name]
    return {
        "gate": name, "position": position, "measured": measured, "required": required.text, "passed": True,
        "reason": "measured", "sample_size": 41, "evidence_hash": "e",
    }  # fmt: skip


def live(trading: Any, strategy: str, *days: str) -> None:
    """Take whole days of a strategy and store the report of each."""
    from openclaw_pipelines.services.lifecycle.paper_parity import record_paper_parity
    from openclaw_pipelines.services.trading.verification import verify_day

    for day in days:
        trading.run(strategy, day)
        record_paper_parity(trading.world, verify_day(trading.ledger(strategy), day))


def day_end(day: str) -> datetime:
    return day_start(day) + timedelta(days=1)
