"""Each gate and each rotation rule with a twin that breaks its input."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from openclaw_pipelines.contracts.config.lifecycle import Lifecycle
from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.factory import ParityClass
from openclaw_pipelines.domain.lifecycle.evidence import ParityState
from openclaw_pipelines.domain.lifecycle.rules import first_blocking, first_firing, paper_gates, rotation

from .builders import DAY, HOUR, INCEPTION, PASSED, curve, evidence, results

LIMITS = Lifecycle()
GATES = ["paper_sample", "profit_factor", "drawdown", "net_at_20_bps_slippage", "no_kill_switch", "paper_replay_parity"]
RULES = ["kill_switch", "parity_red", "rotation_profit_factor", "rotation_drawdown", "rotation_age"]
SHORT = curve(10_000, 10_100)  # one hour
NO_TICK = curve(10_000)


def gate(name: str, **changes: Any) -> Any:
    return next(rule for rule in paper_gates(evidence(**changes), LIMITS) if rule.name == name)


def rule(name: str, **changes: Any) -> Any:
    return next(own for own in rotation(evidence(**changes), LIMITS) if own.name == name)


def test_sound_evidence_passes_every_gate_and_fires_nothing() -> None:
    assert [own.name for own in paper_gates(evidence(), LIMITS)] == GATES
    assert first_blocking(paper_gates(evidence(), LIMITS)) is None
    assert [own.name for own in rotation(evidence(), LIMITS)] == RULES
    assert first_firing(rotation(evidence(), LIMITS)) is None


def state(kind: ParityClass | None, *, fresh: bool = True) -> tuple[ParityState, ...]:
    return (PASSED, ParityState("2025-05-11", kind, fresh=fresh, reason="because"))


@pytest.mark.parametrize(
    ("broken", "changes"),
    [
        pytest.param("paper_sample", {"equity": SHORT, "trades": results(5, *[1] * 18)}, id="an hour and 19 trades"),
        pytest.param("paper_sample", {"equity": NO_TICK}, id="no tick recorded"),
        pytest.param("profit_factor", {"trades": results(119, -100)}, id="1.19"),
        pytest.param("profit_factor", {"trades": ()}, id="no trade"),
        pytest.param("profit_factor", {"trades": results(0, 0)}, id="draws only"),
        pytest.param("profit_factor", {"trades": results(-3)}, id="losses only"),
        pytest.param("drawdown", {"equity": curve(10_000, 9_000, 11_000, step=DAY)}, id="exactly 10 %"),
        pytest.param("net_at_20_bps_slippage", {"stressed_net": Decimal(0)}, id="stressed to nothing"),
        pytest.param("net_at_20_bps_slippage", {"stressed_net": None}, id="never stressed"),
        pytest.param("no_kill_switch", {"kill_switch": KillSwitch.CLOSE_ONLY}, id="close only"),
        pytest.param("no_kill_switch", {"kill_switch": KillSwitch.HALT_ALL}, id="halt all"),
        pytest.param("paper_replay_parity", {"parity": ()}, id="no day has ended"),
        pytest.param("paper_replay_parity", {"parity": state(None, fresh=False)}, id="a day without a report"),
        pytest.param("paper_replay_parity", {"parity": state(ParityClass.EQUAL, fresh=False)}, id="a stale report"),
        pytest.param("paper_replay_parity", {"parity": state(ParityClass.STATE_MACHINE)}, id="trades differ"),
        pytest.param("paper_replay_parity", {"parity": state(ParityClass.REDUCTION_ORDER)}, id="totals differ"),
        pytest.param("paper_replay_parity", {"parity": state(ParityClass.INVALID_COMPARISON)}, id="not comparable"),
    ],
)
def test_a_gate_closes(broken: str, changes: dict[str, Any]) -> None:
    closed = [own for own in paper_gates(evidence(**changes), LIMITS) if not own.holds]
    assert [own.name for own in closed] == [broken, *(["drawdown"] if changes.get("equity") == NO_TICK else [])]
    assert closed[0].reason


@pytest.mark.parametrize(
    ("name", "changes", "measured"),
    [
        pytest.param("paper_sample", {"equity": curve(1, 1, step=DAY), "trades": results(1)}, 1.0, id="one day"),
        pytest.param("paper_sample", {"equity": SHORT, "trades": results(*[1] * 20)}, 1 / 24, id="20 trades"),
        pytest.param("profit_factor", {"trades": results(120, -100)}, 1.2, id="exactly 1.2"),
        pytest.param("profit_factor", {"trades": results(1)}, None, id="no loss"),
        pytest.param("drawdown", {"equity": curve(10_000, 9_001, step=DAY)}, 999.0, id="9.99 %"),
        pytest.param("net_at_20_bps_slippage", {"stressed_net": Decimal("1E-8")}, 1e-8, id="an atom"),
    ],
)
def test_a_gate_just_holds(name: str, changes: dict[str, Any], measured: float | None) -> None:
    found = gate(name, **changes)
    assert found.holds
    assert found.measured == (pytest.approx(measured) if measured is not None else None)


def test_only_what_came_after_the_last_step_counts_for_a_gate() -> None:
    """The same trades and the same fall, before the size changed and after it."""
    later = INCEPTION + 24 * HOUR
    trades = (*results(-100, -100), *results(50, -10, start=later))
    equity = (*curve(10_000, 5_000), *curve(5_000, 5_050, 5_100, start=later, step=12 * HOUR))
    own = {"trades": trades, "equity": equity}
    assert not gate("profit_factor", **own).holds
    assert gate("profit_factor", since=later, **own).measured == 5.0
    assert not gate("drawdown", **own).holds
    assert gate("drawdown", since=later, **own).measured == 0.0
    assert rule("rotation_drawdown", since=later, **own).holds, "rotation looks at the whole life"


@pytest.mark.parametrize(
    ("fires", "changes", "measured"),
    [
        pytest.param("kill_switch", {"kill_switch": KillSwitch.CLOSE_ONLY}, 1.0, id="kill switch"),
        pytest.param("parity_red", {"parity": state(ParityClass.STATE_MACHINE)}, 1.0, id="trades differ"),
        pytest.param("parity_red", {"parity": state(ParityClass.REDUCTION_ORDER)}, 1.0, id="totals differ"),
        pytest.param("rotation_profit_factor", {"trades": results(*[10, -11] * 15)}, 10 / 11, id="30 losing trades"),
        pytest.param("rotation_drawdown", {"equity": curve(10_000, 8_499, step=DAY)}, 1501.0, id="15.01 %"),
        pytest.param("rotation_age", {"as_of": INCEPTION + 14 * DAY + HOUR}, 14 + 1 / 24, id="14 days and an hour"),
    ],
)
def test_a_rotation_rule_fires(fires: str, changes: dict[str, Any], measured: float) -> None:
    fired = [own for own in rotation(evidence(**changes), LIMITS) if own.holds]
    assert [own.name for own in fired] == [fires]
    assert fired[0].measured == pytest.approx(measured)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"parity": state(ParityClass.STATE_MACHINE, fresh=False)}, id="red but stale"),
        pytest.param({"parity": state(ParityClass.INVALID_COMPARISON)}, id="not comparable"),
        pytest.param({"trades": results(*[10, -11] * 14, 10)}, id="29 losing trades"),
        pytest.param({"trades": results(*[-50] * 20, *[10, -10] * 15)}, id="only the last 30 count"),
        pytest.param({"equity": curve(10_000, 8_500, step=DAY)}, id="exactly 15 %"),
        pytest.param({"as_of": INCEPTION + 14 * DAY}, id="exactly 14 days"),
        pytest.param({"trades": (), "equity": curve(10_000)}, id="nothing recorded"),
    ],
)
def test_a_rotation_rule_stays_silent(changes: dict[str, Any]) -> None:
    assert first_firing(rotation(evidence(**changes), LIMITS)) is None


def test_thresholds_come_from_the_configuration() -> None:
    strict = replace_limits(least_profit_factor=Decimal("4.6"), rotation_age_days=1, paper_days=3)
    assert [own.name for own in paper_gates(evidence(), strict) if not own.holds] == ["paper_sample", "profit_factor"]
    assert [own.name for own in rotation(evidence(), strict) if own.holds] == ["rotation_age"]


def replace_limits(**changes: Any) -> Lifecycle:
    return LIMITS.model_copy(update=changes)


def test_evidence_is_frozen() -> None:
    with pytest.raises(AttributeError):
        evidence().flat = False  # type: ignore[misc]
    assert replace(evidence(), flat=False).flat is False
