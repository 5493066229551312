"""Where a setting came from: the layer that set it, and the text by which ledger rows keep it.

The text is written and read here and nowhere else: what a layer means is its kind. Which layer wins is in `settings`.
"""

from dataclasses import dataclass
from enum import StrEnum


class LayerKind(StrEnum):
    """What set a value."""

    DEFAULT = "default"
    FILE = "file"
    STRATEGY = "strategy"
    SYMBOLS = "symbols"
    DEPLOYMENT = "deployment"
    OVERLAY = "overlay"
    ENVIRONMENT = "environment"


class PolicySource(StrEnum):
    """Words of `policy_source`: where the deciding limits of a symbol came from, the most specific first."""

    SYMBOL = "symbol override"
    STRATEGY = "binding"
    DEPLOYMENT = "deployment"
    ENVIRONMENT = "environment"
    OVERLAY = "overlay"
    DEFAULT = "legacy default"


SOURCES = {
    LayerKind.SYMBOLS: PolicySource.SYMBOL,
    LayerKind.STRATEGY: PolicySource.STRATEGY,
    LayerKind.DEPLOYMENT: PolicySource.DEPLOYMENT,
    LayerKind.ENVIRONMENT: PolicySource.ENVIRONMENT,
    LayerKind.OVERLAY: PolicySource.OVERLAY,
    LayerKind.FILE: PolicySource.DEFAULT,
    LayerKind.DEFAULT: PolicySource.DEFAULT,
}
"""Word of each kind of layer; of several layers the first in this order has the word."""


@dataclass(frozen=True)
class Layer:
    """One layer.

    name: of the file, strategy, symbol, overlay or variable; code defaults and deployments have none.
    within: the overlay or variable whose section it is; None for sections of the main file.
    """

    kind: LayerKind
    name: str = ""
    within: "Layer | None" = None

    @property
    def text(self) -> str:
        """How it reads and is recorded.

        >>> live = Layer(LayerKind.OVERLAY, "live.yaml")
        >>> live.text, Layer(LayerKind.STRATEGY, "trend", live).text, Layer(LayerKind.SYMBOLS, "BTC/USDT").text
        ('overlay live.yaml', 'overlay live.yaml strategy:trend', 'symbols:BTC/USDT')
        """
        own = {
            LayerKind.FILE: self.name,
            LayerKind.STRATEGY: f"{_STRATEGY}{self.name}",
            LayerKind.SYMBOLS: f"{_SYMBOLS}{self.name}",
            LayerKind.OVERLAY: f"{_OVERLAY}{self.name}",
            LayerKind.ENVIRONMENT: f"{_ENVIRONMENT}{self.name}",
        }.get(self.kind, self.kind.value)
        return own if self.within is None else f"{self.within.text} {own}"

    def __str__(self) -> str:
        return self.text

    @classmethod
    def recorded(cls, text: str) -> "Layer":
        """The layer that a recorded text stands for; the other way of `text`.

        >>> Layer.recorded("overlay live.yaml symbols:BTC/USDT:USDT").within
        Layer(kind=<LayerKind.OVERLAY: 'overlay'>, name='live.yaml', within=None)
        """
        for kind, mark in ((LayerKind.STRATEGY, _STRATEGY), (LayerKind.SYMBOLS, _SYMBOLS)):
            around, found, name = f" {text}".partition(f" {mark}")
            if found:
                return cls(kind, name, cls.recorded(around.strip()) if around else None)
        for kind, mark in ((LayerKind.OVERLAY, _OVERLAY), (LayerKind.ENVIRONMENT, _ENVIRONMENT)):
            if text.startswith(mark):
                return cls(kind, text.removeprefix(mark))
        if text in (LayerKind.DEFAULT, LayerKind.DEPLOYMENT):
            return cls(LayerKind(text))
        return cls(LayerKind.FILE, text)


_STRATEGY, _SYMBOLS, _OVERLAY, _ENVIRONMENT = "strategy:", "symbols:", "overlay ", "environment "
DEFAULT = Layer(LayerKind.DEFAULT)
"""Layer of what no document sets."""
