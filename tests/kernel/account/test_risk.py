"""Every limit check by the change that trips it and by its twin on the other side of the border.

The order judged is 100 lots at 1,000: 1,000 quote, in an account of 10,000; its fee at 10 bps is 1 quote.
"""

import pytest

from openclaw_pipelines.contracts.enums import ExitReason, RejectCode
from openclaw_pipelines.kernel.base.layout import Halt

E11 = 10**11
NOW = 100 * 3_600


def judged(world, changes):
    """The one proposal after `changes`, whose keys name the record and its field."""
    groups = {name: {} for name in ("ask", "limits", "account_limits", "account", "position", "symbol", "world")}
    for path, value in changes.items():
        group, field = path.split(".")
        groups[group][field] = value
    account = world(**{"taker_rate": 10_000_000, **groups["world"]})
    account.at = NOW
    for target, name in ((account.limits[0], "limits"), (account.account_limits[0], "account_limits"),
                         (account.account, "account"), (account.state.positions[0], "position")):  # fmt: skip
        for field, value in groups[name].items():
            target[field] = value
    if account.account.last_order_at >= 0:
        account.state.order_times[0] = account.account.last_order_at
    symbols = account.symbols((1_000,) * 4, **groups["symbol"])
    return account.ask(groups["ask"], symbols=symbols)[0]


