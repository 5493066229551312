"""Tables derived from their models."""

from datetime import UTC, datetime
from typing import Any

import duckdb
import pandera.polars as pa
import polars as pl
import pytest

from openclaw_pipelines.contracts.schema import SchemaError, Table, UnmappedTypeError
from openclaw_pipelines.contracts.tables import TABLES

AT = datetime(2025, 5, 10, tzinfo=UTC)
NAMED = {
    "candles", "candle_revisions", "funding_rates", "instruments", "features", "autopilot_universe_snapshots",
    "autopilot_proposals", "autopilot_decisions", "autopilot_orders", "autopilot_fills", "autopilot_positions",
    "autopilot_equity", "autopilot_outcomes", "autopilot_metrics", "autopilot_ticks", "tick_inputs", "kernel_states",
    "policy_versions", "reconcile_events", "notifications_outbox", "admin_actions",
}  # fmt: skip
BAR = {
    "source": "simulated", "symbol": "BTC/USDT", "interval": "1h", "ts": AT, "open": 1.0, "high": 2.0, "low": 0.5,
    "close": 1.5, "volume": 0.0, "is_synthetic": False, "ingested_at": AT,
    "parts": None, "parts_expected": None, "has_open": True,
}  # fmt: skip


def test_the_tables_of_the_contract_exist() -> None:
    assert set(TABLES) >= NAMED


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_statement_makes_the_table_that_the_model_describes(name: str) -> None:
    table = TABLES[name]
    with duckdb.connect() as con:
        con.execute(table.ddl())
        described = con.execute(f"DESCRIBE {name}").fetchall()
    assert [(row[0], row[1].replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"), row[2]) for row in described] == [
        (column.name, column.sql_type, "YES" if column.nullable else "NO") for column in table.columns
    ]
    assert [row[0] for row in described if row[3] == "PRI"] == []


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_column_is_described_and_every_key_exists(name: str) -> None:
    table = TABLES[name]
    assert [column.name for column in table.columns if not column.description] == []
    assert set(table.key) | (set(table.unhashed) & set(table.names)) <= set(table.names)
    assert "recorded_at" not in table.hashed
    assert "ingested_at" not in table.hashed


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        pytest.param({}, None, id="ordinary bar"),
        pytest.param({"close": 0.0}, "close: greater_than_or_equal_to(1e-12)", id="a price of nothing"),
        pytest.param({"volume": -1.0}, "volume: greater_than_or_equal_to(0)", id="negative volume"),
        pytest.param({"interval": "7m"}, "interval: isin", id="unknown interval"),
        pytest.param({"close": None}, "close: not_nullable", id="a hole"),
    ],
)
def test_a_broken_rule_is_named(change: dict[str, Any], broken: str | None) -> None:
    rows = [BAR, {**BAR, "symbol": "ETH/USDT", **change}]
    if broken is None:
        assert TABLES["candles"].frame(rows).height == 2
        return
    with pytest.raises(SchemaError, match=r"1 row\(s\) break the rules of candles") as error:
        TABLES["candles"].frame(rows)
    assert broken in error.value.broken
    assert (error.value.table, error.value.rows) == ("candles", 1)


def test_several_broken_rules_are_all_named() -> None:
    with pytest.raises(SchemaError) as error:
        TABLES["candles"].frame([{**BAR, "open": -1.0, "interval": "7m"}])
    assert {rule.split(":")[0] for rule in error.value.broken.split("; ")} >= {"open", "interval"}


def test_a_type_without_an_sql_type() -> None:
    class Odd(pa.DataFrameModel):
        when: pl.Duration

    with pytest.raises(UnmappedTypeError, match="column 'when' of odd"):
        Table("odd", "ledger", Odd, key=("when",)).ddl()
