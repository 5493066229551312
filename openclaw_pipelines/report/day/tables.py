"""Tables of the daily report: rows of the ledger as cells of text. The template only lays them out."""

from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.evaluation import MetricRow, OutcomeRow
from openclaw_pipelines.contracts.rows.trading import DecisionRow, PositionRow
from openclaw_pipelines.contracts.trading import DecisionStatus
from openclaw_pipelines.domain.evaluation.metrics.definitions import METRICS
from openclaw_pipelines.domain.evaluation.trades import Trade, closed_trades
from openclaw_pipelines.report.day.data import Day, ReportData
from openclaw_pipelines.report.page import text
from openclaw_pipelines.report.page.tables import Table, columns
from openclaw_pipelines.report.page.text import Cell

_POSITIONS = {"buy": "Long", "sell": "Short"}


def trades_table(day: Day) -> Table:
    """Round trips that closed in the day."""
    trades = closed_trades(day.strategy.fills, day.strategy.funding, after=day.data.start)
    inside = trades.filter(pl.col("exit_tick_at") <= day.data.end)
    return Table(
        "Trades closed on the day",
        columns(
            "Symbol", "Side", "Entered", "Exited", "#Held", "#Quantity", "#Entry price", "#Exit price", "#Gross PnL",
            "#Fees", "#Funding", "#Net PnL", "#Net return", "*Why closed",
        ),
        tuple(_trade(trade) for trade in rows_as(Trade, inside)),
        "No trade was closed on this day.",
    )  # fmt: skip


def _trade(trade: Trade) -> tuple[Cell, ...]:
    return (
        Cell(trade["symbol"]),
        Cell(_POSITIONS.get(trade["side"], trade["side"])),
        text.day_and_clock(trade["entry_at"]),
        text.day_and_clock(trade["exit_at"]),
        text.duration(trade["holding_seconds"]),
        text.exact(trade["qty"]),
        text.exact(trade["entry_price"]),
        text.exact(trade["exit_price"]),
        text.money(trade["gross_pnl"], signed=True),
        text.money(trade["fees"]),
        text.money(trade["funding"], signed=True),
        text.money(trade["net_pnl"], signed=True),
        text.percent(trade["net_return"], signed=True),
        _sentence(trade["exit_reason"] or trade["exit_leg"]),
    )


def decisions_table(day: Day) -> Table:
    """The day's decisions with the governor's reasons."""
    return Table(
        "Decisions",
        columns(
            "Time", "Symbol", "Action", "Verdict", "*Reason", "#Proposed", "#Approved", "#Price", "#Confidence",
            "*Why it was proposed",
        ),
        tuple(_decision(decision) for decision in rows_as(DecisionRow, day.decisions)),
        "No decision was recorded on this day.",
    )  # fmt: skip


def _decision(decision: DecisionRow) -> tuple[Cell, ...]:
    code, reason = decision["reason_code"], decision["reason"]
    prefix = "" if code == "NONE" or reason.startswith(code) else f"{code}: "
    side = "" if decision["side"] == "flat" else f" ({decision['side']})"
    return (
        text.clock(decision["tick_at"]),
        Cell(decision["symbol"]),
        Cell(decision["action"].capitalize() + side),
        _verdict(decision["status"]),
        Cell(prefix + reason),
        text.exact(decision["proposed_qty"]),
        text.exact(decision["approved_qty"]),
        text.exact(decision["intended_price"]),
        Cell(f"{decision['confidence']:.2f}"),
        Cell(decision["rationale"], "muted"),
    )


def positions_table(day: Day) -> Table:
    """Positions after the day's last tick."""
    return Table(
        "Open positions after the last tick",
        columns(
            "Symbol", "Side", "#Quantity", "#Entry price", "#Mark", "#Unrealised PnL", "#Margin", "#Stop",
            "#Trailing stop", "#Target", "#Liquidation", "#Bars held",
        ),
        tuple(_position(position) for position in rows_as(PositionRow, day.open_positions)),
        "No position was open at the end of the day.",
    )  # fmt: skip


def _position(position: PositionRow) -> tuple[Cell, ...]:
    mark = text.exact(position["mark_price"])
    levels = (
        position["stop_price"], position["trailing_stop_price"], position["target_price"],
        position["liquidation_price"],
    )  # fmt: skip
    return (
        Cell(position["symbol"]),
        Cell(_POSITIONS[position["side"]]),
        text.exact(position["qty"]),
        text.exact(position["entry_price"]),
        Cell(f"{mark.text} (stale)", "warn") if position["stale"] else mark,
        text.money(position["unrealized_pnl"], signed=True),
        text.money(position["margin"]),
        *(text.exact(level) for level in levels),
        text.count(position["bars_held"]),
    )


