"""Where compiled code is kept on disk: one folder per content of the kernel's sources.

numba keys its cache on the file of the compiled function alone. An edit to a helper that is inlined elsewhere, or to a
constant, would leave old machine code in use. Keying the folder on all compiled sources makes that impossible.
"""

import hashlib
from pathlib import Path
from typing import Any

import numba

_KERNEL = Path(__file__).resolve().parents[1]
_PACKAGE = _KERNEL.parent
_COMPILED_IN = (*sorted(_KERNEL.rglob("*.py")), _PACKAGE / "contracts" / "enums.py")


def sources_hash() -> str:
    """Sha256 over the path and bytes of every source whose code or constants are compiled, as lower-case hex."""
    digest = hashlib.sha256()
    for path in _COMPILED_IN:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def use_source_keyed_cache() -> Path:
    """Point numba's cache at this content's folder and return it; call before any function is compiled.

    It lies below NUMBA_CACHE_DIR where that is set, else beside the sources. Where it cannot be written, numba falls
    back to the user's cache folder.
    """
    settings: Any = numba.config
    root = Path(settings.CACHE_DIR) if settings.CACHE_DIR else _KERNEL / "__pycache__"
    folder = root / f"kernel-{sources_hash()[:16]}"
    settings.CACHE_DIR = str(folder)
    return folder
