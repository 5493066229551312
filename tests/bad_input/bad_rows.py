# ruff: noqa: E501  a table, one row a line
"""The rows of the table: how each input is broken, what is run on it, and what must come of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from bad_scene import BTC, CYCLE, ETH, FIRST, NEXT, NOON, RECORDED, STRATEGY, Outcome, Scene, Tree

Setup = Callable[[Scene], Any]
Act = Callable[[Scene], Outcome]

ERROR, WARN = "ERROR", "WARN"
BLOCKED = "DagsterAssetCheckFailedError"
"""What Dagster calls a step that a blocking check ended; the check itself is in `failed`."""


@dataclass(frozen=True)
class Row:
    """One bad input.

    error: class of the named error; empty where a check only warns.
    says: what the message must hold: file, row, key, symbol, remedy.
    checks: failed check -> severity, exactly these.
    exit_code: of the command; 0 only for warnings.
    looks: whether it looks at the account first, as every command does that changes something.
    """

    setup: Setup
    act: Act
    error: str
    says: tuple[str, ...]
    checks: dict[str, str] = field(default_factory=dict)
    exit_code: int = 1
    recorded: bool = True
    looks: bool = False

    @property
    def evidence(self) -> list[str]:
        """Tables that what was found and looked at is written to; nothing else may change."""
        found = {"admin_actions", "configurations"} if self.looks else set()
        found |= {"parity_reports"} if "paper_replay_parity" in self.checks else set()
        return sorted(found | ({"notifications_outbox"} if ERROR in self.checks.values() else set()))


def nothing(_: Scene) -> None:
    """The scene as it is."""


def asked(*assets: str, partition: str | None = NEXT) -> Act:
    return lambda scene: scene.materialize(*assets, partition=partition)


def cycle(day: str = NEXT, strategy: str = STRATEGY) -> Act:
    return asked(*CYCLE, partition=f"{day}|{strategy}")


def command(*arguments: str) -> Act:
    return lambda scene: scene.openclaw(*(argument.replace("ROOT", str(scene.root)) for argument in arguments))


def row(name: str, setup: Setup, act: Act, error: str, *says: str, **more: Any) -> Any:
    return pytest.param(Row(setup, act, error, says, **more), id=name)


def both(*setups: Setup) -> Setup:
    def all_of(scene: Scene) -> None:
        for setup in setups:
            setup(scene)

    return all_of


# ---- configuration


def set_to(path: str, value: Any) -> Setup:
    """Set one key of autopilot.yaml; STRATEGY stands for the strategy's name."""

    def change(tree: Tree) -> None:
        *sections, last = path.replace("STRATEGY", STRATEGY).split(".")
        for section in sections:
            tree = tree.setdefault(section, {})
        tree[last] = value

    return lambda scene: scene.configure(change)


def drop(section: str, key: str) -> Setup:
    def change(tree: Tree) -> None:
        for name in section.replace("STRATEGY", STRATEGY).split("."):
            tree = tree[name]
        del tree[key]

    return lambda scene: scene.configure(change)


def with_variable(name: str, value: str) -> Setup:
    return lambda scene: scene.environ.update({name: value})


def append_text(text: str) -> Setup:
    return lambda scene: scene.config.write_text(scene.config.read_text() + text)


def overlay(text: str | None) -> Setup:
    """A live overlay with that text, or a folder in its place."""

    def place(scene: Scene) -> None:
        path = scene.data_dir / "overlay.yaml"
        path.mkdir() if text is None else path.write_text(text)

    return place


