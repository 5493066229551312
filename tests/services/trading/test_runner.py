"""A strategy walked through its ticks: however a day is lived, the ledger holds the same rows, once."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.domain.governance.audit import verify_chain
from openclaw_pipelines.domain.trading.inputs import TickInput
from openclaw_pipelines.domain.trading.records import Scale, event_rows
from openclaw_pipelines.kernel.account import govern, valuation
from openclaw_pipelines.kernel.base.state_bytes import state_hash
from openclaw_pipelines.kernel.run import step
from openclaw_pipelines.kernel.run.replay import tick_buffers
from openclaw_pipelines.resources.store.comparison import HASHED_TABLES, ledger_hash
from openclaw_pipelines.resources.store.store import insert
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.errors import (
    CapitalChangedError,
    DeploymentChangedError,
    FeaturesNotReadyError,
    HoleError,
    MarketNotReadyError,
    WarmUpError,
)
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.services.trading.verification import verify_day

BREAKOUT, MOMENTUM = "breakout_15m", "momentum_1h"
DAY_ONE, DAY_TWO, DAY_THREE = "2025-05-10", "2025-05-11", "2025-05-12"
NOON = day_start(DAY_ONE) + timedelta(hours=12)
BOTH = pytest.mark.parametrize("strategy", [BREAKOUT, MOMENTUM])


def same_rows(one: Any, other: Any, strategy: str) -> None:
    for table in HASHED_TABLES:
        left, right = one.rows(table, strategy), other.rows(table, strategy)
        assert left.equals(right), table
    assert one.hash(strategy) == other.hash(strategy)


# ---- lived, backfilled, replayed


def test_the_day_is_worth_comparing(desk: Any) -> None:
    """Both strategies trade, are stopped out, are refused and are charged funding, on a day with holes."""
    trading = desk("recorded")
    for strategy in (BREAKOUT, MOMENTUM):
        legs = trading.rows("autopilot_fills", strategy)["leg"].to_list()
        assert {"entry", "exit", "stop"} <= set(legs)
        assert "rejected" in trading.rows("autopilot_decisions", strategy)["status"].to_list()
        assert trading.rows("autopilot_funding_payments", strategy).height > 0


@BOTH
def test_the_first_hours_lived_tick_by_tick(desk: Any, strategy: str) -> None:
    backfilled, lived = desk("recorded"), desk("history")
    ticks = lived.ticks(strategy)[:7]
    assert [report.taken for report in lived.live(strategy, ticks)] == [1] * 7
    until = (day_start(DAY_ONE) - timedelta(hours=1), ticks[-1])
    hashes = [ledger_hash(trading.store, "paper", strategy, *until) for trading in (backfilled, lived)]
    assert hashes[0] == hashes[1]


@pytest.mark.slow
@BOTH
def test_a_whole_day_lived_tick_by_tick(desk: Any, strategy: str) -> None:
    backfilled, lived = desk("recorded"), desk("history")
    lived.live(strategy, lived.ticks(strategy))
    same_rows(lived, backfilled, strategy)


@settings(max_examples=2, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 23), min_size=1, max_size=3, unique=True))
def test_a_day_cut_anywhere_is_the_same_day(desk: Any, cuts: list[int]) -> None:
    whole, cut = desk("recorded"), desk("asked")
    ticks = cut.ticks(MOMENTUM)
    for n in sorted(cuts):
        cut.run(MOMENTUM, DAY_ONE, ticks[n - 1])
    assert cut.run(MOMENTUM).taken == 24 - max(cuts)
    same_rows(cut, whole, MOMENTUM)


def test_the_fast_strategy_cut_at_every_point_of_an_hour(desk: Any) -> None:
    whole, cut = desk("recorded"), desk("asked")
    for n in (6, 50):
        cut.run(BREAKOUT, DAY_ONE, cut.ticks(BREAKOUT)[n - 1])
    cut.run(BREAKOUT)
    same_rows(cut, whole, BREAKOUT)


@BOTH
def test_recorded_ticks_replay_equal(desk: Any, strategy: str) -> None:
    trading = desk("recorded")
    result = verify_day(trading.ledger(strategy), DAY_ONE)
    assert (result.ticks, result.differences) == (96 if strategy == BREAKOUT else 24, ())
    for table, compared in result.compared.items():
        own = trading.rows(table, strategy)
        assert compared == own.height, table  # the inception too


@BOTH
def test_the_bare_kernel_over_recorded_inputs_gives_the_recorded_rows(desk: Any, strategy: str) -> None:
    """`kernel.run.step` in a loop; no governor, no executor, no ledger code but the conversion of events to rows."""
    trading = desk("recorded")
    ledger = trading.ledger(strategy)
    session = ledger.session_at(day_start(DAY_ONE))
    deployment, policy = session.deployment, session.policy
    scale, state = Scale(deployment), session.state
    context, limits = deployment.context(policy), deployment.limits(policy)
    fills, equity, hashes = [], [], []
    for row in ledger.inputs(day_start(DAY_ONE), day_start(DAY_TWO)):
        tick_input = TickInput.from_row(row)
        events, proposals, _ = tick_buffers(len(deployment.symbols))
        tick = tick_input.kernel_tick(deployment.symbols)
        account = deployment.account_limits(policy, tick_input.halt)
        _, n_events = step.step(state, tick, limits, account, context, events, proposals, 0)
        fills += [fill["fill_key"] for fill in event_rows(scale, events[:n_events])["autopilot_fills"]]
        equity.append(int(valuation.mark(state, context).equity))
        hashes.append(state_hash(state))
    ticks = trading.rows("autopilot_ticks", strategy).sort("tick_at")
    assert hashes == ticks["state_hash"].to_list()[1:]
    assert sorted(fills) == sorted(trading.rows("autopilot_fills", strategy)["fill_key"])
    recorded = trading.rows("autopilot_equity", strategy).sort("tick_at")["equity"].to_list()[1:]
    assert equity == [int(value * 10**8) for value in recorded]


def test_holes_in_the_day_are_walked_alike(desk: Any) -> None:
    """Bars that the source does not have are missing at their tick, whoever walks; nothing fills in them."""
    whole, cut = desk("asked"), desk("asked")
    hole = [day_start(DAY_ONE) + timedelta(hours=n) for n in (6, 7, 8, 15)]
    for trading in (whole, cut):
        with trading.store.write("market") as con:
            con.execute("DELETE FROM candles WHERE symbol = 'BTC/USDT:USDT' AND list_contains(?, ts)", [hole])
    whole.run(MOMENTUM)
    for tick in (7, 8, 16):
        cut.run(MOMENTUM, DAY_ONE, cut.ticks(MOMENTUM)[tick - 1])
    cut.run(MOMENTUM)
    same_rows(cut, whole, MOMENTUM)
    assert whole.hash(MOMENTUM) != desk("recorded").hash(MOMENTUM)
    inputs = {row["tick_at"]: json.loads(row["bars"]) for row in whole.rows("tick_inputs", MOMENTUM)[1:].to_dicts()}
    closes = {opened + timedelta(hours=1) for opened in hole}
    assert {at for at, bars in inputs.items() if bars.get("BTC/USDT:USDT", [0] * 5)[4] == 0} == closes
    bitcoin = pl.col("symbol") == "BTC/USDT:USDT"
    assert whole.rows("autopilot_decisions", MOMENTUM).filter(bitcoin & pl.col("tick_at").is_in(closes)).is_empty()
    filled = whole.rows("autopilot_fills", MOMENTUM).filter(bitcoin & (pl.col("qty") > 0))
    assert not set(filled["bar_at"]) & set(hole)
    assert verify_day(whole.ledger(MOMENTUM), DAY_ONE).passed


# ---- a changed bar is caught


def test_a_candle_changed_before_its_tick_changes_the_day(desk: Any) -> None:
    trading = desk("asked")
    with trading.store.write("market") as con:
        con.execute(
            "UPDATE candles SET close = close + 10, high = high + 10 WHERE symbol = 'BTC/USDT:USDT' AND ts = ?",
            [NOON],
        )
    trading.run(MOMENTUM)
    assert trading.hash(MOMENTUM) != desk("recorded").hash(MOMENTUM)


def test_a_candle_changed_after_its_tick_changes_nothing(desk: Any) -> None:
    trading = desk("recorded")
    before = trading.hash(MOMENTUM)
    with trading.store.write("market") as con:
        con.execute("UPDATE candles SET close = close * 2, high = high * 2")
    assert trading.run(MOMENTUM).taken == 0
    assert trading.hash(MOMENTUM) == before
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


# ---- exactly once


@BOTH
def test_a_second_run_writes_nothing(desk: Any, strategy: str) -> None:
    trading = desk("recorded")
    before = trading.counts()
    report = trading.run(strategy)
    assert (report.taken, report.rows) == (0, {})
    assert trading.counts() == before


def test_a_hole_before_the_first_day(desk: Any) -> None:
    trading = desk("asked")
    with pytest.raises(HoleError, match="the day 2025-05-10 is not recorded, so 2025-05-11 cannot follow"):
        trading.run(MOMENTUM, DAY_TWO)
    assert trading.counts()["autopilot_ticks"] == 0


def test_a_hole_inside_a_day_names_the_tick(desk: Any) -> None:
    trading = desk("asked")
    trading.run(MOMENTUM, DAY_ONE, NOON)
    with pytest.raises(HoleError, match="the tick of 2025-05-10T13:00:00") as error:
        trading.run(MOMENTUM, DAY_TWO)
    assert error.value.first == DAY_ONE


def test_without_a_hole_the_next_day_follows(desk: Any) -> None:
    trading = desk("recorded")
    assert trading.run(MOMENTUM, DAY_TWO).taken == 24
    assert verify_day(trading.ledger(MOMENTUM), DAY_TWO).passed
    assert verify_chain(trading.store.table("admin_actions").filter(strategy_config_id=MOMENTUM).to_dicts()) > 0


def test_a_day_before_inception_has_nothing_to_take(desk: Any) -> None:
    trading = desk("asked")
    assert trading.run(MOMENTUM, "2025-05-09").taken == 0


def test_changed_parameters_are_another_deployment(desk: Any) -> None:
    trading = desk("recorded")
    trading.strategy(MOMENTUM, params={"momentum_lookback": 5})
    with pytest.raises(DeploymentChangedError, match="momentum_1h recorded ticks until 2025-05-11T00:00:00"):
        trading.run(MOMENTUM, DAY_TWO)
    assert trading.run(MOMENTUM, DAY_ONE).taken == 0
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


def test_an_inception_cannot_share_the_last_tick_of_the_deployment_before(desk: Any) -> None:
    trading = desk("recorded")
    trading.strategy(MOMENTUM, params={"momentum_lookback": 5}, start_day=DAY_TWO)
    before = trading.counts()
    with pytest.raises(DeploymentChangedError):
        trading.run(MOMENTUM, DAY_TWO)
    assert trading.counts() == before


def test_a_later_start_day_begins_a_new_deployment_flat(desk: Any) -> None:
    trading = desk("asked")
    trading.run(MOMENTUM, DAY_ONE, NOON)
    held = trading.rows("autopilot_positions", MOMENTUM).filter(tick_at=NOON).height
    trading.strategy(MOMENTUM, params={"momentum_lookback": 5}, start_day=DAY_TWO)
    assert trading.run(MOMENTUM, DAY_ONE).taken == 0
    assert trading.run(MOMENTUM, DAY_TWO).taken == 24
    equity = trading.rows("autopilot_equity", MOMENTUM).filter(tick_at=day_start(DAY_TWO)).row(0, named=True)
    assert held > 0
    assert (equity["cash"], equity["open_positions"]) == (10_000, 0)
    assert trading.rows("autopilot_ticks", MOMENTUM)["deployment_id"].n_unique() == 2
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed
    assert verify_day(trading.ledger(MOMENTUM), DAY_TWO).passed
    assert verify_chain(trading.store.table("admin_actions").to_dicts()) > 0


def test_another_capital_is_refused_by_name_until_it_is_set_back(desk: Any) -> None:
    """What the sub-account started with is recorded; the fingerprint does not cover it."""
    trading = desk("recorded")
    trading.strategy(MOMENTUM, capital=20_000)
    before = trading.counts()
    with pytest.raises(CapitalChangedError) as refused:
        trading.run(MOMENTUM, DAY_TWO)
    assert str(refused.value) == (
        "momentum_1h runs since 2025-05-10 with a capital of 10000; the configuration now says 20000. Set capital back "
        "to 10000, or start a new deployment with a start_day after 2025-05-11T00:00:00+00:00."
    )
    trading.clock.set(day_start(DAY_TWO) + timedelta(hours=1))
    with pytest.raises(CapitalChangedError):
        Runner.of(trading.world).run_day(MOMENTUM, DAY_TWO, live=True)
    assert trading.counts() == before
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed
    trading.strategy(MOMENTUM, capital="10000.00")
    assert trading.run(MOMENTUM, DAY_TWO).taken == 24


def test_a_later_start_day_begins_with_the_other_capital(desk: Any) -> None:
    trading = desk("asked")
    trading.run(MOMENTUM, DAY_ONE, NOON)
    trading.strategy(MOMENTUM, capital=20_000, start_day=DAY_TWO)
    assert trading.run(MOMENTUM, DAY_TWO).taken == 24
    equity = trading.rows("autopilot_equity", MOMENTUM).filter(tick_at=day_start(DAY_TWO)).row(0, named=True)
    assert (equity["cash"], equity["equity"]) == (20_000, 20_000)


# ---- the market is not there


def test_candles_never_asked_for(desk: Any) -> None:
    trading = desk("history")
    with pytest.raises(MarketNotReadyError, match="Materialize `candles` for 2025-05-10"):
        trading.run(MOMENTUM)
    assert trading.counts()["autopilot_ticks"] == 0


def test_funding_never_asked_for(desk: Any) -> None:
    trading = desk("asked")
    with trading.store.write("market") as con:
        con.execute("DELETE FROM funding_coverage WHERE day = '2025-05-10' AND symbol = 'ETH/USDT:USDT'")
    with pytest.raises(MarketNotReadyError, match=r"ETH/USDT:USDT .* Materialize `funding_rates` for 2025-05-10"):
        trading.run(MOMENTUM)
    assert trading.counts()["autopilot_ticks"] == 0
    trading.configure(costs={"funding": False})
    assert trading.run(MOMENTUM).taken == 24


def test_features_never_computed(desk: Any) -> None:
    trading = desk("asked")
    with trading.store.write("market") as con:
        con.execute("DELETE FROM features")
    with pytest.raises(FeaturesNotReadyError, match="Materialize `features` for 2025-05-09"):
        trading.run(MOMENTUM)


def test_no_history_to_warm_on(desk: Any) -> None:
    trading = desk("asked")
    with trading.store.write("market") as con:
        con.execute("DELETE FROM candle_coverage WHERE day < '2025-05-10'")
    with pytest.raises(WarmUpError, match="2025-05-08"):
        trading.run(MOMENTUM)
    assert trading.counts()["autopilot_ticks"] == 0


@pytest.mark.parametrize("asset", ["candle_coverage", "funding_coverage"])
def test_a_warm_up_without_one_day_of_one_kind_is_refused(desk: Any, asset: str) -> None:
    """A kill between candles and funding of a day left bars without funding in the warm-up, for good."""
    trading = desk("asked")
    with trading.store.write("market") as con:
        con.execute(f"DELETE FROM {asset} WHERE day = '2025-05-08' AND symbol = 'ETH/USDT:USDT'")
    kind = {"candle_coverage": "candles", "funding_coverage": "funding_rates"}[asset]
    with pytest.raises(WarmUpError, match=rf"`{kind}` of 2025-05-08 were not asked for"):
        trading.run(MOMENTUM)
    assert trading.counts()["autopilot_ticks"] == 0
    trading.ask("2025-05-08")
    assert trading.run(MOMENTUM).taken == 24


def test_a_universe_on_features_of_only_some_bars_is_refused_and_waited_for(desk: Any) -> None:
    trading = desk("recorded")
    last = "ts = '2025-05-10 23:00:00+00' AND symbol = 'SOL/USDT'"
    with trading.store.write("market") as con:
        con.execute(f"DELETE FROM features WHERE {last}")
    with pytest.raises(FeaturesNotReadyError, match="Materialize `features` for 2025-05-10"):
        trading.run(MOMENTUM, "2025-05-11")
    (report,) = trading.live(MOMENTUM, [trading.ticks(MOMENTUM, "2025-05-11")[0]])
    assert (report.taken, report.waiting_for) == (0, "features of 2025-05-10")


def test_a_universe_over_candles_that_nobody_asked_for_is_refused(desk: Any) -> None:
    trading = desk("recorded")
    with trading.store.write("market") as con:
        con.execute("DELETE FROM candle_coverage WHERE day = '2025-05-10' AND symbol = 'SOL/USDT'")
    with pytest.raises(MarketNotReadyError, match=r"SOL/USDT .* Materialize `candles` for 2025-05-10"):
        trading.run(MOMENTUM, "2025-05-11")


# ---- live


def test_a_late_bar_is_waited_for_and_then_missing_forever(desk: Any) -> None:
    trading = desk("history")
    first, second = trading.ticks(MOMENTUM)[:2]
    trading.live(MOMENTUM, [first])
    trading.clock.set(second + timedelta(seconds=30))
    waiting = Runner.of(trading.world).run_day(MOMENTUM, DAY_ONE, live=True)
    assert (waiting.taken, waiting.waiting_for) == (0, f"BTC/USDT:USDT bar of the tick at {second.isoformat()}")
    trading.clock.set(second + timedelta(seconds=60))
    assert Runner.of(trading.world).run_day(MOMENTUM, DAY_ONE, live=True).taken == 1
    recorded = trading.rows("tick_inputs", MOMENTUM).filter(tick_at=second)["bars"][0]
    assert recorded == "{}"
    trading.ask(DAY_ONE, second + timedelta(minutes=5))
    assert Runner.of(trading.world).run_day(MOMENTUM, DAY_ONE, live=True).taken == 0
    assert trading.rows("tick_inputs", MOMENTUM).filter(tick_at=second)["bars"][0] == recorded
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


def test_funding_is_waited_for_as_a_bar_is(desk: Any) -> None:
    """Of the first bar, in which the rate of 00:00 falls due, only the candles have come."""
    trading = desk("history")
    first, second = trading.ticks(BREAKOUT)[:2]
    trading.clock.set(first)
    Ingest.of(trading.world).candles_since(DAY_ONE, first)
    waiting = Runner.of(trading.world).run_day(BREAKOUT, DAY_ONE, live=True)
    assert (waiting.taken, waiting.waiting_for) == (0, f"BTC/USDT:USDT funding of the tick at {first.isoformat()}")
    assert [report.taken for report in trading.live(BREAKOUT, [first, second])] == [1, 1]
    charged = json.loads(trading.rows("tick_inputs", BREAKOUT).filter(tick_at=first)["bars"][0])
    rates = {symbol: bar[5] for symbol, bar in charged.items()}
    assert rates["BTC/USDT:USDT"] != 0
    assert rates["SOL/USDT"] == 0
    third = trading.ticks(BREAKOUT)[4]  # the bar from 01:00 on
    trading.live(BREAKOUT, trading.ticks(BREAKOUT)[2:4])
    Ingest.of(trading.world).candles_since(DAY_ONE, third)
    trading.clock.set(third + timedelta(seconds=59))
    assert Runner.of(trading.world).run_day(BREAKOUT, DAY_ONE, live=True).taken == 0
    trading.clock.set(third + timedelta(seconds=60))
    assert Runner.of(trading.world).run_day(BREAKOUT, DAY_ONE, live=True).taken == 1


def test_ticks_too_old_settle_without_entries(desk: Any) -> None:
    trading = desk("asked", strategies={MOMENTUM: {"max_catch_up_ticks": 10}})
    trading.clock.set(day_start(DAY_TWO))
    report = Runner.of(trading.world).run_day(MOMENTUM, DAY_ONE, live=True)
    assert (report.taken, report.settled_only) == (24, 13)
    ticks = trading.rows("autopilot_ticks", MOMENTUM).sort("tick_at")[1:]
    old, acted_on = ticks[:13], ticks[13:]
    assert set(old["status"]) == {"settled_only"}
    assert set(old["reason"]) == {"more than max_catch_up_ticks 10 behind: settled without entries"}
    assert set(acted_on["status"]) == {"done"}
    decisions = trading.rows("autopilot_decisions", MOMENTUM).filter(pl.col("tick_at") <= old["tick_at"].max())
    entries = decisions.filter(pl.col("action") == "enter")
    assert entries.height > 0
    assert set(entries["status"]) == {"rejected"}
    assert "STALE_CANDLES" in entries["reason_code"].to_list()
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


# ---- the universe


def test_the_universe_stands_for_its_day(desk: Any) -> None:
    trading = desk("asked")
    trading.run(MOMENTUM, DAY_ONE, NOON)
    trading.configure(universe={"max_symbols": 1})
    trading.run(MOMENTUM)
    trading.run(MOMENTUM, DAY_TWO)
    snapshots = trading.store.table("autopilot_universe_snapshots").sort("as_of")
    assert [len(json.loads(selected)) for selected in snapshots["selected"]] == [3, 1]
    masks = trading.rows("tick_inputs", MOMENTUM).sort("tick_at")["masks"][1:]
    assert [len(json.loads(mask)["universe"]) for mask in masks] == [3] * 24 + [1] * 24


def test_the_universe_reads_nothing_after_its_time(desk: Any) -> None:
    """Built when the day has just begun, or long after: candles, features and outcomes from then on do not matter."""
    early, late = desk("recorded"), desk("recorded")
    with early.store.write("market") as con:
        for table in ("candles", "features", "funding_rates"):
            con.execute(f"DELETE FROM {table} WHERE ts > ?", [day_start(DAY_TWO)])
    early.run(MOMENTUM, DAY_TWO, day_start(DAY_TWO) + timedelta(hours=1))
    late.run(MOMENTUM, DAY_TWO)
    one, other = (d.ledger(MOMENTUM).universe(DAY_TWO) for d in (early, late))
    unequal = {name for name in one if one[name] != other[name]} - {"recorded_at"}
    assert unequal == set()


def test_the_universe_reads_what_came_before(desk: Any) -> None:
    """The twin: a close before the time changes the measures."""
    one, other = desk("recorded"), desk("recorded")
    with other.store.write("market") as con:
        con.execute("UPDATE candles SET volume = volume * 3 WHERE ts = ? AND symbol = 'SOL/USDT'", [NOON])
    for trading in (one, other):
        trading.run(MOMENTUM, DAY_TWO, day_start(DAY_TWO) + timedelta(hours=1))
    assert (
        one.ledger(MOMENTUM).universe(DAY_TWO)["candidates"] != other.ledger(MOMENTUM).universe(DAY_TWO)["candidates"]
    )


# ---- limits and controls


def test_changed_limits_count_from_the_next_tick(desk: Any) -> None:
    trading = desk("asked")
    trading.run(MOMENTUM, DAY_ONE, NOON)
    trading.strategy(MOMENTUM, risk={"max_order_notional": 1})
    trading.run(MOMENTUM)
    decisions = trading.rows("autopilot_decisions", MOMENTUM).filter(pl.col("action") == "enter").sort("tick_at")
    earlier, later = decisions.filter(pl.col("tick_at") <= NOON), decisions.filter(pl.col("tick_at") > NOON)
    assert "approved" in earlier["status"].to_list()
    assert set(later["reason_code"]) == {"MAX_ORDER_NOTIONAL"}
    assert trading.store.table("tick_contexts").height == 2
    assert trading.store.table("policy_versions")["first_tick_at"].sort().to_list() == [
        day_start(DAY_ONE),
        NOON + timedelta(hours=1),
    ]
    assert trading.rows("tick_inputs", MOMENTUM)["config_fingerprint"].n_unique() == 2
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


def by_configuration(trading: Any, environ: dict[str, str]) -> None:
    trading.configure(kill_switch="halt_all")


def by_overlay(trading: Any, environ: dict[str, str]) -> None:
    (Path(trading.tree["data_dir"]) / "overlay.yaml").write_text("kill_switch: halt_all\n")


def by_file(trading: Any, environ: dict[str, str]) -> None:
    (Path(trading.tree["data_dir"]) / "KILL_SWITCH").write_text("halt_all")


def by_doubtful_file(trading: Any, environ: dict[str, str]) -> None:
    (Path(trading.tree["data_dir"]) / "KILL_SWITCH").write_text("what?")


@pytest.mark.parametrize("how", [by_overlay, by_doubtful_file])
def test_each_kill_switch_stops_the_next_tick(desk: Any, how: Any) -> None:
    trading = desk("asked")
    trading.run(MOMENTUM, DAY_ONE, NOON)
    how(trading, {})
    trading.run(MOMENTUM)
    ticks = trading.rows("autopilot_ticks", MOMENTUM).sort("tick_at")
    assert set(ticks.filter(pl.col("tick_at") <= NOON)["kill_switch"]) == {"off"}
    assert set(ticks.filter(pl.col("tick_at") > NOON)["kill_switch"]) == {"halt_all"}
    later = trading.rows("autopilot_decisions", MOMENTUM).filter(pl.col("tick_at") > NOON)
    assert later.height > 0
    assert set(later.filter(pl.col("action") != "hold")["status"]) == {"rejected"}


def test_the_environment_is_a_kill_switch(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trading = desk("asked")
    monkeypatch.setenv("OPENCLAW_KILL_SWITCH", "close_only")
    trading.run(MOMENTUM, DAY_ONE, NOON)
    assert set(trading.rows("autopilot_ticks", MOMENTUM)["kill_switch"][1:]) == {"close_only"}
    entries = trading.rows("autopilot_decisions", MOMENTUM).filter(pl.col("action") == "enter")
    assert entries.height > 0
    assert "approved" not in entries["status"].to_list()


@pytest.mark.parametrize("how", [by_configuration, by_file])
def test_a_switch_pulled_between_decision_and_order_counts(
    desk: Any, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trading, sent_at, order = desk("asked"), [], govern.order

    def pulled(state: Any, tick: Any, limits: Any, account_limits: Any, proposals: Any, n: int) -> None:
        """Pulls a kill switch while the first order is about to be made."""
        if not sent_at and (proposals.approved_qty > 0).any():
            sent_at.append(tick.at)
            how(trading, {})
        order(state, tick, limits, account_limits, proposals, n)

    monkeypatch.setattr(govern, "order", pulled)
    trading.run(MOMENTUM, DAY_ONE, NOON)
    at = datetime.fromtimestamp(sent_at[0], tz=day_start(DAY_ONE).tzinfo)
    tick = trading.rows("autopilot_ticks", MOMENTUM).filter(tick_at=at).row(0, named=True)
    assert tick["kill_switch"] == KillSwitch.HALT_ALL
    assert trading.rows("autopilot_orders", MOMENTUM).height == 0
    assert trading.rows("autopilot_decisions", MOMENTUM).filter(tick_at=at)["reason_code"].unique().to_list() == [
        "KILL_SWITCH"
    ]
    assert trading.rows("autopilot_fills", MOMENTUM).height == 0
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed


# ---- assist


def say(trading: Any, verdict: str, key: str) -> None:
    row = {
        "account_id": "paper",
        "strategy_config_id": MOMENTUM,
        "request_key": f"{key}:{verdict}",
        "decision_key": key,
        "verdict": verdict,
        "requested_at": trading.clock.now(),
        "recorded_at": trading.clock.now(),
        "run_fingerprint": "0" * 64,
    }
    with trading.store.write("ledger") as con:
        insert(con, "operator_requests", TABLES["operator_requests"].frame([row]))


def first_waiting(trading: Any) -> tuple[int, dict[str, Any]]:
    """Walk until a proposal waits; which tick, and its row."""
    for n, tick in enumerate(trading.ticks(MOMENTUM)):
        if n % 2:
            trading.run(MOMENTUM, DAY_ONE, tick)
            waiting = trading.ledger(MOMENTUM).session_at(tick).awaiting
            if waiting:
                row = (
                    trading.rows("autopilot_decisions", MOMENTUM)
                    .filter(decision_key=next(iter(waiting)))
                    .row(0, named=True)
                )
                return n, row
    raise AssertionError("nothing waited")


@pytest.mark.parametrize("verdict", ["approve", "decline"])
def test_an_answer_enters_the_next_tick_and_replays(desk: Any, verdict: str) -> None:
    trading = desk("asked", strategies={MOMENTUM: {"mode": "assist", "approval_ticks": 8}})
    n, waiting = first_waiting(trading)
    assert waiting["status"] == "awaiting_approval"
    say(trading, verdict, waiting["decision_key"])
    tick = trading.ticks(MOMENTUM)[n + 1]
    trading.run(MOMENTUM, DAY_ONE, tick)
    external = json.loads(trading.rows("tick_inputs", MOMENTUM).filter(tick_at=tick)["external"][0])
    assert [(item["verdict"], item["decision_key"]) for item in external if item["verdict"] != "expire"] == [
        (verdict, waiting["decision_key"])
    ]
    operator = trading.rows("autopilot_decisions", MOMENTUM).filter(planner="operator")
    assert operator.height == (verdict == "approve")
    if verdict == "approve":
        answer = operator.row(0, named=True)
        assert (answer["symbol"], answer["side"], answer["status"]) == (waiting["symbol"], waiting["side"], "approved")
    trading.run(MOMENTUM)
    assert trading.rows("autopilot_fills", MOMENTUM).height >= operator.height
    assert verify_day(trading.ledger(MOMENTUM), DAY_ONE).passed
    assert verify_chain(trading.store.table("admin_actions").to_dicts()) > 0


def test_what_waits_survives_a_restart(desk: Any) -> None:
    """Cut at every fourth tick or not at all, proposals expire at the same ticks."""
    assist = {MOMENTUM: {"mode": "assist"}}
    whole, cut = desk("asked", strategies=assist), desk("asked", strategies=assist)
    whole.run(MOMENTUM, DAY_ONE, NOON)
    for tick in whole.ticks(MOMENTUM)[1:12:3]:
        cut.run(MOMENTUM, DAY_ONE, tick)
    cut.run(MOMENTUM, DAY_ONE, NOON)
    same_rows(cut, whole, MOMENTUM)
    moved = cut.store.table("admin_actions")
    assert "expired" in moved["to_state"].to_list()
    assert cut.rows("autopilot_orders", MOMENTUM).height == 0
    drop = ["recorded_at", "run_fingerprint"]
    assert moved.drop(drop).equals(whole.store.table("admin_actions").drop(drop))


# ---- accounting


@BOTH
def test_the_account_adds_up_at_every_tick(desk: Any, strategy: str) -> None:
    trading = desk("recorded")
    assert trading.rows("reconcile_events", strategy)["passed"].all()
    fills = trading.rows("autopilot_fills", strategy)
    funding = trading.rows("autopilot_funding_payments", strategy)
    for row in trading.rows("autopilot_equity", strategy).iter_rows(named=True):
        until = pl.col("tick_at") <= row["tick_at"]
        moved = sum(fills.filter(until)["cash_change"].to_list()) + sum(funding.filter(until)["amount"].to_list())
        assert row["cash"] == 10_000 + moved
        assert row["equity"] == row["cash"] + row["position_value"]
