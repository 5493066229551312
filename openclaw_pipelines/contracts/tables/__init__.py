"""Every table by name: the pandera models are in the modules of this folder, one per capability."""

from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables import evaluation, factory, governance, lifecycle, market, trading

MODULES = (evaluation, factory, governance, lifecycle, market, trading)
TABLES: dict[str, Table] = {made.name: made for module in MODULES for made in module.TABLES}
"""Name -> table, of all models."""