STATUS = command("status")
CONFIGURATION = [
    row("unknown key", set_to("risk.max_order_notionl", 5), STATUS, "UnknownSettingError", "risk.max_order_notional"),
    row("negative limit", set_to("risk.max_order_notional", -1), STATUS, "SettingValueError", "max_order_notional", "-1"),
    row("limit as text", set_to("risk.max_open_positions", "5"), STATUS, "SettingValueError", "max_open_positions"),
    row("key twice", append_text("account: other\n"), STATUS, "DuplicateSettingError", "account", "line"),
    row("no YAML", append_text("account: [\n"), STATUS, "ConfigSyntaxError", "autopilot.yaml line"),
    row("no family", drop("strategies.STRATEGY", "family"), STATUS, "MissingSettingError", "strategies.breakout.family"),
    row("unknown family", set_to("strategies.STRATEGY.family", "brekout"), STATUS, "SettingValueError", "brekout", "breakout"),
    row(
        "unknown parameter",
        set_to("strategies.STRATEGY.params.chanel_entry", 4),
        STATUS,
        "UnknownSettingError",
        "chanel_entry",
        "channel_entry",
    ),
    row(
        "parameter out of range",
        set_to("strategies.STRATEGY.params.channel_entry", 0),
        STATUS,
        "SettingValueError",
        "channel_entry is 0",
        "1 .. 5000",
    ),
    row("unknown interval", set_to("strategies.STRATEGY.interval", "7m"), STATUS, "SettingValueError", "7m", "5m"),
    row("symbol of no form", set_to("market.symbols", ["BTCUSDT"]), STATUS, "SettingValueError", "BTCUSDT"),
    row("start before the market", set_to("strategies.STRATEGY.start_day", "2025-01-01"), STATUS, "SettingConflictError", FIRST),
    row("limit of the account per symbol", set_to(f"symbols.{BTC}.risk.max_leverage_bps", 1), STATUS, "AccountWideLimitError", "max_leverage_bps"),
    row("secret in the file", set_to("market.exchange_options.apiKey", "k"), STATUS, "SecretInFileError", "apiKey", "OPENCLAW_EXCHANGE"),
    row("unknown variable", with_variable("OPENCLAW_MARKETS", "archive"), STATUS, "UnknownVariableError", "OPENCLAW_MARKET"),
    row("unknown source", with_variable("OPENCLAW_MARKET", "binance"), STATUS, "SettingValueError", "binance", "archive"),
    row("kill switch of no meaning", with_variable("OPENCLAW_KILL_SWITCH", "maybe"), STATUS, "SettingValueError", "maybe", "halt_all"),
    row("no folder set", drop("market", "archive_dir"), STATUS, "MissingSettingError", "market.archive_dir"),
    row("no configuration", lambda scene: scene.config.unlink(), STATUS, "MissingConfigError", "autopilot.yaml"),
    row("overlay is a folder", overlay(None), cycle(), "OverlayUnreadableError", "overlay.yaml"),
    row("unknown key in the overlay", overlay("risk: {max_ordr: 1}"), cycle(), "UnknownSettingError", "overlay.yaml line 1", "max_ordr"),
]  # fmt: skip

# ---- archive files


def bars(change: Callable[[pl.DataFrame], pl.DataFrame], symbol: str = BTC) -> Setup:
    return lambda scene: scene.put_bars(change(scene.bars(symbol)), symbol)


def at_noon(**values: Any) -> Setup:
    """The bar of `NOON` with other values; a callable gets the old one."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        def new(name: str, value: Any) -> pl.Expr:
            return value(pl.col(name)) if callable(value) else pl.lit(value)

        noon = pl.col("ts") == NOON
        return frame.with_columns(
            pl.when(noon).then(new(name, value)).otherwise(pl.col(name)).alias(name) for name, value in values.items()
        )

    return bars(change)


def funding(rate: float) -> Setup:
    """The newest rate in the file of BTC's funding replaced."""

    def change(scene: Scene) -> None:
        path = scene.archive / "BTC-USDT_funding.parquet"
        rates = pl.read_parquet(path)
        newest = pl.col("ts") == pl.col("ts").max()
        rates.with_columns(funding_rate=pl.when(newest).then(rate).otherwise("funding_rate")).write_parquet(path)

    return change


def replaced_by(name: str, content: str | bytes) -> Setup:
    """The file of BTC removed and this one put in its place."""

    def place(scene: Scene) -> None:
        (scene.archive / "BTC-USDT_1h.parquet").unlink()
        (scene.archive / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return place


def second_file(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("ts") >= NOON).with_columns(volume=pl.col("volume") + 1)


def another_file(scene: Scene) -> None:
    second_file(scene.bars()).write_parquet(scene.archive / "BTC-USDT_1h_20250511_20250512.parquet")


def two_values(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, second_file(frame).head(1)])


def renamed(name: str) -> Setup:
    def move(scene: Scene) -> None:
        scene.archive.rename(scene.root / name)
        set_to("market.archive_dir", str(scene.root / name))(scene)

    return move


def emptied(scene: Scene) -> None:
    for path in scene.archive.iterdir():
        path.unlink()


