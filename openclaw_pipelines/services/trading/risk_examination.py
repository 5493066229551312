"""Examines a day of one strategy for its limits: what was approved, and what the account was at its worst.

The witness that judges approved entries is `domain.governance.limits_held`; here its rows are read.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.canonical import decimal_text
from openclaw_pipelines.contracts.enums import Action, Leg, RejectCode
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.contracts.trading import DecisionStatus
from openclaw_pipelines.domain.governance.limits_held import Before, Broken, Moment, entries_count, judge
from openclaw_pipelines.domain.market.quality.window import CheckResult, Fact
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger

RISK_CHECKS = {
    "risk_limits_held": "Every approved entry holds each limit recorded beside it, judged again without the kernel.",
    "risk_state": "Leverage, day loss and drawdown stay within the account's limits after every tick.",
}
_ENTER, _EXIT = Action.ENTER.name.lower(), Action.EXIT.name.lower()
_BPS = Decimal(10_000)


def examine_risk(ledger: StrategyLedger, day: str) -> list[CheckResult]:
    """Every check of `RISK_CHECKS` on one day of one strategy."""
    rows = RiskRows(ledger, day)
    return [limits_result(rows.entries, rows.broken()), state_result(rows.equity, rows.policy)]


class RiskRows:
    """Rows of a day, and of the time before it that limits on the pace look back on."""

    def __init__(self, ledger: StrategyLedger, day: str) -> None:
        start, end = day_start(day), day_start(day) + DAY
        with ledger.reading():
            self.inputs = {row["tick_at"]: row for row in ledger.inputs(start, end)}
            self.policy = next((row["policy"] for row in reversed(self.inputs.values())), None)
            since = start - self._look_back()
            tables = ("autopilot_ticks", "autopilot_equity", "autopilot_positions")
            self.ticks, self.equity, self.positions = (ledger.rows(table, start, end) for table in tables)
            self.decisions = ledger.rows("autopilot_decisions", since, end)
            self.fills = ledger.rows("autopilot_fills", since, end)
            ranks = ledger.rows("autopilot_proposals", start, end).select("decision_key", "rank")
            self.mismatched = ledger.rows("reconcile_events", since, end).filter(~pl.col("passed"))["tick_at"].unique()
        today = self.decisions.filter((pl.col("action") == _ENTER) & (pl.col("tick_at") > start))
        self._asked = today.join(ranks, on="decision_key", how="left").sort("tick_at", "rank")
        self.entries = self._asked.filter(pl.col("approved_qty") > 0)

    def _look_back(self) -> timedelta:
        names = ("order_window_seconds", "order_gap_seconds", "cooldown_seconds")
        seconds = [row["policy"]["risk"][name] for row in self.inputs.values() for name in names]
        return timedelta(seconds=max(seconds, default=0)) + DAY  # the tick before tells whether books reconciled

    def refused(self) -> pl.DataFrame:
        """Entries of the day that were asked for and not approved."""
        return self._asked.filter(pl.col("approved_qty") == 0)

    def broken(self) -> list[Broken]:
        """Every limit that an approved entry of the day breaks."""
        return self.judged(self.entries.to_dicts())

    def judged(self, entries: list[dict[str, Any]]) -> list[Broken]:
        """Every limit that these entries break, those of one tick one after the other.

        An entry at a tick that is not recorded has no limits to hold.
        """
        known = set(self.inputs) & set(self.ticks["tick_at"]) & set(self.equity["tick_at"])
        lost = [row for row in entries if row["tick_at"] not in known]
        alone = [
            Broken(row["tick_at"], row["symbol"], row["decision_key"], RejectCode.POLICY_UNRESOLVED) for row in lost
        ]
        held = _by_tick(row for row in entries if row["tick_at"] in known)
        return alone + [one for moment, before in self._moments(held) for one in judge(moment, before)]

    def _moments(self, entries: dict[datetime, list[dict[str, Any]]]) -> Iterator[tuple[Moment, Before]]:
        ticks, equity = ({row["tick_at"]: row for row in own.to_dicts()} for own in (self.ticks, self.equity))
        positions = _by_tick(self.positions.to_dicts())
        exits = self.decisions.filter((pl.col("action") == _EXIT) & (pl.col("approved_qty") > 0))
        for at, own in sorted(entries.items()):
            recorded = self.inputs[at]
            bars, masks = json.loads(recorded["bars"]), json.loads(recorded["masks"])
            contexts = (recorded["deployment"], recorded["policy"])
            reconciled = self._before(at) not in self.mismatched
            leaving = exits.filter(pl.col("tick_at") == at).height
            moment = Moment(
                at, ticks[at], equity[at], positions.get(at, []), own, masks, bars, *contexts, reconciled, leaving
            )
            yield moment, self._history(at, ticks[at]["deployment_id"], recorded["policy"])

    def _before(self, at: datetime) -> datetime | None:
        return max((other for other in self.inputs if other < at), default=None)

    def _history(self, at: datetime, deployment_id: str, policy: dict[str, Any]) -> Before:
        earlier = (pl.col("deployment_id") == deployment_id) & (pl.col("tick_at") <= at)
        counted = [_ENTER] if entries_count(policy) else [_ENTER, _EXIT]
        sent = (pl.col("status") == DecisionStatus.APPROVED.value) & pl.col("action").is_in(counted)
        ordered = self.decisions.filter(earlier & sent)["tick_at"].sort().to_list()
        left = (pl.col("leg") != Leg.ENTRY.name.lower()) & (pl.col("qty") > 0)
        exits = self.fills.filter(earlier & left).group_by("symbol").agg(pl.col("tick_at").max())
        return Before(ordered, dict(exits.iter_rows()))


def _by_tick(rows: Iterable[dict[str, Any]]) -> dict[datetime, list[dict[str, Any]]]:
    found: dict[datetime, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["tick_at"], []).append(row)
    return found


def limits_result(entries: pl.DataFrame, broken: list[Broken]) -> CheckResult:
    """Whether every approved entry held its limits."""
    facts: dict[str, Fact] = {"approved_entries": entries.height, "broken_limits": len(broken)}
    first = _words(broken[0]) if broken else f"{entries.height} approved entries hold every limit recorded beside them"
    more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
    cases = pl.DataFrame([_case(own) for own in broken])
    return CheckResult(
        "risk_limits_held", not broken, "error", RISK_CHECKS["risk_limits_held"], first + more, facts, cases.head(50),
        len(broken),
    )  # fmt: skip


def _case(own: Broken) -> dict[str, object]:
    numbers = {"measured": own.measured, "limit": own.limit}
    shown = {name: None if value is None else decimal_text(value) for name, value in numbers.items()}
    return {"tick_at": own.tick_at, "symbol": own.symbol, "code": own.code.name, **shown, "decision": own.decision_key}


def _words(own: Broken) -> str:
    numbers = "" if own.measured is None or own.limit is None else (
        f", {decimal_text(own.measured)} against {decimal_text(own.limit)}"
    )  # fmt: skip
    return f"{own.symbol} was approved at {own.tick_at:%H:%M}Z against {own.code.name}{numbers}"


def state_result(equity: pl.DataFrame, policy: dict[str, Any] | None) -> CheckResult:
    """The account at its worst in the day, against the account's limits as recorded last."""
    worst = {name: _worst(equity, part, whole) for name, (part, whole) in _STATE.items()}
    facts: dict[str, Fact] = {f"worst_{name}_bps": round(value, 1) for name, value in worst.items()}
    facts["highest_gross_exposure"] = decimal_text(_greatest(equity["gross_exposure"]))
    limits = {} if policy is None else {name: policy["risk"][f"max_{name}_bps"] for name in _STATE}
    over = [f"{name} {worst[name]:.1f} bps of {limit}" for name, limit in limits.items() if worst[name] > limit]
    within = ", ".join(f"{name} {worst[name]:.1f} bps of {limit}" for name, limit in limits.items())
    sentence = f"beyond its limit: {', '.join(over)}" if over else within or "no tick is recorded"
    return CheckResult("risk_state", not over, "warning", RISK_CHECKS["risk_state"], sentence, facts, pl.DataFrame(), 0)


_STATE = {
    "leverage": (lambda row: row["gross_exposure"], "equity"),
    "daily_loss": (lambda row: row["day_open_equity"] - row["equity"], "day_open_equity"),
    "drawdown": (lambda row: row["peak_equity"] - row["equity"], "peak_equity"),
}
"""Settings of the account, without `max_` and `_bps`: what is measured, and of which column."""


def _worst(equity: pl.DataFrame, part: Any, whole: str) -> float:
    rows = equity.to_dicts()
    return max((float(part(row) / row[whole] * _BPS) if row[whole] > 0 else 0.0 for row in rows), default=0.0)


def _greatest(values: Iterable[Decimal]) -> Decimal:
    return max(values, default=Decimal(0))
