"""Enums, errors, keys and pandera models: the single source of every table and payload.

Nothing here does I/O or knows Dagster. Rules of trading belong in `domain` or `kernel`.
"""
