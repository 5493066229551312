"""What a cycle judges may trade what paper may: one replay over masks, lists and universes is the lived ledger."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.time import DAY, day_start
from openclaw_pipelines.domain.selection.windows import Window
from openclaw_pipelines.domain.trading.admission import OwnOutcomesError
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.records import Scale, event_rows
from openclaw_pipelines.kernel.base.layout import EventKind
from openclaw_pipelines.kernel.base.money import from_atoms
from openclaw_pipelines.kernel.run.replay import replay_under
from openclaw_pipelines.kernel.run.stepping import step_through
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.sweep.sweep import sweep_under
from openclaw_pipelines.services.factory.market_data import MarketData

BREAKOUT = "breakout_15m"
BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT"
DAYS = ("2025-05-10", "2025-05-11")
WHOLE = Window(day_start(DAYS[0]), day_start(DAYS[1]) + DAY)
CANDLES_ONLY = {"weights": {"outcomes": 0.0}}
RULES = [
    pytest.param({}, {}, id="nothing"),
    pytest.param({"deny": [ETH]}, {}, id="denied"),
    pytest.param({"allow": [BTC, SOL]}, {}, id="allowed"),
    pytest.param({}, {"universe": {"max_symbols": 1, **CANDLES_ONLY}}, id="universe"),
    # the holes of the first day are too many for the second, so that its universe is that of the day before
    pytest.param({}, {"universe": {"min_symbols": 3, "min_coverage_bps": 9_900}}, id="floor"),
    pytest.param({}, {"symbols": {SOL: {"enabled": False}}}, id="disabled"),
    pytest.param({}, {"quality": {"gap_mask_bars": 0, "recent_bars": 30, "stale_flat_bars": 2}}, id="masks"),
    pytest.param(
        {"deny": [SOL]},
        {"universe": {"max_symbols": 1, **CANDLES_ONLY}, "quality": {"gap_mask_bars": 0, "recent_bars": 20}},
        id="all",
    ),
]


def opened(desk: Any, others: Any, own: Any) -> Any:
    """The days asked for, with holes in two symbols that no venue filled."""
    trading = desk("asked", **others)
    trading.strategy(BREAKOUT, **own)
    with trading.store.write("market") as con:
        for symbol, hours in ((ETH, (5, 30)), (BTC, (14, 38))):
            for at in (day_start(DAYS[0]) + timedelta(hours=hour) for hour in hours):
                con.execute(
                    "DELETE FROM candles WHERE symbol = ? AND ts BETWEEN ? AND ?",
                    [symbol, at, at + timedelta(minutes=20)],
                )
    return trading


def lived(desk: Any, others: Any, own: Any) -> Any:
    """Both days traded on paper."""
    trading = opened(desk, others, own)
    for day in DAYS:
        trading.run(BREAKOUT, day)
    return trading


def judged(desk: Any) -> tuple[Any, Any, Any]:
    """Bars, terms and parameters of a cycle's run over the days, warmed as paper is."""
    data = MarketData(desk.world, desk.world.settings().strategy(BREAKOUT), WHOLE, "strict")
    warm = data.deployment.warmup_bars
    run = data.run(data.bars(warm), WHOLE, warm, data.terms.costs)
    own = data.strategy.own
    return run, params_record(own.family, dict(data.strategy.params), 900), data


@pytest.mark.parametrize(("own", "others"), RULES)
def test_paper_is_the_replay_the_single_steps_and_the_sweep(desk: Any, own: Any, others: Any) -> None:
    trading = lived(desk, others, own)
    run, params, data = judged(trading)
    replayed = replay_under(run.bars, params, run.terms)
    rows = event_rows(Scale(data.deployment), replayed.events)
    shown = ["symbol", "leg", "side", "status", "bar_at", "qty", "price", "fee", "cash_change", "realized_pnl"]
    paper = trading.rows("autopilot_fills", BREAKOUT).sort("bar_at", "symbol", "fill_key").select(shown)
    expected = pl.DataFrame(rows["autopilot_fills"], infer_schema_length=None).sort("bar_at", "symbol", "fill_key")
    assert paper.height > 10
    assert paper.rows() == expected.select(shown).rows()
    equity = trading.rows("autopilot_equity", BREAKOUT).sort("tick_at")["equity"].to_list()[1:]
    assert equity == [from_atoms(int(value)) for value in replayed.equity_rows.equity]
    stepped = step_through(run.bars, params, run.terms)
    assert stepped.events.tobytes() == replayed.events.tobytes()
    assert stepped.equity_rows.tobytes() == replayed.equity_rows.tobytes()
    swept = sweep_under(run.bars, stack_params([params]), run.terms)
    assert swept.accounts[0].tobytes() == replayed.state.account[0].tobytes()
    assert swept.positions[0].tobytes() == replayed.state.positions.tobytes()


