"""Dagster's view of the outside world: thin shells that make the plain objects."""

import dagster as dg

from openclaw_pipelines.resources.clock import Clock, RealClock
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.market.base import MarketSource
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.world import World, open_market, open_store
from openclaw_pipelines.settings import load_settings


class StoreResource(dg.ConfigurableResource[Store]):
    """The DuckDB files behind OS locks. Its folder comes from the configuration, never from a run's."""

    def create_resource(self, context: dg.InitResourceContext) -> Store:  # noqa: ARG002
        """Open nothing yet: every transaction opens and closes its file."""
        return open_store(load_settings())


class MarketResource(dg.ConfigurableResource[MarketSource]):
    """The market source that the configuration names."""

    def create_resource(self, context: dg.InitResourceContext) -> MarketSource:  # noqa: ARG002
        """Build the source; an exchange's client is loaded here and nowhere else."""
        return open_market(load_settings())


class ClockResource(dg.ConfigurableResource[Clock]):
    """The machine's clock."""

    def create_resource(self, context: dg.InitResourceContext) -> Clock:  # noqa: ARG002
        """The real clock; the ticker puts a replayed one in its place."""
        return RealClock()


class PaperExecutorResource(dg.ConfigurableResource[PaperExecutor]):
    """Fills orders on paper."""

    def create_resource(self, context: dg.InitResourceContext) -> PaperExecutor:  # noqa: ARG002
        """The executor keeps nothing between ticks."""
        return PaperExecutor()


class WorldResource(dg.ConfigurableResource[World]):
    """The parts put together."""

    store: dg.ResourceDependency[Store]
    market: dg.ResourceDependency[MarketSource]
    clock: dg.ResourceDependency[Clock]
    executor: dg.ResourceDependency[PaperExecutor]

    def create_resource(self, context: dg.InitResourceContext) -> World:  # noqa: ARG002
        """Settings are read again at every tick."""
        return World(load_settings, self.store, self.market, self.clock, self.executor)


def resources() -> dict[str, object]:
    """Resources of a code location."""
    store, market, clock = StoreResource(), MarketResource(), ClockResource()
    executor = PaperExecutorResource()
    world = WorldResource(store=store, market=market, clock=clock, executor=executor)
    return {"store": store, "market": market, "clock": clock, "paper_executor": executor, "world": world}
