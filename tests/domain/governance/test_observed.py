"""What changed between two looks, entry by entry."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.domain.governance.observed import Recorded, Seen, SwitchSeen, changes, differs

AT = datetime(2025, 5, 12, 9, 30, tzinfo=UTC)
FILE, ENVIRONMENT = "autopilot.yaml", "environment of ticker"
OFF = SwitchSeen(KillSwitch.OFF, "file KILL_SWITCH")
HALT = SwitchSeen(KillSwitch.HALT_ALL, "file KILL_SWITCH", "the exchange is down")
SETTINGS = {
    "kill_switch": {"value": "off", "from": "default"},
    "risk.max_order_notional": {"value": "2500", "from": FILE},
    "strategies.trend.canary_bps": {"value": 10_000, "from": "strategy:trend"},
    "strategies.trend.paused": {"value": False, "from": "default"},
}
SEEN = Seen(AT, FILE, SETTINGS, {"file KILL_SWITCH": OFF})
BEGUN = Recorded({FILE: SEEN.configuration_hash}, settings=SETTINGS)


def look(**others: tuple[object, str] | None) -> dict[str, Any]:
    """The settings with others, by the last word of their key; None for one that is gone."""
    keys = {key.rsplit(".", 1)[-1]: key for key in SETTINGS}
    changed = {keys[name]: own and {"value": own[0], "from": own[1]} for name, own in others.items()}
    return {key: own for key, own in {**SETTINGS, **changed}.items() if own is not None}


def found(recorded: Recorded, seen: Seen) -> list[tuple[object, ...]]:
    """Entries as action, subject, before, after, actor, reason."""
    assert differs(recorded, seen) == bool(changes(recorded, seen))
    return [
        (own.action, own.subject, own.from_state, own.to_state, own.actor, json.loads(own.details)["reason"])
        for own in changes(recorded, seen)
    ]


def test_the_first_look_is_a_baseline_from_nothing() -> None:
    reason = "seen for the first time; what was before is not known"
    baseline = ("CONFIGURATION_CHANGED", FILE, None, "4 settings", "autopilot", reason)
    assert found(Recorded(), SEEN) == [baseline]
    halted = replace(SEEN, switches={"file KILL_SWITCH": HALT})
    pulled = ("KILL_SWITCH_CHANGED", "file KILL_SWITCH", None, "halt_all", "file KILL_SWITCH", "the exchange is down")
    assert found(Recorded(), halted) == [pulled, baseline]


def test_a_second_look_at_the_same_finds_nothing() -> None:
    assert found(BEGUN, SEEN) == []
    halted = replace(SEEN, switches={"file KILL_SWITCH": HALT})
    assert found(replace(BEGUN, switches={"file KILL_SWITCH": "halt_all"}), halted) == []


def test_a_switch_that_has_no_row_was_off_once_anybody_looked() -> None:
    assert found(BEGUN, replace(SEEN, switches={"file KILL_SWITCH": HALT}))[0][2:4] == ("off", "halt_all")
    released = found(replace(BEGUN, switches={"file KILL_SWITCH": "halt_all"}), SEEN)
    assert released == [
        ("KILL_SWITCH_CHANGED", "file KILL_SWITCH", "halt_all", "off", "file KILL_SWITCH", "no reason given")
    ]


OVERLAY = "overlay live.yaml"


@pytest.mark.parametrize(
    ("before", "after", "actor", "short"),
    [
        pytest.param(
            {},
            {"max_order_notional": ("500", OVERLAY)},
            OVERLAY,
            (
                "risk.max_order_notional 2500 (autopilot.yaml)",
                "risk.max_order_notional 500 (overlay live.yaml)",
            ),
            id="the overlay says more",
        ),
        pytest.param(
            {"max_order_notional": ("500", OVERLAY)},
            {},
            OVERLAY,
            ("risk.max_order_notional 500 (overlay live.yaml)", "risk.max_order_notional 2500 (autopilot.yaml)"),
            id="the overlay says less",
        ),
        pytest.param(
            {},
            {"canary_bps": (5_000, "strategy:trend")},
            FILE,
            (
                "strategies.trend.canary_bps 10000 (strategy:trend)",
                "strategies.trend.canary_bps 5000 (strategy:trend)",
            ),
            id="a section of the main file",
        ),
        pytest.param(
            {},
            {"max_order_notional": ("1", OVERLAY), "canary_bps": (0, "deployment")},
            "deployment, overlay live.yaml",
            (
                "risk.max_order_notional 2500 (autopilot.yaml), strategies.trend.canary_bps 10000 (strategy:trend)",
                "risk.max_order_notional 1 (overlay live.yaml), strategies.trend.canary_bps 0 (deployment)",
            ),
            id="two documents at once",
        ),
        pytest.param(
            {"max_order_notional": None},
            {},
            FILE,
            ("risk.max_order_notional -", "risk.max_order_notional 2500 (autopilot.yaml)"),
            id="a key that was not there",
        ),
        pytest.param(
            {},
            {"max_order_notional": ("500", f"{OVERLAY} symbols:BTC/USDT")},
            OVERLAY,
            (
                "risk.max_order_notional 2500 (autopilot.yaml)",
                "risk.max_order_notional 500 (overlay live.yaml symbols:BTC/USDT)",
            ),
            id="a section of the overlay",
        ),
    ],
)
def test_a_changed_configuration_names_what_changed_it(
    before: dict[str, Any], after: dict[str, Any], actor: str, short: tuple[str, str]
) -> None:
    known = look(**before)
    recorded = Recorded({FILE: replace(SEEN, settings=known).configuration_hash}, settings=known)
    note = "calm down" if OVERLAY in actor else "no reason given"
    seen = replace(SEEN, settings=look(**after), overlay_note="calm down")
    assert found(recorded, seen) == [("CONFIGURATION_CHANGED", FILE, *short, actor, note)]


def test_many_settings_are_counted_in_short_and_listed_in_the_details() -> None:
    before = {f"k{n}": {"value": n, "from": FILE} for n in range(5)}
    after = {key: {"value": -own["value"] - 1, "from": FILE} for key, own in before.items()}
    recorded = Recorded({FILE: "another"}, settings=before)
    (entry,) = changes(recorded, replace(SEEN, settings=after))
    assert entry.to_state == "k0 -1 (autopilot.yaml), k1 -2 (autopilot.yaml), k2 -3 (autopilot.yaml), 2 more"
    details = json.loads(entry.details)
    assert details["changed"]["k4"] == {"before": before["k4"], "after": after["k4"]}
    assert sorted(details["changed"]) == sorted(before)
    assert (details["configuration_before"], details["at"]) == ("another", AT.isoformat())


def test_a_pause_has_a_row_of_its_own_both_ways() -> None:
    paused = look(paused=(True, f"{OVERLAY} strategy:trend"))
    seen = replace(SEEN, settings=paused, overlay_note="losing")
    assert found(BEGUN, seen)[1:] == [("STRATEGY_PAUSED", "trend", "running", "paused", OVERLAY, "losing")]
    recorded = Recorded({FILE: seen.configuration_hash}, settings=paused)
    assert found(recorded, SEEN)[1:] == [("STRATEGY_RESUMED", "trend", "paused", "running", OVERLAY, "no reason given")]
    assert found(Recorded(), seen)[1:] == [("STRATEGY_PAUSED", "trend", None, "paused", OVERLAY, "losing")]


def test_a_configured_switch_is_released_by_the_document_that_asked_for_it() -> None:
    pulled = look(kill_switch=("close_only", OVERLAY))
    on, off = SwitchSeen(KillSwitch.CLOSE_ONLY, OVERLAY), SwitchSeen(KillSwitch.OFF, "default")
    seen = replace(SEEN, settings=pulled, switches={FILE: on}, overlay_note="slow")
    assert found(BEGUN, seen)[0] == ("KILL_SWITCH_CHANGED", FILE, "off", "close_only", OVERLAY, "slow")
    recorded = Recorded({FILE: seen.configuration_hash}, {FILE: "close_only"}, settings=pulled)
    released = found(recorded, replace(SEEN, switches={FILE: off}))[0]
    assert released == ("KILL_SWITCH_CHANGED", FILE, "close_only", "off", OVERLAY, "no reason given")


def test_the_environment_of_a_process_is_compared_with_its_own() -> None:
    seen = replace(SEEN, environments={ENVIRONMENT: {"OPENCLAW_MARKET": "ccxt"}})
    expected = (
        "CONFIGURATION_CHANGED", ENVIRONMENT, None, "OPENCLAW_MARKET ccxt", "environment OPENCLAW_MARKET",
        "no reason given",
    )  # fmt: skip
    assert found(BEGUN, seen) == [expected]
    known = replace(BEGUN, environments={ENVIRONMENT: {"OPENCLAW_MARKET": "ccxt"}})
    assert found(known, seen) == []
    assert found(known, SEEN) == [], "a look without an environment says nothing of it"
    gone = found(known, replace(SEEN, environments={ENVIRONMENT: {}}))
    assert gone[0][2:4] == ("OPENCLAW_MARKET ccxt", "OPENCLAW_MARKET -")
