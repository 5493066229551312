"""The kernel against the candle rules in Decimal: every fill, charge and level of rough bars, to the last digit."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel.decimal_oracle import Bar, Market, Wish, up
from kernel.oracle_scene import CONFIDENCES, Scene, agree, agree_on_signals, scene_of

D = Decimal
RATES = ("0", "0.0001", "-0.0001", "0.0013370001", "-0.0299999999", "0.09", "-0.09", "0.0000000001")
TICKS = (("0.01", "0.01", "0.001"), ("0.1", "0.1", "0.01"), ("0.1", "0.5", "0.01"), ("0.01", "0.25", "45"))
SIDES = ((0, 0), (0, 0), (1, 0), (1, 0), (-1, 0), (-1, 0), (0, 1), (1, 1))
DISTANCES = (0, 0, 7, 40, 120, 400, 1_500)


def market(own: Random, slippage: Decimal) -> Market:
    unit, tick, lot = map(D, own.choice(TICKS))
    perpetual = own.random() < 0.7
    return Market(
        unit=unit, tick=tick, lot=lot, perpetual=perpetual, slippage=slippage,
        leverage=own.choice((1, 3, 7, 20)) if perpetual else 1, maintenance=D(own.choice(("0", "0.005", "0.0125"))),
        fee=D(own.choice(("0", "0.0005", "0.00034567"))), liquidation_fee=D(own.choice(("0", "0.0125"))),
        min_notional=D(own.choice((0, 0, 5, 9_500))),
    )  # fmt: skip


def rough_bars(own: Random, unit: Decimal, n: int, *, whole: bool) -> list[Bar | None]:
    """Bars that gap and jump; some are missing, without volume or without their beginning."""
    first, bars = own.choice((10_000, 10_000, 40)), []
    scale, least, last = 10_000 // first, first // 20, first
    for t in range(n):
        kind = own.choice(("traded",) * 12 + ("missing", "silent", "headless", "headless", "neither"))
        gap, far = own.choice((0, 20, 400)) // scale, own.choice((60, 60, 400, 2_500)) // scale
        opened = max(last + own.randint(-gap, gap), least)
        last = max(opened + own.randint(-far, far), least)
        above, below = own.randint(0, 90) // scale, own.randint(0, 90) // scale
        prices = (opened, max(opened, last) + above, max(min(opened, last) - below, 1), last)
        there = kind != "missing" or (whole and t in (0, n - 1))
        bar = Bar(
            *(unit * price for price in prices), kind not in ("silent", "neither"), kind not in ("headless", "neither")
        )
        bars.append(bar if there else None)
    return bars


def stamps(own: Random, hours: int) -> dict[int, Decimal]:
    """Rates every hour or every eight, at opens and, where the bars are long or the venue is off the hour, inside."""
    every, off = own.choice((1, 8)), own.choice((0, 0, 420))
    rates = own.choices(RATES, k=own.choice((1, 2, 5)))
    return {h * 3_600 + off: D(rates[h // every % len(rates)]) for h in range(0, hours, every)}


def wish(own: Random, unit: Decimal, part: Decimal) -> Wish:
    side, leave = own.choice(SIDES)
    stop, target, trail = (unit * own.choice(DISTANCES) for _ in range(3))
    return Wish(
        side=side, leave_long=bool(leave), leave_short=bool(leave) and own.random() < 0.5, stop=stop, target=target,
        trail=trail, part=part, confidence=own.randint(0, CONFIDENCES),
    )  # fmt: skip


def scene(seed: int, hours: int, n: int) -> Scene:
    """One or two symbols over `n` bars; fewer bars of one seed are the first of more."""
    own = Random(seed)
    slippage, part = D(own.choice(("0", "0.0003", "0.00123"))), own.choice(("0.1", "0.5", "0.97", "1"))
    markets = [market(own, slippage) for _ in range(own.choice((1, 2)))]
    return Scene(
        hours=hours, markets=markets,
        bars=[rough_bars(Random(f"{seed} {s}"), m.unit, n, whole=s == 0) for s, m in enumerate(markets)],
        stamps=[stamps(Random(f"{seed} {s}"), hours * n) for s in range(len(markets))],
        wishes=[[wish(own, m.unit, m.leverage * D(part)) for m in markets] for _ in range(n)],
    )  # fmt: skip


scenes = st.builds(scene, st.integers(0, 2**32), st.sampled_from((1, 8, 12, 24)), st.integers(4, 60))


@settings(max_examples=150, deadline=None)
@given(scenes)
def test_a_plan_over_rough_bars(scene) -> None:
    agree(scene)


FRACTIONS = (None, D(1) / 512, D(1) / 64, D(1) / 16)
"""Parts of a close that binary numbers hold exactly."""


@settings(max_examples=100, deadline=None)
@given(scenes, st.tuples(*[st.sampled_from(FRACTIONS)] * 3), st.sampled_from(("45", "90")))
def test_signals_over_rough_bars(scene, fractions, qty) -> None:
    """One quantity, distances as fractions of the close at the signal, on the price unit upwards."""

    def wished(t: int, s: int) -> Wish:
        bar, wish, unit = scene.bars[s][t], scene.wishes[t][s], scene.markets[s].unit
        if bar is None:
            return wish
        stop, target, trail = (up(bar.close * (part or 0), unit) for part in fractions)
        return replace(
            wish, leave_short=wish.leave_long, stop=stop, target=target, trail=trail, qty=D(qty), confidence=0
        )

    wishes = [[wished(t, s) for s in range(len(scene.markets))] for t in range(len(scene.wishes))]
    agree_on_signals(replace(scene, wishes=wishes), fractions, D(qty))


def test_the_rough_bars_are_rough() -> None:
    """Everything that the rules tell apart happens in what the tests above are given."""
    told = [own for seed in range(60) for own in scene(seed, (1, 8, 12, 24)[seed % 4], 60).oracle().events]
    met = Counter(own.kind if own.reason == "none" else own.reason for own in told)
    assert {
        "entry", "funding", "expired", "reduced", "signal", "stop", "trailing_stop", "target", "liquidation",
    } <= met.keys()  # fmt: skip


FLAT = ("100", "100", "100", "100")


def at(price: str, **flags: bool) -> Bar:
    """A bar that stands still."""
    return Bar(*[D(price)] * 4, **flags)


HALF = {"part": D("0.5")}  # of 20,000: 100 units at 100
LONG, SHORT, LEAVE = Wish(side=1, **HALF), Wish(side=-1, **HALF), Wish(leave_long=True, leave_short=True)
DAY_STAMPS = {24: "0.01", 32: "0.001", 40: "0.001", 48: "0.001", 56: "0.01", 64: "0.01"}
"""At the entry's open, twice on the first day, at the second day's open, twice on the second day."""
HOURLY = dict.fromkeys(range(96), "0.01")

FUNDING = [
    pytest.param([FLAT] * 4, {0: LONG, 1: LEAVE}, DAY_STAMPS, [(1, "100", "-20"), (2, "100", "-10")],
                 id="the entry's open is not paid, the exit's is"),
    pytest.param([FLAT] * 4, {0: SHORT, 1: LEAVE}, DAY_STAMPS, [(1, "100", "20"), (2, "100", "10")], id="short"),
    pytest.param([FLAT, ("100", "101", "89", "95"), FLAT], {0: replace(LONG, stop=D(10))}, DAY_STAMPS,
                 [(1, "100", "-20")], id="stopped on the first day: its stamps are paid"),
    pytest.param([FLAT, ("100", "110", "100", "110"), None, FLAT], {0: LONG}, DAY_STAMPS,
                 [(1, "100", "-20"), (2, "110", "-231")], id="a missing bar at the last price, open and inside in one"),
    pytest.param([FLAT, FLAT, at("120", has_volume=False), FLAT], {0: LONG},
                 DAY_STAMPS, [(1, "100", "-20"), (2, "120", "-252")], id="a bar without volume at its open"),
    pytest.param([FLAT, FLAT, at("120", has_open=False), FLAT], {0: LONG},
                 DAY_STAMPS, [(1, "100", "-20"), (2, "100", "-210")], id="one without its beginning at the last price"),
    pytest.param([FLAT] * 4, {0: LONG, 1: LEAVE}, HOURLY, [(1, "100", "-2300"), (2, "100", "-100")],
                 id="23 stamps of 1 % inside one bar"),
    pytest.param([FLAT] * 4, {0: SHORT, 1: LEAVE}, {30: "0.0000000001", 48: "-0.0000000001"},
                 [(1, "100", "0.00000100"), (2, "100", "-0.00000100")], id="the smallest rate"),
    pytest.param([FLAT] * 4, {0: replace(SHORT, part=D("0.0001")), 1: LEAVE}, {30: "0.0000000001", 48: "-0.0000000001"},
                 [(1, "100", "0"), (2, "100", "-1e-8")], id="received rounds down, paid up"),
    pytest.param([FLAT] * 4, {0: LONG, 1: LEAVE}, {30: "0.05", 40: "-0.05"}, [], id="stamps that add up to nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "wishes", "stamps", "paid"), FUNDING)
def test_funding_in_daily_bars(rows, wishes, stamps, paid) -> None:
    told = agree(scene_of(*rows, hours=24, wishes=wishes, stamps=stamps))
    charges = [(own.bar, own.price, own.cash) for own in told.events if own.kind == "funding"]
    assert charges == [(bar, D(price), D(cash)) for bar, price, cash in paid]


@pytest.mark.parametrize("hours", [1, 8, 12, 24])
def test_the_same_holding_pays_the_same_at_every_bar_length(hours) -> None:
    """Long from day 1 to day 2; the stamps at 08:00, 16:00 and at the exit's open, of 0.1 % on 10,000 each."""
    a_day = 24 // hours
    wishes = {a_day - 1: LONG, 2 * a_day - 1: LEAVE}
    told = agree(scene_of(*[FLAT] * (4 * a_day), hours=hours, wishes=wishes, stamps=DAY_STAMPS))
    assert sum(own.cash for own in told.events if own.kind == "funding") == -30


