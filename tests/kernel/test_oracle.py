"""The kernel against the candle rules in Decimal: every fill, charge and level of rough bars, to the last digit."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel.decimal_oracle import Bar, Market, Wish, up
from kernel.oracle_scene import CONFIDENCES, Scene, agree, agree_on_signals

D = Decimal
RATES = ("0", "0.0001", "-0.0001", "0.0013370001", "-0.0299999999", "0.09", "-0.09", "0.0000000001")
TICKS = [("0.01", "0.01", "0.001"), ("0.1", "0.1", "0.01"), ("0.1", "0.5", "0.01"), ("0.01", "0.25", "0.1")]
SIDES = ((0, 0), (0, 0), (1, 0), (1, 0), (-1, 0), (-1, 0), (0, 1), (1, 1))
DISTANCES = (0, 0, 7, 40, 120, 400, 1_500)


def market(own: Random, slippage: Decimal) -> Market:
    unit, tick, lot = map(D, own.choice(TICKS))
    perpetual = own.random() < 0.7
    return Market(
        unit=unit, tick=tick, lot=lot, perpetual=perpetual, slippage=slippage,
        leverage=own.choice((1, 3, 7, 20)) if perpetual else 1, maintenance=D(own.choice(("0", "0.005", "0.0125"))),
        fee=D(own.choice(("0", "0.0005", "0.00034567"))), liquidation_fee=D(own.choice(("0", "0.0125"))),
        min_notional=D(own.choice((0, 0, 5, 5, 9_000))),
    )  # fmt: skip


def rough_bars(own: Random, unit: Decimal, n: int, *, whole: bool) -> list[Bar | None]:
    """Bars that gap and jump; some are missing, without volume or without their beginning."""
    first, bars = own.choice((10_000, 10_000, 40)), []
    scale, least, last = 10_000 // first, first // 20, first
    for t in range(n):
        kind = own.choice(("traded",) * 12 + ("missing", "silent", "headless", "headless"))
        gap, far = own.choice((0, 20, 400)) // scale, own.choice((60, 60, 400, 2_500)) // scale
        opened = max(last + own.randint(-gap, gap), least)
        last = max(opened + own.randint(-far, far), least)
        above, below = own.randint(0, 90) // scale, own.randint(0, 90) // scale
        prices = (opened, max(opened, last) + above, max(min(opened, last) - below, 1), last)
        there = kind != "missing" or (whole and t in (0, n - 1))
        bar = Bar(*(unit * price for price in prices), kind != "silent", kind != "headless")
        bars.append(bar if there else None)
    return bars


def stamps(own: Random, hours: int) -> dict[int, Decimal]:
    """Rates every hour or every eight, at opens and, where the bars are long or the venue is off the hour, inside."""
    every, off = own.choice((1, 8)), own.choice((0, 0, 420))
    rates = own.choices(RATES, k=own.choice((1, 2, 5)))
    return {h * 3_600 + off: D(rates[h // every % len(rates)]) for h in range(0, hours, every)}


def wish(own: Random, unit: Decimal, part: str) -> Wish:
    side, leave = own.choice(SIDES)
    stop, target, trail = (unit * own.choice(DISTANCES) for _ in range(3))
    return Wish(
        side=side, leave_long=bool(leave), leave_short=bool(leave) and own.random() < 0.5, stop=stop, target=target,
        trail=trail, part=D(part), confidence=own.randint(0, CONFIDENCES),
    )  # fmt: skip


def scene(seed: int, hours: int, n: int) -> Scene:
    """One or two symbols over `n` bars; fewer bars of one seed are the first of more."""
    own = Random(seed)
    slippage, part = D(own.choice(("0", "0.0003", "0.00123"))), own.choice(("0.1", "0.3", "1", "2.5", "9.9"))
    markets = [market(own, slippage) for _ in range(own.choice((1, 2)))]
    return Scene(
        hours=hours, markets=markets,
        bars=[rough_bars(Random(f"{seed} {s}"), m.unit, n, whole=s == 0) for s, m in enumerate(markets)],
        stamps=[stamps(Random(f"{seed} {s}"), hours * n) for s in range(len(markets))],
        wishes=[[wish(own, m.unit, part) for m in markets] for _ in range(n)],
    )  # fmt: skip


scenes = st.builds(scene, st.integers(0, 2**32), st.sampled_from((1, 8, 12, 24)), st.integers(4, 60))


@settings(max_examples=150, deadline=None)
@given(scenes)
def test_a_plan_over_rough_bars(scene) -> None:
    agree(scene)


FRACTIONS = (None, D(1) / 512, D(1) / 64, D(1) / 16)
"""Parts of a close that binary numbers hold exactly."""


@settings(max_examples=100, deadline=None)
@given(scenes, st.tuples(*[st.sampled_from(FRACTIONS)] * 3), st.sampled_from(("0.1", "20", "150")))
def test_signals_over_rough_bars(scene, fractions, qty) -> None:
    """One quantity, distances as fractions of the close at the signal, on the price unit upwards."""

    def wished(t: int, s: int) -> Wish:
        bar, wish, unit = scene.bars[s][t], scene.wishes[t][s], scene.markets[s].unit
        if bar is None:
            return wish
        stop, target, trail = (up(bar.close * (part or 0), unit) for part in fractions)
        return replace(wish, leave_short=wish.leave_long, stop=stop, target=target, trail=trail, qty=D(qty), confidence=0)

    wishes = [[wished(t, s) for s in range(len(scene.markets))] for t in range(len(scene.wishes))]
    agree_on_signals(replace(scene, wishes=wishes), fractions, D(qty))


def test_the_rough_bars_are_rough() -> None:
    """Everything that the rules tell apart happens in what the tests above are given."""
    told = [own for seed in range(60) for own in scene(seed, (1, 8, 12, 24)[seed % 4], 60).oracle().events]
    met = Counter(own.kind if own.reason == "none" else own.reason for own in told)
    assert met.keys() == {
        "entry", "funding", "expired", "reduced", "insufficient_at_fill", "signal", "stop", "trailing_stop", "target",
        "liquidation",
    }  # fmt: skip
    assert min(met.values()) > 0
