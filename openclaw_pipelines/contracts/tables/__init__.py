"""Every table by name: the pandera models are in the modules of this folder, one per capability."""

from openclaw_pipelines.contracts.schema import REGISTERED, Table
from openclaw_pipelines.contracts.tables import evaluation, factory, governance, lifecycle, market, trading

__all__ = ["TABLES", "evaluation", "factory", "governance", "lifecycle", "market", "trading"]

TABLES: dict[str, Table] = dict(REGISTERED)
"""Name -> table, of all models. Importing it is all that is needed to know every table."""
