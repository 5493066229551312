"""From kernel numbers to rows: units, keys and words."""

from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import ExitReason, Leg, RejectCode, Side
from openclaw_pipelines.domain.trading.records import Scale, event_rows, position_rows
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.base.layout import EventKind

ENTRY_AT, EXIT_AT, BAR_AT = 1_746_856_800, 1_746_864_000, 1_746_867_600  # 06:00, 08:00 and 09:00 of 2025-05-10
PREFIX = "autopilot:paper:desk:AAAUSDT-PERP:20250510T"


@pytest.fixture
def scale(desk: Any) -> Scale:
    return Scale(desk("AAA/USDT:USDT", warm=False).session.deployment)


def events(*given: dict[str, int]) -> Any:
    rows = layout.records(layout.EVENT, len(given))
    for row, fields in zip(rows, given, strict=True):
        base = {"kind": EventKind.FILL, "leg": Leg.ENTRY, "side": Side.BUY, "qty": 1_500, "price": 10_010}
        times = {"at": BAR_AT, "decided_at": EXIT_AT, "entry_decided_at": ENTRY_AT, "intended_price": 10_000}
        for name, value in {**base, **times, **fields}.items():
            row[name] = value
    return rows


@pytest.mark.parametrize(
    ("leg", "key"),
    [
        pytest.param(Leg.ENTRY, "0800Z:entry", id="entry"),
        pytest.param(Leg.EXIT, "0800Z:exit", id="exit, of its own decision"),
        pytest.param(Leg.STOP, "0600Z:stop", id="stop, of the entry it protects"),
        pytest.param(Leg.TARGET, "0600Z:target", id="target"),
        pytest.param(Leg.LIQUIDATION, "0600Z:liquidation", id="liquidation"),
    ],
)
def test_keys_by_leg(scale: Scale, leg: Leg, key: str) -> None:
    rows = event_rows(scale, events({"leg": leg}))
    (fill,) = rows["autopilot_fills"]
    assert (fill["order_key"], fill["fill_key"]) == (PREFIX + key, PREFIX + key + ":1")
    protective = leg in (Leg.STOP, Leg.TARGET, Leg.LIQUIDATION)
    assert [order["order_key"] for order in rows["autopilot_orders"]] == [PREFIX + key] * protective


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        pytest.param(EventKind.ENTRY_EXPIRED, "expired", "NO_PRICE", id="expired"),
        pytest.param(EventKind.INSUFFICIENT, "insufficient", "INSUFFICIENT_AT_FILL", id="insufficient"),
    ],
)
def test_what_did_not_fill(scale: Scale, kind: EventKind, status: str, code: str) -> None:
    (fill,) = event_rows(scale, events({"kind": kind, "reason": RejectCode[code]}))["autopilot_fills"]
    assert (fill["status"], fill["reason_code"], fill["qty"], fill["price"], fill["slippage_bps"]) == (
        status,
        code,
        0,
        0,
        None,
    )


def test_a_reduced_entry_and_its_stop_in_one_bar(scale: Scale) -> None:
    rows = event_rows(
        scale,
        events({"kind": EventKind.REDUCED}, {}, {"leg": Leg.STOP, "side": Side.SELL, "reason": ExitReason.STOP}),
    )
    assert [(fill["leg"], fill["status"]) for fill in rows["autopilot_fills"]] == [
        ("entry", "reduced"),
        ("stop", "filled"),
    ]


@pytest.mark.parametrize(
    ("side", "price", "bps"),
    [
        pytest.param(Side.BUY, 10_010, 10.0, id="bought dearer costs"),
        pytest.param(Side.BUY, 9_990, -10.0, id="bought cheaper saves"),
        pytest.param(Side.SELL, 9_990, 10.0, id="sold cheaper costs"),
        pytest.param(Side.SELL, 10_010, -10.0, id="sold dearer saves"),
    ],
)
def test_slippage_is_positive_when_it_costs(scale: Scale, side: Side, price: int, bps: float) -> None:
    (fill,) = event_rows(scale, events({"side": side, "price": price}))["autopilot_fills"]
    assert fill["slippage_bps"] == pytest.approx(bps)


def test_no_position_no_row(desk: Any, scale: Scale) -> None:
    assert position_rows(scale, desk("AAA/USDT:USDT", warm=False).session.state) == []