TENFOLD = {"leverage": 10, "maintenance": D("0.005"), "fee": D("0.001"), "liquidation_fee": D("0.01")}
LEVELS = [
    pytest.param([FLAT, FLAT, ("90.4", "91", "80", "85")], LONG, TENFOLD, ("liquidation", "90.4", "90.5", "-960"),
                 id="liquidated: (100 - 10) / 0.995 is 90.45.., 90.5; opened beyond"),
    pytest.param([FLAT, FLAT, ("95", "96", "80", "85")], LONG, TENFOLD, ("liquidation", "90.5", "90.5", "-950"),
                 id="liquidated at its price"),
    pytest.param([FLAT, FLAT, ("50", "55", "50", "52")], LONG, TENFOLD, ("liquidation", "50", "90.5", "-1000"),
                 id="the margin is all that is lost"),
    pytest.param([FLAT, FLAT, ("105", "120", "104", "110")], SHORT, TENFOLD, ("liquidation", "109.4", "109.4", "-940"),
                 id="short: (100 + 10) / 1.005 is 109.45.., 109.4"),
    pytest.param([FLAT, FLAT, ("95", "96", "80", "85")], replace(LONG, stop=D("9.5")), TENFOLD,
                 ("stop", "90.5", "90.5", "-950"), id="stop and liquidation at one price: the stop"),
    pytest.param([FLAT, FLAT, ("95", "96", "80", "85")], replace(LONG, trail=D("9.5")), TENFOLD,
                 ("trailing_stop", "90.5", "90.5", "-950"), id="trailing stop and liquidation at one price"),
    pytest.param([FLAT, FLAT, ("95", "96", "80", "85")], replace(LONG, stop=D(4), trail=D(4)), TENFOLD,
                 ("stop", "95", "96", "-500"), id="stop and trailing stop at one price, opened beyond"),
    pytest.param([FLAT, FLAT, ("95", "96", "80", "85")], replace(LONG, stop=D(10)), TENFOLD,
                 ("liquidation", "90.5", "90.5", "-950"), id="a stop farther away than the liquidation"),
    pytest.param([FLAT, ("100", "120", "96", "118"), ("116", "117", "114", "116")], replace(LONG, trail=D(5)), {},
                 ("trailing_stop", "115", "115", "1500"), id="the trail is raised by 120, from the next bar on"),
    pytest.param([FLAT, ("100", "120", "96", "98"), ("99", "119", "98", "116")], replace(LONG, trail=D(5)), {},
                 ("trailing_stop", "99", "115", "-100"), id="opened beyond the raised trail"),
    pytest.param([FLAT, FLAT, ("98", "112", "94", "99")], replace(LONG, stop=D(5), target=D(10)), {},
                 ("stop", "95", "95", "-500"), id="stop and target in one bar"),
    pytest.param([FLAT, FLAT, ("112", "113", "111", "111")], replace(LONG, target=D(10)), {},
                 ("target", "112", "110", "1200"), id="opened beyond the target"),
    pytest.param([FLAT, FLAT, at("112", has_open=False)], replace(LONG, target=D(10)), {},
                 ("target", "110", "110", "1000"), id="beyond the target where the beginning is missing: its level"),
    pytest.param([FLAT, FLAT, at("88", has_open=False)], replace(LONG, stop=D(10)), {},
                 ("stop", "88", "90", "-1200"), id="beyond the stop where the beginning is missing: the worse price"),
    pytest.param([FLAT, FLAT, ("99", "101", "95.2", "97")], replace(LONG, stop=D("4.7")), {"tick": D("0.5")},
                 None, id="the stop's 95.3 is 95 on the tick, away from the market"),
    pytest.param([FLAT, FLAT, ("94.2", "95", "90", "91")], replace(LONG, stop=D(5)), {"tick": D("0.5")},
                 ("stop", "94.2", "95", "-580"), id="a stop without slippage fills at the bar's own price"),
    pytest.param([FLAT, FLAT, ("112.3", "113", "111", "112")], replace(LONG, target=D(10)), {"tick": D("0.5")},
                 ("target", "112.3", "110", "1230"), id="a target always does"),
    pytest.param([FLAT, FLAT, ("99", "101", "95", "97")], replace(LONG, stop=D(5)), {"slippage": D("0.01")},
                 ("stop", "95", "96", "-600"), id="slippage on both fills: in at 101, out at 95.04"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "entry", "market", "leave"), LEVELS)
