"""Both candle profiles, driven through the engines, on bars by hand.

The column `freqtrade` is what that project's own `Backtesting` gave for the same candles: release 2026.9, hourly bars,
price precision 1, fee 0, `stoploss`, `minimal_roi {"0": ...}` and `trailing_stop` (a trail alone) or
`trailing_stop_positive` (beside a stop), as fractions of 1,000. Where the trail is 55 or 45, its fraction was 5 % too:
that project's distance is a fraction of the extreme, there 1,100 or 900. The column `strict` was worked out by hand
from the rules in `fills`.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.contracts.enums import Action, ExitReason, Leg
from openclaw_pipelines.kernel.account.instruments import Instrument
from openclaw_pipelines.kernel.base.layout import (
    PROPOSAL,
    Context,
    EventKind,
    new_account_limits,
    new_limits,
    new_state,
    records,
)
from openclaw_pipelines.kernel.base.state_bytes import state_hash
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import PROFILES, Costs, instruments_with, replay
from openclaw_pipelines.kernel.run.simulate import simulate_signals
from openclaw_pipelines.kernel.run.ticks import TickInput, replay_ticks
from openclaw_pipelines.kernel.strategy.indicator_rows import new_indicators
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.sweep.result import Sweep
from openclaw_pipelines.kernel.sweep.sweep import sweep

FIRST = datetime(2025, 5, 10, tzinfo=UTC)
HOUR = 3_600
FLAT = (1_000, 1_000, 1_000, 1_000)
FREE = Costs(fee_bps=Decimal(0))
SAME = "as freqtrade"

# side, distances in price units, bars from the entry bar (bar 1) on, then the exit: bar, price, reason
RULES = [
    pytest.param(1, {"stop": 50}, [FLAT, (1_000, 1_010, 940, 960)],
                 (2, 950, "stop"), SAME,
                 id="stop at its price"),
    pytest.param(1, {"stop": 50}, [FLAT, (900, 960, 890, 930)],
                 (2, 950, "stop"), (2, 900, "stop"),
                 id="opens beyond the stop and comes back"),
    pytest.param(1, {"stop": 50}, [FLAT, (900, 940, 890, 930)],
                 (2, 900, "stop"), SAME,
                 id="whole bar beyond the stop"),
    pytest.param(-1, {"stop": 50}, [FLAT, (1_100, 1_110, 1_040, 1_050)],
                 (2, 1_050, "stop"), (2, 1_100, "stop"),
                 id="short opens beyond the stop and comes back"),
    pytest.param(-1, {"stop": 50}, [FLAT, (1_100, 1_110, 1_060, 1_070)],
                 (2, 1_100, "stop"), SAME,
                 id="short, whole bar beyond the stop"),
    pytest.param(1, {"stop": 50}, [FLAT, (1_000, 1_000, 950, 960)],
                 (2, 950, "stop"), SAME,
                 id="stop touched exactly"),
    pytest.param(1, {"stop": 50}, [(1_000, 1_010, 940, 960)],
                 (1, 950, "stop"), SAME,
                 id="stop in the entry bar"),
    pytest.param(1, {"stop": 50, "target": 50}, [FLAT, (1_000, 1_060, 940, 1_000)],
                 (2, 950, "stop"), SAME,
                 id="stop and target in one bar"),
    pytest.param(1, {"target": 50}, [FLAT, (1_000, 1_060, 990, 1_050)],
                 (2, 1_050, "target"), SAME,
                 id="target at its price"),
    pytest.param(1, {"target": 50}, [FLAT, (1_000, 1_050, 990, 1_000), FLAT],
                 None, (2, 1_050, "target"),
                 id="target touched exactly"),
    pytest.param(1, {"target": 50}, [FLAT, (1_080, 1_090, 1_040, 1_060)],
                 (2, 1_050, "target"), (2, 1_080, "target"),
                 id="opens beyond the target, low below it"),
    pytest.param(1, {"target": 50}, [FLAT, (1_080, 1_090, 1_060, 1_070)],
                 (2, 1_060, "target"), (2, 1_080, "target"),
                 id="whole bar beyond the target"),
    pytest.param(-1, {"target": 50}, [FLAT, (930, 960, 910, 940)],
                 (2, 950, "target"), (2, 930, "target"),
                 id="short opens beyond the target, high above it"),
    pytest.param(-1, {"target": 50}, [FLAT, (930, 940, 910, 920)],
                 (2, 940, "target"), (2, 930, "target"),
                 id="short, whole bar beyond the target"),
    pytest.param(1, {"target": 50}, [(1_000, 1_060, 980, 990)],
                 (1, 1_050, "target"), SAME,
                 id="target in the entry bar, which closes down"),
    pytest.param(1, {"trail": 50}, [(1_000, 1_000, 960, 970), (970, 975, 940, 950)],
                 (2, 950, "stop"), (2, 950, "trailing_stop"),
                 id="first trailing stop is the stop loss"),
    pytest.param(1, {"trail": 55}, [FLAT, (1_040, 1_100, 1_030, 1_040)],
                 (2, 1_045, "trailing_stop"), (3, 1_000, "trailing_stop"),
                 id="trailing raised and hit in one bar"),
    pytest.param(1, {"trail": 55}, [FLAT, (1_085, 1_100, 1_080, 1_090), (1_090, 1_095, 1_040, 1_050)],
                 (3, 1_045, "trailing_stop"), SAME,
                 id="trailing raised in one bar, hit in the next"),
    pytest.param(1, {"trail": 55}, [FLAT, (1_085, 1_100, 1_080, 1_090), (1_000, 1_060, 990, 1_010)],
                 (3, 1_045, "trailing_stop"), (3, 1_000, "trailing_stop"),
                 id="opens beyond the trailing stop, comes back"),
    pytest.param(1, {"trail": 55}, [FLAT, (1_085, 1_100, 1_080, 1_090), (1_000, 1_040, 990, 1_010)],
                 (3, 1_000, "trailing_stop"), SAME,
                 id="whole bar beyond the trailing stop"),
    pytest.param(1, {"trail": 50}, [(1_000, 1_100, 940, 1_040)],
                 (1, 950, "stop"), (1, 950, "trailing_stop"),
                 id="trailing stop in the entry bar"),
    pytest.param(1, {"trail": 50}, [(1_000, 1_100, 980, 1_040)],
                 (1, 980, "trailing_stop"), (2, 1_000, "trailing_stop"),
                 id="trailing in the entry bar, low above the worst"),
    pytest.param(-1, {"trail": 50}, [(1_000, 1_060, 900, 960)],
                 (1, 1_050, "stop"), (1, 1_050, "trailing_stop"),
                 id="short, trailing stop in the entry bar"),
    pytest.param(-1, {"trail": 45}, [FLAT, (1_000, 1_000, 900, 960)],
                 (2, 945, "trailing_stop"), (3, 1_000, "trailing_stop"),
                 id="short, trailing raised and hit in one bar"),
    pytest.param(1, {"target": 120, "trail": 50}, [FLAT, (1_085, 1_100, 1_080, 1_090), (1_090, 1_130, 1_040, 1_050)],
                 (3, 1_120, "target"), (3, 1_050, "trailing_stop"),
                 id="target wins over an earlier trailing stop"),
    pytest.param(1, {"target": 80, "trail": 50}, [FLAT, (1_000, 1_100, 990, 1_040)],
                 (2, 1_080, "target"), SAME,
                 id="target wins over a fresh trailing stop"),
    pytest.param(1, {"stop": 100, "trail": 50}, [(1_000, 1_000, 960, 970), (970, 990, 955, 960), (960, 965, 940, 950)],
                 None, (3, 950, "trailing_stop"),
                 id="stop, then trailing: no profit yet"),
    pytest.param(1, {"stop": 100, "trail": 50}, [(1_000, 1_000, 960, 970), (970, 1_010, 955, 960)],
                 (2, 960, "trailing_stop"), None,
                 id="stop, then trailing: armed by the first profit"),
    pytest.param(1, {"stop": 30, "trail": 50}, [FLAT, (1_000, 1_010, 990, 1_000), (1_000, 1_005, 940, 945)],
                 (3, 970, "stop"), SAME,
                 id="stop, then trailing: behind the stop it is the stop"),
    pytest.param(1, {"stop": 30, "trail": 50}, [FLAT, (1_000, 1_100, 940, 1_040)],
                 (2, 970, "stop"), SAME,
                 id="fixed stop wins over the trailing stop"),
    pytest.param(1, {"stop": 100, "trail": 50}, [(1_000, 1_100, 980, 1_040)],
                 (1, 980, "trailing_stop"), (2, 1_000, "trailing_stop"),
                 id="both in the entry bar"),
    pytest.param(1, {"stop": 100, "trail": 50}, [(1_000, 1_100, 920, 1_040)],
                 (1, 950, "trailing_stop"), SAME,
                 id="both in the entry bar, low beyond the worst"),
    pytest.param(-1, {"stop": 100, "trail": 50}, [(1_000, 1_080, 900, 960)],
                 (1, 1_050, "trailing_stop"), SAME,
                 id="short, both in the entry bar, high beyond the worst"),
    pytest.param(-1, {"stop": 100, "trail": 45}, [FLAT, (1_000, 1_000, 900, 910), (910, 950, 905, 940)],
                 (2, 945, "trailing_stop"), (3, 945, "trailing_stop"),
                 id="short with both, trailing raised and hit in one bar"),
    pytest.param(-1, {"target": 80, "trail": 50}, [FLAT, (1_000, 1_010, 900, 960)],
                 (2, 920, "target"), SAME,
                 id="short, target wins over the trailing stop"),
    pytest.param(1, {"stop": 50, "exits": [1]}, [FLAT, (900, 905, 880, 890)],
                 (2, 900, "signal"), SAME,
                 id="exit signal at the open, beyond the stop"),
    pytest.param(1, {"leverage": 10}, [FLAT, (1_000, 1_000, 880, 900)],
                 (2, 900, "liquidation"), SAME,
                 id="liquidation at its price"),
    pytest.param(1, {"leverage": 10}, [FLAT, (890, 895, 880, 885)],
                 (2, 890, "liquidation"), SAME,
                 id="liquidation, whole bar beyond it"),
    pytest.param(1, {"stop": 150, "leverage": 10}, [FLAT, (1_000, 1_000, 840, 900)],
                 (2, 850, "stop"), (2, 900, "liquidation"),
                 id="stop beyond the liquidation wins over it"),
    pytest.param(1, {"target": 50, "leverage": 10}, [FLAT, (1_000, 1_060, 880, 900)],
                 (2, 900, "liquidation"), SAME,
                 id="liquidation wins over the target"),
]  # fmt: skip


def bars_of(rows):
    """Hourly bars of one perpetual: unit 1, lot 1, up to tenfold leverage without maintenance margin."""
    columns = {name: [float(row[i]) for row in rows] for i, name in enumerate(("open", "high", "low", "close"))}
    stamps = [FIRST + timedelta(hours=hour) for hour in range(len(rows))]
    frame = pl.DataFrame({"ts": stamps, "symbol": "X/USDT:USDT", **columns, "volume": 1.0})
    spec = Instrument(symbol="X/USDT:USDT", price_unit=Decimal(1), lot=Decimal(1), max_leverage=10)
    return Bars.from_frame(frame, interval="1h", instruments=[spec])


def limits_of(given):
    limits = new_limits(1)
    limits.leverage_bps = 10_000 * given.get("leverage", 1)
    return limits


def simulated(bars, side, given, profile):
    """Exits by `simulate_signals`."""
    n = len(bars.times)
    entries, exits, shorts = np.zeros((3, n), np.bool_)
    (entries if side > 0 else shorts)[0] = True
    exits[given.get("exits", [])] = True
    fractions = {
        name: given[key] / 1_000
        for name, key in (("stop_loss", "stop"), ("take_profit", "target"), ("trailing_stop", "trail"))
        if key in given
    }
    result = simulate_signals(
        bars, entries, exits, short_entries=shorts, costs=FREE, qty=Decimal(1), profile=profile,
        limits=limits_of(given), **fractions,
    )  # fmt: skip
    return exits_of(result.events)


def stepped(bars, side, given, profile):
    """Exits by one-tick stepping, entry and exit proposed from outside to a strategy that is never ready."""
    params = stack_params([params_record("momentum", {}, HOUR)])
    context = Context(instruments_with(bars, FREE), params, HOUR, PROFILES.index(profile))
    distances = {f"{name}_distance": given.get(name, 0) for name in ("stop", "target", "trail")}
    leave = {"action": Action.EXIT, "side": -side, "reason": ExitReason.SIGNAL}
    asked = {0: {"action": Action.ENTER, "side": side, **distances}} | dict.fromkeys(given.get("exits", []), leave)
    inputs = []
    for row in range(len(bars.times)):
        external = records(PROPOSAL, int(row in asked))
        for name, value in asked.get(row, {}).items():
            external[name] = value
        external.qty, external.price, external.external = 1, bars.matrices.close[row, 0], 1
        inputs.append(TickInput(bars.tick(row), limits_of(given), new_account_limits(), external))
    state = new_state(new_indicators(1, params[0]), 10**12, int(bars.times[0]))
    return exits_of(np.concatenate([out.events for out in replay_ticks(state, inputs, context)]).view(np.recarray))


def exits_of(events):
    """Exit fills as (bar, price, reason)."""
    left = events[(events.kind == EventKind.FILL) & (events.leg != Leg.ENTRY)]
    first = int(FIRST.timestamp())
    return [((int(e.at) - first) // HOUR, int(e.price), ExitReason(int(e.reason)).name.lower()) for e in left]


ENGINES = [pytest.param(simulated, id="simulate"), pytest.param(stepped, id="stepping")]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("side", "given", "bars", "freqtrade", "strict"), RULES)
def test_exits(engine, side, given, bars, freqtrade, strict) -> None:
    whole = bars_of([FLAT, *bars, FLAT, FLAT])
    strict = freqtrade if strict == SAME else strict
    for profile, leaves in (("freqtrade", freqtrade), ("strict", strict)):
        assert engine(whole, side, given, profile) == ([] if leaves is None else [leaves]), profile


def test_the_table_tells_the_profiles_apart() -> None:
    """Each difference that the documentation names has a row; a profile that is ignored would fail all of these."""
    apart = [row for row in RULES if row.values[4] != SAME]
    assert (len(RULES), len(apart)) == (40, 20)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("profile", PROFILES)
def test_one_unit_of_a_bar_is_seen(engine, profile) -> None:
    """The twin: a low one unit above the stop exits nowhere."""
    touched, missed = (bars_of([FLAT, FLAT, (1_000, 1_000, low, 960), FLAT]) for low in (950, 951))
    assert engine(touched, 1, {"stop": 50}, profile) == [(2, 950, "stop")]
    assert engine(missed, 1, {"stop": 50}, profile) == []


# ---- a whole strategy: gaps, bars without volume, funding, shorts, fees and slippage

BREAKOUT = params_record(
    "breakout",
    {"channel_entry": 12, "channel_exit": 6, "allow_short": True, "stop_atr": 1.0, "target_atr": 2.5, "trail_atr": 1.3},
    HOUR,
)
COSTS = Costs(fee_bps=Decimal("4.5"), slippage_bps=Decimal(2))


@pytest.fixture(scope="module")
def market(walk):
    """600 bars of two perpetuals with holes of their own, 3 % of the bars without volume, funding every eight hours."""
    frame = walk(600, seed=3).with_columns(row=pl.int_range(pl.len()))
    funding = frame.filter(pl.col("ts").dt.hour() % 8 == 0).select("ts", "symbol", funding_rate=pl.lit(0.0003))
    holed = frame.filter(~pl.col("row").is_in([100, 101, 102, 333, 750, 751, 1_000]))
    return Bars.from_frame(holed.drop("row"), interval="1h", funding=funding)


@cache
def replayed(bars, profile):
    return replay(bars, BREAKOUT, COSTS, profile=profile)


def events_and_state(result):
    return result.events.tobytes(), state_hash(result.state)


def swept_bits(result):
    return Sweep.of_result(result, BREAKOUT, 10**12, result.contract).bits(0)


def by_stepping(bars, profile):
    params, n_symbols = stack_params([BREAKOUT]), len(bars.symbols)
    context = Context(instruments_with(bars, COSTS), params, HOUR, PROFILES.index(profile))
    account_limits = new_account_limits()
    account_limits.slippage_rate = 2_000_000
    state = new_state(new_indicators(n_symbols, params[0]), 10**12, int(bars.times[0]))
    inputs = (
        TickInput(bars.tick(row), new_limits(n_symbols), account_limits, records(PROPOSAL, 0))
        for row in range(len(bars.times))
    )
    outputs = list(replay_ticks(state, inputs, context))
    return b"".join(out.events.tobytes() for out in outputs), outputs[-1].state_hash


def by_sweep(bars, profile):
    other = params_record("breakout", {"channel_entry": 30}, HOUR)
    return sweep(bars, stack_params([other, BREAKOUT]), COSTS, profile=profile).bits(1)


DRIVERS = [
    pytest.param(by_stepping, events_and_state, id="stepping"),
    pytest.param(by_sweep, swept_bits, id="sweep"),
]
"""Functions from bars and profile to what the second function reads off a replay's result."""


