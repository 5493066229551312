"""Schedules and sensors. What they decide is decided by pure functions."""
