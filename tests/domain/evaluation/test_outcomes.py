"""Outcomes against a hand table: direction, money, intervals, what is missing, what has not matured."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.domain.evaluation.outcomes import (
    HOLD_HAS_NO_DIRECTION,
    NO_INTENDED_PRICE,
    OUTCOME_SCHEMA,
    AmbiguousCandleError,
    HorizonError,
    due_outcomes,
    score_outcomes,
)

T = datetime(2025, 5, 12, 3, tzinfo=UTC)
LATE = T + timedelta(days=1)
KEY = "autopilot:a:s:BTCUSDT:20250512T0300Z"
D = Decimal


def decisions(**change: Any) -> pl.DataFrame:
    row = {
        "account_id": "a", "strategy_config_id": "s", "deployment_id": "x", "recorded_at": T, "run_fingerprint": "r",
        "tick_at": T, "decision_key": KEY, "symbol": "BTC/USDT", "status": "approved", "reason_code": "NONE",
        "reason": "fine", "action": "enter", "side": "buy", "proposed_qty": D("0.5"), "approved_qty": D("0.5"),
        "intended_price": D(100), "measured": None, "limit_value": None, "confidence": 0.5, "planner": "heuristic",
        "policy_source": "binding", "policy_version_id": "p", "base_limits": "{}", "effective_limits": "{}",
        "features": "{}", "rationale": "r", "data_hash": "h", "model_calls": "[]", "universe_key": None, **change,
    }  # fmt: skip
    return TABLES["autopilot_decisions"].frame([row])


def candles(*bars: tuple[str, datetime, float], synthetic: bool = False) -> pl.DataFrame:
    schema = {"symbol": pl.String, "interval": pl.String, "ts": pl.Datetime("us", "UTC"), "close": pl.Float64}
    rows = [("BTC/USDT", interval, ts, close) for interval, ts, close in bars]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(is_synthetic=pl.lit(synthetic))


def score(decided: pl.DataFrame, bars: pl.DataFrame, horizon: int = 300, as_of: datetime = LATE) -> dict[str, Any]:
    due = due_outcomes(decided, set(), [horizon], as_of)
    return score_outcomes(due, bars, as_of, ["15m", "1m", "5m"]).row(0, named=True)


FIVE = T + timedelta(minutes=5)
ONE_MINUTE_BAR = ("1m", FIVE - timedelta(minutes=1), 102.0)
FIVE_MINUTE_BAR = ("5m", T, 101.0)


@pytest.mark.parametrize(
    ("change", "signed", "pnl", "win"),
    [
        pytest.param({}, 0.02, "1", True, id="bought, it rose"),
        pytest.param({"side": "sell"}, -0.02, "-1", False, id="sold, it rose"),
        pytest.param({"intended_price": D(102)}, 0.0, "0", False, id="did not move: a draw is no win"),
        pytest.param({"intended_price": D(200)}, -0.49, "-49", False, id="bought, it fell"),
        pytest.param({"side": "sell", "intended_price": D(200)}, 0.49, "49", True, id="sold, it fell"),
        pytest.param(
            {"status": "rejected", "reason_code": "COOLDOWN", "approved_qty": D(0)}, 0.02, "1", True,
            id="refused, scored on the proposed quantity",
        ),
        pytest.param({"action": "exit", "side": "sell"}, -0.02, "-1", False, id="closed a long, it rose"),
    ],
)  # fmt: skip
def test_signed_return_and_money(change: dict[str, Any], signed: float, pnl: str, win: bool) -> None:
    row = score(decisions(**change), candles(ONE_MINUTE_BAR))
    assert row["return_signed"] == pytest.approx(signed, abs=1e-15)
    assert row["pnl_quote_est"] == D(pnl)
    assert row["win"] is win
    assert row["buy_and_hold_return"] == pytest.approx(float(102 / change.get("intended_price", D(100)) - 1), abs=1e-15)
    assert row["reason"] is None


def test_the_whole_row() -> None:
    row = score(decisions(), candles(ONE_MINUTE_BAR))
    assert list(row) == list(OUTCOME_SCHEMA)
    assert row == {
        "account_id": "a", "strategy_config_id": "s", "outcome_key": f"{KEY}:300", "decision_key": KEY,
        "symbol": "BTC/USDT", "decided_at": T, "decision_status": "approved", "horizon_seconds": 300,
        "matured_at": FIVE, "interval_used": "1m", "intended_price": D(100), "horizon_price": 102.0,
        "return_signed": 0.02, "pnl_quote_est": D(1), "win": True, "buy_and_hold_return": 0.02, "reason": None,
    }  # fmt: skip


def test_rows_pass_the_contract_of_the_table() -> None:
    due = due_outcomes(decisions(), set(), [300, 900], LATE)
    rows = score_outcomes(due, candles(ONE_MINUTE_BAR), LATE, ["1m"])
    stamped = rows.with_columns(recorded_at=pl.lit(T).cast(pl.Datetime("us", "UTC")), run_fingerprint=pl.lit("r"))
    assert TABLES["autopilot_outcomes"].validate(stamped).height == 2


def test_hold_has_the_unsigned_return_and_no_win() -> None:
    row = score(decisions(action="hold", status="held", side="sell", proposed_qty=D(0)), candles(ONE_MINUTE_BAR))
    assert (row["return_signed"], row["buy_and_hold_return"]) == (pytest.approx(0.02), pytest.approx(0.02))
    assert (row["win"], row["pnl_quote_est"], row["reason"]) == (None, None, HOLD_HAS_NO_DIRECTION)


def test_money_is_rounded_down_to_an_atom() -> None:
    gain = score(decisions(intended_price=D("101.99999999"), proposed_qty=D("0.7")), candles(ONE_MINUTE_BAR))
    loss = score(decisions(intended_price=D("102.00000001"), proposed_qty=D("0.7")), candles(ONE_MINUTE_BAR))
    assert (gain["pnl_quote_est"], loss["pnl_quote_est"]) == (D(0), D("-0.00000001"))


@pytest.mark.parametrize(
    ("bars", "used", "price"),
    [
        pytest.param(candles(FIVE_MINUTE_BAR, ONE_MINUTE_BAR), "1m", 102.0, id="finest first"),
        pytest.param(candles(FIVE_MINUTE_BAR), "5m", 101.0, id="coarser where the finest is missing"),
        pytest.param(candles(("1m", FIVE, 103.0), FIVE_MINUTE_BAR), "5m", 101.0, id="opens at the horizon: too late"),
        pytest.param(candles(("3m", T + timedelta(minutes=2), 9.0), FIVE_MINUTE_BAR), "5m", 101.0, id="not stored"),
        pytest.param(candles(("15m", T, 103.0)), None, None, id="closes after the horizon"),
        pytest.param(candles(ONE_MINUTE_BAR, synthetic=True), None, None, id="made up by the venue"),
        pytest.param(candles(ONE_MINUTE_BAR).with_columns(symbol=pl.lit("ETH/USDT")), None, None, id="another symbol"),
        pytest.param(candles(), None, None, id="no candles"),
    ],
)
def test_finest_interval_that_closes_exactly_at_the_horizon(
    bars: pl.DataFrame, used: str | None, price: float | None
) -> None:
    row = score(decisions(), bars)
    assert (row["interval_used"], row["horizon_price"]) == (used, price)


def test_a_missing_bar_leaves_everything_empty_and_says_which() -> None:
    row = score(decisions(), candles())
    values = ("return_signed", "pnl_quote_est", "win", "buy_and_hold_return", "horizon_price")
    assert [row[name] for name in values] == [None] * 5
    assert row["reason"] == "no candle of 1m, 5m, 15m closes at 2025-05-12T03:05Z"


def test_a_decision_without_a_price_has_no_outcome_but_a_reason() -> None:
    row = score(decisions(intended_price=D(0), status="rejected", reason_code="NO_PRICE"), candles(ONE_MINUTE_BAR))
    assert (row["return_signed"], row["horizon_price"], row["reason"]) == (None, 102.0, NO_INTENDED_PRICE)


@pytest.mark.parametrize(
    ("existing", "as_of", "horizons"),
    [
        pytest.param(set(), T + timedelta(seconds=299), [], id="nothing matured"),
        pytest.param(set(), T + timedelta(seconds=300), [300], id="matures to the second"),
        pytest.param(set(), LATE, [300, 900, 3600], id="all matured"),
        pytest.param({f"{KEY}:900"}, LATE, [300, 3600], id="written once"),
        pytest.param({f"{KEY}:{h}" for h in (300, 900, 3600)}, LATE, [], id="all written"),
    ],
)
def test_due(existing: set[str], as_of: datetime, horizons: list[int]) -> None:
    due = due_outcomes(decisions(), existing, [3600, 300, 900], as_of)
    assert due["horizon_seconds"].to_list() == horizons
    assert due["matured_at"].to_list() == [T + timedelta(seconds=h) for h in horizons]


def test_a_bar_after_as_of_is_never_read() -> None:
    due = due_outcomes(decisions(), set(), [300], LATE)
    row = score_outcomes(due, candles(ONE_MINUTE_BAR), FIVE - timedelta(seconds=1), ["1m"]).row(0, named=True)
    assert row["horizon_price"] is None


def test_no_decisions_give_an_empty_frame_with_the_columns() -> None:
    due = due_outcomes(decisions().clear(), set(), [300], LATE)
    assert score_outcomes(due, candles(), LATE, ["1m"]).schema == pl.Schema(OUTCOME_SCHEMA)


def test_two_sources_in_one_frame_are_refused() -> None:
    with pytest.raises(AmbiguousCandleError) as caught:
        score(decisions(), candles(ONE_MINUTE_BAR, ONE_MINUTE_BAR))
    assert (caught.value.symbol, caught.value.interval) == ("BTC/USDT", "1m")


@pytest.mark.parametrize("horizon", [0, -300])
def test_a_horizon_must_lie_ahead(horizon: int) -> None:
    with pytest.raises(HorizonError, match=f"{horizon} is not a positive number"):
        due_outcomes(decisions(), set(), [300, horizon], LATE)