def gone(scene: Scene) -> None:
    scene.archive.rename(scene.root / "elsewhere")


def a_file_instead(scene: Scene) -> None:
    gone(scene)
    scene.archive.write_text("not a folder")


def named_otherwise(scene: Scene) -> None:
    (scene.archive / "BTC-USDT_1h.parquet").rename(scene.archive / "BTC-USDT_30m.parquet")
    set_to("market.intervals", ["30m", "1h"])(scene)


def torn(scene: Scene) -> None:
    path = scene.archive / "BTC-USDT_1h.parquet"
    path.write_bytes(path.read_bytes()[:-200])


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5631346\n"
FEATHER = "BTC_USDT_USDT-1h-futures.feather"
CSV, PARQUET = "BTCUSDT-1h-2025-05.csv", "BTC-USDT_1h.parquet"
CANDLES = asked("candles")
HOUR = timedelta(hours=1)
BAD_NUMBER = "1746921600000,10,high,9,11,1,0,0,3,0,0,0\n"
BAD_STAMP = "17469216,10,11,9,11,1,0,0,3,0,0,0\n"
ARCHIVE = [
    row("archive folder gone", gone, CANDLES, "ArchiveFolderError", "binance_usdm does not exist", "OPENCLAW_ARCHIVE_DIR"),
    row("archive is a file", a_file_instead, CANDLES, "ArchiveFolderError", "is no folder"),
    row("archive empty", emptied, CANDLES, "NoBarsError", BTC),
    row("archive without the symbol", set_to("market.symbols", ["DOGE/USDT:USDT"]), CANDLES, "NoBarsError", "DOGE/USDT:USDT"),
    row("only longer bars", set_to("market.intervals", ["1m"]), CANDLES, "NoBarsError", "1m"),
    row("unknown market type", renamed("downloads"), CANDLES, "UnknownMarketTypeError", PARQUET),
    row("contradicting market type", set_to("market.archive_market_type", "spot"), CANDLES, "UnknownMarketTypeError", "spot", "linear"),
    row("two files disagree", another_file, CANDLES, "ConflictingFilesError", PARQUET, "2025-05-11T12:00:00"),
    row("duplicate stamps", bars(two_values), CANDLES, "ConflictingRowsError", PARQUET, "row 121", "row 85"),
    row("high below the close", at_noon(high=1.0, low=1.0), CANDLES, "BrokenBarError", "row 85", "high is not the highest"),
    row("price of zero", at_noon(low=0.0), CANDLES, "BrokenBarError", "row 85", "not above 0"),
    row("negative volume", at_noon(volume=-1.0), CANDLES, "BrokenBarError", "volume is negative"),
    row("price of 1e300", at_noon(high=1e300), CANDLES, "BrokenBarError", PARQUET, "row 85", "outside 1e-12 to 1e"),
    row("stamp of 2090", at_noon(ts=datetime(2090, 1, 1, tzinfo=UTC)), CANDLES, "TimeOutOfRangeError", PARQUET, "row 85", "2090"),
    row("funding of 12 %", funding(0.12), asked("funding_rates"), "BrokenRateError", "BTC-USDT_funding.parquet", "0.12", "0.09"),
    row("day that no calendar has", replaced_by("BTCUSDT-1h-2025-99.csv", ""), command("market", "inventory", "--json"), "UnusableFilesError", "BTCUSDT-1h-2025-99.csv", "2025-99-01 is no day"),
    row("not a number", at_noon(close=float("nan")), CANDLES, "BadValueError", "row 85", "close"),
    row("naive times", bars(lambda f: f.with_columns(pl.col("ts").dt.replace_time_zone(None))), CANDLES, "NaiveStampsError", "ts"),
    row("off the grid", at_noon(ts=lambda ts: ts + timedelta(seconds=7)), CANDLES, "OffGridStampError", "row 85", "1h"),
    row("wrong interval", named_otherwise, CANDLES, "WrongIntervalError", "30m", "1:00:00"),
    row("another symbol inside", at_noon(symbol="ETH/USDT"), CANDLES, "WrongSymbolError", "row 85", "ETH/USDT"),
    row("column too many", bars(lambda f: f.with_columns(vwap=1.0)), CANDLES, "UnknownColumnsError", "vwap"),
    row("torn Parquet", torn, CANDLES, "UnreadableFileError", PARQUET),
    row("git-LFS pointer", replaced_by(FEATHER, POINTER), CANDLES, "GitLfsPointerError", FEATHER, "git lfs pull"),
    row("no bytes", replaced_by(FEATHER, b""), CANDLES, "EmptyFileError", FEATHER),
    row("no rows", replaced_by("BTC_USDT_USDT-1h-futures.json", "[]"), CANDLES, "EmptyFileError", "empty list"),
    row("text for a number", replaced_by(CSV, BAD_NUMBER), CANDLES, "BadValueError", CSV, "row 1", "high"),
    row("stamp of no unit", replaced_by(CSV, BAD_STAMP), CANDLES, "BadStampError", CSV, "17469216"),
    row("file of no known name", replaced_by("btc.csv", "1,2"), command("market", "inventory", "--json"), "UnusableFilesError", "btc.csv", "symbol and interval"),
]  # fmt: skip


