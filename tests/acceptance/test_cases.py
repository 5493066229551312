"""Small inputs made after public reports on comparable systems, each with the value that is right."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from openclaw_pipelines.cli import main
from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.resources.clock import ReplayedClock
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.market.archive.errors import ConflictingFilesError
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.world import World, open_market, open_store
from openclaw_pipelines.services.evaluation.evaluator import Evaluator
from openclaw_pipelines.services.market.examination import examine_candles
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.runner import Runner
from openclaw_pipelines.settings import load_settings

pytestmark = pytest.mark.shared_data
LATER = "2025-06-01"


BTC, XRP = "BTC/USDT:USDT", "XRP/USDT:USDT"


@pytest.fixture
def folder(tmp_path: Path, shared_cases: Path) -> Callable[[str], Path]:
    """The files of a case, in a folder of its own."""

    def copied(name: str) -> Path:
        shutil.copytree(shared_cases / name, tmp_path / name)
        return tmp_path / name

    return copied


@pytest.fixture
def case(folder: Callable[[str], Path]) -> Callable[..., World]:
    """An autopilot over the files of a case, which has asked for some days of them."""

    def opened(name: str, *days: str, prepare: Callable[[Path], object] = lambda _: None) -> World:
        own = folder(name)
        prepare(own)
        environ = {"OPENCLAW_DATA_DIR": str(own / "data")}

        def settings() -> object:
            return load_settings(environ, path=own / "c.yaml")

        now = settings()
        world = World(settings, open_store(now), open_market(now), ReplayedClock(day_start(LATER)), PaperExecutor())
        Ingest.of(world).instruments(world.clock.now())
        for day in days:
            ask(world, day)
        return world

    return opened


def ask(world: World, day: str) -> None:
    """Bring in a day as the market's assets do."""
    Ingest.of(world).candles_day(day, world.clock.now())
    Ingest.of(world).funding_day(day, world.clock.now())
    compute_features(world, day)


def found(world: World, day: str) -> dict[str, object]:
    return {result.name: result for result in examine_candles(world, day)}


def errors(world: World, day: str) -> set[str]:
    return {name for name, result in found(world, day).items() if not result.passed and result.severity == "error"}


def hours(world: World, symbol: str, day: str) -> list[dict[str, object]]:
    """The stored hours of a day."""
    start = day_start(day)
    return market_tables.candles(world.store, world.source, [symbol], "1h", start, start + timedelta(days=1)).to_dicts()


def inventory(own: Path) -> tuple[int, dict[str, dict[str, object]], str]:
    """Exit code, rows by file and what was said of `openclaw market inventory`."""
    environ = {"OPENCLAW_CONFIG": str(own / "c.yaml")}
    done = CliRunner().invoke(main, ["market", "inventory", "--json"], env=environ)
    return done.exit_code, {row["file"]: row for row in json.loads(done.stdout)}, done.stderr


def test_a_price_that_is_a_thousand_times_higher_from_midnight_on(case) -> None:
    world = case("jump-at-midnight", "2025-05-01", "2025-05-02")
    moves = found(world, "2025-05-02")["outlier_moves"]
    assert not moves.passed
    bar = moves.cases.row(0, named=True)
    assert (bar["symbol"], bar["ts"], bar["close"]) == ("NEAR/USDT:USDT", day_start("2025-05-02"), 13.50102)
    assert bar["move_bps"] == pytest.approx((13.50102 / 0.01345 - 1) * 10_000, abs=0.01)


def test_bars_of_an_older_price_step_are_named_with_the_unit_that_holds_them(case) -> None:
    world = case("older-price-step", "2021-03-02")
    found = {result.name: result for result in examine_candles(world, "2021-03-02")}["off_unit"]
    assert (found.passed, found.severity) == (False, "error")
    first = (
        "the first is BTC/USDT:USDT 15m of 2021-03-02T00:00Z: its price 49681.98 is no multiple of the price unit 0.1"
    )
    assert first in found.sentence
    assert "give BTC/USDT:USDT the price_unit 0.01 (an archive: in its instruments.yaml)" in found.sentence
    refused = Ingest.of(world).candles_day("2021-03-02", world.clock.now()).refused[0]
    assert first in str(refused.problem)