def outcomes_table(day: Day) -> Table:
    """What the price did after each decision: one row per decision, one column per horizon."""
    horizons = [] if day.outcomes.is_empty() else sorted(day.outcomes["horizon_seconds"].unique().to_list())
    after = [f"#After {text.duration(horizon).text} (bps)" for horizon in horizons]
    by_decision: dict[str, list[OutcomeRow]] = {}
    ordered = day.outcomes if day.outcomes.is_empty() else day.outcomes.sort("decided_at", "outcome_key")
    for outcome in rows_as(OutcomeRow, ordered):
        by_decision.setdefault(outcome["decision_key"], []).append(outcome)
    noted = any(row["reason"] for rows in by_decision.values() for row in rows)
    titles = ["Time", "Symbol", "Verdict", *after, "#PnL at the longest", *(["*Note"] if noted else [])]
    return Table(
        "Outcomes of decisions, accepted and refused",
        columns(*titles),
        tuple(_outcome(rows, horizons)[: len(titles)] for rows in by_decision.values()),
        "No outcome of this day's decisions has matured.",
    )


def _outcome(rows: Sequence[OutcomeRow], horizons: Sequence[int]) -> tuple[Cell, ...]:
    by_horizon = {row["horizon_seconds"]: row for row in rows}
    found = [by_horizon.get(horizon) for horizon in horizons]
    returns = [row["return_signed"] if row else None for row in found]
    toned = rows[0]["decision_status"] != DecisionStatus.HELD
    return (
        text.clock(rows[0]["decided_at"]),
        Cell(rows[0]["symbol"]),
        _verdict(rows[0]["decision_status"]),
        *(text.bps(None if value is None else value * 10_000, toned=toned) for value in returns),
        text.money(found[-1]["pnl_quote_est"] if found[-1] else None, signed=True),
        Cell("; ".join(sorted({row["reason"] for row in rows if row["reason"]})), "muted"),
    )


def metrics_table(day: Day) -> Table:
    """The day's metrics beside those to date, with their sample sizes."""
    values = metric_rows(day)
    names = [name for name in METRICS if ("day", name) in values or ("to_date", name) in values]
    return Table(
        "Metrics",
        columns("Metric", "#Day", "#Sample", "#To date", "#Sample"),
        tuple(
            (Cell(text.words(name)), *_metric(values.get(("day", name))), *_metric(values.get(("to_date", name))))
            for name in names
        ),
        "No metric was computed for this day.",
    )


def metric_rows(day: Day) -> dict[tuple[str, str], MetricRow]:
    """Rows of the day's metrics by scope and name."""
    metrics = day.strategy.metrics
    if metrics.is_empty():
        return {}
    rows = rows_as(MetricRow, metrics.filter(pl.col("day") == day.data.day))
    return {(row["scope"], row["name"]): row for row in rows}


def _metric(row: MetricRow | None) -> tuple[Cell, Cell]:
    if row is None:
        return Cell(""), Cell("")
    size = text.count(row["sample_size"]).text
    sample = Cell(f"{size}, small", "warn") if row["below_minimum_sample"] else Cell(size)
    return text.metric(row["name"], row["value"], row["unit"], row["reason"]), sample


def glossary_table(data: ReportData, days: Sequence[Day]) -> Table:
    """Definitions of the metrics on the page, and on how many observations each rests."""
    rows_of = {day.strategy.name: metric_rows(day) for day in days}
    used = {name for rows in rows_of.values() for _, name in rows}
    return Table(
        f"Definitions and sample sizes, {data.day}",
        columns("Metric", "Group", "*Definition", "Unit", "*Sample size, day / to date"),
        tuple(
            (
                Cell(text.words(name)),
                Cell(definition.group.capitalize()),
                Cell(definition.definition),
                Cell(definition.unit),
                Cell(
                    "; ".join(filter(None, (_samples(strategy, rows, name) for strategy, rows in rows_of.items()))),
                    "muted",
                ),
            )
            for name, definition in METRICS.items()
            if name in used
        ),
        "No metric was computed for this day.",
    )


def _samples(strategy: str, rows: dict[tuple[str, str], MetricRow], name: str) -> str:
    if ("day", name) in rows or ("to_date", name) in rows:
        pair = [rows.get((scope, name)) for scope in ("day", "to_date")]
        sizes = " / ".join(text.count(row["sample_size"]).text if row else text.NONE for row in pair)
    else:
        scopes = sorted((scope for scope, other in rows if other == name), key=_scope_order)
        scopes = [scope for scope in scopes if scope.startswith("horizon:")] or scopes
        sizes = ", ".join(f"{rows[(scope, name)]['sample_size']} ({_scope_words(scope)})" for scope in scopes)
    return f"{strategy}: {sizes}" if sizes else ""


