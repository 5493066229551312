"""The factory at work: market data of a cycle, sweeps by shard, replays, parity reports and gates, with their tables.

Rules are in `domain.factory` and `domain.selection`; Dagster's view of it is in `assets.factory`.
"""