def test_buying_and_holding_two_coins_of_which_one_dies(case) -> None:
    days = ("2025-05-03", "2025-05-04", "2025-05-05")
    world = case("benchmark-without-the-dead", "2025-05-01", "2025-05-02", *days)
    held = []
    for day in days:
        Runner.of(world).run_day("mom", day, live=False)
        rows = Evaluator.of(world).metrics("mom", day).rows_by_key(["scope", "name"], named=True, unique=True)
        held.append(rows["to_date", "buy_and_hold_return"])
    assert [round(row["value"], 4) for row in held] == [-0.4937, -0.4955, -0.4961]
    assert [row["sample_size"] for row in held] == [2, 2, 2]


def test_an_empty_line_at_the_end_of_a_file(folder) -> None:
    code, rows, _ = inventory(folder("blank-last-line"))
    assert (code, [(row["rows"], row["problem"]) for row in rows.values()]) == (0, [(24, None)])


def test_a_delisted_symbol_stops_none_of_the_others(case) -> None:
    days = ("2025-05-01", "2025-05-02", "2025-05-03", "2025-05-04")
    world = case("delisted-symbol", *days)
    assert [errors(world, day) for day in days] == [set()] * 4
    coverage = found(world, "2025-05-03")["coverage"]
    assert "XRP/USDT:USDT 1h on 2025-05-03, whose last bar is of 2025-05-02T08:00Z" in coverage.sentence
    assert "delisted_at" in coverage.sentence
    assert not coverage.passed
    for day in ("2025-05-03", "2025-05-04"):
        assert Runner.of(world).run_day("mom", day, live=False).taken == 24
    features = world.store.table("features").filter(symbol=BTC)
    assert features.filter(features["ts"] >= day_start("2025-05-03")).height == 48


def test_a_symbol_whose_delisting_is_known_is_not_missed(case) -> None:
    def say_so(own: Path) -> None:
        (own / "binance_usdm" / "instruments.yaml").write_text(DELISTED)

    world = case("delisted-symbol", "2025-05-01", "2025-05-02", "2025-05-03", prepare=say_so)
    for day in ("2025-05-02", "2025-05-03"):
        assert {name for name in ("coverage", "freshness", "gaps") if not found(world, day)[name].passed} == set()


DELISTED = """
linear:
  instruments:
    XRP/USDT:USDT:
      {price_unit: "0.0001", lot: "0.1", min_notional: "5", taker_fee_rate: "0.0005", max_leverage: 20,
       maintenance_margin_rate: "0.01", liquidation_fee_rate: "0.0125", funding_interval_hours: 8,
       delisted_at: 2025-05-02T09:00:00Z}
"""


def test_a_folder_with_files_of_another_kind_is_no_problem(tmp_path: Path, shared_data: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "market: {source: archive, archive_dir: binance_usdm, symbols: ['XRP/USDT:USDT'], intervals: [1h]}\n"
        "strategies: {mom: {family: momentum, interval: 1h, start_day: 2025-05-02}}\n"
    )
    (tmp_path / "binance_usdm").mkdir()
    for path in sorted((shared_data / "raw" / "dev" / "freqtrade").glob("XRP_*")):
        shutil.copy(path, tmp_path / "binance_usdm")
    code, rows, _ = inventory(tmp_path)
    assert (code, {row["problem"] for row in rows.values()}) == (0, {None})
    assert "it is not read" in str(rows["XRP_USDT_USDT-8h-mark.feather"]["note"])


def test_a_candle_that_was_open_when_its_file_was_written(case) -> None:
    written = datetime(2025, 5, 2, 11, 20, tzinfo=UTC).timestamp()
    world = case(
        "last-candle-still-open",
        *("2025-05-01", "2025-05-02"),
        prepare=lambda own: os.utime(own / "binance_usdm" / "BTCUSDT-1h-2025-05.csv", (written, written)),
    )
    assert hours(world, BTC, "2025-05-02")[-1]["ts"] == datetime(2025, 5, 2, 10, tzinfo=UTC)
    (row,) = world.market.inventory().to_dicts()
    assert "the bar of 2025-05-02T11:00:00+00:00 was still open when the file was written" in row["note"]


