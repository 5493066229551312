"""The archive over bars that exchanges really published: what it finds, and that instruments fit every bar."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.symbols import base_and_quote
from openclaw_pipelines.resources.market.archive.errors import EmptyFileError, GitLfsPointerError
from openclaw_pipelines.resources.market.archive.source import ArchiveMarket
from openclaw_pipelines.resources.market.instruments_file import UnknownVenueError, venue_instruments

pytestmark = pytest.mark.shared_data

EVER = (datetime(2010, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
SPOT, LINEAR = MarketType.SPOT, MarketType.LINEAR
VENUES = [
    ("binance_usdm", None),
    ("binance_vision_usdm", None),
    ("binance_spot", None),
    ("binanceus_spot", None),
    ("kraken_spot", None),
    ("bybit_linear", None),
    ("bybit_spot", None),
    ("hyperliquid_perp", None),
    ("freqtrade_testdata", SPOT),
    ("freqtrade_testdata", LINEAR),
]
IDS = [f"{venue}{f' as {kind.value}' if kind else ''}" for venue, kind in VENUES]


@pytest.mark.parametrize(("venue", "kind"), VENUES, ids=IDS)
def test_every_file_is_read_as_the_manifest_counts_it(shared_data: Path, venue, kind):
    manifest = [entry for entry in json.loads((shared_data / "manifest.json").read_text()) if entry["source"] == venue]
    expected = {
        (Path(entry["file"]).name, entry["qa"]["rows"], entry["qa"]["first"], entry["qa"]["last"]) for entry in manifest
    }
    found = ArchiveMarket(shared_data / venue, kind).inventory()
    minute = "%Y-%m-%d %H:%M"
    good = found.filter(pl.col("problem").is_null())
    rows = good.select("file", "rows", pl.col("first").dt.strftime(minute), pl.col("last").dt.strftime(minute)).rows()
    assert set(rows) <= expected
    # funding contradicts spot and stays unread there; all else is good
    refused = found.filter(pl.col("problem").is_not_null())
    assert len(rows) + refused.height == len(expected) > 0
    assert refused["file"].to_list() == (["XRP-USDT_funding_20211118_20211218.parquet"] if kind is SPOT else [])


@pytest.mark.parametrize(("venue", "kind"), VENUES, ids=IDS)
def test_every_price_lies_on_its_unit_and_every_symbol_has_an_instrument(shared_data: Path, venue, kind):
    known = venue_instruments(venue)
    seen = set()
    for path in sorted((shared_data / venue).glob("*.parquet")):
        base, quote = path.name.split("_")[0].split("-")
        symbols = [symbol for symbol in known if base_and_quote(symbol) == (base, quote)]
        assert symbols, f"{path.name} has no instrument"
        if "_funding_" in path.name:
            continue
        unit = known[symbols[0]].price_unit
        steps = float(1 / unit)
        prices = pl.read_parquet(path, columns=["open", "high", "low", "close"])
        in_steps = pl.all() * steps
        off = prices.select(pl.max_horizontal((in_steps - in_steps.round()).abs().max()))
        assert off.item() < 1e-6, f"{path.name} does not lie on {unit}; the kernel takes a millionth of it"
        seen.add(symbols[0])
    assert seen


def test_a_unit_one_digit_coarser_would_be_noticed(shared_data: Path):
    """Two minutes of SOL have a third decimal; on the tick of 0.01 they would not fit."""
    bars = ArchiveMarket(shared_data / "binance_usdm").candles("SOL/USDT:USDT", "1m", *EVER)
    opens = bars.filter(((pl.col("open") * 100).round() - pl.col("open") * 100).abs() > 1e-6)
    highs = bars.filter(((pl.col("high") * 100).round() - pl.col("high") * 100).abs() > 1e-6)
    assert (highs["high"].to_list(), opens["open"].to_list()) == ([174.733], [146.087])
    assert venue_instruments("binance_usdm")["SOL/USDT:USDT"].price_unit == Decimal("0.001")


def test_a_day_of_real_perpetuals(shared_data: Path):
    start = datetime(2025, 5, 10, tzinfo=UTC)
    market = ArchiveMarket(shared_data / "binance_usdm")
    day = market.candles("BTC/USDT:USDT", "1m", start, start + timedelta(days=1), EVER[2])
    assert day.height == 1440
    quarter = market.candles("BTC/USDT:USDT", "15m", start, start + timedelta(minutes=15), EVER[2])
    assert quarter.select("open", "high", "low", "close", "volume").rows() == [
        (102941.9, 103066.6, 102892.2, 102964.2, pytest.approx(1073.697))
    ]
    funding = market.funding_rates("BTC/USDT:USDT", start, start + timedelta(days=1), EVER[2])
    assert funding["ts"].dt.hour().to_list() == [0, 8, 16]
    assert funding["stamped_at"][0] == start + timedelta(milliseconds=1)


def test_files_as_users_have_them_equal_the_parquet(shared_data: Path):
    raw = shared_data / "raw" / "dev"
    pairs = [
        (raw / "binance_vision", LINEAR, "NEAR/USDT:USDT", "1m", shared_data / "binance_vision_usdm", None),
        (raw / "freqtrade", None, "XRP/USDT:USDT", "5m", shared_data / "freqtrade_testdata", LINEAR),
        (raw / "freqtrade", None, "XRP/USDT:USDT", "1h", shared_data / "freqtrade_testdata", LINEAR),
        (raw / "freqtrade", None, "UNITTEST/BTC", "1m", shared_data / "freqtrade_testdata", SPOT),
        (raw / "freqtrade", None, "BTC/USDC:USDC", "1h", shared_data / "hyperliquid_perp", None),
        (raw / "kraken_csv", SPOT, "BTC/USDC", "1m", shared_data / "kraken_spot", None),
    ]
    for folder, kind, symbol, interval, published, published_kind in pairs:
        own = ArchiveMarket(folder, kind).candles(symbol, interval, *EVER)
        expected = ArchiveMarket(published, published_kind).candles(symbol, interval, *EVER)
        # the recordings begin and end at different times
        shared = pl.col("ts").is_between(
            max(own["ts"].min(), expected["ts"].min()), min(own["ts"].max(), expected["ts"].max())
        )
        own, expected = own.filter(shared).drop("source"), expected.filter(shared).drop("source")
        assert expected.height > 90
        assert_frame_equal(own, expected, rel_tol=1e-12)


def test_defects_are_listed_with_their_reasons(shared_data: Path):
    market = ArchiveMarket(shared_data / "raw" / "dev" / "defects")
    problems = dict(market.inventory().select("file", "problem").rows())
    assert {file.split(".")[1]: problem.split(". ")[0].split(": ", 1)[-1] for file, problem in problems.items()} == {
        "zero_rows": "it has no rows",
        "lfs_pointer": "BTC_USDT_USDT-5m-futures.lfs_pointer.feather is a git-LFS pointer, not the data",
        "empty_list": "interval '4m' is none of 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d",
        "zero_bytes": "interval '8m' is none of 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d",
    }
    with pytest.raises(GitLfsPointerError):
        market.candles("BTC/USDT:USDT", "5m", *EVER)
    with pytest.raises(EmptyFileError):
        market.candles("ARB/USDT:USDT", "5m", *EVER)


def test_a_venue_without_instruments_is_refused(shared_data: Path):
    """FTX quoted volume in USD and its recording has invented minutes, so the project ships no instrument for it."""
    market = ArchiveMarket(shared_data / "ftx_perp")
    with pytest.raises(UnknownVenueError, match="ftx_perp"):
        market.instruments(["BTC/USD:USD"], EVER[2])


def test_the_halt_and_the_holes_stay_holes(shared_data: Path):
    halt = datetime(2023, 3, 24, tzinfo=UTC)
    bars = ArchiveMarket(shared_data / "binance_spot").candles(
        "BTC/USDT", "5m", halt, halt + timedelta(days=1), EVER[2]
    )
    assert (bars.height, bars.filter(pl.col("volume") == 0).height) == (288 - 16, 14)
    kraken = ArchiveMarket(shared_data / "kraken_spot").candles(
        "BTC/USDC", "1m", datetime(2023, 3, 1, tzinfo=UTC), datetime(2023, 3, 22, tzinfo=UTC), EVER[2]
    )
    assert kraken.height == 15_719 < 21 * 1440
