"""From text to types: unknown keys, secrets, types and bounds. What must agree with what is in `agreement`."""

import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from openclaw_pipelines.contracts.config.configuration import Configuration
from openclaw_pipelines.contracts.config.governance import PER_SYMBOL_LIMITS, Risk
from openclaw_pipelines.contracts.config.trading import Costs, SymbolOverride, Universe
from openclaw_pipelines.contracts.layers import DEFAULT
from openclaw_pipelines.settings.documents import Document, Path, dotted
from openclaw_pipelines.settings.environment import SECRET_VARIABLES
from openclaw_pipelines.settings.errors import (
    AccountWideLimitError,
    MissingSettingError,
    SecretInFileError,
    SettingValueError,
    UnknownSettingError,
    nearest,
)
from openclaw_pipelines.settings.redaction import looks_secret

OVERRIDES: dict[str, type[BaseModel]] = {"risk": Risk, "costs": Costs, "universe": Universe}
"""Sections that strategies and symbols may override key by key."""
FREE_NAMES = {"symbols": "<symbol>", "strategies": "<name>", "factory": "<recipe>"}
"""Sections whose keys are names, and how the names read in documentation."""


def checked_document(document: Document) -> Document:
    """The document if all its keys are known, without sections that are there but empty.

    Raises UnknownSettingError, AccountWideLimitError, SecretInFileError.
    """
    _refuse_secrets(document, document.tree, ())
    return Document(document.layer, _checked(document, document.tree, Configuration, ()), document.lines)


def typed(model: type[BaseModel], tree: Mapping[str, object], place: "Place") -> Any:
    """Validated `model`. Raises MissingSettingError or SettingValueError for the first thing that is wrong."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise _named(error, model, place) from None


class Place:
    """Where the keys of a validated tree stand: which documents, and how a key becomes its full path."""

    def __init__(
        self, documents: Iterable[Document], full_path: typing.Callable[[Path], Path] = lambda key: key
    ) -> None:
        self._documents = tuple(documents)
        self._full_path = full_path

    def path(self, key: Path) -> Path:
        """Full path of a key."""
        return self._full_path(key)

    def where(self, key: Path) -> str:
        """The document, and line, that sets the key or what is around it."""
        path = self.path(key)
        for end in range(len(path), 0, -1):
            for document in reversed(self._documents):
                if document.has(path[:end]) or path[:end] in document.lines:
                    return document.where(path)
        return self._documents[-1].name if self._documents else DEFAULT.text


def fields_below(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """Model of the section under a field: its own, that of its values by name, or that of an override."""
    annotation = model.model_fields[name].annotation
    if model is not Configuration and name in OVERRIDES:
        return OVERRIDES[name]
    return next((part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)), None)


def is_mapping(model: type[BaseModel], name: str) -> bool:
    """Whether a field maps free names to values or sections."""
    return any(typing.get_origin(part) is dict for part in _parts(model.model_fields[name].annotation))


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    if typing.get_origin(annotation) in {dict, typing.Union, types.UnionType, typing.Annotated}:
        for argument in typing.get_args(annotation):
            yield from _parts(argument)


def _refuse_secrets(document: Document, tree: Mapping[str, object], path: Path) -> None:
    for key, value in tree.items():
        here = (*path, key)
        is_name = len(path) == 1 and path[0] in FREE_NAMES
        if looks_secret(key) and not is_name:
            raise SecretInFileError(document.where(here), dotted(here), ", ".join(SECRET_VARIABLES))
        if isinstance(value, Mapping):
            _refuse_secrets(document, value, here)


def _checked(document: Document, tree: Mapping[str, object], model: type[BaseModel], path: Path) -> dict[str, object]:
    checked = {}
    for key, value in tree.items():
        here = (*path, key)
        if key not in model.model_fields:
            raise UnknownSettingError(document.where(here), dotted(here), _nearest_key(model, here))
        section = fields_below(model, key)
        if value is None and (section or is_mapping(model, key)):
            continue
        checked[key] = _checked_value(document, value, model, section, here) if isinstance(value, Mapping) else value
    return checked


def _checked_value(
    document: Document, value: Mapping[str, object], model: type[BaseModel], section: type[BaseModel] | None, path: Path
) -> dict[str, object]:
    if path[-1] == "weights":
        _refuse_unknown_weights(document, value, path)
    if section is None:
        return dict(value)
    if model is SymbolOverride:
        _refuse_account_wide(document, value, path)
    if model is Configuration and path[-1] in FREE_NAMES:
        named = {name: {} if below is None else below for name, below in value.items()}
        return {
            name: _checked(document, below, section, (*path, name)) if isinstance(below, Mapping) else below
            for name, below in named.items()
        }
    return _checked(document, value, section, path)


def _refuse_unknown_weights(document: Document, weights: Mapping[str, object], path: Path) -> None:
    known = Universe().weights
    for name in weights:
        if name not in known:
            raise UnknownSettingError(
                document.where((*path, name)), dotted((*path, name)), dotted((*path, nearest(name, known)))
            )


def _refuse_account_wide(document: Document, limits: Mapping[str, object], path: Path) -> None:
    for key in limits:
        if key in Risk.model_fields and key not in PER_SYMBOL_LIMITS:
            here = (*path, key)
            raise AccountWideLimitError(document.where(here), dotted(here), ", ".join(PER_SYMBOL_LIMITS))


def _nearest_key(model: type[BaseModel], path: Path) -> str:
    """The most similar key of the same section, or the same key where it belongs."""
    at_home = [key for key in known_keys() if key.rsplit(".", 1)[-1] == path[-1]]
    if at_home:
        return at_home[0]
    return dotted((*path[:-1], nearest(path[-1], model.model_fields)))


def known_keys(model: type[BaseModel] = Configuration, path: Path = ()) -> list[str]:
    """Every key as the reference lists it; names that are free stand in angle brackets.

    >>> [key for key in known_keys() if key.endswith("start_day")]
    ['strategies.<name>.start_day']
    """
    keys = []
    for name in model.model_fields:
        section = fields_below(model, name)
        if section is None or (model is not Configuration and name in OVERRIDES):
            keys.append(dotted((*path, name)))
            continue
        keys += known_keys(section, (*path, name, FREE_NAMES[name]) if name in FREE_NAMES else (*path, name))
    return keys


def _named(error: ValidationError, model: type[BaseModel], place: Place) -> Exception:
    first = error.errors(include_url=False)[0]
    key = tuple(str(part) for part in first["loc"])
    where, name = place.where(key), dotted(place.path(key))
    if first["type"] == "missing":
        return MissingSettingError(where, name, _description(model, key))
    problem = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if first["type"] in {"model_type", "dict_type"}:
        problem = "must be a section with settings of its own"
    return SettingValueError(where, name, _plain(first["input"]), problem)


def _plain(value: object) -> object:
    """Decimals as they were written, so that people do not read the name of a class."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _description(model: type[BaseModel], key: Path) -> str:
    current: type[BaseModel] | None = model
    for part in key[:-1]:
        if current is not None and part in current.model_fields:
            current = fields_below(current, part)
    field = current.model_fields.get(key[-1]) if current else None
    return (field.description if field and field.description else None) or "it has no default"