BUFFERED = {"account_limits.price_buffer_bps": 100, "account_limits.slippage_rate": 10**7}
ONE_A_MINUTE = {"account_limits.window_seconds": 60, "account_limits.max_orders_per_window": 1}
CODES = [
    ("QTY_ZERO", {"ask.qty": 0}, {"ask.qty": 1}),
    ("QTY_ZERO", {"limits.size_bps": 99}, {"limits.size_bps": 100}),
    ("INVALID_QTY", {"ask.qty": -1}, {"ask.qty": 1}),
    ("INVALID_QTY", {"account.cash": 9 * 10**16 + 1}, {"account.cash": 9 * 10**16}),
    ("MIN_QTY", {"world.min_qty": 101}, {"world.min_qty": 100}),
    ("MIN_ORDER_NOTIONAL", {"world.min_notional": E11 + 1}, {"world.min_notional": E11}),
    ("MIN_ORDER_NOTIONAL", {"limits.min_order_notional": E11 + 1}, {"limits.min_order_notional": E11}),
    ("MAX_ORDER_NOTIONAL", {"limits.max_order_notional": E11 - 1}, {"limits.max_order_notional": E11}),
    ("MAX_POSITION_QTY", {"limits.max_position_qty": 99}, {"limits.max_position_qty": 100}),
    ("MAX_POSITION_NOTIONAL", {"limits.max_position_notional": E11 - 1}, {"limits.max_position_notional": E11}),
    ("MAX_POSITION_PCT_EQUITY", {"limits.max_position_bps": 999}, {"limits.max_position_bps": 1_000}),
    ("MAX_OPEN_POSITIONS", {"account_limits.max_open_positions": 0}, {"account_limits.max_open_positions": 1}),
    ("MAX_SYMBOL_CONCENTRATION", {"limits.max_concentration_bps": 999}, {"limits.max_concentration_bps": 1_000}),
    ("INSUFFICIENT_BALANCE", {"account.cash": E11 + 10**8 - 1}, {"account.cash": E11 + 10**8}),
    ("INSUFFICIENT_BALANCE", {"account.margin": 9 * E11}, {"account.margin": 9 * E11 - 10**8}),
    # 1 % buffer and 10 bps slippage: reserved at 1,011, so 1,011 quote and 1.011 fee
    ("INSUFFICIENT_BALANCE",
     {**BUFFERED, "account.cash": 101_201_100_000 - 1}, {**BUFFERED, "account.cash": 101_201_100_000}),
    # 4x: a quarter of it is margin
    ("INSUFFICIENT_BALANCE", {"limits.leverage_bps": 40_000, "account.cash": E11 // 4 + 10**8 - 1},
     {"limits.leverage_bps": 40_000, "account.cash": E11 // 4 + 10**8}),
    ("MAX_LEVERAGE", {"account_limits.max_leverage_bps": 999}, {"account_limits.max_leverage_bps": 1_000}),
    ("MAX_DAILY_LOSS", {"account.day_open_equity": 2 * 10**12, "account_limits.max_daily_loss_bps": 4_999},
     {"account.day_open_equity": 2 * 10**12, "account_limits.max_daily_loss_bps": 5_000}),
    ("MAX_DRAWDOWN", {"account.peak_equity": 2 * 10**12, "account_limits.max_drawdown_bps": 4_999},
     {"account.peak_equity": 2 * 10**12, "account_limits.max_drawdown_bps": 5_000}),
    ("SHORT_NOT_ALLOWED", {"ask.side": -1, "account_limits.shorts_allowed": 0}, {"ask.side": -1}),
    ("SHORT_NOT_ALLOWED", {"ask.side": -1, "world.is_perp": 0}, {"ask.side": 1, "world.is_perp": 0}),
    ("RATE_LIMITED",
     {**ONE_A_MINUTE, "account.last_order_at": NOW - 59}, {**ONE_A_MINUTE, "account.last_order_at": NOW - 60}),
    ("ORDER_GAP", {"account.last_order_at": NOW - 59, "account_limits.order_gap_seconds": 60},
     {"account.last_order_at": NOW - 60, "account_limits.order_gap_seconds": 60}),
    ("COOLDOWN", {"position.last_exit_at": NOW - 59, "account_limits.cooldown_seconds": 60},
     {"position.last_exit_at": NOW - 60, "account_limits.cooldown_seconds": 60}),
    ("DUPLICATE", {"position.pending_action": 2}, {"position.pending_action": 0}),
    ("STALE_CANDLES", {"symbol.bar_state": 0}, {"symbol.bar_state": 2}),
    ("NO_PRICE", {"ask.price": 0}, {"ask.price": 1}),
    ("SYMBOL_NOT_ALLOWED", {"symbol.in_universe": 0}, {"symbol.in_universe": 1}),
    ("KILL_SWITCH", {"account_limits.halt": Halt.HALT_ALL}, {"account_limits.halt": Halt.OFF}),
    ("CLOSE_ONLY", {"account_limits.halt": Halt.CLOSE_ONLY}, {"account_limits.halt": Halt.OFF}),
    ("SPREAD_TOO_WIDE", {"symbol.control": RejectCode.SPREAD_TOO_WIDE}, {"symbol.control": 0}),
]  # fmt: skip
IDS = [f"{code}: {', '.join(change)}" for code, change, _ in CODES]


@pytest.mark.parametrize(("code", "broken"), [(code, broken) for code, broken, _ in CODES], ids=IDS)
def test_refused(world, code, broken) -> None:
    proposal = judged(world, broken)
    assert RejectCode(int(proposal.code)).name == code
    assert (int(proposal.approved_qty), int(proposal.reserved)) == (0, 0)
    assert proposal.measured != proposal.limit


@pytest.mark.parametrize("within", [within for _, _, within in CODES], ids=IDS)
def test_passes_at_the_border(world, within) -> None:
    proposal = judged(world, within)
    assert RejectCode(int(proposal.code)).name == "NONE"
    asked = within.get("ask.qty", 100) * within.get("limits.size_bps", 10_000) // 10_000
    assert int(proposal.approved_qty) == asked


def test_measured_and_limit_are_the_numbers_that_decided(world) -> None:
    proposal = judged(world, {"limits.max_position_bps": 999})
    assert (int(proposal.measured), int(proposal.limit)) == (E11, 99_900_000_000)


IN_ORDER = [
    ("MIN_QTY", {"world.min_qty": 101}),
    ("MIN_ORDER_NOTIONAL", {"limits.min_order_notional": 2 * E11}),
    ("MAX_ORDER_NOTIONAL", {"limits.max_order_notional": 1}),
    ("MAX_POSITION_QTY", {"limits.max_position_qty": 1}),
    ("MAX_POSITION_NOTIONAL", {"limits.max_position_notional": 1}),
    ("MAX_POSITION_PCT_EQUITY", {"limits.max_position_bps": 1}),
    ("MAX_OPEN_POSITIONS", {"account_limits.max_open_positions": 0}),
    ("MAX_SYMBOL_CONCENTRATION", {"limits.max_concentration_bps": 1}),
    ("INSUFFICIENT_BALANCE", {"account.margin": 10**12}),
    ("MAX_LEVERAGE", {"account_limits.max_leverage_bps": 1}),
    ("MAX_DAILY_LOSS", {"account.day_open_equity": 2 * 10**12, "account_limits.max_daily_loss_bps": 1}),
    ("MAX_DRAWDOWN", {"account.peak_equity": 2 * 10**12, "account_limits.max_drawdown_bps": 1}),
    ("SHORT_NOT_ALLOWED", {"ask.side": -1, "account_limits.shorts_allowed": 0}),
    ("RATE_LIMITED", {"account_limits.window_seconds": 60, "account_limits.max_orders_per_window": 0}),
    ("ORDER_GAP", {"account.last_order_at": NOW - 1, "account_limits.order_gap_seconds": 60}),
    ("COOLDOWN", {"position.last_exit_at": NOW - 1, "account_limits.cooldown_seconds": 60}),
    ("DUPLICATE", {"position.pending_action": 2}),
    ("STALE_CANDLES", {"symbol.bar_state": 0}),
    ("SPREAD_TOO_WIDE", {"symbol.control": RejectCode.SPREAD_TOO_WIDE}),
    ("SYMBOL_NOT_ALLOWED", {"symbol.in_universe": 0}),
    ("KILL_SWITCH", {"account_limits.halt": Halt.HALT_ALL}),
]


@pytest.mark.parametrize("first", range(len(IN_ORDER)), ids=[code for code, _ in IN_ORDER])
def test_the_first_failing_check_in_the_order_of_the_enum_is_the_code(world, first) -> None:
    changes = {path: value for _, change in IN_ORDER[first:] for path, value in change.items()}
    assert RejectCode(int(judged(world, changes).code)).name == IN_ORDER[first][0]


def test_exits_pass_everything_but_halt_all(world) -> None:
    changes = {path: value for _, change in IN_ORDER[:-1] for path, value in change.items()}
    changes |= {"position.pending_action": 0, "position.qty": 7, "position.last_price": 1_000, "ask.action": 2,
                "ask.reason": ExitReason.FLATTEN, "account_limits.halt": Halt.CLOSE_ONLY}  # fmt: skip
    passed = judged(world, changes)
    assert (int(passed.code), int(passed.approved_qty), int(passed.side)) == (0, 7, -1)
    stopped = judged(world, changes | {"account_limits.halt": Halt.HALT_ALL})
    assert (RejectCode(int(stopped.code)).name, int(stopped.approved_qty)) == ("KILL_SWITCH", 0)


@pytest.mark.parametrize(("position", "code"), [
    pytest.param({}, "QTY_ZERO", id="nothing to close"),
    pytest.param({"position.qty": 7, "position.pending_action": 2}, "DUPLICATE", id="already on its way"),
])  # fmt: skip
def test_exits_that_change_nothing_are_refused(world, position, code) -> None:
    assert RejectCode(int(judged(world, {"ask.action": 2, **position}).code)).name == code


class TestApprovalsOfOneTickAddUp:
    """Two or three entries of 1,000 quote each, judged one after another."""

    def codes(self, account, n=2):
        proposals = account.ask(*[{"symbol": s} for s in range(n)])
        return [RejectCode(int(p.code)).name for p in proposals]

    def test_cash(self, world) -> None:
        assert self.codes(world(2, capital=2 * E11 - 1)) == ["NONE", "INSUFFICIENT_BALANCE"]
        assert self.codes(world(2, capital=2 * E11)) == ["NONE", "NONE"]

    def test_open_positions(self, world) -> None:
        account = world(3)
        account.account_limits.max_open_positions = 2
        assert self.codes(account, 3) == ["NONE", "NONE", "MAX_OPEN_POSITIONS"]

    def test_leverage(self, world) -> None:
        account = world(2)
        account.account_limits.max_leverage_bps = 1_999
        assert self.codes(account) == ["NONE", "MAX_LEVERAGE"]

    def test_concentration_over_the_same_base(self, world) -> None:
        account = world(3, group=[0, 1, 0])
        account.limits.max_concentration_bps = 1_500
        assert self.codes(account, 3) == ["NONE", "NONE", "MAX_SYMBOL_CONCENTRATION"]

    def test_rate_and_gap(self, world) -> None:
        account = world(2)
        account.account_limits.window_seconds, account.account_limits.max_orders_per_window = 60, 1
        assert self.codes(account) == ["NONE", "RATE_LIMITED"]
        account = world(2)
        account.account_limits.order_gap_seconds = 1
        assert self.codes(account) == ["NONE", "ORDER_GAP"]

    def test_two_proposals_for_one_symbol(self, world) -> None:
        proposals = world().ask({}, {})
        assert [RejectCode(int(p.code)).name for p in proposals] == ["NONE", "DUPLICATE"]

    def test_proceeds_of_a_pending_exit_are_not_there_yet(self, world) -> None:
        account = world(2, capital=E11, is_perp=0)
        account.ask({"symbol": 0})
        account.bar((1_000,) * 4, (1_000,) * 4)
        leave, enter = account.ask({"symbol": 0, "action": 2, "reason": ExitReason.SIGNAL}, {"symbol": 1})
        assert (int(leave.code), RejectCode(int(enter.code)).name) == (0, "INSUFFICIENT_BALANCE")


def test_the_ring_forgets_orders_older_than_the_window(world) -> None:
    account = world()
    account.account_limits.window_seconds, account.account_limits.max_orders_per_window = 2 * 3_600, 1
    codes = []
    for _ in range(5):
        codes.append(RejectCode(int(account.ask({})[0].code)).name)
        account.bar((1_000,) * 4, bar_state=0)
    assert codes == ["NONE", "RATE_LIMITED", "NONE", "RATE_LIMITED", "NONE"]
