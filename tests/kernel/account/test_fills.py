"""Candle rules `strict`, each as a hand-worked table: one long or short of 100 lots entered at 1,000 (1,000 quote)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import ExitReason, RejectCode
from openclaw_pipelines.kernel.base.layout import EventKind

E8 = 10**8  # a lot moves the account by 0.01 quote per price unit: 10**6 atoms; 100 lots by E8
FLAT = (1_000, 1_000, 1_000, 1_000)
LONG_IN, SHORT_IN = ("ENTRY", 1, 100, 1_000, 0), ("ENTRY", -1, 100, 1_000, 0)

ENTRY_BAR = [
    pytest.param(1, {"stop_distance": 50}, (1_000, 1_010, 960, 1_000), [], id="long, stop not reached"),
    pytest.param(1, {"stop_distance": 50}, (1_000, 1_010, 950, 1_000), [("STOP", -1, 100, 950, -50 * E8)],
                 id="long, stop touched in the entry bar"),
    pytest.param(-1, {"stop_distance": 50}, (1_000, 1_050, 990, 1_000), [("STOP", 1, 100, 1_050, -50 * E8)],
                 id="short, stop touched in the entry bar"),
    pytest.param(1, {"target_distance": 30}, (1_000, 1_030, 990, 1_000), [("TARGET", -1, 100, 1_030, 30 * E8)],
                 id="long, target"),
    pytest.param(-1, {"target_distance": 30}, (1_000, 1_001, 970, 1_000), [("TARGET", 1, 100, 970, 30 * E8)],
                 id="short, target"),
    pytest.param(1, {"stop_distance": 50, "target_distance": 30}, (1_000, 1_040, 940, 1_000),
                 [("STOP", -1, 100, 950, -50 * E8)], id="stop and target in one bar: the stop wins"),
    pytest.param(1, {"trail_distance": 20}, (1_000, 1_060, 985, 1_000), [],
                 id="the trail is raised after it is checked"),
    pytest.param(1, {"stop_distance": 50, "trail_distance": 20}, (1_000, 1_000, 940, 1_000),
                 [("TRAILING_STOP", -1, 100, 980, -20 * E8)], id="long, trail nearer than stop"),
    pytest.param(-1, {"stop_distance": 20, "trail_distance": 50}, (1_000, 1_060, 1_000, 1_000),
                 [("STOP", 1, 100, 1_020, -20 * E8)], id="short, stop nearer than trail"),
    pytest.param(1, {"stop_distance": 2_000}, (1_000, 1_000, 1, 1_000), [], id="a stop below zero is none"),
]  # fmt: skip


@pytest.mark.parametrize(("side", "distances", "bar", "leaves"), ENTRY_BAR)
def test_entry_bar(world, told, side, distances, bar, leaves) -> None:
    account = world()
    account.ask({"side": side, **distances})
    entered = LONG_IN if side > 0 else SHORT_IN
    assert told(account.bar(bar)) == [entered, *leaves]


LATER_BAR = [
    pytest.param(1, {"stop_distance": 50}, (900, 940, 890, 930), [("STOP", -1, 100, 900, -100 * E8)],
                 id="long gaps through its stop: fills at the open"),
    pytest.param(-1, {"stop_distance": 50}, (1_200, 1_210, 1_100, 1_150), [("STOP", 1, 100, 1_200, -200 * E8)],
                 id="short gaps through its stop"),
    pytest.param(1, {"target_distance": 50}, (1_100, 1_120, 1_090, 1_110), [("TARGET", -1, 100, 1_100, 100 * E8)],
                 id="long gaps beyond its target"),
    pytest.param(-1, {"target_distance": 50}, (900, 910, 880, 890), [("TARGET", 1, 100, 900, 100 * E8)],
                 id="short gaps beyond its target"),
    pytest.param(1, {"stop_distance": 50}, (950, 960, 950, 955), [("STOP", -1, 100, 950, -50 * E8)],
                 id="opens exactly at the stop"),
]  # fmt: skip


@pytest.mark.parametrize(("side", "distances", "bar", "leaves"), LATER_BAR)
def test_later_bar(world, told, side, distances, bar, leaves) -> None:
    account = world()
    account.ask({"side": side, **distances})
    account.bar(FLAT)
    assert told(account.bar(bar)) == leaves


@pytest.mark.parametrize(("side", "second", "third", "stop"), [
    pytest.param(1, (1_010, 1_060, 1_005, 1_050), (1_050, 1_055, 1_040, 1_045), 1_040, id="long"),
    pytest.param(-1, (990, 995, 940, 950), (950, 960, 945, 955), 960, id="short"),
])  # fmt: skip
def test_trailing_stop_follows_the_extreme_of_earlier_bars(world, told, side, second, third, stop) -> None:
    account = world()
    account.ask({"side": side, "trail_distance": 20})
    account.bar(FLAT)
    assert account.bar(second) == []
    assert int(account.state.positions[0].trail_stop) == stop
    assert told(account.bar(third)) == [("TRAILING_STOP", -side, 100, stop, 40 * E8)]


@pytest.mark.parametrize("fields", [
    pytest.param({"bar_state": 0}, id="missing"),
    pytest.param({"bar_state": 2, "volume": 0.0}, id="no volume"),
])  # fmt: skip
class TestUnfillableBar:
    def test_entry_expires(self, world, told, fields) -> None:
        account = world()
        account.ask({"stop_distance": 50})
        assert told(account.bar(FLAT, **fields)) == [("ENTRY_EXPIRED", 1, 100, 0, 0)]
        assert account.bar(FLAT) == []
        assert int(account.state.positions[0].qty) == 0

    def test_exit_carries_on(self, world, told, fields) -> None:
        account = world()
        account.ask({})
        account.bar(FLAT)
        account.ask({"action": 2, "reason": ExitReason.SIGNAL})
        assert account.bar((700, 700, 700, 700), **fields) == []
        assert told(account.bar((990, 990, 990, 990))) == [("SIGNAL", -1, 100, 990, -10 * E8)]

    def test_stop_sleeps_and_the_position_is_stale_at_the_last_close(self, world, fields) -> None:
        account = world()
        account.ask({"stop_distance": 50})
        account.bar((1_000, 1_010, 990, 1_005))
        assert account.bar((900, 900, 900, 900), **fields) == []
        position = account.state.positions[0]
        assert (int(position.last_price), int(position.stale), int(position.bars_held)) == (1_005, 1, 2)
        assert account.mark().equity == 10**12 + 5 * E8


def test_exit_fills_at_the_open_before_the_stop_is_looked_at(world, told) -> None:
    account = world()
    account.ask({"stop_distance": 50})
    account.bar(FLAT)
    account.ask({"action": 2, "reason": ExitReason.SIGNAL})
    assert told(account.bar((940, 940, 900, 910))) == [("SIGNAL", -1, 100, 940, -60 * E8)]


@pytest.mark.parametrize(("side", "rate", "change"), [
    pytest.param(1, 1_000_000, -10_000_000, id="long pays a positive rate"),
    pytest.param(1, -1_000_000, 10_000_000, id="long receives a negative one"),
    pytest.param(-1, 1_000_000, 10_000_000, id="short receives a positive rate"),
    pytest.param(-1, -1_000_000, -10_000_000, id="short pays a negative one"),
])  # fmt: skip
def test_funding_at_the_open_on_the_position_held_before_fills(world, told, side, rate, change) -> None:
    """1 bp of 1,000 quote is 0.1 quote; the entry bar's own stamp is charged to nobody."""
    account = world()
    account.ask({"side": side})
    assert [line[0] for line in told(account.bar(FLAT, funding_rate=rate))] == ["ENTRY"]
    assert told(account.bar(FLAT, funding_rate=rate)) == [("FUNDING", side, 100, 1_000, change)]
    assert int(account.account.cash) - 10**12 == int(account.account.funding) == change


