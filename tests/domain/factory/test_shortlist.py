"""Shortlists: order, ties, floors, and when the incumbent holds."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.factory import Channel
from openclaw_pipelines.domain.factory.shortlist import Floors, Row, candidates, shortlist

FLOORS = Floors(0.02, 0.01, 0.01, least_trades=10, per_channel=2, longest_hold_seconds=3_600)


def row(number: int, **change: Any) -> Row:
    values = {
        "row_index": number, "family": "breakout", "params_hash": f"{number:064x}", "net": Decimal(100),
        "return_total": 0.01, "max_drawdown": 0.05, "sharpe_day": 0.1, "trades": 20, "liquidations": 0,
        "longest_hold_seconds": 60, "events_digest": number,
    }  # fmt: skip
    return Row(**{**values, **change})


INCUMBENT = row(0, sharpe_day=0.1, return_total=0.02, max_drawdown=0.04)


def of(channel: Channel, *rows: Row, incumbent: Row = INCUMBENT) -> list[tuple[int, int, str]]:
    return [(e.rank, e.row.row_index, e.status) for e in shortlist(rows, incumbent, FLOORS) if e.channel is channel]


@pytest.mark.parametrize(
    ("channel", "better", "short_of"),
    [
        pytest.param(Channel.EFFICIENT, {"sharpe_day": 0.1201}, {"sharpe_day": 0.1199}, id="daily Sharpe ratio"),
        pytest.param(Channel.GROWTH, {"return_total": 0.0301}, {"return_total": 0.0299}, id="return"),
        pytest.param(Channel.CONSERVATIVE, {"max_drawdown": 0.0299}, {"max_drawdown": 0.0301}, id="drawdown"),
    ],
)
def test_a_candidate_beats_the_incumbent_by_the_floor_or_the_incumbent_holds(
    channel: Channel, better: dict[str, Any], short_of: dict[str, Any]
) -> None:
    assert of(channel, row(1, **better)) == [(0, 0, "incumbent"), (1, 1, "candidate")]
    assert of(channel, row(1, **short_of)) == [(0, 0, "incumbent_holds"), (1, 1, "below_floor")]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"trades": 9}, id="too few trades"),
        pytest.param({"net": Decimal(0)}, id="earned nothing"),
        pytest.param({"liquidations": 1}, id="was liquidated"),
        pytest.param({"sharpe_day": None}, id="never moved"),
        pytest.param({"longest_hold_seconds": 3_601}, id="held across the gap"),
        pytest.param({"params_hash": INCUMBENT.params_hash}, id="is the incumbent"),
    ],
)
def test_who_cannot_be_a_candidate(change: dict[str, Any]) -> None:
    best = {"sharpe_day": 9.0, "return_total": 9.0, "max_drawdown": 0.0}
    for channel in Channel:
        assert of(channel, row(1, **{**best, **change})) == [(0, 0, "incumbent_holds")]


def test_an_incumbent_that_lost_is_no_measure() -> None:
    lost = row(0, net=Decimal(-5), return_total=-0.01)
    assert of(Channel.GROWTH, row(1), incumbent=lost) == [(0, 0, "incumbent"), (1, 1, "candidate")]


def test_ties_go_by_tie_breakers_and_at_last_by_hash() -> None:
    rows = [row(5), row(3), row(9, net=Decimal(200)), row(4)]
    assert [number for _, number, _ in of(Channel.EFFICIENT, *rows)] == [0, 9, 3]


def test_rows_that_traded_alike_are_one() -> None:
    rows = [row(5, events_digest=1), row(3, events_digest=1), row(4, sharpe_day=0.05)]
    assert [number for _, number, _ in of(Channel.EFFICIENT, *rows)] == [0, 3, 4]


@given(st.permutations(range(1, 8)), st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=7, max_size=7))
@settings(max_examples=30)
def test_the_order_of_the_rows_is_no_input(order: list[int], sharpes: list[float]) -> None:
    rows = [row(n, sharpe_day=sharpes[n - 1]) for n in range(1, 8)]
    assert shortlist([rows[n - 1] for n in order], INCUMBENT, FLOORS) == shortlist(rows, INCUMBENT, FLOORS)


def test_candidates_come_once_in_the_order_of_channels() -> None:
    rows = [row(1, sharpe_day=0.5, return_total=0.5), row(2, max_drawdown=0.001, sharpe_day=0.11)]
    chosen = candidates(shortlist(rows, INCUMBENT, FLOORS))
    assert [(entry.channel, entry.row.row_index) for entry in chosen] == [
        (Channel.EFFICIENT, 1),
        (Channel.CONSERVATIVE, 2),
    ]
