"""The kernel against the candle rules in Decimal: every fill, charge and level of rough bars, to the last digit."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel.decimal_oracle import Bar, Market, Wish
from kernel.oracle_scene import CONFIDENCES, Scene, agree, agree_on_signals

D = Decimal
RATES = ("0", "0.0001", "-0.0001", "0.0013370001", "-0.0299999999", "0.09", "-0.09", "0.0000000001")
TICKS = [("0.01", "0.01", "0.001"), ("0.1", "0.1", "0.01"), ("0.1", "0.5", "0.01"), ("0.01", "0.25", "0.1")]
usual = st.integers(-60, 60)
violent = st.integers(-3_000, 3_000)


@st.composite
def markets(draw: st.DrawFn, slippage: Decimal) -> Market:
    unit, tick, lot = map(D, draw(st.sampled_from(TICKS)))
    perpetual = draw(st.sampled_from((True, True, False)))
    return Market(
        unit=unit, tick=tick, lot=lot, perpetual=perpetual, slippage=slippage,
        leverage=draw(st.sampled_from((1, 3, 7, 20))) if perpetual else 1,
        maintenance=D(draw(st.sampled_from(("0", "0.005", "0.0125")))),
        fee=D(draw(st.sampled_from(("0", "0.0005", "0.00034567")))),
        liquidation_fee=D(draw(st.sampled_from(("0", "0.0125")))),
        min_notional=D(draw(st.sampled_from((0, 5)))),
    )  # fmt: skip


@st.composite
def rough_bars(draw: st.DrawFn, market: Market, n: int, *, whole: bool) -> list[Bar | None]:
    """Bars that gap and jump; some are missing, without volume or without their beginning."""
    last, bars = draw(st.sampled_from((10_000, 40))), []
    kinds = st.sampled_from(("traded",) * 12 + ("missing", "silent", "headless"))
    for t in range(n):
        kind, gap, body = draw(kinds), draw(usual), draw(usual | violent)
        up, down = draw(st.integers(0, 90)), draw(st.integers(0, 90))
        first = max(last + gap, 1)
        last = max(first + body, 1)
        prices = (first, max(first, last) + up, max(min(first, last) - down, 1), last)
        there = kind != "missing" or (whole and t in (0, n - 1))
        bar = Bar(*(market.unit * price for price in prices), kind != "silent", kind != "headless")
        bars.append(bar if there else None)
    return bars


@st.composite
def stamps(draw: st.DrawFn, hours: int) -> dict[int, Decimal]:
    """Rates every hour or every eight, at opens and, where the bars are long or the venue is off the hour, inside."""
    every, off = draw(st.sampled_from((1, 8))), draw(st.sampled_from((0, 0, 420)))
    rates = draw(st.lists(st.sampled_from(RATES), min_size=1, max_size=5))
    return {h * 3_600 + off: D(rates[h // every % len(rates)]) for h in range(0, hours, every)}


distances = st.sampled_from((0, 0, 7, 40, 250, 1_500))


@st.composite
def wishes(draw: st.DrawFn, unit: Decimal) -> Wish:
    side, leave = draw(st.sampled_from(((0, 0), (0, 0), (0, 0), (1, 0), (1, 0), (-1, 0), (0, 1), (1, 1))))
    return Wish(
        side=side, leave_long=bool(leave), leave_short=bool(leave) and draw(st.booleans()),
        stop=unit * draw(distances), target=unit * draw(distances), trail=unit * draw(distances),
        part=D(draw(st.sampled_from(("0.3", "1", "2.5", "9.9")))), confidence=draw(st.integers(0, CONFIDENCES)),
    )  # fmt: skip


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    hours, n = draw(st.sampled_from((1, 8, 12, 24))), draw(st.integers(4, 16))
    slippage = D(draw(st.sampled_from(("0", "0.0003", "0.00123"))))
    own = [draw(markets(slippage)) for _ in range(draw(st.integers(1, 2)))]
    return Scene(
        hours=hours, markets=own,
        bars=[draw(rough_bars(market, n, whole=s == 0)) for s, market in enumerate(own)],
        stamps=[draw(stamps(hours * n)) for _ in own],
        wishes=[[draw(wishes(market.unit)) for market in own] for _ in range(n)],
    )  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(scenes())
def test_rough_bars(scene) -> None:
    agree(scene)
