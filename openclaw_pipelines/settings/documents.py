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
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)", re.ASCII)
_DECIMAL = re.compile(r"[-+]?[0-9][0-9_]*\.[0-9]+", re.ASCII)
_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]{1,2}", re.ASCII)
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


def _mapping(name: str, node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigSyntaxError(f"{name} line {line}", "a key must be text")
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
    return text if getattr(node, "style", None) in {"'", '"', "|", ">"} else _plain(text)


def _plain(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) or _EXPONENT.fullmatch(text):
        return Decimal(text)
    return text