def instruments_file(text: str) -> Setup:
    return lambda scene: (scene.archive / "instruments.yaml").write_text(text)


INSTRUMENTS_ASKED = asked("instruments", partition=None)
MONEY = ("lot", "min_notional", "taker_fee_rate", "maintenance_margin_rate", "liquidation_fee_rate")
GIVEN = ", ".join(["price_unit: 0.1", "max_leverage: 5", *(f"{key}: '0.001'" for key in MONEY)])
UNQUOTED = f"linear: {{instruments: {{BTC/USDT:USDT: {{{GIVEN}}}}}}}"
INSTRUMENTS = [
    row("unknown instrument", set_to("market.symbols", [BTC, "BTCX/USDT:USDT"]), INSTRUMENTS_ASKED, "UnknownInstrumentError", "BTCX/USDT:USDT", BTC),
    row("unknown venue", renamed("my_usdm"), INSTRUMENTS_ASKED, "UnknownVenueError", "my_usdm", "instruments.yaml"),
    row("instruments no YAML", instruments_file("linear: ["), INSTRUMENTS_ASKED, "InstrumentsFileError", "instruments.yaml"),
    row("instruments of unknown key", instruments_file("perps: {}"), INSTRUMENTS_ASKED, "InstrumentsFileError", "top level"),
    row("instruments with floats", instruments_file(UNQUOTED), INSTRUMENTS_ASKED, "InstrumentsFileError", BTC, "quoted"),
    row("instruments not materialized", asked("candles", partition=FIRST), cycle(RECORDED), "MissingInstrumentError", BTC, "Materialize `instruments`", recorded=False),
]  # fmt: skip

# ---- the store


def sql(database: str, statement: str) -> Setup:
    return lambda scene: scene.sql(database, statement)


def cut_file(database: str, keep: int) -> Setup:
    def cut(scene: Scene) -> None:
        path = scene.store.file(database)
        path.write_bytes(path.read_bytes()[:keep])

    return cut


def garbage(scene: Scene) -> None:
    scene.store.file("market").write_bytes(b"these are no rows" * 999)


def folder_is_a_file(scene: Scene) -> None:
    scene.environ["OPENCLAW_DATA_DIR"] = str(scene.config)


NEWER = "INSERT INTO schema_migrations (number, name, sha256) VALUES (99, '0099_market', 'x')"
STORE = [
    row("newer store", sql("market", NEWER), CANDLES, "StoreNewerError", "market.duckdb", "99"),
    row("newer ledger", sql("ledger", NEWER), command("verify"), "StoreNewerError", "ledger.duckdb", "99"),
    row("another migration", sql("market", "UPDATE schema_migrations SET sha256 = 'x'"), CANDLES, "MigrationChangedError", "0001_market"),
    row("head of the file left", cut_file("market", 5_000), CANDLES, "StoreDamagedError", "market.duckdb"),
    row("half of the file left", cut_file("market", 300_000), CANDLES, "StoreDamagedError", "market.duckdb"),
    row("no database at all", garbage, CANDLES, "StoreDamagedError", "market.duckdb"),
    row("data folder is a file", folder_is_a_file, CANDLES, "StoreUnusableError", "autopilot.yaml"),
]  # fmt: skip

# ---- ticks and ledger

TICK = "TIMESTAMPTZ '2025-05-10 12:00:00+00'"


def next_day(scene: Scene) -> None:
    """Market data of the next day, as its ticks need it."""
    assert scene.materialize("candles", "funding_rates", "features", partition=NEXT).exit_code == 0