def test_funding_is_charged_before_the_exit_and_at_the_last_price_where_the_bar_is_missing(world, told) -> None:
    account = world()
    account.ask({})
    account.bar(FLAT)
    assert told(account.bar((0, 0, 0, 0), bar_state=0, funding_rate=10**6)) == [("FUNDING", 1, 100, 1_000, -(10**7))]
    account.ask({"action": 2, "reason": ExitReason.SIGNAL})
    assert [line[0] for line in told(account.bar(FLAT, funding_rate=10**6))] == ["FUNDING", "SIGNAL"]


def test_spot_pays_no_funding_and_moves_cash_by_its_notional(world, told) -> None:
    account = world(is_perp=0, taker_rate=10_000_000)  # 10 bps
    account.ask({})
    assert told(account.bar(FLAT, funding_rate=10**6)) == [("ENTRY", 1, 100, 1_000, -(10**11) - E8)]
    assert account.bar((1_000, 1_100, 1_000, 1_100), funding_rate=10**6) == []
    assert account.mark()[:6] == (899_900_000_000, 0, 110_000_000_000, 10**10, 1_009_900_000_000, 899_900_000_000)


def test_perpetual_moves_cash_by_fee_and_gain_and_locks_margin(world, told) -> None:
    account = world(leverage_bps=50_000, taker_rate=10_000_000)
    account.ask({})
    assert told(account.bar(FLAT)) == [("ENTRY", 1, 100, 1_000, -E8)]
    assert account.bar((1_000, 1_100, 1_000, 1_100)) == []
    assert account.mark()[:6] == (999_900_000_000, 2 * 10**10, 10**10, 10**10, 1_009_900_000_000, 979_900_000_000)


