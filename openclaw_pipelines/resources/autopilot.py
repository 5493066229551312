"""Everything an asset, a sensor or a command needs, put together from settings; plain objects, no Dagster."""

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property

from openclaw_pipelines.contracts.enums import SourceKind
from openclaw_pipelines.domain.session import Executor
from openclaw_pipelines.resources.clock import Clock, RealClock
from openclaw_pipelines.resources.evaluator import Evaluator
from openclaw_pipelines.resources.ingest import Ingest
from openclaw_pipelines.resources.market.base import MarketSource
from openclaw_pipelines.resources.paper import PaperExecutor
from openclaw_pipelines.resources.runner import Runner
from openclaw_pipelines.resources.store import Store
from openclaw_pipelines.settings import Settings, load_settings


class Autopilot:
    """The parts of a running autopilot.

    Args:
        settings: reads the configuration; called again whenever it may have changed.
        store, market, clock, executor: the outside world.
    """

    def __init__(
        self, settings: Callable[[], Settings], store: Store, market: MarketSource, clock: Clock, executor: Executor
    ) -> None:
        self.settings, self.store, self.market, self.clock, self.executor = settings, store, market, clock, executor

    @property
    def source(self) -> str:
        """Name of the market source."""
        return self.market.name

    @property
    def ingest(self) -> Ingest:
        """Brings market data in."""
        settings = self.settings()
        return Ingest(self.store, self.market, settings.market.symbols, settings.intervals, publish_lag(settings))

    @cached_property
    def runner(self) -> Runner:
        """Takes ticks."""
        return Runner(self.store, self.clock, self.executor, self.settings, self.source)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Scores what was decided."""
        return Evaluator(self.store, self.clock, self.settings, self.source)


def publish_lag(settings: Settings) -> timedelta:
    """How long a live exchange may take to publish a closed bar; files and the simulation know at once."""
    if settings.market.source is not SourceKind.CCXT:
        return timedelta(0)
    return timedelta(seconds=max(s.own.bar_deadline_seconds for s in settings.strategies.values()))


def open_store(settings: Settings) -> Store:
    """The store in the configured data folder."""
    return Store(settings.data_dir, lock_timeout_seconds=settings.config.lock_timeout_seconds)


def open_market(settings: Settings) -> MarketSource:
    """The configured market source."""
    from openclaw_pipelines.resources.market.factory import build_source

    return build_source(settings.market.model_copy(update={"archive_dir": _text(settings)}))


def _text(settings: Settings) -> str | None:
    return None if settings.archive_dir is None else str(settings.archive_dir)


def open_autopilot(clock: Clock | None = None, settings: Callable[[], Settings] = load_settings) -> Autopilot:
    """An autopilot as configured, for commands outside Dagster."""
    now = settings()
    return Autopilot(settings, open_store(now), open_market(now), clock or RealClock(), PaperExecutor())