def market_only(scene: Scene) -> None:
    """Market data up to the first ticks, and no ticks."""
    assert scene.materialize("instruments").exit_code == 0
    assert scene.materialize("candles", "funding_rates", "features", partition=FIRST, last=RECORDED).exit_code == 0


def forget_tick(scene: Scene) -> None:
    for table in ("autopilot_ticks", "tick_inputs", "autopilot_equity", "autopilot_positions", "reconcile_events"):
        scene.sql("ledger", f"DELETE FROM {table} WHERE tick_at = {TICK}")


def retired_strategy(scene: Scene) -> Outcome:
    """A partition that Dagster still knows of a strategy that the configuration no longer has."""
    import dagster as dg

    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("strategies", ["retired"])
    return scene.materialize(*CYCLE, partition=f"{RECORDED}|retired", instance=instance)


MORE_CASH = f"UPDATE autopilot_equity SET cash = cash + 1 WHERE tick_at = {TICK}"
EARLIER_FEATURES = f"DELETE FROM features WHERE ts >= TIMESTAMPTZ '{RECORDED} 00:00:00+00'"
OFF_UNIT = at_noon(close=lambda close: close + 0.037, high=lambda high: high + 1)
UNASKED = asked("candles", partition=FIRST)
TICKS = [
    row("hole before the day", nothing, cycle("2025-05-12"), "HoleError", STRATEGY, "2025-05-11T01:00", "from 2025-05-11 on"),
    row("never started", nothing, cycle("2025-05-12"), "HoleError", RECORDED, recorded=False),
    row("market not materialized", nothing, cycle(), "MarketNotReadyError", BTC, "`candles` for 2025-05-11"),
    row("features not materialized", both(next_day, sql("market", EARLIER_FEATURES)), cycle(), "FeaturesNotReadyError", "`features` for 2025-05-10"),
    row("warm-up not materialized", asked("instruments", partition=None), cycle(RECORDED), "WarmUpError", FIRST, recorded=False),
    row("deployment changed", set_to("strategies.STRATEGY.params.channel_entry", 5), cycle(), "DeploymentChangedError", "start_day"),
    row("leverage the instrument refuses", both(market_only, set_to("risk.margin_leverage_bps", 1_000_000), sql("market", "UPDATE instruments SET max_leverage = 5")), cycle(RECORDED), "LeverageError", BTC, "5x", recorded=False),
    row("unknown partition", nothing, cycle(RECORDED, "nobody"), "DagsterUnknownPartitionError", "nobody"),
    row("day to come", nothing, asked("candles", partition="2099-01-01"), "DagsterUnknownPartitionError", "2099-01-01"),
    row("retired strategy", nothing, retired_strategy, "UnknownStrategyError", "retired", STRATEGY),
    row("day before the start", nothing, cycle("2025-05-09"), "", "breakout starts on 2025-05-10", checks={"entries_possible": WARN}, exit_code=0),
    row("tick gone from the middle", forget_tick, cycle(RECORDED), BLOCKED, "autopilot_", "2025-05-10", checks={"recorded_ticks_replay": ERROR, "paper_replay_parity": ERROR, "day_complete": WARN}),
    row("tick marker gone", sql("ledger", f"DELETE FROM autopilot_ticks WHERE tick_at = {TICK}"), cycle(RECORDED), BLOCKED, "autopilot_ticks", "missing", checks={"recorded_ticks_replay": ERROR, "paper_replay_parity": ERROR, "day_complete": WARN}),
    row("ledger row changed", sql("ledger", MORE_CASH), cycle(RECORDED), BLOCKED, "autopilot_equity", "cash", checks={"recorded_ticks_replay": ERROR, "paper_replay_parity": ERROR}),
]  # fmt: skip

# ---- checks of stored market data: the first asking put it there, the second one judges it again


def stored_again(*changes: Setup) -> Setup:
    """The next day's files changed and its candles asked for once, so that asking again changes nothing."""
    return both(*changes, asked("candles", "funding_rates"))


def without(symbol: str, first: int, count: int) -> Setup:
    """The file of a symbol without some hours of the next day."""
    start = NOON + (first - 12) * HOUR
    return bars(lambda f: f.filter(~pl.col("ts").is_between(start, start + count * HOUR, closed="left")), symbol)


