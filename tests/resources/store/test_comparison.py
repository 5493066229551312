import hashlib
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.resources.store.comparison import (
    HASHED_TABLES,
    TRADED,
    Difference,
    NotPerStrategyError,
    canonical,
    frame_hash,
    ledger_hash,
    table_hash,
    trades_hash,
    verify_equal,
)
from openclaw_pipelines.resources.store.store import Store, insert

AT = datetime(2025, 5, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BUSINESS = [(name, column) for name in HASHED_TABLES for column in TABLES[name].hashed]
UNHASHED = [(name, column) for name in HASHED_TABLES for column in TABLES[name].unhashed]


def raw(name, *rows):
    return pl.DataFrame(list(rows), schema=TABLES[name].polars_schema)


def test_a_hash_is_the_sha256_of_lines_anyone_can_write(rows):
    row = rows.sample_row(
        "policy_versions", account_id="paper", strategy_config_id="s", policy_version_id='p"1', limits="{}",
        first_tick_at=AT,
    )  # fmt: skip
    lines = (
        '["policy_versions", ["account_id", "first_tick_at", "limits", "policy_version_id", "strategy_config_id"]]\n'
        '["paper","2025-05-10T00:00:00.000000Z","{}","p\\"1","s"]\n'
    )
    assert frame_hash("policy_versions", raw("policy_versions", row)) == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(Decimal("1.50"), "1.5", id="scale"),
        pytest.param(Decimal(100), "100", id="zeros of an integer"),
        pytest.param(Decimal("-0.000"), "0", id="negative zero"),
        pytest.param(Decimal("1E-18"), "0.000000000000000001", id="smallest"),
        pytest.param(0.1 + 0.2, "0.30000000000000004", id="float"),
        pytest.param(-0.0, "0.0", id="negative zero float"),
        pytest.param(AT, "2025-05-10T00:00:00.000000Z", id="time"),
        pytest.param(b"\x00\xff", "00ff", id="bytes"),
        pytest.param(None, None, id="null"),
        pytest.param("None", "None", id="text"),
        pytest.param(True, True, id="truth"),
        pytest.param(7, 7, id="integer"),
    ],
)
def test_cells_have_one_text(value, text):
    assert canonical(value) == text


@pytest.mark.parametrize(("name", "column"), BUSINESS, ids=[f"{n}.{c}" for n, c in BUSINESS])
def test_a_hash_depends_on_every_business_column(rows, name, column):
    row = rows.sample_row(name)
    first, other = rows.samples(TABLES[name], column)
    assert first != other
    before = frame_hash(name, raw(name, row))
    assert frame_hash(name, raw(name, row | {column: other})) != before
    assert frame_hash(name, raw(name, row | {column: None})) != before


@pytest.mark.parametrize(("name", "column"), UNHASHED, ids=[f"{n}.{c}" for n, c in UNHASHED])
def test_a_hash_ignores_ingest_times_and_run_ids(rows, name, column):
    row = rows.sample_row(name)
    other = rows.samples(TABLES[name], column)[1]
    assert frame_hash(name, raw(name, row | {column: other})) == frame_hash(name, raw(name, row))


def filled(folder, rows, order, strategy="s"):
    store = Store(folder)
    with store.write("ledger") as con:
        for number in order:
            for name, frame in rows.tick_frames(strategy, number).items():
                insert(con, name, frame, validated=True)
    return store


def test_a_ledger_hash_ignores_the_order_of_insertion(tmp_path, rows):
    order = list(range(6))
    forward = filled(tmp_path / "a", rows, order)
    random.Random(7).shuffle(order)
    shuffled = filled(tmp_path / "b", rows, order)
    assert ledger_hash(forward, "text", "s") == ledger_hash(shuffled, "text", "s")
    with shuffled.write("ledger") as con:
        con.execute("UPDATE autopilot_equity SET recorded_at = now(), run_fingerprint = 'another run'")
    assert ledger_hash(forward, "text", "s") == ledger_hash(shuffled, "text", "s")
    with shuffled.write("ledger") as con:
        con.execute("UPDATE autopilot_equity SET cash = cash + 0.000000000000000001 WHERE tick_at = ?", [AT + MINUTE])
    assert ledger_hash(forward, "text", "s") != ledger_hash(shuffled, "text", "s")
    assert ledger_hash(forward, "text", "s", tables=["autopilot_ticks"]) == ledger_hash(
        shuffled, "text", "s", tables=["autopilot_ticks"]
    )


def test_a_ledger_hash_is_of_one_strategy_and_of_a_range_of_ticks(tmp_path, rows):
    short = filled(tmp_path / "a", rows, [1, 2])
    long = filled(tmp_path / "b", rows, [0, 1, 2, 3])
    filled(tmp_path / "b", rows, [1, 2, 9], strategy="other")
    assert ledger_hash(long, "text", "s", AT, AT + 2 * MINUTE) == ledger_hash(short, "text", "s")
    assert ledger_hash(long, "text", "s", AT + 2 * MINUTE) == ledger_hash(
        long, "text", "s", AT + 2 * MINUTE, AT + MINUTE * 9
    )
    assert ledger_hash(long, "text", "s") != ledger_hash(short, "text", "s")
    assert ledger_hash(long, "another account", "s") == ledger_hash(short, "text", "no such strategy")
    two_ticks = ["s", AT + MINUTE, AT + 2 * MINUTE]
    assert table_hash(long, "autopilot_ticks", "strategy_config_id = ? AND tick_at IN (?, ?)", two_ticks) == table_hash(
        short, "autopilot_ticks"
    )


