from datetime import UTC, datetime
from decimal import Decimal

import pytest

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.symbols import market_type
from openclaw_pipelines.resources.market.instruments_file import (
    InstrumentsFileError,
    UnknownInstrumentError,
    UnknownVenueError,
    known_quotes,
    load_instruments,
    shipped_venues,
    venue_instruments,
)
from openclaw_pipelines.resources.market.simulated.profiles import PROFILES

NOW = datetime(2025, 5, 10, tzinfo=UTC)
EVERY = [(venue, symbol) for venue, known in sorted(shipped_venues().items()) for symbol in known]
GOOD = "spot:\n  defaults: {min_notional: '5', taker_fee_rate: '0.001'}\n  instruments:\n"


def test_rows_in_the_order_asked_for():
    rows = load_instruments("binance_usdm", ["SOL/USDT:USDT", "BTC/USDT:USDT"], NOW, source="archive:x")
    sol, btc = rows.to_dicts()
    assert (sol["source"], sol["symbol_normalized"], sol["base"], sol["quote"]) == (
        "archive:x",
        "SOLUSDT-PERP",
        "SOL",
        "USDT",
    )
    assert (sol["price_unit"], sol["tick"], sol["lot"]) == (Decimal("0.001"), Decimal("0.01"), Decimal("0.01"))
    assert (btc["price_unit"], btc["min_notional"], btc["max_leverage"]) == (Decimal("0.1"), Decimal(100), 125)
    assert btc["listed_at"] == datetime(2019, 9, 25, tzinfo=UTC)
    assert btc["updated_at"] == NOW
    assert btc["state"] == "tradable"


@pytest.mark.parametrize(("venue", "symbol"), EVERY, ids=[f"{venue} {symbol}" for venue, symbol in EVERY])
def test_every_shipped_instrument_keeps_the_rules_the_kernel_needs(venue, symbol):
    rules = shipped_venues()[venue][symbol]
    assert rules.tick % rules.price_unit == 0
    assert rules.price_unit >= Decimal("1e-8"), "an atom of the quote currency"
    assert rules.lot >= Decimal("1e-8")
    assert rules.min_qty % rules.lot == 0
    assert Decimal(0) < rules.taker_fee_rate < Decimal("0.01")
    if market_type(symbol) is MarketType.SPOT:
        assert (rules.max_leverage, rules.maintenance_margin_rate, rules.funding_interval_hours) == (1, 0, None)
    else:
        assert rules.maintenance_margin_rate * rules.max_leverage <= 1, (
            "a position at full leverage is not liquidated at once"
        )
        assert rules.funding_interval_hours in (1, 8)


