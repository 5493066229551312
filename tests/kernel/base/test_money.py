"""Integer money against Python's unbounded integers and fractions."""

from decimal import ROUND_FLOOR, Context, Decimal, Inexact, localcontext
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.symbols import UnknownSymbolError
from openclaw_pipelines.kernel.account.instruments import Instrument, InstrumentError, instrument_records
from openclaw_pipelines.kernel.base import money
from openclaw_pipelines.kernel.base.layout import INSTRUMENT, SYMBOL_TICK, new_limits, new_state, records

atoms = st.integers(0, 10**17)
rates = st.integers(0, money.MAX_RATE)
examples = settings(max_examples=80, deadline=None)


@examples
@given(atoms, rates)
def test_rates_round_against_the_account(amount, rate) -> None:
    exact = Fraction(amount * rate, 10**10)
    assert (money.rate_up(amount, rate), money.rate_down(amount, rate)) == (ceil(exact), floor(exact))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from((1, -1)), st.integers(0, 10**17) | st.integers(10**17 - 10**10, 10**17),
       st.integers(-9 * 10**11, 9 * 10**11))  # fmt: skip
def test_funding_of_stamps_together_is_exact(side, notional, rate) -> None:
    """Up to a thousand times the largest single rate, to the atom against the account."""
    with localcontext(Context(prec=40, traps=[Inexact])):
        exact = Decimal(-side) * notional * rate / 10**10
    assert money.funding_of(side, notional, rate) == int(exact.to_integral_value(ROUND_FLOOR))


@examples
@given(st.integers(0, money.EQUITY_MAX), st.integers(0, money.MAX_BPS))
def test_mul_div_where_the_plain_product_overflows(amount, bps) -> None:
    assert money.mul_div(amount, bps, 10_000) == amount * bps // 10_000
    assert money.share(amount, bps) == amount * bps // 10_000
    assert money.share(-amount, bps) == 0


@examples
@given(atoms, st.integers(10_000, money.MAX_BPS))
def test_margin(notional, leverage_bps) -> None:
    assert money.margin_of(notional, leverage_bps) == ceil(Fraction(notional * 10_000, leverage_bps))


def instrument(**fields):
    row = records(INSTRUMENT, 1)
    row.mult = row.step_units = row.is_perp = 1
    row.max_leverage_bps = 1_000_000
    for name, value in fields.items():
        row[name] = value
    return row


@examples
@given(st.integers(-10, 10**15), st.integers(1, 10**8), st.integers(1, 10**4), rates,
       st.integers(10_000, 1_000_000), st.sampled_from((0, 1)))  # fmt: skip
def test_affordable_is_the_most_that_costs_no_more(free_cash, price, mult, rate, leverage_bps, is_perp) -> None:
    spec = instrument(mult=mult, taker_rate=rate, is_perp=is_perp)[0]
    qty = int(money.affordable(free_cash, price, spec, leverage_bps))

    def cost(lots):
        notional = lots * price * mult
        margin = ceil(Fraction(notional * 10_000, leverage_bps)) if is_perp else notional
        return margin + ceil(Fraction(notional * rate, 10**10))

    assert qty == 0 or cost(qty) <= free_cash
    assert cost(qty + 1) > free_cash


@examples
@given(st.sampled_from((1, -1)), st.integers(1, 10**5), st.integers(10, 10**7), st.integers(1, 10**4),
       st.integers(10_000, 500_000), st.integers(0, 150))  # fmt: skip
def test_liquidation_price_is_where_only_the_maintenance_margin_is_left(
    side, qty, entry, mult, leverage_bps, maintenance_bps
) -> None:
    margin = ceil(Fraction(qty * entry * mult * 10_000, leverage_bps))
    level = int(
        money.liquidation_price(side, qty, entry, margin, instrument(mult=mult, maintenance_bps=maintenance_bps)[0])
    )
    keep = Fraction(maintenance_bps, 10_000)
    value = Fraction(qty * mult)
    exact = (entry * value - side * margin) / (value * (1 - side * keep))
    assert level == (max(ceil(exact), 0) if side > 0 else floor(exact))