# 5x: margin 200 quote; maintenance 50 bps: liquidated when 200 - loss = 0.005 * 100 lots * price,
# so at 800 / 0.995 = 804.02, rounded towards the market: 805; a short at 1,200 / 1.005 = 1,194.03, so 1,194
LIQUIDATION = [
    pytest.param(1, (900, 900, 805, 850), 805, -195 * E8, id="long, touched"),
    pytest.param(1, (900, 900, 806, 850), None, 0, id="long, missed by one unit"),
    pytest.param(1, (810, 810, 800, 805), 805, -195 * E8, id="long, opens above it"),
    pytest.param(1, (500, 600, 400, 500), 500, -200 * E8, id="long gaps far beyond: the margin and no more"),
    pytest.param(-1, (1_100, 1_194, 1_100, 1_150), 1_194, -194 * E8, id="short, touched"),
    pytest.param(-1, (1_100, 1_193, 1_100, 1_150), None, 0, id="short, missed by one unit"),
    pytest.param(-1, (3_000, 3_000, 2_000, 2_500), 3_000, -200 * E8, id="short gaps far beyond"),
]  # fmt: skip


@pytest.mark.parametrize(("side", "bar", "price", "loss"), LIQUIDATION)
def test_liquidation_loses_at_most_the_margin_and_its_fee(world, told, side, bar, price, loss) -> None:
    account = world(leverage_bps=50_000, maintenance_bps=50, liquidation_rate=100_000_000)  # 1 %
    account.ask({"side": side})
    account.bar(FLAT)
    fee = 0 if price is None else price * E8 // 100
    expected = [] if price is None else [("LIQUIDATION", -side, 100, price, loss - fee)]
    assert told(account.bar(bar)) == expected
    assert int(account.account.cash) == 10**12 + loss - fee


def test_no_exit_of_an_isolated_position_loses_more_than_its_margin(world, told) -> None:
    account = world(leverage_bps=50_000)
    account.ask({})
    account.bar(FLAT)
    account.ask({"action": 2, "reason": ExitReason.SIGNAL})
    assert told(account.bar((500, 500, 500, 500))) == [("SIGNAL", -1, 100, 500, -200 * E8)]


@pytest.mark.parametrize(("side", "distances", "prices"), [
    pytest.param(1, {"stop_distance": 50}, (1_001, 950), id="long: bought higher, stopped lower, beyond the bar"),
    pytest.param(-1, {"stop_distance": 50}, (999, 1_051), id="short: sold lower, stopped higher"),
    pytest.param(1, {"target_distance": 49}, (1_001, 1_050), id="a target does not slip"),
])  # fmt: skip
def test_slippage_moves_market_and_stop_fills_against_the_account(world, side, distances, prices) -> None:
    """10 bps: 1,000 becomes 1,001 or 999; the stop at 951 slips by 0.951, rounded up, to 950."""
    account = world()
    account.account_limits.slippage_rate = 10_000_000
    account.ask({"side": side, **distances})
    extremes = (1_000, 1_050, 951, 1_000) if distances.get("target_distance") or side > 0 else (1_000, 1_050, 990, 990)
    if "stop_distance" in distances and side > 0:
        extremes = (1_000, 1_005, 951, 1_000)
    events = account.bar(extremes)
    assert tuple(event["price"] for event in events) == prices