def test_levels(rows, entry, market, leave) -> None:
    """Reason, price, intended price and gain of what a level closes; every entry fills at bar 1."""
    told = agree(scene_of(*rows, hours=12, wishes={0: entry}, stamps={}, **market))
    fills = [(own.reason, own.price, own.intended, own.realized) for own in told.events if own.reason != "none"]
    assert fills == ([] if leave is None else [(leave[0], *map(D, leave[1:]))])


DEARER = {0: Wish(side=1, part=D(1))}
AT_THE_OPEN = [
    pytest.param(None, {0: LONG}, {}, ["expired"], id="an entry at a missing bar"),
    pytest.param(at("100", has_volume=False), {0: LONG}, {}, ["expired"], id="at one without volume"),
    pytest.param(at("100", has_open=False), {0: LONG}, {}, ["expired"], id="at one without its beginning"),
    pytest.param(at("150"), DEARER, {}, ["reduced", "entry"], id="half as dear again: two lots of four"),
    pytest.param(at("150"), DEARER, {"min_notional": D(15_001)}, ["insufficient"], id="two lots are too little"),
    pytest.param(at("500"), DEARER, {}, ["insufficient"], id="not one lot"),
]  # fmt: skip


@pytest.mark.parametrize(("bar", "wishes", "market", "kinds"), AT_THE_OPEN)
def test_entries_at_the_open(bar, wishes, market, kinds) -> None:
    """One lot is 50 units: 5,000 of the 20,000."""
    told = agree(scene_of(FLAT, bar, FLAT, hours=8, wishes=wishes, stamps={}, lot=D(50), **market))
    assert [own.kind for own in told.events] == kinds


def test_margin_of_what_is_held_is_not_free_at_a_fill() -> None:
    first = scene_of(*[FLAT] * 4, hours=8, wishes={0: LONG}, stamps={})
    second = scene_of(FLAT, FLAT, at("125"), at("125"), hours=8, wishes={1: LONG}, stamps={})
    wishes = [[*a, *b] for a, b in zip(first.wishes, second.wishes, strict=True)]
    told = agree(replace(first, markets=first.markets * 2, bars=[first.bars[0], second.bars[0]],
                         stamps=[{}, {}], wishes=wishes))  # fmt: skip
    lines = [(own.symbol, own.kind, own.qty) for own in told.events]
    assert lines == [(0, "entry", 100), (1, "reduced", 100), (1, "entry", 80)]


def test_an_exit_waits_for_an_open() -> None:
    closed = [None, at("100", has_volume=False), at("100", has_open=False)]
    rows = [FLAT, FLAT, *closed, ("103", "103", "103", "103")]
    told = agree(scene_of(*rows, hours=1, wishes={0: LONG, 1: LEAVE}, stamps={}))
    assert [(own.bar, own.kind, own.price) for own in told.events] == [(1, "entry", 100), (5, "exit", 103)]
