"""The governor's part outside the kernel: control codes per symbol and tick, and verdicts as rows.

Limits are checked by `kernel.account.risk`; what cannot be known there (lists, mode, kill switch, data masks) becomes
one code per symbol here. The first failing check in the order of the enum is the code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.enums import InstrumentState, KillSwitch, Mode, RejectCode
from openclaw_pipelines.contracts.layers import DEFAULT
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.market.instruments import Instrument
from openclaw_pipelines.kernel.base.layout import Halt

HALTS = {KillSwitch.OFF: Halt.OFF, KillSwitch.CLOSE_ONLY: Halt.CLOSE_ONLY, KillSwitch.HALT_ALL: Halt.HALT_ALL}
HALT_CODES = {KillSwitch.CLOSE_ONLY: RejectCode.CLOSE_ONLY, KillSwitch.HALT_ALL: RejectCode.KILL_SWITCH}


@dataclass(frozen=True)
class Controls:
    """What may refuse entries at a tick and is not a number.

    masks: code per symbol from the data-quality rules.
    uncertain: the account's books did not reconcile.
    """

    kill_switch: KillSwitch
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    masks: Mapping[str, RejectCode] = field(default_factory=dict)
    settle_only: bool = False
    uncertain: bool = False


def control_codes(instruments: Iterable[Instrument], policy: Policy, controls: Controls) -> dict[str, int]:
    """The refusing code per symbol, 0 where entries may go on to the limits."""
    return {item.symbol: int(min(_codes(item, policy, controls), default=RejectCode.NONE)) for item in instruments}


def _codes(item: Instrument, policy: Policy, controls: Controls) -> Iterable[RejectCode]:
    mask = controls.masks.get(item.symbol, RejectCode.NO_PRICE)
    if mask is not RejectCode.NONE:
        yield mask
    yield from (code for holds, code in _refusals(item, policy, controls) if holds)
    if controls.kill_switch in HALT_CODES:
        yield HALT_CODES[controls.kill_switch]


def _refusals(item: Instrument, policy: Policy, controls: Controls) -> tuple[tuple[bool, RejectCode], ...]:
    symbol = item.symbol
    return (
        (controls.settle_only, RejectCode.STALE_CANDLES),
        (symbol in controls.disabled or item.state is not InstrumentState.TRADABLE, RejectCode.SYMBOL_DISABLED),
        (bool(controls.allow) and symbol not in controls.allow, RejectCode.SYMBOL_NOT_ALLOWED),
        (symbol in controls.deny, RejectCode.SYMBOL_DENIED),
        (policy.paused, RejectCode.PAUSED),
        (policy.mode is Mode.MANUAL, RejectCode.MODE_FORBIDS),
        (symbol not in policy.symbol_risk, RejectCode.POLICY_UNRESOLVED),
        (controls.uncertain, RejectCode.STATE_UNCERTAIN),
    )


def base_limits(policy: Policy, symbol: str) -> str:
    """JSON of the limits as configured, each with the layer it came from."""
    risk, sources = _risk(policy, symbol), policy.sources.get(symbol, {})
    return canonical_json(
        {key: {"value": value, "from": sources.get(key, DEFAULT).text} for key, value in risk.items()}
    )


def effective_limits(policy: Policy, item: Instrument) -> str:
    """JSON of the limits as applied, with what changed them: the canary factor and the instrument's own bounds."""
    risk = _risk(policy, item.symbol)
    if not risk:
        return canonical_json({})
    applied: dict[str, dict[str, object]] = {key: {"value": value} for key, value in risk.items()}
    if item.min_notional > risk["min_order_notional"]:
        applied["min_order_notional"] = {"value": item.min_notional, "because": "the exchange's least order"}
    if not item.is_perp:
        applied["margin_leverage_bps"] = {"value": 10_000, "because": "spot is bought in full"}
        applied["allow_short"] = {"value": False, "because": "spot cannot be sold short"}
    applied["size_bps"] = {"value": policy.canary_bps, "because": "canary" if policy.canary_bps < 10_000 else "full"}
    return canonical_json(applied)


def _risk(policy: Policy, symbol: str) -> dict[str, Any]:
    """Limits of a symbol; none where the policy could not be resolved."""
    return policy.symbol_risk[symbol].model_dump() if symbol in policy.symbol_risk else {}
