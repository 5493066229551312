"""The outside world that services are handed, put together from settings; plain objects, no Dagster."""

from collections.abc import Callable
from dataclasses import dataclass, field

from openclaw_pipelines.contracts.config.market import Market
from openclaw_pipelines.domain.execution.port import Executor
from openclaw_pipelines.resources.clock import Clock, RealClock
from openclaw_pipelines.resources.deployed_layer import DeployedLayer, HeldSettings
from openclaw_pipelines.resources.execution.paper import PaperExecutor
from openclaw_pipelines.resources.market.base import MarketSource
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.settings import Settings, load_settings


@dataclass
class World:
    """What a service may ask, read and write. A service names those parts of it that it needs.

    settings: reads the configuration; called again whenever it may have changed. It refuses a layer of deployed
    strategies that was edited, whoever asks.
    """

    settings: Callable[[], Settings]
    store: Store
    market: MarketSource
    clock: Clock
    executor: Executor
    handed: dict[tuple[str, str], object] = field(default_factory=dict)
    """What was done for a strategy and a day ahead of its run, which takes it out; see `services.trading.rounds`."""

    def __post_init__(self) -> None:
        if not isinstance(self.settings, HeldSettings):
            self.settings = HeldSettings(self.settings, self.store)

    @property
    def layer(self) -> DeployedLayer:
        """The layer of deployed strategies, whatever it says."""
        read = self.settings.read if isinstance(self.settings, HeldSettings) else self.settings
        found = read()
        return DeployedLayer(self.store, found.config.account, found.data_dir)

    @property
    def source(self) -> str:
        """Name of the market source, as in the `source` column."""
        return self.market.name

    def ledger(self, strategy: str) -> StrategyLedger:
        """The rows of one strategy."""
        return StrategyLedger(self.store, self.settings().config.account, strategy)


def open_store(settings: Settings) -> Store:
    """The store in the configured data folder."""
    return Store(settings.data_dir, lock_timeout_seconds=settings.config.lock_timeout_seconds)


def open_market(settings: Settings) -> MarketSource:
    """The configured market source."""
    from openclaw_pipelines.resources.market.choose import build_source

    return build_source(market_settings(settings))


def market_settings(settings: Settings) -> Market:
    """Settings of the market source, with the archive's folder as it was found."""
    folder = None if settings.archive_dir is None else str(settings.archive_dir)
    return settings.market.model_copy(update={"archive_dir": folder})


def open_world(clock: Clock | None = None, settings: Callable[[], Settings] = load_settings) -> World:
    """The world as configured, for commands outside Dagster."""
    now = settings()
    return World(settings, open_store(now), open_market(now), clock or RealClock(), PaperExecutor())