def scopes_table(day: Day) -> Table:
    """Outcome metrics by horizon, and by symbol at the longest horizon, with each symbol's share of exposure."""
    values = metric_rows(day)
    names = [name for name in _SCOPED if any(other == name for _, other in values)]
    scopes = sorted({scope for scope, name in values if name in _SCOPED}, key=_scope_order)
    return Table(
        "Metrics by horizon and symbol (a dash: nothing to measure)",
        columns("Scope", "#Scored", *(f"#{text.words(name.removeprefix('outcome_'))}" for name in names)),
        tuple(
            (
                Cell(text.words(_scope_words(scope))),
                _metric(values.get((scope, "outcome_win_rate")))[1],
                *(_dashed(values.get((scope, name))) for name in names),
            )
            for scope in scopes
        ),
        "No metric by horizon or symbol was computed for this day.",
    )


_SCOPED = (
    "outcome_win_rate", "outcome_average_return", "accepted_average_return", "refused_average_return",
    "outcome_expectancy", "outcome_total_pnl", "outcome_missing", "exposure_share",
)  # fmt: skip


def _dashed(row: MetricRow | None) -> Cell:
    return Cell(text.NONE, "muted") if row is None or row["value"] is None else _metric(row)[0]


def _scope_words(scope: str) -> str:
    kind, _, member = scope.partition(":")
    return f"after {text.duration(float(member)).text}" if kind == "horizon" else member


def _scope_order(scope: str) -> tuple[int, int, str]:
    kind, _, member = scope.partition(":")
    return (0, int(member), "") if kind == "horizon" else (1, 0, member)


def changes_table(data: ReportData) -> Table:
    """What people changed on the day, in the order in which it was recorded."""
    return Table(
        "What people changed",
        columns("Time", "Action", "Subject", "*Before", "*After", "By", "*Reason"),
        tuple(
            (
                text.clock(change.at),
                Cell(text.words(change.action.lower())),
                Cell(change.subject),
                Cell(change.before or text.NONE),
                Cell(change.after or text.NONE, "loss" if change.brakes else ""),
                Cell(change.actor),
                Cell(change.reason, "muted"),
            )
            for change in data.changes
        ),
        "Nobody changed anything that is recorded.",
    )


def checks_table(data: ReportData) -> Table:
    """Every asset check, failed ones first."""
    checks = [] if data.checks.is_empty() else data.checks.sort("passed", "asset", "name", "partition").to_dicts()
    return Table(
        "Asset checks",
        columns("Result", "Asset", "Check", "Partition", "*Message"),
        tuple(
            (
                Cell("Passed", "gain")
                if check["passed"]
                else Cell(f"Failed ({str(check['severity']).lower()})", "loss"),
                Cell(check["asset"]),
                Cell(check["name"]),
                Cell(check["partition"] or ""),
                Cell(check["message"] or ""),
            )
            for check in checks
        ),
        "No result of a check was given to this report.",
    )


def costs_by_symbol(filled: pl.DataFrame) -> list[tuple[str, Decimal, Decimal]]:
    """Symbol, fees and slippage of the day's fills in quote currency; targets fill at their price and have none."""
    costs: dict[str, tuple[Decimal, Decimal]] = {}
    for fill in filled.to_dicts():
        direction = 1 if fill["side"] == "buy" else -1
        slipped = (fill["price"] - fill["intended_price"]) * fill["qty"] * direction
        slippage = slipped if fill["slippage_bps"] is not None else Decimal(0)
        fees, before = costs.get(fill["symbol"], (Decimal(0), Decimal(0)))
        costs[fill["symbol"]] = (fees + fill["fee"], before + slippage)
    return [(symbol, *costs[symbol]) for symbol in sorted(costs)]


def _sentence(reason: str) -> Cell:
    """A reason in words as it stands, a name such as `trailing_stop` as words."""
    return Cell(reason if " " in reason else text.words(reason))


def _verdict(status: str) -> Cell:
    tones = {
        DecisionStatus.APPROVED: "gain", DecisionStatus.REJECTED: "loss", DecisionStatus.ABSTAIN: "warn",
        DecisionStatus.HELD: "muted",
    }  # fmt: skip
    return Cell(text.words(status), tones.get(DecisionStatus(status), ""))
