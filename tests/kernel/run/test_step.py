"""Phases of a tick: rank, order, the day's roll, what the strategy proposes, state on disk."""

import numpy as np
import pytest

from openclaw_pipelines.contracts.enums import Action, ExitReason, RejectCode
from openclaw_pipelines.kernel.account import govern
from openclaw_pipelines.kernel.base.layout import PROPOSAL, records
from openclaw_pipelines.kernel.run import step as steps
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import replay
from openclaw_pipelines.kernel.strategy.params import params_record

FLAT = (1_000,) * 4


@pytest.mark.parametrize(("asked", "ranks"), [
    pytest.param([(0, 1, 0.5), (1, 1, 0.9), (2, 1, 0.7)], [2, 0, 1], id="entries by confidence"),
    pytest.param([(2, 1, 0.5), (0, 1, 0.5), (1, 1, 0.5)], [2, 0, 1], id="ties by symbol"),
    pytest.param([(0, 1, 0.5), (0, 1, 0.5)], [0, 1], id="then by position"),
    pytest.param([(0, 1, 0.9), (1, 2, 0.1), (2, 0, 1.0)], [1, 0, 2], id="exits first, holds last"),
    pytest.param([(0, 1, float("nan")), (1, 1, 0.1), (2, 1, float("nan"))], [1, 0, 2], id="no number counts as 0"),
])  # fmt: skip
def test_rank(asked, ranks) -> None:
    proposals = records(PROPOSAL, len(asked))
    for row, (symbol, action, confidence) in zip(proposals, asked, strict=True):
        row.symbol, row.action, row.confidence = symbol, action, confidence
    govern.rank(proposals, len(asked))
    assert proposals["rank"].tolist() == ranks


def test_order_remembers_what_was_approved(world) -> None:
    account = world()
    account.limits.size_bps = 5_000
    account.at = 7_200
    proposal = account.ask({"qty": 101, "stop_distance": 7, "target_distance": 8, "trail_distance": 9})[0]
    position = account.state.positions[0]
    pending = {name: int(position[name]) for name in position.dtype.names if name.startswith("pending")}
    assert pending == {
        "pending_action": Action.ENTER, "pending_side": 1, "pending_qty": 50, "pending_price": 1_000,
        "pending_stop": 7, "pending_target": 8, "pending_trail": 9, "pending_rank": 0, "pending_reason": 0,
        "pending_decided_at": 7_200, "pending_reserved": int(proposal.reserved), "pending_leverage_bps": 10_000,
    }  # fmt: skip
    assert (int(account.account.order_count), int(account.account.last_order_at)) == (1, 7_200)
    assert account.state.order_times[0] == 7_200


def test_the_tick_at_midnight_closes_the_old_day_and_sets_the_baseline(world) -> None:
    account = world()
    account.at = 22 * 3_600
    account.ask({})
    account.bar((1_000, 1_100, 1_000, 1_100))
    assert (int(account.account.day), int(account.account.day_open_equity)) == (0, 10**12)
    account.bar((1_100, 1_100, 1_050, 1_050))
    assert (int(account.account.day), int(account.account.day_open_equity)) == (1, 10**12 + 5 * 10**9)
    assert int(account.account.peak_equity) == 10**12 + 10**10
    account.bar((1_050, 1_050, 900, 900))
    assert int(account.account.day_open_equity) == 10**12 + 5 * 10**9


def test_mark_spot_and_perpetual_side_by_side(world) -> None:
    account = world(2, is_perp=[0, 1], leverage_bps=20_000)
    account.ask({"symbol": 0}, {"symbol": 1, "side": -1})
    account.bar(FLAT, FLAT)
    account.bar((1_000, 1_200, 1_000, 1_200), (1_000, 1_100, 1_000, 1_100))
    now = account.mark()
    assert now._asdict() == {
        "cash": 9 * 10**11, "margin": 5 * 10**10, "position_value": 11 * 10**10, "unrealized": 10**10,
        "equity": 101 * 10**10, "free_cash": 85 * 10**10, "gross_exposure": 23 * 10**10,
    }  # fmt: skip


