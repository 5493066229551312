"""Replays with full events of the candidates and of the parity sample, on every window and cost model that counts.

A stored replay is kept while the contract that it was made under still holds, and is made again where it does not.
Whoever replays a holdout has looked at it: the look is recorded before.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.factory import INCUMBENT_ROW, CycleState, Variant
from openclaw_pipelines.contracts.rows import first_as
from openclaw_pipelines.contracts.rows.factory import ReplayRow
from openclaw_pipelines.domain.factory.contract import RunContract, stressed, values_json
from openclaw_pipelines.domain.factory.log import Piece
from openclaw_pipelines.domain.factory.parity import RowSide, row_side
from openclaw_pipelines.domain.selection.looks import Look, Purpose
from openclaw_pipelines.domain.selection.windows import Window
from openclaw_pipelines.kernel.base.money import to_atoms
from openclaw_pipelines.kernel.run.finer import replay_finer_under
from openclaw_pipelines.kernel.run.replay import Costs, replay_under
from openclaw_pipelines.kernel.run.result import Result
from openclaw_pipelines.kernel.strategy.params import params_values
from openclaw_pipelines.kernel.sweep.result import Sweep
from openclaw_pipelines.resources.store.research_tables import of_cycle
from openclaw_pipelines.services.factory.cycle import Cycle
from openclaw_pipelines.services.factory.listing import Candidate, candidate_of, shortlisted, sweep_rows
from openclaw_pipelines.services.factory.market_data import Run
from openclaw_pipelines.services.factory.recording import is_logged, logged_pieces, store_logged


class ReplayDiffersError(DataError):
    """A replay that did not find what was stored for it under the same contract."""

    template = (
        "{variant} replay of {params_hash} in {cycle_id} is stored with content {stored} and found {found}. "
        "The stored row was changed, or the code is not deterministic."
    )
    cycle_id: str
    params_hash: str
    variant: Variant
    stored: str
    found: str


@dataclass(frozen=True)
class Replayed:
    """One replay: the run, what a sweep would have kept of it, and its contract."""

    variant: Variant
    result: Result
    side: RowSide
    contract: RunContract
    max_drawdown: float


def replay_candidates(cycle: Cycle, say: Callable[[str], object] = lambda _: None) -> list[ReplayRow]:
    """Replay and store every candidate on every variant, and the parity sample on the train days.

    Raises:
        ParamsChangedError: parameters differ from what was swept.
    """
    rows, chosen = [], shortlisted(cycle)
    for candidate in chosen:
        look(cycle, candidate.family)
        for variant in (Variant.TRAIN, Variant.HOLDOUT, Variant.STRESSED, Variant.FINER):
            made = stored_or_made(cycle, candidate, variant)
            if made is not None:
                rows.append(made)
        say(f"replayed {candidate.params_hash[:12]} on train, holdout, stressed and finer candles")
    sample = parity_sample(cycle, {candidate.params_hash for candidate in chosen}) if chosen else []
    rows += [row for candidate in sample if (row := stored_or_made(cycle, candidate, Variant.SAMPLE)) is not None]
    say(f"replayed {len(sample)} random rows for parity")
    if chosen:
        cycle.note(CycleState.REPLAYED)
    return rows


def stored_or_made(cycle: Cycle, candidate: Candidate, variant: Variant) -> ReplayRow | None:
    """The stored row of a replay while its contract holds, else a new one; None where there are no finer candles."""
    stored = replay_row(cycle, candidate.params_hash, variant)
    contract = contract_of(cycle, variant)
    piece = Piece(cycle.cycle_id, "replays", f"{variant.value}:{candidate.params_hash}")
    held = stored is not None and contract is not None and stored["contract_hash"] == contract.hash
    if contract is None or (held and is_logged(cycle.store, piece)):
        return stored
    row = row_of(cycle, candidate, run_variant(cycle, candidate, variant))
    with cycle.store.write("research") as con:
        con.execute(
            "DELETE FROM replays WHERE cycle_id = ? AND params_hash = ? AND variant = ?",
            [cycle.cycle_id, candidate.params_hash, variant.value],
        )
        store_logged(con, "replays", [row], row["recorded_at"])
    return row


def run_variant(cycle: Cycle, candidate: Candidate, variant: Variant) -> Replayed:
    """Replay a candidate now, storing nothing."""
    run = run_of(cycle, variant)
    if variant is Variant.FINER and cycle.finer is not None:
        fine = cycle.finer
        result = replay_finer_under(run.bars, fine, candidate.record, run.terms)
    else:
        result = replay_under(run.bars, candidate.record, run.terms)
    found = Sweep.of_result(result, candidate.record, to_atoms(run.terms.capital), run.contract.hash)
    contract = contract_of(cycle, variant) or run.contract
    return Replayed(variant, result, row_side(found, 0), contract, float(found.tallies[0]["max_drawdown"]))


def again(cycle: Cycle, candidate: Candidate, variant: Variant) -> Replayed:
    """A stored replay made again, for its trades and equity. Raises ReplayDiffersError."""
    made, stored = run_variant(cycle, candidate, variant), replay_row(cycle, candidate.params_hash, variant)
    found = made.result.content_hash
    if stored is None or stored["content_hash"] != found:
        before = "nothing" if stored is None else stored["content_hash"][:12]
        raise ReplayDiffersError(cycle.cycle_id, candidate.params_hash[:12], variant, before, found[:12])
    return made


def contract_of(cycle: Cycle, variant: Variant) -> RunContract | None:
    """The contract that a variant runs under now; None where there are no finer candles."""
    if variant is not Variant.FINER:
        return run_of(cycle, variant).contract
    if cycle.finer is None:
        return None
    start = run_of(cycle, Variant.HOLDOUT).terms.start
    return cycle.data.contract(cycle.finer, cycle.split.holdout, start, costs_of(cycle, Variant.FINER))


def costs_of(cycle: Cycle, variant: Variant) -> Costs:
    """Cost model of a variant."""
    costs = cycle.data.terms.costs
    if variant is Variant.STRESSED:
        return stressed(costs, cycle.settings.config.gates.stressed_slippage_bps)
    return costs


def run_of(cycle: Cycle, variant: Variant) -> Run:
    """Bars and contract of a variant; those of the holdout for finer candles."""
    return cycle.run(window_of(cycle, variant), costs_of(cycle, variant))


def window_of(cycle: Cycle, variant: Variant) -> Window:
    """Days of a variant."""
    return cycle.split.train if variant in (Variant.TRAIN, Variant.SAMPLE) else cycle.split.holdout


def look(cycle: Cycle, family: str) -> Look:
    """Record that the cycle looks at its holdout for a family."""
    seen = own_look(cycle, family)
    row = {
        "cycle_id": cycle.cycle_id, "recorded_at": cycle.clock.now(), "look_key": seen.key, "family": family,
        "window_start": seen.window.start, "window_end": seen.window.end, "purpose": seen.purpose.value,
    }  # fmt: skip
    with cycle.store.write("research") as con:
        stored = con.execute("SELECT 1 FROM holdout_looks WHERE look_key = ?", [seen.key]).fetchone()
        logged = Piece(cycle.cycle_id, "holdout_looks", seen.key) in logged_pieces(con, cycle.cycle_id, "holdout_looks")
        if stored is None or not logged:
            con.execute("DELETE FROM holdout_looks WHERE look_key = ?", [seen.key])
            store_logged(con, "holdout_looks", [row], cycle.clock.now())
    return seen


def own_look(cycle: Cycle, family: str) -> Look:
    """The look that a cycle takes at its holdout for a family."""
    return Look(family, cycle.split.holdout, Purpose.PROMOTION, cycle.cycle_id)


def parity_sample(cycle: Cycle, listed: set[str]) -> list[Candidate]:
    """Random rows of the sweep that are not listed, drawn by the recipe's seed, in the order of their numbers."""
    rows = [row for row in sweep_rows(cycle) if row["row_index"] != INCUMBENT_ROW and row["params_hash"] not in listed]
    wanted = min(cycle.recipe.parity_rows, len(rows))
    drawn = np.random.default_rng(cycle.recipe.seed).choice(len(rows), wanted, replace=False)
    return [candidate_of("parity sample", cycle, rows[i]) for i in sorted(drawn.tolist())]


