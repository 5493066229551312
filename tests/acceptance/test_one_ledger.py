"""One ledger, whoever computes it: lived, backfilled, replayed and swept under lists, universe, masks and holes."""

import dataclasses
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import yaml
from markets import busy
from scenes import Scene, backfill, kernel_replay, scene

from openclaw_pipelines.domain.selection.windows import Window
from openclaw_pipelines.domain.trading import records
from openclaw_pipelines.kernel.base.money import from_atoms
from openclaw_pipelines.kernel.run.replay import replay_under
from openclaw_pipelines.kernel.run.stepping import step_through
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.sweep.sweep import sweep_under
from openclaw_pipelines.services.factory.market_data import MarketData

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]
FILLS = ["symbol", "leg", "side", "status", "bar_at", "qty", "price", "fee", "cash_change", "realized_pnl"]


def admit(subject: Scene, market: str) -> Scene:
    """Lists, universe and masks that refuse entries on top of the scene's configuration."""
    path = Path(subject.environ["OPENCLAW_CONFIG"])
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    # in the days of the halt only this leaves a symbol that rises, and spot cannot be sold short
    denied = config["market"]["symbols"][0 if market == "halt" else -1]
    config["universe"] = {"max_symbols": 2, "lookback_days": 2, "min_age_days": 0, "weights": {"outcomes": 0.0}}
    config["quality"] = {"gap_mask_bars": 0, "recent_bars": 12}
    for own in config["strategies"].values():
        own["deny"] = [denied]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return subject


@pytest.mark.parametrize(
    "market",
    [
        pytest.param("simulated", id="embedded market"),
        pytest.param("halt", id="binance spot with the halt of 24 March 2023", marks=pytest.mark.shared_data),
        pytest.param("perps", id="binance perpetuals, 16 May 2025", marks=pytest.mark.shared_data),
    ],
)
def test_lived_backfilled_replayed_and_swept(market: str, make_scene: Callable[[str, str, int], Scene]) -> None:
    lived, backfilled = (admit(make_scene(market, name, 1), market) for name in ("lived", "backfilled"))
    lived.tick_through()
    backfill(backfilled)
    assert lived.hashes() == backfilled.hashes()
    assert sum(lived.rows(strategy, "autopilot_fills").height for strategy in lived.strategies) > 0
    for strategy in lived.strategies:
        recorded = kernel_replay(lived, strategy)["autopilot_fills"]
        assert recorded.equals(lived.rows(strategy, "autopilot_fills")), strategy
        _as_a_cycle_trades(lived, strategy)


def _as_a_cycle_trades(subject: Scene, strategy: str) -> None:
    """The factory's run over the same days: replay, single steps and sweep give what paper recorded."""
    world = subject.world()
    own = world.settings().strategy(strategy)
    whole = Window(subject.begin, subject.end)
    data = MarketData(world, own, whole, "strict")
    warm = data.deployment.warmup_bars
    run = data.run(data.bars(warm), whole, warm, data.terms.costs)
    assert run.bars.matrices.control.any(), "nothing is refused"
    assert not run.bars.matrices.in_universe.all(), "every symbol is selected"
    params = params_record(own.own.family, dict(own.params), data.deployment.interval_seconds)
    replayed = replay_under(run.bars, params, run.terms)
    rows = records.event_rows(records.Scale(data.deployment), replayed.events)["autopilot_fills"]
    paper = subject.rows(strategy, "autopilot_fills").sort("bar_at", "symbol", "fill_key").select(FILLS)
    expected = pl.DataFrame(rows, schema=paper.schema | {"fill_key": pl.String}, orient="row")
    assert paper.rows() == expected.sort("bar_at", "symbol", "fill_key").select(FILLS).rows()
    equity = subject.rows(strategy, "autopilot_equity").sort("tick_at")["equity"].to_list()[1:]
    assert equity == [from_atoms(int(value)) for value in replayed.equity_rows.equity]
    stepped = step_through(run.bars, params, run.terms)
    assert stepped.events.tobytes() == replayed.events.tobytes()
    swept = sweep_under(run.bars, stack_params([params]), run.terms)
    assert swept.accounts[0].tobytes() == replayed.state.account[0].tobytes()
    assert swept.positions[0].tobytes() == replayed.state.positions.tobytes()


@pytest.mark.shared_data
def test_the_next_day_on_another_venues_files_is_refused_by_name(tmp_path: Path, shared_data: Path) -> None:
    start = date(2025, 5, 10)
    market = {"source": "archive", "symbols": ["BTC/USDT", "ETH/USDT"], "intervals": ["5m"], "first_day": "2025-04-25"}
    environ = {"OPENCLAW_ARCHIVE_DIR": str(shared_data / "bybit_spot")}
    subject = scene(tmp_path, "venue", busy(market, start), environ, start, 1)
    subject.tick_through()
    before = subject.hashes()
    moved = dataclasses.replace(
        subject,
        environ={**subject.environ, "OPENCLAW_ARCHIVE_DIR": str(shared_data / "binance_spot")},
        start=date(2025, 5, 11),
    )
    assert moved.ticker().wait() != 0 or "DeploymentChangedError" in (subject.folder / "ticker.log").read_text()
    log = " ".join((subject.folder / "ticker.log").read_text().split())
    assert "on archive:bybit_spot; the configuration now describes" in log
    assert "on archive:binance_spot" in log
    assert subject.hashes() == before
