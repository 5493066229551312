"""What an operator does outside Dagster, one module per command or family of commands.

A command collects its answer with a plain function and prints it as a table or, with `--json`, as one JSON document.
Rules and queries of the trading itself belong in `domain` and `resources`.
"""
