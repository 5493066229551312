"""The ledger knows the market source that it was traded on, and another one is another deployment."""

import json
from typing import Any

import pytest

from openclaw_pipelines.services.trading.errors import DeploymentChangedError
from openclaw_pipelines.services.trading.runner import Runner

MOMENTUM = "momentum_1h"
DAY_ONE, DAY_TWO = "2025-05-10", "2025-05-11"


def test_the_source_is_in_the_deployment_in_its_instruments_and_in_every_tick(desk: Any) -> None:
    trading = desk("recorded")
    deployment = trading.ledger(MOMENTUM).head().deployment
    assert deployment.source == "simulated"
    assert {item.source for item in deployment.instruments} == {"simulated"}
    sources = set(trading.rows("tick_inputs", MOMENTUM)["sources"].to_list())
    assert [json.loads(text) for text in sources] == [dict.fromkeys(deployment.symbols, "simulated")]


def test_another_source_on_the_next_day_is_refused_and_names_both(desk: Any) -> None:
    trading = desk("recorded")
    before, world = trading.counts(), trading.world
    other = Runner(world.store, world.clock, world.executor, world.settings, "archive:binance_spot")
    refused = r"under momentum_1h@\w{12}@20250510 on simulated; .* momentum_1h@\w{12}@20250510 on archive:binance_spot"
    with pytest.raises(DeploymentChangedError, match=refused):
        other.run_day(MOMENTUM, DAY_TWO, live=False)
    assert trading.counts() == before
    trading.ask(DAY_TWO)
    assert trading.run(MOMENTUM, DAY_ONE).taken == 0


def test_a_deployment_that_took_its_source_over_is_refused_on_another_one_too(desk: Any) -> None:
    """Its fingerprint is that of the first ledgers, which no source is part of."""
    trading = desk("recorded")
    strategy = trading.world.settings().strategy(MOMENTUM)
    with trading.store.write("ledger") as con:
        con.execute(
            "UPDATE tick_contexts SET payload = replace(payload, ?, ?)",
            [strategy.deployment_fingerprint("simulated"), strategy.deployment_fingerprint(None)],
        )
    world = trading.world
    other = Runner(world.store, world.clock, world.executor, world.settings, "archive:binance_spot")
    with pytest.raises(DeploymentChangedError, match=r"on simulated; .* on archive:binance_spot"):
        other.run_day(MOMENTUM, DAY_TWO, live=False)
    assert trading.run(MOMENTUM, DAY_ONE).taken == 0, "on its own source it goes on"
