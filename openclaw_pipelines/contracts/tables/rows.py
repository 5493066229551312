"""What rows of several tables share: columns of a strategy and of a tick, types, and the words of enumerations."""

from typing import Annotated

import pandera.polars as pa
import polars as pl

from openclaw_pipelines.contracts.enums import (
    Action,
    ProposalState,
    RejectCode,
    Side,
)

Time = Annotated[pl.Datetime, "us", "UTC"]
Money = Annotated[pl.Decimal, 38, 18]

CODES = [code.name for code in RejectCode]
SIDES = [side.name.lower() for side in Side]
STATES = [state.value for state in ProposalState]
ACTIONS = [action.name.lower() for action in Action]


class StrategyRow(pa.DataFrameModel):
    """A row about one strategy of an account."""

    account_id: str = pa.Field(description="account the strategy trades for")
    strategy_config_id: str = pa.Field(description="name of the strategy")
    recorded_at: Time = pa.Field(description="when the row was written; outside the ledger hash")
    run_fingerprint: str = pa.Field(
        description="hash of code version, configuration, policy version and bars consumed; outside the ledger hash"
    )

    class Config:
        strict = True


class TickRow(StrategyRow):
    """A row about one tick of a deployment."""

    deployment_id: str = pa.Field(description="strategy, deployment fingerprint and inception")
    tick_at: Time = pa.Field(description="close time of the tick, UTC")

    class Config:
        strict = True
