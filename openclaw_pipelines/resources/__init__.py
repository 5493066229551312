"""The outside world: store, market sources, paper executor, clock. Thin Dagster shells over plain objects."""
