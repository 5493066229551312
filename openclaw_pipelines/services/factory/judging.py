"""Gates of a cycle's candidates: the evidence gathered, the gates of `domain.selection` over it, their rows stored.

Nothing is judged while parity is not proven. Every trial ever run by any cycle counts, and so does every look at days
of the holdout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal

import numpy as np

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.factory import INCUMBENT_ROW, CycleState, ParityClass, Variant
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import GateResultRow
from openclaw_pipelines.domain.lifecycle.hand_over import parity_class
from openclaw_pipelines.domain.selection.baselines import buy_and_hold, exposure_bps, random_entries
from openclaw_pipelines.domain.selection.equity import Floats, daily_returns, day_end_equity
from openclaw_pipelines.domain.selection.gate_limits import Gate, GateLimits
from openclaw_pipelines.domain.selection.gates import Evidence, Verdict, evaluate, verdict
from openclaw_pipelines.domain.selection.lookahead import CutsError, LookaheadReport, lookahead_report
from openclaw_pipelines.domain.selection.looks import Look, Purpose
from openclaw_pipelines.domain.selection.strategy_columns import family_strategy
from openclaw_pipelines.domain.selection.warmup import WarmupError, WarmupReport, warmup_report
from openclaw_pipelines.domain.selection.windows import Window, rows_of
from openclaw_pipelines.kernel.base.money import to_atoms
from openclaw_pipelines.kernel.strategy.params import warmup_bars
from openclaw_pipelines.resources.store.research_tables import looks_ever, of_cycle, trials_ever
from openclaw_pipelines.services.factory.cycle import Cycle, gate_limits
from openclaw_pipelines.services.factory.listing import Candidate, shortlisted
from openclaw_pipelines.services.factory.market_data import finer_interval
from openclaw_pipelines.services.factory.parity_rows import parity_rows, stale_reports
from openclaw_pipelines.services.factory.recording import logged_pieces, newest_logged, store_logged
from openclaw_pipelines.services.factory.replaying import again, costs_of, look, own_look, replay_row

_FINEST = "1m"
_ANALYSED_BARS, _WARMUPS = 2_000, 6
"""Bars of the bias analysis: at least so many, and so many warm-ups."""


class ParityNotProvenError(DataError):
    """Gates of a cycle whose runs were not shown to be equal."""

    template = "{cycle_id} is not judged: {why}. Materialize `replays` and `parity_reports` again, or run a new cycle."
    cycle_id: str
    why: str


@dataclass(frozen=True)
class Judged:
    """The gates of one candidate."""

    candidate: Candidate
    gates: tuple[Gate, ...]
    verdict: Verdict
    evidence_hash: str


def judge_cycle(cycle: Cycle, say: Callable[[str], object] = lambda _: None) -> list[Judged]:
    """Judge and store every candidate; the first in order that passes all gates makes the cycle validated.

    Raises:
        ParityNotProvenError: a report is missing, stale or did not pass.
        ReplayDiffersError: a replay is not what was stored.
    """
    require_parity(cycle)
    chosen = shortlisted(cycle)
    limits = gate_limits(cycle.settings.config.gates, cycle.recipe.seed, len(chosen))
    for family in dict.fromkeys(candidate.family for candidate in chosen):
        look(cycle, family)
    judged, as_of = [], newest_logged(cycle.store).sequence
    for candidate in chosen:
        judged.append(judge(cycle, candidate, limits, as_of))
        say(f"{candidate.params_hash[:12]}: {judged[-1].verdict.blocked_by or 'all gates passed'}")
    with cycle.store.write("research") as con:
        con.execute("DELETE FROM gate_results WHERE cycle_id = ?", [cycle.cycle_id])
        replaces = logged_pieces(con, cycle.cycle_id, "gate_results")
        store_logged(
            con, "gate_results", result_rows(cycle, judged), cycle.clock.now(), replaces=replaces, rests_on=as_of
        )  # fmt: skip
    note_verdict(cycle, judged)
    return judged


def note_verdict(cycle: Cycle, judged: list[Judged]) -> None:
    """Write the cycle's state by its candidates' verdicts."""
    if judged:
        cycle.note(*verdict_of(judged))


def verdict_of(judged: list[Judged]) -> tuple[CycleState, str | None, str]:
    """State of a cycle by its candidates' verdicts, the first gate that blocked, and why."""
    first = next((own for own in judged if own.verdict.passed), judged[0])
    why = f"{first.candidate.params_hash[:12]}: {first.verdict.reason}"
    if first.verdict.passed:
        return CycleState.VALIDATED, None, why
    return CycleState.BLOCKED, first.verdict.blocked_by, why


def require_parity(cycle: Cycle) -> None:
    """Raise ParityNotProvenError unless every candidate and sampled row has a fresh report that passed."""
    failed = [f"{row['comparison']} of {row['params_hash'][:12]} is {row['verdict']}" for row in parity_rows(cycle)
              if parity_class(row) is not ParityClass.EQUAL]  # fmt: skip
    reasons = failed or stale_reports(cycle)
    if reasons:
        raise ParityNotProvenError(cycle.cycle_id, reasons[0])


def judge(cycle: Cycle, candidate: Candidate, limits: GateLimits, as_of: int | None = None) -> Judged:
    """Evidence and gates of one candidate. as_of: see `gather`."""
    evidence, rests_on = gather(cycle, candidate, limits, as_of)
    gates = evaluate(evidence, limits)
    return Judged(candidate, gates, verdict(gates), rests_on)