@pytest.mark.parametrize(("driver", "seen_of"), DRIVERS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_driver_gives_the_bits_of_replay(market, driver, seen_of, profile) -> None:
    assert driver(market, profile) == seen_of(replayed(market, profile))


@pytest.mark.parametrize(("driver", "seen_of"), DRIVERS)
def test_the_other_profile_has_other_bits(market, driver, seen_of) -> None:
    """The twin: a driver that ignored the profile would pass one of the two and fail here."""
    assert driver(market, "strict") != seen_of(replayed(market, "freqtrade"))


@pytest.mark.parametrize("profile", PROFILES)
def test_the_strategy_meets_every_rule(market, profile) -> None:
    events = replayed(market, profile).events
    reasons = {ExitReason(int(e.reason)).name for e in events if e.kind == EventKind.FILL and e.leg != Leg.ENTRY}
    assert reasons >= {"STOP", "TARGET", "TRAILING_STOP"}
    assert {EventKind.FUNDING, EventKind.ENTRY_EXPIRED} <= {EventKind(int(kind)) for kind in events.kind}
    assert set(events[events.leg == Leg.ENTRY].side) == {1, -1}


def test_profiles_part_at_an_exit(market) -> None:
    strict, freqtrade = (replayed(market, profile).events for profile in ("strict", "freqtrade"))
    apart = next(i for i, (a, b) in enumerate(zip(strict, freqtrade, strict=False)) if a != b)
    assert apart > 0
    assert EventKind.FILL in {
        int(events[apart].kind) for events in (strict, freqtrade) if events[apart].leg != Leg.ENTRY
    }
