"""Pure Python on frames and Decimals: the rules of the autopilot. No Dagster, no I/O, no clock."""
