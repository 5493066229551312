"""A trading autopilot that can be audited, as declarative Dagster pipelines."""

import sys

__version__ = "0.1.0"
_OLDEST, _NEWEST = (3, 11), (3, 13)


def _refuse_other_pythons(found: tuple[int, ...]) -> None:
    """What `requires-python` tells pip; a checkout on the path is asked by nobody else."""
    if not _OLDEST <= found[:2] <= _NEWEST:
        needed = " to ".join(".".join(map(str, version)) for version in (_OLDEST, _NEWEST))
        raise ImportError(f"openclaw_pipelines needs Python {needed}, this is {'.'.join(map(str, found[:3]))}.")


_refuse_other_pythons(tuple(sys.version_info[:3]))
