"""A folder with a store, copied at rest: who keeps a file attached may move its log while it is read."""

import shutil
from pathlib import Path
from typing import Any

from openclaw_pipelines.resources.store.hold import let_go


def copy_store(source: Path, target: Path, **how: Any) -> Path:
    """`target`, a copy of `source`."""
    let_go()
    return Path(shutil.copytree(source, target, **how))