def test_a_monthly_file_and_a_daily_one_that_differ(case, folder) -> None:
    own = folder("monthly-against-daily")
    code, rows, said = inventory(own)
    differ = "differ in 3 row(s), 2025-05-02T09:00:00+00:00 to 2025-05-02T11:00:00+00:00"
    assert code == 1
    assert all(differ in row["problem"] for row in rows.values())
    assert "2 of 2 file(s)" in said
    shutil.rmtree(own)
    with pytest.raises(ConflictingFilesError, match="differ in 3 row"):
        case("monthly-against-daily", "2025-05-01", "2025-05-02")


def test_a_daily_file_may_be_trusted_before_a_monthly_one(case) -> None:
    def trust(own: Path) -> None:
        text = (own / "c.yaml").read_text()
        prefer = "  archive_dir: binance_usdm\n  archive_prefer: ['*-????-??-??.*']\n"
        (own / "c.yaml").write_text(text.replace("  archive_dir: binance_usdm\n", prefer))

    world = case("monthly-against-daily", "2025-05-01", "2025-05-02", "2025-05-03", prepare=trust)
    daily = (world.settings().archive_dir / "BTCUSDT-1h-2025-05-02.csv").read_text().splitlines()
    rows = [line.split(",") for line in daily if line[0].isdigit()]
    stored = hours(world, BTC, "2025-05-02")
    assert [bar["close"] for bar in stored] == [float(row[4]) for row in rows]
    assert len(hours(world, BTC, "2025-05-03")) == 24


def test_pairs_in_stablecoins_are_read_as_the_venue_lists_them(folder) -> None:
    code, rows, _ = inventory(folder("stablecoin-quotes"))
    assert code == 0
    assert {row["symbol"] for row in rows.values()} == {
        "BTC/FDUSD", "ETH/FDUSD", "BTC/TUSD", "BTC/BUSD", "BNB/BUSD", "ETH/USDC"
    }  # fmt: skip


def test_an_hour_follows_its_quarters_when_a_truncated_file_is_mended(case) -> None:
    world = case("truncated-day", "2025-05-01", "2025-05-02")
    seven = hours(world, BTC, "2025-05-02")[-1]
    assert (seven["ts"], seven["close"], seven["parts"], seven["parts_expected"]) == (
        datetime(2025, 5, 2, 7, tzinfo=UTC), 96138.1, 2, 4
    )  # fmt: skip
    incomplete = found(world, "2025-05-02")["incomplete_bars"]
    assert incomplete.cases["ts"].to_list() == [seven["ts"]]
    assert incomplete.facts["count_as_absent"] == 1
    short = world.settings().archive_dir / "BTCUSDT-15m-2025-05-02.csv"
    shutil.copy(short.parent.parent / "fixed" / short.name, short)
    ask(world, "2025-05-02")
    mended = hours(world, BTC, "2025-05-02")
    assert len(mended) == 24
    assert [mended[7][name] for name in ("close", "volume", "parts")] == [96175.3, pytest.approx(45.194), 4]
    assert found(world, "2025-05-02")["incomplete_bars"].passed
    assert found(world, "2025-05-02")["revisions"].passed


def test_an_hour_that_a_recorded_tick_has_read_stays(case) -> None:
    world = case("truncated-day", "2025-05-01", "2025-05-02")
    assert Runner.of(world).run_day("mom", "2025-05-02", live=False).taken == 24
    short = world.settings().archive_dir / "BTCUSDT-15m-2025-05-02.csv"
    shutil.copy(short.parent.parent / "fixed" / short.name, short)
    ask(world, "2025-05-02")
    assert hours(world, BTC, "2025-05-02")[7]["close"] == 96138.1
    assert found(world, "2025-05-02")["revisions"].facts["revised_rows"] == 1


def test_the_working_folder_is_readable_in_an_error(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothere.yaml")
    done = CliRunner().invoke(main, ["status"], env={"PWD": str(tmp_path), "OPENCLAW_CONFIG": missing})
    assert done.exit_code == 1
    assert missing in done.stderr
