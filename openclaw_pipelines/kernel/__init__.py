"""Pure numba functions over arrays: indicators, signals, fills, limits and equity, and nothing else.

The kernel does no I/O, reads no clock and draws no random number. What a tick may depend on is passed in, so that
lived, backfilled and replayed ticks agree. Of the project it imports only `contracts`; planning, storage and
presentation belong to `domain`, `resources` and `assets`.
"""
