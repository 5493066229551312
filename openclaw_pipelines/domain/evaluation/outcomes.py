"""Outcomes: what the price did after each decision, accepted or refused.

Writing rows, once, is the store's; statistics over outcomes are in `domain.evaluation.metrics.compute`.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.errors import ConfigError, DataError
from openclaw_pipelines.contracts.keys import outcome_key
from openclaw_pipelines.contracts.schema import PolarsSchema
from openclaw_pipelines.contracts.tables.evaluation import Outcomes
from openclaw_pipelines.contracts.time import interval_length, utc

OUTCOME_SCHEMA: PolarsSchema = {
    name: column.dtype.type
    for name, column in Outcomes.to_schema().columns.items()
    if name not in ("recorded_at", "run_fingerprint")
}
_FROM_DECISION = (
    "account_id", "strategy_config_id", "decision_key", "symbol", "tick_at", "status", "action", "side",
    "proposed_qty", "intended_price",
)  # fmt: skip
_TIME = pl.Datetime("us", "UTC")
_PRICE_STEP, _MONEY_STEP = Decimal("1E-12"), Decimal("1E-8")
_DIRECTION = {"buy": 1, "sell": -1, "flat": 0}

NO_INTENDED_PRICE = "the decision had no price to start from"
HOLD_HAS_NO_DIRECTION = "hold has no direction, so no win and no PnL"


class HorizonError(ConfigError):
    """A horizon that is not a positive number of seconds."""

    template = "outcome horizon {horizon_seconds} is not a positive number of seconds. Mend outcome_horizons_seconds."
    horizon_seconds: int


class AmbiguousCandleError(DataError):
    """Two closes for one bar."""

    template = (
        "{symbol} has more than one {interval} candle that closes at {closed_at}. Pass the candles of one source only."
    )
    symbol: str
    interval: str
    closed_at: datetime


def due_outcomes(
    decisions: pl.DataFrame, existing_keys: Collection[str], horizons_seconds: Sequence[int], as_of: datetime
) -> pl.DataFrame:
    """Decisions times horizons that have matured by `as_of` and are not in `existing_keys`.

    decisions: rows of `autopilot_decisions`, of any status.
    as_of: time up to which the stored candles are complete, UTC. An outcome is written once, so a bar that is absent
        then stays absent for it.
    Gives what `score_outcomes` needs of the decision, with `outcome_key`, `horizon_seconds` and `matured_at`, ordered
    by `matured_at`, then key.

    Raises:
        HorizonError: a horizon of zero or less.
    """
    for horizon in horizons_seconds:
        if horizon <= 0:
            raise HorizonError(horizon)
    existing = frozenset(existing_keys)
    rows = [
        row
        for decision in decisions.select(_FROM_DECISION).to_dicts()
        for row in _at_horizons(decision, horizons_seconds)
        if row["matured_at"] <= utc(as_of, "as_of") and row["outcome_key"] not in existing
    ]
    schema = {**{name: decisions.schema[name] for name in _FROM_DECISION}, **_DUE_SCHEMA}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("matured_at", "outcome_key")


_DUE_SCHEMA: PolarsSchema = {"outcome_key": pl.String, "horizon_seconds": pl.Int64, "matured_at": _TIME}


def score_outcomes(due: pl.DataFrame, candles: pl.DataFrame, as_of: datetime, intervals: Sequence[str]) -> pl.DataFrame:
    """Outcomes of `due`, in the columns of `autopilot_outcomes` without `recorded_at` and `run_fingerprint`.

    candles: `symbol`, `interval`, `ts` and `close` of any intervals from one source; rows marked `is_synthetic` and
        bars that close after `as_of` are passed over.
    intervals: stored intervals that may be used; the finest with a bar that closes exactly at the horizon is.

    The signed return runs from the intended price to that close in the direction of the decision; the estimated PnL is
    on the proposed quantity, before costs, rounded down to 1e-8. HOLD has the unsigned return, no win and no PnL. A
    missing bar leaves everything empty and says which was looked for.

    Raises:
        AmbiguousCandleError: several candles of one interval close at one moment.
    """
    ordered = sorted(intervals, key=interval_length)
    closes = _closes_at_horizons(due, candles, utc(as_of, "as_of"), ordered)
    found = {(row["symbol"], row["matured_at"]): (row["interval"], row["close"]) for row in closes.to_dicts()}
    rows = [_score(row, found.get((row["symbol"], row["matured_at"])), ordered) for row in due.to_dicts()]
    return pl.DataFrame(rows, schema=OUTCOME_SCHEMA, orient="row")


def _at_horizons(decision: dict[str, Any], horizons_seconds: Sequence[int]) -> Iterable[dict[str, Any]]:
    for horizon in horizons_seconds:
        yield {
            **decision,
            "outcome_key": outcome_key(decision["decision_key"], horizon),
            "horizon_seconds": horizon,
            "matured_at": decision["tick_at"] + timedelta(seconds=horizon),
        }


def _closes_at_horizons(
    due: pl.DataFrame, candles: pl.DataFrame, as_of: datetime, ordered: Sequence[str]
) -> pl.DataFrame:
    lengths = {interval: interval_length(interval) for interval in ordered}
    traded = candles.filter(~pl.col("is_synthetic")) if "is_synthetic" in candles.columns else candles
    length = pl.col("interval").replace_strict(lengths, default=None, return_dtype=pl.Duration("us"))
    closes = (
        traded.filter(pl.col("interval").is_in(list(ordered)))
        .select("symbol", "interval", "close", length=length, matured_at=(pl.col("ts") + length).cast(_TIME))
        .filter(pl.col("matured_at") <= as_of)
        .join(due.select("symbol", "matured_at").unique(), on=["symbol", "matured_at"], how="semi")
    )
    _refuse_ambiguous(closes)
    return closes.sort("length").unique(["symbol", "matured_at"], keep="first", maintain_order=True)


def _refuse_ambiguous(closes: pl.DataFrame) -> None:
    key = ["symbol", "interval", "matured_at"]
    twice = closes.filter(closes.select(key).is_duplicated()).sort(key)
    if twice.height:
        symbol, interval, closed_at = twice.select(key).row(0)
        raise AmbiguousCandleError(symbol, interval, closed_at)


def _score(due: dict[str, object], bar: tuple[str, float] | None, ordered: Sequence[str]) -> dict[str, object]:
    interval, close = bar or (None, None)
    return {
        **{name: due[name] for name in OUTCOME_SCHEMA if name in due},
        "decided_at": due["tick_at"],
        "decision_status": due["status"],
        "interval_used": interval,
        "horizon_price": close,
        **_result(due, close, ordered),
    }


def _result(due: dict[str, Any], close: float | None, ordered: Sequence[str]) -> dict[str, object]:
    if close is None:
        return _empty(f"no candle of {', '.join(ordered)} closes at {due['matured_at']:%Y-%m-%dT%H:%MZ}")
    if due["intended_price"] <= 0:
        return _empty(NO_INTENDED_PRICE)
    intended, price = due["intended_price"], Decimal(repr(close)).quantize(_PRICE_STEP)
    unsigned = float(price / intended - 1)
    direction = _DIRECTION[due["side"]]
    if due["action"] == "hold" or direction == 0:
        return {**_empty(HOLD_HAS_NO_DIRECTION), "return_signed": unsigned, "buy_and_hold_return": unsigned}
    moved = (price - intended) * direction
    return {
        "return_signed": unsigned * direction,
        "pnl_quote_est": _money(moved, due["proposed_qty"]),
        "win": moved > 0,
        "buy_and_hold_return": unsigned,
        "reason": None,
    }


def _empty(reason: str) -> dict[str, object]:
    return {"return_signed": None, "pnl_quote_est": None, "win": None, "buy_and_hold_return": None, "reason": reason}


def _money(moved: Decimal, qty: Decimal) -> Decimal:
    with localcontext(prec=76):  # two DECIMAL(38,18) factors, so that only the quantisation rounds
        return (moved * qty).quantize(_MONEY_STEP, rounding=ROUND_FLOOR)
