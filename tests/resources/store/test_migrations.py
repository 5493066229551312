from pathlib import Path

import duckdb
import pytest

from openclaw_pipelines.resources.store import migrations
from openclaw_pipelines.resources.store.migrations import (
    DATABASES,
    MigrationChangedError,
    MigrationFilesError,
    StoreNewerError,
    is_current,
    migrate,
    migrations_of,
    schema_differences,
)


@pytest.mark.parametrize("database", DATABASES)
def test_migrated_schema_is_what_the_models_say(database):
    differences = schema_differences(database)
    assert differences == [], (
        "A model changed without a migration. Add migration_sql/NNNN_"
        f"{database}_what.sql with the ALTER or CREATE statements (before the first release: "
        "python -m openclaw_pipelines.resources.store.migrations freeze)."
    )


@pytest.fixture
def modelled(monkeypatch):
    """Models that say what the migrations say, but for one replacement."""

    def replace(database, *changes):
        text = "".join(step.sql for step in migrations_of(database))
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        monkeypatch.setattr(migrations, "models_ddl", lambda asked: text)

    return replace


def test_a_changed_model_is_found(modelled):
    modelled("market", ('"volume" DOUBLE NOT NULL', '"volume" DOUBLE'), ('"regime" VARCHAR NOT NULL,', ""))
    assert schema_differences("market") == [
        "candle_corrections.volume DOUBLE: only in the models",
        "candle_revisions.volume DOUBLE: only in the models",
        "candles.volume DOUBLE: only in the models",
        "candle_corrections.volume DOUBLE NOT NULL: only in the migrations",
        "candle_revisions.volume DOUBLE NOT NULL: only in the migrations",
        "candles.volume DOUBLE NOT NULL: only in the migrations",
        "features.regime VARCHAR NOT NULL: only in the migrations",
    ]


def test_a_declared_key_is_found(modelled):
    dropped = "DROP TABLE autopilot_fills_keyed;"
    modelled("ledger", (dropped, f"{dropped} ALTER TABLE autopilot_fills ADD PRIMARY KEY (fill_key);"))
    assert schema_differences("ledger") == ["autopilot_fills PRIMARY KEY (fill_key): only in the models"]


def test_no_migration_makes_a_secondary_index():
    texts = [step.sql.upper() for database in DATABASES for step in migrations_of(database)]
    assert not [text for text in texts if "CREATE INDEX" in text or "CREATE UNIQUE INDEX" in text]


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """Two migrations of a made-up history of the ledger."""
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "0001_ledger.sql").write_text("CREATE TABLE a (x BIGINT);")
    (folder / "0002_ledger_add_y.sql").write_text("ALTER TABLE a ADD COLUMN y VARCHAR; INSERT INTO a VALUES (1, 'y');")
    (folder / "0001_market.sql").write_text("CREATE TABLE b (x BIGINT);")
    original = migrations_of
    monkeypatch.setattr(migrations, "migrations_of", lambda database: original.__wrapped__(database, folder))
    return folder


def test_migrations_are_applied_once_and_in_order(steps):
    con = duckdb.connect()
    assert not is_current(con, Path("f"), "ledger")
    assert migrate(con, Path("f"), "ledger") == 2
    assert is_current(con, Path("f"), "ledger")
    assert migrate(con, Path("f"), "ledger") == 0
    assert con.execute("SELECT x, y FROM a").fetchall() == [(1, "y")]
    assert con.execute("SELECT number, name FROM schema_migrations ORDER BY number").fetchall() == [
        (1, "0001_ledger"),
        (2, "0002_ledger_add_y"),
    ]


def test_a_failing_migration_leaves_the_version_before_it(steps):
    (steps / "0002_ledger_add_y.sql").write_text("ALTER TABLE a ADD COLUMN y VARCHAR; SELECT no_such_column FROM a;")
    con = duckdb.connect()
    with pytest.raises(duckdb.BinderException):
        migrate(con, Path("f"), "ledger")
    assert con.execute("SELECT number FROM schema_migrations").fetchall() == [(1,)]
    assert [row[0] for row in con.execute("DESCRIBE a").fetchall()] == ["x"]


def test_a_newer_file_is_refused(steps):
    con = duckdb.connect()
    migrate(con, Path("f"), "ledger")
    (steps / "0002_ledger_add_y.sql").unlink()
    for look in (is_current, migrate):
        with pytest.raises(StoreNewerError) as caught:
            look(con, Path("f"), "ledger")
        assert (caught.value.file, caught.value.found, caught.value.known) == (Path("f"), 2, 1)


def test_another_text_under_a_recorded_number_is_refused(steps):
    con = duckdb.connect()
    migrate(con, Path("f"), "ledger")
    (steps / "0001_ledger.sql").write_text("CREATE TABLE a (x INTEGER);")
    with pytest.raises(MigrationChangedError, match="another text of 0001_ledger"):
        is_current(con, Path("f"), "ledger")


def test_holes_in_the_numbers_are_refused(tmp_path):
    (tmp_path / "0001_ledger.sql").write_text("")
    (tmp_path / "0003_ledger.sql").write_text("")
    with pytest.raises(MigrationFilesError, match="without holes"):
        migrations_of(  # a folder of its own, so nothing else is cached under it
            "ledger", tmp_path
        )