def test_bars_held_counts_the_entry_bar_and_bars_without_trades(world) -> None:
    account = world()
    account.ask({})
    held = []
    for state in (1, 1, 0, 2):
        account.bar(FLAT, bar_state=state)
        held.append(int(account.state.positions[0].bars_held))
    assert held == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def lived(walk):
    """A breakout strategy over two perpetuals that may be held both ways."""
    values = {"channel_entry": 12, "channel_exit": 6, "allow_short": True, "position_bps": 2_000}
    bars = Bars.from_frame(walk(700), interval="1h")
    return bars, replay(bars, params_record("breakout", values, 3_600))


class TestProposals:
    def test_a_fresh_signal_in_the_direction_held_is_recorded_as_hold(self, lived) -> None:
        rows = lived[1].proposals
        holds = rows[rows.action == Action.HOLD]
        assert len(holds) > 0
        assert set(holds.code.tolist()) == {int(RejectCode.DUPLICATE)}
        assert not holds.approved_qty.any()

    def test_a_reversal_is_an_exit_now_and_an_entry_at_a_later_decision(self, lived) -> None:
        result = lived[1]
        seen = set()
        for tick_at, row in zip(result.proposal_ticks, result.proposals, strict=True):
            key = (int(tick_at), int(row.symbol))
            assert key not in seen
            seen.add(key)
        actions = result.proposals.action.tolist()
        assert {int(Action.ENTER), int(Action.EXIT)} <= set(actions)

    def test_the_opposite_entry_closes_what_is_held(self, world) -> None:
        """A fresh setup against the position is a reason to leave even where the family's own exit is silent."""
        account = world()
        wanted = steps.Wanted(-1, 0, 0.7, 0.0, 0.0, 0.0, 1.0)
        account.state.positions[0].qty = 5
        proposals = records(PROPOSAL, 1)
        n = steps._propose_held(account.state.positions[0], 1_000, wanted, 0, 1, proposals, 0, 0)
        proposal = proposals[0]
        assert (n, int(proposal.action), int(proposal.side), int(proposal.qty), int(proposal.reason)) == (
            1, Action.EXIT, -1, 5, ExitReason.SIGNAL)  # fmt: skip

    def test_no_entry_outside_the_universe_and_exits_all_the_same(self, walk) -> None:
        values = {"channel_entry": 12, "channel_exit": 6, "allow_short": True, "position_bps": 2_000}
        inside = np.ones(700, bool)
        inside[350:] = False
        masks = dict.fromkeys(("BTC/USDT:USDT", "ETH/USDT:USDT"), inside)
        bars = Bars.from_frame(walk(700), interval="1h", universe=masks)
        result = replay(bars, params_record("breakout", values, 3_600))
        enters = result.proposals.action == Action.ENTER
        left_at = bars.times[350] + 3_600
        assert result.proposal_ticks[enters].max() < left_at
        assert int(result.equity_rows.open_positions[349]) == 2
        assert int(result.equity_rows.open_positions[-1]) == 0

    def test_nothing_is_proposed_on_a_missing_bar(self, walk) -> None:
        base = walk(300, ("BTC/USDT:USDT",))
        holed = base.filter(pl_hour_not_in(base, range(200, 230)))
        bars = Bars.from_frame(holed, interval="1h")
        params = params_record("breakout", {"channel_entry": 12, "channel_exit": 6, "max_hold_bars": 1}, 3_600)
        ticks = set(replay(bars, params).proposal_ticks.tolist())
        assert ticks
        assert not ticks & {int(at) + 3_600 for at in bars.times[200:230]}


def pl_hour_not_in(frame, rows):
    keep = np.ones(frame.height, bool)
    keep[list(rows)] = False
    return keep