def behind_the_source(statement: str) -> Setup:
    """A stored bar that no source gives: the file lacks it, the statement puts it there."""
    return both(without(BTC, 12, 1), asked("candles", "funding_rates"), sql("market", statement))


def put(**values: str) -> str:
    """The bar of 11:00 written once more as that of 12:00, with some columns replaced."""
    given = {"ts": "ts + INTERVAL 1 HOUR", **values}
    changed = ", ".join(f"{value} AS {name}" for name, value in given.items())
    return f"INSERT INTO candles SELECT * REPLACE ({changed}) FROM candles WHERE {ELEVEN}"


def flat(f: pl.DataFrame) -> pl.DataFrame:
    """The last twelve hours of the day stand still at one price."""
    still = pl.col("ts").is_between(NOON, NOON + 11 * HOUR)
    price = pl.col("close").filter(pl.col("ts") == NOON - HOUR).first()
    names = ("open", "high", "low", "close")
    return f.with_columns(pl.when(still).then(price).otherwise(pl.col(name)).alias(name) for name in names)


def no_trades(f: pl.DataFrame) -> pl.DataFrame:
    """Every other bar of the day without volume."""
    hour = pl.col("ts").dt.hour()
    return f.with_columns(volume=pl.when(hour % 2 == 0).then(0.0).otherwise(pl.col("volume")))


def without_funding(scene: Scene) -> None:
    (scene.archive / "BTC-USDT_funding.parquet").unlink()


ELEVEN = f"symbol = '{BTC}' AND ts = TIMESTAMPTZ '2025-05-11 11:00:00+00'"
BOTH = asked("candles", "features")
WRONG_HIGH = put(high="low / 2")
ALL_DAY = without(BTC, 0, 24)
CHECKED = [
    row("bar stored twice", both(stored_again(), sql("market", f"INSERT INTO candles SELECT * FROM candles WHERE {ELEVEN}")), BOTH, BLOCKED, BTC, "stored more than once", checks={"duplicates": ERROR}),
    row("high below the low", behind_the_source(WRONG_HIGH), BOTH, BLOCKED, BTC, "high is not the highest price", checks={"ohlc": ERROR}),
    row("volume below zero", behind_the_source(put(volume="-1.0")), BOTH, BLOCKED, BTC, "volume is negative", checks={"schema": ERROR, "ohlc": ERROR}),
    row("bar off the grid", behind_the_source(put(ts="ts + INTERVAL 61 MINUTE")), BOTH, BLOCKED, BTC, "multiple of their interval", checks={"off_grid": ERROR, "gaps": WARN}),
    row("bar off its price unit", stored_again(OFF_UNIT), CANDLES, "", BTC, "2025-05-11T12:00Z", "price unit 0.1", "candles correct", checks={"off_unit": WARN, "refused_answers": WARN}, exit_code=0),
    row("symbol without a bar", stored_again(ALL_DAY), CANDLES, "", BTC, "2025-05-11", "last bar is of 2025-05-10T23:00Z", "delisted_at", checks={"coverage": WARN, "freshness": WARN, "gaps": WARN}, exit_code=0),
    row("day without a bar", stored_again(ALL_DAY, without(ETH, 0, 24)), CANDLES, "", "add the day and materialize it again", checks={"coverage": WARN, "freshness": WARN}, exit_code=0),
    row("hole in the bars", stored_again(without(ETH, 9, 3)), CANDLES, "", ETH, "2025-05-11 09:00", checks={"gaps": WARN}, exit_code=0),
    row("bars end early", stored_again(without(ETH, 20, 4)), CANDLES, "", ETH, "end too early", checks={"gaps": WARN, "freshness": WARN}, exit_code=0),
    row("price stands still", stored_again(bars(flat)), CANDLES, "", BTC, checks={"stale_flat_runs": WARN}, exit_code=0),
    row("bars without trades", stored_again(bars(no_trades)), CANDLES, "", BTC, checks={"zero_volume": WARN}, exit_code=0),
    row("move out of all proportion", stored_again(at_noon(high=lambda high: high * 2)), CANDLES, "", BTC, checks={"outlier_moves": WARN}, exit_code=0),
    row("bar contradicted later", both(stored_again(), at_noon(volume=1.0), asked("candles")), CANDLES, "", BTC, "the first stays", checks={"revisions": WARN}, exit_code=0),
    row("funding absent", both(without_funding, asked("candles", "funding_rates")), asked("funding_rates"), "", BTC, "2025-05-11 08:00", "add the funding file", checks={"funding_coverage": WARN}, exit_code=0),
]  # fmt: skip

