"""The page of a factory cycle."""
