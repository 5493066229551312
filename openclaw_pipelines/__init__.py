"""A trading autopilot that can be audited, as declarative Dagster pipelines."""

__version__ = "0.1.0"
