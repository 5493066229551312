"""The page of a day."""
