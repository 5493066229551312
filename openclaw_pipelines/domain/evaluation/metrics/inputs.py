"""Rows that the metrics of one strategy and day rest on, cut from the ledger's frames."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.evaluation.statistics import Statistic
from openclaw_pipelines.domain.evaluation.trades import trade_results


@dataclass(frozen=True)
class Measure:
    """One value of one metric in one scope."""

    scope: str
    name: str
    statistic: Statistic


@dataclass(frozen=True)
class Inputs:
    """Rows of one sub-account: of the day, and of its deployment to date. trades: round trips to date."""

    start: datetime
    end: datetime
    decisions: pl.DataFrame
    outcomes: pl.DataFrame
    fills: pl.DataFrame
    trades: pl.DataFrame
    equity: pl.DataFrame
    equity_to_date: pl.DataFrame
    positions: pl.DataFrame
    mismatches: pl.DataFrame
    benchmark: pl.DataFrame
    max_leverage_bps: int | None


def own_rows(frame: pl.DataFrame | None, account: str, strategy: str) -> pl.DataFrame:
    """Rows of one sub-account; an empty frame may lack its columns."""
    if frame is None or frame.is_empty():
        return pl.DataFrame()
    return frame.filter(pl.col("account_id") == account, pl.col("strategy_config_id") == strategy)


def inputs_of(
    day: str,
    own: dict[str, pl.DataFrame],
    benchmark: pl.DataFrame,
    funding: pl.DataFrame | None,
    max_leverage_bps: int | None,
) -> Inputs:
    """Cut the frames of one sub-account to the day, and to its deployment to date."""
    start = day_start(day)
    end = start + DAY
    equity_to_date = _of_last_deployment(_until(own["equity"], end))
    return Inputs(
        start,
        end,
        decisions=_within(own["decisions"], start, end),
        outcomes=_within(own["outcomes"], start, end, "decided_at"),
        fills=_within(own["fills"], start, end),
        trades=trade_results(_same_deployment(_until(own["fills"], end), equity_to_date), funding),
        equity=_within(equity_to_date, start, end),
        equity_to_date=equity_to_date,
        positions=_within(own["positions"], start, end),
        mismatches=_failed(_within(own["reconcile_events"], start, end)),
        benchmark=benchmark,
        max_leverage_bps=max_leverage_bps,
    )


def _within(frame: pl.DataFrame, start: datetime, end: datetime, column: str = "tick_at") -> pl.DataFrame:
    return frame if frame.is_empty() else frame.filter(pl.col(column) > start, pl.col(column) <= end)


def _until(frame: pl.DataFrame, end: datetime) -> pl.DataFrame:
    return frame if frame.is_empty() else frame.filter(pl.col("tick_at") <= end).sort("tick_at")


def _of_last_deployment(equity: pl.DataFrame) -> pl.DataFrame:
    return equity if equity.is_empty() else equity.filter(pl.col("deployment_id") == equity["deployment_id"][-1])


def _same_deployment(frame: pl.DataFrame, equity: pl.DataFrame) -> pl.DataFrame:
    if frame.is_empty() or equity.is_empty():
        return frame
    return frame.filter(pl.col("deployment_id") == equity["deployment_id"][-1])


def _failed(events: pl.DataFrame) -> pl.DataFrame:
    return events if events.is_empty() else events.filter(~pl.col("passed"))
