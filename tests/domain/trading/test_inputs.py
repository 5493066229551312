"""What a tick depends on: bars out of candles, funding, and the JSON that the ledger keeps."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_pipelines.contracts.enums import Leg, Side
from openclaw_pipelines.domain.execution.port import Report, ReportKind, reports_json
from openclaw_pipelines.domain.governance.approvals import External
from openclaw_pipelines.domain.trading.inputs import BAR_FIELDS, TickInput, bars_by_tick, chained_hash
from openclaw_pipelines.domain.trading.planned import Planned, Signal
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.base.layout import WHOLE

PERP, SPOT = "AAA/USDT:USDT", "BBB/USDT"
EIGHT = datetime(2025, 5, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
BAR = {
    "open": 100.0, "high": 101.5, "low": 99.0, "close": 100.25, "volume": 3.5, "is_synthetic": False, "has_open": True,
}  # fmt: skip


def candles(*rows: dict[str, Any]) -> pl.DataFrame:
    full = [{"symbol": PERP, "ts": EIGHT, **BAR, **row} for row in rows]
    return pl.DataFrame(full, schema_overrides={"ts": pl.Datetime("us", "UTC")})


def funding(*rows: tuple[str, datetime, float]) -> pl.DataFrame:
    schema = {"symbol": pl.String, "ts": pl.Datetime("us", "UTC"), "funding_rate": pl.Float64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


@pytest.fixture
def deployment(desk: Any) -> Any:
    return desk(PERP, SPOT, warm=False).session.deployment


@pytest.mark.parametrize(
    ("change", "bar"),
    [
        pytest.param({}, (10_000, 10_150, 9_900, 10_025, 1, 0, 3.5, 0), id="traded"),
        pytest.param({"volume": 0.0}, (10_000, 10_150, 9_900, 10_025, 2, 0, 0.0, 0), id="no volume fills nothing"),
        pytest.param({"has_open": False}, (10_000, 10_150, 9_900, 10_025, 3, 0, 3.5, 0), id="no first part, no open"),
        pytest.param({"has_open": False, "volume": 0.0}, (10_000, 10_150, 9_900, 10_025, 2, 0, 0.0, 0), id="neither"),
        pytest.param({"is_synthetic": True}, None, id="synthetic is missing"),
        pytest.param({"close": 100.255}, None, id="off its price unit is missing"),
        pytest.param({"high": float("inf")}, None, id="an endless high is missing"),
        pytest.param({"high": 1e300}, None, id="a high beyond any price is missing"),
        pytest.param({"volume": float("inf")}, None, id="an endless volume is missing"),
        pytest.param({"high": 99.0}, None, id="a high below the others is missing"),
    ],
)
def test_a_bar_in_integers_at_its_close(deployment: Any, change: dict[str, Any], bar: Any) -> None:
    found = bars_by_tick(candles(change), funding(), deployment)
    assert found.get(EIGHT + HOUR, {}).get(PERP) == bar


@pytest.mark.parametrize(
    ("rows", "due"),
    [
        pytest.param([(PERP, EIGHT, 0.0001)], (1_000_000, 0), id="at the open"),
        pytest.param([(PERP, EIGHT + timedelta(milliseconds=12), 0.0001)], (1_000_000, 0), id="stamped late"),
        pytest.param([(PERP, EIGHT, 0.0001), (PERP, EIGHT + HOUR / 2, -0.00005)], (1_000_000, -500_000), id="inside"),
        pytest.param(
            [(PERP, EIGHT + HOUR / 4, 0.08), (PERP, EIGHT + HOUR / 2, 0.07)], (0, 1_500_000_000), id="two inside"
        ),
        pytest.param([(PERP, EIGHT + HOUR, 0.0001)], (0, 0), id="the next bar's"),
        pytest.param([(SPOT, EIGHT, 0.0001)], (0, 0), id="another symbol's"),
    ],
)
def test_funding_is_due_at_the_open_that_is_its_stamp_or_inside_the_bar(
    deployment: Any, rows: list[Any], due: tuple[int, int]
) -> None:
    bar = bars_by_tick(candles({}), funding(*rows), deployment)[EIGHT + HOUR][PERP]
    named = dict(zip(BAR_FIELDS, bar, strict=True))
    assert (named["funding_rate"], named["funding_inside"]) == due


def test_a_bar_of_the_first_ledgers_is_charged_at_its_open() -> None:
    given = TickInput(EIGHT, {PERP: (1, 2, 1, 2, 1, 700, 1.0)}, {}, (PERP,), None)
    record = given.kernel_tick([PERP]).symbols[0]
    assert (int(record.funding_rate), int(record.funding_inside), float(record.volume)) == (700, 0, 1.0)


def test_spot_has_no_funding(deployment: Any) -> None:
    found = bars_by_tick(candles({"symbol": SPOT}), funding((SPOT, EIGHT, 0.0001)), deployment)
    assert found[EIGHT + HOUR][SPOT][5] == 0


def test_a_missing_bar_does_not_excuse_from_funding(deployment: Any) -> None:
    found = bars_by_tick(candles({"symbol": SPOT}), funding((PERP, EIGHT, 0.0001)), deployment)
    assert found[EIGHT + HOUR][PERP] == (0, 0, 0, 0, 0, 1_000_000, 0.0, 0)


def test_a_bar_off_its_unit_stops_no_other_bar(deployment: Any) -> None:
    found = bars_by_tick(
        candles({"close": 100.255}, {"symbol": SPOT}, {"ts": EIGHT + HOUR}), funding((PERP, EIGHT, 0.0001)), deployment
    )
    assert found[EIGHT + HOUR][PERP] == (0, 0, 0, 0, 0, 1_000_000, 0.0, 0)  # funding is due all the same
    assert found[EIGHT + HOUR][SPOT][:4] == (10_000, 10_150, 9_900, 10_025)
    assert found[EIGHT + 2 * HOUR][PERP][:4] == (10_000, 10_150, 9_900, 10_025)


def test_a_bar_that_is_absent_is_missing_in_the_kernel(deployment: Any) -> None:
    given = TickInput(EIGHT, {PERP: (1, 2, 1, 2, 1, 0, 1.0)}, {SPOT: 21}, (PERP,), None)
    perp, spot = given.kernel_tick([PERP, SPOT]).symbols
    assert (int(perp.bar_state), int(perp.in_universe), int(perp.control)) == (1, 1, 0)
    assert (int(spot.bar_state), int(spot.in_universe), int(spot.control)) == (0, 0, 21)


whole = st.integers(1, 2**53)
BARS = st.dictionaries(
    st.sampled_from([PERP, SPOT]),
    st.tuples(whole, whole, whole, whole, st.integers(0, 2), st.integers(-(10**9), 10**9), st.floats(0, 1e12)),
)
EXTERNAL = st.builds(
    External,
    st.just("k"), st.sampled_from([PERP, SPOT]), st.sampled_from(["approve", "decline", "expire"]), whole,
    st.integers(0, 2), st.sampled_from([-1, 1]), whole, st.floats(0, 1), whole, whole, whole,
)  # fmt: skip

MONEY = st.decimals(-(10**6), 10**6, places=8)
REPORT = st.builds(
    Report,
    kind=st.sampled_from(ReportKind),
    order_key=st.just("k:entry"),
    symbol=st.sampled_from([PERP, SPOT]),
    leg=st.sampled_from(Leg),
    side=st.sampled_from([Side.BUY, Side.SELL]),
    at=st.datetimes(timezones=st.just(UTC)),
    number=st.integers(0, 99),
    reason=st.text(max_size=8),
    **dict.fromkeys(("qty", "price", "fee", "amount", "remaining"), MONEY),
)
PLANNED = st.builds(
    Planned,
    kind=st.sampled_from(["file", "model"]),
    planner_id=st.sampled_from(["rsi", "two words", "v1.2"]),
    source_hash=st.just("a" * 64),
    seen_hash=st.just("b" * 64),
    signals=st.dictionaries(
        st.sampled_from([PERP, SPOT]),
        st.builds(Signal, side=st.integers(-1, 1), stop=st.integers(0, 2**53), part=st.integers(0, WHOLE)),
    ),
)


@settings(max_examples=40, deadline=None)
@given(
    bars=BARS,
    controls=st.dictionaries(st.sampled_from([PERP, SPOT]), st.integers(0, 35)),
    halt=st.sampled_from(layout.Halt),
    settle_only=st.sampled_from([None, "too old"]),
    external=st.lists(EXTERNAL, max_size=2),
    told=st.none() | st.tuples(st.sampled_from(["paper", "venue"]), st.lists(REPORT, max_size=2)),
    planned=st.none() | PLANNED,
    sources=st.none() | st.just({PERP: "archive:here", SPOT: "ccxt:there"}),
)
def test_what_is_recorded_is_what_was_given(
    bars: Any, controls: Any, halt: Any, settle_only: Any, external: Any, told: Any, planned: Any, sources: Any
) -> None:
    executor, reports = (None, None) if told is None else (told[0], tuple(told[1]))
    outside = (tuple(external), executor, reports, planned, sources)
    given = TickInput(EIGHT, bars, controls, (SPOT, PERP), "u", halt, settle_only, *outside)
    row = {
        "tick_at": EIGHT,
        "bars": given.bars_json(),
        "masks": given.masks_json(),
        "external": given.external_json(),
        "universe_key": "u",
        "executor": executor,
        "reports": None if reports is None else reports_json(reports),
        "signals": None if planned is None else planned.json(),
        "sources": None if sources is None else json.dumps(sources),
    }
    assert TickInput.from_row(row) == given


def test_the_hash_is_chained_over_every_tick() -> None:
    one, other = chained_hash("0" * 64, "a"), chained_hash("0" * 64, "b")
    assert one != other
    assert chained_hash(one, "c") != chained_hash(other, "c")