STEPS = [
    pytest.param(123_456, 1, 0, 0, 1, id="fixed, finest"),
    pytest.param(123_456, 50, 0, 0, 50, id="fixed, coarser than the unit"),
    pytest.param(99_999, 1, 5, 0, 1, id="five digits fit"),
    pytest.param(100_000, 1, 5, 0, 10, id="a sixth digit"),
    pytest.param(12_345_678, 1, 5, 0, 1_000, id="eight digits"),
    pytest.param(12_345_678, 1, 5, 100, 100, id="whole prices are always allowed"),
    pytest.param(5, 10, 5, 0, 10, id="not below the finest tick"),
]


@pytest.mark.parametrize(("price", "step_units", "digits", "most", "step"), STEPS)
def test_price_step(price, step_units, digits, most, step) -> None:
    assert money.price_step(price, step_units, digits, most) == step


@pytest.mark.parametrize(("price", "side", "rate", "filled"), [
    pytest.param(100_000, 1, 10**7, 100_100, id="buys up"),
    pytest.param(100_000, -1, 10**7, 99_900, id="sells down"),
    pytest.param(123_456, 1, 0, 123_460, id="onto the five-digit tick, up"),
    pytest.param(123_456, -1, 0, 123_450, id="onto the five-digit tick, down"),
    pytest.param(3, -1, 10**7, 2, id="one unit at least"),
    pytest.param(1, -1, 10**7, 1, id="never to nothing"),
])  # fmt: skip
def test_slippage_lands_on_the_tick(price, side, rate, filled) -> None:
    assert money.slipped(price, side, rate, instrument(significant_digits=5)[0]) == filled


@pytest.mark.parametrize(("unit", "lot", "expected"), [
    pytest.param("0.01", "0.00001", ("0.00001", 10), id="BTC spot"),
    pytest.param("0.1", "0.001", ("0.001", 10_000), id="BTC perpetual"),
    pytest.param("0.00000001", "1", ("1", 1), id="priced at 1e-8"),
    pytest.param("0.00000001", "0.1", ("1.0", 1), id="a tenth of an atom: ten lots"),
    pytest.param("0.0000001", "0.25", ("0.50", 5), id="2.5 atoms: two lots"),
])  # fmt: skip
def test_kernel_lot(unit, lot, expected) -> None:
    size, count = money.kernel_lot(Decimal(unit), Decimal(lot))
    assert (size, count) == (Decimal(expected[0]), expected[1])
    assert size * Decimal(unit) == count * money.ATOM


class TestToUnits:
    @given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20), st.integers(0, 8))
    @examples
    def test_recovers_every_written_price(self, units, decimals) -> None:
        unit = Decimal(1).scaleb(-decimals)
        prices = np.array([float(unit * value) for value in units])
        assert money.to_units(prices, unit, "X/Y").tolist() == units

    def test_a_unit_that_is_no_power_of_ten(self) -> None:
        assert money.to_units(np.array([0.5, 100.25]), Decimal("0.25"), "X/Y").tolist() == [2, 401]

    @pytest.mark.parametrize("price", [
        pytest.param(100.005, id="half a unit off"),
        pytest.param(100.00000002, id="two millionths of a unit off"),
        pytest.param(0.0, id="nothing"),
        pytest.param(float("nan"), id="no number"),
        pytest.param(float("inf"), id="infinite"),
    ])  # fmt: skip
    def test_off_its_unit(self, price) -> None:
        with pytest.raises(money.PriceUnitError) as refused:
            money.to_units(np.array([100.01, price]), Decimal("0.01"), "X/Y")
        assert (refused.value.symbol, refused.value.row) == ("X/Y", 1)

    def test_within_a_millionth(self) -> None:
        assert money.to_units(np.array([100.010000005]), Decimal("0.01"), "X/Y").tolist() == [10_001]


