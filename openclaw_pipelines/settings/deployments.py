"""Strategies that the lifecycle configured: a file of the data folder, read as part of `autopilot.yaml`.

Part of it, and no layer above it, so that general limits, a strategy's own and those of a symbol hold for a deployed
strategy as they hold for one written by hand; the overlay and the environment still win. What stands in the file is
decided in `domain.lifecycle`.
"""

from functools import lru_cache

from openclaw_pipelines.contracts.layers import Layer, LayerKind
from openclaw_pipelines.settings.documents import Document, parse
from openclaw_pipelines.settings.errors import SettingConflictError
from openclaw_pipelines.settings.validation import checked_document

DEPLOYMENTS_FILE = "deployments.yaml"


@lru_cache(maxsize=8)
def _parsed(text: str) -> Document:
    return checked_document(parse(Layer(LayerKind.FILE, DEPLOYMENTS_FILE), text))


def with_deployments(main: Document, text: str | None) -> Document:
    """The document of `autopilot.yaml` with the deployed strategies in it; `text` is None where there are none.

    Raises:
        SettingConflictError: the file holds anything but strategies, or one that `autopilot.yaml` has too.
    """
    if text is None:
        return main
    deployed = _parsed(text)
    for key in deployed.tree:
        if key != "strategies":
            problem = "the file of deployed strategies holds nothing else. Set it in autopilot.yaml"
            raise SettingConflictError(deployed.where((key,)), key, "set", problem)
    own, added = main.tree.get("strategies") or {}, deployed.tree["strategies"]
    for name in added:
        if name in own:
            problem = f"{main.where(('strategies', name))} has a strategy of that name too"
            raise SettingConflictError(deployed.where(("strategies", name)), f"strategies.{name}", "deployed", problem)
    lines = {path: line for path, line in deployed.lines.items() if len(path) > 1}
    tree = {**main.tree, "strategies": {**own, **added}}
    return Document(main.layer, tree, {**main.lines, **lines}, dict.fromkeys(added, DEPLOYMENTS_FILE))