class TestCashAtFill:
    def test_reduced_to_what_is_affordable(self, world, told) -> None:
        account = world(capital=10**11, is_perp=0)
        account.ask({})
        assert told(account.bar((1_100, 1_100, 1_100, 1_100))) == [
            ("REDUCED", 1, 100, 0, 0), ("ENTRY", 1, 90, 1_100, -99 * 10**9)]  # fmt: skip

    def test_insufficient_below_the_minimum(self, world) -> None:
        account = world(capital=10**11, is_perp=0, min_qty=91)
        account.ask({})
        events = account.bar((1_100, 1_100, 1_100, 1_100))
        assert [(event["kind"], event["reason"]) for event in events] == [
            (EventKind.INSUFFICIENT, RejectCode.INSUFFICIENT_AT_FILL)]  # fmt: skip
        assert int(account.account.cash) == 10**11
        assert int(account.state.positions[0].qty) == 0

    def test_entries_fill_in_rank_and_after_exits(self, world, told) -> None:
        """Column 1 has the higher confidence, so it takes the cash; column 0 gets what is left."""
        account = world(3, capital=3 * 10**11, is_perp=0)
        account.ask({"symbol": 2})
        account.bar(FLAT, FLAT, FLAT)
        account.ask(
            {"symbol": 0, "confidence": 0.6}, {"symbol": 1, "confidence": 0.9},
            {"symbol": 2, "action": 2, "reason": ExitReason.SIGNAL},
        )  # fmt: skip
        lines = told(account.bar((2_500, 2_500, 2_500, 2_500), (1_000,) * 4, (500, 500, 500, 500)))
        assert lines == [
            ("SIGNAL", -1, 100, 500, 5 * 10**10),
            ("ENTRY", 1, 100, 1_000, -(10**11)),
            ("REDUCED", 1, 100, 0, 0),
            ("ENTRY", 1, 60, 2_500, -15 * 10**10),
        ]


def test_levels_are_rounded_away_from_the_market_on_the_tick(world) -> None:
    account = world(step_units=10)
    account.ask({"stop_distance": 33, "target_distance": 33, "trail_distance": 41})
    account.bar(FLAT)
    position = account.state.positions[0]
    assert (int(position.stop), int(position.target), int(position.trail_stop)) == (960, 1_040, 950)


prices = st.integers(1, 400)


@settings(max_examples=60, deadline=None)
@given(
    bars=st.lists(st.tuples(prices, prices, prices, prices, st.sampled_from((0, 1, 1, 1, 2)),
                            st.integers(-10**8, 10**8)), min_size=3, max_size=14),
    sides=st.lists(st.sampled_from((-1, 1)), min_size=3, max_size=14),
    distances=st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(0, 80)),
    leverage_bps=st.sampled_from((10_000, 30_000, 200_000)),
    is_perp=st.sampled_from((0, 1)),
    slippage_rate=st.sampled_from((0, 1, 5_000_000, 50_000_000)),
)  # fmt: skip
def test_no_money_appears(world, bars, sides, distances, leverage_bps, is_perp, slippage_rate) -> None:
    account = world(is_perp=is_perp, leverage_bps=leverage_bps, taker_rate=7_500_001, liquidation_rate=123_456_789,
                    maintenance_bps=40, capital=3 * 10**10)  # fmt: skip
    account.account_limits.slippage_rate = slippage_rate
    stop, target, trail = distances
    moved = 0
    for (a, b, c, d, bar_state, funding), side in zip(bars, sides, strict=False):
        low, *_, high = sorted((a, b, c, d))
        bar = (a, high, low, d)
        if int(account.state.positions[0].qty) == 0:
            account.ask({"side": side, "qty": 250, "price": d, "stop_distance": stop, "target_distance": target,
                         "trail_distance": trail})  # fmt: skip
        elif side > 0:
            account.ask({"action": 2, "reason": ExitReason.SIGNAL, "price": d})
        events = account.bar(bar, bar_state=bar_state, funding_rate=funding)
        moved += sum(event["cash_change"] for event in events)
        now, state, position = account.mark(), account.account, account.state.positions[0]
        assert now.cash == 3 * 10**10 + moved
        assert now.equity == now.cash + now.position_value == int(state.equity)
        assert now.margin == int(position.margin)
        gained = int(state.realized) - int(state.fees) + int(state.funding)
        assert now.equity == 3 * 10**10 + gained + now.unrealized
        if events and events[-1]["kind"] == EventKind.FILL and events[-1]["leg"] == 1:
            assert now.free_cash >= 0