RANGES = [
    pytest.param({}, {}, 10**15, (1, 1_000), None, id="ten million and a price at 1e-8 that moves a thousandfold"),
    pytest.param({}, {}, 10**15 + 1, (1, 2), "capital in atoms", id="more capital"),
    pytest.param({}, {}, 0, (1, 2), "capital in atoms", id="none"),
    pytest.param({}, {}, 10**12, (1, 5_000), "reachable value in atoms", id="the price moves too far"),
    pytest.param({}, {}, 10**12, (0, 5), "price", id="a price of nothing"),
    pytest.param({"taker_rate": money.MAX_RATE + 1}, {}, 10**12, (1, 2), "taker_rate", id="fee"),
    pytest.param({"mult": 0}, {}, 10**12, (1, 2), "mult", id="lot"),
    pytest.param({"maintenance_bps": 500}, {"leverage_bps": 200_000}, 10**12, (1, 2), "maintenance_bps",
                 id="margin below maintenance"),
    pytest.param({}, {"leverage_bps": 9_999}, 10**12, (1, 2), "leverage_bps", id="leverage below 1"),
    pytest.param({"max_leverage_bps": 50_000}, {"leverage_bps": 50_001}, 10**12, (1, 2), "leverage_bps",
                 id="leverage above the instrument's"),
    pytest.param({}, {"max_position_notional": 10**18}, 10**12, (1, 2), "max_position_notional", id="position"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "changed", "capital", "prices", "what"), RANGES)
def test_ranges_are_proved_before_a_run(fields, changed, capital, prices, what) -> None:
    limits = new_limits(1)
    for name, value in changed.items():
        limits[name] = value
    low, high = (np.array([price]) for price in prices)
    if what is None:
        money.prove_ranges(instrument(**fields), limits, capital, low, high)
        largest = int(limits.max_position_notional[0]) * prices[1] // prices[0]
        assert money.EQUITY_MAX + 2 * largest <= money.INT64_MAX
        return
    with pytest.raises(money.MoneyRangeError) as refused:
        money.prove_ranges(instrument(**fields), limits, capital, low, high)
    assert refused.value.what == what


def test_a_live_tick_that_goes_too_far_is_refused() -> None:
    state = new_state(np.zeros((1, 1)), 10**12, 0)
    state.positions.qty = 10**6
    symbols = records(SYMBOL_TICK, 1)
    symbols.high = 10**12
    money.prove_tick(state, symbols, instrument())
    symbols.high = 3 * 10**12
    with pytest.raises(money.MoneyRangeError, match="column 0"):
        money.prove_tick(state, symbols, instrument())


class TestInstrument:
    def test_record(self) -> None:
        spec = Instrument(
            symbol="BTC/USDC:USDC", price_unit=Decimal("0.1"), lot=Decimal("0.00001"), significant_digits=5,
            min_qty=Decimal("0.000021"), min_notional=Decimal(10), taker_fee_rate=Decimal("0.00045"),
            maintenance_margin_rate=Decimal("0.0125"), max_leverage=40,
        )  # fmt: skip
        row = instrument_records([spec])[0]
        assert {name: int(row[name]) for name in INSTRUMENT.names} == {
            "mult": 100, "step_units": 1, "significant_digits": 5, "max_step_units": 10, "min_qty": 3,
            "min_notional": 10**9, "is_perp": 1, "taker_rate": 4_500_000, "liquidation_rate": 0,
            "maintenance_bps": 125, "max_leverage_bps": 400_000, "group": 0,
        }  # fmt: skip

    def test_spot_and_perpetual_of_a_base_share_their_group(self) -> None:
        names = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT")
        specs = [Instrument(symbol=name, price_unit=Decimal("0.1"), lot=Decimal(1)) for name in names]
        assert instrument_records(specs)["group"].tolist() == [0, 1, 0]

    def test_inverse_contracts_are_refused(self) -> None:
        with pytest.raises(UnknownSymbolError, match="inverse"):
            Instrument(symbol="BTC/USD:BTC", price_unit=Decimal("0.1"), lot=Decimal(1))

    @pytest.mark.parametrize("field", ["price_unit", "lot", "tick", "max_leverage"])
    def test_nonsense_is_refused(self, field) -> None:
        values = {"price_unit": Decimal("0.1"), "lot": Decimal(1), field: Decimal(0)}
        with pytest.raises(InstrumentError) as refused:
            Instrument(symbol="BTC/USDT:USDT", **values)
        assert refused.value.field == field
