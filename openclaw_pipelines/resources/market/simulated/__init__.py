"""The embedded market."""
