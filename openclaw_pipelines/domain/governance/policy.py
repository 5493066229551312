"""Limits, costs and controls in force, as configured and as recorded with each tick."""

from dataclasses import dataclass
from typing import Any

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.config.governance import Risk
from openclaw_pipelines.contracts.config.trading import Costs
from openclaw_pipelines.contracts.enums import Mode

EXECUTE = {"auto": 2, "assist": 1, "none": 0}


@dataclass(frozen=True)
class Policy:
    """Limits, costs and controls as configured, with the layer each came from. Recorded with every tick."""

    risk: Risk
    symbol_risk: dict[str, Risk]
    sources: dict[str, dict[str, str]]
    costs: Costs
    mode: Mode
    shadow: bool
    paused: bool
    canary_bps: int
    approval_ticks: int

    @property
    def version_id(self) -> str:
        """Hash of the limits in force."""
        return sha256_of(self.payload())

    @property
    def executes(self) -> int:
        """Which approved entries become orders: 0 none, 1 those from outside, 2 all."""
        if self.shadow:
            return EXECUTE["none"]
        return EXECUTE["auto"] if self.mode is Mode.AUTO else EXECUTE["assist"]

    def payload(self) -> dict[str, Any]:
        """Plain values for canonical JSON."""
        return {
            "risk": self.risk.model_dump(),
            "symbol_risk": {symbol: risk.model_dump() for symbol, risk in self.symbol_risk.items()},
            "sources": self.sources,
            "costs": self.costs.model_dump(),
            "mode": self.mode,
            "shadow": self.shadow,
            "paused": self.paused,
            "canary_bps": self.canary_bps,
            "approval_ticks": self.approval_ticks,
        }

    @classmethod
    def from_payload(cls, values: dict[str, Any]) -> "Policy":
        """The policy that `payload` was made from, also after JSON."""
        return cls(
            risk=Risk.model_validate(values["risk"]),
            symbol_risk={symbol: Risk.model_validate(risk) for symbol, risk in values["symbol_risk"].items()},
            sources=values["sources"],
            costs=Costs.model_validate(values["costs"]),
            mode=Mode(values["mode"]),
            **{name: values[name] for name in ("shadow", "paused", "canary_bps", "approval_ticks")},
        )