@pytest.mark.parametrize("name", [name for name in HASHED_TABLES if "account_id" in TABLES[name].names])
def test_a_trades_hash_moves_with_what_was_traded_and_with_nothing_else(store, rows, name):
    def hash_of(row):
        with store.write("ledger") as con:
            con.execute(f"DELETE FROM {name}")
            insert(con, name, raw(name, row), validated=True)
        return trades_hash(store, "text", "text")

    row = rows.sample_row(name)
    before = hash_of(row)
    others = [column for column in TABLES[name].names if column not in ("account_id", "strategy_config_id")]
    moved = {column for column in others if hash_of(row | {column: rows.samples(TABLES[name], column)[1]}) != before}
    assert moved == set(TRADED.get(name, ()))


def test_a_trades_hash_is_of_a_range_and_knows_no_names(tmp_path, rows):
    short, long = filled(tmp_path / "a", rows, [1, 2]), filled(tmp_path / "b", rows, [3, 2, 1, 0])
    assert trades_hash(long, "text", "s", AT, AT + 2 * MINUTE) == trades_hash(short, "text", "s")
    assert trades_hash(long, "text", "s") != trades_hash(short, "text", "s")
    renamed = filled(tmp_path / "c", rows, [1, 2], strategy="another name")
    assert trades_hash(renamed, "text", "another name") == trades_hash(short, "text", "s")
    assert ledger_hash(renamed, "text", "another name") != ledger_hash(short, "text", "s")


def test_tables_that_all_strategies_share_are_refused(store):
    with pytest.raises(NotPerStrategyError, match="tick_contexts has no column account_id"):
        ledger_hash(store, "a", "s", tables=["tick_contexts"])


@pytest.fixture
def recorded(store, rows):
    """Three recorded ticks with two positions each, and the frame of the middle tick's positions."""
    for number in range(3):
        rows.write_tick(store, "s", number)
    return store, rows.tick_frames("s", 1)["autopilot_positions"]


AT_TICK = {"within": "strategy_config_id = ? AND tick_at = ?", "params": ["s", AT + MINUTE]}


def key(symbol):
    return f"account_id=text, strategy_config_id=s, symbol={symbol}, tick_at=2025-05-10T00:01:00+00:00"


def changed(frame, column, value):
    return frame.with_columns(
        pl.when(pl.col("symbol") == "A/USDT")
        .then(pl.lit(value))
        .otherwise(column)
        .cast(frame.schema[column])
        .alias(column)
    )


@pytest.mark.parametrize(
    ("break_it", "differences"),
    [
        pytest.param(lambda f: f, [], id="equal"),
        pytest.param(lambda f: f.reverse(), [], id="another order"),
        pytest.param(lambda f: changed(f, "run_fingerprint", "another run"), [], id="another run"),
        pytest.param(
            lambda f: changed(f, "qty", Decimal("0.2")),
            [Difference("autopilot_positions", "changed", key("A/USDT"), "qty", "0.125", "0.2")], id="another quantity",
        ),
        pytest.param(
            lambda f: changed(f, "stop_price", None),
            [Difference("autopilot_positions", "changed", key("A/USDT"), "stop_price", "0.125", None)], id="empty",
        ),
        pytest.param(
            lambda f: changed(f, "symbol", "C/USDT"),
            [Difference("autopilot_positions", "extra", key("A/USDT"), "", None, None),
             Difference("autopilot_positions", "missing", key("C/USDT"), "", None, None)], id="another symbol",
        ),
        pytest.param(
            lambda f: f.clear(),
            [Difference("autopilot_positions", "extra", key(s), "", None, None) for s in ("A/USDT", "B/USDT")],
            id="none given",
        ),
    ],
)  # fmt: skip
def test_recorded_rows_are_compared_with_given_ones(recorded, break_it, differences):
    store, frame = recorded
    with store.read("ledger") as con:
        assert verify_equal(con, "autopilot_positions", break_it(frame), **AT_TICK) == differences


def test_without_a_range_only_given_keys_are_looked_up(recorded):
    store, frame = recorded
    with store.read("ledger") as con:
        assert verify_equal(con, "autopilot_positions", frame.head(1)) == []
        assert [d.kind for d in verify_equal(con, "autopilot_positions", frame.head(1), **AT_TICK)] == ["extra"]


def test_rows_can_be_verified_in_the_transaction_that_extends_them(recorded, rows):
    store, frame = recorded
    with store.write("ledger") as con:
        assert verify_equal(con, "autopilot_positions", frame, **AT_TICK) == []
        insert(con, "autopilot_ticks", rows.tick_frames("s", 3)["autopilot_ticks"])
    assert store.table("autopilot_ticks").height == 4
