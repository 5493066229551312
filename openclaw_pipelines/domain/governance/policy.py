"""Limits, costs and controls in force, as configured and as recorded with each tick.

A payload keeps layers by their text; `from_payload` is where they become layers again. Forms of a payload: the first
has three words for where limits came from (`symbol override`, `binding`, `legacy default`), so that those of an
overlay's general section, of the environment and of a deployment read `legacy default` when its ticks are taken again.
The second has a word for each of them; it says `form` 2 where that makes a difference, and is the same text, under the
same id, where it makes none. From the third on, which always says so, only entries count against the limits per window
and the gap, and concentration is a share of gross exposure and free cash.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.config.governance import Risk
from openclaw_pipelines.contracts.config.trading import Costs
from openclaw_pipelines.contracts.enums import Mode
from openclaw_pipelines.contracts.layers import SOURCES, Layer, PolicySource

EXECUTE = {"auto": 2, "assist": 1, "none": 0}
_FIRST_WORDS = (PolicySource.SYMBOL, PolicySource.STRATEGY)


class Form(IntEnum):
    """What a recorded policy means: its words for where limits came from, and what some limits are held against."""

    THREE_WORDS = 1
    EVERY_LAYER = 2
    ENTRIES_COUNT = 3


def source_word(layers: Mapping[str, Layer], form: Form) -> PolicySource:
    """Where the deciding limits came from, by the most specific of their layers."""
    kinds = {layer.kind for layer in layers.values()}
    word = next((word for kind, word in SOURCES.items() if kind in kinds), PolicySource.DEFAULT)
    return word if form is not Form.THREE_WORDS or word in _FIRST_WORDS else PolicySource.DEFAULT


@dataclass(frozen=True)
class Policy:
    """Limits, costs and controls as configured. Recorded with every tick.

    sources: per symbol the layer of each limit that is no default. form: of the payload that it was loaded from.
    """

    risk: Risk
    symbol_risk: dict[str, Risk]
    sources: dict[str, dict[str, Layer]]
    costs: Costs
    mode: Mode
    shadow: bool
    paused: bool
    canary_bps: int
    approval_ticks: int
    form: Form = Form.ENTRIES_COUNT

    @property
    def version_id(self) -> str:
        """Hash of the whole policy: limits with their layers, costs and controls."""
        return sha256_of(self.payload())

    def source(self, symbol: str) -> PolicySource:
        """Where the deciding limits of a symbol came from."""
        return source_word(self.sources.get(symbol, {}), self.form)

    @property
    def executes(self) -> int:
        """Which approved entries become orders: 0 none, 1 those from outside, 2 all."""
        if self.shadow:
            return EXECUTE["none"]
        return EXECUTE["auto"] if self.mode is Mode.AUTO else EXECUTE["assist"]

    def payload(self) -> dict[str, object]:
        """Plain values for canonical JSON."""
        return {
            "risk": self.risk.model_dump(),
            "symbol_risk": {symbol: risk.model_dump() for symbol, risk in self.symbol_risk.items()},
            "sources": {
                symbol: {limit: layer.text for limit, layer in layers.items()}
                for symbol, layers in self.sources.items()
            },
            "costs": self.costs.model_dump(),
            "mode": self.mode,
            "shadow": self.shadow,
            "paused": self.paused,
            "canary_bps": self.canary_bps,
            "approval_ticks": self.approval_ticks,
            **({"form": self.form} if self._says_form else {}),
        }

    @property
    def _says_form(self) -> bool:
        return self.form is Form.ENTRIES_COUNT or (self.form is Form.EVERY_LAYER and _words_differ(self.sources))

    @classmethod
    def from_payload(cls, values: dict[str, Any]) -> "Policy":
        """The policy that `payload` was made from, also after JSON."""
        sources = {
            symbol: {limit: Layer.recorded(text) for limit, text in layers.items()}
            for symbol, layers in values["sources"].items()
        }
        unsaid = Form.THREE_WORDS if _words_differ(sources) else Form.EVERY_LAYER
        return cls(
            risk=Risk.model_validate(values["risk"]),
            symbol_risk={symbol: Risk.model_validate(risk) for symbol, risk in values["symbol_risk"].items()},
            sources=sources,
            costs=Costs.model_validate(values["costs"]),
            mode=Mode(values["mode"]),
            form=Form(values.get("form", unsaid)),
            **{name: values[name] for name in ("shadow", "paused", "canary_bps", "approval_ticks")},
        )


def _words_differ(sources: Mapping[str, Mapping[str, Layer]]) -> bool:
    """Whether the two forms have another word for a symbol."""
    return any(
        source_word(layers, Form.THREE_WORDS) != source_word(layers, Form.EVERY_LAYER) for layers in sources.values()
    )
