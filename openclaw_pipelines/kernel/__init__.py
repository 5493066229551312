"""Pure numba functions over arrays: indicators, signals, fills, limits and equity, and nothing else.

The kernel does no I/O, reads no clock and draws no random number. What a tick may depend on is passed in, so that
lived, backfilled and replayed ticks agree. Of the project it imports only `contracts`; planning, storage and
presentation belong to `domain`, `resources` and `assets`. The one thing done at import is to key the cache of compiled
code on the kernel's sources.
"""

from openclaw_pipelines.kernel.base.compile_cache import use_source_keyed_cache

use_source_keyed_cache()
