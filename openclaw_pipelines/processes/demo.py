"""`openclaw demo`: a week of the embedded market for every strategy, through the same assets as in service.

The layers run one after another as jobs on the persistent instance, so every run, check and materialization is on the
pages of the web UI afterwards. Recorded ticks stay as they are: doing it again verifies and adds nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw_pipelines.contracts.enums import SourceKind
from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.contracts.time import DAY
from openclaw_pipelines.contracts.trading import DecisionStatus
from openclaw_pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg
    import polars as pl

    from openclaw_pipelines.resources.world import World
from openclaw_pipelines.processes.layers import Layer, run_layer

DAYS = 7


class NotEmbeddedError(ConfigError):
    """The demonstration would write made-up prices beside real ones."""

    template = (
        "the demo lives through the embedded market, this configuration reads {source}. "
        "Unset OPENCLAW_MARKET, or give the demo a configuration and data folder of its own."
    )
    source: SourceKind


@dataclass(frozen=True)
class Plan:
    """Days of each layer, as partition keys. First and last."""

    market: tuple[str, str]
    ticks: tuple[str, str]


@dataclass(frozen=True)
class Result:
    """What one strategy did in the week. Money in quote currency."""

    strategy: str
    ticks: int
    decisions: int
    orders: int
    fills: int
    rejects: dict[str, int]
    fees: Decimal
    funding: Decimal
    pnl: Decimal
    open_positions: int
    ledger_hash: str
    trades_hash: str


def plan(settings: Settings) -> Plan:
    """The week from the first inception on, and the market data that its first and last tick rest on."""
    from openclaw_pipelines.services.market.history import history_days

    start = min(strategy.own.start_day for strategy in settings.strategies.values())
    last = start + timedelta(days=DAYS - 1)
    before = [day for strategy in settings.strategies.values() for day in history_days(settings, strategy)]
    # decisions of the last hour mature in the next day
    return Plan(
        market=(min(before, default=start.isoformat()), (last + DAY).isoformat()),
        ticks=(start.isoformat(), last.isoformat()),
    )


def layers(settings: Settings, partitions: Sequence[str]) -> list[Layer]:
    """The runs in order. partitions: strategies in the order in which the instance knows them."""
    from openclaw_pipelines import jobs

    days = plan(settings)
    slices = list(_slices(partitions, settings.strategies))
    by_strategy = [(first, last, (f"{days.ticks[0]}|{first}", f"{days.ticks[1]}|{last}")) for first, last in slices]
    return [
        Layer("instruments", jobs.INSTRUMENTS, None, None),
        Layer("candles, funding, their checks, features", jobs.MARKET_DAY, *days.market),
        *(Layer(f"autopilot cycle, {first} to {last}", jobs.CYCLE, *keys) for first, last, keys in by_strategy),
        *(
            Layer(f"outcomes and metrics, {first} to {last}", jobs.EVALUATION, *keys)
            for first, last, keys in by_strategy
        ),
        # a page takes seconds to draw; `openclaw report DAY` draws the others when they are asked for
        Layer("report of the last day", jobs.REPORT, days.ticks[1], days.ticks[1]),
    ]


def _slices(partitions: Sequence[str], wanted: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Runs of wanted names without another one between them, as a range over partitions needs.

    >>> list(_slices(["a", "b", "old", "c"], ["a", "b", "c"]))
    [('a', 'b'), ('c', 'c')]
    """
    own = set(wanted)
    run: list[str] = []
    for name in [*partitions, ""]:
        if name in own:
            run.append(name)
        elif run:
            yield run[0], run[-1]
            run = []


def run_demo(
    world: "World", instance: "dg.DagsterInstance", progress: Callable[[Layer], object] = lambda _: None
) -> list[Result]:
    """Live through the week; returns one result per strategy.

    Raises:
        NotEmbeddedError: the configuration reads another market.
        LayerFailedError: a run failed; what was recorded before it stays.
    """
    from openclaw_pipelines.assets.partitions import STRATEGIES
    from openclaw_pipelines.definitions import build_defs

    settings = world.settings()
    if settings.market.source is not SourceKind.SIMULATED:
        raise NotEmbeddedError(settings.market.source)
    defs = build_defs()
    for layer in layers(settings, instance.get_dynamic_partitions(STRATEGIES)):
        progress(layer)
        run_layer(defs, instance, layer)
    return [strategy_result(world, name) for name in settings.strategies]


def strategy_result(world: "World", strategy: str) -> Result:
    """Counts and sums of a strategy's ledger up to the end of the week."""
    from openclaw_pipelines.contracts.time import day_start
    from openclaw_pipelines.resources.store.comparison import ledger_hash, trades_hash

    settings, ledger = world.settings(), world.ledger(strategy)
    end = day_start(plan(settings).ticks[1]) + DAY
    rows: dict[str, pl.DataFrame] = {}
    with ledger.reading():
        for name in ("ticks", "decisions", "orders", "fills", "equity"):
            rows[name] = ledger.rows(f"autopilot_{name}", None, end).sort("tick_at")
        equity = rows["equity"].row(-1, named=True)
        capital = ledger.deployment_at(equity["tick_at"]).capital
    refused = rows["decisions"].filter(status=DecisionStatus.REJECTED.value)["reason_code"]
    codes = refused.value_counts(sort=True)
    return Result(
        strategy=strategy,
        ticks=rows["ticks"].height - 1,  # the first row is the inception
        decisions=rows["decisions"].height,
        orders=rows["orders"].height,
        fills=int((rows["fills"]["qty"] > 0).sum()),
        rejects=dict(codes.iter_rows()),
        fees=equity["fees"],
        funding=equity["funding"],
        pnl=equity["equity"] - capital,
        open_positions=equity["open_positions"],
        ledger_hash=ledger_hash(world.store, settings.config.account, strategy, end=end),
        trades_hash=trades_hash(world.store, settings.config.account, strategy, end=end),
    )


def report_path(settings: Settings) -> Path:
    """The report of the week's last day."""
    return settings.data_dir / "reports" / f"{plan(settings).ticks[1]}.html"
