"""What the configuration files say, value by value, in a form that is stored and compared.

Environment variables are left out: they belong to one process, and two processes over the same files would else seem to
change the configuration back and forth.
"""

import json
from collections.abc import Mapping

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.config.configuration import Configuration
from openclaw_pipelines.contracts.layers import Layer
from openclaw_pipelines.settings.documents import Path, dotted
from openclaw_pipelines.settings.layers import leaves
from openclaw_pipelines.settings.redaction import redact

Written = dict[str, dict[str, object]]
"""Dotted key -> `value` and the layer that it comes `from`."""


def written(
    config: Configuration, provenance: Mapping[str, Layer], beneath: Mapping[str, tuple[object, Layer]]
) -> Written:
    """Every value as plain JSON with its layer; secrets are masked. Arguments as the fields of `Settings`."""
    tree = config.model_dump()
    said = {dotted(path): (_at(tree, path), provenance[dotted(path)]) for path in leaves(tree)} | dict(beneath)
    masked = redact({key: value for key, (value, _) in said.items()})
    values = json.loads(canonical_json(masked))
    return {key: {"value": values[key], "from": layer.text} for key, (_, layer) in said.items()}


def _at(tree: Mapping[str, object], path: Path) -> object:
    found: object = tree
    for part in path:
        found = found[part] if isinstance(found, Mapping) else None
    return found
