"""Gates: a candidate that passes every one, and for each a twin whose broken input closes exactly that one."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from domain.selection.controls import FIRST, HOUR, noise, planted

from openclaw_pipelines.domain.selection.baselines import BuyAndHold, RandomEntries
from openclaw_pipelines.domain.selection.gate_limits import Gate, GateLimits
from openclaw_pipelines.domain.selection.gates import Evidence, Verdict, evaluate, verdict
from openclaw_pipelines.domain.selection.lookahead import Difference, LookaheadReport
from openclaw_pipelines.domain.selection.looks import Look, Purpose
from openclaw_pipelines.domain.selection.trials import sharpe_rows
from openclaw_pipelines.domain.selection.warmup import Drift, WarmupReport
from openclaw_pipelines.domain.selection.windows import Window

DAY = timedelta(days=1)
TRAIN = planted(200, 60, seed=1)
BEST = int(np.argmax(sharpe_rows(TRAIN)))
LOOK = Look("breakout", Window(FIRST, FIRST + 20 * DAY), Purpose.PROMOTION, "this")


def trades(nets: dict[str, str], *, each: int = 12, reason: str = "signal") -> pl.DataFrame:
    """`each` trades per symbol with that net."""
    rows = [(symbol, Decimal(net), FIRST + i * HOUR, reason) for symbol, net in nets.items() for i in range(each)]
    schema = {"symbol": pl.String, "net": pl.Decimal(38, 18), "exit_at": pl.Datetime("us", "UTC"), "reason": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


SPREAD = trades({"A": "4", "B": "4", "C": "4"})
DRIFT = Drift("ema", "A", FIRST, 0.01, 1.0, 1.0)
OFF = replace(DRIFT, drift=0.9)
PEEK = Difference("ema", "A", FIRST, FIRST + HOUR, 1.0, 2.0)

GOOD = Evidence(
    train_returns=TRAIN,
    row=BEST,
    ever_run=400,
    holdout_returns=np.random.default_rng(2).normal(0.008, 0.01, 20),
    trades=SPREAD,
    net=Decimal(144),
    stressed_net=Decimal(60),
    hold=BuyAndHold(np.array([10**12] * 20), Decimal(100), 3_000),
    random=RandomEntries(tuple(Decimal(n) for n in range(-50, 50)), 36, 0),
    fine_net=Decimal(120),
    lookahead=LookaheadReport((), ("ema",), 20),
    warmup=WarmupReport((DRIFT,), (), 8, 100),
    look=LOOK,
)

UNSURE = np.r_[GOOD.holdout_returns - GOOD.holdout_returns.mean(), 0.01]
LUCK = ["deflated_sharpe_raw", "deflated_sharpe_clustered", "backtest_overfitting"]
ORDER = [
    "no_lookahead", "settled_warmup", "unseen_holdout", "holdout_trades", "holdout_daily_return", "holdout_interval",
    "net_at_20_bps_slippage", "top_symbol_share", "deflated_sharpe_raw", "deflated_sharpe_clustered",
    "backtest_overfitting", "better_than_holding", "better_than_random", "finer_candles",
]  # fmt: skip


def closed(evidence: Evidence, limits: GateLimits | None = None) -> dict[str, Gate]:
    return {gate.name: gate for gate in evaluate(evidence, limits) if not gate.passed}


def test_a_candidate_with_an_edge_passes_every_gate_and_each_is_measured() -> None:
    gates = evaluate(GOOD)
    assert [gate.name for gate in gates] == ORDER
    assert {gate.name: gate.reason for gate in gates if not gate.passed} == {}
    assert verdict(gates) == Verdict(True, None, "all 14 gates passed")
    assert all(gate.measured is not None and gate.required.text and gate.reason for gate in gates)
    assert all(gate.sample_size > 0 for gate in gates if gate.name != "finer_candles")


REQUIRED = {
    "no_lookahead": "0 columns that depend on later bars",
    "settled_warmup": "0 indicators unsettled after the warm-up",
    "unseen_holdout": "0 earlier looks",
    "holdout_trades": ">= 30",
    "holdout_daily_return": "> 0.0",
    "holdout_interval": "> 0.0",
    "net_at_20_bps_slippage": "> 0",
    "top_symbol_share": "< 0.5",
    "deflated_sharpe_raw": ">= 0.95",
    "deflated_sharpe_clustered": ">= 0.95",
    "backtest_overfitting": "<= 0.5",
    "better_than_holding": "> 0",
    "better_than_random": "<= 0.05",
    "finer_candles": ">= 0.5 of the net result, above 0",
}
"""What each gate requires, as it is stored: stored gates of a cycle are compared with these texts."""


@pytest.mark.parametrize("change", [{}, {"lookahead": None, "warmup": None, "look": None, "stressed_net": None}])
def test_what_gates_require_is_stored_as_it_was(change) -> None:
    """Measured or not, passed or not."""
    gates = evaluate(replace(GOOD, **change))
    assert {gate.name: gate.required.text for gate in gates} == REQUIRED
    assert all(gate.required.holds(gate.measured) == gate.passed for gate in gates)


STOPPED = trades({"A": "4", "B": "4", "C": "4"}, reason="stop")


@pytest.mark.parametrize(("change", "blocked"), [
    pytest.param({"lookahead": LookaheadReport((PEEK,), ("ema",), 20)}, {"no_lookahead"}, id="peeks"),
    pytest.param({"warmup": WarmupReport((OFF,), (OFF,), 8, 100)}, {"settled_warmup"}, id="not settled"),
    pytest.param({"looks": (replace(LOOK, cycle_id="before"),)}, {"unseen_holdout"}, id="seen before"),
    pytest.param({"trades": trades({"A": "4", "B": "4", "C": "4"}, each=9)}, {"holdout_trades"}, id="27 trades"),
    pytest.param({"holdout_returns": -GOOD.holdout_returns}, {"holdout_daily_return", "holdout_interval"}, id="loses"),
    pytest.param({"holdout_returns": UNSURE}, {"holdout_interval"}, id="not surely above 0"),
    pytest.param({"stressed_net": Decimal(0)}, {"net_at_20_bps_slippage"}, id="nothing left at 20 bps"),
    pytest.param({"trades": trades({"A": "8", "B": "4", "C": "4"})}, {"top_symbol_share"}, id="half from one symbol"),
    pytest.param({"row": int(np.argmin(sharpe_rows(TRAIN)))}, {"deflated_sharpe_raw", "deflated_sharpe_clustered"},
                 id="the worst row"),
    pytest.param({"hold": replace(GOOD.hold, net=Decimal(144))}, {"better_than_holding"}, id="as good as holding"),
    pytest.param({"random": RandomEntries(tuple(Decimal(n) for n in range(60, 160)), 36, 0)}, {"better_than_random"},
                 id="no better than random"),
    pytest.param({"trades": STOPPED, "fine_net": Decimal(71)}, {"finer_candles"}, id="half is lost on finer candles"),
])  # fmt: skip
def test_a_broken_input_closes_its_gate_and_no_other(change, blocked) -> None:
    found = closed(replace(GOOD, **change))
    assert set(found) == blocked
    first = next(name for name in ORDER if name in blocked)
    assert verdict(evaluate(replace(GOOD, **change))).blocked_by == first
    assert all(gate.measured is not None for gate in found.values())


def test_the_best_of_noise_is_blocked_by_luck_alone() -> None:
    returns = noise(200, 60, 3)
    found = closed(replace(GOOD, train_returns=returns, row=int(np.argmax(sharpe_rows(returns)))))
    assert {"deflated_sharpe_raw", "deflated_sharpe_clustered"} <= set(found)
    assert set(found) <= {"deflated_sharpe_raw", "deflated_sharpe_clustered", "backtest_overfitting"}


def test_a_search_whose_bests_turn_bad_is_overfit() -> None:
    """Rows that earn on one half of the days exactly what they lose on the other."""
    half = noise(200, 30, 5)
    found = closed(replace(GOOD, train_returns=np.concatenate([half, -half], axis=1)))
    assert found["backtest_overfitting"].measured > 0.5


@pytest.mark.parametrize(("change", "names", "reason"), [
    pytest.param({"lookahead": None}, ["no_lookahead"], "was not run", id="look-ahead"),
    pytest.param({"lookahead": LookaheadReport((), (), 0)}, ["no_lookahead"], "was not run", id="no cuts"),
    pytest.param({"warmup": None}, ["settled_warmup"], "was not run", id="warm-up"),
    pytest.param({"look": None}, ["unseen_holdout"], "not recorded", id="look"),
    pytest.param({"holdout_returns": np.full(4, 0.01)}, ["holdout_daily_return", "holdout_interval"], "4 days",
                 id="four days"),
    pytest.param({"holdout_returns": np.full(9, np.nan)}, ["holdout_daily_return", "holdout_interval"], "finite",
                 id="days without a number"),
    pytest.param({"stressed_net": None}, ["net_at_20_bps_slippage"], "was not run", id="stress"),
    pytest.param({"trades": trades({"A": "-4", "B": "2", "C": "2"})}, ["top_symbol_share"], "no profit",
                 id="no profit"),
    pytest.param({"trades": SPREAD.clear()}, ["top_symbol_share", "finer_candles"], "0", id="no trades"),
    pytest.param({"train_returns": np.zeros((5, 60)), "row": 0},
                 LUCK, "", id="never traded"),
    pytest.param({"train_returns": TRAIN[:, :1]},
                 LUCK, "", id="one train day"),
    pytest.param({"ever_run": 199}, ["deflated_sharpe_raw", "deflated_sharpe_clustered"], "199 were ever run",
                 id="trials that were not counted"),
    pytest.param({"train_returns": np.full((5, 60), np.nan), "row": 0},
                 LUCK, "finite", id="no numbers"),
    pytest.param({"train_returns": TRAIN[:, :19]}, ["backtest_overfitting"], "19 days", id="few train days"),
    pytest.param({"hold": None}, ["better_than_holding"], "was not run", id="holding"),
    pytest.param({"random": None}, ["better_than_random"], "not run", id="random"),
    pytest.param({"random": RandomEntries((), 36, 0, "nowhere else")}, ["better_than_random"], "nowhere else",
                 id="random impossible"),
    pytest.param({"trades": STOPPED, "fine_net": None}, ["finer_candles"], "36 exits", id="finer candles"),
    pytest.param({"trades": STOPPED, "net": Decimal(0)}, ["finer_candles"], "no profit", id="nothing to keep"),
])  # fmt: skip
def test_what_is_undefined_fails_with_a_reason(change, names, reason) -> None:
    found = closed(replace(GOOD, **change))
    for name in names:
        assert found[name].measured is None
        assert reason in found[name].reason
        assert found[name].reason


@pytest.mark.parametrize(("limits", "name"), [
    pytest.param({"least_trades": 37}, "holdout_trades", id="trades"),
    pytest.param({"least_daily_return": 0.02}, "holdout_daily_return", id="daily return"),
    pytest.param({"least_daily_return": float(GOOD.holdout_returns.mean()) - 1e-9}, "holdout_interval", id="interval"),
    pytest.param({"least_stressed_net": Decimal(60)}, "net_at_20_bps_slippage", id="stress"),
    pytest.param({"largest_symbol_share": 1 / 3}, "top_symbol_share", id="symbol"),
    pytest.param({"least_deflated_probability": 1.0}, "deflated_sharpe_raw", id="deflated"),
    pytest.param({"random_quantile": 0.999}, "better_than_random", id="random"),
    pytest.param({"overfitting_splits": 4, "largest_overfitting_probability": -1.0}, "backtest_overfitting", id="pbo"),
    pytest.param({"least_holdout_days": 21}, "holdout_daily_return", id="holdout days"),
])  # fmt: skip
def test_a_stricter_limit_closes_its_gate(limits, name) -> None:
    assert name not in closed(GOOD)
    assert name in closed(GOOD, replace(GateLimits(), **limits))


def test_without_an_exit_inside_a_bar_finer_candles_are_not_asked_for() -> None:
    assert closed(replace(GOOD, fine_net=None)) == {}


def test_a_loss_on_finer_candles_is_never_enough() -> None:
    stopped = replace(GOOD, trades=STOPPED, fine_net=Decimal(-1))
    assert "finer_candles" in closed(stopped, GateLimits(least_finer_share=-1.0))
    assert closed(replace(stopped, fine_net=Decimal(1)), GateLimits(least_finer_share=-1.0)) == {}


def test_limits_are_the_issues() -> None:
    limits = GateLimits()
    assert (limits.least_trades, limits.largest_symbol_share, limits.stressed_slippage_bps) == (30, 0.5, 20)
    assert (limits.least_deflated_probability, limits.largest_overfitting_probability) == (0.95, 0.5)


def test_no_gates_are_no_pass() -> None:
    assert verdict(()) == Verdict(False, "no gates", "no gate was evaluated")
