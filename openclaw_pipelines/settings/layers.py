"""Merging layers: what overrides what, and which layer each value came from.

Layers, later wins: code defaults, `autopilot.yaml` with the strategies that the factory deployed, the live overlay, the
environment. Inside one document the general
value `risk.*` gives way to `strategies.<name>.risk.*`, and that to `symbols.<symbol>.risk.*`; but a later document
beats everything an earlier one says, so that an operator's overlay `risk:` section clamps every strategy and symbol.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from openclaw_pipelines.contracts.layers import DEFAULT, Layer, LayerKind
from openclaw_pipelines.settings.documents import Document, Path, dotted

SECTIONS = {"strategies": LayerKind.STRATEGY, "symbols": LayerKind.SYMBOLS}
"""Sections that go by their own name."""


def merge(documents: Iterable[Document]) -> dict[str, object]:
    """Trees laid over each other: mappings merge key by key, lists and values replace."""
    merged: dict[str, object] = {}
    for document in documents:
        _lay_over(merged, document.tree)
    return merged


def layer_at(document: Document, path: Path) -> Layer:
    """The layer that a document is for one key. Sections of the main file go by their own name.

    >>> main, live = Layer(LayerKind.FILE, "autopilot.yaml"), Layer(LayerKind.OVERLAY, "live.yaml")
    >>> layer_at(Document(main, {}), ("symbols", "BTC/USDT", "risk", "max_order_notional")).text
    'symbols:BTC/USDT'
    >>> layer_at(Document(live, {}), ("strategies", "trend", "risk", "max_order_notional")).text
    'overlay live.yaml strategy:trend'
    """
    if document.origin(path) is not None:
        return Layer(LayerKind.DEPLOYMENT)
    if len(path) < 2 or path[0] not in SECTIONS:
        return document.layer
    within = None if document.layer.kind in (LayerKind.DEFAULT, LayerKind.FILE) else document.layer
    return Layer(SECTIONS[path[0]], path[1], within)


def provenance(config: BaseModel, documents: Sequence[Document]) -> dict[str, Layer]:
    """Layer of every value of the merged configuration, by dotted key."""
    return {dotted(path): layer_of(path, documents) for path in leaves(config.model_dump())}


def beneath(
    model: type[BaseModel], files: Sequence[Document], over: Sequence[Document]
) -> dict[str, tuple[object, Layer]]:
    """What files say where a later document has another word: dotted key -> value and layer.

    model: of the whole configuration; its default holds where no file sets the key.
    """
    said = merge(files)
    return {
        dotted(path): (_said(said, path, model), layer_of(path, files))
        for document in over
        for path in leaves(document.tree)
    }


def _said(tree: Any, path: Path, model: Any) -> object:
    field = model.model_fields[path[0]]
    own = tree.get(path[0]) if isinstance(tree, Mapping) else None
    if len(path) > 1:
        return _said(own, path[1:], field.annotation)
    return field.get_default() if own is None else own


def layer_of(path: Path, documents: Sequence[Document]) -> Layer:
    """Layer of the last document that sets the key, or that of code defaults."""
    for document in reversed(documents):
        if document.has(path):
            return layer_at(document, path)
    return DEFAULT


def resolve(
    section: str, documents: Sequence[Document], strategy: str, symbol: str | None = None
) -> tuple[dict[str, object], dict[str, Layer]]:
    """Values of `risk`, `costs` or `universe` that hold for one strategy and symbol, and the layer of each.

    What no document sets is left out: the model's default holds.
    """
    values: dict[str, object] = {}
    layers: dict[str, Layer] = {}
    places: list[Path] = [(section,), ("strategies", strategy, section)]
    if symbol is not None:
        places.append(("symbols", symbol, section))
    for document in documents:
        for place in places:
            found = _at(document.tree, place)
            _lay_over(values, found)
            layers.update(dict.fromkeys(found, layer_at(document, place)))
    return values, layers


def find_place(section: str, key: Path, documents: Sequence[Document], strategy: str, symbol: str | None) -> Path:
    """Full path under which a resolved value was set last, for messages."""
    places: list[Path] = [("strategies", strategy, section), (section,)]
    if symbol is not None:
        places.insert(0, ("symbols", symbol, section))
    for document in reversed(documents):
        for place in places:
            if document.has((*place, *key)):
                return (*place, *key)
    return (section, *key)


def _at(tree: Mapping[str, object], path: Path) -> Mapping[str, object]:
    found: object = tree
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _lay_over(target: dict[str, Any], tree: Mapping[str, object]) -> None:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            below = target.get(key)
            target[key] = dict(below) if isinstance(below, Mapping) else {}
            _lay_over(target[key], value)
        else:
            target[key] = value


def leaves(tree: Mapping[str, object], path: Path = ()) -> Iterator[Path]:
    """Paths of all values of a tree; an empty mapping is a value."""
    for key, value in tree.items():
        here = (*path, str(key))
        if isinstance(value, Mapping) and value:
            yield from leaves(value, here)
        else:
            yield here
