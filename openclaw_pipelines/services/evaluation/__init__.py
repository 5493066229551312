"""Scores what was decided and reports it."""
