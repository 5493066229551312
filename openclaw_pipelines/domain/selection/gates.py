"""What a candidate must show before it may trade on paper: every gate in order, and the first that blocked.

The gates themselves are in `gate_rules`, their defaults in `gate_limits`. Which windows the evidence comes from, and
storing the rows, is the caller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import polars as pl

from openclaw_pipelines.domain.selection.baselines import BuyAndHold, RandomEntries
from openclaw_pipelines.domain.selection.equity import Floats
from openclaw_pipelines.domain.selection.gate_limits import Gate, GateLimits
from openclaw_pipelines.domain.selection.gate_rules import (
    backtest_overfitting,
    better_than_holding,
    better_than_random,
    deflated_clustered,
    deflated_raw,
    finer_candles,
    holdout_daily_return,
    holdout_interval,
    holdout_trades,
    no_lookahead,
    settled_warmup,
    stressed_net,
    top_symbol_share,
    unseen_holdout,
)
from openclaw_pipelines.domain.selection.lookahead import LookaheadReport
from openclaw_pipelines.domain.selection.looks import Look
from openclaw_pipelines.domain.selection.warmup import WarmupReport


class Told(Protocol):
    """What of a gate a verdict looks at, made or stored."""

    @property
    def name(self) -> str:
        """Name of the gate."""

    @property
    def passed(self) -> bool:
        """Whether it held."""

    @property
    def reason(self) -> str:
        """What was measured."""


@dataclass(frozen=True)
class Verdict:
    """Whether every gate passed, and the first in order that did not."""

    passed: bool
    blocked_by: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything the gates look at, of one candidate. What is None was not measured, and its gate fails.

    train_returns: float64[R, D] daily returns of every row of the sweep on the days it was chosen on, among them
    `row`, the candidate. ever_run: trials of the family ever run, with these. holdout_returns: float64[D] of the
    candidate. trades and net: of the holdout, at the run's costs; stressed_net at `stressed_slippage_bps`; fine_net of
    the run with exits settled on finer candles. Nets are quote currency after the cost of closing what is open.
    """

    train_returns: Floats
    row: int
    holdout_returns: Floats
    trades: pl.DataFrame
    net: Decimal
    ever_run: int | None = None
    stressed_net: Decimal | None = None
    hold: BuyAndHold | None = None
    random: RandomEntries | None = None
    fine_net: Decimal | None = None
    lookahead: LookaheadReport | None = None
    warmup: WarmupReport | None = None
    look: Look | None = None
    looks: tuple[Look, ...] = ()


def evaluate(evidence: Evidence, limits: GateLimits | None = None) -> tuple[Gate, ...]:
    """Every gate in order: what makes the measurement void first, then the holdout, then luck, then the baselines."""
    limits = limits or GateLimits()
    returns, ever = evidence.train_returns, evidence.ever_run
    return (
        no_lookahead(evidence.lookahead),
        settled_warmup(evidence.warmup),
        unseen_holdout(evidence.look, evidence.looks),
        holdout_trades(evidence.trades, limits),
        holdout_daily_return(evidence.holdout_returns, limits),
        holdout_interval(evidence.holdout_returns, limits),
        stressed_net(evidence.stressed_net, evidence.trades.height, limits),
        top_symbol_share(evidence.trades, limits),
        deflated_raw(returns, evidence.row, ever, limits),
        deflated_clustered(returns, evidence.row, ever, limits),
        backtest_overfitting(returns, limits),
        better_than_holding(evidence.net, evidence.hold),
        better_than_random(evidence.net, evidence.random, limits),
        finer_candles(evidence.trades, evidence.net, evidence.fine_net, limits),
    )


def verdict(gates: Sequence[Told]) -> Verdict:
    """Passed only where there are gates and each passed.

    >>> verdict(())
    Verdict(passed=False, blocked_by='no gates', reason='no gate was evaluated')
    """
    if not gates:
        return Verdict(False, "no gates", "no gate was evaluated")  # noqa: FBT003 - a row of facts
    for gate in gates:
        if not gate.passed:
            return Verdict(passed=False, blocked_by=gate.name, reason=gate.reason)
    return Verdict(passed=True, blocked_by=None, reason=f"all {len(gates)} gates passed")
