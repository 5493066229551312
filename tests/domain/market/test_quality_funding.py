"""Funding that was due and is not stored, on hand-made days."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from openclaw_pipelines.domain.market.quality.funding import funding_coverage

DAY = datetime(2025, 5, 10, tzinfo=UTC)
LATER = datetime(2025, 6, 1, tzinfo=UTC)
HOURS = {"BTC/USDT:USDT": 8, "ETH/USDT:USDT": 4}


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def rates(btc=(0, 8, 16), eth=(0, 4, 8, 12, 16, 20)) -> pl.DataFrame:
    rows = [("BTC/USDT:USDT", at(hour), 0.0001) for hour in btc] + [("ETH/USDT:USDT", at(hour), 0.0) for hour in eth]
    schema = {"symbol": pl.String, "ts": pl.Datetime("us", "UTC"), "funding_rate": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(interval_hours=pl.lit(None, pl.Int64))


def judged(stored: pl.DataFrame, hours=HOURS, as_of=LATER, listed_at=None, delisted_at=None):
    end = DAY + timedelta(days=1)
    return funding_coverage(
        stored, hours, start=DAY, end=end, as_of=as_of, listed_at=listed_at or {}, delisted_at=delisted_at
    )


@pytest.mark.parametrize(
    ("stored", "changes", "absent", "due"),
    [
        pytest.param(rates(), {}, [], 9, id="all there, a rate of zero too"),
        pytest.param(rates(btc=(0, 16)), {}, [("BTC/USDT:USDT", at(8))], 9, id="one absent"),
        pytest.param(
            rates(btc=()), {"hours": {"BTC/USDT:USDT": 12}}, [("BTC/USDT:USDT", at(h)) for h in (0, 12)], 2, id="none"
        ),
        pytest.param(rates(btc=(0, 8.5, 16)), {}, [("BTC/USDT:USDT", at(8))], 9, id="off the grid"),
        pytest.param(
            rates(btc=(0,), eth=(0, 4, 8)),
            {"as_of": at(9)},
            [],
            3,
            id="late within the hour",
        ),
        pytest.param(rates(btc=(0,), eth=(0, 4, 8)), {"as_of": at(9.5)}, [("BTC/USDT:USDT", at(8))], 5, id="too late"),
        pytest.param(rates(btc=(8, 16)), {"listed_at": {"BTC/USDT:USDT": at(3)}}, [], 8, id="listed in the day"),
        pytest.param(rates(btc=(0, 8)), {"delisted_at": {"BTC/USDT:USDT": at(16)}}, [], 8, id="delisted in the day"),
        pytest.param(rates(), {"hours": {}}, [], 0, id="only spot"),
        pytest.param(rates(btc=(), eth=()), {"as_of": DAY - timedelta(days=3)}, [], 0, id="a day to come"),
    ],
)
def test_rates_that_were_due_are_listed(stored, changes, absent, due):
    result = judged(stored, **changes)
    assert (result.passed, result.severity, result.name) == (not absent, "warning", "funding_coverage")
    assert result.facts["due"] == due
    assert (result.facts["absent"], result.total_cases) == (len(absent), len(absent))
    assert list(result.cases.select("symbol", "due_at").iter_rows()) == absent


def test_the_sentence_says_how_many_and_what_to_do():
    assert judged(rates(btc=(0,))).sentence.startswith("2 of 9 funding rates that were due are absent")
    assert "Materialize `funding_rates`" in judged(rates(btc=(0,))).sentence
    assert judged(rates()).sentence == "All 9 rates that were due are stored."


def test_what_the_source_says_with_its_rates_counts_before_the_instrument() -> None:
    """Bitcoin was changed to every four hours; the instrument still says eight."""
    stored = rates(btc=(-8, 0, 8, 12, 16, 20), eth=()).with_columns(
        interval_hours=pl.Series([8, 4, 4, 4, 4, 4], dtype=pl.Int64)
    )
    found = judged(stored, hours={"BTC/USDT:USDT": 8})
    assert [(row["due_at"], row["interval_hours"]) for row in found.cases.to_dicts()] == [(at(4), 4)]
    assert judged(stored.with_columns(interval_hours=pl.lit(None, pl.Int64)), hours={"BTC/USDT:USDT": 8}).passed
