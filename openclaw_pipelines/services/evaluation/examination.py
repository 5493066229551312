"""Everything that can be examined of a day, for its report."""

from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.market.examination import examine_candles, examine_funding
from openclaw_pipelines.services.trading.examination import examine_ledger
from openclaw_pipelines.services.trading.verification import verify_day


def examine_day(world: World, day: str) -> list[tuple[str, str, CheckResult]]:
    """Everything that can be examined of a day, as asset, partition and result."""
    found = [("candles", day, result) for result in examine_candles(world, day)]
    found += [("funding_rates", day, result) for result in examine_funding(world, day)]
    for name, strategy in world.settings().strategies.items():
        if strategy.own.enabled and strategy.own.start_day.isoformat() <= day:
            replayed = verify_day(world.ledger(name), day)
            found += [("equity", f"{day}|{name}", result) for result in examine_ledger(world, replayed)]
    return found
