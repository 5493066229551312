"""Pure numba functions over arrays: indicators, signals, fills, limits and equity, and nothing else.

The kernel does no I/O, reads no clock and draws no random number. What a tick may depend on is passed in, so that
lived, backfilled and replayed ticks agree. Of the project it imports only `contracts`; planning, storage and
presentation belong to `domain`, `resources` and `assets`. Two things are done at import: the cache of compiled code is
keyed on the kernel's sources, and branches on the strategy family are compared with the families that there are.
"""

from openclaw_pipelines.kernel.base.compile_cache import use_source_keyed_cache

use_source_keyed_cache()