def gather(
    cycle: Cycle, candidate: Candidate, limits: GateLimits, as_of: int | None = None
) -> tuple[Evidence, str]:  # fmt: skip
    """Everything that the gates look at, and its hash; nothing is written.

    as_of: row of the factory's log up to which trials and looks count, since those of later cycles decide nothing that
    was judged before; all of them unless given.
    """
    holdout, costs = again(cycle, candidate, Variant.HOLDOUT), costs_of(cycle, Variant.HOLDOUT)
    result, capital = holdout.result, cycle.data.terms.capital
    bars = rows_of(result.bars, len(result.bars.times) - len(result.equity_rows), len(result.bars.times))
    returns, row = train_returns(cycle, candidate)
    equity = day_end_equity(result)
    net = result.final_equity - capital
    looks, ever = all_looks(cycle, as_of), trials_ever(cycle.store, cycle.cycle_id, as_of)
    seen = own_look(cycle, candidate.family)
    lookahead, warmup = bias(cycle, candidate)
    evidence = Evidence(
        train_returns=returns, row=row, holdout_returns=daily_returns(equity, to_atoms(capital)), trades=result.trades,
        net=net, ever_run=ever, stressed_net=_net(cycle, candidate, Variant.STRESSED),
        hold=buy_and_hold(bars, capital=capital, costs=costs, invested_bps=exposure_bps(result)),
        random=random_entries(bars, result.trades, costs=costs, sets=limits.random_sets, seed=limits.seed),
        fine_net=_fine_net(cycle, candidate, net), lookahead=lookahead, warmup=warmup,
        look=seen if seen in looks else None, looks=looks,
    )  # fmt: skip
    return evidence, _rests_on(cycle, candidate, ever, looks)


def train_returns(cycle: Cycle, candidate: Candidate) -> tuple[Floats, int]:
    """Daily returns [R, D] of every searched row, and the place of the candidate among them."""
    sql = "SELECT row_index, day_equity FROM sweep_results WHERE cycle_id = ? AND row_index <> ? ORDER BY row_index"
    rows = cycle.store.query("research", sql, [cycle.cycle_id, INCUMBENT_ROW])
    equity = np.stack([np.frombuffer(blob, "<i8") for blob in rows["day_equity"].to_list()]).astype(np.int64)
    place = rows["row_index"].to_list().index(candidate.row_index)
    return daily_returns(equity, to_atoms(cycle.data.terms.capital)), place


def all_looks(cycle: Cycle, as_of: int | None = None) -> tuple[Look, ...]:
    """Every recorded look at any holdout. as_of: see `gather`."""
    rows = looks_ever(cycle.store, as_of).to_dicts()
    return tuple(
        Look(
            row["family"], Window(row["window_start"].astimezone(UTC), row["window_end"].astimezone(UTC)),
            Purpose(row["purpose"]), row["cycle_id"],
        )
        for row in rows
    )  # fmt: skip


def bias(cycle: Cycle, candidate: Candidate) -> tuple[LookaheadReport | None, WarmupReport | None]:
    """Look-ahead and warm-up analysis on the newest train bars; None where they are too few for one."""
    bars, warm = cycle.train.bars, warmup_bars(candidate.record)
    part = rows_of(bars, max(0, len(bars.times) - max(_ANALYSED_BARS, _WARMUPS * warm)), len(bars.times))
    strategy = family_strategy(candidate.record)
    lookahead, warmup = None, None
    try:
        lookahead = lookahead_report(strategy, part)
        warmup = warmup_report(strategy, part, warm)
    except (CutsError, WarmupError):
        return lookahead, warmup  # their gates fail and say that they were not run
    return lookahead, warmup


def gate_rows(cycle: Cycle) -> list[GateResultRow]:
    """The stored gates of a cycle in order of candidates and evaluation."""
    rows = rows_as(GateResultRow, of_cycle(cycle.store, "gate_results", cycle.cycle_id))
    order = {own.params_hash: place for place, own in enumerate(shortlisted(cycle))}
    return sorted(rows, key=lambda row: (order.get(row["params_hash"], len(order)), row["position"]))


def _net(cycle: Cycle, candidate: Candidate, variant: Variant) -> Decimal | None:
    row = replay_row(cycle, candidate.params_hash, variant)
    return None if row is None else row["net"]


def _fine_net(cycle: Cycle, candidate: Candidate, net: Decimal) -> Decimal | None:
    """Net on finer candles. One minute is the finest there is: its own result is the answer."""
    if finer_interval(cycle.settings, cycle.interval) is None:
        return net if cycle.interval == _FINEST else None
    return _net(cycle, candidate, Variant.FINER)


def _rests_on(cycle: Cycle, candidate: Candidate, ever: int, looks: tuple[Look, ...]) -> str:
    replays = of_cycle(cycle.store, "replays", cycle.cycle_id).filter(params_hash=candidate.params_hash)
    shards = of_cycle(cycle.store, "sweep_shards", cycle.cycle_id)
    parity = sorted(row["report_hash"] for row in parity_rows(cycle))
    return sha256_of(
        {
            "params_hash": candidate.params_hash, "parity": parity,
            "replays": replays.select("variant", "content_hash").to_dicts(),
            "shards": shards.select("shard", "content_hash").to_dicts(),
            "trials": ever, "looks": sorted(own.key for own in looks),
        }
    )  # fmt: skip


def result_rows(cycle: Cycle, judged: list[Judged]) -> list[dict[str, object]]:
    """Rows of `gate_results`."""
    now = cycle.clock.now()
    return [
        {
            "cycle_id": cycle.cycle_id, "recorded_at": now, "params_hash": own.candidate.params_hash,
            "gate": gate.name, "position": place, "measured": gate.measured, "required": gate.required.text,
            "passed": bool(gate.passed), "reason": gate.reason, "sample_size": gate.sample_size,
            "evidence_hash": own.evidence_hash,
        }
        for own in judged
        for place, gate in enumerate(own.gates)
    ]  # fmt: skip