def test_codes_and_universes_are_those_that_paper_recorded(desk: Any) -> None:
    trading = lived(desk, RULES[-1].values[1], RULES[-1].values[0])
    run, _, data = judged(trading)
    start = run.terms.start
    with trading.ledger(BREAKOUT).reading():
        inputs = trading.ledger(BREAKOUT).inputs(WHOLE.start, WHOLE.end)
    symbols = list(run.bars.symbols)
    recorded = [TickInput.from_row(row) for row in inputs]
    codes = np.array([[tick.controls[symbol] for symbol in symbols] for tick in recorded])
    assert codes.tolist() == run.bars.matrices.control[start:].tolist()
    assert {RejectCode.NONE, RejectCode.GAP, RejectCode.SYMBOL_DENIED} <= set(codes.ravel().tolist())
    selected = [[symbol in tick.universe for symbol in symbols] for tick in recorded]
    assert selected == run.bars.matrices.in_universe[start:].astype(bool).tolist()
    assert data.entries.payload()["deny"] == [SOL]


@pytest.mark.parametrize(
    ("column", "value", "refused"),
    [
        pytest.param("delisted_at", day_start(DAYS[0]) + timedelta(hours=11, minutes=7), 96 * 2 - 44, id="delisted"),
        pytest.param("state", "deprecated", 96 * 2, id="deprecated"),
    ],
)
def test_what_its_source_lists_no_more_is_refused_from_the_same_tick_on(
    desk: Any, column: str, value: Any, refused: int
) -> None:
    """44 ticks close before 11:07."""
    trading = opened(desk, {}, {})
    with trading.store.write("market") as con:
        con.execute(f"UPDATE instruments SET {column} = ? WHERE symbol = ?", [value, ETH])
    for day in DAYS:
        trading.run(BREAKOUT, day)
    run, _, _ = judged(trading)
    with trading.ledger(BREAKOUT).reading():
        recorded = [TickInput.from_row(row) for row in trading.ledger(BREAKOUT).inputs(WHOLE.start, WHOLE.end)]
    paper = [[tick.controls[symbol] for symbol in run.bars.symbols] for tick in recorded]
    assert paper == run.bars.matrices.control[run.terms.start :].tolist()
    own = [codes[run.bars.symbols.index(ETH)] for codes in paper]
    assert sum(code != RejectCode.NONE for code in own) >= refused
    assert own[-1] == RejectCode.SYMBOL_DISABLED


def test_a_denied_symbol_is_another_contract_and_other_bars(desk: Any) -> None:
    trading = desk("asked")
    before, _, _ = judged(trading)
    trading.strategy(BREAKOUT, deny=[ETH])
    after, _, _ = judged(trading)
    assert before.contract.hash != after.contract.hash
    assert before.contract.bars_hash != after.contract.bars_hash
    assert after.contract.universe["deny"] == [ETH]


def test_a_universe_that_weighs_the_rows_own_outcomes_is_refused_by_name(desk: Any) -> None:
    trading = desk("asked", universe={"max_symbols": 2})
    refused = r"breakout_15m: its universe takes 2 of 3 symbols .* Set universe.weights.outcomes to 0"
    with pytest.raises(OwnOutcomesError, match=refused):
        judged(trading)
    trading.strategy(BREAKOUT, deny=[ETH])
    assert judged(trading)[0].bars.matrices.in_universe.any(), "two candidates are left, so candles alone decide"


def test_money_of_the_two_days_is_worth_comparing(desk: Any) -> None:
    trading = lived(desk, {}, {})
    run, params, _ = judged(trading)
    replayed = replay_under(run.bars, params, run.terms)
    kinds = {EventKind(int(event.kind)) for event in replayed.events}
    assert {EventKind.FILL, EventKind.FUNDING} <= kinds
    assert from_atoms(int(replayed.equity_rows.equity[-1])) != Decimal(10_000)
