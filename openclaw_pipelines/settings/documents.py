"""Configuration files as text: YAML read with the place of every key, and without losing what was written.

Differences to plain YAML loading: keys may not repeat; `on`, `off`, `yes` and `no` are text, as in YAML 1.2, so that
`kill_switch: off` means what it says; numbers with a point become Decimal by their literal text, never a binary float.
What the keys mean is in `layers`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from openclaw_pipelines.contracts.layers import Layer
from openclaw_pipelines.settings.errors import ConfigSyntaxError, DuplicateSettingError

Path = tuple[str, ...]

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH_MAX = 12  # an alias may stand inside what it names, and would go on for ever
_VALUES_MAX = 200_000
_DIGITS_MAX, _KEY_MAX = 40, 200
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)", re.ASCII)
_DECIMAL = re.compile(r"[-+]?[0-9][0-9_]*\.[0-9]+", re.ASCII)
_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]{1,2}", re.ASCII)
_NUMBER = re.compile(r"[-+0-9._eE]+", re.ASCII)
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Document:
    """One layer of settings as a tree, and where its keys stand.

    lines: dotted path -> line, counted from 1.
    included: strategy -> name of the file that its section came from, where that is another one.
    """

    layer: Layer
    tree: Mapping[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)
    included: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How people see it, as `autopilot.yaml`."""
        return self.layer.text

    def where(self, path: Path) -> str:
        """`name line n` of a key, or of the nearest key around it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return f"{self.origin(path[:end]) or self.name} line {self.lines[path[:end]]}"
        return self.name

    def origin(self, path: Path) -> str | None:
        """Name of the included file that sets a key, None where it stands in the document itself."""
        return self.included.get(path[1]) if len(path) > 1 and path[0] == "strategies" else None

    def has(self, path: Path) -> bool:
        """Whether this document sets the key or something below it."""
        tree: object = self.tree
        for part in path:
            if not isinstance(tree, Mapping) or part not in tree:
                return False
            tree = tree[part]
        return True


def dotted(path: Path) -> str:
    """A path as people write it.

    >>> dotted(("risk", "max_order_notional"))
    'risk.max_order_notional'
    """
    return ".".join(path)


def first_comment(text: str) -> str:
    r"""The comment that a file begins with, in which its author may say why; empty where there is none.

    >>> first_comment("# the exchange is down\nkill_switch: halt_all")
    'the exchange is down'
    """
    line = text.lstrip().partition("\n")[0].strip()
    return line.lstrip("#").strip() if line.startswith("#") else ""


def parse(layer: Layer, text: str) -> Document:
    r"""Read YAML text. Raises ConfigSyntaxError and DuplicateSettingError.

    >>> from openclaw_pipelines.contracts.layers import LayerKind
    >>> parse(Layer(LayerKind.FILE, "a.yaml"), "kill_switch: off\nfee: 0.10").tree
    {'kill_switch': 'off', 'fee': Decimal('0.10')}
    """
    name = layer.text
    try:
        _refuse_bombs(name, text)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name} line {mark.line + 1}" if mark else name
        raise ConfigSyntaxError(where, f"not valid YAML: {getattr(error, 'problem', None) or error}") from None
    if root is None:
        raise ConfigSyntaxError(name, "the file is empty")
    if not isinstance(root, yaml.MappingNode):
        raise ConfigSyntaxError(name, "the file holds no mapping of settings")
    lines: dict[Path, int] = {}
    return Document(layer, _mapping(name, root, (), lines), lines)


def _refuse_bombs(name: str, text: str) -> None:
    """Refuse what would take long or much to put together, before anything is: depth, and values beyond aliases."""
    sizes: dict[str, int] = {}
    open_at: list[tuple[str | None, int]] = []
    values = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            open_at.append((event.anchor, values))
            if len(open_at) > _DEPTH_MAX + 1:
                raise ConfigSyntaxError(_line(name, event), f"nested deeper than {_DEPTH_MAX} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_at.pop()
            if anchor is not None:
                sizes[anchor] = values - before
        elif isinstance(event, yaml.AliasEvent):
            values += sizes.get(event.anchor or "", 0)
        values += 1
        if values > _VALUES_MAX:
            problem = f"holds more than {_VALUES_MAX:,} values, those of its aliases counted"
            raise ConfigSyntaxError(_line(name, event), problem)


def _line(name: str, event: yaml.Event) -> str:
    return f"{name} line {event.start_mark.line + 1}" if event.start_mark is not None else name


def _mapping(name: str, node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigSyntaxError(f"{name} line {line}", "a key must be text")
        if len(key_node.value) > _KEY_MAX or "\0" in key_node.value:
            raise ConfigSyntaxError(
                f"{name} line {line}", f"a key has {len(key_node.value):,} characters or a NUL byte"
            )
        here = (*path, key_node.value)
        if key_node.value in tree:
            raise DuplicateSettingError(f"{name} line {line}", dotted(here), lines[here])
        lines[here] = line
        tree[key_node.value] = _value(name, value_node, here, lines)
    return tree


def _value(name: str, node: yaml.Node, path: Path, lines: dict[Path, int]) -> object:
    if len(path) > _DEPTH_MAX:
        raise ConfigSyntaxError(f"{name} line {node.start_mark.line + 1}", f"nested deeper than {_DEPTH_MAX} levels")
    if isinstance(node, yaml.MappingNode):
        return _mapping(name, node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[*path, str(index)] = item.start_mark.line + 1
        return [_value(name, item, (*path, str(index)), lines) for index, item in enumerate(node.value)]
    text: str = node.value
    where = f"{name} line {node.start_mark.line + 1}"
    if "\0" in text:
        raise ConfigSyntaxError(where, f"{dotted(path)} holds a NUL byte")
    if len(text) > _DIGITS_MAX and _NUMBER.fullmatch(text):
        raise ConfigSyntaxError(where, f"{dotted(path)} is a number of {len(text):,} characters")
    return text if getattr(node, "style", None) in {"'", '"', "|", ">"} else _plain(text)


def _plain(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) or _EXPONENT.fullmatch(text):
        return Decimal(text)
    return text