def test_freeze_writes_what_the_models_say_and_never_over_a_released_migration(tmp_path):
    written = migrations.freeze(tmp_path)
    assert [path.name for path in written] == ["0001_market.sql", "0001_ledger.sql", "0001_research.sql"]
    assert '"order_key" VARCHAR NOT NULL' in written[1].read_text()
    assert "PRIMARY KEY" not in "".join(path.read_text() for path in written)
    (tmp_path / "0002_market_more.sql").write_text("")
    with pytest.raises(MigrationFilesError, match="migration 1 is released"):
        migrations.freeze(tmp_path)


@pytest.mark.parametrize(
    ("differences", "code", "said"),
    [([], 0, "migrations and models agree"), (["t.x BIGINT: only in the models"], 1, "t.x BIGINT: only in the models")],
    ids=["agree", "differ"],
)
def test_command_line_checks(monkeypatch, capsys, differences, code, said):
    monkeypatch.setattr(migrations, "schema_differences", lambda database: differences if database == "ledger" else [])
    assert migrations.main(["check"]) == code
    assert capsys.readouterr().out == said + "\n"


def test_command_line_refuses_unknown_words(capsys):
    assert migrations.main(["undo"]) == 2
    assert "freeze | check" in capsys.readouterr().err


def _as_released_first(monkeypatch, database):
    """A file as the first migration alone leaves it."""
    con = duckdb.connect()
    with monkeypatch.context() as before:
        first = migrations_of(database)[:1]
        before.setattr(migrations, "migrations_of", lambda asked: first)
        migrate(con, Path("f"), database)
    return con


def _tick(con, strategy, hour, context, payload):
    at = f"2025-05-10 {hour:02}:00:00Z"
    con.execute("INSERT OR IGNORE INTO tick_contexts VALUES (?, ?, ?)", [context, payload, at])
    con.execute(
        "INSERT INTO tick_inputs VALUES ('paper', ?, ?, ?, 'd', ?, 'c', ?, '{}', '{}', '[]', 'b', NULL)",
        [strategy, f"2025-05-11 {hour:02}:00:00Z", f"run {strategy} {hour}", at, context],
    )


def test_policy_versions_are_keyed_by_strategy_and_no_row_is_lost(monkeypatch):
    """Two strategies under one policy had one row; each has its own, as of its first tick under that policy."""
    con = _as_released_first(monkeypatch, "ledger")
    wide, tight = '{"paused":false,"risk":{"a":"1"}}', '{"paused":true,"risk":{"a":"1"}}'
    for strategy, hour, policy in (("alpha", 0, wide), ("alpha", 1, wide), ("beta", 2, wide), ("beta", 3, tight)):
        payload = f'{{"deployment":{{"strategy_config_id":"{strategy}"}},"policy":{policy}}}'
        _tick(con, strategy, hour, f"{strategy} {policy}", payload)
    stored = [("alpha", "wide", wide, 0), ("beta", "tight", tight, 3), ("gone", "bare", "{}", 5)]
    for strategy, name, policy, hour in stored:
        con.execute(
            "INSERT INTO policy_versions VALUES ('paper', ?, '2025-05-12 00:00:00Z', 'first', ?, ?, ?)",
            [strategy, name, policy, f"2025-05-10 {hour:02}:00:00Z"],
        )
    rows = "SELECT * REPLACE (recorded_at::VARCHAR AS recorded_at, first_tick_at::VARCHAR AS first_tick_at) FROM "
    con.execute("SET TimeZone = 'UTC'")
    before = con.execute(f"{rows} policy_versions").fetchall()
    assert migrate(con, Path("f"), "ledger") == len(migrations_of("ledger")) - 1
    after = con.execute(f"{rows} policy_versions").fetchall()
    added = ("paper", "beta", "2025-05-11 02:00:00+00", "run beta 2", "wide", wide, "2025-05-10 02:00:00+00")
    assert sorted(after) == sorted([*before, added])


def test_bars_of_before_count_as_published_and_instruments_as_listed(monkeypatch):
    con = _as_released_first(monkeypatch, "market")
    con.execute("SET TimeZone = 'UTC'")
    bar = "'s', 'BTC/USDT', '1h', '2025-05-10 00:00:00Z', 1.0, 2.0, 0.5, 1.5, 3.0, false, '2025-05-11 00:00:00Z'"
    con.execute(f"INSERT INTO candles VALUES ({bar})")
    before = con.execute("SELECT * FROM candles").fetchall()
    assert migrate(con, Path("f"), "market") == len(migrations_of("market")) - 1
    assert con.execute("SELECT * EXCLUDE (parts, parts_expected, has_open) FROM candles").fetchall() == before
    assert con.execute("SELECT parts, parts_expected, has_open FROM candles").fetchall() == [(None, None, True)]
    assert con.execute("SELECT count(*) FROM instruments WHERE delisted_at IS NOT NULL").fetchall() == [(0,)]
    with pytest.raises(duckdb.ConstraintException):
        con.execute(f"INSERT INTO candles VALUES ({bar}, NULL, NULL, NULL)")