def replay_row(cycle: Cycle, params_hash: str, variant: Variant) -> ReplayRow | None:
    """The stored row of a replay."""
    rows = of_cycle(cycle.store, "replays", cycle.cycle_id).filter(params_hash=params_hash, variant=variant.value)
    return first_as(ReplayRow, rows)


def row_of(cycle: Cycle, candidate: Candidate, made: Replayed) -> ReplayRow:
    """Row of `replays` of what a candidate's replay found."""
    result, window = made.result, window_of(cycle, made.variant)
    capital = cycle.data.terms.capital
    trades: pl.DataFrame = result.trades
    fees, funding = (result.state.account[name][0] for name in ("fees", "funding"))
    from openclaw_pipelines.kernel.base.money import from_atoms

    return {
        "cycle_id": cycle.cycle_id, "recorded_at": cycle.clock.now(), "family": candidate.family,
        "params": values_json(params_values(candidate.record)), "params_hash": candidate.params_hash,
        "variant": made.variant.value, "interval": result.bars.interval,
        "window_start": window.start, "window_end": window.end,
        "slippage_bps": costs_of(cycle, made.variant).slippage_bps, "contract": made.contract.json,
        "contract_hash": made.contract.hash, "content_hash": result.content_hash, "bits_hash": made.side.bits_hash,
        "net": result.final_equity - capital, "fees": from_atoms(int(fees)), "funding": from_atoms(int(funding)),
        "trades": trades.height, "max_drawdown": made.max_drawdown,
        "day_equity": made.side.day_equity.astype("<i8").tobytes(),
        "trade_log": b"" if made.variant is Variant.SAMPLE else _parquet(trades),
    }  # fmt: skip


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