def test_the_simulated_market_has_what_a_benchmark_of_twenty_symbols_needs():
    simulated = shipped_venues()["simulated"]
    perpetuals = [symbol for symbol in simulated if market_type(symbol) is MarketType.LINEAR]
    assert len(perpetuals) == len(PROFILES) >= 25
    assert {symbol.split("/")[0] for symbol in simulated} == set(PROFILES)
    assert {"BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "BNB/USDT"} <= set(simulated)


def test_quotes_cover_every_shipped_instrument():
    assert {symbol.split("/")[1].split(":")[0] for _, symbol in EVERY} <= known_quotes()


@pytest.mark.parametrize(
    ("venue", "symbol", "error", "says"),
    [
        pytest.param("binance", "BTC/USDT", UnknownVenueError, "'binance' .known: binance_spot", id="unknown venue"),
        pytest.param("simulated", "BTC/USDC", UnknownInstrumentError, "did you mean BTC/USDT", id="near a known one"),
        pytest.param("simulated", "QQQ/ZZZ", UnknownInstrumentError, r"'QQQ/ZZZ'\. Correct", id="near none"),
    ],
)
def test_unknown_names(venue, symbol, error, says):
    with pytest.raises(error, match=says):
        load_instruments(venue, [symbol], NOW)


def test_a_file_in_the_folder_is_read_first_and_adds_to_the_shipped_one(tmp_path):
    (tmp_path / "instruments.yaml").write_text(
        GOOD + "    BTC/USDT: {price_unit: '0.5', lot: '0.1'}\n    A/B: {price_unit: '1', lot: '1'}\n"
    )
    known = venue_instruments("binance_spot", tmp_path)
    assert (known["BTC/USDT"].price_unit, known["A/B"].lot) == (Decimal("0.5"), Decimal(1))
    assert known["ETH/USDT"].price_unit == Decimal("0.01")
    assert list(venue_instruments("mine", tmp_path)) == ["BTC/USDT", "A/B"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: [", "not YAML", id="no YAML"),
        pytest.param("- 1", "expected the keys `spot` or `linear` only", id="a list"),
        pytest.param("futures: {}", "expected the keys `spot` or `linear` only", id="unknown market type"),
        pytest.param("spot: {default: {}}", "expected the keys `defaults` and `instruments`", id="unknown section"),
        pytest.param(
            GOOD + "    A/B: {price_unit: '1', lot: '1', lots: '2'}",
            "unknown key 'lots'; did you mean lot",
            id="unknown key",
        ),
        pytest.param(
            GOOD + "    A/B:B: {price_unit: '1', lot: '1'}", "this is no spot symbol", id="perpetual under spot"
        ),
        pytest.param(GOOD + "    A/B: {lot: '1'}", "lacks price_unit, tick", id="no price unit"),
        pytest.param(
            GOOD + "    A/B: {price_unit: 0.1, lot: '1'}", "price_unit must be quoted, as '0.1'", id="float for money"
        ),
        pytest.param(GOOD + "    A/B: {price_unit: 'x', lot: '1'}", "price_unit 'x' is no number", id="no number"),
        pytest.param(GOOD + "    A/B: {price_unit: '0', lot: '1'}", "must be above 0", id="unit of zero"),
        pytest.param(
            GOOD + "    A/B: {price_unit: '0.3', tick: '1', lot: '1'}",
            "tick 1 is no multiple of 0.3",
            id="tick off unit",
        ),
        pytest.param(
            GOOD + "    A/B: {price_unit: '1', lot: '1', listed_at: soon}", "listed_at 'soon' is no day", id="no day"
        ),
        pytest.param(
            GOOD + "    A/B: {price_unit: '1', lot: '1', delisted_at: 2025-05-02 09:00:00}",
            "delisted_at 2025-05-02 09:00:00 has no zone",
            id="time without a zone",
        ),
        pytest.param(
            GOOD + "    A/B: {price_unit: '1', lot: '1', listed_at: 2025-05-03, delisted_at: 2025-05-02}",
            "delisted_at 2025-05-03 is not after listed_at",
            id="gone before it came",
        ),
    ],
)
def test_malformed_files_say_where(tmp_path, text, says):
    (tmp_path / "instruments.yaml").write_text(text)
    with pytest.raises(InstrumentsFileError, match=says) as caught:
        venue_instruments("mine", tmp_path)
    assert caught.value.file == str(tmp_path / "instruments.yaml")


@pytest.mark.parametrize(
    ("written", "listed_at", "delisted_at"),
    [
        pytest.param("", None, None, id="not known"),
        pytest.param(
            ", listed_at: 2025-05-01, delisted_at: 2025-05-02",
            datetime(2025, 5, 1, tzinfo=UTC),
            datetime(2025, 5, 3, tzinfo=UTC),
            id="a day is traded to its end",
        ),
        pytest.param(
            ", delisted_at: 2025-05-02T11:00:00+02:00", None, datetime(2025, 5, 2, 9, tzinfo=UTC), id="a time"
        ),
    ],
)
def test_from_when_and_until_when_it_is_traded(tmp_path, written, listed_at, delisted_at):
    (tmp_path / "instruments.yaml").write_text(f"{GOOD}    A/B: {{price_unit: '1', lot: '1'{written}}}")
    row = load_instruments("mine", ["A/B"], datetime(2025, 6, 1, tzinfo=UTC), folder=tmp_path).row(0, named=True)
    assert (row["listed_at"], row["delisted_at"]) == (listed_at, delisted_at)