# ---- commands


def tampered(statement: str) -> Setup:
    return sql("ledger", statement)


def spoiled_chain(column: str, value: str) -> Setup:
    return tampered(f"UPDATE admin_actions SET {column} = {value} WHERE sequence = 2")


NO_KEY = f"autopilot:paper:{STRATEGY}:BTCUSDT-PERP:20250510T0007Z"
VERIFY = command("verify", "--json")
COMMANDS = [
    row("unknown decision", nothing, command("explain", NO_KEY), "UnknownDecisionError", NO_KEY, "Nearest recorded"),
    row("unknown table", nothing, command("export", "candels", "ROOT/a.csv"), "UnknownTableError", "candels", "candles"),
    row("unknown format", nothing, command("export", "candles", "ROOT/a.xlsx"), "UnknownFormatError", "a.xlsx", ".parquet"),
    row("export into a file", nothing, command("export", "candles", "ROOT/autopilot.yaml/a.csv"), "ExportFailedError", "a.csv"),
    row("strategy of a table without one", nothing, command("export", "candles", "ROOT/a.csv", "--strategy", "x"), "FilterError", "strategy_config_id"),
    row("unknown strategy", nothing, command("verify", "--strategy", "brekout"), "UnknownStrategyError", "brekout", STRATEGY),
    row("ledger row tampered with", tampered(MORE_CASH), VERIFY, "LedgerDiffersError", "autopilot_equity", "2025-05-10T12:00", '"column": "cash"'),
    row("ledger row removed", tampered(f"DELETE FROM autopilot_equity WHERE tick_at = {TICK}"), VERIFY, "LedgerDiffersError", "autopilot_equity", "missing"),
    row("audit row tampered with", spoiled_chain("to_state", "'declined'"), VERIFY, "BrokenChainError", STRATEGY, "2"),
    row("audit row removed", tampered("DELETE FROM admin_actions WHERE sequence = 2"), VERIFY, "BrokenChainError", STRATEGY),
    row("approval of nothing", nothing, command("approve", NO_KEY), "NotAwaitingError", NO_KEY, looks=True),
    row("demo on real data", nothing, command("demo"), "NotEmbeddedError", "archive"),
]  # fmt: skip

# ---- files as people found them


def shared_defect(name: str, symbol: str | None = None) -> Callable[[Scene, Path], None]:
    """A file of the real defects in the archive, in place of the symbol's good one."""

    def place(scene: Scene, folder: Path) -> None:
        (scene.archive / name).write_bytes((folder / name).read_bytes())
        if symbol == BTC:
            (scene.archive / PARQUET).unlink()
        if symbol is not None:
            set_to("market.symbols", [symbol])(scene)
            scene.configure(lambda tree: tree["strategies"][STRATEGY].pop("symbols", None))

    return place


LFS, ZERO_ROWS = "BTC_USDT_USDT-5m-futures.lfs_pointer.feather", "ARB_USDT_USDT-5m-futures.zero_rows.feather"
NO_BYTES, EMPTY_LIST = "UNITTEST_BTC-8m.zero_bytes.feather", "NOPAIR_XXX-4m.empty_list.json"
INVENTORY = command("market", "inventory", "--json")
DEFECTS = [
    pytest.param(shared_defect(LFS, BTC), CANDLES, "GitLfsPointerError", (LFS, "git lfs pull"), id=LFS),
    pytest.param(shared_defect(ZERO_ROWS, "ARB/USDT:USDT"), CANDLES, "EmptyFileError", (ZERO_ROWS, "no rows"), id=ZERO_ROWS),
    pytest.param(shared_defect(NO_BYTES), INVENTORY, "UnusableFilesError", (NO_BYTES, "8m"), id=NO_BYTES),
    pytest.param(shared_defect(EMPTY_LIST), INVENTORY, "UnusableFilesError", (EMPTY_LIST, "4m"), id=EMPTY_LIST),
]  # fmt: skip

ROWS = [*CONFIGURATION, *ARCHIVE, *INSTRUMENTS, *STORE, *TICKS, *CHECKED, *COMMANDS]
