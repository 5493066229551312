"""Choosing a market source by settings. The sources themselves are in the modules imported here."""

from openclaw_pipelines.contracts.config.market import Market
from openclaw_pipelines.contracts.enums import SourceKind
from openclaw_pipelines.resources.market.base import MarketSource
from openclaw_pipelines.resources.market.errors import MissingSourceSettingError


def build_source(market: Market) -> MarketSource:
    """The source that `market.source` names, for `market.symbols`.

    Raises MissingSourceSettingError, and what the source raises for an unknown folder, exchange or symbol.
    """
    if market.source is SourceKind.SIMULATED:
        from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket

        return SimulatedMarket(market.seed, tuple(market.symbols))
    if market.source is SourceKind.ARCHIVE:
        from openclaw_pipelines.resources.market.archive.source import ArchiveMarket

        return ArchiveMarket.of(market)
    if market.exchange is None:
        raise MissingSourceSettingError("ccxt", "market.exchange", "OPENCLAW_EXCHANGE")
    from openclaw_pipelines.resources.market.ccxt.source import build_ccxt_source

    return build_ccxt_source(market)
